"""Every question is decided once, a few at a time, in the order in which they arrive."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

import structlog

from clearinghouse.clearing.clear import ClockBehind, Desk, check_clock, clear
from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.enforcement import enforcement_of
from clearinghouse.clearing.request import Place
from clearinghouse.errors import ClearinghouseError, Unavailable
from clearinghouse.grid.topics import SubscriptionAsked
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.questions import Asking, agrees, place_of, request_of
from clearinghouse.storage.store import Effect, Recorded, Store

log = structlog.get_logger(__name__)

MAX_WAITING: Final = 1_000
"""Questions that wait for us; more stay with their broker, where recovery finds them.  Each takes about 5 ms."""

MAX_EACH: Final = 8
"""Of these, questions of one bare JID, with whatever resources it asks: one stranger leaves room for everybody else."""

WORKERS: Final = 16
"""Questions in hand at once: each waits for the disk and the broker, none for the processor."""


class Behind(Protocol):
    """Is told where something was left undone; *full* if for no other reason than that our hands were."""

    def __call__(self, broker: str, *, full: bool = False) -> None:
        """Look for it soon."""


@dataclass(slots=True)
class Intake:
    """Takes questions from the doors, has them decided, and sees to it that the answer is given.

    A question that arrives again while it is in hand, or after it was decided under the same policy, is
    the same question.
    """

    desk: Desk
    store: Store
    askings: Mapping[tuple[str, str], Asking]
    behind: Behind
    chance: Chance
    _waiting: asyncio.Queue[tuple[SubscriptionAsked, float]] = field(default_factory=lambda: asyncio.Queue(MAX_WAITING))
    _in_hand: set[Place] = field(default_factory=set)
    _each: Counter[str] = field(default_factory=Counter)
    _busy: set[asyncio.Task[None]] = field(default_factory=set)
    _closing: bool = False

    def ask(self, asked: SubscriptionAsked) -> None:
        """Take a question; returns at once (see `Exchange`)."""
        place = place_of(asked)
        if place in self._in_hand:
            if not place.subid:
                self.behind(place.broker)  # it may have been asked anew since, and nothing tells the two apart
        elif self._each[asked.subscriber.bare] >= MAX_EACH:
            log.warning("too_many_of_one", broker=place.broker, subscriber=asked.subscriber.bare, noise=asked.subscriber.bare)
            self.behind(place.broker)
        else:
            self._take(asked, place)

    def _take(self, asked: SubscriptionAsked, place: Place) -> None:
        try:
            self._waiting.put_nowait((asked, self.chance.elapsed()))
        except asyncio.QueueFull:
            log.warning("too_many_questions", broker=place.broker, waiting=MAX_WAITING, noise=place.broker)
            self.behind(place.broker, full=True)
        else:
            self._in_hand.add(place)
            self._each[asked.subscriber.bare] += 1

    def _let_go(self, asked: SubscriptionAsked) -> None:
        self._in_hand.discard(place_of(asked))
        self._each[asked.subscriber.bare] -= 1
        self._each += Counter()  # which forgets whoever has none left

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
            asked, arrived = await self._waiting.get()
            self._busy.add(me)
            try:
                await self._told(asked, arrived)
            finally:
                self._busy.discard(me)
                self._let_go(asked)

    async def _told(self, asked: SubscriptionAsked, arrived: float) -> None:
        """Answer, or say why not; a question that could not be answered now is looked for again."""
        try:
            await self._answer(asked, arrived)
        except Unavailable as error:
            log.warning("left_undone", broker=asked.broker, topic=asked.node, reason=error.message, mend=error.mend, noise=asked.broker)
            self.behind(asked.broker)
        except ClearinghouseError as error:
            _tell_refused(asked.broker, asked.node, error)
        except Exception:  # one question must not stop the others
            log.exception("failed", broker=asked.broker, topic=asked.node, noise=asked.subscriber.bare)
            self.behind(asked.broker)

    async def _answer(self, asked: SubscriptionAsked, arrived: float) -> None:
        earlier = await self._earlier(place_of(asked))
        if earlier is not None:
            await self.finish(earlier)
            return
        request = request_of(asked, self.askings[asked.broker, asked.node], self.chance.new_id())
        decision = await clear(request, self.desk, now=self.chance.now())
        if decision.outcome is Outcome.UNANSWERED:
            self.behind(asked.broker)
        await self._settle(decision, timedelta(seconds=self.chance.elapsed() - arrived))

    async def _earlier(self, place: Place) -> Recorded | None:
        """Return the decision that answers this very question already.

        Without a name of its own (``subid``) a question may be a new one, unless the last answer was to wait.
        """
        found = await self.store.ruled(place)
        same = found is not None and (bool(place.subid) or found.decision.outcome is Outcome.PENDING)
        return found if found is not None and same and self.holds(found) else None

    def holds(self, recorded: Recorded) -> bool:
        """Say whether a decision is what would be decided now: same policy, same facts, no date passed (rule R20)."""
        decision, place = recorded.decision, recorded.decision.request.place
        now = max(self.chance.now(), self.store.highest_time or decision.at)
        asking = None if place is None else self.askings.get((place.broker, place.node))
        if asking is None or not agrees(recorded, asking, self.desk.community) or decision.outcome is Outcome.UNANSWERED:
            return False
        lasting = all(now < end for end in (decision.ends, recorded.stable_until) if end is not None)
        return lasting and decision.version == self.desk.snapshot.version

    async def finish(self, recorded: Recorded) -> None:
        """Carry out a decision that was made before; raises `ClockBehind` while nobody knows whether it still holds."""
        check_clock(self.store.highest_time, self.chance.now())
        await self.desk.enforcer.carry_out(enforcement_of(recorded.decision))
        if recorded.effect is Effect.OWED:
            await self._settle(recorded.decision, None)

    async def catch_up(self, brokers: frozenset[str]) -> None:
        """Carry out what is owed at *brokers*; one decision that cannot be carried out keeps no other from it.

        Raises `BrokerUnavailable` and `StoreUnavailable`, after which the rest is still owed.
        """
        for recorded in await self.store.owed():
            place = recorded.decision.request.place
            if place is None or place.broker not in brokers or place in self._in_hand:
                continue
            try:
                await self._carry_out_late(recorded, place)
            except ClockBehind as error:
                log.warning("owed_until_the_clock_is_right", broker=place.broker, reason=error.message, mend=error.mend)
                self.behind(place.broker)
                return
            except Unavailable:
                raise
            except ClearinghouseError as error:
                _tell_refused(place.broker, place.node, error)
            except Exception:  # one decision must not stop the others
                log.exception(
                    "failed", id=recorded.decision.id, broker=place.broker, topic=place.node, noise=place.subscriber.partition("/")[0]
                )

    async def _carry_out_late(self, recorded: Recorded, place: Place) -> None:
        """Carry out one decision, or drop it where policy has overtaken it: then it is decided anew."""
        if self.holds(recorded):
            await self.finish(recorded)
            log.info("carried_out_late", id=recorded.decision.id, broker=place.broker, topic=place.node)
        else:
            await self.store.settle(recorded.decision.id, Effect.DROPPED, at=self.chance.now())
            log.info("overtaken", id=recorded.decision.id, broker=place.broker, topic=place.node)

    async def _settle(self, decision: Decision, latency: timedelta | None) -> None:
        if Recorded.of(decision).effect is Effect.OWED:
            await self.store.settle(decision.id, Effect.DONE, at=self.chance.now(), latency=latency)


def _tell_refused(broker: str, topic: str, error: ClearinghouseError) -> None:
    log.error("not_carried_out", broker=broker, topic=topic, reason=error.message, mend=error.mend, noise=broker)
