"""A clearinghouse with folders that the test writes, at a broker in memory whose link the test can cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from clearinghouse.clearing.people import Speaker
from clearinghouse.demo.platforms import Platform
from clearinghouse.demo.worlds import BROKER, COMPONENT, MemoryWorld
from clearinghouse.doors.xmpp import component
from clearinghouse.doors.xmpp.exchange import Exchange, Hearer
from clearinghouse.errors import BrokerUnavailable, ClearinghouseError
from clearinghouse.grid.broker_node import Node
from clearinghouse.runtime import policy
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.parts import Service
from clearinghouse.runtime.service import OpenStore, running, sql_store
from clearinghouse.runtime.topics import brokers, reconcile, sunset
from clearinghouse.runtime.topics.brokers import Link, LinkPlan
from clearinghouse.settings import Settings
from clearinghouse.settings.reading import parse_settings
from clearinghouse.signer.client import Signers
from clearinghouse.signer.inline import InlineSigner
from clearinghouse.storage.sql_store import read_store
from clearinghouse.storage.store import Recorded
from tests.world import IODEF, NOON, assertion, key, signed

ANN, BEA, EVE = "ann@a.example", "bea@b.example", "eve@c.example"
OP = "op@hub.example"
TOPIC = "incidents"

SETTINGS = f"""
community = "csirt-net"
[[broker]]
jid = "{BROKER}"
component = "{COMPONENT}"
secret_file = "secret"
[[topic]]
node = "{TOPIC}"
broker = "{BROKER}"
payload_type = "{IODEF}"
publishers = ["provider@hub.example"]
"""

PERSON = f"""
[[person]]
name = "op"
jids = ["{OP}"]
"""

WHITELIST = f"""
[[topic]]
node = "closed"
broker = "{BROKER}"
payload_type = "{IODEF}"
access_model = "whitelist"
"""
"""To be added to the settings where a test wants a topic with a white list."""


@dataclass
class Line(Link):
    """A link to the broker in memory that can be cut and joined again."""

    world: MemoryWorld
    us: str
    exchange: Exchange = field(init=False)
    connected: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    cut: bool = False
    _joined: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        while True:
            self.world.network.attach(self.us, self.exchange.receive)
            self._joined.clear()
            for function in self.connected:
                with suppress(ClearinghouseError):  # which the component logs
                    await function()
            self.ready.set()
            await self._joined.wait()

    def send(self, stanza: Element) -> None:
        if self.cut:
            raise BrokerUnavailable("the line is cut", mend="join it")
        self.world.network.send(stanza)

    def lose(self) -> None:
        self.cut = True
        self.ready.clear()
        self.world.network.detach(self.us)
        self.exchange.lose()

    def join(self) -> None:
        self.cut = False
        self._joined.set()


@dataclass
class House:
    """Files, a clock and a broker; `open` runs the service on them."""

    directory: Path
    world: MemoryWorld = field(default_factory=MemoryWorld)
    now: datetime = NOON
    settings_text: str = SETTINGS + PERSON
    store_of: OpenStore = sql_store
    line: Line = field(init=False)
    service: Service = field(init=False)

    def write(self, name: str, *texts: bytes) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\n".join(texts))

    def remove(self, name: str) -> None:
        (self.directory / name).unlink()

    @property
    def settings(self) -> Settings:
        return parse_settings(self.settings_text, file="clearinghouse.toml", directory=self.directory)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Service]:
        chance = Chance(now=lambda: self.now)
        async with running(
            self.settings, make_link=self._link, chance=chance, store_of=self.store_of, signers_of=self._signers
        ) as self.service:
            await self.service.ready()
            yield self.service

    @asynccontextmanager
    async def _signers(self, _: Settings) -> AsyncIterator[Signers]:
        yield Signers(InlineSigner(key("desk"), now=lambda: self.now), InlineSigner(key("log"), now=lambda: self.now))

    @property
    def node(self) -> Node:
        """The topic at the broker."""
        return self.world.network.broker.nodes[TOPIC]

    @property
    def op(self) -> Speaker:
        """The operator in a chat."""
        found = self.service.doors[0].person(OP)
        assert found is not None
        return found

    async def subscribed(self, *jids: str) -> None:
        """Have each of *jids* ask, and return when all are subscribed."""
        for jid in jids:
            async with self.platform(jid.partition("/")[0]) as platform:
                await platform.subscribe(TOPIC, jid=jid)
        await until(lambda: set(jids) <= set(self.node.subscribed()) and not self.service.intake.in_hand)

    def _link(self, plan: LinkPlan, asked: Hearer) -> Link:
        self.line = Line(self.world, plan.component)
        self.line.exchange = Exchange(plan.component, plan.believed(), self.line.send, asked, reply_seconds=0.5)
        return self.line

    def platform(self, jid: str) -> AbstractAsyncContextManager[Platform]:
        return self.world.platform(jid)

    async def reload(self) -> None:
        """Load the folders at once, and return when that is done."""
        before = self.service.policy.holdings
        self.service.reload.set()
        await until(lambda: self.service.policy.holdings is not before)

    async def recorded(self) -> list[Recorded]:
        """Return what somebody else finds in the store."""
        async with read_store(self.settings.store.path) as store:
            return list(await store.decisions(100))

    def sleep(self, **time: float) -> None:
        self.now += timedelta(**time)


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look and try again at once: what takes a second in earnest takes a moment here."""
    monkeypatch.setattr(policy, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(policy, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(brokers, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(component, "FIRST_WAIT_SECONDS", 0.02)
    monkeypatch.setattr(sunset, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(reconcile, "AGAIN_SECONDS", 0.02)


def example(directory: Path) -> House:
    """Users of a.example are approved by the hub's licence, a person decides about those of b.example."""
    made = House(directory)
    made.write(
        "policies/topics/incidents.kn",
        assertion("POLICY", "hub", f'operation == "subscribe" && topic == "{TOPIC}"', "allow"),
        assertion("POLICY", "xmpp-member:b.example", f'operation == "subscribe" && topic == "{TOPIC}"', "ask"),
        assertion("POLICY", "{xmpp-member:b.example} && {desk}", f'operation == "subscribe" && topic == "{TOPIC}"', "allow"),
    )
    made.write(
        "policies/people/operators.kn",
        assertion("POLICY", f"{{{OP}}}", 'operation ~= "^(approve|explain|revoke)$" && topic ~= "^[a-z]+$" && subject ~= "@"'),
    )
    made.write("credentials/a.kn", signed("hub", "xmpp-member:a.example", f'topic == "{TOPIC}"'))
    return made


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Return when *condition* holds; nothing announces it, so it is looked at again and again."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
