"""People and platforms ask the clearinghouse through a real server, with a client that others wrote (slixmpp's XEP-0050)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from slixmpp import Iq

from clearinghouse.clearing.cases import CaseState
from clearinghouse.demo.platforms import Client
from clearinghouse.demo.servers import CLIENT_PORT, COMPONENT_PORT, Server
from clearinghouse.doors.xmpp.addresses import read_subscriber
from clearinghouse.doors.xmpp.component import Component
from clearinghouse.doors.xmpp.session import Account
from clearinghouse.grid import notices
from clearinghouse.grid.commands import Command
from clearinghouse.grid.namespaces import CLEARINGHOUSE, CLIENT, COMMANDS, IODEF
from clearinghouse.grid.reception import PlatformAsked
from clearinghouse.grid.requests import write_request
from clearinghouse.grid.stanzas import StanzaRefused
from clearinghouse.grid.topics import Topic
from tests.servers.worlds import BROKER, OPERATOR, PASSWORD, SECRET, US
from tests.unit.doors.paper import PaperOffice, PaperReception, case_of, grant_of

pytestmark = pytest.mark.servers

PLATFORM = "analyst@csirt.example"
STRANGER = "outsider@csirt.example"
TOPICS = tuple(Topic(BROKER, f"topic-{number:03}", IODEF, f"Topic {number}") for number in range(250))


@pytest.fixture
def reception() -> PaperReception:
    return PaperReception(PaperOffice(), {OPERATOR: "operator"}, TOPICS)


@pytest.fixture
async def component(server: Server, reception: PaperReception) -> AsyncIterator[Component]:
    made = Component(Account(US, SECRET, server.address, COMPONENT_PORT), {}, lambda _: None)
    made.exchange.reception = reception
    running = asyncio.create_task(made.run())
    try:
        async with asyncio.timeout(15):
            await made.ready.wait()
        yield made
    finally:
        running.cancel()
        await asyncio.wait([running])


@asynccontextmanager
async def client(server: Server, jid: str) -> AsyncIterator[Client]:
    made = Client(f"{jid}/phone", PASSWORD)
    for plugin in ("xep_0004", "xep_0030", "xep_0050", "xep_0059"):
        made.register_plugin(plugin)
    try:
        await made.open(server.address, CLIENT_PORT)
        yield made
    finally:
        await made.close()


def plugin(made: Client, name: str) -> Any:  # noqa: ANN401 - slixmpp types only part of itself
    plugins: Any = made.plugin
    return plugins[name]


@dataclass(slots=True)
class Conversation:
    """One command, led by slixmpp's own client-side session, which decides itself what it sends."""

    client: Client
    session: dict[str, Any]
    answers: asyncio.Queue[Iq]

    @classmethod
    def with_client(cls, made: Client) -> Conversation:
        answers: asyncio.Queue[Iq] = asyncio.Queue()

        def take(iq: Iq, _: dict[str, Any]) -> None:
            answers.put_nowait(iq)

        return cls(made, {"next": take, "error": take}, answers)

    async def start(self, node: str) -> Any:  # noqa: ANN401 - slixmpp's stanzas are reached by names
        plugin(self.client, "xep_0050").start_command(US, node, self.session)
        return await self._answer()

    async def go(self, way: Callable[[dict[str, Any]], None], **filled: str) -> Any:  # noqa: ANN401
        form = plugin(self.client, "xep_0004").make_form(ftype="submit")
        for name, value in filled.items():
            form.add_field(var=name, value=value)
        self.session["payload"] = form
        way(self.session)
        return await self._answer()

    async def _answer(self) -> Any:  # noqa: ANN401
        async with asyncio.timeout(10):
            return (await self.answers.get())["command"]


async def test_ordinary_client_finds_the_commands_and_a_stranger_does_not(server: Server, component: Component) -> None:
    assert component.ready.is_set()
    async with client(server, OPERATOR) as person, client(server, STRANGER) as stranger:
        info = await plugin(person, "xep_0030").get_info(US)
        assert {COMMANDS, CLEARINGHOUSE} <= set(info["disco_info"]["features"])
        found = await plugin(person, "xep_0050").get_commands(US)
        assert {node for _, node, _ in found["disco_items"]["items"]} == {each.value for each in Command}
        assert COMMANDS not in (await plugin(stranger, "xep_0030").get_info(US))["disco_info"]["features"]
        for asked in (Element(f"{{{COMMANDS}}}command", node="pending", action="execute"), Element(f"{{{COMMANDS}}}command", node="x")):
            with pytest.raises(StanzaRefused, match=r"^refused with service-unavailable$"):
                await stranger.ask(US, "set", asked)


