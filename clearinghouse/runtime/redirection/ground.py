"""What a porter stands on: the members, their levels, and where answers are recorded. Each is a small part of something larger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from clearinghouse.clearing.decision import Decision
from clearinghouse.federation.published.members import Member
from clearinghouse.federation.published.tables import Table
from clearinghouse.storage.changes import Repeated


class Members(Protocol):
    """The signed records of members; a `Roll` is one."""

    def member(self, domain: str) -> Member | None:
        """Return the member *domain*, a name in normal form, unless it is none, or none any more."""


@dataclass(frozen=True, slots=True)
class TableLevels:
    """Implements `Levels` by the newest table that ``newest`` knows, until that ends; nothing is worked out for a question."""

    newest: Callable[[], Table | None]
    lowest: str
    now: Callable[[], datetime]

    def level(self, domain: str) -> str:
        """See `Levels.level`."""
        table = self.newest()
        return self.lowest if table is None or self.now() >= table.head.expires else table.level_of(domain)


class Levels(Protocol):
    """The levels in the community's published table."""

    def level(self, domain: str) -> str:
        """Return the level of *domain*, the lowest where the table has none, or has ended, or there is no table."""


class Journal(Protocol):
    """Where answers are recorded; each method returns once that is durable, and raises `StoreUnavailable` where it cannot be."""

    async def record(self, decision: Decision) -> None:
        """Record a decision that was just made."""

    async def repeat(self, *repeated: Repeated) -> None:
        """Record answers that repeat decisions, all of them or none."""
