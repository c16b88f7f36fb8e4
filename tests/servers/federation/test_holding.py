"""Stanzas that wait while the agent asks: sent on when it got permission, given back when it did not, and never without bounds."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from xml.etree.ElementTree import Element, SubElement

import pytest

from clearinghouse.demo.correspondents import BODY
from clearinghouse.demo.servers import CLIENT_PORT, Server
from clearinghouse.federation.enforced.image import Grant
from clearinghouse.grid.stanzas import MESSAGE, StanzaRefused
from tests.servers.federation.sites import PASSWORD, Site, new_body

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]

FOREVER = 1 << 33
MAX_PER_PAIR = 32
MAX_OF_USER = 16


async def test_a_message_that_is_refused_here_waits_and_then_arrives(between: Site) -> None:
    await between.home.rule({"b.fed": "none"}, ask=True)
    bodies = [new_body() for _ in range(3)]
    for body in bodies:
        between.alice.write("bob@b.fed", body)
    event = await between.home.event("refused")
    told = {name: event[name] for name in ("image", "local", "remote", "user", "to", "kind", "by", "text")}
    assert told == {
        "image": "a.fed",
        "local": "a.fed",
        "remote": "b.fed",
        "user": "alice@a.fed",
        "to": "bob@b.fed",
        "kind": "message",
        "by": "self",
        "text": "not at a level for a.fed (d-1)",
    }
    await between.home.change({}, Grant("g", "b.fed", FOREVER, user="bob@b.fed"))
    await between.home.enforcer.release(event["held"])
    waited = set(bodies)
    while waited:  # one that came just after the grant did not wait, and may be there before the others
        waited.discard(str((await between.bob.hears(lambda stanza: stanza.findtext(BODY) in waited)).findtext(BODY)))
    assert refusals_told(between) == []
    await between.home.enforcer.release(event["held"])  # is gone, which does not matter


async def test_what_is_refused_reaches_its_sender_with_the_reason(between: Site) -> None:
    await between.home.rule({"b.fed": "none"}, ask=True)
    message = between.alice.write("bob@b.fed", new_body())
    event = await between.home.event("refused")
    await between.home.enforcer.refuse(event["held"], "b.fed said no (d-77)")
    assert await between.alice.bounced(message) == "policy-violation: b.fed said no (d-77)"


async def test_what_is_released_too_early_is_not_held_again(between: Site) -> None:
    await between.home.rule({"b.fed": "none"}, ask=True)
    message = between.alice.write("bob@b.fed", new_body())
    event = await between.home.event("refused")
    await between.home.enforcer.release(event["held"])
    assert await between.alice.bounced(message) == "policy-violation: not at a level for a.fed (d-1)"
    assert refusals_told(between) == []


async def test_a_question_and_a_wish_to_subscribe_wait_too(between: Site) -> None:
    await between.home.rule({"b.fed": "none"}, ask=True)
    pinged = asyncio.create_task(between.alice.ping("b.fed"))
    first = await between.home.event("refused")
    between.alice.show("bob@b.fed", "subscribe")
    second = await between.home.event("refused")
    assert [first["kind"], second["kind"]] == ["iq", "presence"]
    await between.home.change({"b.fed": "all"})
    for event in (first, second):
        await between.home.enforcer.release(event["held"])
    await pinged
    await between.bob.hears(lambda stanza: stanza.get("type") == "subscribe")


async def test_a_stream_that_the_other_side_refuses_makes_its_stanzas_wait(between: Site) -> None:
    await between.home.rule({"b.fed": "all"}, ask=True)
    await between.away.rule({}, default_reason="a.fed is not known")
    await between.home.no_streams("b.fed")
    body = new_body()
    between.alice.write("bob@b.fed", body)
    event = await between.home.event("refused")
    assert (event["by"], event["user"], event["to"], event["kind"]) == ("peer", "alice@a.fed", "bob@b.fed", "message")
    assert event["text"] == "a.fed is not known (d-1)"
    await between.away.change({}, Grant("g", "a.fed", FOREVER))
    await between.home.enforcer.release(event["held"])
    await between.bob.reads(body)


async def test_a_stanza_that_the_other_side_refuses_waits(between: Site) -> None:
    await between.home.rule({"b.fed": "all"}, ask=True)
    await between.away.rule({}, Grant("g", "a.fed", FOREVER, user="carol@a.fed"), default_reason="only carol")
    body = new_body()
    between.alice.write("bob@b.fed", body)
    event = await between.home.event("refused")
    assert (event["by"], event["user"], event["kind"], event["text"]) == ("peer", "alice@a.fed", "message", "only carol (d-1)")
    await between.away.change({}, Grant("g", "a.fed", FOREVER))
    await between.home.enforcer.release(event["held"])
    arrived = await between.bob.reads(body)
    assert arrived.get("type") == "chat"


async def test_what_the_other_side_says_is_told_in_a_few_words(between: Site) -> None:
    await between.home.rule({"b.fed": "all"}, ask=True)
    message = between.alice.write(between.bob.boundjid.full, new_body())
    await between.bob.hears(lambda stanza: stanza.get("id") == message)
    error = Element("{jabber:client}error", type="cancel")
    error.append(Element("{urn:ietf:params:xml:ns:xmpp-stanzas}policy-violation"))
    SubElement(error, "{urn:ietf:params:xml:ns:xmpp-stanzas}text").text = "ü€" * 20_000
    error.append(Element("{urn:x-clearinghouse:server:1}refused", decision="x", type="chat"))
    answer = Element(MESSAGE, to=between.alice.boundjid.full, type="error", id=message)
    answer.append(error)
    between.bob.say(answer)
    event = await between.home.event("refused")
    assert (event["by"], event["text"]) == ("peer", "ü€" * 100)
    await between.home.enforcer.refuse(event["held"], "no")
    assert await between.alice.bounced(message) == "policy-violation: no"


async def test_what_comes_back_without_having_gone_out_is_no_reason_to_send(between: Site) -> None:
    await between.home.rule({"b.fed": "all"}, ask=True)
    forged = Element(MESSAGE, to=between.alice.boundjid.full, type="error", id="never-sent")
    error = Element("{jabber:client}error", type="cancel")
    error.append(Element("{urn:ietf:params:xml:ns:xmpp-stanzas}policy-violation"))
    error.append(Element("{urn:x-clearinghouse:server:1}refused", decision="x", type="chat"))
    forged.append(error)
    between.bob.say(forged)
    await between.alice.hears(lambda stanza: stanza.get("id") == "never-sent")
    assert refusals_told(between) == []


async def test_the_agents_own_stanzas_never_wait(between: Site) -> None:
    await between.home.rule({"b.fed": "none"}, ask=True)
    with pytest.raises(StanzaRefused, match="policy-violation"):
        await between.home.link.ask("b.fed", "get", Element("{urn:xmpp:ping}ping"))
    assert refusals_told(between) == []


async def test_nothing_waits_where_nobody_is_to_be_asked(between: Site) -> None:
    await between.home.rule({"b.fed": "none"}, ask=True)
    await between.home.leave()
    assert "not at a level" in await between.alice.bounced(between.alice.write("bob@b.fed", new_body()))
    await between.home.come()


async def test_what_is_long_does_not_wait(between: Site) -> None:
    await between.home.rule({"b.fed": "none"}, ask=True)
    assert "not at a level" in await between.alice.bounced(between.alice.write("bob@b.fed", "x" * 16_384))
    assert refusals_told(between) == []


async def test_one_pair_has_only_so_much_waiting(between: Site) -> None:
    await between.home.rule({"b.fed": "none"}, ask=True)
    messages = [between.alice.write("bob@b.fed", "x") for _ in range(MAX_PER_PAIR + 1)]
    assert "not at a level" in await between.alice.bounced(messages[-1])
    event = await between.home.event("refused")
    await between.home.enforcer.refuse(event["held"], "no")
    for message in messages[:-1]:
        assert await between.alice.bounced(message) == "policy-violation: no"
    assert refusals_told(between) == []


async def test_ten_thousand_domains_are_no_flood_for_the_agent(between: Site) -> None:
    # Asking for names that nobody has costs the agent a few events, and the server no connection.
    await between.home.rule({"b.fed": "none"}, ask=True)
    async with plain_client(between.home.server, "carol@a.fed") as (reader, writer):
        writer.write(b"".join(PING % (number, number) for number in range(10_000)))
        await reader.readuntil(b"id='q9999'")
    events = refusals_told(between)
    assert len(events) == MAX_OF_USER
    assert len(json.dumps(events)) < MAX_OF_USER * 1000
    for event in events:
        await between.home.enforcer.refuse(str(event["held"]), "no")


PING = b"<iq to='x%d.b.fed' type='get' id='q%d'><ping xmlns='urn:xmpp:ping'/></iq>"
HEADER = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='a.fed' version='1.0'>"


@asynccontextmanager
async def plain_client(server: Server, jid: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client that takes answers without looking at them, which is faster than any real one."""
    reader, writer = await asyncio.open_connection(server.address, CLIENT_PORT, limit=1 << 24)
    secret = base64.b64encode(f"\0{jid.partition('@')[0]}\0{PASSWORD}".encode()).decode()
    auth = f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>"
    bind = "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
    for sent, answer in ((HEADER, b"</stream:features>"), (auth, b"<success"), (HEADER, b"</stream:features>"), (bind, b"</bind>")):
        writer.write(sent.encode())
        await reader.readuntil(answer)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


def refusals_told(between: Site) -> list[dict[str, object]]:
    """What the agent has heard of refusals so far."""
    found = []
    while not between.home.events.empty():
        found.append(dict(between.home.events.get_nowait()))
    return [event for event in found if event["event"] == "refused"]
