"""What our module makes of Prosody beyond the conversations that all brokers share: its limits, whom it believes, what it checks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from xml.etree.ElementTree import Element, SubElement

import pytest

from clearinghouse.demo.platforms import Client, Platform
from clearinghouse.demo.prosody import Prosody, lua_list
from clearinghouse.demo.servers import CLIENT_PORT
from clearinghouse.grid import pubsub
from clearinghouse.grid.namespaces import IODEF, PUBSUB
from clearinghouse.grid.stanzas import StanzaRefused
from clearinghouse.grid.topics import Topic
from tests.servers.conftest import lasting
from tests.servers.worlds import BROKER, HOSTING, OPERATOR, PASSWORD, US, House, ServerWorld, new_topic

pytestmark = pytest.mark.servers

ANALYST, OUTSIDER, PROVIDER = "analyst@csirt.example", "outsider@csirt.example", "provider@soc.example"
LIMITS = "pubsub_pending_per_node = 4\n  pubsub_pending_per_jid = 2\n  pubsub_pending_per_domain = 3\n"
OPTIONS = f"{LIMITS}  pubsub_authorizers = {lua_list([PROVIDER])}\n"


class Narrow(Prosody):
    """With small limits, and with somebody who may answer besides the owners."""

    def _configuration(self) -> str:
        text = Prosody._configuration(self)
        return text.replace("pubsub_max_items = 1000\n", f"pubsub_max_items = 1000\n  {OPTIONS}")


@pytest.fixture(scope="module")
def narrow_server() -> Iterator[Prosody]:
    yield from lasting(Narrow(HOSTING))


@pytest.fixture
def narrow(narrow_server: Prosody) -> ServerWorld:
    return ServerWorld(narrow_server)


@pytest.fixture
def wide(prosody: Prosody) -> ServerWorld:
    return ServerWorld(prosody)


@asynccontextmanager
async def client(world: ServerWorld, jid: str) -> AsyncIterator[Client]:
    made = Client(f"{jid}/other", PASSWORD)
    try:
        await made.open(world.server.address, CLIENT_PORT)
        yield made
    finally:
        await made.close()


async def waits(platform: Platform, topic: Topic) -> bool:
    try:
        await platform.subscribe(topic.node)
    except StanzaRefused as refusal:
        return refusal.detail == "pending-subscription"
    return False


async def test_one_jid_may_have_only_so_many_requests(narrow: ServerWorld) -> None:
    topics = [new_topic() for _ in range(3)]
    async with narrow.house(*topics) as house, narrow.platform(ANALYST) as analyst, narrow.platform(OUTSIDER) as outsider:
        await house.owner.ensure_topics(topics)
        for topic in topics[:2]:
            assert await analyst.subscribe(topic.node) == "pending"
        with pytest.raises(StanzaRefused, match=r"policy-violation \(too-many-subscriptions\)"):
            await analyst.subscribe(topics[2].node, analyst.jid)
        assert await outsider.subscribe(topics[2].node) == "pending"
        await house.rule(await house.asked(), approve=False)
        assert await analyst.subscribe(topics[2].node) == "pending"
        await house.owner.end(BROKER, topics[2].node, [ANALYST, OUTSIDER], affiliation="none")
        await house.owner.end(BROKER, topics[1].node, [ANALYST], affiliation="none")


async def test_one_domain_may_have_only_so_many_requests_and_so_may_one_node(narrow: ServerWorld) -> None:
    topic, other = new_topic(), new_topic()
    async with (
        narrow.house(topic, other) as house,
        narrow.platform(ANALYST) as analyst,
        narrow.platform(OUTSIDER) as outsider,
        narrow.platform(PROVIDER) as provider,
    ):
        await house.owner.ensure_topics([topic, other])
        for platform, jid in ((analyst, ANALYST), (analyst, analyst.jid), (outsider, OUTSIDER)):
            assert await platform.subscribe(topic.node, jid) == "pending"
        with pytest.raises(StanzaRefused, match="too-many-subscriptions"):
            await outsider.subscribe(other.node, outsider.jid)
        assert await provider.subscribe(topic.node) == "pending"
        with pytest.raises(StanzaRefused, match="too-many-subscriptions"):
            await provider.subscribe(topic.node, provider.jid)
        assert await provider.subscribe(other.node) == "pending"
        await house.owner.end(BROKER, topic.node, [ANALYST, analyst.jid, OUTSIDER, PROVIDER], affiliation="none")
        await house.owner.end(BROKER, other.node, [PROVIDER], affiliation="none")


async def test_authorizer_is_asked_and_believed_and_owns_nothing(narrow: ServerWorld) -> None:
    topic = new_topic()
    async with narrow.house(topic) as house, narrow.platform(ANALYST) as analyst, client(narrow, PROVIDER) as authorizer:
        await house.owner.ensure_topics([topic])
        await analyst.subscribe(topic.node)
        assert (await house.asked()).subscriber.bare == ANALYST
        form = await authorizer.inbox.get()
        assert form.get("from") == BROKER
        authorizer.say(pubsub.authorization(BROKER, topic.node, ANALYST, approve=True))
        assert (await analyst.ruling()).state == "subscribed"
        with pytest.raises(StanzaRefused, match="forbidden"):
            await authorizer.ask(BROKER, "get", pubsub.ask_subscriptions(topic.node))


async def test_nobody_else_is_believed(wide: ServerWorld) -> None:
    topic = new_topic()
    async with wide.house(topic) as house, wide.platform(ANALYST) as analyst, client(wide, OUTSIDER) as stranger:
        await house.owner.ensure_topics([topic])
        await house.owner.set_affiliations(topic, {OUTSIDER: "publisher"})
        await analyst.subscribe(topic.node)
        for approve in (True, False):
            stranger.say(pubsub.authorization(BROKER, topic.node, ANALYST, approve=approve))
            error = await stranger.inbox.get()
            assert error.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}forbidden") is not None
        assert await waits(analyst, topic)


@pytest.mark.parametrize(
    "fields, condition",
    [
        ({"pubsub#allow": ""}, "bad-request"),
        ({"pubsub#allow": "perhaps"}, "bad-request"),
        ({"pubsub#subscriber_jid": ""}, "bad-request"),
        ({"pubsub#subscriber_jid": "@"}, "bad-request"),
        ({"pubsub#node": "no such node"}, "item-not-found"),
        ({"pubsub#subscriber_jid": OUTSIDER}, "unexpected-request"),
    ],
)
async def test_answer_that_cannot_be_meant_changes_nothing(wide: ServerWorld, fields: dict[str, str], condition: str) -> None:
    topic = new_topic()
    async with wide.house(topic) as house, wide.platform(ANALYST) as analyst:
        await house.owner.ensure_topics([topic])
        await analyst.subscribe(topic.node)
        message = pubsub.authorization(BROKER, topic.node, ANALYST, approve=True)
        for field in message[0]:
            if field.get("var") in fields:
                field[0].text = fields[field.get("var", "")]
        with pytest.raises(StanzaRefused, match=condition):
            await house.exchange.tell(message)
        assert await waits(analyst, topic)


async def test_item_must_be_of_the_topics_type_and_size(wide: ServerWorld, provider_payload: Element) -> None:
    topic = new_topic()
    async with wide.house(topic) as house, wide.platform(PROVIDER) as provider, wide.platform(OUTSIDER) as outsider:
        await house.owner.ensure_topics([topic])
        await house.owner.set_publishers(topic, [PROVIDER])
        await provider.publish(topic.node, provider_payload)
        with pytest.raises(StanzaRefused, match=r"not-acceptable \(invalid-payload\)"):
            await provider.publish(topic.node, Element("{urn:other}thing"))
        large = Element(f"{{{IODEF}}}IODEF-Document")
        large.text = "x" * 65_536
        with pytest.raises(StanzaRefused, match=r"not-acceptable \(payload-too-big\)"):
            await provider.publish(topic.node, large)
        with pytest.raises(StanzaRefused, match="forbidden"):  # strangers learn nothing of the type
            await outsider.publish(topic.node, Element("{urn:other}thing"))


@pytest.fixture
def provider_payload() -> Element:
    return Element(f"{{{IODEF}}}IODEF-Document", version="2.0")


async def test_subscriber_sees_what_waits_and_what_it_has(wide: ServerWorld) -> None:
    topic, other = new_topic(), new_topic()
    async with wide.house(topic, other) as house, wide.platform(ANALYST) as analyst:
        await house.owner.ensure_topics([topic, other])
        await analyst.subscribe(topic.node)
        await house.rule(await house.asked(), approve=True)
        await analyst.subscribe(other.node)
        own = Element(f"{{{PUBSUB}}}pubsub")
        SubElement(own, f"{{{PUBSUB}}}subscriptions")
        result = await analyst.link.ask(BROKER, "get", own)
        found = {(each.get("node"), each.get("subscription")) for each in result.iter(f"{{{PUBSUB}}}subscription")}
        assert {(topic.node, "subscribed"), (other.node, "pending")} <= found


async def test_approval_makes_no_member_so_that_who_left_is_asked_about_again(wide: ServerWorld) -> None:
    topic = new_topic()
    async with wide.house(topic) as house, wide.platform(ANALYST) as analyst:
        await house.owner.ensure_topics([topic])
        await analyst.subscribe(topic.node)
        await house.rule(await house.asked(), approve=True)
        assert await analyst.fetch(topic.node) == []
        assert (await house.owner.state(topic)).affiliations == {US: "owner"}
        await analyst.unsubscribe(topic.node)
        with pytest.raises(StanzaRefused, match="forbidden"):
            await analyst.fetch(topic.node)
        assert await analyst.subscribe(topic.node) == "pending"


@pytest.mark.parametrize("role", ["member", "publisher", "owner"])
async def test_whoever_it_is_asks(wide: ServerWorld, role: str) -> None:
    topic = new_topic()
    async with wide.house(topic) as house, wide.platform(OPERATOR) as operator:
        await house.owner.ensure_topics([topic])
        await house.exchange.ask(BROKER, "set", pubsub.set_affiliations(topic.node, {OPERATOR: role}))
        assert await operator.subscribe(topic.node) == "pending"


BAD_ENTRIES = {
    "outcast subscribed": (pubsub.set_subscriptions, {ANALYST: "none", OUTSIDER: "subscribed"}, "forbidden"),
    "unknown state": (pubsub.set_subscriptions, {ANALYST: "none", PROVIDER: "pending"}, "bad-request"),
    "no JID": (pubsub.set_subscriptions, {ANALYST: "none", "@": "none"}, "bad-request"),
    "unknown affiliation": (pubsub.set_affiliations, {ANALYST: "outcast", PROVIDER: "king"}, "bad-request"),
    "no owner left": (pubsub.set_affiliations, {ANALYST: "outcast", US: "member"}, "not-acceptable"),
}


@pytest.mark.parametrize("name", BAD_ENTRIES)
async def test_one_bad_entry_leaves_the_whole_list_undone(wide: ServerWorld, name: str) -> None:
    change, states, condition = BAD_ENTRIES[name]
    topic = new_topic()
    async with wide.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.set_affiliations(topic, {OUTSIDER: "outcast"})
        await house.exchange.ask(BROKER, "set", pubsub.set_subscriptions(topic.node, {ANALYST: "subscribed"}))
        before = await house.owner.state(topic)
        with pytest.raises(StanzaRefused, match=condition):
            await house.exchange.ask(BROKER, "set", change(topic.node, states))
        assert await house.owner.state(topic) == before


async def test_deleted_node_leaves_no_request_behind(wide: ServerWorld) -> None:
    topic = new_topic()
    async with wide.house(topic) as house, wide.platform(ANALYST) as analyst:
        for _ in range(2):
            await house.owner.ensure_topics([topic])
            assert await analyst.subscribe(topic.node) == "pending"
            await delete(house, topic)


async def delete(house: House, topic: Topic) -> None:
    payload = Element(f"{{{PUBSUB}}}pubsub".replace("pubsub}", "pubsub#owner}"))
    SubElement(payload, payload.tag.replace("}pubsub", "}delete"), node=topic.node)
    await house.exchange.ask(BROKER, "set", payload)


async def test_killed_without_warning_it_keeps_what_it_has_answered() -> None:
    topic = new_topic()
    async with Prosody(HOSTING) as server:
        world = ServerWorld(server)
        for jid in (ANALYST, OUTSIDER):
            await server.register(jid, PASSWORD)
        async with world.house(topic) as house, world.platform(ANALYST) as analyst, world.platform(OUTSIDER) as outsider:
            await house.owner.ensure_topics([topic])
            await analyst.subscribe(topic.node)
            await house.rule(await house.asked(), approve=True)
            await outsider.subscribe(topic.node)
            before = await house.asked()
            assert server._process is not None
            server._process.kill()
        await server.stop()
        await server.start()
        async with world.house(topic) as house:
            assert (await house.owner.state(topic)).subscribed == {ANALYST}
            await house.owner.recover([topic])
            assert await house.asked() == before


async def test_markup_in_names_stays_text(wide: ServerWorld) -> None:
    topic = Topic(BROKER, "<b>&'\"]]>é\u202e", IODEF, title="<script/>")
    async with wide.house(topic) as house, wide.platform(ANALYST, "<&>") as analyst:
        await house.owner.ensure_topics([topic])
        await analyst.subscribe(topic.node, analyst.jid)
        asked = await house.asked()
        assert (asked.node, asked.subscriber.written) == (topic.node, f"{ANALYST}/<&>")
        await house.owner.recover([topic])
        assert await house.asked() == asked
        await house.rule(asked, approve=True)
        assert (await analyst.ruling()).jid == f"{ANALYST}/<&>"
