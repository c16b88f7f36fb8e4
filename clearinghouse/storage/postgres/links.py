"""Connections that do not wait for ever: whoever asks hears within seconds, whatever has become of the server."""

from __future__ import annotations

from asyncio import CancelledError
from typing import Final, TypeVar

import psycopg
from psycopg import waiting
from psycopg.abc import PQGen
from psycopg.pq import ConnStatus
from psycopg.rows import TupleRow
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from clearinghouse.storage.postgres.address import ANSWER_SECONDS, Address

T = TypeVar("T")

INTERVAL_SECONDS: Final = 0.1
"""How often a thread that waits looks whether it should go on waiting: the driver's own choice."""

READERS: Final = 4
"""Connections that are kept for reading, and as many more for a moment."""


class Link(psycopg.Connection[TupleRow]):
    """A connection of a thread."""

    patience: float = ANSWER_SECONDS

    def wait(self, gen: PQGen[T], interval: float = INTERVAL_SECONDS, timeout: float | None = None) -> T:
        """Wait for the server, but not for ever: a connection on which it is silent is closed."""
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if timeout is not None or not _silent(self, error):
                raise
            self.pgconn.finish()
            raise _silence(self.patience) from None


class AsyncLink(psycopg.AsyncConnection[TupleRow]):
    """A connection of an event loop; whoever gives up waiting closes it: the answer that comes would be another one's."""

    patience: float = ANSWER_SECONDS

    async def wait(self, gen: PQGen[T], interval: float = INTERVAL_SECONDS, timeout: float | None = None) -> T:  # noqa: ASYNC109 - the driver's
        """Wait for the server, but not for ever."""
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval, self.patience if timeout is None else timeout)
        except CancelledError:
            # The driver would ask the server to stop, and wait for that.
            self.pgconn.finish()
            raise
        except psycopg.OperationalError as error:
            if timeout is not None or not _silent(self, error):
                raise
            self.pgconn.finish()
            raise _silence(self.patience) from None


def _silent(link: Link | AsyncLink, error: psycopg.OperationalError) -> bool:
    """Say whether *error* is the driver's own about time: it comes without a code, and the connection is well."""
    return error.sqlstate is None and link.pgconn.status == ConnStatus.OK


def _silence(seconds: float) -> psycopg.OperationalError:
    return psycopg.OperationalError(f"it has not answered for {seconds:g} s")


async def listening(address: Address) -> AsyncLink:
    """Return a connection that reads and hears."""
    link = await AsyncLink.connect(address.conninfo(), autocommit=True)
    link.patience = address.patience
    return link


def reading_engine(address: Address) -> AsyncEngine:
    """Return an engine that reads: it finds out before each use whether a connection is still good, and makes another."""

    async def connect() -> AsyncLink:
        link = await listening(address)
        try:
            await link.execute("SET default_transaction_read_only = on")
        except BaseException:
            await link.close()
            raise
        return link

    return create_async_engine(
        "postgresql+psycopg://",
        async_creator=connect,
        isolation_level="AUTOCOMMIT",
        pool_pre_ping=True,
        pool_size=READERS,
        max_overflow=READERS,
        pool_timeout=address.patience,
    )


def layout_engine(address: Address) -> AsyncEngine:
    """Return an engine that changes the layout, which may take its time."""

    async def connect() -> psycopg.AsyncConnection[TupleRow]:
        return await psycopg.AsyncConnection.connect(address.conninfo())

    return create_async_engine("postgresql+psycopg://", async_creator=connect, poolclass=NullPool)
