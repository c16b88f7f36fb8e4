"""A door that answers at exactly the moment that a test wants, and a server at which a redirect may end: both by a script.

It proves nothing of whoever connects: what is looked at is what an initiating server does.  See `door`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clearinghouse.demo.certificates import Identity
from clearinghouse.demo.neighbours import S2S_PORT
from clearinghouse.demo.platforms import PATIENCE_SECONDS
from clearinghouse.demo.servers import free_address

HEADER: Final = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback'"
    " xmlns:stream='http://etherx.jabber.org/streams' id='scripted' from='{wanted}' to='{caller}' version='1.0'>"
)
STARTTLS: Final = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
PROCEED: Final = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
EXTERNAL: Final = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>"
DIALBACK: Final = "<dialback xmlns='urn:xmpp:features:dialback'/>"
SUCCESS: Final = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
ERRORS: Final = "urn:ietf:params:xml:ns:xmpp-streams"


class Phase(StrEnum):
    """When a door answers."""

    PLAIN = "on the first header, before TLS"
    TLS = "on the header after TLS"
    SASL = "on the header after EXTERNAL"
    DIALBACK = "at db:result"
    STANZA = "at the first stanza, after EXTERNAL was completed"
    STANZA_AFTER_DIALBACK = "at the first stanza, after dialback was completed"


BY_DIALBACK: Final = (Phase.DIALBACK, Phase.STANZA_AFTER_DIALBACK)


def key_of(certificate: bytes) -> str:
    """Return the digest of the key in a PEM *certificate*, as records have it."""
    key = x509.load_pem_x509_certificate(certificate).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def error(condition: str, text: str = "", value: str = "") -> str:
    """Return a stream error."""
    words = f"<text xmlns='{ERRORS}'>{text}</text>" if text else ""
    return f"<stream:error><{condition} xmlns='{ERRORS}'>{value}</{condition}>{words}</stream:error>"


@dataclass(slots=True)
class Caller:
    """One connection to a door."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: str = ""

    async def hears(self, pattern: str) -> str:
        """Wait until what was received matches *pattern*; return that, and forget it."""
        while not (found := re.search(pattern, self.heard, re.DOTALL)):
            data = await self.reader.read(65536)
            if not data:
                raise EOFError
            self.heard += data.decode()
        self.heard = self.heard[found.end() :]
        return found[0]

    def say(self, *texts: str) -> None:
        """Send *texts* as they are."""
        self.writer.write("".join(texts).encode())


