"""The agent's side of the protocol: what is pushed as a change, what as a whole, and how a module that does not go along is met."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from xml.etree.ElementTree import Element

import pytest

from clearinghouse.demo.server_module import MemoryServer
from clearinghouse.enforcers.levels import EVENT, MAX_EVENT_CHARACTERS, BadModuleAnswer, LevelEnforcer, SerialTaken, event_in
from clearinghouse.federation.enforced.image import Change, Grant, Image, LevelClass
from clearinghouse.federation.enforced.pushes import PEERS_IN_A_PUSH, PUSH_BYTES, ROWS_IN_A_PUSH, peer_pushes, written
from clearinghouse.grid.stanzas import IQ, MESSAGE, Question, StanzaRefused, refusal_in, reply_to

IMAGE = Image("a.fed", 1, ("a.fed",), {"all": LevelClass(255), "none": LevelClass(0, "no")}, {"b.fed": "all"})


@dataclass(slots=True)
class Direct:
    """A link to a module in memory that counts what is asked."""

    server: MemoryServer = field(default_factory=lambda: MemoryServer("a.fed", "agent.a.fed", lambda: 0))
    asked: int = 0

    async def ask(self, to: str, kind: Question, payload: Element) -> Element:
        self.asked += 1
        iq = Element(IQ, {"from": "agent.a.fed", "to": to, "id": "1", "type": kind})
        iq.append(payload)
        answer = self.server.answer(iq)
        if answer.get("type") == "error":
            raise refusal_in(answer)
        return answer

    async def tell(self, message: Element) -> None:
        raise NotImplementedError(message.tag)


@pytest.fixture
def link() -> Direct:
    return Direct()


@pytest.fixture
def enforcer(link: Direct) -> LevelEnforcer:
    return LevelEnforcer(link, "a.fed")


async def test_what_follows_an_image_is_a_change(link: Direct, enforcer: LevelEnforcer) -> None:
    await enforcer.push(IMAGE)
    assert link.asked == 3  # begin, rows, commit
    after = replace(IMAGE, serial=2, rows={"b.fed": "none"}, grants=(Grant("g", "c.fed", 9),))
    await enforcer.push(after)
    assert link.asked == 4
    assert link.server.images["a.fed"] == after


async def test_a_known_change_is_taken_as_it_is(link: Direct, enforcer: LevelEnforcer) -> None:
    await enforcer.push(IMAGE)
    after = replace(IMAGE, serial=2, rows={"b.fed": "none"})
    await enforcer.push(after, Change("a.fed", 2, 1, {"none": ("b.fed",)}, (), (), (), 0))
    assert (link.asked, link.server.images["a.fed"]) == (4, after)


@pytest.mark.parametrize(
    "after",
    [
        replace(IMAGE, serial=2, mode="shadow"),
        replace(IMAGE, serial=2, rows={f"d{number}.fed": "all" for number in range(ROWS_IN_A_PUSH + 1)}),
    ],
    ids=["another mode", "many rows"],
)
async def test_what_no_change_can_say_is_pushed_as_a_whole(link: Direct, enforcer: LevelEnforcer, after: Image) -> None:
    await enforcer.push(IMAGE)
    await enforcer.push(after)
    assert link.server.images["a.fed"] == after
    assert link.asked > 5


async def test_a_module_that_has_something_else_gets_the_whole_image(link: Direct, enforcer: LevelEnforcer) -> None:
    await enforcer.push(IMAGE)
    link.server.images["a.fed"] = replace(IMAGE, serial=2)  # by somebody else
    after = replace(IMAGE, serial=3, rows={})
    await enforcer.push(after)
    assert link.server.images["a.fed"] == after


async def test_a_module_that_is_ahead_says_how_far(link: Direct, enforcer: LevelEnforcer) -> None:
    link.server.images["a.fed"] = replace(IMAGE, serial=7)
    with pytest.raises(SerialTaken, match=r"has `a.fed` with serial 7 already") as taken:
        await enforcer.push(IMAGE)
    assert taken.value.serial == 7
    await enforcer.push(replace(IMAGE, serial=taken.value.serial + 1))


async def test_after_a_failure_nothing_is_taken_for_granted(link: Direct, enforcer: LevelEnforcer) -> None:
    await enforcer.push(IMAGE)
    link.server.agent = "somebody.else"
    with pytest.raises(StanzaRefused, match="forbidden"):
        await enforcer.push(replace(IMAGE, serial=2))
    link.server.agent = "agent.a.fed"
    before = link.asked
    await enforcer.push(replace(IMAGE, serial=3))
    assert link.asked == before + 3


async def test_what_is_held_is_settled_and_what_is_gone_does_not_matter(link: Direct, enforcer: LevelEnforcer) -> None:
    await enforcer.release("h1")
    await enforcer.refuse("h2", "because")
    assert link.server.held == {"h1": "", "h2": "because"}


PIN = "0" * 64


async def test_peers_come_in_parts_and_are_known_with_the_last(link: Direct, enforcer: LevelEnforcer) -> None:
    peers = {f"d{number}.fed": (PIN,) for number in range(PEERS_IN_A_PUSH + 1)}
    await enforcer.push_peers("a.fed", 1, peers)
    assert (link.asked, link.server.peers) == (2, {"a.fed": (1, {domain: [PIN] for domain in peers})})
    await enforcer.push_peers("a.fed", 2, {})
    assert link.server.peers == {"a.fed": (2, {})}
    with pytest.raises(SerialTaken) as taken:
        await enforcer.push_peers("a.fed", 2, peers)
    assert taken.value.serial == 2
    assert link.server.status()["peers"] == {"a.fed": {"serial": 2, "count": 0}}


async def test_what_was_begun_is_dropped_where_something_else_follows(link: Direct, enforcer: LevelEnforcer) -> None:
    first, second, third = (
        {"do": "peers", "image": "a.fed", "serial": serial, "part": part, "parts": 3, "peers": {}}
        for serial, part in ((1, 1), (2, 2), (1, 3))
    )
    await enforcer._tell(first, "a.fed", 1)
    for push in (second, third):
        with pytest.raises(StanzaRefused, match="conflict"):
            await enforcer._tell(push, "a.fed", push["serial"])  # type: ignore[arg-type]
    link.server.restart()
    await enforcer.push_peers("a.fed", 1, {"b.fed": (PIN,)})
    assert link.server.peers == {"a.fed": (1, {"b.fed": [PIN]})}


async def test_a_module_of_before_says_that_it_is_no_push(link: Direct, enforcer: LevelEnforcer) -> None:
    link.server.peers = None
    with pytest.raises(StanzaRefused) as refused:
        await enforcer.push_peers("a.fed", 1, {})
    assert refused.value.condition == "bad-request"


def test_parts_of_the_longest_names_and_most_keys_fit_a_stanza() -> None:
    peers = {f"{number:061}.{'b' * 63}.{'c' * 63}.{'d' * 60}": tuple(f"{key:064x}" for key in range(8)) for number in range(500)}
    parts = list(peer_pushes("a.fed", 1, peers))
    assert {domain for part in parts for domain in part["peers"]} == set(peers)
    assert max(len(written(part)) for part in parts) < 2 * PUSH_BYTES
    assert [part["part"] for part in parts] == list(range(1, parts[0]["parts"] + 1))


@dataclass(slots=True)
class Answering:
    """A link whose other end gives one answer to everything."""

    payload: Element | None

    async def ask(self, to: str, kind: Question, payload: Element) -> Element:
        return reply_to(Element(IQ, {"to": to, "type": kind, "id": payload.tag}), payload=self.payload)

    async def tell(self, message: Element) -> None:
        raise NotImplementedError(message.tag)


@pytest.mark.parametrize("name", ["{urn:x-clearinghouse:server:1}applied", "{urn:x-clearinghouse:server:1}status", "", "{urn:x}other"])
async def test_an_answer_that_is_not_of_the_protocol_is_none(name: str) -> None:
    enforcer = LevelEnforcer(Answering(Element(name) if name else None), "a.fed")
    with pytest.raises(BadModuleAnswer, match="does not say that it applied"):
        await enforcer.push(IMAGE)
    with pytest.raises(BadModuleAnswer, match=r"the status of `a.fed` is not JSON"):
        await enforcer.status()


def message(sender: str, text: str, kind: str = "normal") -> Element:
    made = Element(MESSAGE, {"from": sender, "to": "agent.a.fed", "type": kind})
    event = Element(EVENT)
    event.text = text
    made.append(event)
    return made


def test_an_event_of_a_host_of_ours_is_heard() -> None:
    assert event_in(message("a.fed", '{"event":"started","images":{}}'), {"a.fed"}) == {"event": "started", "images": {}}


@pytest.mark.parametrize(
    "stanza",
    [
        message("b.fed", '{"event":"started"}'),
        message("alice@a.fed", '{"event":"started"}'),
        message("a.fed/x", '{"event":"started"}'),
        message("a.fed", '{"event":"started"}', "error"),
        message("a.fed", '{"event":1}'),
        message("a.fed", "[]"),
        message("a.fed", ""),
        message("a.fed", '{"event":"' + "x" * MAX_EVENT_CHARACTERS + '"}'),
        Element(MESSAGE, {"from": "a.fed"}),
    ],
    ids=["another host", "a user", "a resource", "an error", "no name", "a list", "nothing", "too long", "no event"],
)
def test_anything_else_is_no_event(stanza: Element) -> None:
    assert event_in(stanza, {"a.fed"}) is None
