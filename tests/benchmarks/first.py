"""How long the first message between two servers takes: found by DNS, and found through the clearinghouse's door."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from statistics import median
from typing import Final

from clearinghouse.demo.league.community import ANN, BEN, EVE, MEMBERS
from clearinghouse.demo.league.world import World, league_world
from clearinghouse.demo.neighbours import S2S_PORT
from tests.benchmarks.measure import Effort
from tests.benchmarks.report import Section

PAIRS: Final[Mapping[str, tuple[str, str]]] = {
    "a Prosody to a Prosody": (ANN, BEN),
    "a Prosody to an ejabberd": (BEN, EVE),
    "an ejabberd to a Prosody": (EVE, ANN),
}


def first_messages(effort: Effort) -> Section:
    """Each round has new servers, so that no stream is there and nobody remembers anybody."""
    found = {(pair, through): list[float]() for pair in PAIRS for through in (False, True)}
    for number in range(max(3, effort.rounds // 20) * 2):
        through = bool(number % 2)
        for pair, seconds in asyncio.run(_round(through=through)).items():
            found[pair, through].append(seconds * 1e3)
    rows = [(pair, median(found[pair, False]), median(found[pair, True])) for pair in PAIRS]
    return Section("The first message between two servers, until it is read", ("", "found by DNS, ms", "through the door, ms"), rows)


async def _round(*, through: bool) -> dict[str, float]:
    async with league_world() as world:
        while len(world.levels) < len(MEMBERS):  # noqa: ASYNC110 - the table is published when it is
            await asyncio.sleep(0.01)
        await world.applied()
        if through:
            for domain in MEMBERS:
                world.names.put(domain, world.door, S2S_PORT)
        return {pair: await _message(world, *who) for pair, who in PAIRS.items()}


async def _message(world: World, sender: str, reader: str) -> float:
    text, began = f"{sender} to {reader}", time.perf_counter()
    world.people[sender].write(reader, text)
    await world.people[reader].reads(text)
    return time.perf_counter() - began
