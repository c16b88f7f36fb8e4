"""A clearinghouse with a federation: the real service, whose keys sign in our process, on files that the test writes."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import httpx
import pytest

from clearinghouse.clearing.dsse import REQUEST, ROOT, opened, seal
from clearinghouse.clearing.envelope import Asked, written
from clearinghouse.clearing.people import Speaker
from clearinghouse.clearing.vocabulary import EVERYTHING, Door
from clearinghouse.demo.worlds import BROKER, COMPONENT, MemoryWorld
from clearinghouse.federation.published.documents import digest, timestamp_name
from clearinghouse.federation.published.roots import Root
from clearinghouse.federation.trust.trusted import Trusted, follow
from clearinghouse.runtime import policy
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.federation.house import House
from clearinghouse.runtime.parts import Service
from clearinghouse.runtime.service import OpenStore, running, sql_store
from clearinghouse.runtime.topics.brokers import MakeLink
from clearinghouse.settings import Settings
from clearinghouse.settings.reading import parse_settings
from clearinghouse.signer.client import Signers
from clearinghouse.signer.inline import InlineSealer, InlineSigner
from clearinghouse.signer.roles import Role
from tests import presses
from tests.presses import COMMUNITY, key, who
from tests.runtime.house import until
from tests.world import NOON, assertion

LEVELS = ("deny", "level-1", "level-2", "level-3")

SETTINGS = f"""
community = "{COMMUNITY}"
levels = ["deny", "level-1", "level-2", "level-3"]
[control]
socket = ""
[[table_signer]]
key_file = "table.key"
[timestamp_signer]
key_file = "timestamp.key"
[registrar]
key_file = "registrar.key"
[revoker]
key_file = "revoker.key"
[http]
port = 0
[federation]
views = []
"""

PIN = presses.pin_of(presses.made(presses.plan()))

WITH_BROKER = f"""
[[broker]]
jid = "{BROKER}"
component = "{COMPONENT}"
secret_file = "secret"
"""
"""To stand before the settings where a test wants a broker, which is in memory."""

OPERATORS = assertion(
    "POLICY",
    "{unix:op} || {xmpp:op@hub.example}",
    'operation == "enrol" && member ~= "^[a-z0-9.-]+$" && change ~= "^(add|contact|address|keys|remove)$"',
)
EXPLAINS = assertion(
    "POLICY",
    "{unix:op} || {xmpp:op@hub.example}",
    'operation ~= "^(explain|revoke)$" && topic ~= "^[a-z*-]+$" && subject ~= "^[a-z.@*-]+$"',
)


@dataclass
class Commons:
    """Files, a clock and keys; `open` runs the service on them."""

    directory: Path
    now: datetime = NOON
    text: str = SETTINGS
    store_of: OpenStore = sql_store
    signers: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"table": ("table",)})
    world: MemoryWorld = field(default_factory=MemoryWorld)
    make_link: MakeLink | None = None
    service: Service = field(init=False)
    _numbers: count[int] = field(default_factory=count)

    @property
    def settings(self) -> Settings:
        return parse_settings(self.text, file="clearinghouse.toml", directory=self.directory)

    @property
    def house(self) -> House:
        assert self.service.house is not None
        return self.service.house

    def write(self, name: str, *texts: bytes) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\n".join(texts))

    @asynccontextmanager
    async def open(self, *, published: bool = True) -> AsyncIterator[Service]:
        chance, link = Chance(now=lambda: self.now), self.make_link or self.world.make_link
        service = running(self.settings, make_link=link, chance=chance, store_of=self.store_of, signers_of=self.signing)
        with pytest.MonkeyPatch.context() as hurry:
            hurry.setattr(policy, "SETTLE_SECONDS", 0.01)  # nobody is half-way through writing
            async with service as self.service:
                if published:
                    await until(lambda: self.house.shelf.timestamp(EVERYTHING) is not None)
                yield self.service

    @asynccontextmanager
    async def signing(self, settings: Settings) -> AsyncIterator[Signers]:
        tables = tuple(InlineSealer(key(name), Role.TABLE) for name in self.signers["table"])
        yield Signers(
            InlineSigner(key("desk"), now=lambda: self.now),
            InlineSigner(key("log"), now=lambda: self.now),
            InlineSealer(key("registrar"), Role.REGISTRAR) if settings.registrar.there else None,
            InlineSealer(key("revoker"), Role.REVOKER) if settings.revoker.there else None,
            InlineSealer(key("timestamp"), Role.TIMESTAMP),
            tables,
        )

    def sleep(self, **time: float) -> None:
        """Let time pass, and have the press look, which in earnest sleeps until then."""
        self.now += timedelta(**time)
        self.house.press._woken.set()

    # -- members

    async def enrols(self, *domains: str, **words: str) -> None:
        for domain in domains:
            said = {"domain": domain, "keys": who(domain)[0], "endpoints": f"{domain}:5269", **words}
            await self.house.enrol(op(), "add", said)

    async def settled(self, rows: Mapping[str, str], audience: str = EVERYTHING) -> None:
        """Return once *rows* are what is published for *audience*."""
        await until(lambda: self.rows(audience) == rows)

    def rows(self, audience: str = EVERYTHING) -> Mapping[str, str] | None:
        last = self.house.press.views[audience].table
        return None if last is None else last.rows

    def version(self, audience: str = EVERYTHING) -> int:
        last = self.house.press.views[audience].table
        return 0 if last is None else last.head.version

    def timestamp_at(self, audience: str = EVERYTHING) -> datetime:
        last = self.house.press.views[audience].timestamp
        return NOON if last is None else last.issued

    def revoked(self) -> tuple[str, ...]:
        """Return the principals in the published revocation set."""
        found = self.trusted().revocations
        return () if found is None else found.principals

    def problem(self) -> str:
        found = self.house.press.problem
        return "" if found is None else found.code

    async def looked(self) -> None:
        """Return once the press has looked again, and has found whatever was there before."""
        press = self.house.press
        for _ in range(2):
            press._woken.set()
            before = press.rounds
            await until(lambda seen=before: press.rounds > seen)  # type: ignore[misc]  # of its own

    def pin(self) -> str:
        """Return the digest of the first root metadata, as agents are told it."""
        return digest(opened((self.directory / "root/1.json").read_bytes(), payload_type=ROOT).payload)

    def trusted(self, audience: str = EVERYTHING, pin: str = PIN) -> Trusted:
        """Return what an agent believes that has everything that is published."""
        documents = {name: each.body for name, each in self.house.shelf.documents.items()}
        trusted = Trusted.pinned(documents["root/1"], pin, self.now, audience=audience)
        trouble = follow(trusted, lambda name, limit: documents[name][: limit + 1] if name in documents else None, self.now)
        assert trouble == ()
        return trusted

    # -- over HTTP

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        assert self.service.http is not None
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.service.http.port}", trust_env=False) as client:
            yield client

    def asked(self, kind: str, body: Mapping[str, str], *names: str, to: str = COMMUNITY) -> bytes:
        """Return an envelope with *body* for *to*, signed by *names*."""
        nonce = f"nonce-{next(self._numbers):012}"
        asked = Asked(kind, to, nonce, self.now, self.now + timedelta(minutes=4), body)
        return seal(written(asked), REQUEST, [key(name) for name in names])

    def reads(self, domain: str, audience: str = EVERYTHING) -> dict[str, str]:
        """Return the header with which *domain* reads."""
        return {"Authorization": "DSSE " + base64.b64encode(self.asked("fetch", {"audience": audience}, domain)).decode()}

    def timestamp(self, audience: str = EVERYTHING) -> bytes:
        return self.house.shelf.documents[timestamp_name(audience)].body


def op() -> Speaker:
    """Return the operator at the command line."""
    return Speaker("op", ("unix:op",), Door.OPERATOR)


def chat_op() -> Speaker:
    """Return the operator at a chat client, on the word of the server that hosts us."""
    return Speaker("op", ("xmpp:op@hub.example", "xmpp-member:hub.example"), Door.CHAT, "hub.example")


def commons(directory: Path, now: datetime = NOON) -> Commons:
    """Members a and b have levels 1 and 2 by their names, d by its key."""
    made = Commons(directory, now)
    for name in ("policies/federate", "policies/people", "policies/topics", "credentials", "root"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    made.write("policies/people/op.kn", OPERATORS, EXPLAINS)
    made.write(
        "policies/federate/levels.kn",
        assertion("POLICY", "xmpp:a.example", 'from_domain == "a.example"', "level-1"),
        assertion("POLICY", "xmpp:b.example", 'from_domain == "b.example"', "level-2"),
        assertion("POLICY", who("d.example")[0], 'from_domain == "d.example"', "level-3"),
    )
    made.write("root/1.json", presses.sealed(root_at(now)))
    return made


def root_at(now: datetime) -> Root:
    """Return the first root metadata as of *now*; tests with another clock than the usual one need it."""
    return presses.made(replace(presses.plan(), issued=now, expires=now + timedelta(days=365)))
