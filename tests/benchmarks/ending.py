"""How long it takes to end all grants of one topic in one pass, at both brokers.

Measured from the call to the moment when both the subscriptions and the affiliations are as wanted and the broker
has said so, over the component's link on loopback.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from statistics import median
from typing import Literal

from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import Server
from clearinghouse.grid import pubsub
from tests.benchmarks.measure import Effort
from tests.benchmarks.report import Goal, Section
from tests.servers.worlds import BROKER, HOSTING, House, ServerWorld, new_topic

GRANTS = 1000
ROUNDS = 5

AFFILIATIONS: tuple[Literal["none", "outcast"], ...] = ("none", "outcast")
SERVERS: tuple[Callable[[], Server], ...] = (lambda: Ejabberd(HOSTING), lambda: Prosody(HOSTING))


def measure(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return for each broker, and for each affiliation afterwards, the seconds of each of *rounds* passes over `GRANTS` subscribers."""
    return {server.name: asyncio.run(_at(server, rounds)) for server in (make() for make in SERVERS)}


def ending(effort: Effort) -> Section:
    """Measure, and hold each broker to what was wanted."""
    found = measure(max(ROUNDS, effort.rounds // 10))
    rows = [
        (broker, affiliation, f"{median(seconds) * 1000:.0f}", f"{max(seconds) * 1000:.0f}")
        for broker, each in found.items()
        for affiliation, seconds in each.items()
    ]
    goals = tuple(
        Goal(f"seconds to end {GRANTS:,} grants of one topic at {broker}", "at most", 2.0, max(map(median, each.values())))
        for broker, each in found.items()
    )
    columns = ("broker", "affiliation afterwards", "median ms", "slowest ms")
    return Section(f"{GRANTS:,} grants of one topic, ended in one pass", columns, rows, goals)


async def _at(server: Server, rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {affiliation: [] for affiliation in AFFILIATIONS}
    async with server:
        for _ in range(rounds):
            for affiliation in AFFILIATIONS:
                found[affiliation].append(await _once(server, affiliation))
    return found


async def _once(server: Server, affiliation: Literal["none", "outcast"]) -> float:
    topic = new_topic()
    jids = [f"reader-{number}@csirt.example" for number in range(GRANTS)]
    async with ServerWorld(server).house(topic) as house:
        await house.owner.ensure_topics([topic])
        await _grant(house, topic.node, jids)
        begin = time.perf_counter()
        await house.owner.end(BROKER, topic.node, jids, affiliation=affiliation)
        seconds = time.perf_counter() - begin
        state = await house.owner.state(topic)
        assert (len(state.subscribed), sum(held == "outcast" for held in state.affiliations.values())) == (
            0,
            GRANTS if affiliation == "outcast" else 0,
        )
        return seconds


async def _grant(house: House, node: str, jids: list[str]) -> None:
    for batch in pubsub.batches(dict.fromkeys(jids, "subscribed")):
        await house.exchange.ask(BROKER, "set", pubsub.set_subscriptions(node, batch))
    await house.owner._hands.affiliate(BROKER, node, dict.fromkeys(jids, "member"))
