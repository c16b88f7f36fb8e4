"""The whole way of the how-to `switch-on`, at real servers: import, shadow, report, doctor, enforce."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from clearinghouse.cli.main import app
from clearinghouse.demo.correspondents import Correspondent, correspondent
from clearinghouse.demo.neighbours import Neighbours
from clearinghouse.demo.servers import Server
from tests.servers.federation.conftest import Make
from tests.servers.federation.posts import GUARDED, Post, passes, refused
from tests.servers.federation.sites import PASSWORD, agent

pytestmark = pytest.mark.servers

NAMES = {"prosody": "prosody.cfg.lua", "ejabberd": "ejabberd.yml"}


def run(*words: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, [*words, "--json"])
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture
async def guarded(make: Make, neighbours: Neighbours, away: Server) -> AsyncIterator[tuple[Server, Correspondent, Correspondent]]:
    async with AsyncExitStack() as stack:
        home = await stack.enter_async_context(make(GUARDED, neighbours=neighbours))
        await home.register("alice@a.fed", PASSWORD)
        theirs = await stack.enter_async_context(agent(away))
        await theirs.rule({}, default="allow")
        alice = await stack.enter_async_context(correspondent("alice@a.fed", PASSWORD, home))
        bob = await stack.enter_async_context(correspondent("bob@b.fed", PASSWORD, away))
        yield home, alice, bob


async def test_from_what_servers_do_today_to_policy(guarded: tuple[Server, Correspondent, Correspondent], tmp_path: Path) -> None:
    home, alice, bob = guarded
    status, told = run(
        "import", str(home._directory / NAMES[home.name]), "--community", "csirt-net", "--output", str(tmp_path / "imported")
    )
    assert (status, told["members"]) == (0, [])

    (tmp_path / "agent").mkdir()
    post = Post(tmp_path / "agent", home, more={"mode": '"shadow"'})
    post.publish({"b.fed": "level-1"})
    async with post.running():
        await post.applies(post.hub.version)
        await passes(alice, bob)
        await passes(bob, alice)
    async with post.running():  # which asks the module how things stand
        await post.applies(post.hub.version)
    in_shadow(post, str(tmp_path / "imported/today"))

    post.config.write_text(post.config.read_text().replace('mode = "shadow"', 'mode = "enforce"'))
    async with post.running():
        await post.applies(post.hub.version)
        assert "level level-1 is not admitted here" in await refused(alice, bob)
    _, told = run("doctor", "--agent", str(post.config))
    assert [each for each in told["findings"] if each["id"] in {"D301", "D303", "D305", "D308", "D310"}] == []


def in_shadow(post: Post, today: str) -> None:
    """What works today and would not is found, with the traffic that was counted."""
    status, told = run("shadow", "report", "--config", str(post.config), "--today", today)
    assert "pairs" in told, told
    (pair,) = (each for each in told["pairs"] if (each["local"], each["remote"]) == ("a.fed", "b.fed"))
    assert (status, pair["fate"], pair["inbound"], pair["mask"]) == (1, "cut", True, 0)
    assert pair["seen"] >= pair["refused"] >= 2
    status, told = run("doctor", "--agent", str(post.config))
    assert (status, {each["id"] for each in told["findings"]} >= {"D303", "D305"}) == (1, True)
    assert not {"D301", "D308", "D310"} & {each["id"] for each in told["findings"]}
