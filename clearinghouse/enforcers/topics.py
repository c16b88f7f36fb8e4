"""Making a node the topic that it should be, so that dying at any step leaves what the next start completes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import structlog

from clearinghouse.enforcers.hands import Hands
from clearinghouse.enforcers.topic_setup import ForeignTopic, check_configuration, check_owner, differences, refused_setup
from clearinghouse.errors import PeerError
from clearinghouse.grid import pubsub
from clearinghouse.grid.stanzas import StanzaRefused
from clearinghouse.grid.topics import AccessModel, Topic

log = structlog.get_logger(__name__)

MEANWHILE: Final[Mapping[AccessModel, AccessModel]] = {"authorize": "whitelist", "whitelist": "authorize"}
"""Which model a node has while subscriptions of its former life are ended: nobody gets in by it unasked, and it
is not the one that is wanted, so that whoever finds it knows that this is not done yet."""


class TopicExists(PeerError):
    """Somebody wants to create a topic whose name is taken."""

    code: ClassVar[str] = "topic-exists"


@dataclass(frozen=True, slots=True)
class Topics:
    """Sets up topics as their owner *us*; raises `ForeignTopic`, `BrokerUnavailable`, and `OperatorError` where settings must change."""

    hands: Hands
    us: str

    async def ensure(self, topic: Topic) -> None:
        """Make *topic* exist, ours alone and configured as wanted."""
        await self._made(topic)
        check_owner(topic, self.us, await self._affiliations(topic))
        await self._repair(topic)

    async def create(self, topic: Topic, publisher: str) -> None:
        """Make *topic* exist for the bare JID *publisher*; one that is there must be what this would have made."""
        if await self._made(topic):
            check_owner(topic, self.us, await self._affiliations(topic))
            return
        try:
            held = await self.hands.affiliations(topic.broker, topic.node)
            wrong = differences(topic, await self.hands.configuration(topic.broker, topic.node))
        except StanzaRefused as refusal:
            raise _taken(topic) from refusal
        # We may have died after making it: then nobody but us, or nobody but this publisher, has a part in it.
        if wrong or held.get(self.us) != "owner" or not held.keys() <= {self.us, publisher}:
            raise _taken(topic)

    async def _made(self, topic: Topic) -> bool:
        """Return whether the node is new."""
        try:
            await self.hands.ask(topic.broker, "set", pubsub.create_node(topic.node, topic.configuration()))
        except StanzaRefused as refusal:
            if refusal.condition != "conflict":
                raise refused_setup(topic, self.us, refusal) from refusal
            return False
        log.info("topic_created", broker=topic.broker, topic=topic.node)
        return True

    async def _repair(self, topic: Topic) -> None:
        wrong = differences(topic, await self.hands.configuration(topic.broker, topic.node))
        if not wrong:
            return
        if "pubsub#access_model" in wrong:
            await self._end_unruled(topic)
        await self._configure(topic)
        check_configuration(topic, await self.hands.configuration(topic.broker, topic.node))
        log.warning("topic_repaired", broker=topic.broker, topic=topic.node, fields=sorted(wrong))

    async def _end_unruled(self, topic: Topic) -> None:
        """End every subscription at a topic that had another access model: nobody has ever ruled on them.

        The first pass is for brokers that end some of them at the change and tell nobody; between it and the
        change anybody can come back.
        """
        count = await self._end_all(topic)
        await self._configure(replace(topic, access_model=MEANWHILE[topic.access_model]))
        count += await self._end_all(topic)
        log.warning("unruled_subscriptions_ended", broker=topic.broker, topic=topic.node, count=count)

    async def _end_all(self, topic: Topic) -> int:
        held = await self.hands.subscribed(topic.broker, topic.node)
        await self.hands.end(topic.broker, topic.node, sorted(held))
        return len(held)

    async def _configure(self, topic: Topic) -> None:
        try:
            await self.hands.ask(topic.broker, "set", pubsub.set_configuration(topic.node, topic.configuration()))
        except StanzaRefused as refusal:
            raise refused_setup(topic, self.us, refusal) from refusal

    async def _affiliations(self, topic: Topic) -> dict[str, str]:
        try:
            return await self.hands.affiliations(topic.broker, topic.node)
        except StanzaRefused as refusal:
            raise ForeignTopic(topic.broker, topic.node, f"does not treat `{self.us}` as its owner ({refusal.condition})") from refusal


def _taken(topic: Topic) -> TopicExists:
    return TopicExists(f"there is a topic `{topic.node}` at `{topic.broker}` already", mend="choose another name, or ask to publish there")
