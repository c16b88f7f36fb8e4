"""The site's people at the command line, about what a running agent has granted, and what its policy left to them."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from clearinghouse.agent.parts import Agent
from clearinghouse.clearing.people import Speaker
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.cli.main import app
from clearinghouse.keynote.keys import write_key_file
from tests.agent.community import US, Clock, Hub
from tests.agent.houses import House, settings_text, until
from tests.targets import HOST, seal_wish
from tests.world import key

ASKING = f"""
Authorizer: "POLICY"
Licensees: "{key("admin").principal}"
Conditions: operation == "whitelist" && App_domain == "XMPP" && domain == "partner.example"
  && Server_IP_Address == "192.168.40.55" -> "ask";

Authorizer: "POLICY"
Licensees: "{key("admin").principal}" && "{key("desk").principal}"
Conditions: operation == "whitelist" && App_domain == "XMPP" && domain == "partner.example"
  && Server_IP_Address == "192.168.40.55" -> "allow";
"""
PEOPLE = f"""
Authorizer: "POLICY"
Licensees: "unix:{getpass.getuser()}"
Conditions: operation == "approve" && asked == "whitelist" && subject == "partner.example" && topic == "*" -> "allow";
"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    clock = Clock()
    made = House(tmp_path, Hub(clock), clock, more={"sections": '[requests]\ndesk_key_file = "desk.key"\n'})
    write_key_file(tmp_path / "desk.key", key("desk"))
    (tmp_path / "agent.toml").write_text(settings_text(made.hub.pin, **made.more))
    for group, text in (("whitelist", ASKING), ("people", PEOPLE)):
        (tmp_path / "policies" / group).mkdir()
        (tmp_path / "policies" / group / "own.kn").write_text(text)
    made.hub.publish({})
    return made


@asynccontextmanager
async def asked(house: House) -> AsyncIterator[tuple[Agent, str]]:
    """Run an agent at which a request waits for people."""
    async with house.agent() as agent:
        await until(lambda: agent.authority.informed and agent.applier.image is not None)
        raw = seal_wish(HOST, key("admin"), now=house.clock(), audience=US, seconds=600)
        answer = await agent.requests.answer(raw, via="ip:192.0.2.1")
        assert answer.outcome == "pending"
        yield agent, answer.id


async def types(house: House, *words: str, status: int = 0) -> dict[str, Any]:
    """Type a command about the agent, and return its answer."""
    line = ["agent", *words, "--config", str(house.directory / "agent.toml"), "--json"]
    done = await asyncio.to_thread(CliRunner().invoke, app, line)
    assert done.exit_code == status, done.output
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index('{\n  "schema"') :])  # after what the agent logs meanwhile
    return found


async def test_a_person_sees_what_waits_approves_it_and_ends_it(house: House) -> None:
    async with asked(house) as (_, identity):
        [case] = (await types(house, "pending"))["cases"]
        assert case["id"] == identity
        assert "domain: partner.example" in case["summary"].splitlines()
        approved = (await types(house, "approve", identity[:8], "--for", "5 minutes", "--yes"))["case"]
        assert (approved["state"], approved["outcome"]) == ("approved", "granted")
        await until(lambda: house.server.passes("partner.example"))
        [grant] = (await types(house, "grants"))["grants"]
        assert (grant["domain"], grant["user"], grant["case"], grant["ended"]) == ("partner.example", "*", identity, "")
        await types(house, "end-grant", grant["id"][:8], "--reason", "over")
        await until(lambda: not house.server.passes("partner.example"))
        assert (await types(house, "grants"))["grants"] == []
        [ended] = (await types(house, "grants", "--ended"))["grants"]
        assert ended["why"].endswith(": over")
        assert (await types(house, "end-grant", grant["id"], status=2))["error"]["code"] == "no-such-grant"


async def test_nobody_approves_what_they_did_not_see(house: House) -> None:
    """The digest of what was shown goes with the approval; without a terminal somebody has to say yes beforehand."""
    async with asked(house) as (agent, identity):
        assert (await types(house, "approve", identity, status=2))["error"]["code"] == "bad-settings"
        line = json.dumps({"do": "approve", "with": {"case": identity, "shown": "0" * 64}}).encode()
        refused = await agent.counter.answered(Speaker("unix:root", ("unix:root",), Door.OPERATOR), line)
        assert refused["error"]["code"] == "wrong-case"


async def test_whoever_may_use_the_socket_may_say_no(house: House) -> None:
    async with asked(house) as (_, identity):
        assert (await types(house, "deny", identity, "--reason", "unknown to us"))["case"]["state"] == "denied"
        assert (await types(house, "pending"))["cases"] == []
        assert (await types(house, "approve", identity, "--yes", status=2))["error"]["code"] == "no-such-thing"
