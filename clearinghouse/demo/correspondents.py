"""People who write to each other across servers with an ordinary client, and know of no clearinghouse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4
from xml.etree.ElementTree import Element, SubElement

from slixmpp.xmlstream.stanzabase import StanzaBase
from typing_extensions import override

from clearinghouse.demo.platforms import PATIENCE_SECONDS, Client
from clearinghouse.demo.servers import CLIENT_PORT, Server
from clearinghouse.grid.namespaces import CLIENT, PING
from clearinghouse.grid.stanzas import MESSAGE, refusal_in

PRESENCE = f"{{{CLIENT}}}presence"
BODY = f"{{{CLIENT}}}body"
ROOMS = "http://jabber.org/protocol/muc"  # XEP-0045


class Correspondent(Client):
    """A client whose ``heard`` has every message and presence, in the order in which they came."""

    def __init__(self, jid: str, password: str) -> None:
        """Prepare to log in; nothing is agreed to by itself."""
        super().__init__(jid, password)
        self.heard: asyncio.Queue[Element] = asyncio.Queue()
        self.auto_authorize = self.auto_subscribe = False

    def write(self, to: str, body: str, kind: str = "chat") -> str:
        """Send a message of type *kind*, and return its id."""
        message = Element(MESSAGE, to=to, type=kind, id=uuid4().hex)
        SubElement(message, BODY).text = body
        self.say(message)
        return message.attrib["id"]

    def show(self, to: str, kind: str = "") -> None:
        """Send a presence to somebody, of type *kind* (nothing: available)."""
        self.say(Element(PRESENCE, {"to": to, "id": uuid4().hex} | ({"type": kind} if kind else {})))

    def join(self, room: str, nick: str) -> None:
        """Enter a room."""
        presence = Element(PRESENCE, to=f"{room}/{nick}", id=uuid4().hex)
        SubElement(presence, f"{{{ROOMS}}}x")
        self.say(presence)

    async def ping(self, to: str) -> None:
        """Ask *to* for an answer; raise `StanzaRefused` when it is an error, `BrokerUnavailable` when there is none."""
        await self.ask(to, "get", Element(f"{{{PING}}}ping"))

    async def hears(self, wanted: Callable[[Element], bool]) -> Element:
        """Wait for the next stanza that is *wanted*; others are passed over."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                stanza = await self.heard.get()
                if wanted(stanza):
                    return stanza

    async def reads(self, body: str) -> Element:
        """Wait for a message with exactly this *body* that somebody wrote."""
        return await self.hears(lambda stanza: stanza.get("type") != "error" and stanza.findtext(BODY) == body)

    async def bounced(self, message: str) -> str:
        """Wait until the stanza with the id *message* comes back; return the condition and the text of the error."""
        refusal = refusal_in(await self.hears(lambda stanza: stanza.get("type") == "error" and stanza.get("id") == message))
        return f"{refusal.condition}: {refusal.text}"

    @override
    def _take(self, stanza: StanzaBase) -> StanzaBase:
        if stanza.xml.tag in (MESSAGE, PRESENCE):
            self.heard.put_nowait(stanza.xml)
        return stanza


@asynccontextmanager
async def correspondent(jid: str, password: str, server: Server) -> AsyncIterator[Correspondent]:
    """Somebody who is logged in at *server* for as long as the context lasts."""
    made = Correspondent(jid, password)
    try:
        await made.open(server.address, CLIENT_PORT)
        yield made
    finally:
        await made.close()
