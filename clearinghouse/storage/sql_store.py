"""The store in an SQLite file: what is recorded is on the disk before anybody is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Executable, Row, RowMapping, Select, insert, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.request import Place
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.database import check_layout, check_ours, check_same, claimed, create_engine, errors_of, migrate, writing
from clearinghouse.storage.rows import milliseconds, recorded_in, row_of
from clearinghouse.storage.schema import clock, decisions, events, snapshots
from clearinghouse.storage.store import Effect, Event, Recorded
from clearinghouse.storage.writer import Writer


@asynccontextmanager
async def open_store(path: Path) -> AsyncIterator[SqlStore]:
    """Open the database at *path*, made or brought to today's layout where it has to be."""
    with claimed(path) as opened:
        engine = create_engine(path)
        try:
            async with errors_of(path), writing(engine).begin() as connection:
                await connection.run_sync(migrate, path)
                highest = (await connection.execute(select(clock.c.highest))).scalar()
            async with _writing(SqlStore(path, engine, Writer(writing(engine)), highest, opened)) as store:
                yield store
        finally:
            await engine.dispose()


@asynccontextmanager
async def _writing(store: SqlStore) -> AsyncIterator[SqlStore]:
    writes = asyncio.create_task(store.writer.run(), name="store-writer")
    try:
        yield store
    finally:
        await store.close()
        await asyncio.wait([writes])


@asynccontextmanager
async def read_store(path: Path) -> AsyncIterator[SqlStore]:
    """Open the database at *path* to look at it, while the service may be writing."""
    check_ours(path)
    engine = create_engine(path, read_only=True)
    try:
        async with errors_of(path), engine.begin() as connection:
            await connection.run_sync(check_layout, path)
        store = SqlStore(path, engine, Writer(engine), None)
        await store.close()
        yield store
    finally:
        await engine.dispose()


@dataclass(slots=True)
class SqlStore:
    """Implements `clearinghouse.storage.store.Store`; made by `open_store`."""

    path: Path
    engine: AsyncEngine
    writer: Writer
    highest: datetime | None
    opened: tuple[int, int] = (0, 0)

    @property
    def highest_time(self) -> datetime | None:
        """The highest time that anything durable had, across restarts."""
        return self.highest

    async def record(self, decision: Decision) -> None:
        """See `Ledger.record`."""
        await self._write(decision.at, insert(decisions).values(row_of(Recorded.of(decision))))

    async def settle(self, identity: str, effect: Effect, *, at: datetime, latency: timedelta | None = None) -> None:
        """See `Store.settle`."""
        changes = {"effect": effect.value, "effect_done_at": at, "latency_ms": milliseconds(latency)}
        await self._write(at, update(decisions).where(decisions.c.id == identity).values(changes))

    async def owed(self) -> Sequence[Recorded]:
        """See `Store.owed`."""
        return await self._recorded(select(decisions).where(decisions.c.effect == Effect.OWED.value).order_by(decisions.c.number))

    async def ruled(self, place: Place) -> Recorded | None:
        """See `Store.ruled`."""
        where = {"broker": place.broker, "node": place.node, "subscriber": place.subscriber, "subid": place.subid}
        found = await self._recorded(select(decisions).filter_by(**where).order_by(decisions.c.number.desc()).limit(1))
        return found[0] if found else None

    async def decision(self, identity: str) -> Recorded | None:
        """See `Store.decision`."""
        found = await self._recorded(select(decisions).where(decisions.c.id.startswith(identity, autoescape=True)).limit(2))
        return found[0] if len(found) == 1 else None

    async def decisions(self, last: int) -> Sequence[Recorded]:
        """See `Store.decisions`."""
        return (await self._recorded(select(decisions).order_by(decisions.c.number.desc()).limit(last)))[::-1]

    async def archive(self, archive: Archive, *, at: datetime) -> None:
        """See `Store.archive`."""
        packed = await asyncio.to_thread(archive.pack)
        row = {"digest": archive.version, "at": at, "texts": packed}
        await self._write(at, sqlite.insert(snapshots).values(row).on_conflict_do_nothing())

    async def archived(self, version: str) -> Archive | None:
        """See `Store.archived`."""
        rows = await self._rows(select(snapshots.c.texts).where(snapshots.c.digest == version))
        return Archive.unpack(version, rows[0].texts) if rows else None

    async def note(self, event: Event) -> None:
        """See `Store.note`."""
        await self._write(event.at, insert(events).values(at=event.at, kind=event.kind, detail=dict(event.detail)))

    async def events(self, last: int) -> Sequence[Event]:
        """See `Store.events`."""
        rows = await self._rows(select(events).order_by(events.c.number.desc()).limit(last))
        return [Event(row.at, row.kind, row.detail) for row in reversed(rows)]

    async def close(self) -> None:
        """See `Store.close`."""
        self.writer.close()

    async def _write(self, at: datetime, statement: Executable) -> None:
        """Make *statement* durable together with the time *at*, if it is the highest so far (rule R17)."""
        news = self.highest is None or at > self.highest
        async with errors_of(self.path):
            if not self.writer.closed:
                check_same(self.path, self.opened)
            await self.writer.write(statement, *([_saw(at)] if news else []))
        self.highest = at if self.highest is None else max(self.highest, at)

    async def _recorded(self, query: Select[Any]) -> list[Recorded]:
        return [recorded_in(_mapping(row)) for row in await self._rows(query)]

    async def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        async with errors_of(self.path), self.engine.connect() as connection:
            rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
        return rows


def _mapping(row: Row[Any]) -> RowMapping:
    return row._mapping  # noqa: SLF001 - public in spite of its name: a row's columns are its attributes


def _saw(at: datetime) -> Executable:
    seen = sqlite.insert(clock).values(id=1, highest=at)
    return seen.on_conflict_do_update(
        index_elements=["id"], set_={"highest": seen.excluded.highest}, where=seen.excluded.highest > clock.c.highest
    )
