"""What the component does with each stanza, said as a conversation."""

from __future__ import annotations

import asyncio
from xml.etree.ElementTree import Element, SubElement, canonicalize, fromstring, tostring

import pytest
from structlog.testing import capture_logs

from clearinghouse.doors.xmpp.depth import MAX_DEPTH, too_deep
from clearinghouse.doors.xmpp.exchange import Exchange
from clearinghouse.errors import BrokerUnavailable
from clearinghouse.grid import pubsub
from clearinghouse.grid.stanzas import StanzaRefused, error_reply, reply_to
from clearinghouse.grid.topics import SubscriptionAsked

US, BROKER, STRANGER = "ch.example.net", "broker.example.net", "x@evil.example/1"


def parse(text: str) -> Element:
    return fromstring(text)  # noqa: S314 - written in this file


class Desk:
    """An exchange with what it wrote and what it heard."""

    def __init__(self, *, reply_seconds: float = 5.0) -> None:
        self.written: list[Element] = []
        self.heard: list[SubscriptionAsked] = []
        self.exchange = Exchange(US, {BROKER: frozenset({"incidents"})}, self.written.append, self.heard.append, reply_seconds)

    async def wrote(self) -> Element:
        await asyncio.sleep(0)
        return self.written[-1]


def iq(kind: str, payload: str, *, sender: str = STRANGER, number: str = "7") -> Element:
    return parse(f"<iq xmlns='jabber:client' from='{sender}' to='{US}' id='{number}' type='{kind}'>{payload}</iq>")


def deep(levels: int) -> str:
    return "<a xmlns='urn:x'>" * levels + "</a>" * levels


async def test_question_gets_its_answer() -> None:
    desk = Desk()
    asking = asyncio.create_task(desk.exchange.ask(BROKER, "get", Element("{urn:x}question")))
    question = await desk.wrote()
    assert (question.get("from"), question.get("to"), question.get("type"), question[0].tag) == (US, BROKER, "get", "{urn:x}question")
    desk.exchange.receive(reply_to(question, payload=Element("{urn:x}answer")))
    assert (await asking)[0].tag == "{urn:x}answer"


async def test_question_gets_its_refusal() -> None:
    desk = Desk()
    asking = asyncio.create_task(desk.exchange.ask(BROKER, "get", Element("{urn:x}question")))
    desk.exchange.receive(error_reply(await desk.wrote(), "not-allowed", detail="closed-node", text="no\x1b[1m entry"))
    with pytest.raises(StanzaRefused) as refused:
        await asking
    assert (refused.value.condition, refused.value.detail, refused.value.text) == ("not-allowed", "closed-node", "no\\u001b[1m entry")


@pytest.mark.parametrize("forged", [{"from": STRANGER}, {"id": "8"}, {"from": f"{BROKER}/x"}])
async def test_answer_of_somebody_else_is_not_taken(forged: dict[str, str]) -> None:
    desk = Desk(reply_seconds=0.05)
    asking = asyncio.create_task(desk.exchange.ask(BROKER, "get", Element("{urn:x}question")))
    answer = reply_to(await desk.wrote())
    answer.attrib.update(forged)
    desk.exchange.receive(answer)
    with pytest.raises(BrokerUnavailable, match="did not answer within"):
        await asking


async def test_answer_may_take_longer_while_the_broker_sends_what_comes_before_it() -> None:
    desk = Desk(reply_seconds=0.1)
    asking = asyncio.create_task(desk.exchange.ask(BROKER, "get", Element("{urn:x}question")))
    question = await desk.wrote()
    for _ in range(5):
        await asyncio.sleep(0.05)
        desk.exchange.receive(form(BROKER))
    desk.exchange.receive(reply_to(question, payload=Element("{urn:x}answer")))
    assert (await asking)[0].tag == "{urn:x}answer"
    assert desk.exchange._questions == {}


async def test_what_strangers_send_gives_nobody_more_time() -> None:
    desk = Desk(reply_seconds=0.1)
    asking = asyncio.create_task(desk.exchange.ask(BROKER, "get", Element("{urn:x}question")))
    for _ in range(4):
        await asyncio.sleep(0.05)
        desk.exchange.receive(form(STRANGER))
    with pytest.raises(BrokerUnavailable, match="did not answer within"):
        await asking


async def test_answer_that_comes_twice_or_too_late_is_dropped() -> None:
    desk = Desk()
    asking = asyncio.create_task(desk.exchange.ask(BROKER, "get", Element("{urn:x}question")))
    answer = reply_to(await desk.wrote())
    desk.exchange.receive(answer)
    desk.exchange.receive(answer)
    await asking
    desk.exchange.receive(answer)
    assert len(desk.written) == 1


async def test_message_counts_as_handled_when_the_ping_after_it_is_answered() -> None:
    desk = Desk()
    telling = asyncio.create_task(desk.exchange.tell(pubsub.authorization(BROKER, "incidents", "a@b.example", approve=True)))
    ping = await desk.wrote()
    assert [stanza.tag.rpartition("}")[2] for stanza in desk.written] == ["message", "iq"]
    desk.exchange.receive(error_reply(ping, "service-unavailable"))
    await telling


async def test_message_that_bounces_before_the_ping_is_refused() -> None:
    desk = Desk()
    telling = asyncio.create_task(desk.exchange.tell(pubsub.authorization(BROKER, "incidents", "a@b.example", approve=True)))
    ping = await desk.wrote()
    desk.exchange.receive(error_reply(desk.written[0], "unexpected-request"))
    desk.exchange.receive(error_reply(ping, "service-unavailable"))
    with pytest.raises(StanzaRefused, match="unexpected-request"):
        await telling


