"""A porter with the real desk and a store in memory: who asks, what is heard, what the log has."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from clearinghouse.clearing.decision import Decision
from clearinghouse.federation.published.members import Endpoint, Member
from clearinghouse.federation.redirection.answers import Answer, Redirect, Refused
from clearinghouse.federation.redirection.seen import Proof, Require, Seen
from clearinghouse.ledger.entry import Kind
from clearinghouse.runtime.asking.rates import Buckets, Pace
from clearinghouse.runtime.chance import Chance, new_id
from clearinghouse.runtime.redirection.porter import RulingPorter
from clearinghouse.storage.changes import Change, Decided, Repeated
from clearinghouse.storage.memory import MemoryStore
from clearinghouse.storage.store import KeptEntry, Recorded
from tests.world import Community, key

LEVELS = ("deny", "level-1", "level-2", "level-3")
A, B, C, GONE = "a.example", "b.example", "c.example", "gone.example"
ADDRESS = "192.0.2.66"
ALLOWED = 'from_domain == "a.example"'
CERTIFICATE = key("certificate of a").principal


def seen(claimed: str = A, wanted: str = B, proof: Proof = Proof.CERTIFICATE, **more: str) -> Seen:
    """Return what a door sees of *claimed*, which has proven its name as *proof* says."""
    shown = {"key": CERTIFICATE, "issuer": "CN=Net CA"} if proof is Proof.CERTIFICATE else {}
    link = {"tls_version": "1.3", "cipher": "TLS_AES_256_GCM_SHA384", "address": ADDRESS}
    return Seen(claimed, wanted, proof, **{**shown, **link, **more})


def member(domain: str, *hosts: str, removed: bool = False) -> Member:
    """Return the record of *domain*, with endpoints at *hosts*."""
    return Member(domain, "csirt-net", tuple(map(Endpoint, hosts)), removed=removed)


MEMBERS = (member(A, "192.0.2.1"), member(B, "192.0.2.2"), member(GONE, "192.0.2.3", removed=True))


@dataclass
class Roll:
    """The members, and how often somebody looked for one."""

    members: dict[str, Member]
    looks: int = 0

    def member(self, domain: str) -> Member | None:
        self.looks += 1
        found = self.members.get(domain)
        return None if found is None or found.removed else found


@dataclass
class Table:
    """The published levels, and how often somebody looked for one."""

    rows: dict[str, str]
    looks: int = 0

    def level(self, domain: str) -> str:
        self.looks += 1
        return self.rows.get(domain, LEVELS[0])


@dataclass
class Diary:
    """A ledger over a store; ``error`` is what it raises instead, ``meanwhile`` happens each time that it writes."""

    store: MemoryStore = field(default_factory=MemoryStore)
    error: Exception | None = None
    meanwhile: Callable[[], None] = lambda: None
    writes: list[tuple[Change, ...]] = field(default_factory=list)

    @property
    def highest_time(self) -> datetime | None:
        return self.store.highest_time

    async def record(self, decision: Decision) -> None:
        await self._write(Decided(decision))

    async def repeat(self, *repeated: Repeated) -> None:
        await self._write(*repeated)

    async def _write(self, *changes: Change) -> None:
        if self.error is not None:
            raise self.error
        self.meanwhile()
        await self.store.write(*changes)
        self.writes.append(changes)


@dataclass
class Lodge:
    """A community with a porter at its door; a and b are members, gone was one."""

    require: Require = Require.CERTIFICATE
    sim: Community = field(default_factory=lambda: Community(levels=LEVELS))
    diary: Diary = field(default_factory=Diary)
    roll: Roll = field(default_factory=lambda: Roll({each.domain: each for each in MEMBERS}))
    table: Table = field(default_factory=lambda: Table({A: "level-2", B: "level-1"}))
    elapsed: float = 0.0
    porter: RulingPorter = field(init=False)

    def __post_init__(self) -> None:
        desk, clock = self.sim.ready(), lambda: self.elapsed
        desk.ledger = self.diary
        desk.new_id = new_id
        chance = Chance(lambda: self.sim.now, clock, new_id)
        buckets = Buckets(Pace(50, 50), clock), Buckets(Pace(20, 20), clock), Buckets(Pace(100, 100), clock)
        self.porter = RulingPorter(self.require, desk, self.diary, self.roll, self.table, chance, *buckets)

    def permits(self, where: str = ALLOWED, value: str = "level-2", *, to: str = A, until: str = "") -> None:
        """License *to* by a policy."""
        self.sim.policy(to, where, value, operation="federate", until=until)

    async def answer(self, *asked: object, **more: object) -> Answer:
        """Return what the peer hears; *asked* is a `Seen`, or what makes one."""
        self.sim.ready()
        each = asked[0] if asked and isinstance(asked[0], Seen) else seen(*asked, **more)  # type: ignore[arg-type]
        return await self.porter.answer(each)

    async def log(self) -> list[KeptEntry]:
        """Return every entry of the log."""
        return [*await self.diary.store.entries(0, 1 << 20)]

    async def recorded(self) -> list[Recorded]:
        """Return what the log says of each answer, in order."""
        ids = [identity for each in await self.log() for identity in answers_in(each)]
        found = [await self.diary.store.decision(each) for each in ids]
        assert None not in found
        return [each for each in found if each is not None]

    async def reasons(self) -> list[str]:
        """Return the reason of each answer, in order, as the log has it."""
        return [each.decision.reason.code for each in await self.recorded()]


def answers_in(kept: KeptEntry) -> list[str]:
    """Return the ids of the answers that an entry is about."""
    if kept.entry.kind is not Kind.REPEATED:
        return [kept.entry.ref]
    return [identity for identity, _ in json.loads(kept.record or b"{}")["answers"]]


def sent(answer: Answer) -> str:
    """Return where a peer is sent."""
    assert isinstance(answer, Redirect), answer
    return answer.place


def said(answer: Answer) -> str:
    """Return what a peer is told that is sent nowhere, without the decision's id."""
    assert isinstance(answer, Refused), answer
    assert answer.condition == "policy-violation"
    return answer.text.partition(" (decision ")[0]
