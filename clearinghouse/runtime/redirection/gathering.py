"""Answers that repeat a decision are made durable together: a transaction, and an entry of the log, cost as much as ten of them.

Under load a batch begins no sooner than `PAUSE_SECONDS` after the one before, so that it has as many answers as came in
that time.  Where answers come one by one, none waits for others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from clearinghouse.runtime.redirection.ground import Journal
from clearinghouse.storage.changes import SHARED_CHARACTERS, Repeated

PAUSE_SECONDS: Final = 0.05
"""Between the beginnings of two batches under load: of 600 answers a second, 30 share a transaction; two round trips take as long."""

MAX_TOGETHER: Final = 256
"""Answers of one batch, as many as two hexadecimal digits tell apart; so many do not wait for the end of the pause."""


@dataclass(slots=True, eq=False)
class _Answer:
    """An answer that waits: the decision that it repeats, when it is given, and who is told its id."""

    decision: str
    at: datetime
    done: asyncio.Future[str]
    id: str = ""


@dataclass(slots=True)
class Gatherer:
    """Gives ``journal`` what several callers have it record at one time; ``new_id`` gives random ids."""

    journal: Journal
    new_id: Callable[[], str]
    _waiting: list[_Answer] = field(default_factory=list)
    _writing: asyncio.Task[None] | None = None
    _many: asyncio.Event = field(default_factory=asyncio.Event)
    _began: float = 0.0
    _crowded: bool = False

    async def repeat(self, decision: str, at: datetime) -> str:
        """Return the id of an answer that repeats *decision*, once it is durable; raises what the journal raises where it is not."""
        answer = _Answer(decision, at, asyncio.get_running_loop().create_future())
        self._waiting.append(answer)
        if len(self._waiting) >= MAX_TOGETHER:
            self._many.set()
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="repeated-answers")
        return await answer.done

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

    async def _together(self, batch: Sequence[_Answer]) -> None:
        self._crowded = len(batch) > 1
        error: Exception | None = None
        try:
            await self.journal.repeat(*self._entries(batch))
        except Exception as failure:  # noqa: BLE001 - whoever waits has to hear it, whatever it is
            error = failure
        for each in batch:
            if each.done.done():
                continue  # whoever waited was cancelled
            if error is None:
                each.done.set_result(each.id)
            else:
                each.done.set_exception(error)

    def _entries(self, batch: Sequence[_Answer]) -> Iterator[Repeated]:
        """Yield an entry for each decision that is repeated, and give the answers their ids."""
        by_decision: dict[str, list[_Answer]] = {}
        for each in batch:
            by_decision.setdefault(each.decision, []).append(each)
        for decision, answers in by_decision.items():
            drawn = self.new_id()
            shared, turn = drawn[:SHARED_CHARACTERS], int(drawn[-2:], 16)
            for number, each in enumerate(answers):
                each.id = f"{shared}{number ^ turn:02x}"  # which of them came first is nobody's business
            yield Repeated(shared, decision, max(each.at for each in answers), tuple((each.id, each.at) for each in answers))
