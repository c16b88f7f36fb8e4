"""Two ejabberds that may be sent on, the servers to which a door sends them, and who is there: what its tests stand on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from clearinghouse.demo.certificates import Authority, Identity
from clearinghouse.demo.correspondents import Correspondent
from clearinghouse.demo.neighbours import CERTIFICATE_FILE, KEY_FILE, Neighbours
from clearinghouse.demo.servers import Server
from tests.servers.federation.real_door import RealDoor
from tests.servers.federation.scripted_door import ScriptedDoor, key_of
from tests.servers.federation.sites import PASSWORD, PEOPLE, Agent, new_body

_numbers = count(1)


@dataclass(slots=True)
class Strangers(Neighbours):
    """Servers that believe the others, and have certificates in which nobody believes."""

    own: Authority = field(default_factory=Authority)

    def settle(self, hosts: tuple[str, ...], address: str, directory: Path) -> None:
        Neighbours.settle(self, hosts, address, directory)
        identity = self.own.identity(hosts)
        (directory / KEY_FILE).write_bytes(identity.key)
        (directory / CERTIFICATE_FILE).write_bytes(identity.certificate)


@dataclass(slots=True)
class Street:
    """Two ejabberds that follow, the second one with dialback, two servers to which a door may send them, and one that has no module."""

    neighbours: Neighbours
    doors: tuple[Identity, Identity]
    homes: tuple[Server, Server]
    targets: tuple[Server, Server]
    stock: Server


@dataclass(slots=True)
class Scene:
    """Who is there; in DNS everybody is where the door is, unless a test says otherwise."""

    street: Street
    door: ScriptedDoor
    homes: dict[str, Agent]
    judges: dict[str, Agent]
    """The agents of the servers to which a door may send."""
    people: dict[str, Correspondent]

    @property
    def targets(self) -> dict[str, Server]:
        return {server.hosting.domains[0]: server for server in self.street.targets}

    @property
    def authority(self) -> Authority:
        return self.street.neighbours.authority

    def writer(self, home: str) -> Correspondent:
        return self.people[SENDERS[home]]

    async def bounces(self, home: str, domain: str) -> str:
        """Write to somebody there, and return why that comes back."""
        writer = self.writer(home)
        return await writer.bounced(writer.write(f"bob@{domain}", new_body()))

    async def comes_to_hear(self, home: str, domain: str, why: str) -> None:
        """Write until that comes back for this reason: an earlier one is remembered for a second."""
        async with asyncio.timeout(10):
            while await self.bounces(home, domain) != why:  # noqa: ASYNC110 - the server is asked
                await asyncio.sleep(0.05)

    def identity(self, domain: str) -> Identity:
        """Return what a server of this domain has, whose key nobody knows yet."""
        return self.authority.identity([domain])

    def new(self, at: ScriptedDoor | RealDoor | None = None) -> str:
        """Return a domain that nobody has asked for, and that can be found at a door: what failed is remembered for a second."""
        domain = f"x{next(_numbers)}.fed"
        self.found(domain, at or self.door)
        return domain

    def found(self, domain: str, at: ScriptedDoor | RealDoor, *, direct: bool = False) -> None:
        self.street.neighbours.names.remove(domain)
        self.street.neighbours.names.put(domain, at.address, at.port, direct=direct)

    async def know(self, keys: Mapping[str, Sequence[str]]) -> None:
        """Have both homes know these keys, and no others but those of the two servers."""
        for home in self.homes.values():
            await home.know({domain: [server_key(server)] for domain, server in self.targets.items()} | dict(keys))


def server_key(server: Server) -> str:
    return key_of((server._directory / CERTIFICATE_FILE).read_bytes())


SENDERS: Final = {"external": "alice@a.fed", "dialback": "dave@c.fed"}
READERS: Final = {"b.fed": "bob@b.fed", "d.fed": "erin@d.fed"}


@contextmanager
def together(*servers: Server) -> Iterator[None]:
    """Keep several servers, with their people, in a loop of their own; they start and end at the same time."""
    with asyncio.Runner() as runner:
        try:
            runner.run(_all(map(_peopled, servers)))
            yield
        finally:
            runner.run(_all(server.__aexit__(None, None, None) for server in servers))


async def _all(works: Iterable[Awaitable[None]]) -> None:
    await asyncio.gather(*works)


async def _peopled(server: Server) -> None:
    await server.__aenter__()
    for jid in PEOPLE:
        if jid.partition("@")[2] in server.hosting.domains:
            await server.register(jid, PASSWORD)


async def answered(scene: Scene, body: str) -> str:
    """Write to bob, and return what came of it."""
    writer, bob = scene.writer("external"), scene.people["bob@b.fed"]
    back = asyncio.create_task(writer.bounced(writer.write("bob@b.fed", body)))
    there = asyncio.create_task(bob.reads(body))
    (done, *_), others = await asyncio.wait((back, there), return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    return back.result() if done is back else ""


def local(text: str) -> str:
    return f"remote-server-timeout: Stream closed by local host: {text} (policy-violation)"


def not_followed(why: str) -> str:
    return local(f"the redirect was not followed: {why}")


def drained(queue: asyncio.Queue[Element]) -> Iterator[Element]:
    while not queue.empty():
        yield queue.get_nowait()
