"""What is lost is lost at once: live streams fall, by a push, by the clock, and without an agent; and it stays so over a restart."""

from __future__ import annotations

import time

import pytest

from clearinghouse.demo.correspondents import correspondent
from clearinghouse.demo.neighbours import Neighbours
from clearinghouse.enforcers.levels import SerialTaken
from clearinghouse.federation.enforced.image import Grant
from clearinghouse.grid.stanzas import StanzaRefused
from tests.servers.federation.conftest import Make
from tests.servers.federation.sites import HOME, PASSWORD, Site, agent, new_body

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]


async def both_ways(between: Site) -> None:
    """Have streams in both directions, with a message on each."""
    for sender, reader in ((between.alice, between.bob), (between.bob, between.alice)):
        body = new_body()
        sender.write(reader.boundjid.bare, body)
        await reader.reads(body)
    assert await between.home.streams("b.fed") == {"inbound", "outbound"}


async def closed(between: Site) -> None:
    """Nothing passes, and both users read why."""
    refused = await between.alice.bounced(between.alice.write("bob@b.fed", new_body()))
    assert refused.startswith("policy-violation: not at a level for a.fed (d-")
    assert "not at a level for a.fed (d-" in await between.bob.bounced(between.bob.write("alice@a.fed", new_body()))


async def test_streams_fall_when_a_level_is_withdrawn(between: Site) -> None:
    await between.home.rule({"b.fed": "all"})
    await both_ways(between)
    await between.home.change({"b.fed": "none"}, decision="d-2")
    await between.are_cut()
    assert "policy-violation (not at a level for a.fed (d-2))" in between.away.server.log_tail()
    await closed(between)
    await between.home.change({"b.fed": "all"})
    await both_ways(between)


async def test_streams_fall_when_a_whole_image_takes_everything(between: Site) -> None:
    await between.home.rule({"b.fed": "all"})
    await both_ways(between)
    between.home.enforcer.forget()
    await between.home.rule({"b.fed": "none"})
    await between.are_cut()
    await closed(between)


async def test_a_stream_stays_while_one_kind_still_passes(between: Site) -> None:
    await between.home.rule({"b.fed": "all"})
    await both_ways(between)
    await between.home.change({"b.fed": "talk"})
    assert await between.home.streams("b.fed") == {"inbound", "outbound"}


async def test_what_others_have_is_not_touched(between: Site) -> None:
    await between.home.rule({"b.fed": "all", "c.fed": "all"})
    await both_ways(between)
    async with between.person("dave@c.fed") as dave:
        body = new_body()
        dave.write("alice@a.fed", body)
        await between.alice.reads(body)
        await between.home.change({"b.fed": "none"})
        assert await between.home.streams("b.fed") == set()
        assert await between.home.streams("c.fed") == {"inbound"}


async def test_a_grant_ends_by_itself_with_its_streams(between: Site) -> None:
    grant = Grant("g", "b.fed", int(time.time()) + 2, decision="d-9")
    await between.home.rule({"b.fed": "none"}, grant)
    await both_ways(between)
    await between.away.no_streams("a.fed")
    assert time.time() >= grant.until
    await closed(between)


async def test_levels_expire_by_themselves_also_when_the_agent_is_dead(between: Site) -> None:
    await between.home.rule({"b.fed": "all"}, expires=int(time.time()) + 2)
    await both_ways(between)
    await between.home.leave()
    await between.away.no_streams("a.fed")
    refused = await between.alice.bounced(between.alice.write("bob@b.fed", new_body()))
    assert refused == "policy-violation: the levels known here have expired (d-1)"
    await between.home.come()


async def test_a_grant_outlives_the_levels(between: Site) -> None:
    await between.home.rule({"b.fed": "all"}, Grant("g", "b.fed", int(time.time()) + 60), expires=int(time.time()) - 1)
    await both_ways(between)


async def test_a_default_that_allows_expires_too(between: Site) -> None:
    await between.home.rule({}, default="allow", expires=int(time.time()) + 60)
    await both_ways(between)
    await between.home.change({}, expires=int(time.time()) - 1)
    assert await between.home.streams("b.fed") == set()
    assert "have expired" in await between.alice.bounced(between.alice.write("bob@b.fed", new_body()))


async def test_a_restart_of_the_server_keeps_what_is_in_force(make: Make) -> None:
    with Neighbours() as neighbours:
        async with make(HOME, neighbours=neighbours) as server:
            await server.register("alice@a.fed", PASSWORD)
            async with agent(server) as ours:
                grant = Grant("g", "d.fed", int(time.time()) + 60, user="dan@d.fed")
                await ours.rule({"b.fed": "none", "c.fed": "all", "e.fed": "all"}, grant)
                await ours.change({"b.fed": "talk", "c.fed": "none"}, grant)
                wanted = ours.image
            assert wanted is not None
            await server.restart()
            async with agent(server) as again, correspondent("alice@a.fed", PASSWORD, server) as alice:
                assert (await again.event("started"))["images"] == {"a.fed": wanted.serial}
                found = (await again.enforcer.status())["images"]["a.fed"]
                assert found == {"serial": wanted.serial, "rows": 3, "grants": 1, "expires": 0, "mode": "enforce", "kept": True}
                assert await alice.bounced(alice.write("dave@c.fed", "x")) == "policy-violation: not at a level for a.fed (d-1)"
                for permitted in ("bob@b.fed", "eve@e.fed", "dan@d.fed"):  # and cannot be found: nobody is there
                    assert "remote-server" in await alice.bounced(alice.write(permitted, "x"))
                with pytest.raises(StanzaRefused, match="messages and presence only"):
                    await alice.ping("b.fed")
                with pytest.raises(SerialTaken):
                    await again.enforcer.push(wanted)
