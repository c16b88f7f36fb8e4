"""`agent --check`, and what can be done about an agent that does not run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from clearinghouse.cli.main import app
from clearinghouse.keynote.keys import from_seed, write_key_file
from tests.agent.houses import settings_text
from tests.world import key


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    for folder in ("policies", "credentials"):
        (tmp_path / folder).mkdir()
    write_key_file(tmp_path / "agent.key", key("agent a"))
    write_key_file(tmp_path / "site.key", key("site"))
    write_key_file(tmp_path / "other.key", key("mallory"))
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("a secret")
    sections = '[admit]\nminimum = "level-2"\n\n[[source]]\nkind = "files"\ndirectory = "documents"\n'
    (tmp_path / "agent.toml").write_text(settings_text("0" * 64, sections=sections))
    return tmp_path


def run(desk: Path, *words: str) -> Result:
    return CliRunner(env={"COLUMNS": "140"}).invoke(app, ["agent", *words, "--config", str(desk / "agent.toml")])


def answer(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_check_says_what_the_agent_would_start_with(desk: Path) -> None:
    result = run(desk, "--check")
    assert result.exit_code == 0, result.output
    for words in (
        "agent of a.example in csirt-net, enforce",
        "prosody, as agent.a.example at 127.0.0.1:5347, for a.example",
        "level level-2 and each stronger one is admitted",
        "may admit a domain for a time",
        "nothing was left out",
    ):
        assert words in result.stdout
    told = answer(run(desk, "--check", "--json"))
    assert (told["ok"], told["principal"], told["cautions"]) == (True, key("agent a").principal, [])


def test_check_names_what_is_left_out_and_what_is_hardly_meant(desk: Path) -> None:
    (desk / "secret").chmod(0o644)
    (desk / "policies/admit").mkdir()
    (desk / "policies/admit/site.kn").write_text('Authorizer: "POLICY"\nConditions: leve == "level-1" -> "allow";\n')
    config = desk / "agent.toml"
    config.write_text(
        config.read_text().replace('minimum = "level-2"', "").replace("[[source]]", "[log]\n# [[source]]").partition("# [[")[0]
    )
    result = run(desk, "--check", "--json")
    told = answer(result)
    assert result.exit_code == 2
    assert [each["code"] for each in told["left_out"]] == ["unknown-attribute"]
    assert [each["code"] for each in told["errors"]] == ["unsafe-file"]
    assert any("no [[source]]" in each for each in told["cautions"])
    assert any("nobody would be admitted" in each for each in told["cautions"])


def test_a_demonstration_key_is_refused(desk: Path) -> None:
    (desk / "agent.key").unlink()
    write_key_file(desk / "agent.key", from_seed(bytes(32), demo=True))
    assert answer(run(desk, "--check", "--json"))["errors"][0]["code"] == "unsafe-file"
    assert run(desk, "--check", "--allow-demo").exit_code == 0


def test_without_a_running_agent_status_says_so(desk: Path) -> None:
    result = run(desk, "status", "--json")
    assert (result.exit_code, answer(result)["error"]["code"]) == (3, "not-running")
    assert "start the agent: `clearinghouse agent`" in result.output


def test_overrides_are_made_listed_and_withdrawn_without_a_running_agent(desk: Path) -> None:
    words = ("--for", "2 hours", "--reason", "flood")
    denied = answer(run(desk, "override", "deny", "B.example", *words, "--json"))["override"]
    assert (denied["action"], denied["domain"], denied["ended"]) == ("deny", "b.example", None)
    allowed = run(desk, "override", "allow", "c.example", *words, "--key", str(desk / "site.key"))
    assert allowed.exit_code == 0, allowed.output
    refused = run(desk, "override", "allow", "c.example", *words, "--key", str(desk / "other.key"), "--json")
    assert (refused.exit_code, answer(refused)["error"]["code"]) == (2, "override-refused")
    assert "c.example" in run(desk, "override", "list").stdout
    withdrawn = run(desk, "override", "withdraw", denied["id"][:6])
    assert withdrawn.exit_code == 0
    listed = answer(run(desk, "override", "list", "--json"))["overrides"]
    assert [(each["domain"], each["holds"]) for each in listed] == [("b.example", False), ("c.example", True)]


@pytest.mark.parametrize("period", ["2 fortnights", "32 days"])
def test_an_override_is_for_a_time(desk: Path, period: str) -> None:
    result = run(desk, "override", "deny", "b.example", "--for", period, "--reason", "flood", "--json")
    assert (result.exit_code, answer(result)["error"]["code"]) == (2, "bad-settings")
