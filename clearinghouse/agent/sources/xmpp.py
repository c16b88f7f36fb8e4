"""A clearinghouse as source, over our own server: documents in pieces, and the broker's word that there is a new one.

The clearinghouse sees which domain asks, because its server proved that; nothing needs to be signed for a view.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from xml.etree.ElementTree import Element, SubElement

import structlog

from clearinghouse.agent.sources.source import FETCH_SECONDS, NoSuchDocument, SourceUnavailable
from clearinghouse.errors import BrokerUnavailable
from clearinghouse.federation.published.refusals import EndlessData
from clearinghouse.grid.namespaces import CLEARINGHOUSE, PUBSUB, PUBSUB_EVENT
from clearinghouse.grid.requests import ENVELOPE
from clearinghouse.grid.stanzas import StanzaRefused, Stanzas
from clearinghouse.keynote import encoding
from clearinghouse.keynote.encoding import Encoding

log = structlog.get_logger(__name__)

DOCUMENT: Final = f"{{{CLEARINGHOUSE}}}document"
ANSWER: Final = f"{{{CLEARINGHOUSE}}}answer"

TABLES: Final = "tables/"
"""What the names of the nodes begin with that tell of new tables."""


@dataclass(slots=True)
class Xmpp:
    """The clearinghouse at the address *component*, asked as *us* through *stanzas*."""

    component: str
    us: str
    stanzas: Stanzas
    broker: str = ""
    view: str = ""
    ahead: timedelta | None = None
    patience: float = FETCH_SECONDS
    news: asyncio.Event = field(default_factory=asyncio.Event)
    _subscribed: bool = False

    @property
    def place(self) -> str:
        """The component's address."""
        return self.component

    async def fetch(self, name: str, *, limit: int) -> bytes:
        """See `Source.fetch`; a document that changes while it is fetched is begun again by whoever wants it."""
        try:
            async with asyncio.timeout(self.patience):
                return await self._whole(name, limit)
        except TimeoutError:
            raise SourceUnavailable(f"`{self.component}` takes too long over `{name}`", mend="it is asked again") from None

    async def _whole(self, name: str, limit: int) -> bytes:
        found = bytearray()
        while True:
            piece, size = await self._piece(name, len(found))
            found += piece
            if max(len(found), size) > limit:
                raise EndlessData(f"`{name}` has more than {limit} bytes", mend="nothing: it is not read any further")
            if len(found) >= size:
                return bytes(found)
            if not piece:
                raise SourceUnavailable(f"`{self.component}` sends nothing of `{name}`", mend="it is asked again")

    async def wait(self, view: str, after: str, seconds: float) -> None:
        """See `Source.wait`; what is new is told by the broker."""
        del view, after
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._subscribe()
                await self.news.wait()
        self.news.clear()

    async def report(self, sealed: bytes) -> None:
        """See `Source.report`."""
        payload = Element(ENVELOPE)
        payload.text = encoding.encode(sealed, Encoding.BASE64)
        await self._asked("set", payload, "the report")

    async def join(self, sealed: bytes) -> str:
        """See `Source.join`."""
        payload = Element(ENVELOPE)
        payload.text = encoding.encode(sealed, Encoding.BASE64)
        answer = (await self._asked("set", payload, "the request")).find(ANSWER)
        return "" if answer is None else answer.get("state", "")

    def hears(self, message: Element) -> bool:
        """See `Source.hears`."""
        if not self.broker or message.get("from") != self.broker:
            return False
        items = message.find(f"{{{PUBSUB_EVENT}}}event/{{{PUBSUB_EVENT}}}items")
        if items is None or items.get("node") != f"{TABLES}{self.view}":
            return False
        self.news.set()
        return True

    async def _subscribe(self) -> None:
        """Have the broker tell us of new tables, once; without it they are found by looking from time to time."""
        if not self.broker or self._subscribed:
            return
        pubsub = Element(f"{{{PUBSUB}}}pubsub")
        SubElement(pubsub, f"{{{PUBSUB}}}subscribe", node=f"{TABLES}{self.view}", jid=self.us)
        try:
            await self.stanzas.ask(self.broker, "set", pubsub)
        except (StanzaRefused, BrokerUnavailable) as error:
            log.warning("not_subscribed", broker=self.broker, node=f"{TABLES}{self.view}", reason=error.message)
        else:
            self._subscribed = True

    async def close(self) -> None:
        """See `Source.close`."""

    async def _piece(self, name: str, offset: int) -> tuple[bytes, int]:
        answer = await self._asked("get", Element(DOCUMENT, name=name, offset=str(offset)), name)
        found = answer.find(DOCUMENT)
        size, piece = (found.get("size", ""), _decoded(found.text or "")) if found is not None else ("", None)
        if piece is None or not size.isascii() or not size.isdecimal() or len(size) > _DIGITS:
            raise SourceUnavailable(f"`{self.component}` does not send a piece of `{name}`", mend="it is asked again")
        return piece, int(size)

    async def _asked(self, kind: str, payload: Element, what: str) -> Element:
        try:
            return await self.stanzas.ask(self.component, "get" if kind == "get" else "set", payload)
        except BrokerUnavailable as error:
            raise SourceUnavailable(f"`{self.component}` does not answer: {error.message}", mend=error.mend) from None
        except StanzaRefused as refusal:
            if refusal.condition == "item-not-found":
                raise NoSuchDocument(f"`{self.component}` has no `{what}`", mend="nothing, where it was made anew meanwhile") from None
            mend = "see that the community has a record of this domain, and that our server reaches it"
            raise SourceUnavailable(f"`{self.component}` refuses {what} ({refusal.condition})", mend=mend) from None


_DIGITS: Final = 12


def _decoded(text: str) -> bytes | None:
    try:
        return encoding.decode("".join(text.split()), Encoding.BASE64)
    except ValueError:
        return None
