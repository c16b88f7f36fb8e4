"""`make demo`: the story, told at a real ejabberd and in memory, and what is left afterwards: nothing."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from clearinghouse import keynote
from clearinghouse.demo import community, platforms, story
from clearinghouse.demo.__main__ import demo
from clearinghouse.demo.community import Community, example_community
from clearinghouse.demo.keys import demonstration_key
from clearinghouse.demo.life import CONSULTANT
from clearinghouse.demo.story import ANALYST, LATE, REPORT, STRANGER, NotAsTold, play
from clearinghouse.demo.telling import Silent
from clearinghouse.demo.worlds import MemoryWorld
from tests.servers.processes import done, program

DEMO = (sys.executable, "-W", "error", "-m", "clearinghouse.demo")


@pytest.fixture
def empty() -> Iterator[Path]:
    """A place for temporary files that must be empty at the end; another user, as which ejabberd runs, gets there."""
    with TemporaryDirectory(prefix="demo-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def environment(place: Path, **more: str) -> dict[str, str]:
    return {"TMPDIR": str(place), "COLUMNS": "80", **more}


def left_over(place: Path) -> list[str]:
    """Return files that were left, and programs that still run out of them."""
    programs = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(place).encode() in (process / "cmdline").read_bytes():
                programs.append(process.name)
        except OSError:
            continue
    return [*map(str, place.iterdir()), *programs]


async def test_it_is_played_in_memory_and_told(empty: Path) -> None:
    status, out, err = await done(*DEMO, "--memory", env=environment(empty))
    assert (status, err) == (0, "")
    told = " ".join(out.split())
    for words in (ANALYST, STRANGER, LATE, REPORT, "subscribed", "refused", "receives nothing", "Everything went as told"):
        assert words in told
    assert out.count("POLICY has") == 5
    for words in (CONSULTANT, "reads in an ordinary client", "approves, for a week", "ends the grant", "by the public key alone"):
        assert words in told
    assert left_over(empty) == []


@pytest.mark.servers
async def test_it_is_played_at_both_servers_and_leaves_nothing(empty: Path) -> None:
    status, out, err = await done(*DEMO, "--json", env=environment(empty))
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert (told["ok"], [each["world"] for each in told["worlds"]]) == (True, ["ejabberd", "prosody"])
    for world in told["worlds"]:
        check_platforms(world)
        check_life(world["life"])
    check_federation(told["federation"])
    assert left_over(empty) == []


def check_federation(act: dict[str, Any]) -> None:
    assert act["levels"] == {"north.fed": "level-3", "south.fed": "level-2", "east.fed": "level-2"}
    assert act["afterwards"] == {"north.fed": "level-3", "south.fed": "level-2"}
    assert act["streams"] >= 1
    assert (act["grant"]["user"], act["grant"]["remote"]) == ("eve@east.fed", "east.fed")
    for told in (act["refused"], act["shut"]):
        assert "policy-violation" in told
        assert "decision" in told
    door = act["door"]
    assert door["sent_on"] != door["refused"]
    assert door["told"].startswith(f"policy-violation: not permitted: not-granted (decision {door['refused'][:12]})")


def check_platforms(world: dict[str, Any]) -> None:
    assert {each["jid"]: (each["subscription"], each["received"]) for each in world["platforms"]} == {
        ANALYST: ("subscribed", [REPORT]),
        STRANGER: ("none", []),
        LATE: ("none", []),
    }
    granted, stranger, late, waited, approved = world["decisions"]
    assert [each["outcome"] for each in world["decisions"]] == ["granted", "refused", "refused", "pending", "granted"]
    assert all(
        len({link["authorizer"] for link in each["proof"]["chain"] if link["channel"] == "credential"}) >= 2 for each in (granted, approved)
    )
    assert stranger["reason"]["code"] == "no-licence"
    assert "`date`" in late["reason"]["text"]
    assert [each["effect"] for each in (granted, stranger, late, approved)] == ["done"] * 4
    assert (waited["effect"], all(each["agrees"] for each in world["decisions"])) == ("none", True)


def check_life(life: dict[str, Any]) -> None:
    assert life["states"] == ["pending", "subscribed", "none"]
    assert (len(life["received"]), life["afterwards"], life["problems"]) == (1, [], [])
    assert f"{CONSULTANT} subscribe" in life["told"]
    assert life["entries"] > len(story.CAST)


async def test_without_servers_it_says_what_is_missing_and_plays_in_memory(empty: Path) -> None:
    status, out, _ = await done(*DEMO, env=environment(empty, PATH="/nonexistent"))
    assert status == 0
    for package in ("ejabberd", "prosody"):
        assert f"the Debian package `{package}` is not installed: apt-get install {package}" in " ".join(out.split())
    assert "in memory" in out


@pytest.mark.servers
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_when_it_is_stopped_nothing_stays_behind(empty: Path, number: signal.Signals) -> None:
    async with program(*DEMO, env=environment(empty)) as running:
        await service_runs(empty)
        running.process.send_signal(number)
        assert await running.ends() == 130
    assert left_over(empty) == []


async def service_runs(place: Path) -> None:
    """Return once the demonstration has started its server, and the clearinghouse its store."""
    async with asyncio.timeout(30):
        while not list(place.glob("clearinghouse-demo-*/clearinghouse.db")):  # noqa: ASYNC110, ASYNC240 - nothing announces it
            await asyncio.sleep(0.01)


# -- when it goes another way --------------------------------------------------------------------------


@contextmanager
def spoilt(name: str, old: str, new: str) -> Iterator[Community]:
    """The example community with another text in one of its files."""
    with example_community(date(2026, 11, 20)) as made:
        path = made.directory / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        yield made


SPOILT = [
    ("policies/topics/incidents.kn", '-> "allow"', '-> "ask"'),
    ("credentials/members.kn", 'topic == "incidents"', 'topic == "weather"'),
    ("credentials/sector.kn", 'date < "20', 'date < "10'),
    ("credentials/former.kn", 'date < "20', 'date < "30'),
]


@pytest.mark.parametrize("name,old,new", SPOILT, ids=[name for name, _, _ in SPOILT])
async def test_a_community_that_decides_otherwise_is_not_as_told(name: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platforms, "PATIENCE_SECONDS", 0.5)
    with spoilt(name, old, new) as made, pytest.raises((NotAsTold, TimeoutError)):
        await play(MemoryWorld(), made, Silent())


def test_what_is_not_as_told_ends_with_1_and_says_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(story.WANTED, STRANGER, ("subscribed", *story.WANTED[STRANGER][1:]))
    result = CliRunner().invoke(app(), ["--memory"])
    assert result.exit_code == 1
    assert f"{STRANGER}'s subscription should be subscribed, and is none" in " ".join(result.stderr.split())
    assert "refused  id=" in result.stderr  # the log, to look for the reason


def test_it_is_played_in_a_checkout_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(community, "POLICIES", tmp_path / "none")
    result = CliRunner().invoke(app(), ["--memory"])
    assert result.exit_code == 2
    assert "run the demonstration in a checkout" in result.stderr


def app() -> typer.Typer:
    made = typer.Typer()
    made.command()(demo)
    return made


def test_the_expired_licence_was_good_until_yesterday() -> None:
    admitted = keynote.admit(community.expired(date(2026, 11, 20)))
    values = ["deny", "allow"]
    action = {"operation": "subscribe", "topic": "incidents", "domain": "former.example"}
    policy = keynote.admit(f'Authorizer: "POLICY"\nLicensees: "{demonstration_key("Sector").principal}"\n'.encode(), policy=True)
    assertions = keynote.Assertions(policies=[policy], credentials=[admitted])
    days = ("20261119", "20261120")
    asked = [assertions.query(authorizers=["xmpp-member:former.example"], action={**action, "date": day}, values=values) for day in days]
    assert [each.value for each in asked] == ["allow", "deny"]
