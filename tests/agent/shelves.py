"""What a real HTTP door gives away, where a test publishes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from clearinghouse.clearing.dsse import REQUEST, opened
from clearinghouse.clearing.envelope import read_asked
from clearinghouse.clearing.people import NoSuchThing
from clearinghouse.doors.http.server import http_door
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.membership.reception import Answer, Copy, Reader
from clearinghouse.federation.published.documents import digest, timestamp_name
from clearinghouse.settings.federation import Http
from tests.agent.community import NAME, Hub


@dataclass(slots=True)
class Shelf:
    """Implements `clearinghouse.federation.membership.reception.Library` with the documents of *hub*, for the holder of one *key*."""

    hub: Hub
    key: str
    reports: list[dict[str, str]] = field(default_factory=list)

    async def signed(self, envelope: bytes) -> Reader:
        try:
            found = opened(envelope, payload_type=REQUEST)
            asked = read_asked(found, audience=NAME, now=self.hub.clock())
        except ClearinghouseError:
            raise NoSuchThing("nothing", mend="nothing") from None
        if asked.kind != "fetch" or found.signers != (self.key,) or asked.body != {"audience": self.hub.audience}:
            raise NoSuchThing("nothing", mend="nothing")
        return Reader(self.hub.audience)

    def proven(self, jid: str) -> Reader:
        return Reader(jid)

    def paced(self, peer: str) -> None:
        pass

    def copy(self, reader: Reader, name: str) -> Copy:
        del reader
        if name not in self.hub.documents:
            raise NoSuchThing("nothing", mend="nothing")
        return Copy(self.hub.documents[name], digest(self.hub.documents[name]))

    async def newer(self, reader: Reader, audience: str, tag: str, seconds: float) -> Copy | None:
        assert audience == self.hub.audience
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            found = self.copy(reader, timestamp_name(audience))
            if found.tag != tag:
                return found
            await asyncio.sleep(0.02)
        return None

    def takes(self, envelope: bytes) -> bool:
        del envelope
        return True

    async def hand_in(
        self, envelope: bytes, *, by: Reader | None = None, speaker: str = "", peer: str = "", seconds: float = 0.0
    ) -> Answer:
        del by, speaker, peer, seconds
        asked = read_asked(opened(envelope, payload_type=REQUEST), audience=NAME, now=self.hub.clock())
        assert asked.kind == "status"
        self.reports.append(dict(asked.body))
        return Answer("taken")

    async def waiting(self, reader: Reader, seconds: float) -> dict[str, bytes] | None:
        del reader
        await asyncio.sleep(seconds)
        return None

    def answered(self, reader: Reader, identity: str, raw: bytes) -> None:
        raise NotImplementedError

    async def answer(self, envelope: bytes, identity: str, seconds: float) -> bytes | None:
        raise NotImplementedError


@asynccontextmanager
async def https_hub(shelf: Shelf, directory: Path) -> AsyncIterator[tuple[str, Path]]:
    """Serve *shelf* over HTTPS; give the URL and the file of certificates that vouch for it."""
    ca = trustme.CA()
    certificate = ca.issue_cert("localhost", "127.0.0.1")
    chain, private, trusted = directory / "chain.pem", directory / "private.pem", directory / "ca.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(chain)
    certificate.private_key_pem.write_to_path(private)
    ca.cert_pem.write_to_path(trusted)
    settings = Http(host="127.0.0.1", port=0, certificate_file=chain, key_file=private)
    async with http_door(settings, shelf) as door:  # type: ignore[arg-type]  # of the relay nothing is asked here
        assert door is not None
        yield f"https://localhost:{door.port}", trusted


def trusted_by(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """Return the file of certificates that vouch for a server with the context."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    ca.cert_pem.write_to_path(directory / "trusted.pem")
    return directory / "trusted.pem", context


@dataclass(slots=True)
class Wire:
    """A network between two that can be cut: a port that passes everything on to another one."""

    target: int
    port: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[Wire]:
        await self.mend()
        try:
            yield self
        finally:
            await self.cut()

    async def cut(self) -> None:
        """Drop every connection, and take no new one."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for each in list(self._open):
            each.transport.abort()
        await asyncio.sleep(0)

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        self._open |= {writer, back}
        try:
            await asyncio.gather(_pumped(reader, back), _pumped(there, writer), return_exceptions=True)
        finally:
            for each in (writer, back):
                each.close()
                self._open.discard(each)


async def _pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()


Sleep = Callable[[float], None]
