"""The agent as a program beside a real server: what the table says is what passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse.demo.correspondents import Correspondent
from clearinghouse.demo.servers import Server
from clearinghouse.federation.published.members import Member
from tests.agent.community import NAME
from tests.servers.federation.posts import Post, passes, refused

pytestmark = pytest.mark.servers


async def test_the_table_decides_who_passes_and_a_withdrawal_counts_at_once(
    guarded: Server, people: tuple[Correspondent, Correspondent], tmp_path: Path
) -> None:
    alice, bob = people
    post = Post(tmp_path, guarded)
    post.hub.members["b.fed"] = Member("b.fed", NAME, issued=post.hub.clock(), pins=("0" * 64,))
    post.publish({"b.fed": "level-2"})
    async with post.running():
        found = await post.applies(post.hub.version)
        assert (found["standing"], found["rows"], found["linked"]) == ("fresh", 1, True)
        await post.until(lambda found: found["peers"] == 1 and found["health"] == "good")  # the module knows its key
        await passes(alice, bob)
        await passes(bob, alice)
        post.publish({"b.fed": "level-1"})
        await post.applies(post.hub.version)
        assert await refused(alice, bob) == f"policy-violation: level level-1 is not admitted here (table 1.{post.hub.version})"
        post.publish({"b.fed": "level-2"})
        await post.applies(post.hub.version)
        await passes(alice, bob)
