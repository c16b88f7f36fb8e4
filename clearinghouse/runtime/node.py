"""A redirect node: the door for servers and what decides for it, over a store that the main service writes to.

It needs nothing else of a clearinghouse: no policies and credentials in folders, no brokers, no keys that sign.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import structlog

from clearinghouse import __version__
from clearinghouse.clearing.clear import Desk
from clearinghouse.clearing.enforcement import Enforcement
from clearinghouse.clearing.request import Request, sender_of
from clearinghouse.clearing.wire import stamp
from clearinghouse.doors.control.server import control_door
from clearinghouse.doors.s2s.door import Door
from clearinghouse.doors.s2s.server import s2s_door
from clearinghouse.errors import BadSettings, ClearinghouseError, StoreUnavailable
from clearinghouse.keynote import Admissions
from clearinghouse.ledger.records import Mask
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.collecting import spare_collector
from clearinghouse.runtime.redirection import files, journal
from clearinghouse.runtime.redirection.contact import Contact
from clearinghouse.runtime.redirection.following import Follower
from clearinghouse.runtime.redirection.furnishing import told_of
from clearinghouse.runtime.redirection.ground import TableLevels
from clearinghouse.runtime.redirection.journal import Journal
from clearinghouse.runtime.redirection.ledger import NodeLedger, NodeStore
from clearinghouse.runtime.redirection.porter import RulingPorter
from clearinghouse.runtime.redirection.status import Counter
from clearinghouse.runtime.redirection.watching import Watch
from clearinghouse.settings import Person, Redirect, Settings
from clearinghouse.storage.changes import Noted
from clearinghouse.storage.holdings import Holdings
from clearinghouse.storage.named import open_named, read_named
from clearinghouse.storage.recorded import Event

log = structlog.get_logger(__name__)

SOCKET: Final = ".sock"
"""What the name of the control socket ends with; the rest is the spool's, which each node has to itself."""

NOTE_SECONDS: Final = 2.0
"""How long the store may take to note a start or an end; a start without it is none."""

_T = TypeVar("_T")
OpenNodeStore: TypeAlias = Callable[[Settings], AbstractAsyncContextManager[NodeStore]]


def node_store(settings: Settings) -> AbstractAsyncContextManager[NodeStore]:
    """Return the store of the settings, opened beside the main service; raises `BadSettings` for a file, which has one writer."""
    _check_shared(settings)
    # What cannot be made durable there is journaled here: nothing is lost of which the store should tell.
    return open_named(settings.store, main=False, mask=Mask(frozenset(settings.ledger.mask)))


def _check_shared(settings: Settings) -> None:
    if settings.store.url_file is None:
        mend = "put the store into PostgreSQL (`url_file` in [store]), or let the main service have the door: `clearinghouse serve`"
        raise BadSettings("the store is a file, which a node cannot share with the main service", mend=mend)


def socket_of(settings: Redirect) -> Path:
    """Return where the node is asked how it is."""
    return settings.spool_file.with_suffix(SOCKET)


def redirect_of(settings: Settings) -> Redirect:
    """Return the section of the door; raises `BadSettings` where there is none."""
    if settings.redirect is None:
        raise BadSettings("there is no [redirect]", mend="add the section: docs/how-to/redirection-nodes.md has a whole file")
    return settings.redirect


@dataclass(slots=True)
class Node:
    """A node at work; made by `running`."""

    settings: Settings
    redirect: Redirect
    chance: Chance
    follower: Follower
    ledger: NodeLedger
    watch: Watch
    porter: RulingPorter
    door: Door | None = None

    @classmethod
    def furnished(cls, settings: Settings, store: NodeStore, spool: Journal, chance: Chance) -> Node:
        """Put the parts together; nothing is read yet."""
        redirect = redirect_of(settings)
        ledger = NodeLedger(store, spool, chance.now)
        contact = Contact(redirect.outage, chance)
        desk = Desk(
            settings.community,
            Holdings().snapshot,
            ledger,
            _Nowhere(),
            chance.new_id,
            settings.levels,
            settings.grant_cap,
            settings.limits,
            Admissions(allow_legacy=settings.allow_legacy_signatures),
            failed=_tell_failed,
            fit=contact.check,
        )
        follower = Follower(store, desk)
        levels = TableLevels(lambda: follower.table, settings.levels[0], chance.now)
        porter = RulingPorter.furnished(redirect, desk, journal=ledger, members=follower.roll, levels=levels, chance=chance)
        return cls(settings, redirect, chance, follower, ledger, Watch(redirect.name, follower, ledger, contact), porter)

    def status(self) -> dict[str, Any]:
        """Return how the node is, as ``docs/reference/json.md`` describes it."""
        contact, lost = self.watch.contact, self.ledger.unrecorded.count
        return {
            "version": __version__,
            "community": self.settings.community,
            "name": self.redirect.name,
            "at": stamp(self.chance.now()),
            "health": self.watch.standing.value,
            "snapshot": self.follower.version,
            "members": len(self.follower.roll.present()),
            "table": 0 if self.follower.table is None else self.follower.table.head.version,
            "contact": stamp(contact.at),
            "until": stamp(contact.until),
            "journaled_bytes": self.ledger.journal.waiting,
            "unrecorded": lost,
            "error": self.watch.error,
            **({} if self.door is None else {"door": dict(told_of(self.door, self.porter))}),
        }

    async def note(self, kind: str) -> None:
        """Put into the log what happens to the node; raises ``TimeoutError`` and `StoreUnavailable`."""
        told = {"node": self.redirect.name, "version": __version__}
        async with asyncio.timeout(NOTE_SECONDS):
            await self.ledger.store.write(Noted(Event(self.chance.now(), kind, told)))

    def reload(self) -> None:
        """Read the certificates again."""
        if self.door is not None:
            self.door.reload()


