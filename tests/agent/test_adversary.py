"""Whatever sources, disks, links and clocks do, the agent ends at the newest table that it may trust.

Each step is one fault or one ordinary thing.  After each, what the server lets pass follows from one table that the hub
really published, which holds still and is no older than the one before; or from an override that holds.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from clearinghouse.agent.applying.applier import Applier
from clearinghouse.agent.applying.overrides import Overrides
from clearinghouse.agent.applying.shorthand import LocalPolicy
from clearinghouse.agent.following import Follower
from clearinghouse.agent.home.clock import Clock as AgentClock
from clearinghouse.agent.home.keeping import StateDirectory, StateUnavailable
from clearinghouse.agent.sources.failover import Failover
from clearinghouse.clearing.dsse import TABLE, opened
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.demo.server_module import MemoryLink, MemoryServer
from clearinghouse.enforcers.levels import LevelEnforcer
from clearinghouse.errors import ClearinghouseError, Unavailable
from clearinghouse.federation.published.documents import (
    MAX_CONTENT_BYTES,
    delta_name,
    parted,
    revocations_name,
    root_name,
    table_name,
    timestamp_name,
)
from clearinghouse.federation.published.tables import read_payload
from clearinghouse.settings.agent import AgentSettings
from clearinghouse.settings.reading import parse_agent_settings
from tests.agent.community import US, Clock, Hub, MemorySource
from tests.agent.houses import settings_text

DOMAINS = ("b.example", "c.example", "d.example")
LEVELS = ("level-1", "level-2", "level-3")
ADMITTED = {"level-2", "level-3"}
BELIEVED: Snapshot = Snapshot.of({}, ())

rows = st.dictionaries(st.sampled_from(DOMAINS), st.sampled_from(LEVELS))


@dataclass(frozen=True, slots=True)
class Disk(StateDirectory):
    """A state directory on a disk that is full when a test says so."""

    full: ClassVar[bool] = False

    def write(self, name: str, content: bytes) -> None:
        if Disk.full:
            raise StateUnavailable("the disk is full", mend="make room")
        StateDirectory.write(self, name, content)


@dataclass(slots=True)
class Process:
    """One life of an agent, without anything that takes time: dropped, it is dead as after `kill -9`."""

    settings: AgentSettings
    source: MemorySource
    server: MemoryServer
    now: Clock
    follower: Follower
    overrides: Overrides
    applier: Applier

    @classmethod
    def started(cls, settings: AgentSettings, source: MemorySource, server: MemoryServer, now: Clock) -> Process:
        state = Disk(settings.state)
        state.path.mkdir(exist_ok=True)
        clock = AgentClock.restored(now, state)
        follower = Follower(settings, Failover([source]), state, clock)
        policy = LocalPolicy(settings, lambda: BELIEVED)
        overrides = Overrides(US, settings.community, state, now, policy.snapshot)
        link = MemoryLink(server)
        applier = Applier(settings, state, clock, follower, overrides, policy, LevelEnforcer(link.exchange, US))
        follower.restore()
        overrides.restore()
        return cls(settings, source, server, now, follower, overrides, applier)

    @property
    def version(self) -> int:
        trusted = self.follower.trusted
        return trusted.head.version if trusted is not None and trusted.head is not None else 0


class Adversary(RuleBasedStateMachine):
    """One hub, one agent in its lives, one server."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="adversary-"))
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.hub = Hub(self.clock)
        self.history: dict[int, dict[str, str]] = {}
        self.source = MemorySource(self.hub)
        self.server = MemoryServer(US, "agent.a.example", self.clock.seconds)
        text = settings_text(self.hub.pin)
        self.settings = parse_agent_settings(text, file="agent.toml", directory=self.directory)
        self.old: list[dict[str, bytes]] = []
        self.denied: dict[str, Any] = {}
        self.kept = self.pushed = 0
        Disk.full = False
        self.note()
        self.process = self.start()

    def teardown(self) -> None:
        self.runner.close()
        shutil.rmtree(self.directory)

    def start(self) -> Process:
        async def started() -> Process:
            return Process.started(self.settings, self.source, self.server, self.clock)

        return self.runner.run(started())

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.runner.run(work)

    def note(self) -> None:
        self.history[self.hub.version] = dict(self.hub.rows)
        self.old.append(dict(self.hub.documents))

    # -- what happens

    @initialize(rows=rows)
    def begin(self, rows: dict[str, str]) -> None:
        self.publish(rows)
        self.work()

    @rule(rows=rows)
    def publish(self, rows: dict[str, str]) -> None:
        self.hub.publish(rows)
        self.note()

    @rule()
    def stamp(self) -> None:
        self.hub.stamp()

    @rule()
    def round(self) -> None:
        self.run(self.process.follower.round())
        if not self.process.follower.unkept:
            self.kept = max(self.kept, self.process.version)

    @rule()
    def work(self) -> None:
        """Do what an agent does all the time."""
        self.round()
        self.apply()

    def apply(self) -> None:
        async def applied() -> None:
            with suppress(Unavailable):
                self.process.applier.forget()
                await self.process.applier._status()
                await self.process.applier.apply()

        self.run(applied())

    @rule(minutes=st.sampled_from((1, 5, 11, 60, 13 * 60)))
    def time_passes(self, minutes: int) -> None:
        self.clock.sleep(minutes=minutes)

    @rule(data=st.data())
    def a_document_is_replaced(self, data: st.DataObject) -> None:
        """By an older one, by that of another name, by garbage, by nothing: in any order, twice or never."""
        name = data.draw(st.sampled_from(self.newest()))
        state = data.draw(st.sampled_from(self.old))
        other = data.draw(st.sampled_from(sorted(state)))
        self.source.lies[name] = data.draw(st.sampled_from((None, b"", b"{}", state.get(name), state[other])))

    @rule(data=st.data())
    def an_old_state_is_replayed(self, data: st.DataObject) -> None:
        self.source.lies = dict(data.draw(st.sampled_from(self.old)))

    @rule()
    def the_source_is_honest(self) -> None:
        self.source.lies.clear()
        self.source.cut = False

    @rule()
    def the_network_is_cut(self) -> None:
        self.source.cut = True

    @rule()
    def the_agent_is_killed(self) -> None:
        before = self.process.version
        self.process = self.start()
        assert self.process.version >= min(self.kept, before), "a restart forgets nothing that was kept"

    @rule()
    def the_disk_fills_or_is_emptied(self) -> None:
        Disk.full = not Disk.full

    @rule()
    def the_server_is_killed(self) -> None:
        self.server.restart()

    @rule(domain=st.sampled_from(DOMAINS))
    def a_domain_is_shut_out(self, domain: str) -> None:
        try:
            made = self.process.overrides.deny(domain, timedelta(hours=2), "flood", "unix:ann")
        except ClearinghouseError:
            assert Disk.full
        else:
            self.denied[domain] = made

    def newest(self) -> list[str]:
        """Return the names that an agent asks for next."""
        version = self.hub.version
        named = (timestamp_name(US), table_name(US, version), delta_name(US, version), revocations_name(self.hub.revoked))
        return [*named, table_name(US, max(1, version - 1)), root_name(2)]

    # -- what is true all the time

    @invariant()
    def the_server_obeys_a_table_that_holds(self) -> None:
        image = self.server.images.get(US)
        if image is None or not image.decision:
            assert not any(map(self.server.passes, DOMAINS))
            return
        version = int(image.decision.rpartition(".")[2])
        ends = self.ends(version)
        for domain in DOMAINS:
            if self.server.passes(domain):
                assert self.history[version].get(domain) in ADMITTED
                assert self.clock() < ends
        if not self.process.follower.unkept and version < self.pushed:
            assert self.pushed > self.kept, "an older image follows only what the disk never had"
        self.pushed = version

    def ends(self, version: int) -> datetime:
        head, _ = parted(self.hub.documents[table_name(US, version)], MAX_CONTENT_BYTES)
        return read_payload(opened(head, payload_type=TABLE).payload).expires

    @rule()
    def all_is_well_again(self) -> None:
        """Once nothing is wrong any more, one round and one push lead to the newest table."""
        Disk.full = False
        self.the_source_is_honest()
        self.hub.publish()
        self.note()
        self.round()
        self.apply()
        assert self.process.version == self.hub.version
        now = self.clock()
        open_now = {domain for domain, level in self.hub.rows.items() if level in ADMITTED}
        denied = {domain for domain in DOMAINS if self.process.overrides.denied(domain, now)}
        assert {each for each in DOMAINS if self.server.passes(each)} == open_now - denied
        assert {domain for domain, made in self.denied.items() if now < made.until} <= denied


Adversary.TestCase.settings = settings(
    max_examples=int(os.environ.get("ADVERSARY_EXAMPLES", "8")),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
TestAdversary = Adversary.TestCase
