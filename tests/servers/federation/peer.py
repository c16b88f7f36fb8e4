"""The sending side of a server that does what no ordinary one does: several domains on one stream, each proven by dialback.

Who it says it is answers for it: an ordinary Prosody, whose dialback secret it knows (XEP-0220, XEP-0185).
"""

from __future__ import annotations

import asyncio
import hmac
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

DIALBACK_SECRET: Final = "known to both"

HEADER = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback'"
    " xmlns:stream='http://etherx.jabber.org/streams' to='{to}' version='1.0'>"
)
TLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"


@dataclass(slots=True)
class Peer:
    """An encrypted stream to the domain *to*, on which nobody has been proven yet."""

    to: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    id: str = ""
    heard: str = ""

    async def open(self) -> None:
        """Open the stream, encrypt it, and open it again."""
        await self._begin()
        self.say(TLS)
        await self.hears("<proceed")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        await self.writer.start_tls(context)
        await self._begin()

    def say(self, text: str) -> None:
        """Send *text* as it is."""
        self.writer.write(text.encode())

    async def hears(self, pattern: str) -> str:
        """Wait until what was received matches *pattern*; return that, and forget it."""
        async with asyncio.timeout(10):
            while not (found := re.search(pattern, self.heard, re.DOTALL)):
                data = await self.reader.read(65536)
                assert data, f"the stream has ended: {self.heard}"
                self.heard += data.decode()
        self.heard = self.heard[found.end() :]
        return found[0]

    async def proves(self, domain: str) -> str:
        """Claim to be *domain*, and return the answer."""
        self.claims(domain)
        return await self.hears(r"<(db:result[^>]*/>|db:result.*?</db:result>|stream:error.*?</stream:error>)")

    def claims(self, domain: str) -> None:
        """Claim to be *domain*."""
        secret = sha256(DIALBACK_SECRET.encode()).hexdigest().encode()
        key = hmac.new(secret, f"{self.to} {domain} {self.id}".encode(), sha256).hexdigest()
        self.say(f"<db:result from='{domain}' to='{self.to}'>{key}</db:result>")

    def write(self, sender: str, to: str, body: str) -> None:
        """Send a message, whoever it says that it is from."""
        self.say(f"<message from='{sender}' to='{to}' type='chat' id='{body}'><body>{body}</body></message>")

    async def _begin(self) -> None:
        self.heard = ""
        self.say(HEADER.format(to=self.to))
        found = re.search("id=['\"]([^'\"]*)", await self.hears("<stream:stream[^>]*>"))
        assert found
        self.id = found[1]
        await self.hears("</stream:features>")


@asynccontextmanager
async def peer(address: str, to: str) -> AsyncIterator[Peer]:
    """A peer with an open stream."""
    reader, writer = await asyncio.open_connection(address, 5269)
    made = Peer(to, reader, writer)
    try:
        await made.open()
        yield made
    finally:
        writer.transport.abort()
        with suppress(OSError):  # whatever the other side says to that
            await writer.wait_closed()