@dataclass(frozen=True, slots=True)
class Look:
    """What a node would start with; ``problems`` would keep its door from opening."""

    name: str
    snapshot: str
    members: int
    table: int
    problems: tuple[ClearinghouseError, ...]
    cautions: tuple[str, ...]


async def looked_at(settings: Settings) -> Look:
    """Look at the store and at the door's files, and change nothing; raises as `running` does."""
    redirect, now = redirect_of(settings), Chance().now()
    _check_shared(settings)
    async with read_named(settings.store) as store:
        desk = Desk(settings.community, Holdings().snapshot, store, _Nowhere(), Chance().new_id, settings.levels)
        follower = Follower(store, desk)
        await _in_time(follower.look())
    found = (*files.problems(redirect, now), *files.spool_problems(redirect)), tuple(files.cautions(redirect, now))
    table = 0 if follower.table is None else follower.table.head.version
    return Look(redirect.name, follower.version, len(follower.roll.present()), table, *found)


@asynccontextmanager
async def running(settings: Settings, *, chance: Chance | None = None, store_of: OpenNodeStore = node_store) -> AsyncIterator[Node]:
    """Run a node for as long as the context lasts: nobody is answered before everything is read, and what waited is in the log.

    Raises `BadSettings`, `UnsafeFile`, `NothingArchived` and `StoreUnavailable`.
    """
    redirect = redirect_of(settings)
    async with store_of(settings) as store, journal.opened(redirect.spool_file) as spool:
        node = Node.furnished(settings, store, spool, chance or Chance())
        appended = await _in_time(node.watch.begin())
        await _in_time(node.note("redirection-started"))
        async with (
            control_door(socket_of(redirect), Counter(node.status), _no_person),
            _at_work(node, store),
            s2s_door(redirect, node.porter) as node.door,
        ):
            _tell_ready(node, appended)
            yield node
        with suppress(StoreUnavailable):
            await _in_time(node.note("redirection-stopped"))


async def _in_time(work: Awaitable[_T]) -> _T:
    try:
        return await work
    except TimeoutError:
        raise StoreUnavailable(
            "the store does not answer in time", mend="bring it back: a node that has seen nothing answers nobody"
        ) from None


def _tell_ready(node: Node, appended: int) -> None:
    log.info(
        "ready",
        node=node.redirect.name,
        community=node.settings.community,
        snapshot=node.follower.version[:12],
        members=len(node.follower.roll.present()),
        appended=appended,
    )


@asynccontextmanager
async def _at_work(node: Node, store: NodeStore) -> AsyncIterator[None]:
    """Keep the watch; where it fails, all ends and the failure is raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = [tasks.create_task(node.watch.run(), name="watch"), tasks.create_task(store.listen(node.watch.wake), name="listen")]
            try:
                yield
            finally:
                for each in watching:
                    each.cancel()
    except ExceptionGroup as failures:
        if len(failures.exceptions) == 1:
            raise failures.exceptions[0] from None
        raise


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; SIGHUP reads the certificates again."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings) as node:
        loop.add_signal_handler(signal.SIGHUP, node.reload)
        spare_collector()
        await stop.wait()
        log.info("stopping")
    log.info("stopped")


class _Nowhere:
    """What a door answers changes nothing outside."""

    async def carry_out(self, enforcement: Enforcement) -> None:
        """Do nothing."""


def _tell_failed(request: Request, error: Exception) -> None:
    log.error("failed", operation=request.operation, exc_info=error, noise=sender_of(request))


def _no_person(_: str) -> Person | None:
    """Return nobody: whom the kernel lets in asks how the node is, and no more."""
    return None
