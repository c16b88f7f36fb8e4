"""What the command line says of an agent that runs, and has it do."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from clearinghouse.cli.main import app
from clearinghouse.doors.control.client import Told, call_at
from clearinghouse.keynote.keys import write_key_file
from tests.agent.community import Hub, RealClock
from tests.agent.houses import House, settings_text, until
from tests.world import key

ROWS = {"b.example": "level-2", "c.example": "level-1"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    clock = RealClock()
    made = House(tmp_path, Hub(clock), clock)  # type: ignore[arg-type]  # nobody sets this clock
    made.hub.publish(ROWS)
    write_key_file(tmp_path / "site.key", key("site"))
    (tmp_path / "agent.toml").write_text(settings_text(made.hub.pin))
    return made


async def run(house: House, *words: str) -> Result:
    config = ("--config", str(house.directory / "agent.toml"))
    return await asyncio.to_thread(CliRunner(env={"COLUMNS": "140"}).invoke, app, ["agent", *words, *config])


async def test_status_says_how_table_source_clock_and_server_are(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        agent.alarm.look()
        result = await run(house, "status")
        assert result.exit_code == 0, result.output
        version = house.hub.version
        for words in (
            "a.example in csirt-net: good, enforce",
            f"{version} of epoch 1, fresh",
            "2 rows",
            "source   memory",
            "linked, serial",
            "keys     of ",
            "follows no door",
        ):
            assert words in result.stdout
        house.source.cut = True
        house.link.cut()
        await until(lambda: not agent.link.ready.is_set())
        result = await run(house, "status")
        assert result.exit_code == 1
        assert "apart" in result.stdout
        assert "NOT LINKED" in result.stdout


async def test_status_names_the_doors_by_which_the_server_is_sent_on(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        agent.applier.module = dict(agent.applier.module) | {"facts": {"doors": ["door.hub.example"]}}
        assert "goes where door.hub.example sends it" in (await run(house, "status")).stdout


async def test_overrides_reach_the_running_agent(house: House) -> None:
    words = ("--for", "2 hours", "--reason", "flood")
    async with house.agent() as agent:
        await house.follows(agent)
        result = await run(house, "override", "deny", "b.example", *words)
        assert result.exit_code == 0, result.output
        await until(lambda: house.passing(*ROWS) == set())
        result = await run(house, "override", "allow", "c.example", *words, "--key", str(house.directory / "site.key"))
        assert result.exit_code == 0, result.output
        await until(lambda: house.passing(*ROWS) == {"c.example"})
        status = await run(house, "status")
        assert "override deny b.example until" in status.stdout
        listed = json.loads((await run(house, "override", "list", "--json")).stdout)["overrides"]
        assert [each["action"] for each in listed] == ["deny", "allow"]
        for each in listed:
            assert (await run(house, "override", "withdraw", each["id"])).exit_code == 0
        await until(lambda: house.passing(*ROWS) == {"b.example"})


@pytest.mark.parametrize(
    "do, words, code",
    [
        ("dance", {}, "malformed-request"),
        ("status", {"loud": "yes"}, "malformed-request"),
        ("deny", {"domain": "b.example", "reason": "flood"}, "malformed-request"),
        ("deny", {"domain": "not a domain", "seconds": "60", "reason": "flood"}, "bad-name"),
        ("deny", {"domain": "b.example", "seconds": "99999999", "reason": "flood"}, "malformed-request"),
        ("allow", {"envelope": "!"}, "malformed-request"),
        ("withdraw", {"id": "77"}, "no-such-override"),
    ],
)
async def test_what_an_agent_is_not_asked_is_refused_by_name(house: House, do: str, words: dict[str, str], code: str) -> None:
    async with house.agent():
        with pytest.raises(Told) as refused:
            await asyncio.to_thread(lambda: call_at(house.settings.socket, do, **words))  # type: ignore[arg-type]  # texts, all of them
        assert refused.value.as_json()["code"] == code
