"""The service's side of a signer: starts the process, or connects to one, and starts again when it ends."""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from clearinghouse.errors import BadSettings, ClearinghouseError
from clearinghouse.keynote.principals import short
from clearinghouse.settings import Settings, Signing
from clearinghouse.signer.frames import as_bytes, as_text, receive, send
from clearinghouse.signer.rules import Role, SignerRefused, SignerUnavailable

log = structlog.get_logger(__name__)

ANSWER_SECONDS: Final = 10.0
"""Until a signer has answered; a signature takes a millisecond, the start of Python on a busy machine two seconds."""
FIRST_PAUSE: Final = 0.2
"""Seconds before a signer that has ended is started again; doubled each time that it cannot be."""
LONGEST_PAUSE: Final = 30.0
"""Seconds between two attempts at most: so long nobody can approve after its key came back."""


class Signer(Protocol):
    """Somebody who signs with one key."""

    @property
    def principal(self) -> str:
        """The key's principal, in normal form."""

    async def sign_credential(self, text: bytes) -> bytes:
        """Return the credential that the unsigned approval *text* becomes; raises `SignerRefused`, `SignerUnavailable`."""

    async def sign_checkpoint(self, payload: bytes) -> bytes:
        """Return the checkpoint *payload* in a signed envelope; raises `SignerRefused`, `SignerUnavailable`."""


class Sealer(Protocol):
    """Somebody who signs one kind of document of a federation with one key."""

    @property
    def principal(self) -> str:
        """The key's principal, in normal form."""

    async def sealed(self, payload: bytes) -> bytes:
        """Return *payload* in an envelope with this one signature; raises `SignerRefused`, `SignerUnavailable`."""


@dataclass(frozen=True, slots=True)
class Signers:
    """Who signs for a clearinghouse; ``None`` where the settings name nobody."""

    desk: Signer | None = None
    log: Signer | None = None
    registrar: Sealer | None = None
    revoker: Sealer | None = None
    timestamp: Sealer | None = None
    tables: tuple[Sealer, ...] = ()


@asynccontextmanager
async def signing(settings: Settings, *, allow_demo: bool = False) -> AsyncIterator[Signers]:
    """Have the signers that *settings* name, until the context ends, and with it the processes that were started.

    Raises `BadSettings` with what keeps a signer from its key, and `SignerUnavailable` where
    nobody answers at its socket.
    """
    async with AsyncExitStack() as stack:
        longest = settings.desk.approval_period
        desk = await _begun(stack, Link(Role.DESK, settings.desk, longest, allow_demo=allow_demo))
        sealer = await _begun(stack, Link(Role.LOG, settings.ledger, longest, allow_demo=allow_demo))
        yield await _with_federation(stack, Signers(desk, sealer), settings, allow_demo=allow_demo)


async def _with_federation(stack: AsyncExitStack, signers: Signers, settings: Settings, *, allow_demo: bool) -> Signers:
    """Have the signers of a federation as well, if there is one."""
    found = settings.federation
    if found is None:
        return signers

    async def begun(role: Role, where: Signing, longest: timedelta) -> RemoteSigner | None:
        return await _begun(stack, Link(role, where, longest, allow_demo=allow_demo))

    tables = [await begun(Role.TABLE, each, found.table_lifetime) for each in settings.table_signer]
    every = replace(
        signers,
        registrar=await begun(Role.REGISTRAR, settings.registrar, found.table_lifetime),
        revoker=await begun(Role.REVOKER, settings.revoker, found.table_lifetime),
        timestamp=await begun(Role.TIMESTAMP, settings.timestamp_signer, found.timestamp_lifetime),
        tables=tuple(each for each in tables if each is not None),
    )
    _check_apart(every)
    return every


def _check_apart(signers: Signers) -> None:
    """Refuse a key with two roles: whoever takes one process over would have what two were to have."""
    alone = (signers.desk, signers.log, signers.registrar, signers.revoker, signers.timestamp)
    names = Counter(each.principal for each in (*alone, *signers.tables) if each is not None)
    if twice := next((name for name, count in names.items() if count > 1), ""):
        raise BadSettings(f"`{short(twice)}` signs in two roles", mend="give each role, and each table signer, a key of its own")


async def _begun(stack: AsyncExitStack, link: Link) -> RemoteSigner | None:
    return await stack.enter_async_context(_kept(link)) if link.where.there else None


@asynccontextmanager
async def _kept(link: Link) -> AsyncIterator[RemoteSigner]:
    """Have one signer that is started again when it ends."""
    first = await link.opened(link.where.principal or "")
    signer = RemoteSigner(link.role, first.principal, first)
    keeper = asyncio.create_task(_keep(link, signer))
    try:
        yield signer
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        if signer.line is not None:
            await signer.line.close()


async def _keep(link: Link, signer: RemoteSigner) -> None:
    pause = FIRST_PAUSE
    while True:
        if signer.line is not None:
            await signer.line.ended.wait()
            await signer.line.close()
            signer.line = None
            log.warning("signer_ended", role=link.role)
        await asyncio.sleep(pause)
        try:
            signer.line = await link.opened(signer.principal)
        except ClearinghouseError as error:
            pause = min(2 * pause, LONGEST_PAUSE)
            log.warning("signer_unavailable", role=link.role, because=str(error))
        else:
            pause = FIRST_PAUSE
            log.info("signer_started", role=link.role)


