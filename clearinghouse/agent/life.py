"""An agent's life: parts started in order, ended in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Final

import structlog

from clearinghouse.agent.following import PAUSE_SECONDS
from clearinghouse.agent.granting.authority import Authority
from clearinghouse.agent.granting.grants import Grants
from clearinghouse.agent.home.clock import Clock
from clearinghouse.agent.home.journal import Journal
from clearinghouse.agent.home.keeping import StateDirectory
from clearinghouse.agent.home.links import Link, component_link
from clearinghouse.agent.home.speaking import Speaker
from clearinghouse.agent.parts import Agent
from clearinghouse.agent.sources.failover import Failover
from clearinghouse.agent.sources.made import sources_of
from clearinghouse.doors.control.server import control_door
from clearinghouse.errors import StoreUnavailable
from clearinghouse.keynote.keys import read_key_file
from clearinghouse.settings.agent import AgentSettings
from clearinghouse.settings.people import Person
from clearinghouse.storage.folders import Folders
from clearinghouse.storage.settling import SETTLE_SECONDS
from clearinghouse.storage.sql_store import open_store

log = structlog.get_logger(__name__)

FIRST_LOOK_SECONDS: Final = 5.0
"""How long a start waits for the sources before it applies what the disk has: a newer table is better."""

GRANTS_FILE: Final = "grants.db"

MakeLink = Callable[[AgentSettings], Link]
MakeSources = Callable[[AgentSettings, Speaker, Link], Failover]


def utc_now() -> datetime:
    """Return the time that everything is judged at."""
    return datetime.now(UTC)


def new_id() -> str:
    """Return a random id of 64 bits."""
    return token_hex(8)


@dataclass(frozen=True, slots=True)
class Outside:
    """What an agent meets outside itself; tests give their own."""

    now: Callable[[], datetime] = utc_now
    new_id: Callable[[], str] = new_id
    link: MakeLink = component_link
    sources: MakeSources = sources_of
    allow_demo: bool = False
    pause: float = PAUSE_SECONDS
    settle: float = SETTLE_SECONDS


@asynccontextmanager
async def running(settings: AgentSettings, outside: Outside | None = None) -> AsyncIterator[Agent]:
    """Run an agent for as long as the context lasts."""
    outside = outside or Outside()
    async with AsyncExitStack() as stack:
        agent = await _assembled(settings, outside, stack)
        await _recalled(agent)
        log.info("agent_started", domain=settings.domain, mode=settings.mode.value, sources=len(settings.source))
        await stack.enter_async_context(control_door(settings.socket, agent.counter, _no_person))
        await stack.enter_async_context(_at_work(agent))
        await stack.enter_async_context(agent.correspondence.at_work())
        yield agent


async def _assembled(settings: AgentSettings, outside: Outside, stack: AsyncExitStack) -> Agent:
    """Put the parts together; nothing connects yet.  Raises `OperatorError` and `StoreUnavailable`."""
    key = read_key_file(settings.key_file, allow_demo=outside.allow_demo)
    state = StateDirectory.made(settings.state)
    stack.enter_context(state.claimed())
    clock = Clock.restored(outside.now, state)
    speaker = Speaker(key, settings.community, outside.now)
    link = outside.link(settings)
    store = await stack.enter_async_context(open_store(state.path / GRANTS_FILE))
    desk_file = settings.requests.desk_key_file
    desk = None if desk_file is None else read_key_file(desk_file, allow_demo=outside.allow_demo)
    authority = Authority.over(
        Folders(settings.policies.directory, settings.credentials.directory),
        store,
        community=settings.community,
        now=outside.now,
        new_id=outside.new_id,
        cap=settings.grant_cap,
        desk="" if desk is None else desk.principal,
    )
    sources = outside.sources(settings, speaker, link)
    stack.push_async_callback(sources.close)
    authority.settle_seconds = outside.settle
    await _loaded(authority)
    grants = await Grants.opened(store, authority, desk=desk)
    agent = Agent(settings, state, clock, speaker, sources, link, authority, grants, Journal(store))
    agent.follower.pause = outside.pause
    return agent


async def _loaded(authority: Authority) -> None:
    """Believe what the folders say, though the disk takes nothing: a newer table must not wait for room (`Authority.keep` comes again)."""
    try:
        await authority.load()
    except StoreUnavailable as error:
        log.error("policy_not_kept", reason=error.message, mend=error.mend)  # noqa: TRY400 - the mend, not the frames


async def _recalled(agent: Agent) -> None:
    """Take back what was believed and said before we ended."""
    agent.follower.restore()
    agent.overrides.restore()
    await agent.believe()


def _no_person(_: str) -> Person | None:
    """Return nobody: whom the kernel lets in speaks as a user of this machine."""
    return None


@asynccontextmanager
async def _at_work(agent: Agent) -> AsyncIterator[None]:
    """Keep every part working; one that fails, or what is done meanwhile, ends all and is raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            started = _start(agent, tasks)
            try:
                yield
            finally:
                for each in started:
                    each.cancel()
                await agent.window.close()
        agent.clock.keep()
        await agent.journal.finish()
    except ExceptionGroup as failures:
        if len(failures.exceptions) == 1:
            raise failures.exceptions[0] from None
        raise


def _start(agent: Agent, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
    parts = {
        "link": agent.link.run(),
        "follow": agent.follower.run(),
        "apply": _once_looked(agent, agent.applier.run),
        "policy": agent.authority.watch(),
        "grants": agent.grants.watch(),
        "report": agent.reporter.run(),
        "alarm": _once_looked(agent, agent.alarm.run),
        "journal": agent.journal.run(),
    }
    return [tasks.create_task(part, name=f"agent-{name}") for name, part in parts.items()]


async def _once_looked(agent: Agent, work: Callable[[], Awaitable[None]]) -> None:
    """Apply what there is, or raise an alarm, once the sources were asked, or do not answer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(FIRST_LOOK_SECONDS):
            await agent.follower.looked.wait()
    await work()


async def serve(settings: AgentSettings, outside: Outside | None = None) -> None:
    """Run until SIGTERM or SIGINT; SIGHUP asks the sources at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, outside) as agent:
        loop.add_signal_handler(signal.SIGHUP, agent.follower.wake.set)
        await stop.wait()
        log.info("stopping")
    log.info("stopped")
