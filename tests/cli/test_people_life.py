"""What `init` writes lets its user decide at once: a real service with real signers, at a broker in memory."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from clearinghouse.demo.memory import MemoryLink, Network
from clearinghouse.demo.platforms import Platform, platform
from clearinghouse.demo.worlds import MemoryWorld
from clearinghouse.grid.broker import Broker
from clearinghouse.keynote.keys import generate, write_key_file
from clearinghouse.runtime.service import running
from clearinghouse.settings import read_settings

BROKER, COMPONENT = "pubsub.hub.example", "clearinghouse.hub.example"


async def ask(home: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Run one command as a process of its own, and return its status and its JSON."""
    command = (sys.executable, "-m", "clearinghouse", *words, "--json")
    process = await asyncio.create_subprocess_exec(*command, cwd=home, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return process.returncode or 0, json.loads(out)


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    status, _ = await ask(tmp_path, "init", ".", "--community", "csirt-net", "--broker", BROKER)
    assert status == 0
    return tmp_path


@asynccontextmanager
async def service(home: Path) -> AsyncIterator[Network]:
    network = Network(Broker(BROKER, frozenset({COMPONENT}), lambda: uuid4().hex))
    async with running(read_settings(home / "clearinghouse.toml"), make_link=MemoryWorld(network).make_link) as running_service:
        await running_service.ready()
        yield network


@asynccontextmanager
async def user(network: Network, jid: str) -> AsyncIterator[Platform]:
    async with platform(f"{jid}/x", MemoryLink(network, f"{jid}/x"), BROKER) as made:
        yield made


async def waiting(home: Path) -> dict[str, Any]:
    """Return the one case, once it waits."""
    async with asyncio.timeout(30):
        while True:
            _, told = await ask(home, "pending")
            if told.get("cases"):
                only: dict[str, Any] = told["cases"][0]
                return only


async def test_asked_approved_by_a_command_explained_and_ended(home: Path) -> None:
    async with service(home) as network, user(network, "ann@hub.example") as ann:
        await ann.subscribe("incidents")
        case = await waiting(home)
        assert case["subject"] == "ann@hub.example"
        status, told = await ask(home, "approve", case["id"], "--yes", "--for", "7 days")
        assert (status, told["ruling"]["decision"]["outcome"]) == (0, "granted")
        assert (await ann.ruling()).state == "subscribed"
        status, told = await ask(home, "approve", case["id"], "--yes")
        assert (status, told["error"]["code"]) == (2, "case-closed")
        _, told = await ask(home, "grants")
        (grant,) = told["grants"]
        assert (grant["holder"], grant["case"]) == ("ann@hub.example", case["id"])
        status, told = await ask(home, "explain", grant["id"])
        assert (status, "ann@hub.example" in told["explanation"]) == (0, True)
        status, told = await ask(home, "revoke", "--grant", grant["id"], "--yes", "--reason", "a test")
        assert (status, told["changed"]["done"]) == (0, True)
        assert (await ann.ruling()).state == "none"
        _, told = await ask(home, "grants")
        assert told["grants"] == []


async def test_a_key_that_policy_names_approves_from_elsewhere(home: Path) -> None:
    key = generate()
    write_key_file(home / "ann.key", key)
    policy = home / "policies/people/keepers.kn"
    policy.write_text(policy.read_text().replace('Licensees: "unix:', f'Licensees: "{key.principal}" || "unix:'))
    async with service(home) as network, user(network, "bea@hub.example") as bea:
        await bea.subscribe("incidents")
        case = await waiting(home)
        _, cases = await ask(home, "pending")
        (home / "cases.json").write_text(json.dumps(cases))
        signed = ("approve", case["id"], "--yes", "--from", "cases.json", "--key", "ann.key", "-o", "yes.json")
        assert (await ask(home, *signed, "--config", "none.toml"))[0] == 0
        status, told = await ask(home, "submit", "yes.json")
        assert (status, told["ruling"]["case"]["state"]) == (0, "approved"), told
        assert (await bea.ruling()).state == "subscribed"
        assert (await ask(home, "submit", "yes.json"))[1]["error"]["code"] == "replayed"


async def test_losing_parties_are_named_before_a_licence_is_revoked(home: Path) -> None:
    async with service(home) as network, user(network, "ann@hub.example") as ann:
        await ann.subscribe("incidents")
        case = await waiting(home)
        await ask(home, "approve", case["id"], "--yes")
        assert (await ann.ruling()).state == "subscribed"
        status, told = await ask(home, "revoke", "--below", "keys/hub.key", "--dry-run")
        assert (status, [each["jid"] for each in told["changed"]["losing"]]) == (0, ["ann@hub.example"])
        assert (await ask(home, "grants"))[1]["count"] == 1
        status, told = await ask(home, "revoke", "--below", "keys/hub.key", "--yes", "--reason", "lost")
        assert (status, told["changed"]["done"]) == (0, True)
        assert (await ann.ruling()).state == "none"
        _, told = await ask(home, "lift")
        assert (told["revocations"][0]["kind"], told["revocations"][0]["reason"]) == ("below", "lost")