async def test_person_approves_in_an_ordinary_client(server: Server, component: Component, reception: PaperReception) -> None:
    assert component.ready.is_set()
    reception.office.open(case := case_of(PLATFORM), case_of("other@csirt.example"))
    async with client(server, OPERATOR) as person:
        adhoc = plugin(person, "xep_0050")
        talk = Conversation.with_client(person)
        listed = await talk.start("pending")
        assert (listed["status"], listed["actions"]) == ("executing", {"next"})
        options = listed["form"].get_fields()["choice"]["options"]
        assert options[0]["label"].split(": ", 1)[1].startswith("analyst@csirt.example subscribe `incidents`, since")
        shown = await talk.go(adhoc.continue_command, choice=case.id)
        assert shown["actions"] == {"prev", "complete"}
        fields = shown["form"].get_fields()
        assert fields["decision"]["label"] == "Decision"
        done = await talk.go(adhoc.complete_command, decision="approve", period="604800", shown=fields["shown"]["value"])
        assert done["status"] == "completed"
        assert done["notes"][0][1].startswith("granted, decision ")
    assert reception.office.done == [("approve", "operator", case.id, "7 days, 0:00:00")]
    assert reception.office.cases[case.id].state is CaseState.APPROVED


async def test_person_goes_back_and_gives_up(server: Server, component: Component, reception: PaperReception) -> None:
    assert component.ready.is_set()
    case = case_of(PLATFORM)
    reception.office.held[case.id] = grant_of(case)
    async with client(server, OPERATOR) as person:
        talk = Conversation.with_client(person)
        await talk.start("grants")
        await talk.go(plugin(person, "xep_0050").continue_command, choice=case.id)
        back = await talk.go(lambda session: plugin(person, "xep_0050").continue_command(session, "prev"))
        assert (back["status"], back["actions"]) == ("executing", {"next"})
        assert (await talk.go(plugin(person, "xep_0050").cancel_command))["status"] == "canceled"
    assert reception.office.done == []


async def test_topics_are_paged_as_other_clients_page_them(server: Server, component: Component) -> None:
    assert component.ready.is_set()
    async with client(server, PLATFORM) as platform:
        nodes, place = [], ""
        while True:
            iq: Any = platform.make_iq_get(queryxmlns="http://jabber.org/protocol/disco#items", ito=US)
            iq["disco_items"]["rsm"]["max"] = "100"
            if place:
                iq["disco_items"]["rsm"]["after"] = place
            found = (await iq.send(timeout=10))["disco_items"]
            items = [each.get("node") for each in found.xml if each.tag.endswith("}item")]
            if not items:
                break
            nodes += items
            place = found["rsm"]["last"]
    assert nodes == [topic.node for topic in TOPICS]


async def test_platform_asks_and_hears_the_decision(server: Server, component: Component, reception: PaperReception) -> None:
    assert component.ready.is_set()
    async with client(server, PLATFORM) as platform:
        asked = PlatformAsked("publish", BROKER, "topic-007", read_subscriber(f"{PLATFORM}/phone"))
        answer = (await platform.ask(US, "set", write_request(asked)))[0]
        assert (answer.tag, answer.get("outcome")) == (f"{{{CLEARINGHOUSE}}}decision", "granted")
    assert reception.asked == [asked]


async def test_people_are_told_and_not_too_often(server: Server, component: Component) -> None:
    async with client(server, OPERATOR) as person:
        await person.ask(US, "get", Element("{http://jabber.org/protocol/disco#info}query"))
        for number in range(50):
            component.exchange.notify(OPERATOR, notices.case_waits(case_of(f"u{number}@csirt.example", "a\u202e<b>"), US))
        async with asyncio.timeout(10):
            bodies = [(await person.inbox.get()).findtext(f"{{{CLIENT}}}body", "") for _ in range(notices.NOTICES_PER_MINUTE)]
        await person.ask(US, "get", Element("{http://jabber.org/protocol/disco#info}query"))
        assert person.inbox.empty()
    assert bodies[3].startswith("a request waits for you: u3@csirt.example subscribe `a\\u202e<b>`\ncase: ")
