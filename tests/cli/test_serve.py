from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from clearinghouse.cli.main import app


def check(hub: Path, *words: str) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, ["serve", "--config", str(hub / "clearinghouse.toml"), "--check", *words])


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    CliRunner().invoke(app, ["init", str(tmp_path / "hub"), "--community", "csirt-net"])
    return tmp_path / "hub"


def test_check_says_what_would_be_loaded(hub: Path) -> None:
    result = check(hub)
    assert result.exit_code == 0
    for words in (
        "community csirt-net",
        "2 policies in topics",
        "1 credential\n",
        "credentials/members.kn",
        "not made yet",
        "nothing was left out",
    ):
        assert words in result.stdout
    assert not (hub / "clearinghouse.db").exists()


def test_check_ends_with_2_and_names_line_and_mend_where_something_is_left_out(hub: Path) -> None:
    policy = hub / "policies/topics/incidents.kn"
    policy.write_text(policy.read_text().replace("Licensees: Hub && Desk", "Licensee: Hub && Desk"))
    result = check(hub)
    assert result.exit_code == 2
    line = policy.read_text().splitlines().index("Licensee: Hub && Desk") + 1
    assert f"topics/incidents.kn, line {line}, column 1: `Licensee` is not a field of KeyNote: did you mean `Licensees:`?" in result.stdout
    assert "1 policy in topics" in result.stdout
    assert "1 left out" in result.stdout
    told = json.loads(check(hub, "--json").stdout)
    assert (told["ok"], told["left_out"][0]["line"]) == (False, line)


def test_a_secret_of_mode_0644_is_refused_before_anything_connects(hub: Path) -> None:
    (hub / "secrets/clearinghouse.hub.example").chmod(0o644)
    assert check(hub).exit_code == 2
    result = CliRunner().invoke(app, ["serve", "--config", str(hub / "clearinghouse.toml")])
    assert result.exit_code == 2
    assert "chmod 600" in result.stderr


def test_an_unknown_setting_is_an_error(hub: Path) -> None:
    config = hub / "clearinghouse.toml"
    config.write_text(config.read_text().replace("max_items", "max_item"))
    result = check(hub)
    assert result.exit_code == 2
    assert "did you mean `max_items`?" in result.stderr


def test_no_settings_at_all_are_told_with_the_command_that_makes_some(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["serve", "--config", str(tmp_path / "none.toml")])
    assert result.exit_code == 2
    assert "clearinghouse init" in result.stderr
