"""The component: keeps a session with the XMPP server for as long as it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element

import structlog

from clearinghouse.doors.xmpp.authorization import Brokers
from clearinghouse.doors.xmpp.exchange import REPLY_SECONDS, Exchange, Hearer
from clearinghouse.doors.xmpp.session import Account, Session
from clearinghouse.errors import BrokerUnavailable, ClearinghouseError, Unavailable

log = structlog.get_logger(__name__)

FIRST_WAIT_SECONDS: Final = 0.25
LONGEST_WAIT_SECONDS: Final = 30.0
"""Between attempts to connect: doubled from the first to the longest.  A packaged ejabberd restarts in 2 s."""


class State(StrEnum):
    """Where the component stands with its server."""

    IDLE = "idle"
    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"


class Change(StrEnum):
    """What moves the component from one state to the next."""

    START = "start"
    OPENED = "opened"
    LOST = "lost"
    RETRY = "retry"
    STOP = "stop"


NEXT: Final = MappingProxyType(
    {
        (State.IDLE, Change.START): State.CONNECTING,
        (State.CONNECTING, Change.OPENED): State.OPEN,
        (State.CONNECTING, Change.LOST): State.WAITING,
        (State.OPEN, Change.LOST): State.WAITING,
        (State.WAITING, Change.RETRY): State.CONNECTING,
        (State.CONNECTING, Change.STOP): State.IDLE,
        (State.OPEN, Change.STOP): State.IDLE,
        (State.WAITING, Change.STOP): State.IDLE,
    }
)
"""The whole state machine; a pair that is not here is a mistake of ours and raises `KeyError`."""

Connected: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Component:
    """The clearinghouse's address among XMPP servers.

    ``exchange`` is its `Stanzas`.  The ``connected`` functions run, in order, each time that a session is
    open: there topics are checked and lost requests recovered.  ``ready`` is set once they are done.
    """

    account: Account
    brokers: Brokers
    asked: Hearer
    reply_seconds: float = REPLY_SECONDS
    connected: list[Connected] = field(default_factory=list)
    state: State = field(default=State.IDLE, init=False)
    ready: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    exchange: Exchange = field(init=False)
    _session: Session | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.exchange = Exchange(self.account.jid, self.brokers, self._write, self.asked, self.reply_seconds)

    async def run(self) -> None:
        """Connect, and connect again whenever the session is lost, until cancelled."""
        waits = back_off()
        change = Change.START
        try:
            while True:
                self._move(change)
                if await self._one_session():
                    waits = back_off()
                self._move(Change.LOST)
                await asyncio.sleep(next(waits))
                change = Change.RETRY
        finally:
            self._move(Change.STOP)
            await self.exchange.close()

    async def _one_session(self) -> bool:
        """Open a session and stay until it ends; whether it lasted, so that the next loss is a new one."""
        self._session = session = Session(self.account, self.exchange.receive)
        clock = asyncio.get_running_loop().time
        try:
            await session.open()
            self._move(Change.OPENED)
            opened = clock()
            async with asyncio.TaskGroup() as tasks:
                greeting = tasks.create_task(self._greet())
                await session.ended.wait()
                greeting.cancel()
        except BrokerUnavailable as error:
            log.warning("component_not_connected", reason=error.message, mend=error.mend)
            return False
        else:
            log.warning("component_lost", jid=self.account.jid)
            return clock() - opened > LONGEST_WAIT_SECONDS
        finally:
            self.ready.clear()
            self.exchange.lose()
            await session.close()

    async def _greet(self) -> None:
        for function in self.connected:
            for wait in back_off():
                if await _done(function):
                    break
                await asyncio.sleep(wait)
        self.ready.set()

    def _move(self, change: Change) -> None:
        self.state = NEXT[self.state, change]
        log.debug("component_state", state=self.state.value, because=change.value)
        if self.state is State.OPEN:
            log.info("component_connected", jid=self.account.jid, host=self.account.host, port=self.account.port)

    def _write(self, stanza: Element) -> None:
        if self._session is None:
            raise BrokerUnavailable("the component was never started", mend="run it before asking anything")
        self._session.write(stanza)


def back_off() -> Iterator[float]:
    """Seconds to wait before each further attempt: doubled each time, up to the longest."""
    wait = FIRST_WAIT_SECONDS
    while True:
        yield wait
        wait = min(2 * wait, LONGEST_WAIT_SECONDS)


async def _done(function: Connected) -> bool:
    """Run one of the `connected` functions; whether it need not be tried again in this session."""
    try:
        await function()
    except Unavailable as error:
        log.warning("greeting_failed", reason=error.message, mend=error.mend)
        return False
    except ClearinghouseError as error:
        log.error("greeting_refused", reason=error.message, mend=error.mend)  # noqa: TRY400 - the operator needs the mend, not the frames
    return True
