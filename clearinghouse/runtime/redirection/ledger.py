"""The ledger of a node: the store while it answers, the journal while it does not, and then the store again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

import structlog

from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.wire import stamp
from clearinghouse.errors import ClearinghouseError, StoreUnavailable
from clearinghouse.runtime.redirection.journal import Journal
from clearinghouse.runtime.redirection.spool import Line, SpoolFull
from clearinghouse.storage.changes import Decided, Journaled, Noted, Repeated
from clearinghouse.storage.entries import at_of
from clearinghouse.storage.following import Followed
from clearinghouse.storage.journaled import CanWait, id_of, journal_in, journal_text
from clearinghouse.storage.recorded import Event
from clearinghouse.telemetry import decision_level, decision_line

log = structlog.get_logger(__name__)

WRITE_SECONDS: Final = 0.5
"""How long a decision waits for the store before it is journaled: whoever asks is answered within a second, and a commit takes 10 ms."""

APPEND_SECONDS: Final = 10.0
"""How long the store may take to append what waited, 256 decisions at a time; on a slow disk they take half a second."""

TRIES: Final = 3
"""How often one decision is given to a store that takes others, before it is set aside."""

CAUGHT_UP: Final = "redirection-caught-up"
"""The event before the decisions of a node that were made while the store was away."""

SET_ASIDE: Final = "decision-set-aside"
"""The event that says which decision the log did not take, and why; the node keeps it beside its spool."""


Waited = Journaled | Repeated


class NodeStore(Followed, Protocol):
    """The part of a store that a node needs."""

    @property
    def highest_time(self) -> datetime | None:
        """The highest time that was ever seen, as far as this process knows."""


@dataclass(slots=True)
class Unrecorded:
    """What was refused without a trace in the log, because the spool took nothing: how often, first and last."""

    count: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, at: datetime) -> None:
        """Count one more."""
        self.count, self.first, self.last = self.count + 1, self.first or at, at

    def and_then(self, later: Unrecorded) -> Unrecorded:
        """Return both together."""
        return Unrecorded(self.count + later.count, self.first or later.first, later.last or self.last)

    def members(self) -> dict[str, str | int]:
        """Return what the log is told, if there is anything to tell."""
        if self.first is None or self.last is None:
            return {}
        return {"unrecorded": self.count, "unrecorded_from": stamp(self.first), "unrecorded_to": stamp(self.last)}


@dataclass(slots=True)
class NodeLedger:
    """Implements `clearinghouse.clearing.clear.Ledger` and `clearinghouse.runtime.redirection.ground.Journal`.

    ``apart`` says that the store is not tried: it did not answer, and somebody has to see it back (`catch_up`).
    ``troubled`` is told when that begins.  ``patience`` are the seconds that a decision waits for the store.
    """

    store: NodeStore
    journal: Journal
    now: Callable[[], datetime]
    troubled: Callable[[], None] = lambda: None
    patience: float = WRITE_SECONDS
    apart: bool = False
    unrecorded: Unrecorded = field(default_factory=Unrecorded)
    _highest: datetime | None = None

    @property
    def highest_time(self) -> datetime | None:
        """The highest time of anything recorded, in the store or in the journal (rule R17)."""
        return max((each for each in (self.store.highest_time, self._highest) if each is not None), default=None)

    @property
    def behind(self) -> bool:
        """Whether the log has not everything that was decided."""
        return self.apart or not self.journal.empty

    async def record(self, decision: Decision) -> None:
        """See `Ledger.record`."""
        await self.write(Decided(decision))
        log.log(decision_level(decision), decision.outcome.value, **decision_line(decision))

    async def repeat(self, *repeated: Repeated) -> None:
        """See `clearinghouse.runtime.redirection.ground.Journal`."""
        await self.write(*repeated)

    async def write(self, *changes: CanWait) -> None:
        """Make *changes* durable, in the store or in the journal; raises `SpoolFull`, and what a store does, `StoreUnavailable` apart."""
        if not self.apart:
            try:
                async with asyncio.timeout(self.patience):
                    await self.store.write(*changes)
                return
            except (StoreUnavailable, TimeoutError) as error:
                log.debug("not_recorded", reason=str(error) or "the store is slow")
                self.part()
        await self._journaled(changes)

    def part(self) -> None:
        """Try the store no more until it is seen to be back."""
        if not self.apart:
            self.apart = True
            self.troubled()

    async def _journaled(self, changes: Sequence[CanWait]) -> None:
        latest = max(at for each in changes if (at := at_of(each)) is not None)
        try:
            await self.journal.append([journal_text(each) for each in changes])
        except SpoolFull:
            self.unrecorded.add(latest)
            raise
        self.see(latest)

    def see(self, at: datetime | None) -> None:
        """Take note of a time that was: of what was journaled here, or that the store has seen of others."""
        self._highest = max((each for each in (self._highest, at) if each is not None), default=None)

    # -- the store is back

    async def catch_up(self, told: Mapping[str, str]) -> int:
        """Append to the log what was journaled, in order and once; return how many decisions that were.

        An entry before them says that, with what is *told*: they are older than it.  Raises `StoreUnavailable` and
        ``TimeoutError``; what is appended then stays, and the rest waits on.
        """
        if self.unrecorded.count or not self.journal.empty:
            await self._announce(told)
        count = await self._drained()
        self.apart = False
        await self.journal.settled()  # what was being journaled at this moment
        try:
            return count + await self._drained()
        except (StoreUnavailable, TimeoutError):
            self.apart = True
            raise

    async def _announce(self, told: Mapping[str, str]) -> None:
        """Begin with an entry that moves the log's edge.

        A transaction of ours may still be on its way to the store, or hang in it.  It was made for the edge of then: from
        here on it fails, or it is in the log already and is found there by its ids.
        """
        lost, self.unrecorded = self.unrecorded, Unrecorded()
        detail = {**told, **lost.members()}
        try:
            await self._in_time(self.store.write(Noted(Event(self.now(), CAUGHT_UP, detail))))
        except BaseException:
            self.unrecorded = lost.and_then(self.unrecorded)
            raise

    async def _drained(self) -> int:
        count = 0
        while lines := await self.journal.next():
            count += await self._appended(lines)
            await self.journal.take(lines[-1].end)
        return count

    async def _appended(self, lines: Sequence[Line]) -> int:
        found = [change for each in lines if (change := _read(each)) is not None]
        if not (fresh := await self._unknown(found)):
            return 0
        try:
            await self._in_time(self.store.write(*fresh))
        except ClearinghouseError:  # that of one of them, or the store's, which the first of them tells
            return sum([await self._append(each) for each in fresh])
        return len(fresh)

    async def _append(self, change: Waited) -> bool:
        """Append one decision, and say whether that was done; one that the log does not take must not keep the others from it."""
        error: ClearinghouseError | None = None
        for _ in range(TRIES):
            if not await self._unknown([change]):
                return False
            try:
                await self._in_time(self.store.write(change))
                return True
            except ClearinghouseError as failure:
                error = failure
        assert error is not None  # noqa: S101 - it was tried
        await self._set_aside(change, error)
        return False

    async def _set_aside(self, change: Waited, error: ClearinghouseError) -> None:
        told = {"decision": id_of(change), "reason": error.code}
        await self._in_time(self.store.write(Noted(Event(self.now(), SET_ASIDE, told))))  # raises where the store takes nothing at all
        await self.journal.set_aside(journal_text(change))
        log.error("decision_set_aside", decision=id_of(change), reason=error.message, mend="report it with the file beside the spool")

    async def _unknown(self, found: Sequence[Waited]) -> list[Waited]:
        """Return those that the store has not: one that was given up may have been committed all the same."""
        known = await self._in_time(self.store.known(map(id_of, found)))
        return [each for each in found if (id_of(each), at_of(each)) not in known]

    async def _in_time(self, work: Awaitable[Any]) -> Any:  # noqa: ANN401 - whatever it returns
        async with asyncio.timeout(APPEND_SECONDS):
            return await work


def _read(line: Line) -> Waited | None:
    """Return the decision in *line*; one that a broken disk has spoilt is named, and lost."""
    try:
        if line.text is not None:
            return journal_in(line.text)
    except (ValueError, LookupError, TypeError):
        pass
    log.error("spool_spoilt", end=line.end, mend="look at the disk: a decision that was answered is missing in the log")
    return None
