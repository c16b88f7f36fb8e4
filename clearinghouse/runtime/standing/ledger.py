"""The ledger that tells: what follows from a decision is written with it, and then one line goes to the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from clearinghouse.clearing.cases import CaseChange, Grant
from clearinghouse.clearing.consequences import consequences
from clearinghouse.clearing.decision import Decision, Outcome, Reason
from clearinghouse.clearing.enforcement import LeavePending, RefuseSubscription, enforcement_of
from clearinghouse.runtime.standing.books import Books
from clearinghouse.storage.changes import CaseMoved, Change, Decided, EndCarriedOut, GrantEnded, Repeated
from clearinghouse.storage.store import Store
from clearinghouse.telemetry import decision_level, decision_line

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class TellingLedger:
    """Implements `clearinghouse.clearing.clear.Ledger` over the books.

    ``wait`` is how long a case waits for people; ``elapsed`` gives seconds that never go back.
    """

    store: Store
    books: Books
    wait: timedelta
    elapsed: Callable[[], float]
    _arrived: dict[str, float] = field(default_factory=dict)

    @property
    def highest_time(self) -> datetime | None:
        """See `Ledger.highest_time`."""
        return self.store.highest_time

    def expect(self, request: str, arrived: float) -> None:
        """Note when the question arrived that is made into the request with this id."""
        self._arrived[request] = arrived

    def forget(self, request: str) -> None:
        """The request with this id will not be recorded any more."""
        self._arrived.pop(request, None)

    async def record(self, decision: Decision) -> None:
        """See `Ledger.record`."""
        arrived = self._arrived.pop(decision.request.id, None)
        took = None if arrived is None else timedelta(seconds=self.elapsed() - arrived)
        await self.books.write(*self._changes(decision, took))
        log.log(decision_level(decision), decision.outcome.value, **decision_line(decision))

    async def repeat(self, *repeated: Repeated) -> None:
        """Record answers that repeat decisions, all or none; nothing follows from them, and no line tells it."""
        await self.store.write(*repeated)

    def _changes(self, decision: Decision, took: timedelta | None) -> Iterator[Change]:
        """Yield the decision with what it opens and gives, and the ends of what it contradicts at its place.

        What it replaces by its like, the books end themselves.
        """
        place, operation = decision.request.place, decision.request.operation
        opens, gives = consequences(decision, wait=self.wait)
        if gives is not None and decision.request.approvals:
            gives = replace(gives, case=next((each.id for each in self.books.approved(decision.request)), ""))
        yield Decided(decision, took, opens, gives)
        if place is None or decision.outcome is Outcome.UNANSWERED:
            return
        waiting = self.books.case_at(place, operation)
        if waiting is not None and opens is None:
            why = f"decision {decision.id[:8]} answers it"
            yield CaseMoved(waiting.moved(CaseChange.CANCEL, at=decision.at, by="policy", why=why), CaseChange.CANCEL, decision.at)
        held = self.books.grant_at(operation, place)
        if held is not None and isinstance(enforcement_of(decision), RefuseSubscription | LeavePending):
            yield from _left(held, decision.at)


def _left(held: Grant, now: datetime) -> Iterator[Change]:
    """Whoever has the broker ask again for what they hold has left it: the broker knows nothing of it any more."""
    why = Reason("left", "its holder asked anew, so the broker had no such subscription any more")
    yield GrantEnded(replace(held, ended=now, why=why))
    yield EndCarriedOut((held.id,), now)
