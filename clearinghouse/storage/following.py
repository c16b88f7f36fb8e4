"""What a process asks of a store that another one writes to: what is new since it looked last (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from clearinghouse.federation.membership.registry import KeptMember
from clearinghouse.ledger.entry import Kind
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.changes import Change


@dataclass(frozen=True, slots=True)
class News:
    """How things stand, and what has happened since the log had as many entries as the question says.

    ``snapshot`` is the version that was archived last, empty for none: what decisions are made from.  ``size`` is how many
    entries the log has now, ``highest`` the highest time that was seen.  ``since`` has for each kind of new entry, but
    decisions, the earliest time that one of them names.
    """

    snapshot: str
    size: int
    highest: datetime | None
    since: Mapping[Kind, datetime] = field(default_factory=dict)


class Followed(Protocol):
    """The part of a store that whoever follows it needs; every method raises `StoreUnavailable`."""

    async def news(self, size: int) -> News:
        """Return what is new since the log had *size* entries."""

    async def archived(self, version: str) -> Archive | None:
        """Return what the snapshot *version* was made of."""

    async def members_since(self, at: datetime) -> Sequence[KeptMember]:
        """Return the records of members that were signed or removed at *at* or later, in any order."""

    async def document(self, name: str) -> bytes | None:
        """Return the published document *name*."""

    async def known(self, identities: Iterable[str]) -> frozenset[tuple[str, datetime]]:
        """Return which of these decisions, repeated ones included, are in the log: by whole ids, each with its entry's time.

        Ids that several answers share are short, so that two in a million may be alike: then their times differ.
        """

    async def listen(self, told: Callable[[], None]) -> None:
        """Call *told* whenever others may have written something new, until cancelled: at once, or at least every few seconds."""

    async def write(self, *changes: Change) -> None:
        """Make *changes* durable, all or none; see `clearinghouse.storage.store.Store`."""
