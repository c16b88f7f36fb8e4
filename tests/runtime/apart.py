"""A store that can be taken away from whoever works with it, in each of the ways that networks and servers have."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import TypeVar

from clearinghouse.errors import StoreUnavailable
from clearinghouse.federation.membership.registry import KeptMember
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.changes import Change, Decided, Journaled
from clearinghouse.storage.following import News
from clearinghouse.storage.memory import MemoryStore
from clearinghouse.storage.store import Store

_T = TypeVar("_T")


class Way(Enum):
    """How the store behaves."""

    THERE = auto()
    GONE = auto()
    """It refuses, as a server that has ended."""
    HANGS = auto()
    """It says nothing until it is there again, and then does what it was told, though nobody waits any more."""
    WRITES_HANG = auto()
    """It can be read, and says nothing to whoever writes."""
    TAKES_NOTHING = auto()
    """It can be read, and not be written."""
    SAYS_NOTHING = auto()
    """It commits, and the connection is lost before it can say so."""


@dataclass
class Apart:
    """``poison`` are ids of decisions that it will never take."""

    store: Store = field(default_factory=MemoryStore)
    way: Way = Way.THERE
    poison: set[str] = field(default_factory=set)
    back: asyncio.Event = field(default_factory=asyncio.Event)
    late: set[asyncio.Future[None]] = field(default_factory=set)

    @property
    def highest_time(self) -> datetime | None:
        return self.store.highest_time

    def come_back(self) -> None:
        self.way = Way.THERE
        self.back.set()

    async def write(self, *changes: Change) -> None:
        if any(isinstance(each, Decided | Journaled) and each.decision.id in self.poison for each in changes):
            raise StoreUnavailable("a text has a character that cannot be", mend="none")
        match self.way:
            case Way.THERE:
                await self.store.write(*changes)
            case Way.GONE | Way.TAKES_NOTHING:
                raise _unavailable()
            case Way.SAYS_NOTHING:
                await self.store.write(*changes)
                raise _unavailable()
            case Way.HANGS | Way.WRITES_HANG:
                late = asyncio.ensure_future(self._later(changes))
                self.late.add(late)
                await asyncio.shield(late)

    async def _later(self, changes: Sequence[Change]) -> None:
        await self.back.wait()
        await self.store.write(*changes)

    async def news(self, size: int) -> News:
        return await self._read(self.store.news(size))

    async def archived(self, version: str) -> Archive | None:
        return await self._read(self.store.archived(version))

    async def members_since(self, at: datetime) -> Sequence[KeptMember]:
        return await self._read(self.store.members_since(at))

    async def document(self, name: str) -> bytes | None:
        return await self._read(self.store.document(name))

    async def known(self, identities: Iterable[str]) -> frozenset[tuple[str, datetime]]:
        return await self._read(self.store.known(identities))

    async def listen(self, told: Callable[[], None]) -> None:
        await self.store.listen(told)

    async def _read(self, reading: Awaitable[_T]) -> _T:
        found = await reading
        if self.way is Way.HANGS:
            await self.back.wait()
        if self.way in {Way.GONE, Way.SAYS_NOTHING}:
            raise _unavailable()
        return found


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable("the connection is lost", mend="bring it back")
