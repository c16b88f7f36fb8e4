"""Platforms of the grid: they subscribe to topics, publish incidents and receive them, and know of no clearinghouse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol
from xml.etree.ElementTree import Element, SubElement

from slixmpp import ClientXMPP
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream.stanzabase import StanzaBase

from clearinghouse.errors import BrokerUnavailable
from clearinghouse.grid.namespaces import PUBSUB, PUBSUB_EVENT
from clearinghouse.grid.stanzas import MESSAGE, Question, refusal_in

PATIENCE_SECONDS: Final = 10.0
"""How long a platform waits for anything; on loopback it takes milliseconds."""


class Link(Protocol):
    """A platform's connection: ways to speak, and what arrives."""

    inbox: asyncio.Queue[Element]

    def say(self, message: Element) -> None:
        """Send a message, its ``to`` set."""

    async def ask(self, to: str, kind: Question, payload: Element) -> Element:
        """Send an IQ and return its result; raise `StanzaRefused` or `BrokerUnavailable`."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """A broker's message that the state of a subscription has changed."""

    node: str
    jid: str
    state: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """An item that arrived."""

    node: str
    item_id: str
    payload: Element


@dataclass(slots=True)
class Platform:
    """A consumer and provider with the full *jid*, at one broker."""

    jid: str
    link: Link
    broker: str
    rulings: asyncio.Queue[Ruling] = field(default_factory=asyncio.Queue)
    deliveries: asyncio.Queue[Delivery] = field(default_factory=asyncio.Queue)

    async def subscribe(self, node: str, jid: str = "") -> str:
        """Ask to receive what is published at *node*, and return ``subscribed`` or ``pending``.

        The subscription is for *jid*, if given, else for this platform's bare JID.
        """
        payload = Element(f"{{{PUBSUB}}}pubsub")
        SubElement(payload, f"{{{PUBSUB}}}subscribe", node=node, jid=jid or self.jid.partition("/")[0])
        result = await self.link.ask(self.broker, "set", payload)
        subscription = result.find(f"{{{PUBSUB}}}pubsub/{{{PUBSUB}}}subscription")
        return subscription.get("subscription", "") if subscription is not None else "subscribed"

    async def unsubscribe(self, node: str, jid: str = "") -> None:
        """Take back a subscription, or the request for one."""
        payload = Element(f"{{{PUBSUB}}}pubsub")
        SubElement(payload, f"{{{PUBSUB}}}unsubscribe", node=node, jid=jid or self.jid.partition("/")[0])
        await self.link.ask(self.broker, "set", payload)

    async def publish(self, node: str, incident: Element) -> None:
        """Publish *incident* at *node*."""
        payload = Element(f"{{{PUBSUB}}}pubsub")
        SubElement(SubElement(payload, f"{{{PUBSUB}}}publish", node=node), f"{{{PUBSUB}}}item").append(incident)
        await self.link.ask(self.broker, "set", payload)

    async def fetch(self, node: str) -> list[Element]:
        """Return what *node* keeps."""
        payload = Element(f"{{{PUBSUB}}}pubsub")
        SubElement(payload, f"{{{PUBSUB}}}items", node=node)
        result = await self.link.ask(self.broker, "get", payload)
        return [item[0] for item in result.iter(f"{{{PUBSUB}}}item")]

    async def ruling(self) -> Ruling:
        """Wait for the next change of a subscription of ours."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.rulings.get()

    async def delivery(self) -> Delivery:
        """Wait for the next item."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.deliveries.get()

    async def listen(self) -> None:
        """Sort what arrives, until cancelled; only the broker is believed."""
        while True:
            message = await self.link.inbox.get()
            event = message.find(f"{{{PUBSUB_EVENT}}}event")
            if message.get("from") == self.broker and event is not None:
                self._sort(event)

    def _sort(self, event: Element) -> None:
        for entry in event.iterfind(f"{{{PUBSUB_EVENT}}}subscription"):
            self.rulings.put_nowait(Ruling(entry.get("node", ""), entry.get("jid", ""), entry.get("subscription", "")))
        for items in event.iterfind(f"{{{PUBSUB_EVENT}}}items"):
            for item in items.iterfind(f"{{{PUBSUB_EVENT}}}item"):
                self.deliveries.put_nowait(Delivery(items.get("node", ""), item.get("id", ""), item[0]))


@asynccontextmanager
async def platform(jid: str, link: Link, broker: str) -> AsyncIterator[Platform]:
    """A platform that listens for as long as the context lasts."""
    made = Platform(jid, link, broker)
    listening = asyncio.create_task(made.listen())
    try:
        yield made
    finally:
        listening.cancel()


class Client(ClientXMPP):
    """An ordinary XMPP client (slixmpp), as a platform's connection."""

    def __init__(self, jid: str, password: str) -> None:
        """Prepare to log in without TLS, which belongs on loopback only."""
        super().__init__(jid, password, plugin_config={"feature_mechanisms": {"unencrypted_scram": True}})
        self.enable_direct_tls = self.enable_starttls = False
        self.enable_plaintext = True
        self.inbox: asyncio.Queue[Element] = asyncio.Queue()
        self.add_filter("in", self._take)

    async def open(self, host: str, port: int) -> None:
        """Log in and become available."""
        attempt = self.connect(host, port)
        try:
            await self.wait_until("session_start", PATIENCE_SECONDS)
        finally:
            attempt.cancel()
        self.send_presence()

    async def close(self) -> None:
        """Log out, and end what slixmpp runs for this client."""
        self.cancel_connection_attempt()
        if self.is_connected():
            await self.disconnect(wait=1.0)
        if self._run_out_filters is not None:
            self._run_out_filters.cancel()

    def say(self, message: Element) -> None:
        """Send a message; see `Link.say`."""
        self.send_xml(message)

    async def ask(self, to: str, kind: Question, payload: Element) -> Element:
        """Send an IQ and return its result; see `Link.ask`."""
        iq = self.make_iq(ito=to, itype=kind)
        iq.append(payload)
        try:
            result: StanzaBase = await iq.send(timeout=PATIENCE_SECONDS)  # type: ignore[no-untyped-call] # slixmpp types part of itself
        except IqError as error:
            raise refusal_in(error.iq.xml) from error
        except IqTimeout as error:
            raise BrokerUnavailable(f"`{to}` did not answer", mend="look at the server's log") from error
        return result.xml

    def _take(self, stanza: StanzaBase) -> StanzaBase:
        if stanza.xml.tag == MESSAGE:
            self.inbox.put_nowait(stanza.xml)
        return stanza


@asynccontextmanager
async def client(jid: str, password: str, host: str, port: int) -> AsyncIterator[Client]:
    """A client *jid* that is logged in at *host* for as long as the context lasts."""
    made = Client(jid, password)
    try:
        await made.open(host, port)
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def client_platform(jid: str, password: str, host: str, port: int, *, broker: str) -> AsyncIterator[Platform]:
    """A platform whose client *jid* is logged in at *host* for as long as the context lasts."""
    async with client(jid, password, host, port) as link, platform(link.boundjid.full, link, broker) as made:
        yield made
