"""Answers that repeat a decision are made durable together: a transaction costs as much as ten of them, or more.

Under load a batch begins no sooner than `PAUSE_SECONDS` after the one before, so that it has as many answers as came in
that time.  Where answers come one by one, none waits for others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from clearinghouse.runtime.redirection.ground import Journal
from clearinghouse.storage.changes import Repeated

PAUSE_SECONDS: Final = 0.02
"""Between the beginnings of two batches under load: of 1,000 answers a second, 20 share a transaction; a handshake takes as long."""

MAX_TOGETHER: Final = 256
"""Answers of one batch; so many do not wait for the end of the pause."""


@dataclass(slots=True)
class Gatherer:
    """Gives ``journal`` what several callers have it record at one time."""

    journal: Journal
    _waiting: list[tuple[Repeated, asyncio.Future[None]]] = field(default_factory=list)
    _writing: asyncio.Task[None] | None = None
    _many: asyncio.Event = field(default_factory=asyncio.Event)
    _began: float = 0.0
    _crowded: bool = False

    async def repeat(self, repeated: Repeated) -> None:
        """Return once *repeated* is durable; raises what the journal raises where it is not."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((repeated, done))
        if len(self._waiting) >= MAX_TOGETHER:
            self._many.set()
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="repeated-answers")
        await done

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._pause()
                batch, self._waiting = self._waiting[:MAX_TOGETHER], self._waiting[MAX_TOGETHER:]
                await self._together(batch)
        finally:
            self._writing = None

    async def _pause(self) -> None:
        """Let others come, if more than one came to the last batch."""
        loop = asyncio.get_running_loop()
        self._many.clear()
        if self._crowded and len(self._waiting) < MAX_TOGETHER:
            try:
                async with asyncio.timeout_at(self._began + PAUSE_SECONDS):
                    await self._many.wait()
            except TimeoutError:
                pass
        self._began = loop.time()

    async def _together(self, batch: Sequence[tuple[Repeated, asyncio.Future[None]]]) -> None:
        self._crowded = len(batch) > 1
        error: Exception | None = None
        try:
            await self.journal.repeat(*(each for each, _ in batch))
        except Exception as failure:  # noqa: BLE001 - whoever waits has to hear it, whatever it is
            error = failure
        for _, done in batch:
            if done.done():
                continue  # whoever waited was cancelled
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)
