"""The service: parts started in order, ended in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, TypeAlias

import structlog

from clearinghouse.doors.control.asking import Asking
from clearinghouse.doors.control.server import control_door
from clearinghouse.doors.http.server import http_door
from clearinghouse.doors.s2s.server import s2s_door
from clearinghouse.ledger.records import Mask
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.collecting import spare_collector
from clearinghouse.runtime.federation.house import House
from clearinghouse.runtime.parts import Service
from clearinghouse.runtime.redirection.furnishing import check_members, porter_of
from clearinghouse.runtime.standing.books import Books
from clearinghouse.runtime.topics.brokers import MakeLink, component_link
from clearinghouse.settings import Settings
from clearinghouse.signer.client import Signers, signing
from clearinghouse.storage.named import open_named
from clearinghouse.storage.store import Store
from clearinghouse.telemetry import Counters

log = structlog.get_logger(__name__)

FINISH_SECONDS: Final = 10.0
"""How long questions in hand may take when the service ends: a broker that is away answers nothing for so long."""

OpenStore: TypeAlias = Callable[[Settings, Callable[[int], None]], AbstractAsyncContextManager[Store]]
"""From the settings, and what is told how many decisions could not be made durable."""
HaveSigners: TypeAlias = Callable[[Settings], AbstractAsyncContextManager[Signers]]


def sql_store(settings: Settings, lost: Callable[[int], None]) -> AbstractAsyncContextManager[Store]:
    """Return the store of the settings, opened in its database."""
    return open_named(settings.store, mask=Mask(frozenset(settings.ledger.mask)), lost=lost)


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    make_link: MakeLink = component_link,
    chance: Chance | None = None,
    reload: asyncio.Event | None = None,
    store_of: OpenStore = sql_store,
    signers_of: HaveSigners = signing,
) -> AsyncIterator[Service]:
    """Run a clearinghouse for as long as the context lasts.

    Nothing connects before policy is loaded and archived.  At the end no new question is taken, those in
    hand are finished, and the others stay with their brokers, which are asked for them at the next start.
    Setting *reload* loads the folders at once.
    """
    check_members(settings)
    chance, counters = chance or Chance(), Counters()
    async with store_of(settings, counters.lose) as store, signers_of(settings) as signers:
        books = await Books.opened(store, now=chance.now())
        service = Service(settings, store, books, signers, chance, counters, reload or asyncio.Event())
        house = await _house(service)
        service.sit_down(make_link)
        _introduced(service)
        await service.note("started")
        await service.recall()
        await service.policy.load()
        people = Asking(service.hall.office, service.status, house)
        service.porter = porter_of(settings, house, service.desk, service.ledger, chance)
        async with (
            http_door(settings.http, None if house is None else house.library) as service.http,
            control_door(settings.control.socket, people, settings.person_of),
            _at_work(service),
            s2s_door(settings.redirect, service.porter) as service.s2s,
        ):
            yield service
        await service.note("stopped")
        await service.logkeeper.finish()


async def _house(service: Service) -> House | None:
    """Furnish the federation of *service*, if its settings name one."""
    if service.settings.federation is None:
        return None
    kept = await service.store.federation()
    service.house = house = House.furnished(
        service.settings,
        kept,
        desk=service.desk,
        books=service.books,
        rights=service.hall.rights,
        office=service.hall.office,
        signers=service.signers,
        chance=service.chance,
    )
    service.beliefs.heard.append(house.press.wake)
    service.hall.office.petitions.others.update(house.petitions())
    return house


def _introduced(service: Service) -> None:
    """Let agents reach the federation over XMPP, and its broker tell them of what is new."""
    house = service.house
    if house is None:
        return
    for each in service.seats:
        counter = each.link.exchange.counter
        counter.library, counter.chat.registry = house.library, house
    seat = next((each for each in service.seats if house.settings.broker in each.brokers), None)
    if seat is not None:
        house.announce_at(seat)


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
    every = service.settings.reconcile.every.total_seconds()
    links = [tasks.create_task(each.link.run(), name=f"link-{each.plan.component}") for each in service.seats]
    keeping = [tasks.create_task(each.keep_up(), name=f"keep-up-{each.plan.component}") for each in service.seats]
    keeping += [tasks.create_task(each.compare_often(every), name=f"compare-{each.plan.component}") for each in service.seats]
    keeping += [tasks.create_task(service.sunset.run(), name="sunset"), tasks.create_task(service.logkeeper.erase(), name="retention")]
    keeping += [tasks.create_task(service.hall.review.run(), name="review"), tasks.create_task(service.herald.run(), name="herald")]
    if service.house is not None:
        keeping += [tasks.create_task(each, name="federation") for each in service.house.work()]
    watching = [tasks.create_task(service.policy.watch(), name="policy"), tasks.create_task(_say_when_ready(service))]
    answering = tasks.create_task(service.intake.run(), name="intake")
    signing_log = tasks.create_task(service.logkeeper.run(), name="log")

    async def stop() -> None:
        _cancel(*watching, *keeping)
        await service.intake.close(FINISH_SECONDS)
        _cancel(answering, *links, signing_log)
        for each in service.doors:
            await each.flush()

    return stop


def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; SIGHUP loads the folders at once, and the certificates of the door for servers."""
    stop, reload = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number, act in ((signal.SIGTERM, stop.set), (signal.SIGINT, stop.set), (signal.SIGHUP, reload.set)):
        loop.add_signal_handler(number, act)
    async with running(settings, reload=reload) as service:
        loop.add_signal_handler(signal.SIGHUP, service.hang_up)
        spare_collector()
        await stop.wait()
        log.info("stopping")
    log.info("stopped")


async def _say_when_ready(service: Service) -> None:
    await service.ready()
    holdings = service.policy.holdings
    log.info(
        "ready",
        community=service.settings.community,
        brokers=len(service.settings.broker),
        topics=len(service.register.askings),
        policies=sum(map(len, holdings.policies.values())),
        credentials=len(holdings.credentials),
        cases=len(service.books.cases),
        grants=len(service.books.grants),
    )
