"""One task that writes, so that many answers wait for one disk instead of each for its own (group commit).

The event loop prepares, a thread of its own waits for the disk; one batch is under way at a time, and what
comes meanwhile is the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from clearinghouse.errors import StoreUnavailable
from clearinghouse.storage.batch import Batch, Durable, Parameters, Prepared
from clearinghouse.storage.site import Site

log = structlog.get_logger(__name__)

MAX_TOGETHER: Final = 256
"""Callers in one transaction; a transaction costs about as much as a hundred of its rows."""


class Target(Protocol):
    """Where batches become durable; used by one thread at a time."""

    @property
    def site(self) -> Site:
        """Where that is."""

    def write(self, batch: Batch) -> Durable:
        """Write *batch* durably or not at all; return what is durable then."""

    def execute(self, text: str, parameters: Parameters) -> None:
        """Run one statement as a transaction of its own."""

    def cut(self) -> None:
        """Leave as little as possible of what was erased."""

    def close(self) -> None:
        """Let go."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What a caller writes, and where they wait."""

    prepared: Prepared
    done: asyncio.Future[None]


@dataclass(slots=True)
class Writer:
    """Writes what it is given, in order; whoever gave it goes on once it is durable.

    ``durable`` is what the database had after the last batch.  ``lost`` is told how many decisions could not be made durable, whenever
    that happens.  ``target`` is ``None`` for a store that is only read.
    """

    target: Target | None
    durable: Durable = field(default_factory=Durable)
    lost: Callable[[int], None] = lambda _: None
    closed: bool = False
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _more: asyncio.Event = field(default_factory=asyncio.Event)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "store"))

    async def write(self, prepared: Prepared) -> None:
        """Return when *prepared* is durable; raise what the driver raised when it is not."""
        if self.closed:
            self._lose(prepared)
            raise StoreUnavailable("the store is not open for writing", mend="ask again when the service is back")
        waiting = _Waiting(prepared, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._more.set()
        await waiting.done

    async def execute(self, text: str, parameters: Parameters = ()) -> None:
        """Run one statement that is no part of a batch, between two of them."""
        target = self._open_target()
        await asyncio.get_running_loop().run_in_executor(self._thread, target.execute, text, parameters)

    async def cut(self) -> None:
        """Leave as little as possible of what was erased."""
        target = self._open_target()
        await asyncio.get_running_loop().run_in_executor(self._thread, target.cut)

    def _open_target(self) -> Target:
        if self.closed or self.target is None:
            raise StoreUnavailable("the store is not open for writing", mend="ask again when the service is back")
        return self.target

    def close(self) -> None:
        """Take no more; what was given before is still written."""
        self.closed = True
        self._more.set()

    async def run(self) -> None:
        """Write until closed."""
        batch: list[_Waiting] = []
        try:
            while self._waiting or not self.closed:
                if batch := self._next():
                    await self._settle(batch)
                else:
                    self._more.clear()
                    await self._more.wait()
        finally:
            self.closed = True
            gone = StoreUnavailable("the store was closed", mend="ask again when the service is back")
            for each in (*batch, *self._waiting):
                self._tell(each, gone)
            await self._end()

    async def _end(self) -> None:
        """Close the connection once the thread is done with it."""
        if self.target is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self.target.close)
        self._thread.shutdown(wait=False)

    def _next(self) -> list[_Waiting]:
        """Take what is written together next."""
        found: list[_Waiting] = []
        while self._waiting and len(found) < MAX_TOGETHER and not (found and self._waiting[0].prepared.apart):
            taken = self._waiting.popleft()
            if taken.done.done():
                continue  # whoever waited has given up, and nobody was answered
            found.append(taken)
            if taken.prepared.apart:
                break
        return found

    async def _settle(self, batch: Sequence[_Waiting]) -> None:
        """Write *batch* in one transaction, and tell everybody who waits for it how that went.

        What one of them has to answer for befalls nobody else: each is then written alone.
        """
        error = await self._commit(batch)
        if error is not None and len(batch) > 1 and self._is_of_one(error):
            for each in batch:
                await self._settle([each])
            return
        for each in batch:
            self._tell(each, error)

    async def _commit(self, batch: Sequence[_Waiting]) -> Exception | None:
        """Write *batch*; return what kept it from being durable."""
        target = self._target
        known: tuple[type[Exception], ...] = (StoreUnavailable, *target.site.raised)
        try:
            made = Batch.of([each.prepared for each in batch], self.durable)
            self.durable = await asyncio.get_running_loop().run_in_executor(self._thread, target.write, made)
        except known as error:
            return error
        except Exception as error:  # without this task nothing is ever recorded again
            if len(batch) == 1:
                log.exception("store_failed")
            return _Mistaken(f"writing to the store failed ({type(error).__name__})", mend="see the trace in the log")
        return None

    @property
    def _target(self) -> Target:
        assert self.target is not None  # noqa: S101 - a writer without one is closed from the beginning
        return self.target

    def _is_of_one(self, error: Exception) -> bool:
        """Say whether *error* is about one of those who write, and not about the place."""
        return isinstance(error, (_Mistaken, *self._target.site.ours))

    def _tell(self, waiting: _Waiting, error: Exception | None) -> None:
        if error is not None:
            self._lose(waiting.prepared)
        if waiting.done.done():
            return  # whoever waited was cancelled
        if error is None:
            waiting.done.set_result(None)
        else:
            waiting.done.set_exception(error)

    def _lose(self, prepared: Prepared) -> None:
        if prepared.decisions:
            self.lost(prepared.decisions)


class _Mistaken(StoreUnavailable):
    """An exception that nobody meant to raise."""
