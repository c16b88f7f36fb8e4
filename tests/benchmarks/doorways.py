"""Servers that a door is measured beside, each in a process of its own: ``python -m tests.benchmarks.doorways KIND DIRECTORY``.

Each prints where it listens as one JSON object, and ends when its standard input does.  All of them take connections in the
same way, so that what differs is what they do.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from OpenSSL import SSL

from clearinghouse import telemetry
from clearinghouse.clearing.people import Speaker
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.demo.league.community import EAST, MEMBERS, NORTH, OPERATOR, SOUTH, League
from clearinghouse.demo.neighbours import S2S_PORT
from clearinghouse.doors.s2s.door import Bears, opened
from clearinghouse.doors.s2s.tls import Certificates, Pair
from clearinghouse.doors.s2s.trust import Trust
from clearinghouse.federation.published.members import Endpoint
from clearinghouse.federation.redirection.answers import Answer, Redirect
from clearinghouse.federation.redirection.seen import Require, Seen
from clearinghouse.runtime.chance import utc_now
from clearinghouse.runtime.collecting import spare_collector
from clearinghouse.runtime.service import running

PLACE: Final = "127.0.0.9"
ANSWER: Final = (
    "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:server' from='b.fed' to='a.fed'"
    " id='0123456789abcdef0123456789abcdef' version='1.0'><stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>"
    f"{PLACE}</see-other-host></stream:error></stream:stream>"
).encode()
ROOM: Final = Bears(2_000, 2_000, 1e6, 1e6)
"""All callers are at one address here."""

ADDRESSES: Final[Mapping[str, str]] = {NORTH: "127.0.0.7", SOUTH: "127.0.0.8", EAST: PLACE}
Ports = dict[str, int]


@dataclass(frozen=True, slots=True)
class Same:
    """Gives everybody the same answer, and writes nothing down."""

    require: Require

    async def answer(self, seen: Seen) -> Answer:
        """Send them on."""
        del seen
        return Redirect(PLACE, "the server")

    def recorded(self, domain: str) -> tuple[Endpoint, ...]:
        """Know nobody."""
        del domain
        return ()


# ------------------------------------------------------------------------------------------------------ canned answers


def _listening(each: Callable[[socket.socket], None]) -> int:
    """Take connections at a free port, and return it."""
    loop, bound = asyncio.get_running_loop(), socket.create_server(("127.0.0.1", 0), backlog=4096)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    bound.settimeout(0)

    def take() -> None:
        for _ in range(128):
            try:
                taken, _ = bound.accept()
            except BlockingIOError:
                return
            taken.settimeout(0)
            each(taken)

    loop.add_reader(bound, take)
    return int(bound.getsockname()[1])


class Canned(asyncio.Protocol):
    """Answers what has come with what is always answered, without reading it: as asyncio would have it written."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer."""
        del data
        self.transport.write(ANSWER)
        self.transport.close()


class HangsUp(Canned):
    """Says nothing when the handshake is done, and hangs up."""

    def data_received(self, data: bytes) -> None:
        """Hang up."""
        del data
        self.transport.close()


def _canned(taken: socket.socket) -> None:
    """The same on bare sockets: less cannot be done in Python."""
    loop, descriptor = asyncio.get_running_loop(), taken.fileno()

    def readable() -> None:
        with suppress(BlockingIOError):
            if taken.recv(8_192):
                taken.send(ANSWER)
                taken.shutdown(socket.SHUT_WR)
                return
            loop.remove_reader(descriptor)
            taken.close()

    loop.add_reader(descriptor, readable)


