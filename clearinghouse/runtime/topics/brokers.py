"""Our place at the brokers: one component for each link, its topics kept, decisions carried out there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, TypeAlias, assert_never

import structlog

from clearinghouse.clearing.clear import Overtaken
from clearinghouse.clearing.enforcement import (
    AdmitMember,
    AdmitPublisher,
    ApproveSubscription,
    CreateTopic,
    Enforcement,
    LeavePending,
    Nothing,
    RefuseSubscription,
)
from clearinghouse.clearing.request import Place
from clearinghouse.doors.xmpp.component import LONGEST_WAIT_SECONDS, Component, back_off
from clearinghouse.doors.xmpp.exchange import Exchange, Hearer
from clearinghouse.doors.xmpp.session import Account
from clearinghouse.enforcers.broker import TopicOwner
from clearinghouse.errors import BrokerUnavailable, ClearinghouseError, Unavailable
from clearinghouse.runtime.asking.questions import Asking
from clearinghouse.settings import Broker, Settings, Topic, read_secret

log = structlog.get_logger(__name__)

PAUSE_SECONDS: Final = 1.0
"""Between noticing that something was left undone and looking again, so that many such things cost one look."""


class Link(Protocol):
    """A component's session, as far as the service needs it; `Component` is one."""

    exchange: Exchange
    connected: list[Callable[[], Awaitable[None]]]
    ready: asyncio.Event

    async def run(self) -> None:
        """Keep the session until cancelled."""


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """One component and what it is for: brokers that share an address of ours, and their topics."""

    component: str
    brokers: tuple[Broker, ...]
    topics: tuple[Topic, ...]

    def believed(self) -> Mapping[str, frozenset[str]]:
        """Return which brokers are believed, and about which of their nodes (rule R12)."""
        return {each.jid: frozenset(topic.node for topic in self.topics if topic.broker == each.jid) for each in self.brokers}

    def askings(self) -> Mapping[tuple[str, str], Asking]:
        """Return what is known about each topic, by broker and node."""
        vouchers = {each.jid: each.voucher for each in self.brokers}
        return {(each.broker, each.node): Asking(each.as_topic(), vouchers[each.broker], each.publishers) for each in self.topics}


MakeLink: TypeAlias = Callable[[LinkPlan, Hearer], Link]


def plans_in(settings: Settings) -> tuple[LinkPlan, ...]:
    """Return one plan for each component that the settings name."""
    components = dict.fromkeys(each.component for each in settings.broker)
    plans = []
    for component in components:
        brokers = tuple(each for each in settings.broker if each.component == component)
        ours = {each.jid for each in brokers}
        plans.append(LinkPlan(component, brokers, tuple(each for each in settings.topic if each.broker in ours)))
    return tuple(plans)


def component_link(plan: LinkPlan, asked: Hearer) -> Link:
    """Return a component that connects to its server over TCP; reads its secret."""
    first = plan.brokers[0]
    account = Account(plan.component, read_secret(first.secret_file), first.host, first.port)
    return Component(account, plan.believed(), asked)


class Register:
    """Every topic that is ours to rule over, by broker and node: those of the settings, and those that platforms had us make."""

    def __init__(self, plans: Iterable[LinkPlan]) -> None:
        """Begin with the topics of the settings."""
        self.askings: dict[tuple[str, str], Asking] = {place: asking for plan in plans for place, asking in plan.askings().items()}

    def add(self, asking: Asking) -> None:
        """Rule over one more topic."""
        self.askings.setdefault((asking.topic.broker, asking.topic.node), asking)

    def has(self, node: str) -> bool:
        """Say whether some broker has a topic *node*: policies and bars know a topic by its node, as the settings demand."""
        return any(name == node for _, name in self.askings)

    def at(self, brokers: Iterable[str]) -> list[Asking]:
        """Return the topics at *brokers*."""
        known = set(brokers)
        return [asking for (broker, _), asking in self.askings.items() if broker in known]


Greeting: TypeAlias = "Callable[[Seat], Awaitable[None]]"
"""What is done at each new session, once the topics are set up; raises errors of our tree."""


