"""A Prosody that may be sent on, who writes there, and the door at which b.fed can be found: what its tests stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from clearinghouse.demo.certificates import Identity
from clearinghouse.demo.correspondents import BODY, Correspondent, correspondent
from clearinghouse.demo.neighbours import S2S_PORT, Neighbours
from clearinghouse.demo.servers import Server
from tests.servers.federation.scripted_door import ScriptedDoor, door, key_of
from tests.servers.federation.sites import PASSWORD, Agent, agent, new_body
from tests.servers.federation.walks import server_key

DOOR: Final = "door.hub.fed"
NOBODYS: Final = "0" * 64
FAILED: Final = "remote-server-timeout: Server-to-server connection failed: "
"""What Prosody puts before the reason."""


@dataclass(frozen=True, slots=True)
class Doors:
    """Whom the settings name: an ordinary door, one that has a member's name, and one whose certificate says neither."""

    plain: Identity
    fronting: Identity
    stray: Identity

    @property
    def settings(self) -> tuple[tuple[str, str], ...]:
        pairs = ((DOOR, self.plain), ("second.hub.fed", self.fronting), ("third.hub.fed", self.stray))
        return tuple((name, key_of(each.certificate)) for name, each in pairs)


@dataclass(slots=True)
class Seeker:
    """The server that is looked at, who writes there, and the door at which b.fed can be found."""

    home: Agent
    alice: Correspondent
    door: ScriptedDoor
    town: Neighbours

    async def bounces(self, domain: str = "b.fed") -> str:
        """Write to somebody at *domain*, and return why that comes back."""
        return await self.alice.bounced(self.alice.write(f"bob@{domain}", new_body()))

    def identity(self, name: str = "b.fed") -> Identity:
        """Return what a server with this name has, whose key nobody knows yet."""
        return self.town.authority.identity([name])


@asynccontextmanager
async def seeking(server: Server, doors: Doors, town: Neighbours) -> AsyncIterator[Seeker]:
    """A seeker for as long as the context lasts."""
    async with agent(server) as ours, correspondent("alice@a.fed", PASSWORD, server) as alice, door(doors.plain) as asked:
        await ours.rule({}, default="allow")
        yield Seeker(ours, alice, asked, town)


async def begun(seeker: Seeker) -> Seeker:
    """Nothing open, nothing heard, and b.fed is behind the door."""
    await seeker.home.know({"b.fed": [NOBODYS]})
    seeker.town.names.remove("b.fed")
    seeker.town.names.put("b.fed", seeker.door.address, S2S_PORT)
    for queue in (seeker.home.events, seeker.alice.heard):
        while not queue.empty():
            queue.get_nowait()
    return seeker


@dataclass(slots=True)
class Goal:
    """The server to which a door sends, which lets everything pass, and who reads there."""

    agent: Agent
    bob: Correspondent

    @property
    def place(self) -> str:
        return f"[{self.agent.server.address}]"

    @property
    def key(self) -> str:
        return server_key(self.agent.server)

    async def reads_until(self, last: str) -> list[str]:
        """Return everything that somebody writes, until *last* comes."""
        found = []
        while last not in found:
            heard = await self.bob.hears(lambda stanza: stanza.get("type") != "error" and stanza.find(BODY) is not None)
            found.append(str(heard.findtext(BODY)))
        return found


@asynccontextmanager
async def reading(server: Server) -> AsyncIterator[Goal]:
    """The goal of redirects for as long as the context lasts."""
    async with agent(server) as theirs, correspondent("bob@b.fed", PASSWORD, server) as bob:
        await theirs.rule({}, default="allow")
        yield Goal(theirs, bob)
