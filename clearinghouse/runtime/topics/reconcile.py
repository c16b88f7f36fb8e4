"""Our books beside what a broker has: every difference is repaired or reported, and each is an event.

A subscriber whom nobody ruled on is ruled on as if it asked now.  A grant whose subscription is gone was left by
its holder.  Affiliations become what the books say.  Another owner could approve behind our back: that cannot be
mended from here, so it is reported, and whatever such an owner lets in is found by the first of these.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import structlog

from clearinghouse.clearing.cases import Grant
from clearinghouse.clearing.consequences import consequences
from clearinghouse.clearing.decision import Decision, Outcome, Reason
from clearinghouse.clearing.request import Place
from clearinghouse.doors.xmpp.addresses import read_subscriber
from clearinghouse.enforcers.broker import NodeState, TopicOwner
from clearinghouse.errors import ClearinghouseError, MalformedRequest, Unavailable
from clearinghouse.grid.topics import SubscriptionAsked
from clearinghouse.runtime.asking.questions import SUBSCRIBE, Asking, request_of
from clearinghouse.runtime.asking.ruled import Memory
from clearinghouse.runtime.asking.ruling import Bench
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.standing.books import Books
from clearinghouse.runtime.topics.brokers import Seat
from clearinghouse.runtime.topics.roles import KEPT, barred, pardoned, writers
from clearinghouse.storage.changes import Change, Decided, EndCarriedOut, GrantEnded, Noted, Settled
from clearinghouse.storage.store import Effect, Event

log = structlog.get_logger(__name__)

AGAIN_SECONDS: Final = 2.0
"""Before a node that lost everybody is asked again: a broker that is starting may answer before it has read its tables."""

MAX_NAMED: Final = 1_000
"""Subscribers that one event names; all are counted."""

LEFT: Final = Reason("left", "the broker has no such subscription any more")
"""Why a grant ends whose subscription is gone: its holder has left, or the broker has lost it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What one node has and the books have not (``unruled``, as the broker writes them), and the reverse (``gone``)."""

    unruled: tuple[str, ...]
    gone: tuple[Grant, ...]


def difference(subscribed: Iterable[str], held: Iterable[Grant], *, before: Container[str], open_at: Callable[[str], bool]) -> Difference:
    """Compare who is *subscribed* with the grants that are *held* (pure).

    Only a grant whose id we had *before* the broker was asked can be gone from there; what is being answered about a
    subscriber, as *open_at* says, is not settled either way.
    """
    found = {_normal(jid): jid for jid in subscribed}
    ours = {_normal(each.request.place.subscriber): each for each in held if each.request.place is not None}
    unruled = (jid for name, jid in found.items() if name not in ours and not open_at(jid))
    gone = (
        each
        for name, each in ours.items()
        if name not in found and each.id in before and each.request.place is not None and not open_at(each.request.place.subscriber)
    )
    return Difference(tuple(unruled), tuple(gone))


@dataclass(slots=True)
class Reconciler:
    """Compares topics that decide at subscription; those with a white list are kept by `Memberships`."""

    bench: Bench
    books: Books
    memory: Memory
    chance: Chance
    in_hand: Callable[[Place], bool]
    _foreign: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    async def compare(self, seat: Seat) -> None:
        """Compare every topic of *seat*; one that cannot be compared keeps no other from it.

        Raises `Unavailable` where a broker or the store has to come back first.  The clock must be right.
        """
        for asking in seat.askings:
            try:
                await self._compare(seat.owner, asking)
            except Unavailable:
                raise
            except ClearinghouseError as error:
                topic = asking.topic
                log.warning("not_compared", broker=topic.broker, topic=topic.node, reason=error.message, mend=error.mend)

    async def _compare(self, owner: TopicOwner, asking: Asking) -> None:
        topic = asking.topic
        before = {each.id for each in self._held(asking)}
        state = await owner.state(topic)
        await self._report_owners(owner, asking, state)
        if topic.access_model != "authorize":
            return
        found = self._difference(asking, state, before)
        if found.gone and not state.subscribed:
            await asyncio.sleep(AGAIN_SECONDS)
            found = self._difference(asking, await owner.state(topic), before)
        await self._take_leave(asking, found.gone)
        for jid in found.unruled:
            await self._rule(owner, asking, jid)
        await self._repair(owner, asking, state.affiliations)

    def _held(self, asking: Asking) -> list[Grant]:
        held = self.books.held(broker=asking.topic.broker, node=asking.topic.node)
        return [each for each in held if each.request.operation == SUBSCRIBE and not self.memory.owes(each.id)]

    def _difference(self, asking: Asking, state: NodeState, before: Container[str]) -> Difference:
        broker, node = asking.topic.broker, asking.topic.node
        ending = {each.request.place for each in self.books.owed_ends()}  # whose end the broker has still to hear of

        def unsettled(jid: str) -> bool:
            place = Place(broker, node, jid)
            return place in ending or self.in_hand(place) or self.memory.owed_at(place)

        held = [each for each in self.books.held(broker=broker, node=node) if each.request.operation == SUBSCRIBE]
        return difference(state.subscribed, held, before=before, open_at=unsettled)

    async def _report_owners(self, owner: TopicOwner, asking: Asking, state: NodeState) -> None:
        place = asking.topic.broker, asking.topic.node
        others = frozenset(state.owners) - {owner.us}
        if others and self._foreign.get(place) != others:
            named = sorted(others)[:MAX_NAMED]
            mend = "make the clearinghouse its only owner: what they approve is ruled on again, but they can do more"
            log.warning("foreign_owner", broker=place[0], topic=place[1], owners=named, mend=mend)
            await self.books.write(self._noted("foreign-owner", asking, owners=[{"jid": each} for each in named]))
        self._foreign[place] = others

    async def _take_leave(self, asking: Asking, gone: tuple[Grant, ...]) -> None:
        """End the grants whose subscriptions are *gone*: in one line, for one who left or for a broker that lost them all."""
        if not gone:
            return
        now, topic = self.chance.now(), asking.topic
        tell = log.info if len(gone) == 1 else log.warning
        tell("subscriptions_gone", broker=topic.broker, topic=topic.node, count=len(gone))
        ends: list[Change] = [GrantEnded(replace(each, ended=now, why=LEFT)) for each in gone]
        ids = tuple(each.id for each in gone)
        noted = self._noted("subscriptions-gone", asking, count=len(gone), grants=list(ids[:MAX_NAMED]))
        await self.books.write(*ends, EndCarriedOut(ids, now), noted)

    async def _rule(self, owner: TopicOwner, asking: Asking, jid: str) -> None:
        """Rule on somebody who is subscribed already; only a grant lets it stay, since nobody is left to ask."""
        topic = asking.topic
        try:
            subscriber = read_subscriber(jid)
        except MalformedRequest:
            await owner.end(topic.broker, topic.node, [jid], affiliation="none")
            await self.books.write(self._noted("unruled-subscription", asking, outcome="ended", subscriber=""))
            return
        decision = self.bench.ruled_for_us(
            request_of(SubscriptionAsked(topic.broker, topic.node, subscriber), asking, self.chance.new_id())
        )
        stays = decision.outcome is Outcome.GRANTED
        _, gives = consequences(decision)
        noted = self._noted("unruled-subscription", asking, outcome="adopted" if stays else "ended", decision=decision.id)
        await self.books.write(Decided(decision, None, None, gives), noted)
        log.warning("unruled_subscription", id=decision.id, outcome=decision.outcome.value, topic=topic.node, noise=subscriber.bare)
        if not stays:
            await owner.end(topic.broker, topic.node, [jid], affiliation=_afterwards(decision))
        await self.books.write(Settled(decision.id, Effect.DONE, self.chance.now()))

    async def repair(self, owner: TopicOwner, asking: Asking) -> None:
        """Make the affiliations at a node that decides at subscription what the books say."""
        await self._repair(owner, asking, (await owner.state(asking.topic)).affiliations)

    async def _repair(self, owner: TopicOwner, asking: Asking, found: Mapping[str, str]) -> None:
        """Make the affiliations at a node that decides at subscription what the books say."""
        topic, revocations = asking.topic, self.books.revocations.values()
        out, back = barred(revocations, topic.node), pardoned(revocations, topic.node)
        writing = writers(asking.publishers, self.books.held(broker=topic.broker, node=topic.node)) - out
        wanted = dict.fromkeys(writing, "publisher") | dict.fromkeys(out, "outcast")
        others = {jid for jid, held in found.items() if held not in KEPT | {"outcast"} and jid not in wanted and jid != owner.us}
        wanted |= dict.fromkeys(others, "none")
        wanted |= {jid: "none" for jid in back if found.get(jid) == "outcast" and jid not in wanted}
        wrong = {jid: held for jid, held in sorted(wanted.items()) if found.get(jid, "none") != held and found.get(jid) != "owner"}
        if not wrong:
            return
        await owner.set_affiliations(topic, wrong)
        log.info("affiliations_repaired", broker=topic.broker, topic=topic.node, count=len(wrong))
        named = [{"jid": jid, "is": role} for jid, role in list(wrong.items())[:MAX_NAMED]]
        await self.books.write(self._noted("affiliations-repaired", asking, count=len(wrong), affiliations=named))

    def _noted(self, kind: str, asking: Asking, **detail: object) -> Noted:
        return Noted(Event(self.chance.now(), kind, {"broker": asking.topic.broker, "topic": asking.topic.node, **detail}))


def _afterwards(decision: Decision) -> Literal["none", "outcast"]:
    return "outcast" if decision.reason.code == "revoked" else "none"


def _normal(jid: str) -> str:
    """Return *jid* in normal form: a broker may write it in another way than its form did."""
    try:
        return read_subscriber(jid).full
    except MalformedRequest:
        return jid
