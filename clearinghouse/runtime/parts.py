"""The parts of a service, and what each of them knows of the others."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import Final

import structlog

from clearinghouse import __version__
from clearinghouse.clearing.cases import RevocationKind
from clearinghouse.clearing.clear import ClockBehind, Desk, check_clock
from clearinghouse.clearing.enforcement import WHITELIST
from clearinghouse.clearing.request import Request, sender_of
from clearinghouse.clearing.snapshot import licensed
from clearinghouse.doors.http.server import HttpDoor
from clearinghouse.doors.s2s.door import Door as ServerDoor
from clearinghouse.errors import ClearinghouseError, Unavailable
from clearinghouse.keynote import Admissions
from clearinghouse.runtime.asking.effects import Effects
from clearinghouse.runtime.asking.intake import Intake
from clearinghouse.runtime.asking.questions import Asking, asking_in
from clearinghouse.runtime.asking.rates import Pace, Rates
from clearinghouse.runtime.asking.ruled import Memory
from clearinghouse.runtime.asking.ruling import Bench
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.federation.house import House
from clearinghouse.runtime.people.heralds import Herald, Station
from clearinghouse.runtime.people.office import Hall
from clearinghouse.runtime.policy import PolicyKeeper, folders_of, loader_for
from clearinghouse.runtime.records.logkeeper import LogKeeper
from clearinghouse.runtime.redirection.furnishing import told_of
from clearinghouse.runtime.redirection.porter import RulingPorter
from clearinghouse.runtime.standing.beliefs import Beliefs
from clearinghouse.runtime.standing.books import Books
from clearinghouse.runtime.standing.ledger import TellingLedger
from clearinghouse.runtime.topics.brokers import BrokerEnforcer, LinkPlan, MakeLink, Register, Seat, owners_in, plans_in
from clearinghouse.runtime.topics.memberships import Memberships
from clearinghouse.runtime.topics.reception import CREATE, FrontDesk
from clearinghouse.runtime.topics.reconcile import Reconciler
from clearinghouse.runtime.topics.roles import writers
from clearinghouse.runtime.topics.sunset import Sunset
from clearinghouse.settings import Settings
from clearinghouse.signer.client import Signers
from clearinghouse.storage.changes import Change, Revoked, Settled
from clearinghouse.storage.holdings import Holdings
from clearinghouse.storage.store import Effect, Event, Store
from clearinghouse.telemetry import Counters

log = structlog.get_logger(__name__)

MAX_RECALLED: Final = 1_000
"""Decisions that are looked at when the service starts, so that a form which comes again finds its answer."""


@dataclass(slots=True, repr=False)
class Service:
    """A clearinghouse at work; made by `running`."""

    settings: Settings
    store: Store
    books: Books
    signers: Signers
    chance: Chance
    counters: Counters = field(default_factory=Counters)
    reload: asyncio.Event = field(default_factory=asyncio.Event)
    seats: list[Seat] = field(default_factory=list)
    register: Register = field(init=False)
    desk: Desk = field(init=False)
    memory: Memory = field(init=False)
    bench: Bench = field(init=False)
    effects: Effects = field(init=False)
    intake: Intake = field(init=False)
    rates: Rates = field(init=False)
    beliefs: Beliefs = field(init=False)
    policy: PolicyKeeper = field(init=False)
    sunset: Sunset = field(init=False)
    hall: Hall = field(init=False)
    herald: Herald = field(init=False)
    doors: list[FrontDesk] = field(default_factory=list)
    reconciler: Reconciler = field(init=False)
    memberships: Memberships = field(init=False)
    logkeeper: LogKeeper = field(init=False)
    house: House | None = None
    http: HttpDoor | None = None
    ledger: TellingLedger = field(init=False)
    porter: RulingPorter | None = None
    s2s: ServerDoor | None = None

    def __post_init__(self) -> None:
        settings, books, chance = self.settings, self.books, self.chance
        self.register = Register(plans_in(settings))
        self._take_over_topics()
        self.memory = Memory(settings.community)
        books.heard.append(self.memory.hear)
        ledger = self.ledger = TellingLedger(self.store, books, settings.desk.wait, chance.elapsed)
        self.desk = _desk(settings, ledger, chance)
        self.bench = Bench(self.desk, books, chance)
        askings = self.register.askings
        self.effects = Effects(self.desk, books, self.store, askings, chance, self.fall_behind, self.memory)
        self.rates = _rates(settings, chance)
        self.intake = Intake(self.bench, books, ledger, self.effects, askings, self.rates, self.fall_behind, chance)
        principal = self.signers.desk.principal if self.signers.desk else ""
        loader = loader_for(settings, principal)
        self.beliefs = Beliefs(self.desk, books, self.store, loader, chance, principal, [self._believe])
        self.policy = PolicyKeeper(
            folders_of(settings), loader, self.store, chance.now, self._adopt, reload=self.reload, behind=lambda: self.beliefs.stale
        )
        self.hall = Hall.furnished(
            settings,
            self.desk,
            books,
            self.beliefs,
            chance,
            signer=self.signers.desk,
            askings=askings,
            overturn=self._overturn,
            behind=self.fall_behind,
        )
        self.herald = Herald(self.hall.rights, settings.person, self._station)
        books.heard += [self.herald.hear, self._hear]
        self.reconciler = Reconciler(self.bench, books, self.memory, chance, self.intake.in_hand.__contains__)
        self.memberships = Memberships(self.bench, books, chance, settings.platforms, self._licensed)
        keeping = settings.ledger
        self.logkeeper = LogKeeper(settings.community, self.store, self.signers.log, chance, keeping.checkpoint_every, keeping.retention)

    # -- at the start

    async def recall(self) -> None:
        """Remember what was decided lately, and what is owed."""
        self.memory.recall(await self.store.decisions(MAX_RECALLED))
        self.memory.recall(await self.store.owed())

    def sit_down(self, make_link: MakeLink) -> None:
        """Make a link for each component; nothing connects yet."""
        for plan in plans_in(self.settings):
            link = make_link(plan, self.intake.ask)
            self.seats.append(Seat(plan, link, self.register, [self._set_writers], self._catch_up, self._compare))
            self.doors.append(self._front_desk(plan))
            link.exchange.reception = self.doors[-1]
        owners = owners_in(self.seats)
        self.desk.enforcer = BrokerEnforcer(owners, self.books.is_over)
        self.sunset = Sunset(self.books, owners, self.hall.review.look_again, self._mend, self._reachable, self.memory.owes, self.chance)

    async def ready(self) -> None:
        """Return once every broker knows its topics and what was left undone is done."""
        for seat in self.seats:
            await seat.link.ready.wait()

    async def note(self, kind: str) -> None:
        """Keep an event of the service's own life; the digest shows when it runs with other settings, such as other persons."""
        told = {"version": __version__, "community": self.settings.community, "settings": _digest(self.settings)}
        await self.store.note(Event(self.chance.now(), kind, told))

    def status(self) -> dict[str, object]:
        """Return how the service is, for people and programs."""
        books = self.books
        return {
            "version": __version__,
            "community": self.settings.community,
            "snapshot": self.desk.snapshot.version,
            "brokers": {broker: seat.link.ready.is_set() for seat in self.seats for broker in sorted(seat.brokers)},
            "topics": len(self.register.askings),
            "waiting": len(self.intake.in_hand),
            "cases": sum(each.open for each in books.cases.values()),
            "grants": len(books.held()),
            "ends_owed": len(books.owed_ends()),
            "log_entries": self.store.log_size,
            "log_signed": self.logkeeper.signed,
            "decisions_lost": self.counters.decisions_lost,
            "rate_limited": self.rates.limited,
            **({} if self.house is None else {"federation": self.house.published()}),
            **({} if self.porter is None or self.s2s is None else {"doors": {"s2s": told_of(self.s2s, self.porter)}}),
        }

    def hang_up(self) -> None:
        """Load the folders at once, and read the certificates of the door for servers again."""
        self.reload.set()
        if self.s2s is not None:
            self.s2s.reload()

    # -- what the parts tell each other

    def fall_behind(self, broker: str, *, full: bool = False, doubt: bool = False) -> None:
        """Note that something was left undone at *broker* (see `Seat.fall_behind`)."""
        for seat in self.seats:
            if broker in seat.brokers:
                seat.fall_behind(full=full, doubt=doubt)

    def take_over(self, asking: Asking) -> None:
        """Rule over one more topic, which a platform had us make."""
        self.register.add(asking)
        for seat in self.seats:
            if asking.topic.broker in seat.brokers:
                seat.believe()

    def _take_over_topics(self) -> None:
        """Rule over the topics that platforms had us make, for as long as they may."""
        brokers = {each.jid for each in self.settings.broker}
        for grant in self.books.held():
            if grant.broker in brokers and grant.request.operation == CREATE:
                self.register.add(asking_in(grant.request))

    async def _adopt(self, holdings: Holdings) -> str:
        await self.beliefs.follow(holdings)
        return self.desk.snapshot.version

    def _believe(self) -> None:
        """Look again at everything that another snapshot may answer in another way."""
        for seat in self.seats:
            if seat.link.ready.is_set():
                seat.fall_behind(doubt=True)

    def _front_desk(self, plan: LinkPlan) -> FrontDesk:
        voucher, brokers = plan.brokers[0].voucher, frozenset(each.jid for each in plan.brokers)
        return FrontDesk(
            self.hall.office,
            self.bench,
            self.books,
            self.effects,
            self.register,
            self.logkeeper,
            self.rates,
            self.settings,
            self.chance,
            voucher,
            brokers,
            self.take_over,
        )

    def _station(self, broker: str) -> Station | None:
        """Return through whom we write about what is at *broker*."""
        for seat in self.seats:
            if broker in seat.brokers:
                return Station(seat.plan.component, seat.plan.brokers[0].voucher, seat.link.exchange.notify)
        return None

    def _overturn(self) -> None:
        self.sunset.overturn()

    def _hear(self, change: Change) -> None:
        """Have the brokers know who was barred, and who is not any more; rule over topics that people let platforms make."""
        match change:
            case Revoked(revocation) if revocation.kind is RevocationKind.HOLDER:
                for seat in self.seats:
                    seat.fall_behind(doubt=True)
            case Settled(identity, Effect.DONE):
                made = self.books.grants.get(identity)
                if made is not None and made.request.operation == CREATE:
                    self.take_over(asking_in(made.request))
            case _:
                pass

    def _licensed(self) -> list[str]:
        return [name for each in self.policy.holdings.admitted() for name in licensed(each)]

    def _reachable(self, broker: str) -> bool:
        return any(broker in seat.brokers and seat.link.ready.is_set() for seat in self.seats)

    async def _catch_up(self, brokers: frozenset[str]) -> None:
        await self.effects.catch_up(brokers, self.intake.in_hand)

    async def _compare(self, seat: Seat) -> None:
        self.sunset.overturn()
        try:
            check_clock(self.store.highest_time, self.chance.now())
        except ClockBehind as error:
            log.warning("not_compared", reason=error.message, mend=error.mend)
            seat.fall_behind(doubt=True)
            return
        await self.memberships.keep(seat)
        await self.reconciler.compare(seat)

    async def _set_writers(self, seat: Seat) -> None:
        for asking in seat.askings:
            topic = asking.topic
            if topic.access_model != WHITELIST:
                held = self.books.held(broker=topic.broker, node=topic.node)
                try:
                    await seat.owner.set_publishers(topic, writers(asking.publishers, held))
                except Unavailable:
                    raise
                except ClearinghouseError as error:  # one topic keeps no other from its writers
                    log.warning("writers_not_set", broker=topic.broker, topic=topic.node, reason=error.message, mend=error.mend)

    async def _mend(self, broker: str, node: str) -> None:
        """Make the affiliations at one node what the books say."""
        asking = self.register.askings.get((broker, node))
        seat = next((each for each in self.seats if broker in each.brokers), None)
        if asking is None or seat is None:
            return
        if asking.topic.access_model == WHITELIST:
            await self.memberships.equal(seat, asking)
        else:
            await self.reconciler.repair(seat.owner, asking)


def _desk(settings: Settings, ledger: TellingLedger, chance: Chance) -> Desk:
    return Desk(
        settings.community,
        Holdings().snapshot,
        ledger,
        BrokerEnforcer({}),
        chance.new_id,
        settings.levels,
        settings.grant_cap,
        settings.limits,
        Admissions(allow_legacy=settings.allow_legacy_signatures),
        failed=_tell_failed,
    )


def _digest(settings: Settings) -> str:
    """Return the SHA-256 of everything that the settings say; secrets stand in files, of which they name the paths."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()


def _rates(settings: Settings, chance: Chance) -> Rates:
    found = settings.rates
    return Rates(Pace(found.each_per_second, found.each_burst), Pace(found.domain_per_second, found.domain_burst), chance.elapsed)


def _tell_failed(request: Request, error: Exception) -> None:
    log.error("failed", operation=request.operation, exc_info=error, noise=sender_of(request))
