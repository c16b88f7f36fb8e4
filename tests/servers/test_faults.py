"""What is caused here is what happens: processes killed, brokers restarted, links cut, disks full, owners who meddle.

After each recovery every request was decided exactly once, and grants and broker agree.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import resource
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from clearinghouse.clearing.cases import Case, CaseState, Grant
from clearinghouse.clearing.decision import Outcome
from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.platforms import Platform
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import Server
from clearinghouse.doors.control.client import NotRunning, call
from clearinghouse.grid import pubsub
from clearinghouse.keynote.keys import write_key_file
from clearinghouse.settings import Settings, read_settings
from clearinghouse.storage.sql_store import read_store
from clearinghouse.storage.store import Effect, Recorded
from tests.servers.processes import Program, program
from tests.servers.test_serve import ANALYST, OUTSIDER, Hub
from tests.servers.worlds import BROKER, HOSTING, OPERATOR, PASSWORD, ServerWorld
from tests.world import assertion, key

pytestmark = pytest.mark.servers

on_ejabberd = pytest.mark.parametrize("server", ["ejabberd"], indirect=True)
"""Where the fault is ours alone, one broker shows it as well as two."""

ME = f"unix:{pwd.getpwuid(os.getuid()).pw_name}"


@pytest.fixture(params=[Ejabberd, Prosody])
def make(request: pytest.FixtureRequest) -> type[Server]:
    found: type[Server] = request.param
    return found


@pytest.fixture
def world(server: Server) -> ServerWorld:
    return ServerWorld(server)


@pytest.fixture
def hub(tmp_path: Path, server: Server) -> Hub:
    return with_people(Hub.made(tmp_path, server.address))


def with_people(made: Hub) -> Hub:
    """Have a person decide about the outsider; the analyst is licensed already."""
    directory = made.directory
    where = f'operation == "subscribe" && topic == "{made.topic}"'
    (directory / "policies/people").mkdir()
    (directory / "policies/topics/asked.kn").write_bytes(assertion("POLICY", f"{{xmpp:{OUTSIDER}}}", where, "ask"))
    (directory / "policies/topics/approved.kn").write_bytes(assertion("POLICY", f"{{xmpp:{OUTSIDER}}} && {{desk}}", where, "allow"))
    people = 'operation ~= "^(approve|revoke|explain)$" && topic ~= "^[a-z0-9-]+$" && subject ~= "@"'
    (directory / "policies/people/me.kn").write_bytes(assertion("POLICY", f"{{{ME}}}", people))
    write_key_file(directory / "desk.key", key("desk"))
    with (directory / "clearinghouse.toml").open("a") as settings:
        settings.write(f'[desk]\nkey_file = "desk.key"\n[[person]]\nname = "me"\nlocal = ["{ME.removeprefix("unix:")}"]\n')
    return made


def settings_of(hub: Hub) -> Settings:
    return read_settings(hub.directory / "clearinghouse.toml")


async def told(hub: Hub, do: str, **words: str) -> dict[str, Any]:
    return await asyncio.to_thread(call, settings_of(hub), do, **words)


async def approve(hub: Hub) -> None:
    """Approve the one case that waits, as its approver reads it."""
    async with asyncio.timeout(10):
        while not (waiting := (await told(hub, "pending"))["cases"]):  # noqa: ASYNC110 - nothing here announces it
            await asyncio.sleep(0.05)
    [case] = waiting
    await told(hub, "approve", case=case["id"], shown=case["shown"], subject=case["subject"], topic=case["topic"])


async def withdraw(hub: Hub) -> None:
    [grant] = (await told(hub, "grants"))["grants"]
    await told(hub, "end-grant", grant=grant["id"], **{"may-ask-again": "yes"})


@asynccontextmanager
async def dying(hub: Hub, step: str) -> AsyncIterator[Program]:
    """Run a clearinghouse that dies at *step*, such as `after 2`."""
    config = str(hub.directory / "clearinghouse.toml")
    async with program(sys.executable, "-m", "tests.servers.dying", config, *step.split()) as running:
        await running.says("  ready  ")
        yield running


async def died(running: Program) -> None:
    assert await running.ends() == -signal.SIGKILL


async def standing(hub: Hub) -> tuple[list[Recorded], list[Case], list[Grant]]:
    """Return the decisions, the cases and the active grants of the store."""
    async with read_store(hub.directory / "clearinghouse.db") as store:
        grants = await store.grants(100, ended=False)
        return list(await store.decisions(100)), list(await store.cases(100)), [each for each in grants if each.ended is None]


async def at_broker(world: ServerWorld, hub: Hub) -> frozenset[str]:
    """Return who is subscribed, as the broker tells another owner; the clearinghouse must not be connected."""
    async with world.house() as house:
        answer = await house.exchange.ask(BROKER, "get", pubsub.ask_subscriptions(hub.topic))
        return frozenset(jid for jid, state in pubsub.subscriptions_in(answer).items() if state == "subscribed")


# -- killed at every step ------------------------------------------------------------------------------


@on_ejabberd
@pytest.mark.parametrize("step", ["before 1", "after 1", "before 2", "after 2"])
async def test_killed_while_it_decides_it_has_decided_once_when_it_lives_again(
    hub: Hub, world: ServerWorld, step: str, analyst: Platform
) -> None:
    async with dying(hub, step) as running:
        assert await analyst.subscribe(hub.topic) == "pending"
        await died(running)
    async with hub.serving() as running:
        assert (await analyst.ruling()).state == "subscribed"
        running.process.send_signal(signal.SIGTERM)
        assert await running.ends() == 0
    decisions, _, [grant] = await standing(hub)
    assert [(each.decision.outcome, each.effect) for each in decisions] == [(Outcome.GRANTED, Effect.DONE)]
    assert grant.id == decisions[0].decision.id
    assert await at_broker(world, hub) == {ANALYST}
    assert analyst.rulings.empty()


@on_ejabberd
@pytest.mark.parametrize("step", ["before 1", "after 1", "before 2", "after 2", "before 3", "after 3", "before 4", "after 4"])
async def test_killed_while_people_decide_the_case_is_decided_once(hub: Hub, world: ServerWorld, step: str, outsider: Platform) -> None:
    async with dying(hub, step) as running:
        assert await outsider.subscribe(hub.topic) == "pending"
        if step.endswith("1"):
            await died(running)
        else:
            with suppress(NotRunning):
                await approve(hub)
            await died(running)
    async with hub.serving() as running:
        if step in {"before 1", "after 1", "before 2"}:
            await approve(hub)
        assert (await outsider.ruling()).state == "subscribed"
        running.process.send_signal(signal.SIGTERM)
        assert await running.ends() == 0
    decisions, cases, [grant] = await standing(hub)
    assert [each.decision.outcome for each in decisions] == [Outcome.PENDING, Outcome.GRANTED]
    assert [(each.state, len(each.approvals)) for each in cases] == [(CaseState.APPROVED, 1)]
    assert grant.case == cases[0].id
    assert await at_broker(world, hub) == {OUTSIDER}


@on_ejabberd
@pytest.mark.parametrize("step", ["before 3", "after 3", "before 4", "after 4"])
async def test_killed_while_it_ends_a_grant_the_broker_hears_of_it_all_the_same(
    hub: Hub, world: ServerWorld, step: str, analyst: Platform
) -> None:
    async with dying(hub, step) as running:
        assert await hub.asks(analyst) == "subscribed"
        with suppress(NotRunning):
            await withdraw(hub)
        await died(running)
    async with hub.serving() as running:
        if step == "before 3":  # nobody was told that it was ended
            await withdraw(hub)
        assert (await analyst.ruling()).state == "none"
        running.process.send_signal(signal.SIGTERM)
        assert await running.ends() == 0
    assert (await standing(hub))[2] == []
    assert await at_broker(world, hub) == frozenset()
    assert analyst.rulings.empty()


# -- away ----------------------------------------------------------------------------------------------


async def test_requests_that_came_while_the_component_was_away_are_decided_once_each(
    hub: Hub, analyst: Platform, outsider: Platform
) -> None:
    async with hub.serving() as running:
        running.process.send_signal(signal.SIGSTOP)  # it is there, and hears nothing
        assert await analyst.subscribe(hub.topic) == "pending"
        running.process.send_signal(signal.SIGKILL)
        await running.ends()
    assert await outsider.subscribe(hub.topic) == "pending"
    async with hub.serving():
        assert (await analyst.ruling()).state == "subscribed"
        await approve(hub)
        assert (await outsider.ruling()).state == "subscribed"
    decisions, _, grants = await standing(hub)
    assert len(decisions) == 3
    assert len(grants) == 2


# -- behind our back -----------------------------------------------------------------------------------


async def test_whom_a_co_owner_approves_behind_our_back_is_ruled_on_at_the_next_look(
    hub: Hub, world: ServerWorld, outsider: Platform
) -> None:
    (hub.directory / "policies/topics/asked.kn").unlink()
    (hub.directory / "policies/topics/approved.kn").unlink()
    async with hub.serving():
        pass
    async with world.house() as house:
        await house.exchange.ask(BROKER, "set", pubsub.set_affiliations(hub.topic, {OPERATOR: "owner"}))
    assert await outsider.subscribe(hub.topic) == "pending"
    async with world.platform(OPERATOR) as rival:
        rival.link.say(pubsub.authorization(BROKER, hub.topic, OUTSIDER, approve=True))
        assert (await outsider.ruling()).state == "subscribed"
    async with hub.serving() as running:
        assert (await outsider.ruling()).state == "none"
        await running.says("foreign owner")
    [found], _, grants = await standing(hub)
    assert (found.decision.outcome, grants) == (Outcome.REFUSED, [])


# -- the store -----------------------------------------------------------------------------------------


async def test_while_another_holds_the_store_nobody_is_answered_and_nothing_is_lost(hub: Hub, analyst: Platform) -> None:
    async with hub.serving() as running:
        with closing(sqlite3.connect(hub.directory / "clearinghouse.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert await analyst.subscribe(hub.topic) == "pending"
            await running.says("left undone")
            assert analyst.rulings.empty()
            other.execute("ROLLBACK")
        assert (await analyst.ruling()).state == "subscribed"
    decisions, _, grants = await standing(hub)
    assert (len(decisions), len(grants)) == (1, 1)


async def test_on_a_full_disk_nobody_is_answered_and_nothing_is_lost(hub: Hub, analyst: Platform) -> None:
    async with hub.serving() as running:
        limit(running, (hub.directory / "clearinghouse.db-wal").stat().st_size)
        assert await analyst.subscribe(hub.topic) == "pending"
        await running.says("left undone")
        assert analyst.rulings.empty()
        limit(running, None)
        assert (await analyst.ruling()).state == "subscribed"
        assert (await told(hub, "status"))["status"]["decisions_lost"] > 0
    decisions, _, grants = await standing(hub)
    assert (len(decisions), len(grants)) == (1, 1)


def limit(running: Program, size: int | None) -> None:
    """Let no file of the process grow beyond *size* bytes: what it writes then fails as on a full disk."""
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY if size is None else size, resource.RLIM_INFINITY))


# -- brokers that restart ------------------------------------------------------------------------------


async def test_what_was_asked_of_a_broker_that_then_restarts_is_decided_once(make: type[Server], tmp_path: Path) -> None:
    async with make(HOSTING) as server:
        for jid in (ANALYST, OUTSIDER):
            await server.register(jid, PASSWORD)
        hub, world = with_people(Hub.made(tmp_path, server.address)), ServerWorld(server)
        async with hub.serving() as running:
            async with world.platform(ANALYST) as analyst, world.platform(OUTSIDER) as outsider:
                assert await hub.asks(analyst) == "subscribed"
                assert await outsider.subscribe(hub.topic) == "pending"
            await server.stop()
            await running.says("component lost")
            await server.start()
            await running.says("component connected", times=2)
            async with world.platform(OUTSIDER) as outsider:
                await approve(hub)
                assert (await outsider.ruling()).state == "subscribed"
        assert await at_broker(world, hub) == {ANALYST, OUTSIDER}
    decisions, cases, grants = await standing(hub)
    assert [each.decision.outcome for each in decisions] == [Outcome.GRANTED, Outcome.PENDING, Outcome.GRANTED]
    assert (len(cases), len(grants)) == (1, 2)
