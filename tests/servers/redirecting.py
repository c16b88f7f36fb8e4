"""A community whose door has several nodes over one PostgreSQL: the main service in our process, each node in one of its own."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from typer.testing import CliRunner

from clearinghouse.clearing.people import Speaker
from clearinghouse.clearing.vocabulary import EVERYTHING, Door
from clearinghouse.cli.main import app
from clearinghouse.demo.certificates import Authority
from clearinghouse.demo.league.community import DOOR, EAST, MEMBERS, NORTH, OPERATOR, SOUTH, League
from clearinghouse.demo.postgres import OWNER, Cluster
from clearinghouse.keynote.keys import write_key_file
from clearinghouse.runtime.chance import utc_now
from clearinghouse.runtime.parts import Service
from clearinghouse.runtime.service import running
from clearinghouse.settings import Settings, read_settings
from clearinghouse.signer.client import Signers
from clearinghouse.signer.inline import InlineSealer, InlineSigner
from clearinghouse.signer.roles import Role
from tests.runtime.house import until
from tests.servers.processes import REPOSITORY, Program, program

ADDRESSES: Final = {NORTH: "127.0.0.7", SOUTH: "127.0.0.8", EAST: "127.0.0.9"}
HEADER: Final = (
    "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:server' version='1.0'"
    " from='{asking}' to='{wanted}'>"
)
_ANSWER: Final = re.compile(
    r"<(?P<condition>see-other-host|policy-violation)[^>]*?(?:/>|>(?P<place>[^<]*)</see-other-host>)(?:<text[^>]*>(?P<text>[^<]*)</text>)?"
)


@dataclass(frozen=True)
class Answer:
    """What a peer was told; ``id`` is the beginning of the decision's."""

    condition: str
    place: str
    text: str
    id: str = field(compare=False)


