"""What brokers refuse, and how they say it: the broker in memory must be told apart from ejabberd by nobody.

Where Prosody with our module says it differently, the page on brokers says so too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

import pytest

from clearinghouse.demo.platforms import Platform
from clearinghouse.grid import pubsub
from clearinghouse.grid.namespaces import PUBSUB
from clearinghouse.grid.stanzas import Question, StanzaRefused
from tests.servers.worlds import BROKER, US, World, new_topic

ANALYST = "analyst@csirt.example"
OUTSIDER = "outsider@csirt.example"


@dataclass(frozen=True, slots=True)
class Case:
    note: str
    kind: Question
    payload: Callable[[str], Element]
    want: str
    who: str = "owner"
    prosody: str = ""


def request(name: str, **attributes: str) -> Element:
    payload = Element(f"{{{PUBSUB}}}pubsub")
    SubElement(payload, f"{{{PUBSUB}}}{name}", attributes)
    return payload


def publish(node: str, *payloads: str) -> Element:
    payload = request("publish", node=node)
    item = SubElement(payload[0], f"{{{PUBSUB}}}item")
    for tag in payloads:
        SubElement(item, tag)
    return payload


def completed(node: str) -> Element:
    command = pubsub.pending_command(node)
    command.set("action", "complete")
    return command


CASES = [
    Case("create twice", "set", lambda node: pubsub.create_node(node, {}), "conflict"),
    Case("create without the right", "set", lambda node: pubsub.create_node(f"{node}-x", {}), "forbidden", "outsider"),
    Case(
        "subscribe somebody else", "set", lambda node: request("subscribe", node=node, jid=ANALYST), "bad-request (invalid-jid)", "outsider"
    ),
    Case("subscribe to nothing", "set", lambda _: request("subscribe", node="nothing", jid=OUTSIDER), "item-not-found", "outsider"),
    Case("unsubscribe somebody else", "set", lambda node: request("unsubscribe", node=node, jid=ANALYST), "forbidden", "outsider"),
    Case(
        "unsubscribe nobody",
        "set",
        lambda node: request("unsubscribe", node=node, jid=OUTSIDER),
        "unexpected-request (not-subscribed)",
        "outsider",
    ),
    Case("publish without the right", "set", lambda node: publish(node, "{urn:x}a"), "forbidden", "outsider"),
    Case("publish to nothing", "set", lambda _: publish("nothing", "{urn:x}a"), "item-not-found", "outsider", prosody="forbidden"),
    Case("publish no item", "set", lambda node: request("publish", node=node), "bad-request (item-required)"),
    Case("publish an empty item", "set", publish, "bad-request (item-required)"),
    Case("publish two payloads", "set", lambda node: publish(node, "{urn:x}a", "{urn:x}b"), "bad-request (invalid-payload)"),
    Case("fetch without the right", "get", lambda node: request("items", node=node), "forbidden", "outsider"),
    Case("see the configuration", "get", pubsub.ask_configuration, "forbidden", "outsider"),
    Case("open the topic", "set", lambda node: pubsub.set_configuration(node, {"pubsub#access_model": "open"}), "forbidden", "outsider"),
    Case("see the subscribers", "get", pubsub.ask_subscriptions, "forbidden", "outsider"),
    Case("become owner", "set", lambda node: pubsub.set_affiliations(node, {OUTSIDER: "owner"}), "forbidden", "outsider"),
    Case("approve oneself", "set", lambda node: pubsub.set_subscriptions(node, {OUTSIDER: "subscribed"}), "forbidden", "outsider"),
    Case("see pending requests", "set", pubsub.pending_command, "forbidden", "outsider"),
    Case("complete the command, as offered", "set", completed, "item-not-found", prosody="done"),
    Case(
        "end a subscription that is none",
        "set",
        lambda n: pubsub.set_subscriptions(n, {OUTSIDER: "none"}),
        "bad-request (not-subscribed)",
        prosody="done",
    ),
    Case(
        "set an unknown field",
        "set",
        lambda node: pubsub.set_configuration(node, {"pubsub#nonsense": "1"}),
        "resource-constraint",
        prosody="done",
    ),
    Case(
        "set a bad value",
        "set",
        lambda node: pubsub.set_configuration(node, {"pubsub#access_model": "x"}),
        "resource-constraint",
        prosody="not-acceptable",
    ),
    Case(
        "set too many items",
        "set",
        lambda node: pubsub.set_configuration(node, {"pubsub#max_items": "1001"}),
        "resource-constraint",
        prosody="bad-request",
    ),
    Case("ask something else", "get", lambda _: Element("{urn:xmpp:ping}ping"), "service-unavailable"),
]


async def said(ask: Callable[[str, Question, Element], Awaitable[Element]], case: Case, node: str) -> str:
    try:
        await ask(BROKER, case.kind, case.payload(node))
    except StanzaRefused as refusal:
        return f"{refusal.condition} ({refusal.detail})" if refusal.detail else refusal.condition
    return "done"


async def test_broker_refuses(world: World, outsider: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        asks = {"owner": house.exchange.ask, "outsider": outsider.link.ask}
        found = {case.note: await said(asks[case.who], case, topic.node) for case in CASES}
        assert found == {case.note: (world.make == "prosody" and case.prosody) or case.want for case in CASES}


async def test_last_owner_stays(world: World) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        with suppress(StanzaRefused) if world.make == "prosody" else nullcontext():
            await house.exchange.ask(BROKER, "set", pubsub.set_affiliations(topic.node, {US: "none"}))
        held = pubsub.affiliations_in(await house.exchange.ask(BROKER, "get", pubsub.ask_affiliations(topic.node)))
        assert held == {US: "owner"}


async def test_one_who_left_keeps_nobody_else_from_being_ended(world: World, outsider: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await outsider.subscribe(topic.node)
        await house.rule(await house.asked(), approve=True)
        both = [ANALYST, OUTSIDER]
        if world.make != "prosody":  # a batch is all or nothing, and there one who is none has to be left out
            with pytest.raises(StanzaRefused, match="not-subscribed"):
                await house.exchange.ask(BROKER, "set", pubsub.set_subscriptions(topic.node, dict.fromkeys(both, "none")))
            assert await outsider.subscribe(topic.node) == "subscribed"
        await house.owner.end(BROKER, topic.node, both, affiliation="none")
        assert await outsider.subscribe(topic.node) == "pending"


async def test_pending_request_can_be_withdrawn(world: World, analyst: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await analyst.subscribe(topic.node)
        await house.asked()
        await house.owner.end(BROKER, topic.node, [ANALYST], affiliation="none")
        assert (await analyst.ruling()).state == "none"


async def test_pending_request_is_no_subscription_whether_or_not_the_broker_lists_it(world: World, analyst: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await analyst.subscribe(topic.node)
        await house.asked()
        held = await house.exchange.ask(BROKER, "get", pubsub.ask_subscriptions(topic.node))
        assert pubsub.subscriptions_in(held) == ({ANALYST: "pending"} if world.make == "prosody" else {})
        assert (await house.owner.state(topic)).subscribed == frozenset()
