"""White lists, publishers and new topics, at every broker."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from xml.etree.ElementTree import Element

import pytest

from clearinghouse.clearing.enforcement import AdmitMember, AdmitPublisher, CreateTopic
from clearinghouse.clearing.request import Place
from clearinghouse.demo.platforms import Platform
from clearinghouse.enforcers.broker import TopicOwner
from clearinghouse.enforcers.topics import TopicExists
from clearinghouse.errors import BrokerUnavailable
from clearinghouse.grid import pubsub
from clearinghouse.grid.namespaces import IODEF
from clearinghouse.grid.stanzas import Question, StanzaRefused, Stanzas
from clearinghouse.grid.topics import AccessModel, Topic
from tests.servers.worlds import BROKER, US, House, World, new_topic

ANALYST, OUTSIDER, PROVIDER = "analyst@csirt.example", "outsider@csirt.example", "provider@soc.example"
REPORT = Element(f"{{{IODEF}}}IODEF-Document", version="2.0")


def listed() -> Topic:
    return replace(new_topic(), access_model="whitelist")


async def test_member_subscribes_at_once_and_nobody_else_at_all(world: World, analyst: Platform, outsider: Platform) -> None:
    topic = listed()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.set_members(topic, {ANALYST: "member", PROVIDER: "publisher"})
        assert await analyst.subscribe(topic.node) == "subscribed"
        with pytest.raises(StanzaRefused, match=r"forbidden|not-allowed \(closed-node\)"):
            await outsider.subscribe(topic.node)
        with pytest.raises(StanzaRefused, match=r"forbidden|not-allowed \(closed-node\)"):
            await outsider.fetch(topic.node)
        assert await analyst.fetch(topic.node) == []


@pytest.mark.parametrize("role", ["none", "outcast", "publish-only"])
async def test_who_loses_its_place_in_the_list_is_told_and_receives_nothing(
    world: World, analyst: Platform, outsider: Platform, provider: Platform, role: str
) -> None:
    topic = listed()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.set_members(topic, {ANALYST: "member", OUTSIDER: "member", PROVIDER: "publisher"})
        for platform, jid in ((analyst, ANALYST), (outsider, OUTSIDER), (outsider, outsider.jid)):
            assert await platform.subscribe(topic.node, jid) == "subscribed"
        await house.owner.set_members(topic, {OUTSIDER: role})
        await provider.publish(topic.node, REPORT)
        await analyst.delivery()
        assert {(ruling.jid, ruling.state) for ruling in [await outsider.ruling(), await outsider.ruling()]} == {
            (OUTSIDER, "none"),
            (outsider.jid, "none"),
        }
        assert outsider.deliveries.empty()
        with pytest.raises(StanzaRefused, match=r"forbidden|not-allowed"):
            await outsider.subscribe(topic.node)
        expected = {US: "owner", ANALYST: "member", PROVIDER: "publisher"} | ({OUTSIDER: role} if role != "none" else {})
        assert (await house.owner.state(topic)).affiliations == expected


async def test_losing_the_right_to_publish_ends_no_subscription_that_was_decided(world: World, analyst: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.set_affiliations(topic, {ANALYST: "publisher"})
        await analyst.subscribe(topic.node)
        await house.rule(await house.asked(), approve=True)
        await house.owner.set_affiliations(topic, {ANALYST: "none"})
        assert (await house.owner.state(topic)).subscribed == {ANALYST}
        await house.owner.set_affiliations(topic, {ANALYST: "outcast"})
        assert (await house.owner.state(topic)).subscribed == frozenset()


async def test_who_may_only_publish_reads_nothing(world: World, provider: Platform) -> None:
    topic = listed()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.set_members(topic, {PROVIDER: "publish-only"})
        await provider.publish(topic.node, REPORT)
        with pytest.raises(StanzaRefused):
            await provider.fetch(topic.node)
        with pytest.raises(StanzaRefused):
            await provider.subscribe(topic.node)


async def test_admitting_somebody_adds_to_what_it_may(world: World) -> None:
    topic = listed()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        place = Place(BROKER, topic.node, "analyst@csirt.example/desk")
        roles = []
        for step in (AdmitMember(place, "d"), AdmitPublisher(place, "d"), AdmitMember(place, "d"), AdmitPublisher(place, "d")):
            await house.owner.carry_out(step)
            roles.append((await house.owner.state(topic)).affiliations[ANALYST])
        assert roles == ["member", "publisher", "publisher", "publisher"]


async def test_platform_gets_a_topic_of_ours_and_publishes_there(world: World, provider: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        create = CreateTopic(Place(BROKER, topic.node, PROVIDER), IODEF, "Sightings", "d")
        for _ in range(2):  # we may have died before the first was noted
            await house.owner.carry_out(create)
        await provider.publish(topic.node, REPORT)
        assert (await house.owner.state(topic)).affiliations == {US: "owner", PROVIDER: "publisher"}


async def test_name_that_is_taken_is_refused_and_the_topic_left_as_it_is(world: World, provider: Platform, operator: Platform) -> None:
    ours, foreign = new_topic(), new_topic()
    async with world.house(ours, foreign) as house:
        await house.owner.ensure_topics([ours])
        await house.owner.set_publishers(ours, ["analyst@csirt.example"])
        await operator.link.ask(BROKER, "set", pubsub.create_node(foreign.node, foreign.configuration()))
        for topic in (ours, foreign, replace(ours, payload_type="urn:other")):
            with pytest.raises(TopicExists, match=f"a topic `{topic.node}`"):
                await house.owner.create(topic, PROVIDER)
        assert (await house.owner.state(ours)).affiliations == {US: "owner", ANALYST: "publisher"}
        with pytest.raises(StanzaRefused, match="forbidden"):
            await provider.publish(ours.node, REPORT)


@dataclass(slots=True)
class Dying:
    """A link on which nothing gets through any more after so many questions."""

    stanzas: Stanzas
    left: int
    asked: int = field(default=0)

    async def ask(self, to: str, kind: Question, payload: Element) -> Element:
        if self.asked == self.left:
            raise BrokerUnavailable("we died", mend="")
        self.asked += 1
        return await self.stanzas.ask(to, kind, payload)

    async def tell(self, message: Element) -> None:
        await self.stanzas.tell(message)


@pytest.mark.parametrize("before, after", [("open", "authorize"), ("open", "whitelist"), ("whitelist", "authorize")])
async def test_dying_at_any_step_of_a_repair_leaves_no_subscriber_whom_nobody_ruled_on(
    world: World, outsider: Platform, before: str, after: AccessModel
) -> None:
    for step in count():
        topic = replace(new_topic(), access_model=after)
        async with world.house(topic) as house:
            was = topic.configuration() | {"pubsub#access_model": before}
            await house.exchange.ask(BROKER, "set", pubsub.create_node(topic.node, was))
            await house.exchange.ask(BROKER, "set", pubsub.set_affiliations(topic.node, {OUTSIDER: "member"}))
            assert await outsider.subscribe(topic.node) == "subscribed"
            dying = Dying(house.exchange, step)
            died = not await repaired(TopicOwner(dying, US), topic)
            assert await repaired(house.owner, topic)
            assert await wrong(house, topic) == (frozenset(), after)
        if not died:
            break
    assert step > 4


async def repaired(owner: TopicOwner, topic: Topic) -> bool:
    try:
        await owner.ensure_topics([topic])
    except BrokerUnavailable:
        return False
    return True


async def wrong(house: House, topic: Topic) -> tuple[frozenset[str], str]:
    found = pubsub.configuration_in(await house.exchange.ask(BROKER, "get", pubsub.ask_configuration(topic.node)))
    return (await house.owner.state(topic)).subscribed, found.one("pubsub#access_model")
