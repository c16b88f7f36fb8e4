"""Whichever way a domain proves its name, and however many are on one stream, each is judged for itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from clearinghouse.demo.neighbours import Neighbours
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import Server
from clearinghouse.federation.enforced.image import Grant
from tests.servers.federation.peer import peer
from tests.servers.federation.sites import AWAY, HOME, PASSWORD, Site, new_body, site

pytestmark = pytest.mark.servers


@pytest.fixture
async def believed(believing: tuple[Server, Server]) -> AsyncIterator[Site]:
    async with site(*believing) as made:
        yield made


async def test_a_domain_that_proves_its_name_by_dialback_is_judged_like_any_other(believed: Site) -> None:
    await believed.home.rule({"b.fed": "all"})
    for sender, reader in ((believed.alice, believed.bob), (believed.bob, believed.alice)):
        body = new_body()
        sender.write(reader.boundjid.bare, body)
        await reader.reads(body)
    status = await believed.home.enforcer.status()
    assert {row["auth"] for row in status["streams"] if row["remote"] == "b.fed"} == {"dialback"}
    assert status["facts"]["dialback"] is True
    await believed.home.change({"b.fed": "none"})
    await believed.are_cut()
    assert "not permitted (d-1)" in await believed.bob.bounced(believed.bob.write("alice@a.fed", new_body()))  # to one that only says so
    refused = await believed.alice.bounced(believed.alice.write("bob@b.fed", new_body()))
    assert refused == "policy-violation: not at a level for a.fed (d-1)"


async def test_one_that_does_not_say_its_name_at_first_is_refused_when_it_claims_it(believed: Site) -> None:
    await believed.home.rule({"b.fed": "none"})
    async with peer(believed.home.server.address, "a.fed") as other:
        answer = await other.proves("b.fed")
    assert "policy-violation" in answer
    assert "not permitted (d-1)" in answer  # nothing is proven yet


@pytest.mark.parametrize("believing", ["ejabberd"], indirect=True)  # Prosody has no answer to this, which is none either
async def test_nobody_outside_proves_to_be_one_of_our_own_hosts(believed: Site) -> None:
    await believed.home.rule({HOME.component: "all"}, default="allow")
    async with peer(believed.home.server.address, "a.fed") as other:
        answer = await other.proves(HOME.component)
    assert "policy-violation" in answer


async def test_a_second_domain_on_a_stream_needs_its_own_permission(believed: Site) -> None:
    await believed.home.rule({"b.fed": "all", "c.fed": "none"})
    async with peer(believed.home.server.address, "a.fed") as other:
        assert "valid" in await other.proves("b.fed")
        answer = await other.proves("c.fed")
        assert "policy-violation" in answer
        assert "db:result" in answer  # the stream goes on for the other one
        body = new_body()
        other.write("bob@b.fed", "alice@a.fed", body)
        await believed.alice.reads(body)
        lie, after = new_body(), new_body()
        other.write("dave@c.fed", "alice@a.fed", lie)
        believed.bob.write("alice@a.fed", after)
        heard = await believed.alice.hears(lambda stanza: stanza.get("type") != "error")
        assert heard.findtext("{jabber:client}body") == after


async def test_whoever_makes_up_hosts_of_ours_or_long_names_fills_nothing(believed: Site) -> None:
    await believed.home.rule({"b.fed": "all"})
    async with peer(believed.home.server.address, "a.fed") as other:
        assert "valid" in await other.proves("b.fed")
        other.say(f"<db:result from='{'long.' * 60}fed' to='a.fed'>x</db:result>")
        body = new_body()
        other.write("bob@b.fed", "alice@a.fed", body)  # comes after it, on the same stream
        await believed.alice.reads(body)
        # All in one write: Prosody ends the stream at the first of them.
        other.say("".join(f"<db:result from='b.fed' to='host-{number}.nowhere'>x</db:result>" for number in range(20)))
        await other.hears("host-19|<stream:error")
    counted = (await believed.home.enforcer.status())["seen"]
    assert [row["local"] for row in counted if "nowhere" in row["local"]] == []
    assert [row["remote"] for row in counted if "long" in row["remote"]] == []


async def test_what_one_domain_loses_the_other_one_keeps(believed: Site) -> None:
    await believed.home.rule({"b.fed": "all", "c.fed": "all"})
    async with peer(believed.home.server.address, "a.fed") as other:
        assert "valid" in await other.proves("b.fed")
        assert "valid" in await other.proves("c.fed")
        body = new_body()
        other.write("dave@c.fed", "alice@a.fed", body)
        await believed.alice.reads(body)
        await believed.home.change({"c.fed": "none"})
        lost, kept = new_body(), new_body()
        other.write("dave@c.fed", "alice@a.fed", lost)
        other.write("bob@b.fed", "alice@a.fed", kept)
        heard = await believed.alice.hears(lambda stanza: stanza.get("type") != "error")
        assert heard.findtext("{jabber:client}body") == kept
        await believed.home.change({"b.fed": "none"}, decision="d-3")
        assert "not at a level for a.fed (d-3)" in await other.hears("<stream:error.*</stream:error>")


async def test_a_stream_that_carries_both_directions_is_judged_in_each() -> None:
    with Neighbours() as neighbours:
        async with (
            Prosody(replace(HOME, bidi=True), neighbours=neighbours) as home,
            Prosody(replace(AWAY, bidi=True), neighbours=neighbours) as away,
        ):
            await home.register("alice@a.fed", PASSWORD)
            await away.register("bob@b.fed", PASSWORD)
            for opens_first in ("alice", "bob"):
                async with site(home, away) as between:
                    await on_one_stream(between, opens_first)


async def on_one_stream(between: Site, opens_first: str) -> None:
    pairs = [(between.alice, between.bob), (between.bob, between.alice)]
    await between.home.rule({"b.fed": "all"})
    for sender, reader in pairs if opens_first == "alice" else reversed(pairs):
        body = new_body()
        sender.write(reader.boundjid.bare, body)
        await reader.reads(body)
    status = await between.home.enforcer.status()
    assert status["facts"]["bidi"] is True
    assert connections(between.away.server) == 1
    await between.home.change({"b.fed": "in"})
    assert await between.alice.bounced(between.alice.write("bob@b.fed", new_body())) == "policy-violation: inbound only (d-1)"
    body = new_body()
    between.bob.write("alice@a.fed", body)
    await between.alice.reads(body)
    await between.home.change({"b.fed": "out"})
    refused = asyncio.create_task(between.bob.bounced(between.bob.write("alice@a.fed", new_body())))
    assert await refused == "policy-violation: outbound only (d-1)"
    await between.home.change({"b.fed": "none"}, Grant("g", "b.fed", 1 << 33, user="eve@b.fed"))
    assert "not at a level" in await between.bob.bounced(between.bob.write("alice@a.fed", new_body()))
    await between.home.change({"b.fed": "none"})
    await between.are_cut()


def connections(server: Server) -> int:
    """How many TCP connections between servers end at *server* or begin there, as its log says."""
    text = (server._directory / f"{server.name}.log").read_text()
    return text.count("s2s connection") - text.count("s2s stream")
