"""The store in a database: what is recorded is on the disk before anybody is answered; and its making in an SQLite file."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncEngine

from clearinghouse.clearing.decision import Decision
from clearinghouse.errors import StoreUnavailable
from clearinghouse.ledger.entry import SALT_BYTES, Mask
from clearinghouse.ledger.merkle import Frontier
from clearinghouse.storage import statements
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.batch import Durable, Prepared
from clearinghouse.storage.changes import Change, Decided, Noted, Settled
from clearinghouse.storage.connection import WritingConnection
from clearinghouse.storage.database import SqliteFile, check_ours, claimed, create_engine, writing
from clearinghouse.storage.entries import LOG_BEGINS, Scribe
from clearinghouse.storage.kept import taken_already
from clearinghouse.storage.layout import check_layout, migrate
from clearinghouse.storage.reader import Reader
from clearinghouse.storage.site import Site
from clearinghouse.storage.store import Effect, Event
from clearinghouse.storage.texts import instant
from clearinghouse.storage.writer import Writer

_A_MOMENT: Final = timedelta(microseconds=1)
fresh_salt = partial(secrets.token_bytes, SALT_BYTES)


@asynccontextmanager
async def open_store(
    path: Path, *, mask: Mask | None = None, salt: Callable[[], bytes] = fresh_salt, lost: Callable[[int], None] = lambda _: None
) -> AsyncIterator[SqlStore]:
    """Open the database at *path*, made or brought to today's layout where it has to be.

    *mask* says what the records of the log do not tell; *salt* gives 32 random bytes for each; *lost* is told
    how many decisions could not be made durable, whenever that happens.
    """
    with claimed(path) as opened:
        site, engine = SqliteFile(path), create_engine(path)
        try:
            async with site.errors(), writing(engine).begin() as connection:
                await connection.run_sync(migrate, site)
            writer = await _writer(site, opened, lost)
            async with at_work(SqlStore(site, engine, writer, Scribe(salt, mask or Mask()))) as store:
                await begin_log(store)
                yield store
        finally:
            await engine.dispose()


async def _writer(site: SqliteFile, opened: tuple[int, int], lost: Callable[[int], None]) -> Writer:
    async with site.errors():
        target = WritingConnection.open(site, opened)
        try:
            return Writer(target, await asyncio.to_thread(target.durable), lost)
        except BaseException:
            target.close()
            raise


@asynccontextmanager
async def at_work(store: SqlStore) -> AsyncIterator[SqlStore]:
    """Write what *store* is given, for as long as the context lasts."""
    writes = asyncio.create_task(store.writer.run(), name="store-writer")
    try:
        yield store
    finally:
        await store.close()
        await asyncio.wait([writes])


async def begin_log(store: SqlStore) -> None:
    """Say in the first entry how many decisions lie before it, in a store from before there was a log."""
    if store.log_size == 0 and (count := await store.count_decisions()):
        [last] = await store.decisions(1)
        at = store.highest_time or last.decision.at
        await store.note(Event(at, LOG_BEGINS, {"decisions": count}))


@asynccontextmanager
async def read_store(path: Path) -> AsyncIterator[SqlStore]:
    """Open the database at *path* to look at it, while the service may be writing.

    ``log_size`` and ``log_root`` are those of this moment.
    """
    check_ours(path)
    site, engine = SqliteFile(path), create_engine(path, read_only=True)
    try:
        yield await looking(site, engine)
    finally:
        await engine.dispose()


async def looking(site: Site, engine: AsyncEngine) -> SqlStore:
    """Return a store that is only read; raises unless its layout is today's."""
    async with site.errors(), engine.begin() as connection:
        await connection.run_sync(check_layout, site)
    store = SqlStore(site, engine, Writer(None, closed=True), Scribe(fresh_salt))
    store.writer.durable = await store.durable()
    return store


