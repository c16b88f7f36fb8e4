"""The clearinghouse as owner of the broker's topics: the hands of a decision about a subscription.

XEP-0060 gives everything to a node's owner: its configuration, who may publish, who is subscribed.
The clearinghouse must be the *only* owner, since any other one could approve behind its back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, assert_never
from xml.etree.ElementTree import Element

import structlog

from clearinghouse.clearing.enforcement import ApproveSubscription, Enforcement, LeavePending, Nothing, RefuseSubscription
from clearinghouse.enforcers.topic_setup import ForeignTopic, check_configuration, check_owner, differences, refused_setup
from clearinghouse.errors import BrokerUnavailable, OperatorError, PeerError
from clearinghouse.grid import pubsub
from clearinghouse.grid.stanzas import Question, StanzaRefused, Stanzas
from clearinghouse.grid.topics import Topic

log = structlog.get_logger(__name__)

TRANSIENT: Final = frozenset(
    {
        "internal-server-error",
        "recipient-unavailable",
        "remote-server-not-found",
        "remote-server-timeout",
        "service-unavailable",
    }
)
"""Conditions that say nothing about the request: the broker is away or starting.  ``resource-constraint`` is
not among them: it is how ejabberd refuses a field of a configuration, today as tomorrow."""

UNSUPPORTED: Final = frozenset({"feature-not-implemented", "item-not-found", "not-allowed", "service-unavailable"})
"""How brokers say that they do not know the command which brings lost requests back."""


class NothingPending(PeerError):
    """The request that was answered is not (or no longer) pending at the broker."""

    code: ClassVar[str] = "nothing-pending"


@dataclass(frozen=True, slots=True)
class TopicOwner:
    """Acts as the owner *us* of topics at brokers, through *stanzas*.

    Every method raises `BrokerUnavailable` when the broker does not answer: whether the change took
    place is then unknown, and doing it again is safe.
    """

    stanzas: Stanzas
    us: str

    async def ensure_topics(self, topics: Iterable[Topic]) -> None:
        """Make every topic exist, owned by us alone and configured as wanted.

        One topic that cannot be had never keeps the others from being set up; the first error is raised at the end.
        """
        failures: list[OperatorError | PeerError] = []
        for topic in topics:
            try:
                await self._ensure(topic)
            except (OperatorError, PeerError) as error:
                log.warning("topic_refused", broker=topic.broker, topic=topic.node, reason=error.message, mend=error.mend)
                failures.append(error)
        if failures:
            raise failures[0]

    async def set_publishers(self, topic: Topic, jids: Iterable[str]) -> None:
        """Let exactly the bare *jids* publish to *topic* (and us, who own it)."""
        current = await self._affiliations(topic)
        wanted = dict.fromkeys(set(jids) - {self.us}, "publisher")
        changes = {jid: "none" for jid, held in current.items() if held.startswith("publish") and jid not in wanted}
        changes |= {jid: held for jid, held in wanted.items() if current.get(jid) != held}
        if changes:
            await self._ask(topic.broker, "set", pubsub.set_affiliations(topic.node, dict(sorted(changes.items()))))
            log.info("publishers_set", broker=topic.broker, topic=topic.node, changes=len(changes))

    async def carry_out(self, what: Enforcement) -> None:
        """Make true at the broker what a decision says; raises what `answer` raises."""
        match what:
            case ApproveSubscription(place) | RefuseSubscription(place):
                approve = isinstance(what, ApproveSubscription)
                await self.answer(place.broker, place.node, place.subscriber, approve=approve, subid=place.subid)
            case LeavePending() | Nothing():
                pass
            case _:
                assert_never(what)

    async def answer(self, broker: str, node: str, subscriber: str, *, approve: bool, subid: str = "") -> None:
        """Answer the pending request of exactly *subscriber*, as the broker wrote it, and wait until it is carried out.

        Raises `NothingPending` when the broker knows of no such request: it was answered already, or
        taken back.  Raises `ForeignTopic` when we may not answer.
        """
        try:
            await self.stanzas.tell(pubsub.authorization(broker, node, subscriber, approve=approve, subid=subid))
        except StanzaRefused as refusal:
            raise _unanswerable(refusal, broker, node, subscriber) from refusal

    async def recover(self, topics: Iterable[Topic]) -> None:
        """Have the brokers send the forms of all pending requests again; some may then arrive a second time."""
        nodes: dict[str, set[str]] = defaultdict(set)
        for topic in topics:
            nodes[topic.broker].add(topic.node)
        for broker, ours in nodes.items():
            for node in sorted(ours & await self._pending_nodes(broker)):
                await self._ask(broker, "set", pubsub.pending_command(node))
                log.info("pending_recovered", broker=broker, topic=node)

    async def withdraw(self, broker: str, node: str, subscriber: str, *, outcast: bool = False) -> None:
        """End the subscription of *subscriber*; with *outcast* end all that its bare JID has, and bar it from asking again.

        The order is measured: a broker goes on delivering to an outcast whose subscription stands.
        """
        await self._end(broker, node, [subscriber])
        if not outcast:
            return
        bare = subscriber.partition("/")[0]
        await self._ask(broker, "set", pubsub.set_affiliations(node, {bare: "outcast"}))
        held = pubsub.subscriptions_in(await self._ask(broker, "get", pubsub.ask_subscriptions(node)))
        await self._end(broker, node, [jid for jid in held if jid.partition("/")[0] == bare])

    async def _ensure(self, topic: Topic) -> None:
        try:
            await self._ask(topic.broker, "set", pubsub.create_node(topic.node, topic.configuration()))
            log.info("topic_created", broker=topic.broker, topic=topic.node)
        except StanzaRefused as refusal:
            if refusal.condition != "conflict":
                raise refused_setup(topic, self.us, refusal) from refusal
        check_owner(topic, self.us, await self._affiliations(topic))
        await self._repair(topic)

    async def _repair(self, topic: Topic) -> None:
        wrong = differences(topic, await self._configuration(topic))
        if not wrong:
            return
        try:
            await self._ask(topic.broker, "set", pubsub.set_configuration(topic.node, topic.configuration()))
        except StanzaRefused as refusal:
            raise refused_setup(topic, self.us, refusal) from refusal
        check_configuration(topic, await self._configuration(topic))
        log.warning("topic_repaired", broker=topic.broker, topic=topic.node, fields=sorted(wrong))
        if "pubsub#access_model" in wrong:
            await self._end_unruled(topic)

    async def _end_unruled(self, topic: Topic) -> None:
        # Brokers keep the subscribers of a topic that was open; nobody has ever ruled on them.
        held = pubsub.subscriptions_in(await self._ask(topic.broker, "get", pubsub.ask_subscriptions(topic.node)))
        await self._end(topic.broker, topic.node, list(held))
        log.warning("unruled_subscriptions_ended", broker=topic.broker, topic=topic.node, count=len(held))

    async def _end(self, broker: str, node: str, jids: Sequence[str]) -> None:
        if not jids:
            return
        try:
            await self._ask(broker, "set", pubsub.set_subscriptions(node, dict.fromkeys(jids, "none")))
        except StanzaRefused as refusal:
            if refusal.detail != "not-subscribed":
                raise
            if len(jids) > 1:  # one who left in between makes ejabberd leave the whole batch undone
                for jid in jids:
                    await self._end(broker, node, [jid])

    async def _pending_nodes(self, broker: str) -> frozenset[str]:
        try:
            return pubsub.pending_nodes_in(await self.stanzas.ask(broker, "set", pubsub.pending_command()))
        except StanzaRefused as refusal:
            if refusal.condition not in UNSUPPORTED:
                raise _sorted_out(refusal, broker) from refusal
            log.warning("recovery_unsupported", broker=broker, condition=refusal.condition)
            return frozenset()

    async def _affiliations(self, topic: Topic) -> dict[str, str]:
        try:
            return pubsub.affiliations_in(await self._ask(topic.broker, "get", pubsub.ask_affiliations(topic.node)))
        except StanzaRefused as refusal:
            raise ForeignTopic(topic.broker, topic.node, f"does not treat `{self.us}` as its owner ({refusal.condition})") from refusal

    async def _configuration(self, topic: Topic) -> Mapping[str, tuple[str, ...]]:
        return pubsub.configuration_in(await self._ask(topic.broker, "get", pubsub.ask_configuration(topic.node))).fields

    async def _ask(self, broker: str, kind: Question, payload: Element) -> Element:
        try:
            return await self.stanzas.ask(broker, kind, payload)
        except StanzaRefused as refusal:
            raise _sorted_out(refusal, broker) from refusal


def _sorted_out(refusal: StanzaRefused, broker: str) -> StanzaRefused | BrokerUnavailable:
    if refusal.condition in TRANSIENT:
        return BrokerUnavailable(
            f"`{broker}` cannot answer now: {refusal.message}", mend="it is tried again; see the broker's log if it lasts"
        )
    return refusal


def _unanswerable(refusal: StanzaRefused, broker: str, node: str, subscriber: str) -> PeerError | OperatorError | BrokerUnavailable:
    match refusal.condition:
        case "unexpected-request":
            mend = "nothing: it was answered before, or taken back"
            return NothingPending(f"`{broker}` has no pending request of `{subscriber}` for `{node}`", mend=mend)
        case "forbidden" | "item-not-found":
            return ForeignTopic(broker, node, f"does not take our answers ({refusal.condition})")
        case _:
            return _sorted_out(refusal, broker)
