"""Why a document is not believed: each attack under a name of its own (pure).

The attacks are those of The Update Framework; ``docs/explanation/table-threats.md`` says which refusal meets which.
"""

from __future__ import annotations

from typing import ClassVar

from clearinghouse.errors import PeerError, TooLarge


class DocumentRefused(PeerError):
    """A published document is not believed; what was believed before stays."""

    code: ClassVar[str] = "document-refused"


class MalformedDocument(DocumentRefused):
    """Bytes that are not what the document's name promises."""

    code: ClassVar[str] = "malformed-document"


class EndlessData(TooLarge):
    """A document has more bytes than its timestamp says, or than any may have; it was not read."""

    code: ClassVar[str] = "endless-data"


class WrongCommunity(DocumentRefused):
    """The document is of another community."""

    code: ClassVar[str] = "wrong-community"


class WrongView(DocumentRefused):
    """The document is for another audience."""

    code: ClassVar[str] = "wrong-view"


class WrongEpoch(DocumentRefused):
    """The document's keys are of another epoch than the root metadata's."""

    code: ClassVar[str] = "wrong-epoch"


class ForeignSigner(DocumentRefused):
    """Nobody who signed the document may sign such documents."""

    code: ClassVar[str] = "foreign-signer"


class TooFewSigners(DocumentRefused):
    """Some of those signed who may sign such documents together, but not enough."""

    code: ClassVar[str] = "too-few-signers"


class RevokedSigner(DocumentRefused):
    """The document rests on a key, or on a credential, that has been revoked (rule R15)."""

    code: ClassVar[str] = "revoked-signer"


class DocumentNotYet(DocumentRefused):
    """The document was issued in our future."""

    code: ClassVar[str] = "document-not-yet"


class TimestampExpired(DocumentRefused):
    """Nobody has said lately which table is the newest: somebody may hold newer ones back (freeze)."""

    code: ClassVar[str] = "timestamp-expired"


class TableExpired(DocumentRefused):
    """The table is too old to count."""

    code: ClassVar[str] = "table-expired"


class RevocationsExpired(DocumentRefused):
    """The revocation set is too old to be all that is revoked."""

    code: ClassVar[str] = "revocations-expired"


class RootExpired(DocumentRefused):
    """The newest root metadata that we have has expired: nothing new is believed under it."""

    code: ClassVar[str] = "root-expired"


class TimestampRollback(DocumentRefused):
    """The timestamp is older than the one that was believed before, or names older things."""

    code: ClassVar[str] = "timestamp-rollback"


class TableRollback(DocumentRefused):
    """The table is older than the one that the timestamp names, or than the one that we have."""

    code: ClassVar[str] = "table-rollback"


class RevocationsRollback(DocumentRefused):
    """The revocation set is older than the one that was believed before."""

    code: ClassVar[str] = "revocations-rollback"


class MemberRollback(DocumentRefused):
    """A member's record has a lower serial than the one that was believed before."""

    code: ClassVar[str] = "member-rollback"


class RootRollback(DocumentRefused):
    """The root metadata is of a generation or epoch below the one that we have."""

    code: ClassVar[str] = "root-rollback"


class RootGap(DocumentRefused):
    """The root metadata is not of the next generation: every one between has to be seen."""

    code: ClassVar[str] = "root-gap"


class RootBehind(DocumentRefused):
    """The timestamp is of a later generation of root metadata: fetch that first."""

    code: ClassVar[str] = "root-behind"


class NotThePinnedRoot(DocumentRefused):
    """The first root metadata has another digest than the one that was told over another way."""

    code: ClassVar[str] = "not-the-pinned-root"


class NotApprovedByOldRoots(DocumentRefused):
    """The new root metadata lacks the signatures that the generation before it demands."""

    code: ClassVar[str] = "not-approved-by-old-roots"


class NotApprovedByNewRoots(DocumentRefused):
    """The root metadata lacks the signatures that it demands itself."""

    code: ClassVar[str] = "not-approved-by-new-roots"


class MixedDocuments(DocumentRefused):
    """A document is not the one that the timestamp names: parts of different states are mixed."""

    code: ClassVar[str] = "mixed-documents"


class Equivocation(DocumentRefused):
    """Two different documents have one version: whoever signs says different things to different servers."""

    code: ClassVar[str] = "equivocation"


class ContentMismatch(DocumentRefused):
    """The content has another digest or length than its signed head says."""

    code: ClassVar[str] = "content-mismatch"


class DeltaOutOfPlace(DocumentRefused):
    """The delta does not begin at the table that we have: fetch the whole table."""

    code: ClassVar[str] = "delta-out-of-place"


class NothingNamed(DocumentRefused):
    """No timestamp names the document: a timestamp comes first."""

    code: ClassVar[str] = "nothing-named"