# -- one connection -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Line:
    """A connection to a signer that has said who it is; ``process`` is the one that we started."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    process: asyncio.subprocess.Process | None
    principal: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _watch: asyncio.Task[None] | None = None
    _answers: asyncio.Queue[dict[str, Any] | None] = field(default_factory=lambda: asyncio.Queue(maxsize=1))

    async def greeted(self, role: Role, principal: str) -> None:
        """Take the greeting, and refuse a signer for something else, or with another key than *principal*'s."""
        told = await self._first()
        if "error" in told:
            raise _operators(told["error"])
        if told.get("role") != role:
            raise BadSettings(f"the signer of the {role} signs as `{told.get('role')}`", mend="give each key a process of its own")
        self.principal = str(told.get("principal"))
        if principal and self.principal != principal:
            raise BadSettings(f"the signer of the {role} has the key of `{self.principal}`", mend=f"the settings want `{principal}`")
        self._watch = asyncio.create_task(self._listen())

    async def ask(self, what: bytes) -> bytes:
        """Return *what*, signed."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await send(self.writer, {"sign": as_text(what)})
                told = await self._answers.get()
        except (TimeoutError, ConnectionError):
            self.ended.set()
            told = None
        except asyncio.CancelledError:
            self.ended.set()  # its answer would be taken for that of the next
            raise
        if told is None:
            raise _away()
        if "error" in told:
            raise SignerRefused(str(told["error"].get("message")), mend=str(told["error"].get("mend", "")))
        return as_bytes(told.get("signed"))

    async def close(self) -> None:
        """Hang up, and wait until the process that we started has ended by itself."""
        self.writer.close()
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        if self.process is not None:
            await _gone(self.process)

    async def _first(self) -> dict[str, Any]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await receive(self.reader) or {"error": {"message": "the signer ended before it said anything"}}
        except TimeoutError:
            raise _away() from None

    async def _listen(self) -> None:
        """Pass answers on, and notice the end, also while nobody asks."""
        try:
            while (told := await receive(self.reader)) is not None:
                await self._answers.put(told)
        except ClearinghouseError as error:
            log.warning("signer_confused", because=str(error))
        finally:
            self.ended.set()
            with suppress(asyncio.QueueFull):
                self._answers.put_nowait(None)


async def _gone(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _operators(told: dict[str, Any]) -> BadSettings:
    return BadSettings(str(told.get("message")), mend=str(told.get("mend", "")))


def _away() -> SignerUnavailable:
    return SignerUnavailable("the process with the key does not answer", mend="nothing: what was approved counts once it is back")


_OPTIONS: Final = {Role.DESK: "", Role.LOG: " --log"}
"""How `clearinghouse desk` is told to be the signer of a role."""


# -- how to get one -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Link:
    """How a signer is reached."""

    role: Role
    where: Signing
    longest: timedelta
    allow_demo: bool = False

    async def opened(self, principal: str) -> Line:
        """Return a line to the signer whose key is *principal*'s, or anybody's; whatever was begun for another is ended."""
        line = await (self._connected(self.where.socket) if self.where.socket is not None else self._started())
        try:
            await line.greeted(self.role, principal)
        except BaseException:
            await line.close()
            raise
        return line

    async def _connected(self, path: Path) -> Line:
        try:
            reader, writer = await asyncio.open_unix_connection(str(path))
        except OSError as error:
            mend = f"start it: `clearinghouse desk{_OPTIONS.get(self.role, f' --role {self.role}')}`"
            raise SignerUnavailable(f"nobody signs at `{path}` ({error.strerror})", mend=mend) from None
        return Line(reader, writer, None)

    async def _started(self) -> Line:
        ours, its = socket.socketpair(socket.AF_UNIX)
        with closing(its):
            # Isolated: neither the environment nor the directory that we were started in says what Python runs.
            words = (sys.executable, "-I", "-m", "clearinghouse.signer", *self._words(its.fileno()))
            process = await asyncio.create_subprocess_exec(*words, pass_fds=(its.fileno(),), env={}, stdin=DEVNULL, stdout=DEVNULL)
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        return Line(reader, writer, process)

    def _words(self, descriptor: int) -> list[str]:
        words = [self.role.value, "--key-file", str(self.where.key_file), "--connection", str(descriptor)]
        words += ["--longest", str(int(self.longest.total_seconds()))]
        words += ["--principal", self.where.principal] if self.where.principal else []
        return words + (["--allow-demo-key"] if self.allow_demo else [])


@dataclass(slots=True)
class RemoteSigner:
    """A `Signer` whose key is in another process; without a line it is away, and says so at once."""

    role: Role
    principal: str
    line: Line | None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def sign_credential(self, text: bytes) -> bytes:
        """Return the credential that *text* becomes."""
        return await self._signed(Role.DESK, text)

    async def sign_checkpoint(self, payload: bytes) -> bytes:
        """Return the sealed checkpoint."""
        return await self._signed(Role.LOG, payload)

    async def sealed(self, payload: bytes) -> bytes:
        """Return the sealed document."""
        if self.role in {Role.DESK, Role.LOG}:
            raise SignerRefused(f"the {self.role}'s key signs no documents of a federation", mend="ask another signer")
        return await self._signed(self.role, payload)

    async def _signed(self, role: Role, what: bytes) -> bytes:
        if role is not self.role:
            raise SignerRefused(f"the {self.role}'s key signs nothing of the {role}", mend="ask the other signer")
        async with self._turn:
            if self.line is None or self.line.ended.is_set():
                raise _away()
            return await self.line.ask(what)
