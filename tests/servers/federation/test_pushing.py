"""Whom a module believes, in which order, and how it tells what it does (authority R12)."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from xml.etree.ElementTree import Element

import pytest

from clearinghouse.demo.servers import COMPONENT_PORT
from clearinghouse.doors.xmpp.exchange import Exchange
from clearinghouse.doors.xmpp.session import Account, Session
from clearinghouse.enforcers.levels import PUSH, STATUS, SerialTaken
from clearinghouse.federation.enforced.image import Grant, Image
from clearinghouse.federation.enforced.pushes import pushes, written
from clearinghouse.grid.stanzas import StanzaRefused
from tests.servers.federation.sites import CLASSES, SECRET, Site, new_body, new_serial

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]


def forged(serial: int = 1 << 40) -> Element:
    """The first push of an image that would open home to everybody."""
    (begin, *_) = pushes(Image("a.fed", serial, ("a.fed",), CLASSES, {}, default="allow"))
    payload = Element(PUSH)
    payload.text = written(begin)
    return payload


async def test_r12_nobody_but_the_agents_own_session_may_push_or_look(between: Site) -> None:
    await between.home.rule({"b.fed": "all", "agent.b.fed": "all"})
    for stranger in (between.alice, between.bob):  # a user here, and one of another server
        for kind, payload in (("set", forged()), ("get", Element(STATUS))):
            with pytest.raises(StanzaRefused, match="forbidden"):
                await stranger.ask("a.fed", kind, payload)  # type: ignore[arg-type] # one of the two
    with pytest.raises(StanzaRefused, match="forbidden"):
        await between.away.link.ask("a.fed", "set", forged())  # an agent, and a component, but of another server
    assert (await between.home.enforcer.status())["images"]["a.fed"]["serial"] < 1 << 40


async def test_r12_another_component_of_the_same_server_may_not_push(between: Site) -> None:
    server = between.home.server
    session = Session(Account("other.a.fed", SECRET, server.address, COMPONENT_PORT), lambda stanza: other.receive(stanza))  # noqa: PLW0108 - it is made below
    other = Exchange("other.a.fed", {}, session.write, lambda _: None)
    async with AsyncExitStack() as stack:
        await session.open()
        stack.push_async_callback(session.close)
        with pytest.raises(StanzaRefused, match="forbidden"):
            await other.ask("a.fed", "set", forged())
        with pytest.raises(StanzaRefused, match="forbidden"):
            await other.ask("a.fed", "get", Element(STATUS))


async def test_an_image_in_pieces_counts_only_as_a_whole(between: Site) -> None:
    before = await between.home.rule({"b.fed": "none"})
    image = Image("a.fed", new_serial(), before.hosts, CLASSES, {"b.fed": "all"})
    *pieces, commit = pushes(image)
    for push in pieces:
        await say(between, written(push))
    refused = await between.alice.bounced(between.alice.write("bob@b.fed", new_body()))
    assert refused == "policy-violation: not at a level for a.fed (d-1)"
    await say(between, written(commit))
    body = new_body()
    between.alice.write("bob@b.fed", body)
    await between.bob.reads(body)
    between.home.enforcer.forget()
    with pytest.raises(SerialTaken, match=f"with serial {image.serial} already"):
        await between.home.enforcer.push(before)
    await between.home.rule({"b.fed": "none"})


@pytest.mark.parametrize(
    "line, condition",
    [
        ('{"do":"rows","image":"a.fed","serial":1,"class":"all","domains":["b.fed"]}', "conflict"),
        ('{"do":"commit","image":"a.fed","serial":1}', "conflict"),
        ('{"do":"change","image":"a.fed","serial":2,"after":1,"set":{},"unset":[],"grants":[],"ended":[],"expires":0}', "conflict"),
        (
            '{"do":"begin","image":"../a","serial":9,"mode":"enforce","default":"deny","expires":0,"hosts":[],"classes":{},"ask":false}',
            "bad-request",
        ),
        (
            '{"do":"begin","image":"x.fed","serial":9,"mode":"off","default":"deny","expires":0,"hosts":[],"classes":{},"ask":false}',
            "bad-request",
        ),
        ('{"do":"release","held":"nothing"}', "item-not-found"),
        ('{"do":"refuse","held":"nothing","reason":"x"}', "item-not-found"),
        ('{"do":"everything"}', "bad-request"),
        ("[1", "bad-request"),
        ("", "bad-request"),
    ],
)
async def test_a_push_that_does_not_fit_changes_nothing(between: Site, line: str, condition: str) -> None:
    await between.home.rule({"b.fed": "all"})
    before = (await between.home.enforcer.status())["images"]
    with pytest.raises(StanzaRefused, match=condition):
        await say(between, line)
    assert (await between.home.enforcer.status())["images"] == before


async def test_a_change_that_is_wrong_in_one_place_is_not_made_at_all(between: Site) -> None:
    image = await between.home.rule({"b.fed": "all"})
    line = (
        f'{{"do":"change","image":"a.fed","serial":{image.serial + 1},"after":{image.serial},"set":{{"none":["b.fed"],"other":["c.fed"]}}'
    )
    with pytest.raises(StanzaRefused, match="bad-request"):
        await say(between, line + ',"unset":[],"grants":[],"ended":[],"expires":0}')
    body = new_body()
    between.bob.write("alice@a.fed", body)
    await between.alice.reads(body)


async def test_a_module_that_was_changed_behind_our_back_gets_the_whole_image(between: Site) -> None:
    image = await between.home.rule({"b.fed": "none"})
    change = {"serial": new_serial(), "after": image.serial, "set": {}, "unset": ["b.fed"], "grants": [], "ended": [], "expires": 0}
    await say(between, json.dumps({"do": "change", "image": "a.fed"} | change))
    await between.home.change({"b.fed": "talk"})
    body = new_body()
    between.bob.write("alice@a.fed", body)
    await between.alice.reads(body)


async def test_the_status_says_how_things_stand(between: Site) -> None:
    await between.home.rule({"b.fed": "all"}, Grant("g", "c.fed", 1 << 33))
    body = new_body()
    between.bob.write("alice@a.fed", body)
    await between.alice.reads(body)
    status = await between.home.enforcer.status()
    assert (status["module"], status["server"]) == ("1", between.home.server.name)
    assert status["images"]["a.fed"]["grants"] == 1
    (stream,) = [row for row in status["streams"] if row["direction"] == "inbound"]
    assert stream == {
        "local": "a.fed",
        "remote": "b.fed",
        "direction": "inbound",
        "secure": True,
        "auth": "external",
        "address": "127.0.0.1",
    }
    assert set(status["facts"]["hosts"]) >= {"a.fed", "muc.a.fed", "agent.a.fed"}
    assert status["facts"]["dialback"] is False
    assert status["facts"]["starttls"] == "required"


async def test_the_agent_is_always_heard_by_its_clearinghouse_but_nobody_else_is(between: Site) -> None:
    await between.home.rule({"c.fed": "none"})  # which is exempt: where the clearinghouse is
    async with between.person("dave@c.fed") as dave:
        with pytest.raises(StanzaRefused, match="service-unavailable"):  # the agent's own answer
            await dave.ask("agent.a.fed", "get", Element("{urn:x}any"))
        assert "not at a level" in await dave.bounced(dave.write("alice@a.fed", new_body()))
    with pytest.raises(StanzaRefused, match=r"policy-violation|remote-server"):
        await between.bob.ask("agent.a.fed", "get", Element("{urn:x}any"))


async def test_the_agent_hears_at_once_what_is_in_force(between: Site) -> None:
    await between.home.leave()
    await between.home.come()
    assert "a.fed" in (await between.home.event("started"))["images"]


async def say(between: Site, line: str) -> None:
    payload = Element(PUSH)
    payload.text = line
    await between.home.link.ask("a.fed", "set", payload)
