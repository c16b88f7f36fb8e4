"""The service: parts put together, started in order, ended in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from clearinghouse import __version__
from clearinghouse.clearing.clear import Desk
from clearinghouse.clearing.request import Request, sender_of
from clearinghouse.keynote import Admissions
from clearinghouse.runtime.brokers import BrokerEnforcer, MakeLink, Seat, component_link, owners_in, plans_in
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.intake import Intake
from clearinghouse.runtime.ledger import TellingLedger
from clearinghouse.runtime.policy import PolicyKeeper, folders_of, loader_for
from clearinghouse.settings import Settings
from clearinghouse.storage.holdings import Holdings
from clearinghouse.storage.sql_store import open_store
from clearinghouse.storage.store import Event, Store

log = structlog.get_logger(__name__)

FINISH_SECONDS: Final = 10.0
"""How long questions in hand may take when the service ends: a broker that is away answers nothing for so long."""


@dataclass(slots=True)
class Service:
    """A clearinghouse at work; made by `running`."""

    settings: Settings
    store: Store
    chance: Chance
    reload: asyncio.Event = field(default_factory=asyncio.Event)
    desk: Desk = field(init=False)
    intake: Intake = field(init=False)
    policy: PolicyKeeper = field(init=False)
    seats: list[Seat] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = self.settings
        self.desk = Desk(
            settings.community,
            Holdings().snapshot,
            TellingLedger(self.store),
            BrokerEnforcer({}),
            self.chance.new_id,
            settings.levels,
            settings.grant_cap,
            settings.limits,
            Admissions(allow_legacy=settings.allow_legacy_signatures),
            failed=_tell_failed,
        )
        askings = {place: asking for plan in plans_in(settings) for place, asking in plan.askings().items()}
        self.intake = Intake(self.desk, self.store, askings, self._fall_behind, self.chance)
        folders, loader = folders_of(settings), loader_for(settings)
        self.policy = PolicyKeeper(folders, loader, self.store, self.chance.now, self._adopt, reload=self.reload)

    def sit_down(self, make_link: MakeLink) -> None:
        """Make a link for each component; nothing connects yet."""
        plans = plans_in(self.settings)
        self.seats = [Seat(plan, make_link(plan, self.intake.ask), self.intake.catch_up) for plan in plans]
        self.desk.enforcer = BrokerEnforcer(owners_in(self.seats))

    async def ready(self) -> None:
        """Return once every broker knows its topics and what was left undone is done."""
        for seat in self.seats:
            await seat.link.ready.wait()

    async def note(self, kind: str) -> None:
        """Keep an event of the service's own life."""
        await self.store.note(Event(self.chance.now(), kind, {"version": __version__, "community": self.settings.community}))

    def _fall_behind(self, broker: str, *, full: bool = False) -> None:
        for seat in self.seats:
            if any(each.jid == broker for each in seat.plan.brokers):
                seat.fall_behind(full=full)

    def _adopt(self, holdings: Holdings) -> None:
        changed = self.desk.snapshot.version != holdings.snapshot.version
        self.desk.snapshot = holdings.snapshot
        for seat in self.seats:
            if changed and seat.link.ready.is_set():
                seat.fall_behind()  # those who wait for a person are asked about again


@asynccontextmanager
async def running(
    settings: Settings, *, make_link: MakeLink = component_link, chance: Chance | None = None, reload: asyncio.Event | None = None
) -> AsyncIterator[Service]:
    """Run a clearinghouse for as long as the context lasts.

    Nothing connects before policy is loaded and archived.  At the end no new question is taken, those in
    hand are finished, and the others stay with their brokers, which are asked for them at the next start.
    Setting *reload* loads the folders at once.
    """
    async with open_store(settings.store.path) as store:
        service = Service(settings, store, chance or Chance(), reload or asyncio.Event())
        service.sit_down(make_link)
        await service.note("started")
        await service.policy.load()
        async with _at_work(service):
            yield service
        await service.note("stopped")


@asynccontextmanager
async def _at_work(service: Service) -> AsyncIterator[None]:
    """Keep every part of the service working; a part that fails, or what is done meanwhile, ends all and is raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            stop = _start(service, tasks)
            try:
                yield
            finally:
                await stop()
    except ExceptionGroup as failures:
        if len(failures.exceptions) == 1:
            raise failures.exceptions[0] from None
        raise


def _start(service: Service, tasks: asyncio.TaskGroup) -> Callable[[], Awaitable[None]]:
    """Start every part of *service*; return what stops them in the order that loses nothing."""
    links = [tasks.create_task(each.link.run(), name=f"link-{each.plan.component}") for each in service.seats]
    keeping = [tasks.create_task(each.keep_up(), name=f"keep-up-{each.plan.component}") for each in service.seats]
    watching = [tasks.create_task(service.policy.watch(), name="policy"), tasks.create_task(_say_when_ready(service))]
    answering = tasks.create_task(service.intake.run(), name="intake")

    async def stop() -> None:
        _cancel(*watching, *keeping)
        await service.intake.close(FINISH_SECONDS)
        _cancel(answering, *links)

    return stop


def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; SIGHUP loads the folders at once."""
    stop, reload = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number, act in ((signal.SIGTERM, stop.set), (signal.SIGINT, stop.set), (signal.SIGHUP, reload.set)):
        loop.add_signal_handler(number, act)
    async with running(settings, reload=reload):
        await stop.wait()
        log.info("stopping")
    log.info("stopped")


def _tell_failed(request: Request, error: Exception) -> None:
    log.error("failed", operation=request.operation, exc_info=error, noise=sender_of(request))


async def _say_when_ready(service: Service) -> None:
    await service.ready()
    holdings = service.policy.holdings
    log.info(
        "ready",
        community=service.settings.community,
        brokers=len(service.settings.broker),
        topics=len(service.settings.topic),
        policies=sum(map(len, holdings.policies.values())),
        credentials=len(holdings.credentials),
    )