@dataclass(slots=True)
class ScriptedDoor:
    """Listens at *address* with *identity*; ``answer`` and ``phase`` are the script, and the rest is what happened.

    With ``answer`` empty it says nothing more.  Nobody is answered before ``open`` is set: the test may do something in between.
    """

    identity: Identity
    address: str
    port: int = S2S_PORT
    direct: bool = False
    answer: str = ""
    phase: Phase = Phase.TLS
    open: asyncio.Event = field(default_factory=asyncio.Event)
    called: asyncio.Queue[Caller] = field(default_factory=asyncio.Queue)
    connections: int = 0
    ended: asyncio.Queue[Caller] = field(default_factory=asyncio.Queue)
    taken: list[str] = field(default_factory=list)
    """Whatever came after the name was proven."""
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def place(self) -> str:
        """Return where it is, in the form that every server can read."""
        return f"[{self.address}]:{self.port}"

    @property
    def key(self) -> str:
        """Return the digest of its key."""
        return key_of(self.identity.certificate)

    def redirects(self, place: str, phase: Phase = Phase.TLS) -> None:
        """Send everybody to *place* from now on."""
        self._plays(error("see-other-host", "the server of somebody (decision 0123456789ab)", place), phase)

    def refuses(self, text: str, phase: Phase = Phase.TLS) -> None:
        """Refuse everybody from now on."""
        self._plays(error("policy-violation", text), phase)

    def lets_in(self, phase: Phase = Phase.STANZA) -> None:
        """Let everybody prove a name, say nothing more, and keep what then comes."""
        self._plays("", phase)

    def _plays(self, answer: str, phase: Phase) -> None:
        self.answer, self.phase, self.connections = answer, phase, 0
        self.taken.clear()
        self.open.set()
        for queue in (self.called, self.ended):
            while not queue.empty():
                queue.get_nowait()

    async def arrives(self) -> Caller:
        """Wait for somebody to whom an answer is due."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.called.get()

    async def leaves(self) -> Caller:
        """Wait for the end of a connection."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.ended.get()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        caller = Caller(reader, writer)
        with suppress(EOFError, OSError):
            await self._talk(caller)
            await caller.hears("</stream:stream>")
        self._writers.discard(writer)
        writer.transport.abort()
        self.ended.put_nowait(caller)

    async def _talk(self, caller: Caller) -> None:
        if not self.direct:
            header = await self._header(caller)
            if self.phase is Phase.PLAIN:
                await self._answers(caller, header)
                return
            caller.say(header, f"<stream:features>{STARTTLS}</stream:features>")
            await caller.hears("<starttls[^>]*/>")
            caller.say(PROCEED)
            await caller.writer.start_tls(self._context())
        header = await self._header(caller)
        if self.phase is Phase.TLS:
            await self._answers(caller, header)
            return
        caller.say(header, f"<stream:features>{DIALBACK if self.phase in BY_DIALBACK else EXTERNAL}</stream:features>")
        await (self._proven_by_dialback(caller) if self.phase in BY_DIALBACK else self._proven_by_certificate(caller))

    async def _proven_by_certificate(self, caller: Caller) -> None:
        await caller.hears("<auth.*</auth>")
        caller.say(SUCCESS)
        header = await self._header(caller)
        if self.phase is Phase.SASL:
            await self._answers(caller, header)
            return
        caller.say(header, "<stream:features/>")
        await self._keeps(caller)

    async def _proven_by_dialback(self, caller: Caller) -> None:
        asked = await caller.hears("<db:result.*</db:result>")
        if self.phase is Phase.DIALBACK:
            await self._answers(caller)
            return
        caller.say(f"<db:result type='valid' from='{_attribute('to', asked)}' to='{_attribute('from', asked)}'/>")
        await self._keeps(caller)

    async def _keeps(self, caller: Caller) -> None:
        stanza = "<(message|presence|iq|db:verify) .*?>"
        self.taken.append(await caller.hears(stanza))
        if self.answer:
            caller.say(self.answer, "</stream:stream>")
        while True:
            self.taken.append(await caller.hears(stanza))

    async def _header(self, caller: Caller) -> str:
        said = await caller.hears("<stream:stream[^>]*>")
        return HEADER.format(wanted=_attribute("to", said), caller=_attribute("from", said))

    async def _answers(self, caller: Caller, header: str = "") -> None:
        self.called.put_nowait(caller)
        await self.open.wait()
        caller.say(header, self.answer, "</stream:stream>")

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder, "certificate"), Path(folder, "key")
            files[0].write_bytes(self.identity.certificate)
            files[1].write_bytes(self.identity.key)
            context.load_cert_chain(*files)
        return context


def _attribute(name: str, tag: str) -> str:
    found = re.search(f" {name}=['\"]([^'\"]*)", tag)
    return found[1] if found else ""


@asynccontextmanager
async def door(identity: Identity, *, port: int = S2S_PORT, direct: bool = False) -> AsyncIterator[ScriptedDoor]:
    """A door that listens for as long as the context lasts."""
    made = ScriptedDoor(identity, free_address(), port, direct=direct)
    context = made._context() if direct else None
    server = await asyncio.start_server(made._serve, made.address, made.port, ssl=context)
    try:
        yield made
    finally:
        server.close()
        for writer in made._writers:
            writer.transport.abort()
        await server.wait_closed()
