"""Three worlds with the same people in them: around an ejabberd, around a Prosody, and in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol
from uuid import uuid4
from xml.etree.ElementTree import Element

from clearinghouse.demo.memory import MemoryLink, Network, memory_exchange
from clearinghouse.demo.platforms import Platform, client_platform, platform
from clearinghouse.demo.servers import CLIENT_PORT, COMPONENT_PORT, Hosting, Server
from clearinghouse.doors.xmpp.component import Component
from clearinghouse.doors.xmpp.exchange import Exchange
from clearinghouse.doors.xmpp.session import Account
from clearinghouse.enforcers.broker import TopicOwner
from clearinghouse.grid.broker import Broker
from clearinghouse.grid.namespaces import IODEF
from clearinghouse.grid.stanzas import StanzaRefused
from clearinghouse.grid.topics import SubscriptionAsked, Topic

US = "ch.example.net"
BROKER = "broker.example.net"
OPERATOR = "operator@example.net"
PEOPLE = (OPERATOR, "analyst@csirt.example", "outsider@csirt.example", "flooder@csirt.example", "provider@soc.example")
SECRET = "component secret"
PASSWORD = "password"

HOSTING = Hosting(("example.net", "csirt.example", "soc.example"), (BROKER,), US, SECRET, (OPERATOR,))

_numbers = count(1)


def new_topic() -> Topic:
    """A topic that no other test knows."""
    return Topic(BROKER, f"topic-{next(_numbers)}", IODEF)


@dataclass(slots=True)
class House:
    """The clearinghouse as far as these tests need it: what it heard, and its hands at the broker."""

    exchange: Exchange
    heard: asyncio.Queue[SubscriptionAsked]
    owner: TopicOwner = field(init=False)

    def __post_init__(self) -> None:
        self.owner = TopicOwner(self.exchange, US)

    async def asked(self) -> SubscriptionAsked:
        async with asyncio.timeout(10):
            return await self.heard.get()

    async def settle(self) -> None:
        """Return when everything that the broker has sent us so far has been handled."""
        with suppress(StanzaRefused):  # Prosody's has no use for an empty message, and says so
            await self.exchange.tell(Element("{jabber:client}message", to=BROKER))

    async def rule(self, asked: SubscriptionAsked, *, approve: bool) -> None:
        await self.owner.answer(asked.broker, asked.node, asked.subscriber.written, approve=approve, subid=asked.subid)


class World(Protocol):
    """Where the clearinghouse and platforms meet at a broker."""

    @property
    def make(self) -> str:
        """What the broker is: `memory`, `ejabberd` or `prosody`."""

    def house(self, *topics: Topic) -> AbstractAsyncContextManager[House]:
        """The clearinghouse, listening for questions about *topics*; it has not touched them yet."""

    def platform(self, jid: str, resource: str = "desk") -> AbstractAsyncContextManager[Platform]:
        """The client of somebody among `PEOPLE`."""


@dataclass(slots=True)
class ServerWorld:
    server: Server

    @property
    def make(self) -> str:
        return self.server.name

    @asynccontextmanager
    async def house(self, *topics: Topic) -> AsyncIterator[House]:
        heard: asyncio.Queue[SubscriptionAsked] = asyncio.Queue()
        component = Component(self.account(), brokers_of(topics), heard.put_nowait)
        running = asyncio.create_task(component.run())
        try:
            async with asyncio.timeout(10):
                await component.ready.wait()
            yield House(component.exchange, heard)
        finally:
            running.cancel()
            await asyncio.wait([running])

    @asynccontextmanager
    async def platform(self, jid: str, resource: str = "desk") -> AsyncIterator[Platform]:
        async with client_platform(f"{jid}/{resource}", PASSWORD, self.server.address, CLIENT_PORT, broker=BROKER) as made:
            yield made

    def account(self) -> Account:
        return Account(US, SECRET, self.server.address, COMPONENT_PORT)


@dataclass(slots=True)
class MemoryWorld:
    network: Network = field(default_factory=lambda: Network(Broker(BROKER, frozenset({US, OPERATOR}), lambda: uuid4().hex)))
    make: str = "memory"

    @asynccontextmanager
    async def house(self, *topics: Topic) -> AsyncIterator[House]:
        heard: asyncio.Queue[SubscriptionAsked] = asyncio.Queue()
        exchange = memory_exchange(self.network, US, brokers_of(topics), heard.put_nowait)
        try:
            yield House(exchange, heard)
        finally:
            self.network.detach(US)

    @asynccontextmanager
    async def platform(self, jid: str, resource: str = "desk") -> AsyncIterator[Platform]:
        full = f"{jid}/{resource}"
        try:
            async with platform(full, MemoryLink(self.network, full), BROKER) as made:
                yield made
        finally:
            self.network.detach(full)


def brokers_of(topics: tuple[Topic, ...]) -> dict[str, frozenset[str]]:
    return {BROKER: frozenset(topic.node for topic in topics)}
