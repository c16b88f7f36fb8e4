"""A server with its module, in memory: it enforces images as the real modules do, by the same protocol.

It is what hundreds of agents are tried with, and what says which of two faults lies in an agent and not in a server.
`MemoryServer.passes` asks what one stanza asks; ``restart`` loses what a server loses that is killed, and no more.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from xml.etree.ElementTree import Element

from clearinghouse.doors.xmpp.exchange import Exchange
from clearinghouse.errors import BrokerUnavailable
from clearinghouse.federation.enforced.image import ANY, BITS, OUTBOUND, Change, Grant, Image, LevelClass, applied
from clearinghouse.federation.enforced.pushes import NAMESPACE
from clearinghouse.grid.stanzas import IQ, MESSAGE, error_reply, reply_to

PUSH: Final = f"{{{NAMESPACE}}}push"
APPLIED: Final = f"{{{NAMESPACE}}}applied"
STATUS: Final = f"{{{NAMESPACE}}}status"
EVENT: Final = f"{{{NAMESPACE}}}event"


class OutOfStep(Exception):
    """A push does not follow what is in force, or begun."""


@dataclass(slots=True)
class MemoryServer:
    """The server of *host*, with its clock *now* in seconds since 1970; ``agent`` alone may push.

    ``peers`` are the keys of other servers by image, each with its serial; ``None`` is a module of before there were any.
    """

    host: str
    agent: str
    now: Callable[[], int]
    images: dict[str, Image] = field(default_factory=dict)
    pushed: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    peers: dict[str, tuple[int, dict[str, list[str]]]] | None = field(default_factory=dict)
    _parts: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    _begun: dict[str, dict[str, Any]] = field(default_factory=dict)

    # -- what is enforced

    def mask(self, remote: str, *, user: str = ANY, local: str = ANY, address: str = ANY) -> int:
        """Return what passes between us and *remote* now; where there is no image nothing does."""
        return max((each.mask(remote, now=self.now(), user=user, local=local, address=address) for each in self.images.values()), default=0)

    def passes(self, remote: str, kind: str = "message", direction: str = "inbound", *, user: str = ANY) -> bool:
        """Say whether a stanza of *kind* passes now."""
        bit = BITS[kind] * (OUTBOUND if direction == "outbound" else 1)
        return bool(self.mask(remote, user=user) & bit) or self._is_shadow()

    def _is_shadow(self) -> bool:
        return any(each.mode == "shadow" for each in self.images.values())

    # -- the protocol

    def answer(self, iq: Element) -> Element:
        """Answer one IQ of the agent."""
        push, status = iq.find(PUSH), iq.find(STATUS)
        if iq.get("from") != self.agent:
            return error_reply(iq, "forbidden")
        if status is not None:
            return reply_to(iq, payload=_told(STATUS, json.dumps(self.status())))
        if push is None:
            return error_reply(iq, "service-unavailable")
        try:
            done = self._do(json.loads(push.text or ""))
        except OutOfStep:
            return error_reply(iq, "conflict")
        except (ValueError, KeyError, TypeError):
            return error_reply(iq, "bad-request")
        return reply_to(iq, payload=None if done is None else Element(APPLIED, image=done[0], serial=str(done[1])))

    def status(self) -> Mapping[str, Any]:
        """Return how it stands."""
        images = {
            name: {"serial": each.serial, "rows": len(each.rows), "grants": len(each.grants), "expires": each.expires, "mode": each.mode}
            for name, each in self.images.items()
        }
        told = {"module": "memory", "server": "memory", "images": images, "streams": [], "seen": [], "facts": self.facts}
        if self.peers is None:
            return told
        return told | {"peers": {name: {"serial": serial, "count": len(found)} for name, (serial, found) in self.peers.items()}}

    def restart(self) -> None:
        """Lose what was begun; images that were committed were persisted."""
        self._begun.clear()
        self._parts.clear()
        self.held.clear()

    def _do(self, push: Mapping[str, Any]) -> tuple[str, int] | None:
        match push["do"]:
            case "begin":
                self._begin(push)
            case "rows" | "grants":
                begun = self._building(push)
                if push["do"] == "rows":
                    begun["rows"] |= dict.fromkeys(push["domains"], push["class"])
                else:
                    begun["grants"] += [Grant(**each) for each in push["grants"]]
            case "commit":
                self._commit(push)
            case "change":
                self._change(push)
            case "peers" if self.peers is not None:
                self._introduce(self.peers, push)
            case "release" | "refuse":
                self.held[push["held"]] = push.get("reason", "")
                return None
            case _:
                raise ValueError("no such push")
        return push["image"], push["serial"]

    def _introduce(self, peers: dict[str, tuple[int, dict[str, list[str]]]], push: Mapping[str, Any]) -> None:
        name, serial = push["image"], push["serial"]
        if push["part"] == 1:
            self._parts[name] = []
        parts = self._parts.get(name, [])
        follows = push["part"] == len(parts) + 1 and all(each["serial"] == serial for each in parts)
        if not follows or serial <= peers.get(name, (0, {}))[0]:
            raise OutOfStep
        parts.append(push)
        if len(parts) == push["parts"]:
            peers[name] = serial, {domain: pins for part in parts for domain, pins in part["peers"].items()}
            del self._parts[name]

    def _begin(self, push: Mapping[str, Any]) -> None:
        if push["image"] in self.images and push["serial"] <= self.images[push["image"]].serial:
            raise OutOfStep
        self._begun[push["image"]] = {**push, "rows": {}, "grants": []}

    def _building(self, push: Mapping[str, Any]) -> dict[str, Any]:
        begun = self._begun.get(push["image"])
        if begun is None or begun["serial"] != push["serial"]:
            raise OutOfStep
        return begun

    def _commit(self, push: Mapping[str, Any]) -> None:
        begun = self._building(push)
        classes = {name: LevelClass(each["mask"], each["reason"]) for name, each in begun["classes"].items()}
        names = ("serial", "rows", "mode", "default", "default_reason", "expires", "ask", "decision")
        told = {name: begun[name] for name in names}
        image = Image(name=push["image"], hosts=tuple(begun["hosts"]), classes=classes, grants=tuple(begun["grants"]), **told)
        self.images[push["image"]] = image
        self.pushed += 1
        del self._begun[push["image"]]

    def _change(self, push: Mapping[str, Any]) -> None:
        image = self.images.get(push["image"])
        if image is None or image.serial != push["after"]:
            raise OutOfStep
        grants = tuple(Grant(**each) for each in push["grants"])
        told = (push["set"], tuple(push["unset"]), grants, tuple(push["ended"]), push["expires"], push["decision"])
        self.images[image.name] = applied(image, Change(image.name, push["serial"], push["after"], *told))
        self.pushed += 1


@dataclass(slots=True)
class MemoryLink:
    """An agent's link to a `MemoryServer`: up from the start, cut with `cut`, and back with `mend`.

    ``delay`` is how many seconds each stanza takes.
    """

    server: MemoryServer
    delay: float = 0.0
    exchange: Exchange = field(init=False)
    connected: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    up: asyncio.Event = field(default_factory=asyncio.Event)
    down: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.exchange = Exchange(self.server.agent, {}, self._write, lambda _: None, reply_seconds=1.0)
        self.up.set()

    async def run(self) -> None:
        """Keep the session, until cancelled."""
        while True:
            await self.up.wait()
            for greet in self.connected:
                await greet()
            self.ready.set()
            await self.down.wait()
            self.ready.clear()
            self.exchange.lose()

    def cut(self) -> None:
        """Lose the session: what is on its way is lost."""
        self.up.clear()
        self.down.set()

    def mend(self) -> None:
        """Let a session be opened again."""
        self.down.clear()
        self.up.set()

    def tell(self, event: Mapping[str, Any]) -> None:
        """Send an event of the module to the agent."""
        message = Element(MESSAGE, {"from": self.server.host, "to": self.server.agent})
        message.append(_told(EVENT, json.dumps(event)))
        self.exchange.receive(message)

    def _write(self, stanza: Element) -> None:
        if not self.up.is_set():
            raise BrokerUnavailable("the link is cut", mend="mend it")
        if stanza.tag == IQ and stanza.get("to") == self.server.host:
            asyncio.get_running_loop().call_later(self.delay, self._carry, stanza)

    def _carry(self, stanza: Element) -> None:
        if not self.up.is_set():
            return
        answer = self.server.answer(stanza)
        if self.up.is_set():
            self.exchange.receive(answer)


def _told(tag: str, text: str) -> Element:
    element = Element(tag)
    element.text = text
    return element


def lapsed(image: Image, now: int) -> Image:
    """Return *image* with what has lapsed at *now* taken out: for comparisons."""
    grants = tuple(each for each in image.grants if now < each.until)
    return replace(image, grants=grants, rows={} if image.expires and now >= image.expires else image.rows)
