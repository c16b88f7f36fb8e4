"""Topics at the broker: made, found as they should be, mended, or left alone because they are not ours."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from clearinghouse.demo.incidents import incident
from clearinghouse.demo.platforms import Platform
from clearinghouse.demo.servers import Server
from clearinghouse.enforcers.topic_setup import ForeignTopic, differences
from clearinghouse.errors import OperatorError
from clearinghouse.grid import pubsub
from clearinghouse.grid.stanzas import StanzaRefused
from clearinghouse.grid.topics import Topic
from tests.servers.worlds import BROKER, OPERATOR, US, House, ServerWorld, World, new_topic

REPORT = incident("1", "A report", reporter="soc.example", contact="csirt@soc.example", now=datetime(2026, 11, 20, tzinfo=UTC))


async def configuration(house: House, topic: Topic) -> dict[str, tuple[str, ...]]:
    return dict(pubsub.configuration_in(await house.exchange.ask(BROKER, "get", pubsub.ask_configuration(topic.node))).fields)


async def affiliations(house: House, topic: Topic) -> dict[str, str]:
    return pubsub.affiliations_in(await house.exchange.ask(BROKER, "get", pubsub.ask_affiliations(topic.node)))


async def events(house: House, topic: Topic) -> list[str]:
    with capture_logs() as logs:
        await house.owner.ensure_topics([topic])
    return [entry["event"] for entry in logs]


async def test_new_topic_is_ours_alone_and_configured_as_wanted(world: World) -> None:
    topic = replace(new_topic(), title="Incidents & more", max_items=50)
    async with world.house(topic) as house:
        assert await events(house, topic) == ["topic_created"]
        found = await configuration(house, topic)
        assert differences(topic, found) == frozenset()
        assert (found["pubsub#access_model"], found["pubsub#title"]) == (("authorize",), ("Incidents & more",))
        assert await affiliations(house, topic) == {US: "owner"}


async def test_topic_that_is_as_wanted_is_left_alone(world: World) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        assert await events(house, topic) == []


async def test_wrong_configuration_is_mended(world: World) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        wrong = {"pubsub#send_last_published_item": "on_sub", "pubsub#title": "another", "pubsub#max_items": "5"}
        await house.exchange.ask(BROKER, "set", pubsub.create_node(topic.node, topic.configuration() | wrong))
        assert await events(house, topic) == ["topic_repaired"]
        assert differences(topic, await configuration(house, topic)) == frozenset()


async def test_who_subscribed_while_the_topic_was_open_has_to_ask(world: World, outsider: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.exchange.ask(BROKER, "set", pubsub.create_node(topic.node, {}))
        assert await outsider.subscribe(topic.node) == "subscribed"
        assert await events(house, topic) == ["unruled_subscriptions_ended", "topic_repaired"]
        assert (await outsider.ruling()).state == "none"
        assert await outsider.subscribe(topic.node) == "pending"


async def test_approved_subscribers_survive_a_mend_of_something_else(world: World, analyst: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await analyst.subscribe(topic.node)
        await house.rule(await house.asked(), approve=True)
        await house.owner.ensure_topics([replace(topic, title="renamed")])
        assert await analyst.subscribe(topic.node) == "subscribed"


async def test_topic_of_somebody_else_is_refused(world: World, operator: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await operator.link.ask(BROKER, "set", pubsub.create_node(topic.node, topic.configuration()))
        with pytest.raises(ForeignTopic, match=rf"`{topic.node}` at `{BROKER}` (does not treat|is not owned by) `{US}`"):
            await house.owner.ensure_topics([topic])


async def test_second_owner_is_named(world: World) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.exchange.ask(BROKER, "set", pubsub.set_affiliations(topic.node, {OPERATOR: "owner"}))
        with pytest.raises(ForeignTopic, match=f"has other owners: `{OPERATOR}`"):
            await house.owner.ensure_topics([topic])


async def test_one_topic_that_cannot_be_had_does_not_keep_the_others_away(world: World, operator: Platform) -> None:
    foreign, topic = new_topic(), new_topic()
    async with world.house(topic) as house:
        await operator.link.ask(BROKER, "set", pubsub.create_node(foreign.node, {}))
        with pytest.raises(ForeignTopic):
            await house.owner.ensure_topics([foreign, topic])
        assert differences(topic, await configuration(house, topic)) == frozenset()


async def test_value_beyond_the_brokers_limit_is_the_operators_to_mend(world: World) -> None:
    topic = replace(new_topic(), max_items=100_000)
    async with world.house(topic) as house:
        with pytest.raises(OperatorError, match="max_items_node"):
            await house.owner.ensure_topics([topic])


async def test_publishers_are_exactly_those_named(world: World, provider: Platform, operator: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.set_publishers(topic, ["provider@soc.example", US])
        await provider.publish(topic.node, REPORT)
        await house.owner.set_publishers(topic, [OPERATOR])
        await operator.publish(topic.node, REPORT)
        with pytest.raises(StanzaRefused, match="forbidden"):
            await provider.publish(topic.node, REPORT)
        assert await affiliations(house, topic) == {US: "owner", OPERATOR: "publisher"}


async def test_unchanged_publishers_cost_no_change(world: World) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.set_publishers(topic, [OPERATOR])
        with capture_logs() as logs:
            await house.owner.set_publishers(topic, [OPERATOR])
        assert logs == []


@pytest.mark.servers
async def test_of_several_owners_added_at_once_ejabberd_believes_the_last_only(server: Server) -> None:
    """Why the clearinghouse stays alone, and what the page on brokers says of it."""
    world, topic = ServerWorld(server), new_topic()
    async with world.house(topic) as house, world.platform(OPERATOR) as operator, world.platform("analyst@csirt.example") as analyst:
        await house.owner.ensure_topics([topic])
        owners = {OPERATOR: "owner", "provider@soc.example": "owner"}
        await house.exchange.ask(BROKER, "set", pubsub.set_affiliations(topic.node, owners))
        await analyst.subscribe(topic.node)
        operator.link.say(pubsub.authorization(BROKER, topic.node, "analyst@csirt.example", approve=True))
        with suppress(StanzaRefused):
            await operator.fetch(topic.node)  # when this is answered, so is the message
        expected = {"analyst@csirt.example"} if server.name == "prosody" else frozenset()
        assert (await house.owner.state(topic)).subscribed == expected
