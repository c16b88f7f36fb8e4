"""Every question is decided once, a few at a time, and in an order that is fair to all who ask."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.request import Place, Request
from clearinghouse.clearing.senders import RateLimited
from clearinghouse.enforcers.broker import NothingPending
from clearinghouse.errors import ClearinghouseError, Unavailable
from clearinghouse.grid.topics import SubscriptionAsked
from clearinghouse.runtime.asking.effects import Behind, Effects, tell_refused
from clearinghouse.runtime.asking.fairness import FairQueue
from clearinghouse.runtime.asking.questions import Asking, place_of, request_of, same_facts
from clearinghouse.runtime.asking.rates import Rates
from clearinghouse.runtime.asking.ruled import Ruled, is_owed
from clearinghouse.runtime.asking.ruling import Bench
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.standing.books import Books
from clearinghouse.runtime.standing.ledger import TellingLedger

log = structlog.get_logger(__name__)

MAX_WAITING: Final = 1_000
"""Questions that wait for us; more stay with their broker, where recovery finds them.  Each takes about 5 ms."""

MAX_EACH: Final = 8
"""Of these, questions of one bare JID, with whatever resources it asks: one stranger leaves room for everybody else."""

WORKERS: Final = 64
"""Questions in hand at once: each waits for the disk and the broker, none for the processor, and all that wait for
the disk together wait once."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What was asked, and when, in seconds that never go back."""

    asked: SubscriptionAsked
    arrived: float


@dataclass(slots=True)
class Intake:
    """Takes questions from the doors, has them decided, and sees to it that the answer is given.

    A question that arrives again while it is in hand, while it waits for people, or after it was decided under the
    same policy, is the same question.  None of this reads the store.
    """

    bench: Bench
    books: Books
    ledger: TellingLedger
    effects: Effects
    askings: Mapping[tuple[str, str], Asking]
    rates: Rates
    behind: Behind
    chance: Chance
    _waiting: FairQueue[_Question] = field(default_factory=lambda: FairQueue(MAX_WAITING))
    _in_hand: set[Place] = field(default_factory=set)
    _each: Counter[str] = field(default_factory=Counter)
    _busy: set[asyncio.Task[None]] = field(default_factory=set)
    _closing: bool = False

    @property
    def in_hand(self) -> AbstractSet[Place]:
        """The places whose questions wait or are being answered."""
        return self._in_hand

    def ask(self, asked: SubscriptionAsked) -> None:
        """Take a question; returns at once (see `Exchange`)."""
        place, subscriber = place_of(asked), asked.subscriber
        if place in self._in_hand:
            if not place.subid:
                self.behind(place.broker)  # it may have been asked anew since, and nothing tells the two apart
        elif self._each[subscriber.bare] >= MAX_EACH:
            log.warning("too_many_of_one", broker=place.broker, subscriber=subscriber.bare, noise=subscriber.bare)
            self.behind(place.broker)
        elif not self._same(place) and not self._paced(asked):
            self.behind(place.broker)
        else:
            self._take(_Question(asked, self.chance.elapsed()), place)

    def _paced(self, asked: SubscriptionAsked) -> bool:
        try:
            self.rates.take(asked.subscriber.bare, asked.subscriber.domain)
        except RateLimited:
            return False
        return True

    def _take(self, question: _Question, place: Place) -> None:
        subscriber = question.asked.subscriber
        self._in_hand.add(place)
        self._each[subscriber.bare] += 1
        gone = self._waiting.put(question, subscriber.domain, subscriber.bare)
        if gone is not None:
            log.warning("too_many_questions", broker=gone.asked.broker, waiting=MAX_WAITING, noise=gone.asked.broker)
            self._let_go(gone.asked)
            self.behind(gone.asked.broker, full=True)

    def _let_go(self, asked: SubscriptionAsked) -> None:
        self._in_hand.discard(place_of(asked))
        self._each[asked.subscriber.bare] -= 1
        if self._each[asked.subscriber.bare] <= 0:
            del self._each[asked.subscriber.bare]

    async def run(self) -> None:
        """Answer questions until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(WORKERS):
                tasks.create_task(self._work(), name=f"intake-{number}")

    async def close(self, seconds: float) -> None:
        """Begin no more questions, and wait so long for those that were begun; the others stay with their brokers."""
        self._closing = True
        if self._busy:
            await asyncio.wait(self._busy, timeout=seconds)

    async def _work(self) -> None:
        me = asyncio.current_task()
        while me is not None and not self._closing:
            question = await self._waiting.get()
            self._busy.add(me)
            try:
                await self._told(question)
            finally:
                self._busy.discard(me)
                self._let_go(question.asked)

    async def _told(self, question: _Question) -> None:
        """Answer, or say why not; a question that could not be answered now is looked for again."""
        asked = question.asked
        try:
            await self._answer(question)
        except Unavailable as error:
            log.warning("left_undone", broker=asked.broker, topic=asked.node, reason=error.message, mend=error.mend, noise=asked.broker)
            self.behind(asked.broker)
        except ClearinghouseError as error:
            tell_refused(asked.broker, asked.node, error)
        except Exception:  # one question must not stop the others
            log.exception("failed", broker=asked.broker, topic=asked.node, noise=asked.subscriber.bare)
            self.behind(asked.broker)

    async def _answer(self, question: _Question) -> None:
        place = place_of(question.asked)
        if self._waits(place):
            return
        earlier = self._earlier(place)
        if earlier is not None:
            await self.effects.finish(earlier)
            return
        request = request_of(question.asked, self.askings[place.broker, place.node], self.chance.new_id())
        try:
            decision = await self._decided(request, question.arrived)
        except NothingPending as error:
            await self.effects.missed(place, error)
            return
        if decision.outcome is Outcome.UNANSWERED:
            self.behind(place.broker)
        if is_owed(decision):
            await self.effects.settle(decision, timedelta(seconds=self.chance.elapsed() - question.arrived))

    def _same(self, place: Place) -> bool:
        """Say whether a question about *place* is answered already, and so costs next to nothing."""
        return self._waits(place) or self._earlier(place) is not None

    def _waits(self, place: Place) -> bool:
        """Say whether a question waits for people, who see what would be stated today.

        Whatever policy comes to say about it meanwhile is found by the review of every new snapshot.
        """
        case = self.books.case_at(place)
        return case is not None and same_facts(case.request, self.askings[place.broker, place.node])

    def _earlier(self, place: Place) -> Ruled | None:
        """Return the decision that answers this very question already."""
        found = self.effects.memory.at(place)
        return found if found is not None and self.effects.holds(found) else None

    async def _decided(self, request: Request, arrived: float) -> Decision:
        """Have a request decided, recorded, and carried out."""
        self.ledger.expect(request.id, arrived)
        try:
            return await self.bench.cleared(request)
        finally:
            self.ledger.forget(request.id)
