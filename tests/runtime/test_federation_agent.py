"""A real agent at a real clearinghouse, over HTTPS and XMPP: what policy says is what the server admits, and the fleet knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from clearinghouse.agent.home.speaking import Speaker
from clearinghouse.agent.life import Outside, running
from clearinghouse.agent.parts import Agent
from clearinghouse.agent.sources.failover import Failover
from clearinghouse.agent.sources.https import Https
from clearinghouse.cli.main import app
from clearinghouse.demo.certificates import Authority
from clearinghouse.demo.server_module import MemoryLink, MemoryServer
from clearinghouse.importing.certificates import read_pin
from clearinghouse.keynote.keys import write_key_file
from clearinghouse.settings.reading import parse_agent_settings
from tests.agent.houses import settings_text
from tests.certificates import certify
from tests.commons import PIN, Commons, commons, op
from tests.presses import COMMUNITY, key, who
from tests.runtime.house import until
from tests.world import assertion

US = "b.example"


@dataclass
class Pair:
    """A clearinghouse, and the agent of b.example with its server."""

    home: Commons
    directory: Path
    server: MemoryServer = field(init=False)
    agent: Agent = field(init=False)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[Agent]:
        """Run the agent beside a clearinghouse that runs."""
        assert self.home.service.http is not None
        text = settings_text(PIN, domain=US, community=f'"{COMMUNITY}"', override_keys="[]", report='"1 second"')
        settings = parse_agent_settings(text, file="agent.toml", directory=self.directory)
        speaker = Speaker(key(US), COMMUNITY, lambda: self.home.now)
        source = Https(f"https://127.0.0.1:{self.home.service.http.port}", speaker, US, self.directory / "ca.pem")
        outside = Outside(
            now=lambda: self.home.now,
            link=lambda _: MemoryLink(self.server),
            sources=lambda *_: Failover([source]),
            allow_demo=True,
            pause=0.01,
        )
        async with running(settings, outside) as self.agent:
            yield self.agent

    def passing(self, *domains: str) -> set[str]:
        return {each for each in domains if self.server.passes(each)}


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    home, directory = commons(tmp_path / "hub"), tmp_path / "agent"
    for folder in ("policies", "credentials"):
        (directory / folder).mkdir(parents=True)
    certify("127.0.0.1", home.directory / "http.pem", home.directory / "http.key", trusted=directory / "ca.pem")
    home.text = home.text.replace("views = []\n", "").replace("port = 0", 'port = 0\ncertificate_file = "http.pem"\nkey_file = "http.key"')
    write_key_file(directory / "agent.key", key(US))

    def clock() -> int:
        return int(home.now.timestamp())

    made = Pair(home, directory)
    made.server = MemoryServer(US, f"agent.{US}", clock)
    return made


async def test_policy_reaches_the_server_and_the_report_reaches_the_fleet(pair: Pair) -> None:
    home = pair.home
    async with home.open() as service:
        await home.enrols("a.example", US, "c.example", "d.example")
        await home.settled({"a.example": "level-1", US: "level-2", "d.example": "level-3"})
        async with pair.following():
            await until(lambda: pair.passing("a.example", "c.example", "d.example") == {"d.example"}, 15)
            home.write("policies/federate/more.kn", assertion("POLICY", "xmpp:a.example", 'from_domain == "a.example"', "level-3"))
            service.reload.set()
            await until(lambda: pair.passing("a.example", "d.example") == {"a.example", "d.example"}, 15)
            await home.house.enrol(op(), "change", {"domain": "d.example", "keys": who("other")[0]})
            await until(lambda: pair.passing("a.example", "d.example") == {"a.example"}, 15)
            await until(lambda: US in home.house.fleet_book.agents, 15)
            await until(lambda: home.house.fleet_book.agents[US].report["table"] == str(home.version(US)), 15)
            found = {each["domain"]: each for each in home.house.fleet(op())}
            assert (found[US]["stale"], found[US]["standing"], found[US]["view"]) == (False, "fresh", US)


async def test_a_member_announces_the_next_key_of_its_server(pair: Pair) -> None:
    home, config = pair.home, pair.directory / "agent.toml"
    for name in ("now.crt", "next.crt"):
        (pair.directory / name).write_bytes(Authority().identity([US]).certificate)
    config.write_text(
        settings_text(PIN, domain=US, community=f'"{COMMUNITY}"', override_keys="[]").replace(
            "[server]\n", '[server]\ncertificate_files = ["now.crt", "next.crt"]\n'
        )
    )
    pins = sorted(read_pin(pair.directory / name) for name in ("now.crt", "next.crt"))
    home.write(
        "policies/members/own.kn", assertion("POLICY", who(US)[0], f'member == "{US}" && key_recorded == "yes" && change == "address"')
    )

    async def join(*words: str) -> tuple[int, str]:
        with capture_logs():  # the service's lines would be taken for the command's
            result = await asyncio.to_thread(CliRunner().invoke, app, ["agent", "join", *words, "--config", str(config)])
        return result.exit_code, result.output

    async with home.open():
        await home.enrols(US)
        await home.settled({US: "level-2"})
        async with pair.following():
            assert await join() == (0, f"✔ {US}: recorded\n")
            record = home.house.roll.present()[US]
            assert (list(record.pins), record.source) == (pins, "join")
            await until(lambda: (pair.server.peers or {}).get(US, (0, {}))[1] == {US: pins}, 15)
            status, said = await join("--contact", "somebody")
            assert (status, "answers 404" in said) == (3, True), "policy has not said that"
            assert (await join("--pin", pins[1]))[0] == 0
            await until(lambda: (pair.server.peers or {}).get(US, (0, {}))[1] == {US: pins[1:]}, 15)
    assert (await join())[0] == 3
    config.write_text(config.read_text().replace("certificate_files", "# "))
    assert (await join())[0] == 2


async def test_an_agent_goes_on_while_the_clearinghouse_is_away_and_catches_up(pair: Pair) -> None:
    home = pair.home
    async with home.open():
        await home.enrols("d.example", US)
        await home.settled({US: "level-2", "d.example": "level-3"})
        async with pair.following():
            await until(lambda: pair.passing("a.example", "d.example") == {"d.example"}, 15)
    assert pair.passing("d.example") == {"d.example"}
    async with home.open():
        await home.enrols("a.example")
        home.write("policies/federate/more.kn", assertion("POLICY", "xmpp:a.example", 'from_domain == "a.example"', "level-2"))
        home.service.reload.set()
        await home.settled({US: "level-2", "a.example": "level-2", "d.example": "level-3"})
        async with pair.following():
            await until(lambda: pair.passing("a.example", "d.example") == {"a.example", "d.example"}, 15)
