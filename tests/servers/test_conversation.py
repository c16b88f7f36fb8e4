"""What a platform, the broker and the clearinghouse say to each other about a subscription."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree.ElementTree import Element, canonicalize, tostring

import pytest
from structlog.testing import capture_logs

from clearinghouse.demo.incidents import incident
from clearinghouse.demo.platforms import Platform, Ruling
from clearinghouse.enforcers.broker import NothingPending
from clearinghouse.grid import pubsub
from clearinghouse.grid.stanzas import StanzaRefused
from clearinghouse.grid.topics import Subscriber, SubscriptionAsked
from tests.servers.worlds import BROKER, US, World, new_topic

PHISHING = incident(
    "2026-117",
    "Phishing against members, credentials posted to a host in 192.0.2.0/24",
    reporter="soc.example",
    contact="csirt@soc.example",
    now=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
)


def canonical(element: Element) -> str:
    return canonicalize(tostring(element), rewrite_prefixes=True)


async def test_approved_subscriber_receives_what_a_provider_publishes(world: World, analyst: Platform, provider: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.set_publishers(topic, ["provider@soc.example"])
        assert await analyst.subscribe(topic.node) == "pending"
        asked = await house.asked()
        who = Subscriber("analyst@csirt.example", "analyst@csirt.example", "analyst@csirt.example", "csirt.example")
        assert asked == SubscriptionAsked(BROKER, topic.node, who)
        await house.rule(asked, approve=True)
        assert await analyst.ruling() == Ruling(topic.node, "analyst@csirt.example", "subscribed")
        await provider.publish(topic.node, PHISHING)
        delivered = await analyst.delivery()
        assert (delivered.node, canonical(delivered.payload)) == (topic.node, canonical(PHISHING))
        assert [canonical(kept) for kept in await analyst.fetch(topic.node)] == [canonical(PHISHING)]


async def test_denied_subscriber_never_receives_it(world: World, analyst: Platform, outsider: Platform, provider: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.set_publishers(topic, ["provider@soc.example"])
        await outsider.subscribe(topic.node)
        await house.rule(await house.asked(), approve=False)
        assert (await outsider.ruling()).state == "none"
        await analyst.subscribe(topic.node)
        await house.rule(await house.asked(), approve=True)
        await provider.publish(topic.node, PHISHING)
        await analyst.delivery()
        with pytest.raises(StanzaRefused, match="forbidden"):
            await outsider.fetch(topic.node)
        assert outsider.deliveries.empty()


async def test_subscriber_who_waits_receives_nothing(world: World, analyst: Platform, outsider: Platform, provider: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.set_publishers(topic, ["provider@soc.example"])
        await outsider.subscribe(topic.node)
        await house.asked()
        await analyst.subscribe(topic.node)
        await house.rule(await house.asked(), approve=True)
        await provider.publish(topic.node, PHISHING)
        await analyst.delivery()
        with pytest.raises(StanzaRefused, match=r"not-authorized \(pending-subscription\)"):
            await outsider.subscribe(topic.node)
        assert outsider.deliveries.empty()


async def test_full_jid_is_answered_as_it_was_asked(world: World, analyst: Platform, provider: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.set_publishers(topic, ["provider@soc.example"])
        await analyst.subscribe(topic.node, analyst.jid)
        asked = await house.asked()
        assert (asked.subscriber.bare, asked.subscriber.full) == ("analyst@csirt.example", "analyst@csirt.example/desk")
        with pytest.raises(NothingPending):
            await house.owner.answer(BROKER, topic.node, asked.subscriber.bare, approve=True)
        await house.rule(asked, approve=True)
        assert (await analyst.ruling()).jid == "analyst@csirt.example/desk"
        await provider.publish(topic.node, PHISHING)
        assert (await analyst.delivery()).node == topic.node


async def test_second_answer_is_refused_and_the_first_stands(world: World, analyst: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await analyst.subscribe(topic.node)
        asked = await house.asked()
        await house.rule(asked, approve=True)
        with pytest.raises(NothingPending, match="no pending request of `analyst@"):
            await house.rule(asked, approve=False)
        held = pubsub.subscriptions_in(await house.exchange.ask(BROKER, "get", pubsub.ask_subscriptions(topic.node)))
        assert held == {"analyst@csirt.example": "subscribed"}


async def test_request_taken_back_is_no_longer_pending(world: World, analyst: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await analyst.subscribe(topic.node)
        asked = await house.asked()
        await analyst.unsubscribe(topic.node)
        with pytest.raises(NothingPending):
            await house.rule(asked, approve=True)


async def test_request_made_while_we_were_away_comes_again(world: World, analyst: Platform, outsider: Platform) -> None:
    topic, quiet = new_topic(), new_topic()
    async with world.house(topic, quiet) as house:
        await house.owner.ensure_topics([topic, quiet])
        await analyst.subscribe(topic.node)
        before = await house.asked()
    await outsider.subscribe(topic.node)
    async with world.house(topic, quiet) as house:
        await house.owner.recover([topic, quiet])
        again = {asked.subscriber.bare: asked for asked in (await house.asked(), await house.asked())}
        assert again.keys() == {"analyst@csirt.example", "outsider@csirt.example"}
        assert again["analyst@csirt.example"] == before
        await house.rule(again["outsider@csirt.example"], approve=True)
        assert (await outsider.ruling()).state == "subscribed"


async def test_recovery_leaves_other_peoples_topics_alone(world: World, analyst: Platform) -> None:
    topic, other = new_topic(), new_topic()
    async with world.house(other) as house:
        await house.owner.ensure_topics([topic, other])
        await analyst.subscribe(topic.node)
        await house.owner.recover([other])
        await house.settle()
        assert house.heard.empty()


async def test_form_about_a_topic_that_is_not_ours_is_ignored(world: World, analyst: Platform) -> None:
    topic, other = new_topic(), new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic, other])
        with capture_logs() as logs:
            await analyst.subscribe(other.node)
            await house.settle()
        assert house.heard.empty()
        refused = [entry for entry in logs if entry["event"] == "form_refused"]
        assert [(entry["log_level"], entry["reason"], entry["sender"]) for entry in refused] == [("warning", "foreign-topic", BROKER)]


async def test_form_of_a_stranger_is_ignored_with_one_warning(world: World, outsider: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        with capture_logs() as logs:
            for _ in range(3):
                outsider.link.say(forged_form(topic.node))
            with pytest.raises(StanzaRefused, match="service-unavailable"):
                await outsider.link.ask(US, "get", Element("{urn:xmpp:ping}ping"))  # all before it has arrived
        assert house.heard.empty()
        refused = [entry for entry in logs if entry["event"] == "form_refused"]
        assert [(entry["reason"], entry["sender"]) for entry in refused] == [("unknown-broker", outsider.jid)]


async def test_withdrawn_subscriber_receives_nothing_more(world: World, analyst: Platform, outsider: Platform, provider: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.set_publishers(topic, ["provider@soc.example"])
        for platform in (analyst, outsider):
            await platform.subscribe(topic.node)
            await house.rule(await house.asked(), approve=True)
            await platform.ruling()
        await house.owner.end(BROKER, topic.node, ["outsider@csirt.example"], affiliation="none")
        assert (await outsider.ruling()).state == "none"
        await provider.publish(topic.node, PHISHING)
        await analyst.delivery()
        assert outsider.deliveries.empty()
        assert await outsider.subscribe(topic.node) == "pending"


async def test_outcast_loses_every_resource_and_may_not_ask_again(world: World, outsider: Platform, provider: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.set_publishers(topic, ["provider@soc.example"])
        for jid in ("outsider@csirt.example", outsider.jid):
            await outsider.subscribe(topic.node, jid)
            await house.rule(await house.asked(), approve=True)
        await house.owner.end(BROKER, topic.node, ["outsider@csirt.example"], affiliation="outcast")
        await provider.publish(topic.node, PHISHING)
        rulings = [await outsider.ruling() for _ in range(4)]
        assert [ruling.state for ruling in rulings] == ["subscribed", "subscribed", "none", "none"]
        with pytest.raises(StanzaRefused, match="forbidden"):
            await outsider.subscribe(topic.node)
        assert outsider.deliveries.empty()


async def test_withdrawing_what_nobody_has_is_no_error(world: World) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.end(BROKER, topic.node, ["analyst@csirt.example"], affiliation="none")
        await house.owner.end(BROKER, topic.node, ["analyst@csirt.example"], affiliation="outcast")
        await house.owner.end(BROKER, "no such topic", ["analyst@csirt.example"], affiliation="outcast")


def forged_form(node: str) -> Element:
    """The broker's question, as anybody can write it."""
    message = pubsub.authorization(US, node, "outsider@csirt.example", approve=True)
    message[0].set("type", "form")
    return message