def _null_tls(contexts: Certificates, taken: socket.socket) -> None:
    """Complete a handshake by the door's own TLS, and hang up as soon as the peer says something."""
    loop, tls, is_open, descriptor = asyncio.get_running_loop(), SSL.Connection(contexts.choose("")), False, taken.fileno()
    tls.set_accept_state()

    def flush() -> None:
        with suppress(SSL.WantReadError):
            taken.send(tls.bio_read(65_536))

    def readable() -> None:
        nonlocal is_open
        with suppress(BlockingIOError, SSL.WantReadError):
            data = taken.recv(8_192)
            if not data:
                loop.remove_reader(descriptor)
                taken.close()
                return
            tls.bio_write(data)
            try:
                if not is_open:
                    tls.do_handshake()
                    is_open = True
                tls.recv(8_192)
                tls.shutdown()
            finally:
                flush()
            taken.shutdown(socket.SHUT_WR)

    loop.add_reader(descriptor, readable)


# ------------------------------------------------------------------------------------------------------ the door itself


def _certificates(directory: Path) -> Certificates:
    return Certificates(Pair(directory / "server.pem", directory / "server.key"))


@asynccontextmanager
async def _door(directory: Path, require: Require) -> AsyncIterator[Ports]:
    """A door, and behind it nobody who decides."""
    trust, one = Trust(directory / "authority.pem"), [("127.0.0.1", 0)]
    async with opened(Same(require), _certificates(directory), trust, listen=one, listen_tls=one, bears=ROOM) as door:
        yield {"tcp": door.listen[0][1], "tls": door.listen_tls[0][1]}


@asynccontextmanager
async def _clearinghouse(directory: Path) -> AsyncIterator[Ports]:
    """A whole clearinghouse with three members: policy, credentials, records, and a log on disk."""
    league = League(directory / "league", ADDRESSES, utc_now(), doors=dict.fromkeys(MEMBERS, 1), place="127.0.0.1:0")
    league.write()
    files = [(directory / name).read_bytes() for name in ("authority.pem", "server.pem", "server.key")]
    for place in ("hub", "hub/door"):
        league.identity(place, *files)
    settings = league.hub()
    assert settings.redirect is not None
    many = {"listen_tls": ("127.0.0.1:0",), "connections_each": 2_000, "address_per_second": 1e6, "address_burst": 1_000_000}
    wide = settings.redirect.model_copy(update=many | {"domain_per_second": 1e6, "domain_burst": 1_000_000})
    async with running(settings.model_copy(update={"redirect": wide})) as service:
        assert service.house is not None
        assert service.s2s is not None
        operator = Speaker(OPERATOR, (f"unix:{OPERATOR}",), Door.OPERATOR)
        for domain, address in ADDRESSES.items():
            words = {"domain": domain, "endpoints": f"{address}:{S2S_PORT}", "keys": league.key(domain).principal}
            await service.house.enrol(operator, "add", words)
        spare_collector()
        yield {"tcp": service.s2s.listen[0][1], "tls": service.s2s.listen_tls[0][1]}


@asynccontextmanager
async def _usual(directory: Path) -> AsyncIterator[Ports]:
    """What asyncio offers: a protocol over TCP, and over TLS that wants a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem", directory / "server.key")
    context.load_verify_locations(directory / "authority.pem")
    context.verify_mode, context.num_tickets = ssl.CERT_REQUIRED, 0
    loop = asyncio.get_running_loop()
    plain = await loop.create_server(Canned, "127.0.0.1", 0, backlog=4096)
    async with plain, await loop.create_server(HangsUp, "127.0.0.1", 0, backlog=4096, ssl=context) as tls:
        yield {name: int(each.sockets[0].getsockname()[1]) for name, each in (("tcp", plain), ("tls", tls))}


@asynccontextmanager
async def _served(kind: str, directory: Path) -> AsyncIterator[Ports]:
    match kind:
        case "canned":
            async with _usual(directory) as ports:
                yield ports
        case "bare":
            contexts = _certificates(directory)
            yield {"tcp": _listening(_canned), "tls": _listening(lambda taken: _null_tls(contexts, taken))}
        case "door":
            async with _door(directory, Require.NOTHING) as ports:
                yield ports
        case _:
            async with _clearinghouse(directory) as ports:
                yield ports


async def _serve(kind: str, directory: Path) -> None:
    async with _served(kind, directory) as ports:
        print(json.dumps(ports), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    telemetry.configure(stream=sys.stderr)
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2])))
