"""Three servers that can find each other, a clearinghouse, and an agent beside each server: all of it real, on loopback."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cryptography.x509 import load_pem_x509_certificate

from clearinghouse.agent import life
from clearinghouse.agent.parts import Agent
from clearinghouse.clearing.people import Speaker
from clearinghouse.clearing.request import LOCAL_USER
from clearinghouse.clearing.vocabulary import EVERYTHING, Door
from clearinghouse.demo.correspondents import Correspondent, correspondent
from clearinghouse.demo.dns import Names
from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.league.community import DOOR, MEMBERS, OPERATOR, PEOPLE, League
from clearinghouse.demo.neighbours import S2S_PORT, Neighbours
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import Hosting, Server, free_address
from clearinghouse.federation.published.pins import pin_of
from clearinghouse.runtime.chance import utc_now
from clearinghouse.runtime.federation.house import House
from clearinghouse.runtime.parts import Service
from clearinghouse.runtime.service import running

POLL_SECONDS: Final = 0.005
"""Between looks at what nobody announces."""

_SERVERS: Final[Mapping[str, Callable[..., Server]]] = {"prosody": Prosody, "ejabberd": Ejabberd}


@dataclass(frozen=True, slots=True)
class World:
    """Everything that runs; ``people`` are logged in with ordinary clients.

    ``pins`` are the digests of the servers' keys, ``door`` is the address of the clearinghouse's door.
    """

    league: League
    service: Service
    house: House
    agents: Mapping[str, Agent]
    people: Mapping[str, Correspondent]
    names: Names
    pins: Mapping[str, str]
    door: str

    @property
    def operator(self) -> Speaker:
        """Return who runs the clearinghouse."""
        return Speaker(OPERATOR, (LOCAL_USER + OPERATOR,), Door.OPERATOR)

    @property
    def levels(self) -> Mapping[str, str]:
        """Return the rows of the newest table."""
        last = self.house.press.views[EVERYTHING].publisher.last
        return {} if last is None else last.rows

    @property
    def version(self) -> int:
        """Return the number of the newest table."""
        last = self.house.press.views[EVERYTHING].publisher.last
        return 0 if last is None else last.head.version

    async def enrol(self, domain: str) -> None:
        """Have the registrar sign the record of *domain*."""
        words = {
            "domain": domain,
            "endpoints": f"{self.league.addresses[domain]}:{S2S_PORT}",
            "keys": self.league.key(domain).principal,
            "agent": f"https://localhost:{self.league.doors[domain]}",
            "pins": self.pins[domain],
        }
        if domain == "south.fed":  # whom it lets decide about its white-list, so that others know what leads to it
            words["keys"] += f" {self.league.key('south-administrator').principal}"
        await self.house.enrol(self.operator, "add", words)

    async def applied(self) -> None:
        """Return once every agent's server enforces the newest table."""
        while any(_applied(agent) != self.version for agent in self.agents.values()):  # noqa: ASYNC110 - nobody announces it to us
            await asyncio.sleep(POLL_SECONDS)

    async def no_streams(self, remote: str) -> None:
        """Return once no server has a stream with *remote* but the one that hosts it."""
        for domain, agent in self.agents.items():
            while domain != remote and await _streams(agent, remote):  # noqa: ASYNC110 - the module is asked
                await asyncio.sleep(POLL_SECONDS)

    async def streams(self, remote: str) -> int:
        """Return how many streams the other servers have with *remote*."""
        return sum([await _streams(agent, remote) for domain, agent in self.agents.items() if domain != remote])


def _applied(agent: Agent) -> int:
    """Return the number of the table whose rows the agent's server enforces."""
    image, trusted = agent.applier.image, agent.follower.trusted
    if image is None or trusted is None or trusted.head is None or set(image.rows) != set(trusted.rows):
        return 0
    return trusted.head.version


async def _streams(agent: Agent, remote: str) -> int:
    status = await agent.applier.enforcer.status()
    return sum(row["remote"] == remote for row in status["streams"])


@asynccontextmanager
async def league_world() -> AsyncIterator[World]:
    """Run everything for as long as the context lasts; nothing is left of it afterwards."""
    password = secrets.token_hex(16)
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="clearinghouse-league-")))
        neighbours = stack.enter_context(Neighbours())
        secret, door, proof = secrets.token_hex(16), free_address(), neighbours.authority.identity([DOOR])
        doors = ((DOOR, _pin(proof.certificate)),)
        servers = {domain: await _server(stack, domain, secret, doors, neighbours) for domain in MEMBERS}
        for jid in PEOPLE:
            await servers[jid.partition("@")[2]].register(jid, password)
        league = League(directory, {domain: each.address for domain, each in servers.items()}, utc_now(), secret=secret)
        league.place = f"{door}:{S2S_PORT}"
        _write(league, neighbours)
        league.identity("hub/door", neighbours.authority.certificate, proof.certificate, proof.key)
        service = await stack.enter_async_context(running(league.hub()))
        assert service.house is not None  # noqa: S101 - the settings have a federation
        assert service.http is not None  # noqa: S101 - and a door
        url = f"https://localhost:{service.http.port}"
        agents: dict[str, Agent] = {}
        people: dict[str, Correspondent] = {}
        pins = {domain: _pin(each.certificate) for domain, each in servers.items()}
        world = World(league, service, service.house, agents, people, neighbours.names, pins, door)
        for domain in MEMBERS:
            await world.enrol(domain)
        for domain in MEMBERS:
            agents[domain] = await stack.enter_async_context(life.running(league.agent(domain, url)))
        for jid in PEOPLE:
            people[jid] = await stack.enter_async_context(correspondent(jid, password, servers[jid.partition("@")[2]]))
        yield world


async def _server(stack: AsyncExitStack, domain: str, secret: str, doors: tuple[tuple[str, str], ...], neighbours: Neighbours) -> Server:
    hosting = Hosting((domain,), (), f"agent.{domain}", secret, binds=True, doors=doors)
    made = _SERVERS[MEMBERS[domain][0]](hosting, neighbours=neighbours)
    return await stack.enter_async_context(made)


def _write(league: League, neighbours: Neighbours) -> None:
    """Write what everybody needs before they start."""
    league.doors.update({domain: free_port() for domain in MEMBERS})
    league.write()
    for place in ("hub", *MEMBERS):
        found = neighbours.authority.identity(["localhost"])
        league.identity(place, neighbours.authority.certificate, found.certificate, found.key)


def _pin(certificate: bytes) -> str:
    return pin_of(load_pem_x509_certificate(certificate))


def free_port() -> int:
    """Return a port of this machine that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
