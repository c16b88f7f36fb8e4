"""What people may do at the clearinghouse, as its doors see it (rules R2 to R4, R10 and R22).

The command line, chat commands and signed envelopes all come to one `Office`.  Each says who speaks and
how that is known; the office asks KeyNote whether they may, and answers everybody in the same words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Protocol

from clearinghouse.clearing.cases import Case, Grant, Revocation, RevocationKind
from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.errors import PeerError


class NotEntitled(PeerError):
    """Policy does not let this person do this; strangers hear no more than that (rule R22)."""

    code: ClassVar[str] = "not-entitled"
    http_status: ClassVar[int] = 403
    stanza_condition: ClassVar[str] = "forbidden"


class NoSuchThing(PeerError):
    """No case, grant, decision or credential has this id, or several do; also said to whoever may not see it."""

    code: ClassVar[str] = "no-such-thing"
    http_status: ClassVar[int] = 404
    stanza_condition: ClassVar[str] = "item-not-found"


class WrongCase(PeerError):
    """An approval names another subject, topic or content than the case has."""

    code: ClassVar[str] = "wrong-case"
    stanza_condition: ClassVar[str] = "not-acceptable"


class AlreadyApproved(PeerError):
    """The person has approved the case already, with this or another of their keys and JIDs (rule R3)."""

    code: ClassVar[str] = "already-approved"
    stanza_condition: ClassVar[str] = "conflict"


class OwnRequest(PeerError):
    """Nobody approves what they asked for themselves (rule R3)."""

    code: ClassVar[str] = "own-request"
    stanza_condition: ClassVar[str] = "forbidden"


class NeedsSignature(PeerError):
    """What is asked for needs the signature of a key: a JID rests on its host's word alone (rule R10)."""

    code: ClassVar[str] = "needs-signature"
    stanza_condition: ClassVar[str] = "forbidden"


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks, and how that is known.

    ``person`` is the settings' name for them, or their first principal.  ``principals`` are fixed by the
    door (rule R9): ``xmpp:`` names at `Door.CHAT`, keys at `Door.ENVELOPE`, ``unix:user`` at `Door.OPERATOR`.
    ``vouched_by`` is the host on whose word a chat's JID rests.  ``envelope`` is what was signed.
    """

    person: str
    principals: tuple[str, ...]
    door: Door
    vouched_by: str = ""
    envelope: bytes = b""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What came of an act on a case.

    ``decision`` is the new ruling on the request, where there was one; while further people have to
    approve it is ``None`` and ``waits_for`` says so in words.
    """

    case: Case
    decision: Decision | None = None
    waits_for: str = ""


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody whose answer changes: a holder of a grant, a waiting requester, or a known platform."""

    jid: str
    operation: str
    topic: str
    before: str
    after: str
    reason: str
    grant: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """What adding or taking away credentials, keys or principals changes, before or after it was done.

    ``names`` are what came or went, such as the ids of credentials; ``losing`` and ``winning`` are complete
    for grants and cases, and for the platforms that are known.  ``done`` is false for a dry run.  ``unchecked``
    counts pairs of a known platform and a topic that were too many to be looked at.
    """

    names: tuple[str, ...]
    losing: tuple[Party, ...]
    winning: tuple[Party, ...]
    done: bool
    version: str
    unchecked: int = 0


@dataclass(frozen=True, slots=True)
class KeptCredential:
    """A credential that was added at run time, or stands in a folder (``source`` names the file)."""

    id: str
    raw: bytes
    source: str
    by: str = ""


class Office(Protocol):
    """What people can do; every method raises `NotEntitled`, `NoSuchThing`, `StoreUnavailable` and what it names itself."""

    async def pending(self, who: Speaker) -> Sequence[Case]:
        """Return the open cases that *who* may see, oldest first."""

    async def case(self, who: Speaker, identity: str) -> Case:
        """Return one case that *who* may see, by its id or the beginning of it."""

    async def approve(self, who: Speaker, identity: str, *, shown: str = "", period: timedelta | None = None) -> Ruling:
        """Count the approval of *who*; once enough people have approved, sign, rule again and carry out.

        *shown* is the digest of what they saw: another one than the case's is a `WrongCase`.  *period* is how
        long the approval holds at most.  Raises `CaseClosed`, `AlreadyApproved`, `OwnRequest`, `NeedsSignature`.
        """

    async def deny(self, who: Speaker, identity: str, *, reason: str = "") -> Ruling:
        """End an open case with a no; raises `CaseClosed`."""

    async def grants(self, who: Speaker, *, ended: bool = False) -> Sequence[Grant]:
        """Return the grants that *who* may see, those that are over as well with *ended*."""

    async def end_grant(self, who: Speaker, identity: str, *, reason: str = "", may_ask_again: bool = False) -> Changed:
        """End a grant at once; its holder is barred from the topic unless it *may_ask_again*."""

    async def explain(self, who: Speaker, identity: str) -> str:
        """Return the whole explanation of a decision, case or grant, as text for people."""

    async def revoke(self, who: Speaker, kind: RevocationKind, name: str, *, reason: str = "", dry_run: bool = False) -> Changed:
        """Revoke for good, or with *dry_run* say exactly who would lose what; chat JIDs alone raise `NeedsSignature`."""

    async def revocations(self, who: Speaker) -> Sequence[Revocation]:
        """Return all revocations, oldest first."""

    async def lift(self, who: Speaker, identity: str) -> Revocation:
        """Lift the bar on a holder; every other kind of revocation stays."""

    async def credentials(self, who: Speaker) -> Sequence[KeptCredential]:
        """Return every credential that counts."""

    async def add_credential(self, who: Speaker, raw: bytes, *, dry_run: bool = False) -> Changed:
        """Add a credential; raises `HolderError` for one that is not good, `NeedsSignature` for a chat JID."""

    async def withdraw_credential(self, who: Speaker, identity: str, *, dry_run: bool = False) -> Changed:
        """Withdraw a credential that was added at run time; one from a folder is taken away there."""

    async def submit(self, envelope: bytes) -> Ruling | Changed:
        """Do what a signed envelope asks for (approve, deny, revoke, ...); raises what reading it raises (rule R18)."""
