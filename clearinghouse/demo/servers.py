"""A server of the demonstration or of a test: started on loopback, without rights, and gone when we are gone.

Each has a directory and a loopback address of its own, so that any number of them can use the usual ports
side by side.  Run by root it gives up its rights first.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import socket
import tempfile
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

from clearinghouse.demo.neighbours import CERTIFICATE_FILE, S2S_PORT, Neighbours
from clearinghouse.errors import OperatorError

CLIENT_PORT: Final = 5222
COMPONENT_PORT: Final = 5347
API_PORT: Final = 5280

MAX_STANZA_BYTES: Final = 262_144
"""Bytes in one stanza of a client: what Debian configures for ejabberd, and Prosody's own limit."""

START_SECONDS: Final = 20.0
"""Until all ports are open: 0.8 s (ejabberd) or 0.1 s (Prosody) on an idle machine with two cores."""

STOP_SECONDS: Final = 10.0
"""Between the request to end (1 s as a rule) and the signal that cannot be refused."""

POLL_SECONDS: Final = 0.02

_LOG_TAIL_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class Hosting:
    """What one server hosts: domains of users, brokers, and the component's place.

    *creators* are bare JIDs that may create topics, besides the component.  The rest matters to a server that
    federates: *rooms* are domains of chat rooms; with *dialback* a peer may prove its name without a certificate
    (XEP-0220), with *bidi* a stream carries stanzas both ways (XEP-0288, Prosody only); *exempt* are the domains that may
    always speak with the component, and *others* are further components with the same secret.  With *binds* it calls
    others from the address at which it listens (ejabberd only), so that a rule for this address is about it.  *doors* are
    the doors of clearinghouses by which it is sent on: each a name and the digest of a key.
    """

    domains: tuple[str, ...]
    brokers: tuple[str, ...]
    component: str
    secret: str = field(repr=False)
    creators: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()
    dialback: bool = False
    bidi: bool = False
    exempt: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    binds: bool = False
    doors: tuple[tuple[str, str], ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return every domain of the server, the first one first."""
        return (*self.domains, *self.brokers, *self.rooms, self.component, *self.others)


def free_address() -> str:
    """Return a loopback address on which none of a server's ports is taken."""
    while True:
        address = f"127.{secrets.randbelow(253) + 1}.{secrets.randbelow(254)}.{secrets.randbelow(253) + 1}"
        if all(_is_free(address, port) for port in (CLIENT_PORT, COMPONENT_PORT, API_PORT, S2S_PORT)):
            return address


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


@dataclass(slots=True)
class Server(ABC):
    """One server; an asynchronous context manager that is up when entered and gone when left.

    With *neighbours* it federates with the other servers that have the same, under the rule of our module, whose
    agent is the component; without, it talks to nobody.
    """

    name: ClassVar[str]
    ports: ClassVar[tuple[int, ...]] = (COMPONENT_PORT, CLIENT_PORT)

    hosting: Hosting
    address: str = field(default_factory=free_address)
    neighbours: Neighbours | None = None
    _directory: Path = field(init=False)
    _process: asyncio.subprocess.Process | None = field(init=False, default=None)

    async def __aenter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix=f"clearinghouse-{self.name}-"))
        try:
            if self.neighbours is not None:
                self.neighbours.settle(self.hosting.hosts, self.address, self._directory)
            self._prepare()
            self._hand_over()
            await self.start()
        except BaseException:
            await self._remove()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._remove()

    async def start(self) -> None:
        """Start the server, which keeps its accounts and topics from before, and wait until it listens."""
        user = other_user(self.name)
        with (self._directory / "output.log").open("ab") as output:
            # Its standard input is a pipe that we hold: it ends when we do, however we end.
            self._process = await asyncio.create_subprocess_exec(
                *self._command(),
                cwd=self._directory,
                env=self._environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                for port in self._listening:
                    await self._wait_for(port)
        except TimeoutError:
            raise self._did_not_start(f"is not up after {START_SECONDS:g} s") from None

    async def restart(self) -> None:
        """End the server and start it again."""
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        """End the server and wait until it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    @property
    def certificate(self) -> bytes:
        """The certificate that it shows to other servers, in PEM; it has neighbours."""
        return (self._directory / CERTIFICATE_FILE).read_bytes()

    def log_tail(self) -> str:
        """Return the end of what the server said."""
        files = [self._directory / f"{self.name}.log", self._directory / "output.log"]
        lines = [line for file in files if file.exists() for line in file.read_text(errors="replace").splitlines()]
        return "\n".join(lines[-_LOG_TAIL_LINES:])

    @abstractmethod
    async def register(self, jid: str, password: str) -> None:
        """Give the bare *jid* an account."""

    @abstractmethod
    def _prepare(self) -> None:
        """Write what the server needs into its empty directory."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the program and its arguments; raises `MissingPackage`."""

    @abstractmethod
    def _environment(self) -> dict[str, str]:
        """Return the environment of the program."""

    @property
    def _listening(self) -> tuple[int, ...]:
        return (*self.ports, S2S_PORT) if self.neighbours is not None else self.ports

    def _hand_over(self) -> None:
        """Give the directory and what is in it to the user as whom the server runs."""
        if user := other_user(self.name):
            for path in (self._directory, *self._directory.rglob("*")):
                os.chown(path, user.pw_uid, user.pw_gid)

    async def _remove(self) -> None:
        await self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    async def _wait_for(self, port: int) -> None:
        while True:
            if self._process is None or self._process.returncode is not None:
                raise self._did_not_start("ended at once")
            try:
                _, writer = await asyncio.open_connection(self.address, port)
            except OSError:
                await asyncio.sleep(POLL_SECONDS)
            else:
                writer.close()
                await writer.wait_closed()
                return

    def _did_not_start(self, what: str) -> OperatorError:
        return OperatorError(f"{self.name} at {self.address} {what}", mend=f"its last words were\n{self.log_tail()}")


def other_user(name: str) -> pwd.struct_passwd | None:
    """Return whom to become when we are root; Debian's package *name* makes a user of that name."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get(name) or known["nobody"]
