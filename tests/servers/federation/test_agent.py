"""The agent as a program beside a real server: what the table says is what passes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from clearinghouse.demo.correspondents import Correspondent, correspondent
from clearinghouse.demo.neighbours import Neighbours
from clearinghouse.demo.servers import Server
from tests.servers.federation.conftest import Make
from tests.servers.federation.posts import GUARDED, Post, passes, refused
from tests.servers.federation.sites import PASSWORD, agent

pytestmark = pytest.mark.servers


@pytest.fixture
async def guarded(make: Make, neighbours: Neighbours, away: Server) -> AsyncIterator[tuple[Server, Correspondent, Correspondent]]:
    """A server of ours alone, somebody at it, and somebody at the other one, which lets everything pass."""
    async with AsyncExitStack() as stack:
        home = await stack.enter_async_context(make(GUARDED, neighbours=neighbours))
        await home.register("alice@a.fed", PASSWORD)
        theirs = await stack.enter_async_context(agent(away))
        await theirs.rule({}, default="allow")
        alice = await stack.enter_async_context(correspondent("alice@a.fed", PASSWORD, home))
        bob = await stack.enter_async_context(correspondent("bob@b.fed", PASSWORD, away))
        yield home, alice, bob


async def test_the_table_decides_who_passes_and_a_withdrawal_counts_at_once(
    guarded: tuple[Server, Correspondent, Correspondent], tmp_path: Path
) -> None:
    home, alice, bob = guarded
    post = Post(tmp_path, home)
    post.publish({"b.fed": "level-2"})
    async with post.running():
        found = await post.applies(post.hub.version)
        assert (found["standing"], found["rows"], found["linked"]) == ("fresh", 1, True)
        await passes(alice, bob)
        await passes(bob, alice)
        post.publish({"b.fed": "level-1"})
        await post.applies(post.hub.version)
        assert await refused(alice, bob) == f"policy-violation: level level-1 is not admitted here (table 1.{post.hub.version})"
        post.publish({"b.fed": "level-2"})
        await post.applies(post.hub.version)
        await passes(alice, bob)
        status, told = await post.asks("status")
        assert (status, told["ok"], told["health"]) == (0, True, "good")
