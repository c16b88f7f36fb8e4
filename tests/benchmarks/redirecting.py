"""What an answer at the door costs: beside a server that always says the same, one that only shakes hands, and a Prosody.

Measured is the processor time of the server, for one connection from its beginning to its end; callers are in another
process, and on another processor where there is one.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from typing_extensions import override

from clearinghouse.demo.league.community import NORTH, SOUTH
from clearinghouse.demo.neighbours import AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE, Neighbours
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import Hosting
from tests.benchmarks.knocking import Knocked, apart, race
from tests.benchmarks.measure import Effort
from tests.benchmarks.report import Goal, Section

CALLS: Final = 200
"""Connections of one batch: a fifth of a second with TLS."""

FEW, MANY = 4, 32
"""Callers at one time: over TCP, and over TLS, where each takes longer."""

DIRECT_TLS_PORT: Final = 5270
KINDS: Final = ("canned", "bare", "door", "clearinghouse")
STARTED_SECONDS: Final = 30


class Direct(Prosody):
    """A Prosody that also takes streams with TLS from the first byte."""

    @override
    def _configuration(self) -> str:
        return super()._configuration().replace("s2s_direct_tls_ports = {}", f"s2s_direct_tls_ports = {{ {DIRECT_TLS_PORT} }}")


@dataclass(frozen=True, slots=True)
class _Running:
    """A server of `doorways`."""

    process: int
    tcp: int
    tls: int


def redirecting(effort: Effort) -> Section:
    """Race all of them over TCP, and over TLS with certificates on both sides."""
    return asyncio.run(_measured(effort))


async def _measured(effort: Effort) -> Section:
    rounds = max(3, effort.rounds // 15)
    async with _everything() as (plain, tls):
        with apart({each.process for each in (*plain, *tls)}):
            over_tcp = race(plain, rounds, CALLS, FEW)
            over_tls = race(tls, rounds, CALLS, MANY)
    return Section(
        f"One connection at a door, processor time of the server, medians of {rounds} batches of {CALLS}",
        ("", "us"),
        [*over_tcp.items(), *over_tls.items()],
        _goals(over_tcp, over_tls),
    )


def _goals(over_tcp: dict[str, float], over_tls: dict[str, float]) -> tuple[Goal, ...]:
    canned, bare, door, prosody = over_tcp.values()
    null, bare_null, door_tls, whole, prosody_tls = over_tls.values()
    return (
        Goal("the door over TCP, of a server that always says the same", "at most", 1.15, door / canned),
        Goal("the same, of one on bare sockets", "at most", 1.15, door / bare),
        Goal("Prosody's host-unknown over TCP, of the door", "at least", 6.0, prosody / door),
        Goal("the door over mutual TLS, of a server that shakes hands and hangs up", "at most", 1.1, door_tls / null),
        Goal("the same, of one with the door's TLS on bare sockets", "at most", 1.1, door_tls / bare_null),
        Goal("Prosody's host-unknown over mutual TLS, of the door", "at least", 1.4, prosody_tls / door_tls),
        Goal("decided and on the log as well, of the door alone", "at most", 1.1, whole / door_tls),
    )


@asynccontextmanager
async def _everything() -> AsyncIterator[tuple[list[Knocked], list[Knocked]]]:
    """Start every server; give what is called over TCP, and what over TLS."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-doors-")))
        neighbours = stack.enter_context(Neighbours())
        mutual = _client(neighbours, directory)
        running = {kind: stack.enter_context(_started(kind, directory)) for kind in KINDS}
        prosody = Direct(Hosting(("c.fed",), (), "agent.c.fed", "secret"), neighbours=neighbours)
        await stack.enter_async_context(prosody)
        assert prosody._process is not None
        there, other = prosody.address, prosody._process.pid
        canned, bare, door, whole = (running[kind] for kind in KINDS)
        sent, unknown, pair = b"<see-other-host", b"<host-unknown", (SOUTH, NORTH)
        yield (
            [
                Knocked("TCP: always the same answer, an asyncio protocol", "127.0.0.1", canned.tcp, canned.process, sent),
                Knocked("TCP: always the same answer, bare sockets", "127.0.0.1", bare.tcp, bare.process, sent),
                Knocked("TCP: the door", "127.0.0.1", door.tcp, door.process, sent),
                Knocked("TCP: a Prosody that does not know the name", there, 5269, other, unknown),
            ],
            [
                Knocked("mutual TLS: a handshake, asyncio's TLS", "127.0.0.1", canned.tls, canned.process, b"", mutual),
                Knocked("mutual TLS: a handshake, the door's TLS on bare sockets", "127.0.0.1", bare.tls, bare.process, b"", mutual),
                Knocked("mutual TLS: the door", "127.0.0.1", door.tls, door.process, sent, mutual, *pair),
                Knocked(
                    "mutual TLS: decided and on the log",
                    "127.0.0.1",
                    whole.tls,
                    whole.process,
                    sent,
                    mutual,
                    SOUTH,
                    NORTH,
                ),
                Knocked(
                    "mutual TLS: a Prosody that does not know the name",
                    there,
                    DIRECT_TLS_PORT,
                    other,
                    unknown,
                    mutual,
                    SOUTH,
                    NORTH,
                    "c.fed",
                ),
            ],
        )


def _client(neighbours: Neighbours, directory: Path) -> ssl.SSLContext:
    """Write what servers need, and return the TLS of a caller with a certificate of its own."""
    (directory / AUTHORITY_FILE).write_bytes(neighbours.authority.certificate)
    for names, folder in ((["door.league.fed"], directory), ([SOUTH], directory / "caller")):
        folder.mkdir(exist_ok=True)
        identity = neighbours.authority.identity(names)
        (folder / CERTIFICATE_FILE).write_bytes(identity.certificate)
        (folder / KEY_FILE).touch(mode=0o600)
        (folder / KEY_FILE).write_bytes(identity.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(directory / "caller" / CERTIFICATE_FILE, directory / "caller" / KEY_FILE)
    return context


@contextmanager
def _started(kind: str, directory: Path) -> Iterator[_Running]:
    command = [sys.executable, "-m", "tests.benchmarks.doorways", kind, str(directory)]
    with (
        (directory / f"{kind}.log").open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        assert process.stdin is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError((directory / f"{kind}.log").read_text()[-4_000:])
        yield _Running(process.pid, **json.loads(line))
        process.stdin.close()
        process.wait(STARTED_SECONDS)
