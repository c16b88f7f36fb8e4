"""Our place at the brokers: one component for each link, its topics kept, decisions carried out there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, TypeAlias, assert_never

import structlog

from clearinghouse.clearing.enforcement import ApproveSubscription, Enforcement, LeavePending, Nothing, RefuseSubscription
from clearinghouse.clearing.request import Place
from clearinghouse.doors.xmpp.component import LONGEST_WAIT_SECONDS, Component, back_off
from clearinghouse.doors.xmpp.exchange import Exchange, Hearer
from clearinghouse.doors.xmpp.session import Account
from clearinghouse.enforcers.broker import NothingPending, TopicOwner
from clearinghouse.errors import BrokerUnavailable, ClearinghouseError, Unavailable
from clearinghouse.runtime.questions import Asking
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
        return {(each.broker, each.node): Asking(each.as_topic(), vouchers[each.broker]) for each in self.topics}


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


@dataclass(slots=True)
class Seat:
    """A link at work: topics set up when it connects, and whatever was left undone done again.

    ``catch_up`` retries what is owed; then the brokers are asked for the forms of all who still wait.
    """

    plan: LinkPlan
    link: Link
    catch_up: Callable[[frozenset[str]], Awaitable[None]]
    owner: TopicOwner = field(init=False)
    _behind: asyncio.Event = field(default_factory=asyncio.Event)
    _waits: Iterator[float] = field(default_factory=back_off)

    def __post_init__(self) -> None:
        self.owner = TopicOwner(self.link.exchange, self.plan.component)
        topics = [each.as_topic() for each in self.plan.topics]
        self.link.connected += [
            partial(self.owner.ensure_topics, topics),
            *(partial(self.owner.set_publishers, each.as_topic(), each.publishers) for each in self.plan.topics),
            self._recover,
        ]

    def fall_behind(self, *, full: bool = False) -> None:
        """Note that something was left undone: it is looked for soon, and sooner where only our hands were *full*."""
        if full:
            self._waits = back_off()
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
        except Unavailable as error:
            log.warning("catching_up_failed", reason=error.message, mend=error.mend)
            return False
        except ClearinghouseError as error:
            log.error("catching_up_refused", reason=error.message, mend=error.mend)  # noqa: TRY400 - the mend, not the frames
        return True

    async def _recover(self) -> None:
        await self.catch_up(frozenset(each.jid for each in self.plan.brokers))
        await self.owner.recover(each.as_topic() for each in self.plan.topics)


@dataclass(frozen=True, slots=True)
class BrokerEnforcer:
    """Implements `clearinghouse.clearing.clear.Enforcer`: tells each broker what was decided about its topics."""

    owners: Mapping[str, TopicOwner]

    async def carry_out(self, enforcement: Enforcement) -> None:
        """Make the enforcement true at the broker; raises `BrokerUnavailable`."""
        match enforcement:
            case ApproveSubscription(place, decision) | RefuseSubscription(place, decision):
                try:
                    await self._owner(place).carry_out(enforcement)
                except NothingPending as error:
                    log.info("nothing_pending", id=decision, reason=error.message, noise=place.subscriber.partition("/")[0])
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
