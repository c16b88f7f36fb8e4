"""Servers that federate, with their agents and people: what every test here stands on.

*Home* is the server that is looked at, *away* the other one, which lets everything pass unless a test says otherwise.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final
from xml.etree.ElementTree import Element

from clearinghouse.demo.correspondents import Correspondent, correspondent
from clearinghouse.demo.servers import COMPONENT_PORT, Hosting, Server
from clearinghouse.doors.xmpp.exchange import Exchange
from clearinghouse.doors.xmpp.session import Account, Session
from clearinghouse.enforcers.levels import PUSH, LevelEnforcer, event_in
from clearinghouse.federation.enforced.image import EVERYTHING, Grant, Image, LevelClass, mask_of

SECRET = "component secret"
PASSWORD = "password"
HOME: Final = Hosting(("a.fed",), (), "agent.a.fed", SECRET, rooms=("muc.a.fed",), exempt=("c.fed",), others=("other.a.fed",))
AWAY: Final = Hosting(("b.fed", "c.fed"), (), "agent.b.fed", SECRET, rooms=("muc.b.fed",))
PEOPLE: Final = ("alice@a.fed", "carol@a.fed", "bob@b.fed", "eve@b.fed", "dave@c.fed", "erin@d.fed", "finn@e.fed")

CLASSES: Final = {
    "none": LevelClass(0, "not at a level for a.fed"),
    "all": LevelClass(EVERYTHING),
    "talk": LevelClass(mask_of(["message", "presence"], ["inbound", "outbound"]), "messages and presence only"),
    "in": LevelClass(mask_of(["message", "presence", "iq", "groupchat"], ["inbound"]), "inbound only"),
    "out": LevelClass(mask_of(["message", "presence", "iq", "groupchat"], ["outbound"]), "outbound only"),
}

_serials = count(1)
_numbers = count(1)


def new_serial() -> int:
    """A higher one than any before."""
    return next(_serials)


def new_body() -> str:
    """What no other message says."""
    return f"message {next(_numbers)}"


@dataclass(slots=True)
class Agent:
    """The component beside a server, and what it has the server's module enforce."""

    server: Server
    events: asyncio.Queue[Mapping[str, Any]] = field(default_factory=asyncio.Queue)
    image: Image | None = None
    link: Exchange = field(init=False)
    enforcer: LevelEnforcer = field(init=False)
    _session: Session = field(init=False)

    def __post_init__(self) -> None:
        self.link = Exchange(self.server.hosting.component, {}, self._write, lambda _: None)
        self.enforcer = LevelEnforcer(self.link, self.server.hosting.domains[0])

    async def come(self) -> None:
        """Open a session."""
        self._session = Session(Account(self.server.hosting.component, SECRET, self.server.address, COMPONENT_PORT), self._receive)
        await self._session.open()

    async def leave(self) -> None:
        """End the session."""
        self.link.lose()
        await self._session.close()

    def _write(self, stanza: Element) -> None:
        self._session.write(stanza)

    def _receive(self, stanza: Element) -> None:
        if event := event_in(stanza, self.server.hosting.hosts):
            self.events.put_nowait(event)
        self.link.receive(stanza)

    async def rule(self, rows: Mapping[str, str], *grants: Grant, **more: Any) -> Image:  # noqa: ANN401 - fields of an image
        """Bring an image into force: as a whole the first time, then as a change where that can be."""
        names = self.server.hosting
        texts = {"decision": "d-1", "default_reason": "unknown here"}
        wanted = {"hosts": names.hosts, "classes": CLASSES, "grants": grants} | texts | more
        self.image = Image(names.domains[0], new_serial(), rows=rows, **wanted)
        await self.enforcer.push(self.image)
        return self.image

    async def change(self, rows: Mapping[str, str], *grants: Grant, **more: Any) -> None:  # noqa: ANN401 - fields of an image
        """Change rows, and have exactly these grants, in the image that is in force."""
        assert self.image is not None
        self.image = replace(self.image, serial=new_serial(), rows={**self.image.rows, **rows}, grants=grants, **more)
        await self.enforcer.push(self.image)

    async def know(self, keys: Mapping[str, Sequence[str]], serial: int = 0, part: int = 1, parts: int = 1) -> str:
        """Tell the keys on record of the servers of domains, as the agent does; return the serial that the answer names."""
        push = Element(PUSH)
        told = {"serial": serial or new_serial(), "part": part, "parts": parts, "peers": keys}
        push.text = json.dumps({"do": "peers", "image": self.server.hosting.domains[0], **told})
        answer = await self.link.ask(self.server.hosting.domains[0], "set", push)
        return answer[0].get("serial", "")

    async def event(self, kind: str) -> Mapping[str, Any]:
        """Wait for the next event of this kind."""
        async with asyncio.timeout(10):
            while True:
                event = await self.events.get()
                if event["event"] == kind:
                    return event

    async def seen(self, remote: str, direction: str, kind: str) -> dict[bool, int]:
        """How often something was asked: for what passes, and for what does not."""
        rows = (await self.enforcer.status())["seen"]
        return {row["allowed"]: row["count"] for row in rows if (row["remote"], row["direction"], row["kind"]) == (remote, direction, kind)}

    async def streams(self, remote: str) -> set[str]:
        """In which directions streams with *remote* are open."""
        return {row["direction"] for row in (await self.enforcer.status())["streams"] if row["remote"] == remote}

    async def no_streams(self, remote: str) -> None:
        """Wait until no stream with *remote* is open."""
        async with asyncio.timeout(10):
            while await self.streams(remote):  # noqa: ASYNC110 - the module is asked
                await asyncio.sleep(0.01)


@asynccontextmanager
async def agent(server: Server) -> AsyncIterator[Agent]:
    """The agent of *server*, connected for as long as the context lasts."""
    made = Agent(server)
    await made.come()
    try:
        yield made
    finally:
        await made.leave()


@dataclass(slots=True)
class Site:
    """Two servers with their agents connected, and whoever is logged in."""

    home: Agent
    away: Agent
    alice: Correspondent
    bob: Correspondent

    async def are_cut(self) -> None:
        """Nothing is open between b.fed and a.fed any more: here at once, and there, where a stanza would else be lost, soon."""
        assert await self.home.streams("b.fed") == set()  # the answer to the push came after the cut
        for host in ("a.fed", "muc.a.fed"):
            await self.away.no_streams(host)

    @asynccontextmanager
    async def person(self, jid: str) -> AsyncIterator[Correspondent]:
        """Somebody else who is logged in."""
        server = self.home.server if jid.endswith("a.fed") else self.away.server
        async with correspondent(jid, PASSWORD, server) as made:
            yield made

    async def begin(self) -> None:
        """Have nothing open and nothing heard: away lets everything pass, home nothing."""
        await self.home.rule({})
        await self.away.rule({}, default="allow")
        for host in ("a.fed", "muc.a.fed"):  # a stanza for a stream that is just being closed would be lost
            await self.away.no_streams(host)
        for queue in (self.home.events, self.away.events, self.alice.heard, self.bob.heard):
            while not queue.empty():
                queue.get_nowait()


@asynccontextmanager
async def site(home: Server, away: Server) -> AsyncIterator[Site]:
    """Both servers with their agents, and two people who have heard nothing yet."""
    async with (
        agent(home) as ours,
        agent(away) as theirs,
        correspondent("alice@a.fed", PASSWORD, home) as alice,
        correspondent("bob@b.fed", PASSWORD, away) as bob,
    ):
        made = Site(ours, theirs, alice, bob)
        await made.begin()
        yield made