@dataclass
class Nodes:
    """Files of the main service and of its nodes in *directory*."""

    directory: Path
    outage: str = "5 seconds"
    authority: Authority = field(default_factory=Authority)
    league: League = field(init=False)
    answers: list[Answer] = field(default_factory=list)

    def write(self, url: str) -> None:
        self.league = League(self.directory, ADDRESSES, utc_now(), doors=dict.fromkeys(MEMBERS, 1), place="127.0.0.1:0")
        self.league.write()
        for place, name in (("hub", DOOR), ("hub/door", DOOR), (NORTH, NORTH), (SOUTH, SOUTH), (EAST, EAST)):
            made = self.authority.identity([name])
            self.league.identity(place, self.authority.certificate, made.certificate, made.key)
        write_key_file(self.hub / "log.key", self.league.key("log"))
        (self.hub / "log.pub").write_text(self.league.key("log").principal)
        (self.hub / "url").touch(mode=0o600)
        (self.hub / "url").write_text(url)
        self.league.hub()
        general, _, rest = (self.hub / "clearinghouse.toml").read_text().partition("[http]")
        door = rest.partition("[redirect]")[2]
        general += '[ledger]\nkey_file = "log.key"\n[store]\nurl_file = "url"\n[control]\nsocket = ""\n'
        (self.hub / "clearinghouse.toml").write_text(general)
        for name in ("one", "two"):
            own = f'listen_tls = ["127.0.0.1:0"]\noutage = "{self.outage}"\nspool_file = "{name}.spool"\n'
            (self.hub / f"{name}.toml").write_text(general.replace('"url"', '"node-url"') + f"[redirect]{door}{own}")

    def let_in(self, postgres: Cluster, url: str) -> None:
        """Let nodes do in the database at *url* what the guide lets them, and no more; the main service has made its tables."""
        rights = (
            (REPOSITORY / "docs/how-to/operate.md").read_text().partition("CREATE ROLE clearinghouse_node LOGIN;")[2].partition("```")[0]
        )
        database = url.rpartition("/")[2]
        if not postgres.run("SELECT 1 FROM pg_roles WHERE rolname = 'clearinghouse_node'"):
            postgres.run("CREATE ROLE clearinghouse_node LOGIN PASSWORD 'node'")
        postgres.run(rights, database)
        (self.hub / "node-url").touch(mode=0o600)
        (self.hub / "node-url").write_text(url.replace(f"{OWNER}:{postgres.password}", "clearinghouse_node:node"))

    @property
    def hub(self) -> Path:
        return self.directory / "hub"

    @property
    def settings(self) -> Settings:
        return read_settings(self.hub / "clearinghouse.toml")

    @asynccontextmanager
    async def main(self) -> AsyncIterator[Service]:
        async with running(self.settings, signers_of=self._signing) as service:
            yield service

    @asynccontextmanager
    async def _signing(self, _: Settings) -> AsyncIterator[Signers]:
        """Sign in our process: those of their own take a second each to start."""
        roles = {
            role: InlineSealer(self.league.key(role.value), role) for role in (Role.REGISTRAR, Role.REVOKER, Role.TIMESTAMP, Role.TABLE)
        }
        log = InlineSigner(self.league.key("log"), now=utc_now)
        yield Signers(None, log, roles[Role.REGISTRAR], roles[Role.REVOKER], roles[Role.TIMESTAMP], (roles[Role.TABLE],))

    async def enrol(self, service: Service) -> None:
        """Have three members, and a table with their levels."""
        assert service.house is not None
        house, operator = service.house, Speaker(OPERATOR, (f"unix:{OPERATOR}",), Door.OPERATOR)
        for domain, address in ADDRESSES.items():
            words = {"domain": domain, "endpoints": f"{address}:5269", "keys": self.league.key(domain).principal}
            await house.enrol(operator, "add", words)
        await until(lambda: (table := house.press.views[EVERYTHING].table) is not None and len(table.rows) == len(ADDRESSES), 20)

    @asynccontextmanager
    async def node(self, name: str) -> AsyncIterator[Node]:
        command = (sys.executable, "-W", "error", "-m", "clearinghouse", "redirect", "--json", "--config", str(self.hub / f"{name}.toml"))
        async with program(*command) as running:
            yield Node(self, name, running)

    async def command(self, *words: str, config: str = "clearinghouse") -> tuple[int, str]:
        """Return the exit status and the output of a command, which runs in our process."""
        result = await asyncio.to_thread(CliRunner().invoke, app, [*words, "--config", str(self.hub / f"{config}.toml")])
        return result.exit_code, result.stdout


@dataclass
class Node:
    """A node at work, in a process of its own."""

    nodes: Nodes
    name: str
    program: Program
    _port: int = 0

    async def ready(self) -> dict[str, Any]:
        await self.program.says('"event": "ready"')
        opened = self.told("s2s_open")
        self._port = int(opened["listen_tls"][0][1])
        return self.told("ready")

    def told(self, event: str) -> dict[str, Any]:
        """Return the last line about *event*."""
        found = [json.loads(line) for line in self.program.lines if f'"event": "{event}"' in line]
        return dict(found[-1])

    async def says(self, event: str, *, times: int = 1) -> dict[str, Any]:
        await self.program.says(f'"event": "{event}"', times=times)
        return self.told(event)

    async def asked(self, asking: str, wanted: str, seconds: float = 3.0) -> Answer:
        """Return what the server of *asking* is told that wants to reach *wanted*: over TLS with a certificate of its own."""
        context = ssl.create_default_context(cadata=self.nodes.authority.certificate.decode())
        folder = self.nodes.directory / asking
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, ssl=context, server_hostname=DOOR)
            try:
                writer.write(HEADER.format(asking=asking, wanted=wanted).encode())
                told = (await reader.readuntil(b"</stream:stream>")).decode()
            finally:
                writer.close()
        found = _ANSWER.search(told)
        assert found is not None, told
        text = found["text"] or ""
        *_, identity = text.rstrip(")").rpartition("decision ")
        answer = Answer(found["condition"], found["place"] or "", text.partition(" (decision")[0], identity)
        self.nodes.answers.append(answer)
        return answer
