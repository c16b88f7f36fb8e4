"""What real faults need: somebody who writes all the time, a clearinghouse as a program, a network that can be cut, a small disk."""

from __future__ import annotations

import asyncio
import ctypes
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import trustme

from clearinghouse.demo.correspondents import BODY, Correspondent, correspondent
from clearinghouse.demo.servers import Server
from clearinghouse.doors.control.client import NotRunning, call_at
from clearinghouse.keynote.keys import write_key_file
from tests import presses
from tests.agent.community import Hub, RealClock
from tests.commons import Commons, commons
from tests.servers.federation.posts import DOMAIN, Post
from tests.servers.federation.sites import PASSWORD
from tests.servers.processes import Program, program
from tests.world import assertion, key

PATIENCE_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.02
BETWEEN_SECONDS: Final = 0.05
"""Between two messages of everybody who writes."""

ALICE, BOB, DAVE = "alice@a.fed", "bob@b.fed", "dave@c.fed"


async def until(true: Callable[[], bool]) -> None:
    """Wait until something is true that nobody announces."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not true():  # noqa: ASYNC110 - see above
            await asyncio.sleep(POLL_SECONDS)


async def killed(process: asyncio.subprocess.Process) -> None:
    """End the process that we started as `kill -9` does."""
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def server_killed(server: Server) -> None:
    """End the server itself as `kill -9` does; it can be started again."""
    assert server._process is not None
    await killed(server._process)


# -- who writes


@dataclass(slots=True)
class Talk:
    """Bob and dave write to alice all the time; what arrives that was written while its writer may not is ``wrong``.

    A writer may from the moment on that the test lets happen what permits it, until what forbids it is in force.
    """

    partner: Server
    may: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    _written: int = 0
    _forbidden: set[str] = field(default_factory=set)
    _arrived: dict[str, int] = field(default_factory=dict)
    _refused: dict[str, int] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[Talk]:
        """Write until the block ends."""
        async with AsyncExitStack() as stack:
            writers = {jid: await stack.enter_async_context(correspondent(jid, PASSWORD, self.partner)) for jid in (BOB, DAVE)}
            tasks = [
                asyncio.create_task(self._write(writers)),
                *(asyncio.create_task(self._hear(jid, each)) for jid, each in writers.items()),
            ]
            try:
                yield self
            finally:
                await _cancelled(*tasks)
        assert self.wrong == []

    @asynccontextmanager
    async def read_at(self, server: Server) -> AsyncIterator[None]:
        """Have alice logged in until the block ends."""
        async with correspondent(ALICE, PASSWORD, server) as alice:
            reading = asyncio.create_task(self._read(alice))
            try:
                yield
            finally:
                await _cancelled(reading)

    async def arrives(self, jid: str) -> None:
        """Wait until something arrives that is written from now on."""
        now = self._written
        await until(lambda: self._arrived.get(jid, 0) > now)

    async def comes_back(self, jid: str) -> None:
        """Wait until something comes back that is written from now on, which by now may not arrive any more."""
        now = self._written
        await until(lambda: self._refused.get(jid, 0) > now)

    async def _write(self, writers: Mapping[str, Correspondent]) -> None:
        while True:
            for jid, writer in writers.items():
                self._written += 1
                body = f"{jid} {self._written}"
                if jid not in self.may:
                    self._forbidden.add(body)
                self._numbers[writer.write(ALICE, body)] = self._written
            await asyncio.sleep(BETWEEN_SECONDS)

    async def _hear(self, jid: str, writer: Correspondent) -> None:
        while True:
            stanza = await writer.heard.get()
            if stanza.get("type") == "error":
                self._refused[jid] = self._numbers.get(stanza.get("id", ""), 0)

    async def _read(self, alice: Correspondent) -> None:
        while True:
            stanza = await alice.heard.get()
            body = stanza.findtext(BODY) or ""
            jid, _, number = body.partition(" ")
            if stanza.get("type") == "error" or not number.isdecimal():
                continue
            self._arrived[jid] = max(int(number), self._arrived.get(jid, 0))
            if body in self._forbidden:
                self.wrong.append(body)


async def _cancelled(*tasks: asyncio.Task[None]) -> None:
    for each in tasks:
        each.cancel()
    for each in tasks:
        with suppress(asyncio.CancelledError):
            await each


# -- the clearinghouse

LIVES: Final = {"timestamp_period": "1 second", "timestamp_lifetime": "3 seconds", "table_lifetime": "7 seconds"}
"""Short, so that a test sees them end."""


@dataclass(slots=True)
class Hall:
    """A clearinghouse as a program at *host*, of which *home* has the files; *place* is a command that puts it somewhere else."""

    home: Commons
    host: str
    port: int
    lives: Mapping[str, str]
    place: tuple[str, ...] = ()
    running: Program | None = None
    said: dict[str, str] = field(default_factory=dict)

    @classmethod
    async def made(cls, directory: Path, host: str, port: int, lives: Mapping[str, str], place: tuple[str, ...] = ()) -> Hall:
        """Write everything, and enrol a.fed, b.fed and c.fed."""
        home = commons(directory, datetime.now(UTC) - timedelta(minutes=1))
        for name in ("table", "timestamp", "registrar", "revoker"):
            write_key_file(directory / f"{name}.key", presses.key(name))
        us = pwd.getpwuid(os.geteuid()).pw_name
        home.write("policies/people/us.kn", assertion("POLICY", f"unix:{us}", 'operation == "administer"', "allow"))
        async with home.open():
            await home.enrols(DOMAIN, keys=key("agent a").principal)
            await home.enrols("b.fed", "c.fed")
        made = cls(home, host, port, lives, place)
        made._write()
        return made

    def _write(self) -> None:
        authority, directory = trustme.CA(), self.home.directory
        certificate = authority.issue_cert(self.host)
        authority.cert_pem.write_to_path(directory / "ca.pem")
        write_secret(directory / "http.key", certificate.private_key_pem.bytes())
        (directory / "http.pem").write_bytes(b"".join(each.bytes() for each in certificate.cert_chain_pems))
        door = f'host = "{self.host}"\nport = {self.port}\ncertificate_file = "http.pem"\nkey_file = "http.key"'
        lives = "\n".join(f'{name} = "{value}"' for name, value in self.lives.items())
        text = self.home.text.replace("port = 0", door).replace("views = []", f"views = []\n{lives}")
        self.home.write("clearinghouse.toml", text.replace('socket = ""', 'socket = "control.sock"').encode())

    @property
    def config(self) -> Path:
        return self.home.directory / "clearinghouse.toml"

    @property
    def source(self) -> str:
        """What an agent's settings say about it."""
        return f'[[source]]\nkind = "https"\nurl = "https://{self.host}:{self.port}"\nca = "{self.home.directory}/ca.pem"\n'

    def post(self, directory: Path, server: Server, sections: str = "", **more: str) -> Post:
        """Return the agent of a.fed, which follows us."""
        directory.mkdir()
        lines = {"root_digest": f'"{self.home.pin()}"', "audience": '"community"', "report": '"1 second"', **more}
        unused = Hub(RealClock(), DOMAIN)
        return Post(directory, server, unused, {**lines, "sections": f'[admit]\nminimum = "level-2"\n\n{sections}\n{self.source}'})

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Program]:
        """Run the program; at the end it is killed, wherever it is."""
        async with program(*self.place, "clearinghouse", "serve", "--config", str(self.config)) as self.running:
            yield self.running

    def level(self, domain: str, level: str) -> None:
        """Say what level *domain* has; it is published at once."""
        self.home.write(f"policies/federate/{domain}.kn", assertion("POLICY", f"xmpp:{domain}", f'from_domain == "{domain}"', level))
        self.said[domain] = level
        if self.running is not None and self.running.process.returncode is None:
            self.running.process.send_signal(signal.SIGHUP)

    async def asks(self, what: str) -> dict[str, Any]:
        """Ask at the socket, as `clearinghouse fleet` does, once somebody answers."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                with suppress(NotRunning):
                    return await asyncio.to_thread(call_at, self.home.directory / "control.sock", what)
                await asyncio.sleep(POLL_SECONDS)

    async def version(self) -> int:
        """Return the number of the newest table."""
        views = (await self.asks("published"))["published"]["views"]
        return int(views["*"]["version"]) if "*" in views else 0

    async def tells_of(self, *, stale: bool) -> list[str]:
        """Wait until the fleet view says so about the agent of a.fed, and return why."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found = {each["domain"]: each for each in (await self.asks("fleet"))["agents"]}
                if DOMAIN in found and found[DOMAIN]["stale"] is stale:
                    return list(found[DOMAIN]["why"])
                await asyncio.sleep(POLL_SECONDS)


