"""Opens the store in a PostgreSQL database, for the main service, for a node beside it, or to look at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from clearinghouse.ledger.entry import Mask
from clearinghouse.storage.entries import Scribe
from clearinghouse.storage.layout import check_layout, migrate
from clearinghouse.storage.postgres.address import Address
from clearinghouse.storage.postgres.hearing import Hearing
from clearinghouse.storage.postgres.links import layout_engine, reading_engine
from clearinghouse.storage.postgres.session import LAYOUT, Session
from clearinghouse.storage.postgres.target import PostgresTarget
from clearinghouse.storage.sql_store import SqlStore, at_work, begin_log, fresh_salt, looking
from clearinghouse.storage.writer import Writer


@asynccontextmanager
async def open_postgres(
    address: Address,
    *,
    main: bool = True,
    mask: Mask | None = None,
    salt: Callable[[], bytes] = fresh_salt,
    lost: Callable[[int], None] = lambda _: None,
) -> AsyncIterator[SqlStore]:
    """Open the database at *address*; see `clearinghouse.storage.sql_store.open_store`.

    Only the *main* service brings it to today's layout and may change everything, and there is one of it; any number
    of others record decisions and events beside it.
    """
    target, engine = PostgresTarget(Session(address, main)), reading_engine(address)
    try:
        writer = Writer(target, lost=lost)
        async with address.errors():
            await asyncio.to_thread(target.session.check)
            await _lay_out(address, engine, main=main)
            writer.durable = await asyncio.to_thread(target.durable)
        async with at_work(SqlStore(address, engine, writer, Scribe(salt, mask or Mask()), main)) as store, _heard(address, store):
            if main:
                await begin_log(store)
            yield store
    finally:
        target.close()  # once more, where it was never handed over
        await engine.dispose()


@asynccontextmanager
async def read_postgres(address: Address) -> AsyncIterator[SqlStore]:
    """Open the database at *address* to look at it; see `clearinghouse.storage.sql_store.read_store`."""
    engine = reading_engine(address)
    try:
        yield await looking(address, engine)
    finally:
        await engine.dispose()


async def _lay_out(address: Address, engine: AsyncEngine, *, main: bool) -> None:
    """Bring the database to today's layout, or raise unless it has that."""
    if not main:
        async with engine.connect() as connection:
            await connection.run_sync(check_layout, address)
        return
    changing = layout_engine(address)
    try:
        async with changing.begin() as connection:
            await connection.execute(text(f"SELECT {LAYOUT}"))
            await connection.run_sync(migrate, address)
    finally:
        await changing.dispose()


@asynccontextmanager
async def _heard(address: Address, store: SqlStore) -> AsyncIterator[None]:
    """Let *store* know what other nodes write."""
    store.hearing = hearing = Hearing(address, store.hear)
    task = asyncio.create_task(hearing.run(), name="store-hearing")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
