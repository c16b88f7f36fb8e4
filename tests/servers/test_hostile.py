"""Platforms that wish us ill, at a real broker: floods, sizes, and names that are more than they look (issue 3, point 8)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from resource import getpagesize
from xml.etree.ElementTree import Element, SubElement

import pytest

from clearinghouse.demo.platforms import Client
from clearinghouse.demo.servers import CLIENT_PORT, COMPONENT_PORT, Server
from clearinghouse.doors.xmpp.component import Component
from clearinghouse.doors.xmpp.session import Account
from clearinghouse.enforcers.broker import TopicOwner
from clearinghouse.grid.namespaces import CLEARINGHOUSE, COMMANDS, DISCO_INFO, DISCO_ITEMS, IODEF, PUBSUB
from clearinghouse.grid.stanzas import StanzaRefused
from clearinghouse.grid.topics import SubscriptionAsked, Topic
from tests.servers.worlds import BROKER, OPERATOR, PASSWORD, SECRET, US, new_topic
from tests.unit.doors.paper import PaperOffice, PaperReception, case_of

pytestmark = pytest.mark.servers

FLOODER = "flooder@csirt.example"
HONEST = "analyst@csirt.example"
PENDING = {"ejabberd": 10_000, "prosody": 100}
"""Requests that one account can have waiting: issue 3, point 8, and what our module lets it have at Prosody."""

MAX_MEMORY_BYTES = 100 << 20
"""Of the component, the flooding client and what was heard together; measured: 14 MB."""


@dataclass(slots=True)
class House:
    component: Component
    heard: asyncio.Queue[SubscriptionAsked]
    greeted: int = 0

    async def greet(self) -> None:
        self.greeted += 1

    async def hears(self, jid: str, seconds: float = 10) -> SubscriptionAsked:
        """Wait for the question about *jid*, and forget those before it."""
        async with asyncio.timeout(seconds):
            while (asked := await self.heard.get()).subscriber.bare != jid:
                pass
        return asked


@asynccontextmanager
async def house(server: Server, *topics: Topic) -> AsyncIterator[House]:
    heard: asyncio.Queue[SubscriptionAsked] = asyncio.Queue()
    brokers = {BROKER: frozenset(topic.node for topic in topics)}
    component = Component(Account(US, SECRET, server.address, COMPONENT_PORT), brokers, heard.put_nowait)
    component.exchange.reception = PaperReception(PaperOffice(), {OPERATOR: "operator"}, topics)
    owner = TopicOwner(component.exchange, US)
    ours = House(component, heard)
    component.connected += [ours.greet, lambda: owner.ensure_topics(topics)]
    running = asyncio.create_task(component.run())
    try:
        async with asyncio.timeout(15):
            await component.ready.wait()
        yield ours
    finally:
        running.cancel()
        await asyncio.wait([running])


@asynccontextmanager
async def client(server: Server, jid: str, resource: str = "desk") -> AsyncIterator[Client]:
    made = Client(f"{jid}/{resource}", PASSWORD)
    try:
        await made.open(server.address, CLIENT_PORT)
        yield made
    finally:
        await made.close()


def subscription(node: str, jid: str) -> Element:
    pubsub = Element(f"{{{PUBSUB}}}pubsub")
    SubElement(pubsub, f"{{{PUBSUB}}}subscribe", node=node, jid=jid)
    return pubsub


def flood(node: str, number: int) -> Iterator[str]:
    """Stanzas of a client that asks for itself at so many addresses."""
    for each in range(number):
        yield (
            f"<iq to='{BROKER}' id='f{each}' type='set'><pubsub xmlns='{PUBSUB}'>"
            f"<subscribe node='{node}' jid='{FLOODER}/r{each}'/></pubsub></iq>"
        )


async def test_ten_thousand_pending_requests_take_bounded_memory_and_keep_nobody_out(server: Server) -> None:
    topic, other = new_topic(), new_topic()
    async with house(server, topic, other) as ours, client(server, FLOODER) as flooder, client(server, HONEST) as honest:
        before = resident_bytes()
        pending = PENDING[server.name]
        for stanza in flood(topic.node, 10_000):
            flooder.send_raw(stanza)
        await honest.ask(US, "get", Element(f"{{{DISCO_ITEMS}}}query"))
        await honest.ask(BROKER, "set", subscription(other.node, HONEST))
        await ours.hears(HONEST, seconds=60)  # the broker takes one request after the other: about 1 ms for each
        await TopicOwner(ours.component.exchange, US).recover([topic])  # a list of so many, and all forms once more
        again = [await asyncio.wait_for(ours.heard.get(), 30) for _ in range(pending)]
        assert {asked.subscriber.bare for asked in again} == {FLOODER}
        assert resident_bytes() - before < MAX_MEMORY_BYTES
        assert await greetings(ours) == 1


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * getpagesize()


async def greetings(ours: House) -> int:
    """Return how many sessions there were: one, unless something has ended it."""
    await ours.component.exchange.ask(BROKER, "get", Element(f"{{{DISCO_INFO}}}query"))
    return ours.greeted


NAMES = ["<b>&amp;</b>", "a'b\"c", "../../etc/passwd", "http://x/?a=b&c=d", "тема", "x" * 200]


@pytest.mark.parametrize("name", NAMES)
async def test_node_names_with_markup_come_and_go_unchanged(server: Server, name: str) -> None:
    topic = Topic(BROKER, f"{name}-{new_topic().node}", IODEF, "<title>")
    async with house(server, topic) as ours, client(server, HONEST) as honest:
        await honest.ask(BROKER, "set", subscription(topic.node, HONEST))
        asked = await ours.hears(HONEST)
        assert asked.node == topic.node
        await TopicOwner(ours.component.exchange, US).answer(BROKER, topic.node, asked.subscriber.written, approve=True, subid=asked.subid)
        found = (await honest.ask(US, "get", Element(f"{{{DISCO_ITEMS}}}query")))[0]
        assert (found[0].get("node"), found[0].get("name")) == (topic.node, "<title>")


TWIN = "provider@soc.example"
SPELLINGS = [
    "provider@soc.example",
    "PROVIDER@SOC.example",
    "provider@soc.example/\u202eevil",
    "prov\u0131der@soc.example",
    "pr\u043evider@soc.example",
    "pro\u00advider@soc.example",
    "provider@soc.example.",
    "\uff50rovider@soc.example",
]


async def test_addresses_that_look_alike_are_one_platform_or_none(server: Server) -> None:
    """Whatever spelling of its own address somebody subscribes with, we hear of that address alone."""
    topic, end = new_topic(), new_topic()
    async with house(server, topic, end) as ours, client(server, TWIN) as twin, client(server, HONEST) as honest:
        for spelling in SPELLINGS:
            with suppress(StanzaRefused):
                await twin.ask(BROKER, "set", subscription(topic.node, spelling))
        await honest.ask(BROKER, "set", subscription(end.node, HONEST))
        heard = []
        while (asked := await asyncio.wait_for(ours.heard.get(), 10)).subscriber.bare != HONEST:
            heard.append(asked.subscriber)
        assert {each.bare for each in heard} == {TWIN}
        assert len({each.full for each in heard}) == len(heard)


async def test_deep_and_large_questions_do_no_harm(server: Server) -> None:
    async with house(server) as ours, client(server, OPERATOR) as person, client(server, FLOODER) as flooder:
        reception_of(ours).office.open(case_of(HONEST))
        large = "x" * 200_000
        fields = "".join(f"<field var='f{number}'><value>1</value></field>" for number in range(3000))
        for number, payload in enumerate(
            (
                f"<command xmlns='{COMMANDS}' node='pending'>{'<a>' * 5000}{'</a>' * 5000}</command>",
                f"<command xmlns='{COMMANDS}' node='{large}' sessionid='1'/>",
                f"<command xmlns='{COMMANDS}' node='pending'><x xmlns='jabber:x:data' type='submit'>{fields}</x></command>",
                f"<request xmlns='{CLEARINGHOUSE}' operation='publish' broker='{BROKER}' topic='{large}'/>",
                f"<envelope xmlns='{CLEARINGHOUSE}'>{large}</envelope>",
                f"<query xmlns='{DISCO_ITEMS}'><set xmlns='http://jabber.org/protocol/rsm'><after>{large}</after></set></query>",
            )
        ):
            kind = "get" if payload.startswith("<query") else "set"
            for sender in (person, flooder):
                sender.send_raw(f"<iq to='{US}' id='h{number}' type='{kind}'>{payload}</iq>")
        command = Element(f"{{{COMMANDS}}}command", node="pending", action="execute")
        assert (await person.ask(US, "set", command))[0].get("status") == "executing"
        with pytest.raises(StanzaRefused, match="service-unavailable"):
            await flooder.ask(US, "set", command)
        assert await greetings(ours) == 1


async def test_flood_of_questions_leaves_people_an_answer(server: Server) -> None:
    async with house(server) as ours, client(server, OPERATOR) as person, client(server, FLOODER) as flooder:
        reception_of(ours).office.open(case_of(HONEST))
        for number in range(2000):
            flooder.send_raw(
                f"<iq to='{US}' id='q{number}' type='set'>"
                f"<request xmlns='{CLEARINGHOUSE}' operation='publish' broker='{BROKER}' topic='t{number}'/></iq>"
            )
        command = Element(f"{{{COMMANDS}}}command", node="pending", action="execute")
        async with asyncio.timeout(5):
            assert (await person.ask(US, "set", command))[0].get("status") == "executing"
        assert await greetings(ours) == 1


def reception_of(ours: House) -> PaperReception:
    assert isinstance(ours.component.exchange.reception, PaperReception)
    return ours.component.exchange.reception
