"""The worlds in which the demonstration plays: around an ejabberd or a Prosody on loopback, or in memory.

Each gives the clearinghouse a link to the broker, and everybody else a platform or a client.  The
clearinghouse, the platforms and the people are the same in all of them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol
from uuid import uuid4

from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.memory import MemoryLink, Network, memory_exchange
from clearinghouse.demo.people import Person
from clearinghouse.demo.platforms import Platform, client, client_platform, platform
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import CLIENT_PORT, COMPONENT_PORT, Hosting, Server
from clearinghouse.doors.xmpp.exchange import Exchange, Hearer
from clearinghouse.grid.broker import Broker
from clearinghouse.runtime.topics.brokers import Link, LinkPlan, MakeLink, component_link

BROKER: Final = "pubsub.hub.example"
COMPONENT: Final = "clearinghouse.hub.example"


class World(Protocol):
    """Where the clearinghouse and platforms meet at a broker."""

    @property
    def address(self) -> tuple[str, int]:
        """Where the component connects."""

    @property
    def make_link(self) -> MakeLink:
        """How the clearinghouse comes to its link."""

    def platform(self, jid: str) -> AbstractAsyncContextManager[Platform]:
        """The platform of the bare *jid*, logged in."""

    def person(self, jid: str) -> AbstractAsyncContextManager[Person]:
        """The client of the bare *jid*, logged in."""


@dataclass(slots=True)
class MemoryComponent:
    """Our component at a broker in memory; implements `clearinghouse.runtime.topics.brokers.Link`."""

    exchange: Exchange
    connected: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Greet the broker as after connecting, and stay."""
        for function in self.connected:
            await function()
        self.ready.set()
        await asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class MemoryWorld:
    """Everybody in one process."""

    network: Network = field(default_factory=lambda: Network(Broker(BROKER, frozenset({COMPONENT}), lambda: uuid4().hex)))
    address: tuple[str, int] = ("127.0.0.1", COMPONENT_PORT)

    def make_link(self, plan: LinkPlan, asked: Hearer) -> Link:
        """See `World.make_link`."""
        return MemoryComponent(memory_exchange(self.network, plan.component, plan.believed(), asked))

    @asynccontextmanager
    async def platform(self, jid: str) -> AsyncIterator[Platform]:
        """See `World.platform`."""
        full = f"{jid}/desk"
        async with platform(full, MemoryLink(self.network, full), BROKER) as made:
            yield made
        self.network.detach(full)

    @asynccontextmanager
    async def person(self, jid: str) -> AsyncIterator[Person]:
        """See `World.person`."""
        full = f"{jid}/client"
        yield Person(full, MemoryLink(self.network, full), COMPONENT)
        self.network.detach(full)


SERVERS: Final[Mapping[str, Callable[[Hosting], Server]]] = MappingProxyType({"ejabberd": Ejabberd, "prosody": Prosody})
"""The servers that can be a world, by name."""


@dataclass(slots=True)
class ServerWorld:
    """A server of its own for the broker and everybody's accounts; made by `server_world`."""

    server: Server
    password: str = field(repr=False)
    make_link: MakeLink = component_link

    @property
    def address(self) -> tuple[str, int]:
        """See `World.address`."""
        return self.server.address, COMPONENT_PORT

    @asynccontextmanager
    async def platform(self, jid: str) -> AsyncIterator[Platform]:
        """See `World.platform`."""
        async with client_platform(f"{jid}/desk", self.password, self.server.address, CLIENT_PORT, broker=BROKER) as made:
            yield made

    @asynccontextmanager
    async def person(self, jid: str) -> AsyncIterator[Person]:
        """See `World.person`."""
        async with client(f"{jid}/client", self.password, self.server.address, CLIENT_PORT) as link:
            yield Person(jid, link, COMPONENT)


@asynccontextmanager
async def server_world(name: str, people: tuple[str, ...], *, secret: str) -> AsyncIterator[ServerWorld]:
    """A world around the server *name*, with an account for each of the bare JIDs *people*; it is gone when it is left."""
    domains = tuple(dict.fromkeys(("hub.example", *(jid.partition("@")[2] for jid in people))))
    world = ServerWorld(SERVERS[name](Hosting(domains, (BROKER,), COMPONENT, secret)), secrets.token_hex(16))
    async with world.server:
        for jid in people:
            await world.server.register(jid, world.password)
        yield world
