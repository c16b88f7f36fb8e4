"""Several nodes with the door for servers over one PostgreSQL: no single one of them, nor the store for a while, is missed."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clearinghouse import telemetry
from clearinghouse.cli.main import app
from clearinghouse.demo.league.community import EAST, NORTH, SOUTH
from clearinghouse.demo.postgres import Cluster
from clearinghouse.federation.redirection.answers import ID_CHARACTERS
from clearinghouse.ledger.entry import Entry, Kind
from clearinghouse.runtime.parts import Service
from clearinghouse.runtime.redirection.ledger import CAUGHT_UP
from clearinghouse.storage.changes import SHARED_CHARACTERS
from clearinghouse.storage.named import read_named
from tests.servers.redirecting import ADDRESSES, Answer, Node, Nodes

pytestmark = pytest.mark.servers

SENT = Answer("see-other-host", ADDRESSES[SOUTH], f"the server of {SOUTH}", "")
REFUSED = Answer("policy-violation", "", "not permitted: not-granted", "")
CUT_OFF = Answer("policy-violation", "", "not permitted: store-cut-off", "")


@pytest.fixture
def nodes(tmp_path: Path, url: str) -> Nodes:
    telemetry.configure()  # what the main service says while a command runs in our process is no part of the answer
    made = Nodes(tmp_path)
    made.write(url)
    return made


async def answers(node: Node, wanted: Answer, asking: str = NORTH) -> None:
    """Ask until the answer is *wanted*."""
    async with asyncio.timeout(20):
        while await node.asked(asking, SOUTH) != wanted:
            pass


def _told(entry: Entry) -> str:
    """Return the beginning of the id that a peer was told, as far as all answers of an entry share it."""
    return entry.ref[: SHARED_CHARACTERS if entry.kind is Kind.REPEATED else ID_CHARACTERS]


async def in_the_log(nodes: Nodes) -> None:
    """See that every answer is in the log once, and that whoever has the log's key can tell."""
    async with read_named(nodes.settings.store) as store:
        entries = await store.entries(0, store.log_size)
    logged = Counter(_told(each.entry) for each in entries if each.entry.kind in {Kind.DECISION, Kind.REPEATED})
    assert set(logged.values()) == {1}
    missing = [each for each in nodes.answers if not logged.keys() & {each.id, each.id[:SHARED_CHARACTERS]}]
    assert missing == []  # there may be more: what was decided anew, as policy changed, nobody heard
    status, told = await nodes.command("log", "export", str(nodes.hub / "log.jsonl"))
    assert status == 0, told
    verify = ["log", "verify", str(nodes.hub / "log.jsonl"), "--log-key", str(nodes.hub / "log.pub")]
    result = await asyncio.to_thread(CliRunner().invoke, app, verify)
    assert result.exit_code == 0, result.output


async def told_how_it_is(nodes: Nodes) -> None:
    """See what the commands say of a node that runs."""
    status, told = await nodes.command("redirect", "--check", "--json", config="one")
    found = json.loads(told)
    assert (status, found["ok"], found["members"], found["problems"]) == (0, True, 3, [])
    status, told = await nodes.command("redirect", "--check", config="one")
    assert (status, "3 members" in told) == (0, True)
    status, told = await nodes.command("redirect", "status", "--json", config="two")
    found = json.loads(told)
    assert (status, found["health"], found["members"], found["error"]) == (0, "good", 3, None)
    assert found["door"]["answers"] == {"redirected": 1, "refused": 1}
    status, told = await nodes.command("redirect", "status", config="two")
    assert (status, "good" in told, "1 redirected, 1 refused" in told) == (0, True, True)


async def one_is_killed(one: Node, two: Node) -> None:
    for each in (one, two):
        assert (await each.ready())["members"] == 3
        assert await each.asked(NORTH, SOUTH) == SENT
        assert await each.asked(NORTH, "unknown.fed") == REFUSED
    await told_how_it_is(two.nodes)
    one.program.process.kill()
    assert await two.asked(NORTH, SOUTH) == SENT


async def policy_changes(nodes: Nodes, service: Service, node: Node) -> None:
    assert await node.asked(EAST, SOUTH) == SENT
    (nodes.hub / "credentials" / f"{EAST}.kn").unlink()
    service.reload.set()
    await answers(node, REFUSED, EAST)


async def the_store_hangs(one: Node, two: Node, postgres: Cluster) -> None:
    """And one node is killed meanwhile."""
    postgres.signal(signal.SIGSTOP)
    try:
        assert [await each.asked(NORTH, SOUTH) for each in (one, two)] == [SENT, SENT]
        assert [await each.asked(EAST, SOUTH) for each in (one, two)] == [REFUSED, REFUSED]
        await asyncio.gather(*(each.says("cut_off") for each in (one, two)))
        one.program.process.kill()
        await two.says("refusing")
        status, told = await two.nodes.command("redirect", "status", config="two")
        assert (status, "refusing" in told, "bytes wait for the log" in told) == (1, True, True)
        assert [await two.asked(NORTH, each) for each in (SOUTH, "unknown.fed")] == [CUT_OFF, CUT_OFF]
    finally:
        postgres.signal(signal.SIGCONT)
    assert (await two.says("back"))["appended"] >= 3  # one may have been committed when it hung
    await answers(two, SENT)


async def the_store_ends(node: Node, postgres: Cluster) -> None:
    postgres.stop()
    assert await node.asked(NORTH, SOUTH) == SENT
    postgres.start()
    await node.says("back", times=2)
    assert await node.asked(NORTH, SOUTH) == SENT


async def test_the_answers_are_the_same_whoever_is_killed_and_while_the_store_is_away(nodes: Nodes, postgres: Cluster, url: str) -> None:
    async with AsyncExitStack() as stack:
        async with nodes.main() as service:
            await nodes.enrol(service)
            nodes.let_in(postgres, url)
            one, two = [await stack.enter_async_context(nodes.node(each)) for each in ("one", "two")]
            await one_is_killed(one, two)
            await policy_changes(nodes, service, two)
        again = await stack.enter_async_context(nodes.node("one"))
        await again.ready()
        await the_store_hangs(again, two, postgres)
        await the_store_ends(two, postgres)
        last = await stack.enter_async_context(nodes.node("one"))
        assert (await last.ready())["appended"] >= 1  # what the one that was killed has left
        assert await last.asked(NORTH, SOUTH) == SENT
        for each in (last, two):
            each.program.process.terminate()
            assert await each.program.ends() == 0
    async with nodes.main() as service:
        assert len([each for each in await service.store.events(99) if each.kind == CAUGHT_UP]) >= 3
    await in_the_log(nodes)
