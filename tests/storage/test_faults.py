"""Faults for real: processes are killed, disks are full, files are locked; nothing that was answered is lost."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from clearinghouse.clearing.cases import CaseState
from clearinghouse.errors import StoreUnavailable
from clearinghouse.ledger.entry import Opening, leaf
from clearinghouse.ledger.merkle import Frontier, leaf_hash
from clearinghouse.storage.sql_store import SqlStore, open_store
from clearinghouse.storage.store import Effect, KeptEntry
from tests.storage.child import NAME
from tests.storage.conftest import Decisions

ROOT = Path(__file__).parents[2]
KILLS = 6
SECONDS = 60
"""How long a child may take at most: a hundred times what it takes alone."""

HOLDING = (
    "import sqlite3, sys; o = sqlite3.connect(sys.argv[1], isolation_level=None); o.execute('BEGIN IMMEDIATE'); print(flush=True); input()"
)


async def child(*command: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)


async def sound(store: SqlStore) -> list[KeptEntry]:
    """Return all entries: they are those of the tree, whole, and no decision is there twice."""
    found = list(await store.entries(0, store.log_size - 1))
    assert [each.entry.number for each in found] == list(range(store.log_size))
    assert all(leaf_hash(leaf(each.entry)) == each.leaf_hash for each in found)
    assert all(each.salt and each.record and Opening(each.salt, each.record).opens(each.entry) for each in found)
    assert Frontier().extended(each.leaf_hash for each in found).root() == store.log_root
    entered = Counter(each.entry.ref for each in found if each.entry.kind == "decision")
    assert entered == Counter(each.decision.id for each in await store.decisions(store.log_size))
    return found


async def check(path: Path, told: str) -> None:
    """Hold what was answered against what the store has."""
    answered = {tuple(line.split()) for line in told.splitlines() if line.count(" ") == 1 and line.split()[0] in {"decided", "denied"}}
    async with open_store(path) as store:
        entries = await sound(store)
        effects = {each.decision.id: each.effect for each in await store.decisions(len(entries))}
        states = {each.id: each.state for each in await store.cases(len(entries))}
    assert effects.keys() == states.keys() >= {name for _, name in answered}
    assert {effects[name] for what, name in answered if what == "denied"} <= {Effect.DONE}
    assert {states[name] for what, name in answered if what == "denied"} <= {CaseState.DENIED}
    assert all((effects[name] is Effect.DONE) == (state is CaseState.DENIED) for name, state in states.items())


async def test_what_was_answered_outlives_every_kill(tmp_path: Path) -> None:
    told, chance = "", random.Random(3)  # noqa: S311 - a moment, not a secret
    for _ in range(KILLS):
        writer = await child(sys.executable, "-m", "tests.storage.child", "write", str(tmp_path))
        assert writer.stdout is not None
        begun = await asyncio.wait_for(writer.stdout.readline(), SECONDS)
        await asyncio.sleep(chance.uniform(0.0, 0.3))
        writer.kill()
        told += (begun + (await writer.communicate())[0]).decode().rpartition("\n")[0] + "\n"
        assert writer.returncode == -signal.SIGKILL
        await check(tmp_path / NAME, told)
    assert told.count("denied") > 10 * KILLS


async def test_a_kill_before_any_statement_leaves_all_of_a_write_or_nothing(tmp_path: Path) -> None:
    async with asyncio.timeout(SECONDS):
        mortals = await child(sys.executable, "-m", "tests.storage.child", "steps", str(tmp_path))
        told = (await mortals.communicate())[0].decode()
    assert mortals.returncode == 0
    steps = int(told.split()[-1])
    assert steps > 12  # two transactions of at least six statements
    await check(tmp_path / NAME, told)
    async with open_store(tmp_path / NAME) as store:
        states = {each.id: each.state for each in await store.cases(99)}
    assert {*states.values()} == {CaseState.PENDING, CaseState.DENIED}
    assert list(states)[-1] == f"step{steps}-0"


def report(told: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(told)
    return found


async def check_full(path: Path, told: dict[str, Any]) -> None:
    assert told["kept"]
    assert told["failed"] == told["lost"] > 0
    assert told["after"] == 0
    async with open_store(path) as store:
        await sound(store)
        assert [each.decision.id for each in await store.decisions(9_999)] == told["kept"]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
async def test_a_full_disk_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    run = f'mount -t tmpfs -o size=2m none "$1" && echo mounted && "$2" -m tests.storage.child full "$1" && cp "$1/{NAME}"* "$3"'
    disk, copies = tmp_path / "disk", tmp_path / "copies"
    disk.mkdir()
    copies.mkdir()
    async with asyncio.timeout(SECONDS):
        writer = await child("unshare", "-Urm", "sh", "-c", run, "sh", str(disk), sys.executable, str(copies))
        told = (await writer.communicate())[0]
    if not told.startswith(b"mounted"):
        pytest.skip("no file system can be mounted here")
    found = report(told.partition(b"\n")[2])
    assert found["mends"] == ["make room on its disk"]
    await check_full(copies / NAME, found)


async def test_a_file_that_may_not_grow_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    async with asyncio.timeout(SECONDS):
        writer = await child(sys.executable, "-m", "tests.storage.child", "limited", str(tmp_path))
        found = report((await writer.communicate())[0])
    assert found["mends"] == ["look at its disk and at the system's log"]
    await check_full(tmp_path / NAME, found)


async def test_a_database_that_another_process_holds_loses_nothing_that_was_answered(path: Path, decide: Decisions) -> None:
    lost: list[int] = []
    async with open_store(path, lost=lost.append) as store:
        first = decide.granted()
        await store.record(first)
        holder = await child(sys.executable, "-c", HOLDING, str(path))
        assert holder.stdout is not None
        await asyncio.wait_for(holder.stdout.readline(), SECONDS)
        done = await asyncio.gather(*(store.record(decide.granted()) for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in done] == [StoreUnavailable] * 3
        waiting = asyncio.create_task(store.record(last := decide.granted()))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await holder.communicate(b"\n")  # it lets go in time
        await waiting
        assert [each.decision.id for each in await store.decisions(9)] == [first.id, last.id]
        await sound(store)
    assert lost == [1, 1, 1]
