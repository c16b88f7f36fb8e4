"""The clearinghouse as owner of the broker's topics: the hands of a decision about a subscription.

XEP-0060 gives everything to a node's owner: its configuration, who may publish, who is subscribed.
The clearinghouse must be the *only* owner, since any other one could approve behind its back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, assert_never

import structlog

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
from clearinghouse.enforcers.hands import Hands, bare, sorted_out
from clearinghouse.enforcers.topic_setup import ForeignTopic
from clearinghouse.enforcers.topics import Topics
from clearinghouse.errors import BrokerUnavailable, OperatorError, PeerError
from clearinghouse.grid import pubsub
from clearinghouse.grid.stanzas import StanzaRefused, Stanzas
from clearinghouse.grid.topics import Topic

log = structlog.get_logger(__name__)

UNSUPPORTED: Final = frozenset({"feature-not-implemented", "item-not-found", "not-allowed", "service-unavailable"})
"""How brokers say that they do not know the command which brings lost requests back."""

READS: Final = frozenset({"owner", "publisher", "member"})
"""The affiliations that a white list lets in (XEP-0060, section 4.5)."""

WRITES: Final = frozenset({"owner", "publisher", "publish-only"})
"""The affiliations that may publish (section 4.1)."""


class NothingPending(PeerError):
    """The request that was answered is not (or no longer) pending at the broker."""

    code: ClassVar[str] = "nothing-pending"


@dataclass(frozen=True, slots=True)
class NodeState:
    """Who is what at a node, as its broker tells an owner: bare JIDs, and *subscribed* as the subscribers were written."""

    owners: frozenset[str]
    affiliations: Mapping[str, str]
    subscribed: frozenset[str]


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
                await Topics(self._hands, self.us).ensure(topic)
            except (OperatorError, PeerError) as error:
                log.warning("topic_refused", broker=topic.broker, topic=topic.node, reason=error.message, mend=error.mend)
                failures.append(error)
        if failures:
            raise failures[0]

    async def create(self, topic: Topic, publisher: str) -> None:
        """Make *topic* exist with the bare JID *publisher* as its only one; doing it again is safe.

        Raises `TopicExists` when there is another topic of that name, or one of somebody else.
        """
        await Topics(self._hands, self.us).create(topic, publisher)
        await self.add_publisher(topic.broker, topic.node, publisher)

    async def set_publishers(self, topic: Topic, jids: Iterable[str]) -> None:
        """Let exactly the bare *jids* publish to *topic* (and us, who own it)."""
        current = await self._affiliations(topic)
        wanted = dict.fromkeys(set(jids) - {self.us}, "publisher")
        changes = {jid: "none" for jid, held in current.items() if held.startswith("publish") and jid not in wanted}
        changes |= {jid: held for jid, held in wanted.items() if current.get(jid) != held}
        if changes:
            await self.set_affiliations(topic, dict(sorted(changes.items())))
            log.info("publishers_set", broker=topic.broker, topic=topic.node, changes=len(changes))

    async def add_publisher(self, broker: str, node: str, jid: str) -> None:
        """Let the bare *jid* publish at *node*, besides what it may already."""
        await self._raise(broker, node, jid, "publisher", enough=WRITES)

    async def add_member(self, broker: str, node: str, jid: str) -> None:
        """Let the bare *jid* subscribe at the white list of *node*, besides what it may already."""
        await self._raise(broker, node, jid, "member", enough=READS)

    async def set_members(self, topic: Topic, wanted: Mapping[str, str]) -> None:
        """Give exactly the named bare JIDs the affiliations *wanted*, and end the subscriptions of those who may no longer read.

        Raises `ForeignTopic` when we may not.
        """
        await self._affiliate(topic.broker, topic.node, wanted, frozenset(jid for jid, role in wanted.items() if role not in READS))

    async def set_affiliations(self, topic: Topic, wanted: Mapping[str, str]) -> None:
        """Give exactly the named bare JIDs the affiliations *wanted*, and end the subscriptions of outcasts.

        Where each subscription is decided, somebody who may no longer publish may still read; at a white list it may not.
        """
        if topic.access_model == "whitelist":
            await self.set_members(topic, wanted)
        else:
            await self._affiliate(topic.broker, topic.node, wanted, frozenset(jid for jid, role in wanted.items() if role == "outcast"))

    async def carry_out(self, what: Enforcement) -> None:
        """Make true at the broker what a decision says; raises what `answer`, `create` and `set_members` raise."""
        match what:
            case ApproveSubscription(place) | RefuseSubscription(place):
                approve = isinstance(what, ApproveSubscription)
                await self.answer(place.broker, place.node, place.subscriber, approve=approve, subid=place.subid)
            case AdmitMember(place):
                await self.add_member(place.broker, place.node, bare(place.subscriber))
            case AdmitPublisher(place):
                await self.add_publisher(place.broker, place.node, bare(place.subscriber))
            case CreateTopic(place, payload_type, title):
                await self.create(Topic(place.broker, place.node, payload_type, title), bare(place.subscriber))
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
                await self._hands.ask(broker, "set", pubsub.pending_command(node))
                log.info("pending_recovered", broker=broker, topic=node)

    async def end(self, broker: str, node: str, subscribers: Sequence[str], *, affiliation: Literal["none", "outcast"]) -> None:
        """End the subscriptions of *subscribers*, as the broker wrote them, and give their bare JIDs *affiliation*, in one pass.

        With ``outcast`` whatever else a bare JID has there ends too, and it may not ask again; with ``none`` it may,
        and somebody who publishes goes on doing so.  When this returns, nothing more is sent to any of them.  Who
        has left already does not matter, nor that the node has gone.  Raises `ForeignTopic` when we may not.

        The order is measured: a broker goes on delivering to an outcast whose subscription stands.
        """
        try:
            await self._end(broker, node, subscribers, affiliation)
        except StanzaRefused as refusal:
            if refusal.condition != "item-not-found":
                raise _foreign(refusal, broker, node) from refusal
            log.warning("ended_at_no_node", broker=broker, topic=node, count=len(subscribers))

    async def state(self, topic: Topic) -> NodeState:
        """Return who is what at *topic* now, for a comparison with what was decided; raises `ForeignTopic`."""
        affiliations = await self._affiliations(topic)
        owners = frozenset(jid for jid, held in affiliations.items() if held == "owner")
        return NodeState(owners, affiliations, await self._hands.subscribed(topic.broker, topic.node))

    @property
    def _hands(self) -> Hands:
        return Hands(self.stanzas)

    async def _end(self, broker: str, node: str, subscribers: Sequence[str], affiliation: str) -> None:
        bares = frozenset(map(bare, subscribers)) - {self.us}
        await self._hands.end(broker, node, subscribers)
        held = await self._hands.affiliations(broker, node)
        kept = WRITES if affiliation == "none" else {"owner"}
        changes = {jid: affiliation for jid in sorted(bares) if held.get(jid, "none") not in {affiliation, *kept}}
        await self._hands.affiliate(broker, node, changes)
        if affiliation == "outcast":  # also what was asked for and granted until a moment ago
            await self._hands.end_all_of(broker, node, bares)

    async def _affiliate(self, broker: str, node: str, wanted: Mapping[str, str], losing: frozenset[str]) -> None:
        try:
            if losing:
                await self._hands.end_all_of(broker, node, losing)
            await self._hands.affiliate(broker, node, wanted)
            if losing:  # who was a member until now may have subscribed once more
                await self._hands.end_all_of(broker, node, losing)
        except StanzaRefused as refusal:
            raise _foreign(refusal, broker, node) from refusal

    async def _raise(self, broker: str, node: str, jid: str, role: str, *, enough: frozenset[str]) -> None:
        try:
            held = (await self._hands.affiliations(broker, node)).get(jid, "none")
            if held not in enough:
                both = "publisher" if held in READS | WRITES else role
                await self._hands.affiliate(broker, node, {jid: both})
        except StanzaRefused as refusal:
            raise _foreign(refusal, broker, node) from refusal

    async def _pending_nodes(self, broker: str) -> frozenset[str]:
        try:
            return pubsub.pending_nodes_in(await self.stanzas.ask(broker, "set", pubsub.pending_command()))
        except StanzaRefused as refusal:
            if refusal.condition not in UNSUPPORTED:
                raise sorted_out(refusal, broker) from refusal
            log.warning("recovery_unsupported", broker=broker, condition=refusal.condition)
            return frozenset()

    async def _affiliations(self, topic: Topic) -> dict[str, str]:
        try:
            return await self._hands.affiliations(topic.broker, topic.node)
        except StanzaRefused as refusal:
            raise ForeignTopic(topic.broker, topic.node, f"does not treat `{self.us}` as its owner ({refusal.condition})") from refusal


def _foreign(refusal: StanzaRefused, broker: str, node: str) -> ForeignTopic | StanzaRefused:
    if refusal.condition in {"forbidden", "item-not-found"}:
        return ForeignTopic(broker, node, f"does not take our changes ({refusal.condition})")
    return refusal


def _unanswerable(refusal: StanzaRefused, broker: str, node: str, subscriber: str) -> PeerError | OperatorError | BrokerUnavailable:
    match refusal.condition:
        case "unexpected-request":
            mend = "nothing: it was answered before, or taken back"
            return NothingPending(f"`{broker}` has no pending request of `{subscriber}` for `{node}`", mend=mend)
        case "forbidden" | "item-not-found":
            return ForeignTopic(broker, node, f"does not take our answers ({refusal.condition})")
        case _:
            return sorted_out(refusal, broker)
