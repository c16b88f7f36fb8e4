"""How soon what an agent knows is in force at its server, with a large community's levels loaded.

A change is measured from the call to the module's answer, which comes when the change is in force, its streams are
cut and it is on disk.  While the whole image is pushed, a user's pings tell how long the server was busy with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from clearinghouse.demo.correspondents import Correspondent, correspondent
from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.neighbours import Neighbours
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import Server
from clearinghouse.federation.enforced.image import Change, Image
from tests.benchmarks.measure import Effort
from tests.benchmarks.report import Goal, Section
from tests.servers.federation.sites import HOME, PASSWORD, Agent, agent

WANTED_MS = 5.0
SERVERS: tuple[Callable[..., Server], ...] = (Prosody, Ejabberd)


@dataclass(slots=True)
class Found:
    """Figures of one server; times in seconds."""

    name: str
    changes: list[float] = field(default_factory=list)
    whole: float = 0.0
    pause: float = 0.0
    megabytes: float = 0.0


def enforcing(effort: Effort) -> Section:
    """Measure both servers, and hold a change to what was wanted."""
    found = [asyncio.run(_at(make, effort)) for make in SERVERS]
    rows = [
        (
            each.name,
            median(each.changes) * 1e3,
            sorted(each.changes)[int(len(each.changes) * 0.99)] * 1e3,
            each.whole,
            each.pause * 1e3,
            each.megabytes,
        )
        for each in found
    ]
    goals = tuple(
        Goal(f"ms until one change is in force at {each.name}", "at most", WANTED_MS, median(each.changes) * 1e3) for each in found
    )
    columns = ("server", "one change, median ms", "99 % ms", "whole image, s", "longest pause meanwhile, ms", "memory of it, MB")
    return Section(f"Levels of {effort.crowd:,} domains at a server", columns, rows, goals)


async def _at(make: Callable[..., Server], effort: Effort) -> Found:
    with Neighbours() as neighbours:
        async with make(HOME, neighbours=neighbours) as server:
            await server.register("alice@a.fed", PASSWORD)
            found = Found(server.name)
            async with agent(server) as ours, correspondent("alice@a.fed", PASSWORD, server) as alice:
                await ours.rule({})
                image = await _whole(ours, alice, effort.crowd, found)
                await _changes(ours, image, effort.rounds, found)
            return found


async def _whole(ours: Agent, alice: Correspondent, count: int, found: Found) -> Image:
    before = _resident(ours.server)
    watching = asyncio.create_task(_longest_pause(alice))
    began = time.perf_counter()
    image = await ours.rule({f"server-{number}.some-organisation.fed": "all" for number in range(count)})
    found.whole = time.perf_counter() - began
    watching.cancel()
    found.pause = await watching
    found.megabytes = (_resident(ours.server) - before) / 1e6
    return image


async def _changes(ours: Agent, image: Image, rounds: int, found: Found) -> None:
    for number in range(rounds):
        name = "none" if number % 2 else "all"
        change = Change(
            image.name, image.serial + 1, image.serial, {name: [f"server-{number}.some-organisation.fed"]}, (), (), (), 0, "d-2"
        )
        image = replace(image, serial=change.serial)
        began = time.perf_counter()
        await ours.enforcer.push(image, change)
        found.changes.append(time.perf_counter() - began)


async def _longest_pause(alice: Correspondent) -> float:
    longest = 0.0
    try:
        while True:
            began = time.perf_counter()
            await alice.ping("a.fed")
            longest = max(longest, time.perf_counter() - began)
    except asyncio.CancelledError:
        return longest


def _resident(server: Server) -> int:
    """Bytes of memory that the server has."""
    assert server._process is not None
    lines = Path(f"/proc/{server._process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
