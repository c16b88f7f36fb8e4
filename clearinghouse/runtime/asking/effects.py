"""Decisions that were made are carried out, now or later; one that policy has overtaken is not (rules R17 and R20)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Protocol

import structlog

from clearinghouse.clearing.clear import ClockBehind, Desk, check_clock
from clearinghouse.clearing.decision import Decision, Outcome, Reason
from clearinghouse.clearing.enforcement import enforcement_of
from clearinghouse.clearing.request import Place
from clearinghouse.enforcers.broker import NothingPending
from clearinghouse.errors import ClearinghouseError, Unavailable
from clearinghouse.runtime.asking.questions import Asking, agrees
from clearinghouse.runtime.asking.ruled import Memory, Ruled
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.standing.books import Books, Crossed
from clearinghouse.storage.changes import Change, EndCarriedOut, GrantEnded, Settled
from clearinghouse.storage.store import Effect, Store

log = structlog.get_logger(__name__)

OVERTAKEN: Final = Reason("overtaken", "policy changed before the broker was told of it")
"""Why a grant is over that nobody ever had."""


class Behind(Protocol):
    """Is told where something was left undone; *full* if for no other reason than that our hands were.

    With *doubt*, what the broker has may not be what we know.
    """

    def __call__(self, broker: str, *, full: bool = False, doubt: bool = False) -> None:
        """Look for it soon."""


@dataclass(slots=True)
class Effects:
    """Carries out what was decided, and writes down that it was; ``behind`` is told where that has to be tried again."""

    desk: Desk
    books: Books
    store: Store
    askings: Mapping[tuple[str, str], Asking]
    chance: Chance
    behind: Behind
    memory: Memory

    def holds(self, ruled: Ruled) -> bool:
        """Say whether a decision is what would be decided now: same policy, same facts, no date passed (rule R20).

        What it granted must not be over: people may have ended it, or have barred its holder, which no policy knows of.
        """
        decision, place = ruled.decision, ruled.decision.request.place
        now = max(self.chance.now(), self.store.highest_time or decision.at)
        asking = None if place is None else self.askings.get((place.broker, place.node))
        if asking is None or not agrees(ruled, asking, self.desk.community) or decision.outcome is Outcome.UNANSWERED:
            return False
        if self.books.is_over(decision.id):
            return False
        lasting = all(now < end for end in (decision.ends, ruled.stable_until) if end is not None)
        return lasting and decision.version == self.desk.snapshot.version

    async def finish(self, ruled: Ruled) -> None:
        """Carry out a decision that was made before; raises `ClockBehind` while nobody knows whether it still holds."""
        check_clock(self.store.highest_time, self.chance.now())
        try:
            await self.desk.enforcer.carry_out(enforcement_of(ruled.decision))
        except NothingPending as error:
            self._doubt(ruled.decision, error)
        if ruled.owed:
            await self.settle(ruled.decision, None)

    async def settle(self, decision: Decision, latency: timedelta | None) -> None:
        """Write down that *decision* was carried out; *latency* is the time from its question until then."""
        await self.books.write(Settled(decision.id, Effect.DONE, self.chance.now(), latency))

    async def missed(self, place: Place, error: NothingPending) -> None:
        """The broker knew of no such request when it heard what was decided about *place* just now."""
        ruled = self.memory.at(place)
        if ruled is not None:
            self._doubt(ruled.decision, error)
            await self.settle(ruled.decision, None)

    def _doubt(self, decision: Decision, error: NothingPending) -> None:
        """Have a broker looked at that had no such request: it was taken back, or answered by us before a crash, or by another."""
        place = decision.request.place
        if place is not None:
            log.info("nothing_pending", id=decision.id, reason=error.message, noise=place.subscriber.partition("/")[0])
            self.behind(place.broker, doubt=True)

    async def catch_up(self, brokers: frozenset[str], in_hand: Collection[Place]) -> None:
        """Carry out what is owed at *brokers*; one decision that cannot be carried out keeps no other from it.

        The places *in_hand* are being answered.  Raises `BrokerUnavailable` and `StoreUnavailable`, after which the
        rest is still owed.
        """
        for recorded in await self.store.owed():
            place = recorded.decision.request.place
            if place is None or place.broker not in brokers or place in in_hand:
                continue
            try:
                await self._late(Ruled.recorded(recorded), place)
            except ClockBehind as error:
                log.warning("owed_until_the_clock_is_right", broker=place.broker, reason=error.message, mend=error.mend)
                self.behind(place.broker)
                return

    async def _late(self, ruled: Ruled, place: Place) -> None:
        try:
            await self._carry_out_late(ruled, place)
        except Unavailable:
            raise
        except ClearinghouseError as error:
            tell_refused(place.broker, place.node, error)
        except Exception:  # one decision must not stop the others
            log.exception("failed", id=ruled.decision.id, broker=place.broker, topic=place.node, noise=place.subscriber.partition("/")[0])

    async def _carry_out_late(self, ruled: Ruled, place: Place) -> None:
        """Carry out one decision, or drop it where policy has overtaken it: then it is decided anew."""
        if self.holds(ruled):
            await self.finish(ruled)
            log.info("carried_out_late", id=ruled.decision.id, broker=place.broker, topic=place.node)
        else:
            await self.drop(ruled.decision)
            log.info("overtaken", id=ruled.decision.id, broker=place.broker, topic=place.node)

    async def drop(self, decision: Decision) -> None:
        """Never carry out *decision*: what it granted is over, and as far as we know nobody ever had it."""
        try:
            await self.books.write(*self._dropped(decision))
        except Crossed:  # a review was faster in ending what it granted
            await self.books.write(*self._dropped(decision))

    def _dropped(self, decision: Decision) -> Iterator[Change]:
        now, grant = self.chance.now(), self.books.grants.get(decision.id)
        yield Settled(decision.id, Effect.DROPPED, now)
        if grant is not None and grant.ended is None:
            yield GrantEnded(replace(grant, ended=now, why=OVERTAKEN))
        if grant is not None:
            yield EndCarriedOut((grant.id,), now)


def tell_refused(broker: str, topic: str, error: ClearinghouseError) -> None:
    """Tell the operator what a broker or the settings will not let us do."""
    log.error("not_carried_out", broker=broker, topic=topic, reason=error.message, mend=error.mend, noise=broker)
