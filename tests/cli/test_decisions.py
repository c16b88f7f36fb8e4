from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from clearinghouse.cli.main import app
from tests.runtime.house import ANN, BEA, EVE, SETTINGS, TOPIC, House, example, hurry, until
from tests.world import signed


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Three have asked: one was approved, one refused, one waits."""
    made = example(tmp_path_factory.mktemp("house"))
    made.write("credentials/desk.kn", signed("desk", "xmpp-member:b.example", f'domain == "elsewhere.example" && topic == "{TOPIC}"'))
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        asyncio.run(three_ask(made))
    made.write("clearinghouse.toml", SETTINGS.encode())
    return made


async def three_ask(house: House) -> None:
    async with house.open() as service:
        for jid in (ANN, EVE, BEA):
            async with house.platform(jid) as platform:
                await platform.subscribe(TOPIC)
                await until(lambda: not service.intake._in_hand)


def run(house: House, *words: str) -> Result:
    config = house.directory / "clearinghouse.toml"
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, ["decisions", "--config", str(config), *words])


def ids(house: House) -> list[str]:
    return [each["id"] for each in json.loads(run(house, "--json").stdout)["decisions"]]


def test_the_list_has_one_row_for_each_in_80_columns(house: House) -> None:
    result = run(house)
    assert result.exit_code == 0
    header, *rows = result.stdout.splitlines()
    assert header.split() == ["id", "UTC", "outcome", "who", "topic", "reason"]
    assert [(row.split()[3], row.split()[-1]) for row in rows] == [
        ("granted", "granted"),
        ("refused", "no-licence"),
        ("pending", "pending"),
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", row.split()[1]) for row in rows)
    assert [row.split()[0] for row in rows] == [each[:8] for each in ids(house)]
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_what_the_desk_signed_is_not_said_to_be_revoked_where_no_second_query_was_made(house: House) -> None:
    for identity in ids(house):
        assert "revoked" not in run(house, identity).stdout


def test_only_the_latest_are_listed_where_that_is_asked(house: House) -> None:
    assert [each["outcome"] for each in json.loads(run(house, "--last", "1", "--json").stdout)["decisions"]] == ["pending"]


def test_one_is_shown_with_its_delegations(house: House) -> None:
    text = run(house, ids(house)[0][:10]).stdout
    assert f"granted: {ANN}, subscribe {TOPIC}" in text
    assert "carried out after" in text
    assert "at the latest; the broker is told then" in text
    assert "POLICY" in text
    assert "xmpp-member:a.example asks" in text
    assert "credentials/a.kn" in text


def test_a_refusal_is_shown_with_what_was_missing(house: House) -> None:
    text = run(house, ids(house)[1]).stdout
    assert f"refused: {EVE}" in text
    assert "a licence for" in text


def test_one_as_json_says_that_the_proof_could_be_made_again(house: House) -> None:
    told = json.loads(run(house, ids(house)[0], "--json").stdout)
    assert told["agrees"] is True
    assert told["decision"]["requesters"] == [f"xmpp:{ANN}", "xmpp-member:a.example"]
    assert told["decision"]["proof"]["value"] == "allow"
    assert told["decision"]["effect"] == "done"


@pytest.mark.parametrize("identity", ["zzz", "%", "_", "'; DROP TABLE decisions; --"])
def test_an_unknown_one_is_an_error(house: House, identity: str) -> None:
    result = run(house, identity)
    assert result.exit_code == 2
    assert "names no single decision" in result.stderr


def test_without_a_store_there_is_nothing_to_see(tmp_path: Path) -> None:
    config = tmp_path / "clearinghouse.toml"
    config.write_text('community = "x"')
    result = CliRunner().invoke(app, ["decisions", "--config", str(config)])
    assert result.exit_code == 2
    assert "it is made when the service starts" in result.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["clearinghouse.toml"]
