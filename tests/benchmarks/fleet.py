"""From a change of policy until a hundred agents have applied it: real HTTP, real verification, all in this process.

Each agent has an address of its own on loopback, waits for news in a long poll, fetches timestamp and delta, and
checks them as agents do.  What a server then makes of the table is measured with the modules.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx

from clearinghouse.clearing.vocabulary import EVERYTHING
from clearinghouse.federation.membership.registry import KeptMember
from clearinghouse.federation.published.documents import digest, timestamp_name
from clearinghouse.federation.published.members import Member, seal_member
from clearinghouse.federation.trust.trusted import Trusted
from clearinghouse.keynote.signing import sign
from clearinghouse.storage.changes import MemberSet
from tests.benchmarks.measure import Effort
from tests.benchmarks.report import Goal, Section
from tests.commons import Commons, commons, op
from tests.presses import COMMUNITY, key
from tests.runtime.house import until
from tests.world import assertion

AGENTS: Final = 100
MEMBERS: Final = 1_000


@dataclass(slots=True)
class Agent:
    """One agent: what it believes, and when it first believed each version."""

    domain: str
    trusted: Trusted
    client: httpx.AsyncClient
    home: Commons
    applied: dict[int, float] = field(default_factory=dict)
    stamp: bytes = b""

    async def run(self) -> None:
        """Wait for news, and apply them, until cancelled."""
        while True:
            url = f"/v1/wait?audience=community&after={digest(self.stamp)}"
            found = await self.client.get(url, headers=self.header(), timeout=40)
            if found.status_code == httpx.codes.OK:
                await self.update(found.content)

    async def update(self, stamp: bytes) -> None:
        self.trusted.begin()
        now, ready = datetime.now(UTC), {timestamp_name(EVERYTHING): stamp}
        while (name := self.trusted.wanted()) is not None:
            raw = ready.get(name) or (await self.client.get(f"/v1/documents/{name}", headers=self.header())).content
            self.trusted.update(name, raw, now)
        self.stamp = stamp
        if self.trusted.head is not None:
            self.applied.setdefault(self.trusted.head.version, time.perf_counter())

    def header(self) -> dict[str, str]:
        self.home.now = datetime.now(UTC)
        return self.home.reads(self.domain)


def names(size: int) -> Iterator[str]:
    return (f"m{number}.example" for number in range(size))


async def enlist(home: Commons, size: int) -> None:
    """Write the records of all members at once, as the registrar signs them."""
    now = home.now
    found = [
        KeptMember(name, 1, seal_member(Member(name, COMMUNITY, keys=(key(name).principal,), issued=now), [key("registrar")]), now, "op")
        for name in names(size)
    ]
    await home.service.books.write(*(MemberSet(each, "add") for each in found))
    await until(lambda: len(home.rows() or ()) == size, 60)
    await home.looked()


def policies(home: Commons, size: int) -> None:
    home.write("policies/federate/levels.kn", assertion("POLICY", key("hub").principal, 'from_domain ~= "example$"'))
    home.write("policies/people/keys.kn", assertion("POLICY", "{unix:op}", 'operation == "administer"'))
    home.write("credentials/all.kn", *(granted(name, "level-1") for name in names(size)))


def granted(name: str, level: str) -> bytes:
    hub, text = key("hub"), f'from_domain == "{name}" && community == "{COMMUNITY}"'
    return sign(assertion(hub.principal, f"{{xmpp:{name}}}", text, level), hub)


@asynccontextmanager
async def fleet(home: Commons, count: int) -> AsyncIterator[list[Agent]]:
    assert home.service.http is not None
    base, trusted = f"http://127.0.0.1:{home.service.http.port}", home.trusted(pin=home.pin())
    agents = [
        Agent(
            name,
            trusted.copy(),
            httpx.AsyncClient(base_url=base, transport=httpx.AsyncHTTPTransport(local_address=f"127.0.1.{number}")),
            home,
        )
        for number, name in zip(range(1, count + 1), names(count), strict=True)
    ]
    for each in agents:
        each.stamp = home.timestamp()
    tasks = [asyncio.create_task(each.run()) for each in agents]
    try:
        await until(lambda: len(home.house.library._waiters) == count, 60)
        yield agents
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in agents:
            await each.client.aclose()


async def changed(home: Commons, agents: list[Agent], number: int) -> list[float]:
    """Grant one level, and return after how many seconds each agent had applied it."""
    version, began = home.version() + 1, time.perf_counter()
    name = f"m{number}.example"
    await home.service.hall.office.add_credential(op(), granted(name, "level-2"))
    await until(lambda: all(version in each.applied for each in agents), 60)
    assert {each.trusted.rows[name] for each in agents} == {"level-2"}
    await until(lambda: len(home.house.library._waiters) == len(agents), 60)
    return [each.applied[version] - began for each in agents]


async def measured(rounds: int, count: int = AGENTS, size: int = MEMBERS) -> list[float]:
    """Return after how many seconds changes were applied, of each change at each agent."""
    with TemporaryDirectory() as name:
        home = commons(Path(name), now=datetime.now(UTC))
        policies(home, size)
        took: list[float] = []
        async with home.open():
            await enlist(home, size)
            async with fleet(home, count) as agents:
                for number in range(rounds):
                    took += await changed(home, agents, number)
        return took


def fleet_(effort: Effort) -> Section:
    """Measure some changes, one after the other."""
    rounds = max(3, effort.rounds // 20)
    took = sorted(asyncio.run(measured(rounds)))
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    notes = (
        f"{rounds} changes, each one credential, in a community of {MEMBERS:,} members; agents and clearinghouse share one process",
        "from the moment that an operator adds the credential: judged, durable, the table made, signed, logged, told, fetched, verified",
    )
    goals = (Goal("seconds from push to applied, 100 agents, p99", "at most", 5.0, p99),)
    return Section("push to applied", ("agents", "p50 s", "p99 s", "longest s"), [(AGENTS, p50, p99, took[-1])], goals, notes)
