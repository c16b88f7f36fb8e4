"""The office, the review and the books over a store in memory, with a clock that the test sets: nothing is a mock.

The broker is a list: what would be true at it stands there in the order in which it was told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

from clearinghouse.clearing.cases import Case, Grant
from clearinghouse.clearing.clear import Desk, rule
from clearinghouse.clearing.consequences import consequences
from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.enforcement import Enforcement
from clearinghouse.clearing.people import Speaker
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.errors import BrokerUnavailable
from clearinghouse.grid.topics import Topic
from clearinghouse.keynote import Admitted, admit
from clearinghouse.runtime.asking.questions import Asking
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.people.office import Clerks, Hall
from clearinghouse.runtime.people.review import Review
from clearinghouse.runtime.standing.beliefs import Beliefs
from clearinghouse.runtime.standing.books import Books
from clearinghouse.settings import Settings
from clearinghouse.signer.inline import InlineSigner
from clearinghouse.storage.changes import Decided
from clearinghouse.storage.holdings import Holdings, Loader
from clearinghouse.storage.memory import MemoryStore
from tests.world import BROKER, HUB, INCIDENTS, IODEF, NOON, assertion, key, request, signed, who

ANN, BEA, EVE = "ann@a.example", "bea@b.example", "eve@c.example"
OP, DEPUTY = "op@hub.example", "deputy@hub.example"
LONGEST = timedelta(days=90)

PERSONS = (
    {"name": "op", "jids": (OP,), "keys": (key("op").principal,), "local": ("op",)},
    {"name": "deputy", "jids": (DEPUTY,), "keys": (key("deputy").principal, key("deputy-2").principal)},
    {"name": "ann", "jids": (ANN,), "keys": (key("ann").principal,)},
    {"name": "root-a", "keys": (key("root-a").principal,)},
    {"name": "root-b", "keys": (key("root-b").principal,)},
)

ANYTHING = 'subject ~= "^[^@]+@[^@]+$" && topic ~= "^[a-z0-9-]+$"'

_OPERATORS = f"{{{OP}}} || {{op}} || {{unix:op}} || {{deputy}}"
_ASKED = 'operation ~= "^(subscribe|publish)$" && topic ~= "^(incidents|restricted)$"'

POLICIES: tuple[tuple[str, bytes], ...] = (
    ("topics", assertion("POLICY", "{hub}", _ASKED, "ask")),
    ("topics", assertion("POLICY", "{hub} && {desk}", _ASKED, "allow")),
    ("topics", assertion("POLICY", "{hub}", 'operation == "subscribe" && topic == "open"', "allow")),
    ("people", assertion("POLICY", _OPERATORS, f'operation == "approve" && topic == "incidents" && {ANYTHING}')),
    ("people", assertion("POLICY", "2-of({op}, {deputy}, {deputy-2})", f'operation == "approve" && topic == "restricted" && {ANYTHING}')),
    ("people", assertion("POLICY", _OPERATORS, f'operation ~= "^(explain|revoke)$" && {ANYTHING}')),
    ("people", assertion("POLICY", "2-of({root-a}, {root-b})", 'operation == "administer"')),
)
"""An operator decides alone about `incidents`, and two keys together about `restricted`; two roots administer."""

CREDENTIALS = tuple(
    signed("hub", f"xmpp-member:{domain}", f'domain == "{domain}" && jid ~= "^[^@]+@{domain}$"') for domain in ("a.example", "b.example")
)


def settings_of(**more: object) -> Settings:
    return Settings.model_validate({"community": "csirt-net", "person": PERSONS, **more})


@dataclass
class Broker:
    """Implements `Enforcer`: keeps what it was told; away, it takes nothing."""

    told: list[Enforcement] = field(default_factory=list)
    away: bool = False

    async def carry_out(self, enforcement: Enforcement) -> None:
        if self.away:
            raise BrokerUnavailable("the broker is away", mend="wait")
        self.told.append(enforcement)


@dataclass
class Chamber:
    """One clearinghouse without its doors; `restarted` is the same one after a crash."""

    store: MemoryStore = field(default_factory=MemoryStore)
    broker: Broker = field(default_factory=Broker)
    settings: Settings = field(default_factory=settings_of)
    now: datetime = NOON
    policies: list[tuple[str, bytes]] = field(default_factory=lambda: list(POLICIES))
    credentials: list[bytes] = field(default_factory=lambda: list(CREDENTIALS))
    desk_key: str = "desk"
    ended: int = 0
    behind: list[str] = field(default_factory=list)
    prefix: str = "0"
    desk: Desk = field(init=False)
    books: Books = field(init=False)
    beliefs: Beliefs = field(init=False)
    hall: Hall = field(init=False)

    async def open(self) -> Chamber:
        numbers = count(1)
        chance = Chance(lambda: self.now, lambda: 0.0, lambda: f"{self.prefix}{next(numbers):07x}")
        self.desk = Desk("csirt-net", Snapshot.of({}, ()), self.store, self.broker, chance.new_id)
        self.books = await Books.opened(self.store, now=self.now)
        signer = InlineSigner(key(self.desk_key), now=lambda: self.now) if self.desk_key else None
        self.beliefs = Beliefs(
            self.desk, self.books, self.store, Loader(desk=who(self.desk_key)), chance, who(self.desk_key) if self.desk_key else ""
        )
        self.hall = Hall.furnished(
            self.settings,
            self.desk,
            self.books,
            self.beliefs,
            chance,
            signer=signer,
            askings={(BROKER, each): Asking(Topic(BROKER, each, IODEF), HUB) for each in (INCIDENTS, "restricted", "open")},
            overturn=self._overturn,
            behind=self.behind.append,
        )
        await self.believe()
        return self

    async def restarted(self) -> Chamber:
        """Return the clearinghouse that starts over the same store and broker."""
        after = replace(self, prefix=str(int(self.prefix) + 1))
        return await after.open()

    async def believe(self) -> None:
        """Have the folders' content believed, as it stands now."""
        policies = {group: tuple(_admitted(raw for name, raw in self.policies if name == group)) for group, _ in self.policies}
        await self.beliefs.follow(Holdings({}, policies, tuple(admit(raw) for raw in self.credentials)))

    @property
    def office(self) -> Clerks:
        return self.hall.office

    @property
    def review(self) -> Review:
        return self.hall.review

    async def asks(self, jid: str = ANN, to: str = INCIDENTS, *, operation: str = "subscribe", **more: object) -> Decision:
        """Rule on a request as the intake does: with the approvals that stand, and what follows written with it."""
        asked = replace(request(jid, operation, to=to), id=self.desk.new_id(), **more)  # type: ignore[arg-type]
        decision = rule(replace(asked, approvals=self.books.approvals_for(asked)), self.desk, now=self.now)
        opens, gives = consequences(decision)
        await self.books.write(Decided(decision, opens=opens, gives=gives))
        return decision

    async def waiting(self, jid: str = ANN, to: str = INCIDENTS) -> Case:
        """Return the case of a request that was left to people."""
        return self.books.cases[(await self.asks(jid, to)).id]

    async def holding(self, jid: str = ANN, to: str = INCIDENTS) -> Grant:
        """Return a grant that a person approved, or that needed none."""
        decision = await self.asks(jid, to)
        if decision.id in self.books.grants:
            return self.books.grants[decision.id]
        ruling = await self.office.approve(chat(), decision.id)
        assert ruling.decision is not None
        return self.books.grants[ruling.decision.id]

    def sleep(self, **span: float) -> None:
        self.now += timedelta(**span)

    def _overturn(self) -> None:
        self.ended += 1


def _admitted(texts: Iterable[bytes]) -> Iterable[Admitted]:
    return (admit(raw, policy=True) for raw in texts)


def chat(jid: str = OP, *, host: str = HUB, person: str = "") -> Speaker:
    """Return somebody at a chat client, on the word of *host*."""
    local, _, domain = jid.partition("@")
    return Speaker(person or local, (f"xmpp:{jid}", f"xmpp-member:{domain}"), Door.CHAT, host)


def signer(*names: str) -> Speaker:
    """Return somebody who signs with the keys of *names*; the first names the person."""
    return Speaker(names[0], tuple(key(name).principal for name in names), Door.ENVELOPE, envelope=b"{}")


def local(name: str = "op") -> Speaker:
    """Return a user of this machine."""
    return Speaker(name, (f"unix:{name}",), Door.OPERATOR)
