"""The journal: the spool as an event loop uses it, where those who journal at one time wait for the disk together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from clearinghouse.runtime.redirection import spool
from clearinghouse.runtime.redirection.spool import MAX_SPOOL_BYTES, Line, Spool

MAX_TOGETHER: Final = 256
"""Decisions that wait for the disk together, and that are appended to the log together, as in the store."""

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@dataclass(slots=True)
class Journal:
    """Made by `opened`; nothing but its one thread touches the spool."""

    _spool: Spool
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "spool"))
    _waiting: list[tuple[str, asyncio.Future[None]]] = field(default_factory=list)
    _writing: asyncio.Task[None] | None = None

    @property
    def empty(self) -> bool:
        """Whether the log has everything, and nothing is about to be written."""
        return self._writing is None and self._spool.empty

    @property
    def waiting(self) -> int:
        """How many bytes the log has not."""
        return self._spool.size - self._spool.taken

    async def append(self, texts: Sequence[str]) -> None:
        """Return once *texts* are on the disk; raises `SpoolFull`, and then none of them is."""
        loop = asyncio.get_running_loop()
        mine = [(text, loop.create_future()) for text in texts]
        self._waiting += mine
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="spool")
        await asyncio.gather(*(done for _, done in mine))

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_TOGETHER], self._waiting[MAX_TOGETHER:]
                await self._together(batch)
        finally:
            self._writing = None

    async def _together(self, batch: Sequence[tuple[str, asyncio.Future[None]]]) -> None:
        error: Exception | None = None
        try:
            await self._in_thread(self._spool.append, [text for text, _ in batch])
        except Exception as failure:  # noqa: BLE001 - whoever waits has to hear it, whatever it is
            error = failure
        for _, done in batch:
            if done.done():
                continue  # whoever waited was cancelled
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    async def settled(self) -> None:
        """Return once what is being written now is written."""
        if self._writing is not None:
            await asyncio.wait([self._writing])

    async def next(self) -> list[Line]:
        """Return the oldest lines that the log has not."""
        return await self._in_thread(self._spool.next, MAX_TOGETHER)

    async def take(self, end: int) -> None:
        """Note that the log has everything before *end*."""
        await self._in_thread(self._spool.take, end)

    async def set_aside(self, text: str) -> None:
        """Keep *text* in a file of its own."""
        await self._in_thread(self._spool.set_aside, text)

    async def close(self) -> None:
        """Return once nothing is written any more."""
        await self.settled()
        await asyncio.to_thread(self._thread.shutdown)

    async def _in_thread(self, work: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*arguments, **named))


@asynccontextmanager
async def opened(path: Path, most: int = MAX_SPOOL_BYTES) -> AsyncIterator[Journal]:
    """Hold the spool at *path*; raises `BadSettings` and `UnsafeFile`."""
    with spool.opened(path, most) as file:
        journal = Journal(file)
        try:
            yield journal
        finally:
            await journal.close()
