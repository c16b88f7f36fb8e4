"""The component among real servers and clients that wish it ill, or just go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from xml.etree.ElementTree import Element, SubElement, canonicalize, tostring

import pytest
from slixmpp.xmlstream.stanzabase import StanzaBase
from structlog.testing import capture_logs

from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.platforms import Client, client_platform
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import CLIENT_PORT, COMPONENT_PORT, Server
from clearinghouse.doors.xmpp.component import Component, State
from clearinghouse.doors.xmpp.session import Account
from clearinghouse.enforcers.broker import TopicOwner
from clearinghouse.errors import BrokerUnavailable
from clearinghouse.grid.namespaces import DISCO_INFO, PING
from clearinghouse.grid.stanzas import Question, StanzaRefused
from clearinghouse.grid.topics import SubscriptionAsked, Topic
from tests.servers.worlds import BROKER, HOSTING, PASSWORD, SECRET, US, brokers_of, new_topic

QUESTIONS: tuple[Question, ...] = ("get", "set")

pytestmark = pytest.mark.servers


@asynccontextmanager
async def running(component: Component) -> AsyncIterator[Component]:
    task = asyncio.create_task(component.run())
    try:
        yield component
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def client(server: Server, jid: str) -> AsyncIterator[Client]:
    made = Client(f"{jid}/desk", PASSWORD)
    try:
        await made.open(server.address, CLIENT_PORT)
        yield made
    finally:
        await made.close()


def component_at(server: Server, *topics: Topic, secret: str = SECRET) -> tuple[Component, asyncio.Queue[SubscriptionAsked]]:
    heard: asyncio.Queue[SubscriptionAsked] = asyncio.Queue()
    return Component(Account(US, secret, server.address, COMPONENT_PORT), brokers_of(topics), heard.put_nowait), heard


async def ready(component: Component) -> None:
    async with asyncio.timeout(15):
        await component.ready.wait()


@pytest.mark.parametrize("make", [Ejabberd, Prosody])
async def test_component_comes_back_with_its_server_and_recovers_what_it_missed(make: type[Server]) -> None:
    topic = new_topic()
    async with make(HOSTING) as server:
        await server.register("analyst@csirt.example", PASSWORD)
        component, heard = component_at(server, topic)
        owner = TopicOwner(component.exchange, US)
        component.connected += [lambda: owner.ensure_topics([topic]), lambda: owner.recover([topic])]
        async with running(component):
            await ready(component)
            async with client_platform("analyst@csirt.example/desk", PASSWORD, server.address, CLIENT_PORT, broker=BROKER) as analyst:
                await analyst.subscribe(topic.node)
                before = await heard.get()
            await server.stop()
            with pytest.raises(BrokerUnavailable, match="no session"):
                await owner.recover([topic])
            assert component.state is not State.OPEN
            await server.start()
            await ready(component)
            assert await heard.get() == before
            await owner.answer(BROKER, topic.node, before.subscriber.written, approve=True)
        assert component.state is State.IDLE


async def test_question_in_flight_ends_with_the_session(server: Server) -> None:
    component, _ = component_at(server)
    async with running(component), client(server, "analyst@csirt.example") as silent:
        await ready(component)
        silent.add_filter("in", lambda _: None, order=1)
        asking = asyncio.create_task(component.exchange.ask(silent.boundjid.full, "get", Element(f"{{{PING}}}ping")))
        await asyncio.sleep(0.05)
        assert component._session is not None
        component._session.abort()
        with pytest.raises(BrokerUnavailable, match="then the session ended"):
            await asking
        await ready(component)


@pytest.mark.parametrize("levels", [64, 1000, 20_000])
async def test_deep_stanzas_do_no_harm(server: Server, levels: int) -> None:
    component, _ = component_at(server)
    greetings = []

    async def greet() -> None:
        greetings.append("hello")

    component.connected.append(greet)
    async with running(component), client(server, "outsider@csirt.example") as outsider:
        await ready(component)
        nested = "<a>" * levels + "</a>" * levels
        outsider.send_raw(f"<message to='{US}'><x xmlns='urn:x'>{nested}</x><body>deep</body></message>")
        outsider.send_raw(f"<presence to='{US}'><x xmlns='urn:x'>{nested}</x></presence>")
        outsider.send_raw(f"<iq to='{US}' id='deep' type='result'><x xmlns='urn:x'>{nested}</x></iq>")
        outsider.send_raw(f"<iq to='{US}' id='deep' type='set'><x xmlns='urn:x'>{nested}</x></iq>")
        with pytest.raises(StanzaRefused, match="service-unavailable"):
            await outsider.ask(US, "get", Element(f"{{{PING}}}ping"))
    assert greetings == ["hello"]


async def test_strangers_learn_nothing_from_the_answers(server: Server) -> None:
    """R22: whoever asks, and whatever is asked, the answer is the same but for its address and number."""
    component, _ = component_at(server, new_topic())
    questions = [
        Element(f"{{{PING}}}ping"),
        Element("{jabber:iq:version}query"),
        Element("{http://jabber.org/protocol/disco#items}query"),
        Element(f"{{{DISCO_INFO}}}query", node="incidents"),
        Element("{urn:x-clearinghouse:1}request"),
        Element("{http://jabber.org/protocol/commands}command", node="approve", action="execute"),
    ]
    answers = set()

    def note(stanza: StanzaBase) -> StanzaBase:
        if stanza.xml.get("from") == US:
            answers.add(without_address(stanza.xml))
        return stanza

    async with running(component):
        await ready(component)
        for jid in ("outsider@csirt.example", "operator@example.net"):
            async with client(server, jid) as asker:
                asker.add_filter("in", note)
                for question, kind in product(questions, QUESTIONS):
                    with pytest.raises(StanzaRefused, match="service-unavailable"):
                        await asker.ask(US, kind, question)
    assert len(answers) == 1


async def test_component_says_that_it_is_one(server: Server) -> None:
    component, _ = component_at(server)
    async with running(component), client(server, "outsider@csirt.example") as outsider:
        await ready(component)
        info = (await outsider.ask(US, "get", Element(f"{{{DISCO_INFO}}}query")))[0]
    assert [(child.tag.rpartition("}")[2], dict(child.attrib)) for child in info] == [
        ("identity", {"category": "component", "type": "generic"}),
        ("feature", {"var": DISCO_INFO}),
    ]


async def test_wrong_secret_is_said_and_tried_again_with_growing_pauses(server: Server) -> None:
    component, _ = component_at(server, secret="wrong")
    with capture_logs() as logs:
        async with running(component):
            await asyncio.sleep(1.2)
            assert not component.ready.is_set()
    warned = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [entry["event"] for entry in warned] == ["stream_error", "component_not_connected"] * 3
    assert "secret" in warned[1]["mend"]
    assert "wrong" not in str(logs)


async def test_error_that_slixmpp_does_not_know_arrives(server: Server) -> None:
    component, _ = component_at(server)
    async with running(component), client(server, "analyst@csirt.example") as strict:
        await ready(component)
        strict.add_filter("in", lambda stanza: refuse(strict, stanza.xml), order=1)
        with pytest.raises(StanzaRefused, match="policy-violation") as refused:
            await component.exchange.ask(strict.boundjid.full, "get", Element(f"{{{PING}}}ping"))
        assert refused.value.text == "not today"


def refuse(by: Client, stanza: Element) -> None:
    if stanza.get("type") == "get":
        reply = Element("{jabber:client}iq", {"type": "error", "to": US, "id": stanza.get("id", "")})
        error = SubElement(reply, "{jabber:client}error", type="modify")
        SubElement(error, "{urn:ietf:params:xml:ns:xmpp-stanzas}policy-violation")
        SubElement(error, "{urn:ietf:params:xml:ns:xmpp-stanzas}text").text = "not today"
        by.send_xml(reply)


def without_address(stanza: Element) -> str:
    kept = Element(stanza.tag, {key: value for key, value in stanza.attrib.items() if key in ("from", "type")})
    kept.extend(list(stanza))
    return canonicalize(tostring(kept))