def write_secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


# -- the network

NEW_NETWORK: Final = 0x40000000
"""CLONE_NEWNET of setns(2), which Python has from 3.12 on."""


@dataclass(frozen=True, slots=True)
class Cable:
    """Two network namespaces and the cable between them; we are in the first one, and the other one has *address*."""

    here: str
    there: str
    address: str

    @property
    def place(self) -> tuple[str, ...]:
        """Return the command that runs another one at the other end."""
        return ("ip", "netns", "exec", self.there)

    def cut(self) -> None:
        """Take the other end down."""
        ip("-n", self.there, "link", "set", "cable", "down")

    def mend(self) -> None:
        """Take it up again."""
        ip("-n", self.there, "link", "set", "cable", "up")


def why_no_cable() -> str:
    """Return why there can be no namespaces here, or nothing."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    return "" if shutil.which("ip") else "apt-get install iproute2"


@contextmanager
def cable() -> Iterator[Cable]:
    """Make the namespaces, and stay in one of them until the block ends; whatever is started meanwhile is there, too."""
    tag, net = secrets.token_hex(4), f"10.77.{secrets.randbelow(256)}"
    made = Cable(f"here-{tag}", f"there-{tag}", f"{net}.2")
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        for name in (made.here, made.there):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", "cable", "netns", made.here, "type", "veth", "peer", "name", "cable", "netns", made.there)
        for name, address in ((made.here, f"{net}.1"), (made.there, made.address)):
            ip("-n", name, "addr", "add", f"{address}/30", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")
        with Path(f"/run/netns/{made.here}").open("rb") as file:
            _enter(file.fileno())
        yield made
    finally:
        _enter(home)
        os.close(home)
        for name in (made.here, made.there):
            with suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)


def _enter(descriptor: int) -> None:
    """Have this thread, and those that it makes, in another network."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def ip(*words: str) -> None:
    """Run ip(8)."""
    subprocess.run(("ip", *words), check=True, capture_output=True, timeout=PATIENCE_SECONDS)


# -- the disk


@dataclass(frozen=True, slots=True)
class Disk:
    """A small file system of its own at *path*."""

    path: Path

    def fill(self) -> None:
        """Leave no room."""
        with suppress(OSError), self._filler.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def clear(self) -> None:
        """Make room."""
        self._filler.unlink()

    def kept(self) -> dict[str, bytes]:
        """Return what the agent has there of the table that it believes."""
        return {each.name: each.read_bytes() for each in (self.path / "trusted").iterdir() if each.suffix != ".new"}

    @property
    def _filler(self) -> Path:
        return self.path / "filler"


@contextmanager
def small_disk(path: Path, kilobytes: int) -> Iterator[Disk]:
    """Mount one that has so much room, until the block ends."""
    path.mkdir(mode=0o700)
    subprocess.run(("mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=0700", "tmpfs", str(path)), check=True, timeout=PATIENCE_SECONDS)
    try:
        yield Disk(path)
    finally:
        subprocess.run(("umount", "--lazy", str(path)), check=True, timeout=PATIENCE_SECONDS)
