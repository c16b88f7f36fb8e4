"""The door: listener, TLS, identity and stream machine together, in front of whoever decides (`Porter`)."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import structlog

from clearinghouse.doors.s2s.dialback import Dialback
from clearinghouse.doors.s2s.listener import Listener
from clearinghouse.doors.s2s.pace import Patience, Rates, Room
from clearinghouse.doors.s2s.talk import Conversation, Counts, House
from clearinghouse.doors.s2s.tls import Certificates
from clearinghouse.doors.s2s.trust import Trust
from clearinghouse.doors.s2s.turns import Turns
from clearinghouse.doors.s2s.wires import Floor, Wire
from clearinghouse.errors import OperatorError
from clearinghouse.federation.redirection.answers import Porter
from clearinghouse.sockets.gate import room_for

log = structlog.get_logger(__name__)

ID_BYTES: Final = 16
"""Random bytes of a stream's id, with which dialback keys are made: nobody may guess it (XEP-0220, section 2.3)."""

CLOSING_SECONDS: Final = 2.0
"""How long answers may still take when we stop."""

LOOKS_SECONDS: Final = 21_600.0
"""How often certificates are looked at that end soon."""

Places = Iterable[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Bears:
    """How much a door bears: connections in all, of one address, how often one address may come, and how long each may take."""

    connections: int = 2_000
    connections_each: int = 50
    address_per_second: float = 20.0
    address_burst: float = 200.0
    patience: Patience = field(default_factory=Patience)


@dataclass(slots=True)
class Door:
    """An open door: where it listens, for STARTTLS and for TLS from the first byte."""

    certificates: Certificates
    trust: Trust
    counts: Counts
    listen: list[tuple[str, int]] = field(default_factory=list)
    listen_tls: list[tuple[str, int]] = field(default_factory=list)

    def reload(self) -> list[OperatorError]:
        """Read certificates, authorities and revocation lists anew; what is not usable stays as it was, and is returned."""
        errors = self.certificates.reload() + self.trust.reload()
        log.info("door_reloaded", kept=len(errors))
        return errors


@dataclass(slots=True)
class _Tasks:
    """What must wait for somebody, each ended with the door.

    A task that is done is taken out when there is the next: a callback for each would be one more turn of the loop.
    """

    running: deque[asyncio.Task[None]] = field(default_factory=deque)

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        running = self.running
        running.append(task)
        for _ in range(2):  # one more than comes, so that those who last do not hide those who do not
            first = running.popleft()
            if not first.done():
                running.append(first)
        return task

    async def end(self, seconds: float) -> None:
        """Wait for what is running, and cancel what is not done in time."""
        if self.running:
            await asyncio.wait(self.running, timeout=seconds)
        left = [task for task in self.running if task.cancel()]
        await asyncio.gather(*left, return_exceptions=True)


def _utc() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def opened(
    porter: Porter,
    certificates: Certificates,
    trust: Trust,
    *,
    name: str = "",
    listen: Places = (),
    listen_tls: Places = (),
    bears: Bears | None = None,
    now: Callable[[], datetime] = _utc,
) -> AsyncIterator[Door]:
    """Keep the door *name* open while the block runs; raises `BadSettings` where it cannot listen."""
    bears = bears or Bears()
    loop = asyncio.get_running_loop()
    room = Room(room_for(bears.connections), bears.connections_each)
    listener = Listener(
        Floor(loop, room, Turns(loop, room.knows), bears.patience), Rates(bears.address_per_second, bears.address_burst, loop.time)
    )
    dialback, tasks = Dialback(porter.recorded, certificates, name), _Tasks()
    door = Door(certificates, trust, Counts())
    house = House(porter, certificates, trust, dialback, now, partial(secrets.token_hex, ID_BYTES), tasks.run, door.counts)
    try:
        door.listen = listener.open(listen, lambda wire: wire.begin(Conversation(wire, house, secure=False)))
        door.listen_tls = listener.open(listen_tls, lambda wire: _begin_tls(wire, house))
        dialback.not_at(door.listen + door.listen_tls)
        looking = tasks.run(_look(certificates, now))
        yield door
        looking.cancel()
    finally:
        listener.stop()
        await tasks.end(CLOSING_SECONDS)
        listener.close()


def _begin_tls(wire: Wire, house: House) -> None:
    wire.begin(Conversation(wire, house, secure=True), house.certificates.accepting)


async def _look(certificates: Certificates, now: Callable[[], datetime]) -> None:
    """Warn of certificates that end soon, and again while nobody does anything about it."""
    while True:
        certificates.warn(now())
        await asyncio.sleep(LOOKS_SECONDS)
