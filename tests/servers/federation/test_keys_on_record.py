"""The keys on record that an agent tells a Prosody: in parts, in force at once, kept on disk, and true of streams that go both ways."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from typing import Final

import pytest

from clearinghouse.demo.correspondents import Correspondent
from clearinghouse.demo.neighbours import CERTIFICATE_FILE, Neighbours
from clearinghouse.demo.prosody import Prosody
from clearinghouse.enforcers.levels import SerialTaken
from clearinghouse.grid.stanzas import StanzaRefused
from tests.servers.federation.scripted_door import key_of
from tests.servers.federation.sites import AWAY, HOME, PASSWORD, Agent, Site, agent, new_body, site

pytestmark = pytest.mark.servers

KEYS: Final = [f"{number:064x}" for number in range(9)]
WITH_COLONS: Final = ":".join(KEYS[1][at : at + 2] for at in range(0, 64, 2))
SEEKER: Final = replace(HOME, doors=(("door.hub.fed", KEYS[0].upper()), ("b.hub.fed", WITH_COLONS), ("bad.hub.fed", "no key")))


async def told(ours: Agent) -> dict[str, object]:
    return dict((await ours.enforcer.status())["peers"])


async def test_keys_come_in_parts_and_are_known_as_a_whole() -> None:
    with Neighbours() as alone:
        async with Prosody(SEEKER, neighbours=alone) as server, agent(server) as ours:
            assert await told(ours) == {}
            assert await ours.know({"b.fed": KEYS[:8]}, 5, 1, 2) == "5"
            assert await told(ours) == {}
            assert await ours.know({"C.fed.": KEYS[:1]}, 5, 2, 2) == "5"
            known = {"a.fed": {"serial": 5, "count": 2, "kept": True}}
            assert await told(ours) == known
            await ours.know({}, 7, 1, 3)
            for serial, part, parts in ((5, 1, 1), (4, 1, 1), (7, 3, 3), (7, 1 + 1, 2), (8, 2, 3)):
                with pytest.raises(StanzaRefused, match="conflict"):
                    await ours.know({}, serial, part, parts)
            with pytest.raises(SerialTaken, match="with serial 5 already"):
                await ours.enforcer.push_peers("a.fed", 5, {})
            for bad in ([], KEYS[:9], ["0" * 63], ["G" * 64], [KEYS[1] + "0"], ["A" * 64]):
                with pytest.raises(StanzaRefused, match="bad-request"):
                    await ours.know({"b.fed": bad}, 9)
            for part, parts in ((0, 1), (2, 1)):
                with pytest.raises(StanzaRefused, match="bad-request"):
                    await ours.know({}, 9, part, parts)
            assert await told(ours) == known
            await ours.enforcer.push_peers("a.fed", 9, {f"d{number}.fed": KEYS[:1] for number in range(2_500)})
            assert await told(ours) == {"a.fed": {"serial": 9, "count": 2_500, "kept": True}}


async def test_doors_are_told_and_what_is_none_is_left_out() -> None:
    with Neighbours() as alone:
        async with Prosody(SEEKER, neighbours=alone) as server, agent(server) as ours:
            facts = (await ours.enforcer.status())["facts"]
            assert set(facts["doors"]) == {"door.hub.fed", "b.hub.fed"}
            assert facts["door_pins"] == {"door.hub.fed": [KEYS[0]], "b.hub.fed": [KEYS[1]]}
            assert "bad.hub.fed needs a list of keys" in server.log_tail()
            file = server._directory / "prosody.cfg.lua"
            file.write_text(file.read_text().replace("door.hub.fed", "new.hub.fed"))
            assert server._process is not None
            server._process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(10):
                while "new.hub.fed" not in (await ours.enforcer.status())["facts"]["doors"]:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.02)


async def test_keys_outlive_the_server_and_a_broken_file_tells_none() -> None:
    with Neighbours() as alone:
        async with Prosody(SEEKER, neighbours=alone) as server:
            file = server._directory / "data/clearinghouse/a.fed.peers"
            async with agent(server) as ours:
                await ours.know({"b.fed": KEYS[:1]}, 5, 1, 2)
                await ours.know({"c.fed": KEYS[:1]}, 5, 2, 2)
            await server.restart()
            async with agent(server) as again:
                assert await told(again) == {"a.fed": {"serial": 5, "count": 2, "kept": True}}
            await server.stop()
            file.write_bytes(file.read_bytes()[:-5])
            await server.start()
            async with agent(server) as again:
                assert await told(again) == {}
                assert "The keys for a.fed cannot be read" in server.log_tail()
                file.unlink()
                file.mkdir()
                (file / "in the way").touch()
                await again.know({"b.fed": KEYS[:1]}, 6)
                assert await told(again) == {"a.fed": {"serial": 6, "count": 1, "kept": False}}
            await server.restart()
            async with agent(server) as again:
                assert await told(again) == {}


async def test_a_stream_that_goes_both_ways_carries_stanzas_to_the_key_on_record_alone() -> None:
    with Neighbours() as town:
        async with (
            Prosody(replace(SEEKER, bidi=True), neighbours=town) as home,
            Prosody(replace(AWAY, bidi=True), neighbours=town) as away,
        ):
            await home.register("alice@a.fed", PASSWORD)
            await away.register("bob@b.fed", PASSWORD)
            right = key_of((away._directory / CERTIFICATE_FILE).read_bytes())
            async with site(home, away) as between:
                await between.home.rule({}, default="allow")
                await writes(between.bob, between.alice)
                await writes(between.alice, between.bob)
                await between.home.know({"b.fed": KEYS[:1]})  # on the stream that is there
                await goes_nowhere(between)
                await writes(between.bob, between.alice)
                await between.away.rule({})
                await between.home.no_streams("b.fed")
                await between.away.no_streams("a.fed")
                await between.away.rule({}, default="allow")
                await writes(between.bob, between.alice)  # on a new one
                await goes_nowhere(between)
                await between.home.know({"b.fed": [right]})
                await writes(between.alice, between.bob)


async def test_while_a_broken_file_hides_the_keys_no_key_is_the_right_one() -> None:
    with Neighbours() as town:
        async with Prosody(SEEKER, neighbours=town) as home, Prosody(AWAY, neighbours=town) as away:
            await home.register("alice@a.fed", PASSWORD)
            await away.register("bob@b.fed", PASSWORD)
            right = key_of((away._directory / CERTIFICATE_FILE).read_bytes())
            async with agent(home) as ours:
                await ours.know({"b.fed": [right]})
            await home.stop()
            file = home._directory / "data/clearinghouse/a.fed.peers"
            file.write_bytes(file.read_bytes()[:-5])
            await home.start()
            async with site(home, away) as between:
                await between.home.rule({}, default="allow")
                await goes_nowhere(between)
                await between.home.know({"b.fed": [right]})
                await writes(between.alice, between.bob)


async def goes_nowhere(between: Site) -> None:
    why = await between.alice.bounced(between.alice.write("bob@b.fed", new_body()))
    assert why.endswith("the key of the certificate of b.fed is not on record")


async def writes(sender: Correspondent, reader: Correspondent) -> None:
    body = new_body()
    sender.write(reader.boundjid.bare, body)
    await reader.reads(body)
