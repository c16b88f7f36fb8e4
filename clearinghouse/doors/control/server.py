"""The socket: lets users of this machine in, one request a line, and no more than it can bear."""

from __future__ import annotations

import asyncio
import json
import pwd
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

from clearinghouse.clearing.people import NotEntitled, Speaker
from clearinghouse.clearing.request import LOCAL_USER
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.doors.control.asking import Answer, refused
from clearinghouse.errors import ClearinghouseError, TooLarge, Unavailable, UnsafeFile
from clearinghouse.settings import Person
from clearinghouse.settings.ownership import foreign
from clearinghouse.sockets.unix import listening, peer_user, removed

MAX_CONNECTIONS: Final = 16
"""Commands at once; each is one request of a person, or of a script."""

MAX_LINE_BYTES: Final = 524_288
"""Bytes of a request: an envelope of 262,144, in base64, and some words."""

REQUEST_SECONDS: Final = 30.0
"""Until a connection has asked something, or something more."""

ANSWER_SECONDS: Final = 60.0
"""Until the other side has taken an answer; a list of ten thousand has 10 MB."""

GRACE_SECONDS: Final = 10.0
"""That an act has to end when the service ends; a broker answers within five."""


class Busy(Unavailable):
    """As many commands as the service takes at once are there already."""

    code: ClassVar[str] = "busy"


class Answering(Protocol):
    """Whoever stands behind the door (`clearinghouse.doors.control.asking.Asking`, or an agent)."""

    async def answered(self, who: Speaker, line: bytes) -> Answer:
        """Return the answer to one line, whatever it is."""


@asynccontextmanager
async def control_door(path: Path | None, asking: Answering, person_of: Callable[[str], Person | None]) -> AsyncIterator[None]:
    """Answer at the socket *path* until the context ends; ``None`` is no door at all.

    Raises `UnsafeFile` where others could put a socket of theirs in its place, `BadSettings` where another service
    answers there.
    """
    if path is None:
        yield
        return
    _check_directory(path)
    door = _ControlDoor(asking, person_of)
    server = await asyncio.start_unix_server(door.admit, sock=listening(path), limit=MAX_LINE_BYTES)
    try:
        yield
    finally:
        server.close()
        removed(path)
        await door.close()


def _check_directory(path: Path) -> None:
    try:
        fault = foreign(path.parent.stat())
    except OSError as error:
        raise UnsafeFile(f"`{path.parent}` cannot be looked at ({error.strerror})", mend="make the directory, mode 0700") from None
    if fault:
        raise UnsafeFile(f"the directory `{path.parent}` {fault.fact}", mend=f"{fault.mend}, or name another `socket` in [control]")


@dataclass(slots=True)
class _ControlDoor:
    asking: Answering
    person_of: Callable[[str], Person | None]
    _open: set[asyncio.Task[Any]] = field(default_factory=set)
    _asking: set[asyncio.Task[Any]] = field(default_factory=set)

    async def admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        # Whoever cancels is `close`; a cancelled handler of asyncio's streams would be told as a mistake.
        with closing(writer), suppress(ConnectionError, TimeoutError, asyncio.CancelledError):
            if task is None or len(self._open) >= MAX_CONNECTIONS:
                await _tell(writer, refused(Busy("too many commands speak to the service", mend="try again in some seconds")))
                return
            self._open.add(task)
            try:
                await self._converse(reader, writer)
            finally:
                self._open.discard(task)

    async def close(self) -> None:
        """End what is still there, what is being done only after some time: half an act is for recovery to repair."""
        for each in self._open - self._asking:
            each.cancel()
        if self._asking:
            await asyncio.wait(self._asking, timeout=GRACE_SECONDS)
        for each in self._open:
            each.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            who = self._speaker(peer_user(writer))
            while line := await _line(reader):
                await _tell(writer, await self._answered(who, line))
        except ClearinghouseError as error:
            await _tell(writer, refused(error))

    async def _answered(self, who: Speaker, line: bytes) -> Answer:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - connections are tasks
        self._asking.add(task)
        try:
            return await self.asking.answered(who, line)
        finally:
            self._asking.discard(task)

    def _speaker(self, uid: int) -> Speaker:
        """Return who runs as *uid*; a number without a name is nobody that a policy could name."""
        try:
            principal = LOCAL_USER + pwd.getpwuid(uid).pw_name
        except KeyError:
            raise NotEntitled(f"user {uid} of this machine has no name", mend="speak as a user that the machine knows") from None
        person = self.person_of(principal)
        return Speaker(person.name if person is not None else principal, (principal,), Door.OPERATOR)


async def _line(reader: asyncio.StreamReader) -> bytes:
    """Return the next line, empty at the end; a line without an end is none."""
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError:
        return b""
    except asyncio.LimitOverrunError:
        raise TooLarge("the request is too long", mend=f"at most {MAX_LINE_BYTES} bytes are read") from None


async def _tell(writer: asyncio.StreamWriter, answer: Answer) -> None:
    writer.write(json.dumps(answer).encode("ascii") + b"\n")
    async with asyncio.timeout(ANSWER_SECONDS):
        await writer.drain()
