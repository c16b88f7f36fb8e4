"""Real faults between real programs: killed, cut off, without room.  The server never admits what no table that holds admits."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from clearinghouse.demo.neighbours import Neighbours
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import Server
from clearinghouse.doors.control.client import NotRunning
from tests.agent.community import Hub, RealClock
from tests.agent.shelves import Shelf, Wire, https_hub
from tests.servers.federation.posts import DOMAIN, GUARDED, Post
from tests.servers.federation.sites import Agent as Component
from tests.servers.federation.sites import agent as component
from tests.servers.processes import Program
from tests.world import key

pytestmark = pytest.mark.servers

ROWS = {"b.fed": "level-2", "c.fed": "level-1"}


@pytest.fixture
async def server(neighbours: Neighbours) -> AsyncIterator[Server]:
    async with Prosody(GUARDED, neighbours=neighbours) as made:
        yield made


async def image_at(server: Server) -> dict[str, Any]:
    """Ask the module itself, in the agent's place while that is away."""
    async with component(server) as asking:
        return await _image(asking)


async def _image(asking: Component) -> dict[str, Any]:
    found: dict[str, Any] = (await asking.enforcer.status())["images"].get(DOMAIN, {})
    return found


async def killed(running: Program) -> None:
    os.killpg(running.process.pid, signal.SIGKILL)
    await running.process.wait()


async def test_an_agent_that_is_killed_at_any_moment_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    post, chance = Post(tmp_path, server), Random(7)  # noqa: S311 - the same moments each time
    serial = 0
    for number in range(2):
        async with post.running() as running:
            await running.says("agent started")
            for turn in range(4):
                post.publish(ROWS if (number + turn) % 2 else {})
                await asyncio.sleep(chance.random() / 4)
            await killed(running)
        found = await image_at(server)
        assert found.get("serial", 0) >= serial, "what the module enforces never goes back"
        serial = found.get("serial", 0)
    async with post.running():
        post.publish(ROWS)
        told = await post.applies(post.hub.version)
        assert told["rows"] == len(ROWS)


async def test_the_server_goes_on_without_its_agent_and_the_agent_without_its_server(server: Server, tmp_path: Path) -> None:
    post = Post(tmp_path, server)
    post.publish(ROWS)
    async with post.running() as running:
        before = await post.applies(post.hub.version)
        await killed(running)
    await server.stop()
    await server.start()
    assert (await image_at(server))["serial"] == before["serial"], "the module had it from its own disk"
    async with post.running() as running:
        await post.applies(post.hub.version)
        await server.stop()
        await running.says("component lost")
        post.publish({})
        await post.until(lambda found: bool(found["table"]["version"] == post.hub.version and found["health"] == "apart"))
        await server.start()
        assert (await post.applies(post.hub.version))["rows"] == 0


async def test_without_the_network_the_table_counts_until_it_ends_and_then_nothing_does(server: Server, tmp_path: Path) -> None:
    short = Hub(RealClock(), DOMAIN, table_life=timedelta(seconds=6), timestamp_life=timedelta(seconds=4))
    shelf = Shelf(short, key("agent a").principal)
    async with AsyncExitStack() as stack:
        url, ca = await stack.enter_async_context(https_hub(shelf, tmp_path))
        wire = await stack.enter_async_context(Wire(int(url.rpartition(":")[2])).laid())
        (tmp_path / "post").mkdir()
        source = f'[[source]]\nkind = "https"\nurl = "https://localhost:{wire.port}"\nca = "{ca}"\n'
        more = {"report": '"1 second"', "sections": f'[admit]\nminimum = "level-2"\n\n{source}'}
        post = Post(tmp_path / "post", server, short, more)
        await stack.enter_async_context(post.running())
        await post.until(lambda found: bool(found["linked"]))
        short.publish(ROWS)
        await post.applies(short.version)
        await wire.cut()
        await post.until(lambda found: found["health"] == "stale")
        closed = await post.until(lambda found: found["health"] == "closed")
        assert (closed["last_error"]["code"], closed["standing"]) == ("source-unavailable", "expired")
        status, _ = await post.asks("status")
        assert status == 1
        await wire.mend()
        short.table_life = timedelta(minutes=5)
        short.publish(ROWS)
        await post.applies(short.version)
        async with asyncio.timeout(10):
            while not shelf.reports or shelf.reports[-1]["standing"] != "fresh":  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)


async def test_on_a_full_disk_a_withdrawal_counts_and_is_kept_once_there_is_room(server: Server, tmp_path: Path) -> None:
    post = Post(tmp_path, server)
    post.publish(ROWS)
    async with post.running() as running:
        await post.applies(post.hub.version)
        limit(running, 0)
        post.publish({})
        found = await post.applies(post.hub.version)
        assert (found["rows"], found["kept"]) == (0, False)
        await running.says("state not kept")
        limit(running, None)
        post.publish({})
        await post.until(lambda found: bool(found["kept"] and found["table"]["version"] == post.hub.version))


def limit(running: Program, size: int | None) -> None:
    """Let no file of the process grow beyond *size* bytes: what it writes then fails as on a full disk."""
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY if size is None else size, resource.RLIM_INFINITY))


async def test_an_override_needs_neither_the_network_nor_the_agent(server: Server, tmp_path: Path) -> None:
    post = Post(tmp_path, server)
    post.publish(ROWS)
    with pytest.raises(NotRunning):
        await post.status()
    words = ("--for", "2 hours", "--reason", "flood")
    status, told = await post.asks("override", "deny", "b.fed", *words)
    assert (status, told["override"]["action"]) == (0, "deny")
    async with post.running():
        await post.applies(post.hub.version)
        status, told = await post.asks("override", "allow", "x.fed", *words, "--key", str(tmp_path / "site.key"))
        assert status == 0, told
        found = await post.until(lambda found: bool(found["grants"] == 1))
        assert sorted((each["action"], each["domain"]) for each in found["overrides"]) == [("allow", "x.fed"), ("deny", "b.fed")]
