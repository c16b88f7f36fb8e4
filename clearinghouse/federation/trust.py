"""What a receiver of published documents believes: a state machine without input or output (pure).

Bytes go in with the time; what may be believed comes out, and a refusal changes nothing.  A receiver asks
`Trusted.wanted` what to fetch next::

    trusted = Trusted.pinned(root, pin, now, audience="a.example")
    while (name := trusted.wanted()) is not None:
        raw = fetch(name, limit=trusted.limit(name))  # None where there is no such document
        trusted.update(name, raw, now) if raw is not None else trusted.absent(name)

and begins again with the timestamp when it is told of something new, or from time to time: `Trusted.begin`.
One update has one *now*, fixed when it begins (TUF, section 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from clearinghouse.federation.members import Member
from clearinghouse.federation.revocations import RevocationSet
from clearinghouse.federation.roots import Root
from clearinghouse.federation.tables import Head, Table
from clearinghouse.federation.timestamps import Timestamp


class Standing(StrEnum):
    """How far what we have can be relied upon at one moment."""

    FRESH = "fresh"
    """Table, members and revocations are the newest, as somebody said a few minutes ago: new grants may be made."""
    STALE = "stale"
    """The table holds, but nobody has said lately that it is the newest, or what is revoked: no new grants (rule R15)."""
    EXPIRED = "expired"
    """There is no table that holds: what the agent's settings say happens, `closed` by default."""


class Trusted:
    """What is believed of one community, for one audience."""

    def __init__(self) -> None:
        """Use `pinned` or `restored`."""
        raise NotImplementedError

    @classmethod
    def pinned(cls, raw: bytes, pin: str, now: datetime, *, audience: str, community: str = "") -> Trusted:
        """Return what is believed at first: the sealed root metadata *raw*, whose payload has the SHA-256 *pin*."""
        raise NotImplementedError

    @classmethod
    def restored(cls, kept: Mapping[str, bytes], pin: str, *, audience: str, community: str = "") -> Trusted:
        """Return what `kept` kept, verified again but for the time: expired copies still tell what is older."""
        raise NotImplementedError

    def kept(self) -> dict[str, bytes]:
        """Return what has to be kept on disk, as documents by file name; `restored` takes it back."""
        raise NotImplementedError

    def copy(self) -> Trusted:
        """Return another one in the same state, for an update that is to happen as a whole or not at all."""
        raise NotImplementedError

    # -- what is believed ---------------------------------------------------------------------------------

    root: Root
    table: Table | None
    head: Head | None
    timestamp: Timestamp | None
    revocations: RevocationSet | None
    rows: Mapping[str, str]
    """Domain to level; the lowest level stands nowhere. Empty where there is no table. Never changed in place."""
    members: Mapping[str, Member]
    """Domain to record, removed ones left out."""
    seen: datetime
    """The highest time that was ever seen."""

    def standing(self, now: datetime) -> Standing:
        """Say how far what is believed holds at *now*."""
        raise NotImplementedError

    # -- updates ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin an update: the timestamp is wanted next."""
        raise NotImplementedError

    def wanted(self) -> str | None:
        """Return the name of the document to fetch next; ``None`` where everything is what the timestamp names."""
        raise NotImplementedError

    def limit(self, name: str) -> int:
        """Return how many bytes the document *name* may have; a byte more need not be read."""
        raise NotImplementedError

    def absent(self, name: str) -> None:
        """Take note that the source has no document *name*: a delta is replaced by the table, a root that is none ends the search."""
        raise NotImplementedError

    def update(self, name: str, raw: bytes, now: datetime) -> None:
        """Believe the document *name*, or raise why not; calls one of those below."""
        raise NotImplementedError

    def update_root(self, raw: bytes, now: datetime) -> None:
        """Believe the next generation of root metadata."""
        raise NotImplementedError

    def update_timestamp(self, raw: bytes, now: datetime) -> None:
        """Believe what is the newest; raises `RootBehind` where root metadata has to be fetched first."""
        raise NotImplementedError

    def update_revocations(self, raw: bytes, now: datetime) -> None:
        """Believe the revocation set that the timestamp names."""
        raise NotImplementedError

    def update_members(self, raw: bytes, now: datetime) -> None:
        """Believe the records in the list that the timestamp names."""
        raise NotImplementedError

    def update_table(self, raw: bytes, now: datetime) -> None:
        """Believe the whole table that the timestamp names."""
        raise NotImplementedError

    def update_delta(self, raw: bytes, now: datetime) -> None:
        """Believe the next version of the table."""
        raise NotImplementedError
