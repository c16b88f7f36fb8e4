"""Which level each member has, by policy (rule R9: as the server that it is, and by the keys of its signed record)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from clearinghouse.clearing.clear import Desk, rule
from clearinghouse.clearing.request import Request, checked
from clearinghouse.clearing.senders import SenderBudgets
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.federation.levels.book import LevelBook, Scale
from clearinghouse.federation.published.members import Member


@dataclass(frozen=True, slots=True)
class Levelled:
    """Domain to level without the lowest, and the first instant at which the clock alone could change any of it."""

    rows: Mapping[str, str]
    stable_until: datetime | None = None


class Levels(Protocol):
    """Who says which level each has."""

    def of(self, audience: str, members: Mapping[str, Member], now: datetime) -> Levelled:
        """Return the levels of *members* as *audience*, a domain or `*`, is to see them."""


@dataclass(slots=True)
class Kept:
    """Keeps a level book, which after a change looks again only at what the change concerns."""

    desk: Desk
    _book: LevelBook | None = None
    _version: str = ""
    _members: dict[str, Member] = field(default_factory=dict)

    def of(self, audience: str, members: Mapping[str, Member], now: datetime) -> Levelled:
        """See `Levels.of`; a book that failed is begun again."""
        try:
            return self._of(audience, members, now)
        except BaseException:
            self._book = None
            raise

    def _of(self, audience: str, members: Mapping[str, Member], now: datetime) -> Levelled:
        desk, book = self.desk, self._book
        if book is None:
            scale = Scale(desk.community, desk.levels)
            self._book = book = LevelBook(desk.snapshot, members.values(), scale, now=now)
        else:
            book.advance(now)
            if self._version != desk.snapshot.version:
                book.believe(desk.snapshot, now=now)
            self._enrol(book, members, now)
        self._version, self._members = desk.snapshot.version, dict(members)
        rows = book.rows(audience)
        return Levelled(rows, book.stable_until)

    def _enrol(self, book: LevelBook, members: Mapping[str, Member], now: datetime) -> None:
        before = self._members
        taken = [each for name, each in members.items() if before.get(name) is not each]
        left = [name for name in before if name not in members]
        if taken or left:
            book.enrol(taken, left=left, now=now)


@dataclass(frozen=True, slots=True)
class OneByOne:
    """Asks `federate` about one member after another: the meaning of all faster ways, and enough for a few."""

    desk: Desk

    def of(self, audience: str, members: Mapping[str, Member], now: datetime) -> Levelled:
        """See `Levels.of`."""
        rows: dict[str, str] = {}
        stable: datetime | None = None
        desk = replace(self.desk, senders=_Unbounded())
        for domain, member in members.items():
            asking = checked((f"xmpp:{domain}", *member.keys))
            observed = {"from_domain": domain, "to_domain": audience}
            decision = rule(Request(domain, "federate", Door.TABLE, asking, observed=observed), desk, now=now)
            if decision.value != desk.levels[0]:
                rows[domain] = decision.value
            until = None if decision.proof is None else decision.proof.stable_until
            stable = min((each for each in (stable, until) if each is not None), default=None)
        return Levelled(rows, stable)


class _Unbounded(SenderBudgets):
    """Our own questions are at nobody's expense."""

    def allowance(self, sender: str, now: datetime) -> int:  # noqa: ARG002 - as it is there
        """Return more than any question costs."""
        return 1 << 40

    def charge(self, sender: str, steps: int, now: datetime) -> None:
        """Charge nobody."""

    def explains(self, steps: int, now: datetime) -> bool:  # noqa: ARG002 - as it is there
        """Say no: nobody reads why a level is what it is in a table."""
        return False
