"""What a node believes: followed in the store, where the main service writes it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, Final, TypeVar

import structlog

from clearinghouse.clearing.clear import Desk
from clearinghouse.clearing.vocabulary import EVERYTHING
from clearinghouse.errors import StoreUnavailable
from clearinghouse.federation.published.documents import table_name, timestamp_name
from clearinghouse.federation.published.tables import Table
from clearinghouse.ledger.entry import Kind
from clearinghouse.runtime.federation.roll import Roll
from clearinghouse.runtime.federation.views import table_in, timestamp_in
from clearinghouse.storage.following import Followed, News
from clearinghouse.storage.holdings import Holdings

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 2.0
"""Until a look at what is new has failed: it reads three rows, and a store that hangs must be found out within seconds."""

READ_SECONDS: Final = 60.0
"""Until reading what is new has failed: 100,000 records of members have 200 MB."""

_EVER: Final = datetime.min.replace(tzinfo=UTC)
_T = TypeVar("_T")


class NothingArchived(StoreUnavailable):
    """No snapshot of policy stands in the store: the main service has never run on it."""

    code: ClassVar[str] = "nothing-archived"


@dataclass(slots=True)
class Follower:
    """Keeps the snapshot of ``desk``, the ``roll`` of members and the community's ``table`` what the store says.

    ``looks`` counts the looks that told everything, ``highest`` is the highest time that the store has seen.
    """

    store: Followed
    desk: Desk
    roll: Roll = field(default_factory=Roll)
    table: Table | None = None
    highest: datetime | None = None
    looks: int = 0
    _holdings: Holdings | None = None
    _size: int = 0

    @property
    def version(self) -> str:
        """The snapshot that decisions are made from, empty before there is one."""
        return "" if self._holdings is None else self._holdings.snapshot.version

    def level_of(self, domain: str) -> str:
        """Return the level of *domain*, a name in normal form, in the community's published table; the lowest where there is none."""
        return self.desk.levels[0] if self.table is None else self.table.level_of(domain)

    async def look(self) -> None:
        """Believe what the store says now.

        Raises `StoreUnavailable`, and ``TimeoutError`` where it does not answer in time; what was believed then stays in
        use.  Whoever calls judges by that, and by nothing else, whether what we believe is fresh.
        """
        news = await _within(LOOK_SECONDS, self.store.news(self._size))
        if not news.snapshot:
            raise NothingArchived("no policy was ever archived in the store", mend="start the main service once: `clearinghouse serve`")
        if news.snapshot != self.version:
            await self._adopt(news.snapshot)
        await self._enrol(news)
        if not self.looks or Kind.TABLE in news.since:
            await self._publish()
        self._size, self.highest = news.size, news.highest
        self.looks += 1

    async def _adopt(self, version: str) -> None:
        archive = await _within(READ_SECONDS, self.store.archived(version))
        if archive is None:
            raise StoreUnavailable(f"the snapshot {version[:12]} is gone", mend="nothing: the next look finds the one that took its place")
        self._holdings = await asyncio.to_thread(archive.holdings, self._holdings)
        self.desk.snapshot = self._holdings.snapshot
        log.info("believed", version=version[:12], policies=len(archive.policies), credentials=len(archive.credentials))

    async def _enrol(self, news: News) -> None:
        since = news.since.get(Kind.MEMBER) if self.looks else _EVER
        if since is None:
            return
        found = await _within(READ_SECONDS, self.store.members_since(since))
        for each in found:
            self.roll.take(each)
        if found:
            log.info("members_read", count=len(found), members=len(self.roll.present()))

    async def _publish(self) -> None:
        stamped = await _within(LOOK_SECONDS, self.store.document(timestamp_name(EVERYTHING)))
        if stamped is None:
            self.table = None
            return
        document = await _within(READ_SECONDS, self.store.document(table_name(EVERYTHING, timestamp_in(stamped).version)))
        if document is None:
            raise StoreUnavailable("the newest table is gone", mend="nothing: the next look finds the one that took its place")
        self.table = await asyncio.to_thread(table_in, document)


async def _within(seconds: float, work: Awaitable[_T]) -> _T:
    async with asyncio.timeout(seconds):
        return await work
