"""`clearinghouse serve` as its own process, at real servers."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from clearinghouse.clearing.decision import Outcome
from clearinghouse.demo.platforms import Platform
from clearinghouse.demo.servers import COMPONENT_PORT, Server
from clearinghouse.demo.worlds import BROKER as OTHER_BROKER
from clearinghouse.demo.worlds import COMPONENT, server_world
from clearinghouse.storage.sql_store import read_store
from clearinghouse.storage.store import Effect, Recorded
from tests.servers.processes import Program, program
from tests.servers.worlds import BROKER, SECRET, US, ServerWorld, new_topic
from tests.world import assertion, signed

pytestmark = pytest.mark.servers

ANALYST, OUTSIDER = "analyst@csirt.example", "outsider@csirt.example"


@dataclass
class Hub:
    """The files of a clearinghouse that licenses the analyst, and its process."""

    directory: Path
    topic: str

    @classmethod
    def made(cls, directory: Path, address: str, *, broker: str = BROKER, component: str = US, secret: str = SECRET) -> Hub:
        hub = cls(directory, new_topic().node)
        for name in ("policies/topics", "credentials"):
            (directory / name).mkdir(parents=True)
        test = f'operation == "subscribe" && topic == "{hub.topic}"'
        (directory / "policies/topics/a.kn").write_bytes(assertion("POLICY", "hub", test, "allow"))
        hub.license(ANALYST)
        (directory / "secret").touch(mode=0o600)
        (directory / "secret").write_text(secret)
        (directory / "clearinghouse.toml").write_text(
            f'community = "csirt-net"\n[[broker]]\njid = "{broker}"\ncomponent = "{component}"\n'
            f'host = "{address}"\nport = {COMPONENT_PORT}\nsecret_file = "secret"\n'
            f'[[topic]]\nnode = "{hub.topic}"\nbroker = "{broker}"\npayload_type = "urn:x"\n'
        )
        return hub

    def license(self, jid: str) -> None:
        (self.directory / f"credentials/{jid}.kn").write_bytes(signed("hub", f"xmpp:{jid}", f'topic == "{self.topic}"'))

    @asynccontextmanager
    async def serving(self, *, ready: bool = True) -> AsyncIterator[Program]:
        config = str(self.directory / "clearinghouse.toml")
        async with program(sys.executable, "-W", "error", "-m", "clearinghouse", "serve", "--config", config) as running:
            if ready:
                await running.says("  ready  ")
            yield running

    async def asks(self, platform: Platform) -> str:
        assert await platform.subscribe(self.topic) == "pending"
        return (await platform.ruling()).state

    async def recorded(self) -> list[Recorded]:
        async with read_store(self.directory / "clearinghouse.db") as store:
            return list(await store.decisions(100))


@pytest.fixture
def hub(tmp_path: Path, server: Server) -> Hub:
    return Hub.made(tmp_path, server.address)


@pytest.fixture
def world(server: Server) -> ServerWorld:
    return ServerWorld(server)


async def test_it_decides_tells_each_decision_in_one_line_and_ends_with_0(hub: Hub, analyst: Platform, outsider: Platform) -> None:
    async with hub.serving() as running:
        assert await hub.asks(analyst) == "subscribed"
        assert await hub.asks(outsider) == "none"
        running.process.send_signal(signal.SIGTERM)
        assert await running.ends() == 0
    granted, refused = await hub.recorded()
    assert [each.decision.outcome for each in (granted, refused)] == [Outcome.GRANTED, Outcome.REFUSED]
    assert {each.effect for each in (granted, refused)} == {Effect.DONE}
    for each in (granted, refused):
        assert len([line for line in running.lines if each.decision.id in line]) == 1
    assert not [line for line in running.lines if "Traceback" in line or ("WARNING" in line and "store made" not in line) or SECRET in line]


async def test_sighup_loads_what_was_dropped_in(hub: Hub, outsider: Platform) -> None:
    async with hub.serving() as running:
        hub.license(OUTSIDER)
        running.process.send_signal(signal.SIGHUP)
        await running.says("policy loaded", times=2)
        assert await hub.asks(outsider) == "subscribed"


async def test_a_broken_file_is_named_and_freezes_nothing(hub: Hub, analyst: Platform) -> None:
    (hub.directory / "policies/topics/broken.kn").write_text('\n\nAuthorizer: "POLICY"\nLicensee: "hub"\n')
    async with hub.serving() as running:
        await running.says("left out  file=topics/broken.kn  line=4  column=1")
        assert await hub.asks(analyst) == "subscribed"


async def test_what_was_asked_while_it_was_dead_is_answered_when_it_lives_again(hub: Hub, analyst: Platform) -> None:
    async with hub.serving() as running:
        running.process.send_signal(signal.SIGKILL)
        await running.ends()
    assert await analyst.subscribe(hub.topic) == "pending"
    async with hub.serving():
        assert (await analyst.ruling()).state == "subscribed"
    assert len(await hub.recorded()) == 1


async def test_a_wrong_secret_is_told_with_its_mend_and_tried_again(hub: Hub) -> None:
    (hub.directory / "secret").write_text("another")
    async with hub.serving(ready=False) as running:
        await running.says("check the component's name and secret", times=2)
        running.process.send_signal(signal.SIGINT)
        assert await running.ends() == 0


@pytest.mark.parametrize("make", ["ejabberd", "prosody"])
async def test_it_outlives_a_restart_of_its_server(tmp_path: Path, make: str) -> None:
    async with server_world(make, (ANALYST,), secret="s") as world:
        hub = Hub.made(tmp_path, world.server.address, broker=OTHER_BROKER, component=COMPONENT, secret="s")
        async with hub.serving() as running:
            await world.server.stop()
            await running.says("component lost")
            await world.server.start()
            async with world.platform(ANALYST) as analyst:
                assert await hub.asks(analyst) == "subscribed"
            await asyncio.sleep(0)
    assert len(await hub.recorded()) == 1