@dataclass(slots=True)
class Seat:
    """A link at work: topics set up when it connects, and whatever was left undone done again.

    The ``greetings`` are run in their order.  ``catch_up`` retries what is owed; then the brokers are asked for the
    forms of all who still wait; where an answer met no question, ``compare`` looks who is subscribed.
    """

    plan: LinkPlan
    link: Link
    register: Register
    greetings: Sequence[Greeting]
    catch_up: Callable[[frozenset[str]], Awaitable[None]]
    compare: Greeting
    owner: TopicOwner = field(init=False)
    _behind: asyncio.Event = field(default_factory=asyncio.Event)
    _doubted: bool = False
    _waits: Iterator[float] = field(default_factory=back_off)

    def __post_init__(self) -> None:
        self.owner = TopicOwner(self.link.exchange, self.plan.component)
        self.link.connected += [self._set_up, *(partial(each, self) for each in self.greetings), self._recover, partial(self.compare, self)]

    @property
    def brokers(self) -> frozenset[str]:
        """The brokers that this link reaches."""
        return frozenset(each.jid for each in self.plan.brokers)

    @property
    def askings(self) -> list[Asking]:
        """The topics at these brokers."""
        return self.register.at(self.brokers)

    def believe(self) -> None:
        """Take the brokers' forms about every topic that is ours now, and about no other (rule R12)."""
        topics = [each.topic for each in self.askings]
        self.link.exchange.brokers = {jid: frozenset(each.node for each in topics if each.broker == jid) for jid in self.brokers}

    def fall_behind(self, *, full: bool = False, doubt: bool = False) -> None:
        """Note that something was left undone: it is looked for soon, and sooner where only our hands were *full*.

        With *doubt*, what the broker has may not be what we know.
        """
        if full:
            self._waits = back_off()
        self._doubted |= doubt
        self._behind.set()

    async def keep_up(self) -> None:
        """Do again what was left undone, until cancelled; a lost session does so by itself when it is back."""
        clock = asyncio.get_running_loop().time
        last = clock()
        while True:
            await self._behind.wait()
            if clock() - last > LONGEST_WAIT_SECONDS:
                self._waits = back_off()
            await asyncio.sleep(PAUSE_SECONDS + next(self._waits))
            await self.link.ready.wait()
            self._behind.clear()
            last = clock()
            if not await self._tried():
                self._behind.set()

    async def _tried(self) -> bool:
        try:
            await self._recover()
            if self._doubted:
                self._doubted = False
                await self.compare(self)
        except Unavailable as error:
            log.warning("catching_up_failed", reason=error.message, mend=error.mend)
            return False
        except ClearinghouseError as error:
            log.error("catching_up_refused", reason=error.message, mend=error.mend)  # noqa: TRY400 - the mend, not the frames
        return True

    async def compare_often(self, seconds: float) -> None:
        """Compare what the brokers have with what we know again and again, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            await self.link.ready.wait()
            self.fall_behind(doubt=True)

    async def _set_up(self) -> None:
        self.believe()
        await self.owner.ensure_topics(each.topic for each in self.askings)

    async def _recover(self) -> None:
        await self.catch_up(self.brokers)
        await self.owner.recover(each.topic for each in self.askings)


@dataclass(frozen=True, slots=True)
class BrokerEnforcer:
    """Implements `clearinghouse.clearing.clear.Enforcer`: tells each broker what was decided about its topics.

    ``over`` says of a decision's id whether what it granted is over already (`Books.is_over`).
    """

    owners: Mapping[str, TopicOwner]
    over: Callable[[str], bool] = lambda _: False

    async def carry_out(self, enforcement: Enforcement) -> None:
        """Make the enforcement true at the broker; raises what `TopicOwner.carry_out` raises, and `Overtaken`."""
        match enforcement:
            case RefuseSubscription(place):
                await self._owner(place).carry_out(enforcement)
            case ApproveSubscription(place) | AdmitMember(place) | AdmitPublisher(place) | CreateTopic(place):
                if self.over(enforcement.decision):
                    raise Overtaken("people were faster, and have ended this or barred its holder", mend="nothing: it is decided again")
                await self._owner(place).carry_out(enforcement)
            case LeavePending() | Nothing():
                pass
            case _:
                assert_never(enforcement)

    def _owner(self, place: Place) -> TopicOwner:
        owner = self.owners.get(place.broker)
        if owner is None:
            raise BrokerUnavailable(f"`{place.broker}` is no longer in the settings", mend="add it again, or let the decision rest")
        return owner


def owners_in(seats: Iterable[Seat]) -> dict[str, TopicOwner]:
    """Return who answers for us at each broker."""
    return {broker.jid: seat.owner for seat in seats for broker in seat.plan.brokers}