async def test_message_whose_ping_is_never_answered_may_or_may_not_have_arrived() -> None:
    desk = Desk(reply_seconds=0.05)
    with pytest.raises(BrokerUnavailable):
        await desk.exchange.tell(pubsub.authorization(BROKER, "incidents", "a@b.example", approve=True))


async def test_lost_session_ends_every_question() -> None:
    desk = Desk()
    asking = [asyncio.create_task(desk.exchange.ask(BROKER, "get", Element("{urn:x}question"))) for _ in range(3)]
    await desk.wrote()
    desk.exchange.lose()
    desk.exchange.lose()
    for task in asking:
        with pytest.raises(BrokerUnavailable, match="then the session ended"):
            await task


SAME = {
    "ping": iq("get", "<ping xmlns='urn:xmpp:ping'/>"),
    "set": iq("set", "<ping xmlns='urn:xmpp:ping'/>"),
    "nothing": iq("get", ""),
    "two payloads": iq("get", "<a xmlns='urn:x'/><b xmlns='urn:x'/>"),
    "disco of a node": iq("get", "<query xmlns='http://jabber.org/protocol/disco#info' node='incidents'/>"),
    "disco as set": iq("set", "<query xmlns='http://jabber.org/protocol/disco#info'/>"),
    "deep": iq("set", deep(100)),
    "very deep": iq("set", deep(50_000)),
    "deep disco": iq("get", f"<query xmlns='http://jabber.org/protocol/disco#info'>{deep(100)}</query>"),
    "large": iq("set", f"<a xmlns='urn:x'>{'x' * 100_000}</a>"),
}


@pytest.mark.parametrize("question", SAME.values(), ids=SAME.keys())
def test_strangers_all_get_the_same_answer(question: Element) -> None:
    desk = Desk()
    desk.exchange.receive(question)
    want = parse(
        f"<iq xmlns='jabber:client' from='{US}' to='{STRANGER}' id='7' type='error'>"
        "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )
    assert [canonicalize(tostring(reply)) for reply in desk.written] == [canonicalize(tostring(want))]


SILENT = {
    "result": iq("result", ""),
    "error": iq("error", "<error type='cancel'/>"),
    "unknown type": iq("ask", ""),
    "no sender": parse(f"<iq xmlns='jabber:client' to='{US}' id='7' type='get'/>"),
    "no id": parse(f"<iq xmlns='jabber:client' to='{US}' from='{STRANGER}' type='get'/>"),
    "presence": parse(f"<presence xmlns='jabber:client' to='{US}' from='{STRANGER}' type='subscribe'/>"),
    "chat": parse(f"<message xmlns='jabber:client' to='{US}' from='{STRANGER}'><body>hello</body></message>"),
    "bounce of nothing": parse(f"<message xmlns='jabber:client' to='{US}' from='{STRANGER}' type='error' id='1'/>"),
    "something else": parse("<a xmlns='urn:x'/>"),
}


@pytest.mark.parametrize("stanza", SILENT.values(), ids=SILENT.keys())
def test_what_needs_no_answer_gets_none(stanza: Element) -> None:
    desk = Desk()
    desk.exchange.receive(stanza)
    assert (desk.written, desk.heard) == ([], [])


async def test_answer_to_a_stranger_that_cannot_go_out_is_dropped() -> None:
    def write(_: Element) -> None:
        raise BrokerUnavailable("no session", mend="wait")

    Exchange(US, {}, write, print).receive(iq("get", ""))


def form(sender: str, node: str = "incidents", *, inside: str = "") -> Element:
    message = pubsub.authorization(US, node, "a@b.example", approve=False)
    message.set("from", sender)
    message[0].set("type", "form")
    if inside:
        message.append(parse(inside))
    return message


async def test_form_of_the_broker_is_heard() -> None:
    desk = Desk()
    desk.exchange.receive(form(BROKER))
    assert [(asked.broker, asked.node, asked.subscriber.full) for asked in desk.heard] == [(BROKER, "incidents", "a@b.example")]


async def test_deep_message_is_dropped_form_or_not() -> None:
    desk = Desk()
    desk.exchange.receive(form(BROKER, inside=deep(MAX_DEPTH)))
    assert desk.heard == []


async def test_strangers_cannot_fill_the_log() -> None:
    desk = Desk()
    with capture_logs() as logs:
        for number in range(100):
            desk.exchange.receive(form(f"x{number}@evil.example"))
        desk.exchange.receive(form(BROKER, "unheard"))
    assert [(entry["reason"], entry["sender"]) for entry in logs] == [("unknown-broker", "x0@evil.example"), ("foreign-topic", BROKER)]


async def test_silenced_warnings_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clearinghouse.doors.xmpp.exchange.WARNING_SECONDS", 0.02)
    desk = Desk()
    with capture_logs() as logs:
        for _ in range(3):
            desk.exchange.receive(form(STRANGER))
        await asyncio.sleep(0.03)
        desk.exchange.receive(form(STRANGER))
    assert [entry["unsaid"] for entry in logs] == [0, 2]


@pytest.mark.parametrize("levels, verdict", [(1, False), (MAX_DEPTH, False), (MAX_DEPTH + 1, True), (100_000, True)])
def test_depth(levels: int, verdict: bool) -> None:  # noqa: FBT001 - a table of cases
    top = inner = Element("a")
    for _ in range(levels - 1):
        inner = SubElement(inner, "a")
    assert too_deep(top) is verdict


def test_depth_of_the_widest_branch_counts() -> None:
    top = Element("a")
    for _ in range(1000):
        SubElement(top, "a")
    top.append(parse(deep(MAX_DEPTH)))
    assert too_deep(top)
