"""One task that writes, so that many answers wait for one disk instead of each for its own (group commit)."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass, field
from typing import Final

import structlog
from sqlalchemy import Executable
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from clearinghouse.errors import StoreUnavailable

log = structlog.get_logger(__name__)

MAX_TOGETHER: Final = 256
"""Writes in one transaction; a transaction costs about as much as a hundred of its rows."""


@dataclass(frozen=True, slots=True)
class _Write:
    """Statements that belong together, and who waits for them."""

    statements: tuple[Executable, ...]
    done: asyncio.Future[None]


@dataclass(slots=True)
class Writer:
    """Writes what it is given, in order; whoever gave it goes on once it is durable."""

    engine: AsyncEngine
    _waiting: asyncio.Queue[_Write | None] = field(default_factory=asyncio.Queue)
    closed: bool = False

    async def write(self, *statements: Executable) -> None:
        """Return when *statements* are durable; raise what the driver raised when they are not."""
        if self.closed:
            raise StoreUnavailable("the store is not open for writing", mend="ask again when the service is back")
        write = _Write(statements, asyncio.get_running_loop().create_future())
        self._waiting.put_nowait(write)
        await write.done

    def close(self) -> None:
        """Take no more; what was given before is still written."""
        self.closed = True
        self._waiting.put_nowait(None)

    async def run(self) -> None:
        """Write until closed."""
        batch: list[_Write] = []
        try:
            while (first := await self._waiting.get()) is not None:
                batch = [first, *self._more()]
                await self._settle(batch)
        finally:
            self.closed = True
            for write in (*batch, *self._more()):
                _tell(write, StoreUnavailable("the store was closed", mend="ask again when the service is back"))

    async def _settle(self, batch: list[_Write]) -> None:
        """Write *batch* in one transaction, and tell everybody who waits for it how that went."""
        try:
            await self._commit(batch)
        except (SQLAlchemyError, sqlite3.Error) as error:
            for write in batch:
                _tell(write, error)
        except Exception as error:  # without this task nothing is ever recorded again
            log.exception("store_failed")
            for write in batch:
                _tell(write, StoreUnavailable(f"writing to the store failed ({type(error).__name__})", mend="see the trace in the log"))
        else:
            for write in batch:
                _tell(write, None)

    def _more(self) -> list[_Write]:
        found: list[_Write] = []
        while len(found) < MAX_TOGETHER - 1 and not self._waiting.empty():
            write = self._waiting.get_nowait()
            if write is None:
                self._waiting.put_nowait(None)  # for `run`, after these
                break
            found.append(write)
        return found

    async def _commit(self, batch: list[_Write]) -> None:
        async with self.engine.begin() as connection:
            for write in batch:
                for statement in write.statements:
                    await connection.execute(statement)


def _tell(write: _Write, error: Exception | None) -> None:
    if write.done.done():
        return  # whoever waited was cancelled
    if error is None:
        write.done.set_result(None)
    else:
        write.done.set_exception(error)