class Hears(Protocol):
    """Knows when others may have written."""

    async def listen(self, told: Callable[[], None]) -> None:
        """See `Followed.listen`."""


@dataclass(slots=True)
class SqlStore(Reader):
    """Implements `clearinghouse.storage.store.Store`; made by `open_store` and `read_store`, or the same for PostgreSQL.

    One that is not the *main* one records decisions and events, and changes nothing else.
    """

    writer: Writer
    scribe: Scribe = field(repr=False)
    main: bool = True
    hearing: Hears | None = None
    heard: Durable = field(default_factory=Durable)

    @property
    def highest_time(self) -> datetime | None:
        """The highest time that anything durable had, across restarts."""
        return max((at for at in (self.writer.durable.highest, self.heard.highest) if at is not None), default=None)

    @property
    def log_size(self) -> int:
        """See `Store.log_size`."""
        return self._tree.size

    @property
    def log_root(self) -> bytes:
        """See `Store.log_root`."""
        return self._tree.root()

    @property
    def _tree(self) -> Frontier:
        return max(self.writer.durable.edge.tree, self.heard.edge.tree, key=attrgetter("size"))

    def hear(self, durable: Durable) -> None:
        """Take note of how far others have come who write to the same database."""
        self.heard = durable

    async def listen(self, told: Callable[[], None]) -> None:
        """See `Followed.listen`."""
        if self.hearing is None:
            await asyncio.Event().wait()  # nobody else writes to it
        else:
            await self.hearing.listen(told)

    async def write(self, *changes: Change) -> None:
        """See `Store.write`."""
        await self._write(Prepared.of(changes, self.scribe))

    async def record(self, decision: Decision) -> None:
        """See `Ledger.record`."""
        await self.write(Decided(decision))

    async def settle(self, identity: str, effect: Effect, *, at: datetime, latency: timedelta | None = None) -> None:
        """See `Store.settle`."""
        await self.write(Settled(identity, effect, at, latency))

    async def note(self, event: Event) -> None:
        """See `Store.note`."""
        await self.write(Noted(event))

    async def archive(self, archive: Archive, *, at: datetime) -> None:
        """See `Store.archive`.

        Whoever follows takes the one with the latest time for the newest, so it gets one that is later than all: a clock
        that is put back a little must not keep a policy in force that was replaced.
        """
        latest = await self.archived_last()
        after = at if latest is None or at > latest else latest + _A_MOMENT
        row = (archive.version, instant(after), await asyncio.to_thread(archive.pack))
        await self._write(Prepared({statements.ARCHIVE: [row]}, at=at))

    async def keep_checkpoint(self, sealed: bytes, size: int, at: datetime) -> None:
        """See `Store.keep_checkpoint`."""
        await self._write(Prepared({statements.KEEP_CHECKPOINT: [(size, instant(at), sealed)]}, at=at))

    async def erase(self, before: datetime) -> int:
        """See `Store.erase`; in a file the freed parts are overwritten, and its write-ahead log is cut."""
        if not self.main:
            raise StoreUnavailable("only the main service changes this in the store", mend="ask the main service")
        found = await self.old(before)
        at = self.highest_time or before
        if not found.nothing:
            await self.note(found.event(at))
        async with self.site.errors():
            for text, parameters in found.steps(at):  # one by one: decisions come in between
                await self.writer.execute(text, parameters)
            if not found.nothing:
                await self.writer.cut()
        return found.entries.count

    async def close(self) -> None:
        """See `Store.close`."""
        self.writer.close()

    async def _write(self, prepared: Prepared) -> None:
        if not self.main and not prepared.rows.keys() <= statements.BESIDE:
            raise StoreUnavailable("only the main service changes this in the store", mend="ask the main service")
        try:
            async with self.site.errors():
                await self.writer.write(prepared)
        except StoreUnavailable as error:
            if self.site.replayed(error.__cause__):
                raise taken_already() from None
            raise
