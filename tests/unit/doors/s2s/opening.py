"""A door with real sockets on loopback, in front of somebody who gives the same answer to everybody; and peers that call there."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from clearinghouse.doors.s2s.door import Bears, Door, opened
from clearinghouse.doors.s2s.tls import Certificates, Pair
from clearinghouse.doors.s2s.trust import Trust
from clearinghouse.federation.published.members import Endpoint
from clearinghouse.federation.redirection.answers import Answer, Refused
from clearinghouse.federation.redirection.seen import Require, Seen
from tests.unit.doors.s2s.papers import Authority, Paper
from tests.unit.doors.s2s.peers import PLACE, STARTTLS, header

HERE = ("127.0.0.1", 0)
OWN = "door.hub.example"
END = b"</stream:stream>"
WIDE = Bears(connections=10_000, connections_each=10_000, address_per_second=1e6, address_burst=1e6)
"""All of a test comes from one address."""

COMMUNITY = Authority("community")
MEMBER = COMMUNITY.paper("a.example")
STRANGER = Authority("elsewhere").paper("a.example")


@dataclass
class Host:
    """A `Porter`: says where everybody is to go whose proof is enough, once *free* is set, and remembers what it was asked."""

    require: Require = Require.CERTIFICATE
    seen: list[Seen] = field(default_factory=list)
    records: dict[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    answers: Answer = PLACE
    free: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.free.set()

    async def answer(self, seen: Seen) -> Answer:
        self.seen.append(seen)
        self.asked.set()
        await self.free.wait()
        return self.answers if self.require.met_by(seen.proof) else Refused()

    def recorded(self, domain: str) -> tuple[Endpoint, ...]:
        return self.records.get(domain, ())


def certificates(directory: Path, fronted: Mapping[str, Paper] | None = None) -> Certificates:
    own = Pair(*COMMUNITY.paper(OWN).save(directory, "door"))
    return Certificates(own, {name: Pair(*paper.save(directory, name)) for name, paper in (fronted or {}).items()})


def trust(directory: Path) -> Trust:
    anchors = directory / "anchors.pem"
    anchors.write_bytes(COMMUNITY.pem)
    return Trust(anchors)


@asynccontextmanager
async def door(directory: Path, host: Host, fronted: Mapping[str, Paper] | None = None, bears: Bears = WIDE) -> AsyncIterator[Door]:
    shown, believed = certificates(directory, fronted), trust(directory)
    async with opened(host, shown, believed, name=OWN, listen=[HERE], listen_tls=[HERE], bears=bears) as made:
        yield made


class Peer:
    """A server that calls at a door."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def says(self, data: bytes, until: bytes = END) -> bytes:
        """Send *data*, and return what comes back up to and with *until*."""
        self.writer.write(data)
        return await self.reader.readuntil(until)

    async def begins_tls(self, context: ssl.SSLContext, name: str | None = None, data: bytes = b"") -> None:
        """Go through STARTTLS; *data* is the header before it."""
        await self.says(data or header(), b"</stream:features>")
        await self.says(STARTTLS, b"/>")
        await self.writer.start_tls(context, server_hostname=name)

    def shown(self) -> str:
        """The first DNS name in the certificate that the door has shown."""
        found = self.writer.get_extra_info("ssl_object").getpeercert()
        return str(found["subjectAltName"][0][1])


def trusting(directory: Path, paper: Paper | None = MEMBER, *, only: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """TLS of a peer that shows *paper*, and believes the community whatever the name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=COMMUNITY.pem.decode())
    if only is not None:
        context.minimum_version = context.maximum_version = only
    if paper is not None:
        context.load_cert_chain(*paper.save(directory, "peer"))
    return context


@asynccontextmanager
async def calling(
    place: tuple[str, int],
    context: ssl.SSLContext | None = None,
    name: str | None = None,
    *,
    address: str = "127.0.0.1",
) -> AsyncIterator[Peer]:
    """Connect from *address*, over direct TLS where *context* is given."""
    given = {} if context is None else {"ssl": context, "server_hostname": name or OWN}
    reader, writer = await asyncio.open_connection(*place, local_addr=(address, 0), **given)  # type: ignore[arg-type]
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def redirected(told: bytes) -> bool:
    return PLACE.place.encode() in told and b"<see-other-host" in told


def refused(told: bytes) -> bool:
    """A bare refusal: no word of why."""
    return b"<policy-violation" in told and b"<text" not in told
