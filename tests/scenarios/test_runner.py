"""``clearinghouse scenario``, where something is not as wanted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clearinghouse.cli.main import app
from clearinghouse.cli.scenario_file import read_scenarios
from clearinghouse.cli.scenario_run import run_file
from clearinghouse.errors import BadPolicy, BadSettings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def community(tmp_path: Path) -> Path:
    """Return the scenario file of a copy of the demonstration, for a test to spoil."""
    for folder in ("policies/demo", "credentials"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path / "policies/demo/scenarios.toml"


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clearinghouse", "scenario", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={"PYTHONUTF8": "1"})


def test_a_wrong_wish_fails_and_shows_the_proof(community: Path) -> None:
    change(community, 'want = { value = "ask", outcome = "pending", reason = "pending"', 'want = { value = "allow", outcome = "granted"')
    done = run(community)
    assert done.returncode == 1
    assert "the value is `ask`, not `allow`" in done.stdout
    assert "credentials/demo/associates.kn, clause 1: " in done.stdout
    assert "`allow` would need a licence for `xmpp:bea@associates.example` from " in done.stdout
    assert done.stdout.endswith("22 passed, 1 failed\n")


def test_json_has_every_scenario_with_its_proof(community: Path) -> None:
    change(community, 'says = ["4 assertions carry `allow`"]', 'says = ["5 assertions"]')
    done = run("--json", community)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["ok"], answer["passed"], answer["failed"]) == (1, False, 22, 1)
    first = answer["scenarios"][0]
    assert first["failures"] == ["nothing says `5 assertions`"]
    assert (first["value"], first["outcome"], first["reason"]["code"]) == ("allow", "granted", "granted")
    assert first["proof"]["chain"][0]["source"] == "topics/incidents.kn:12"


HEAD = 'note = "n"\ncommunity = "c"\n'


@pytest.mark.parametrize(
    "content,said",
    [
        (b"\x7fELF\xff\xfe\x00", "scenarios.toml` is not UTF-8 text"),
        (f"{HEAD}scenario = 3\n".encode(), "scenario: it is no list of tables"),
        (f"{HEAD}scenario = [1]\n".encode(), "scenario: it is no list of tables"),
        (f"{HEAD}request = 3\n".encode(), "request: it is no table"),
        (f'{HEAD}principals = "junk.toml"\n'.encode(), "junk.toml` is not UTF-8 text"),
        (f'{HEAD}principals = "absent.toml"\n'.encode(), "absent.toml` cannot be read"),
        (f'{HEAD}principals = "broken.toml"\n'.encode(), "broken.toml` is not TOML"),
        (b"a = " + b"[" * 100_000, "cannot be used (RecursionError)"),
    ],
    ids=["binary", "number", "list", "request", "principals-binary", "principals-absent", "principals-broken", "deep"],
)
def test_what_is_no_scenario_file_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "scenarios.toml").write_bytes(content)
    (tmp_path / "junk.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "broken.toml").write_text("= 3")
    result = CliRunner().invoke(app, ["scenario", str(tmp_path / "scenarios.toml"), "--json"])
    assert result.exit_code == 2
    assert said in json.loads(result.stdout)["error"]["message"]


def test_a_broken_policy_is_named_with_its_line_and_nothing_is_tested(community: Path) -> None:
    change(community.parent / "topics/incidents.kn", "Licensees: Hub\n", "Licensee: Hub\n")
    done = run(community)
    assert done.returncode == 2
    assert "topics/incidents.kn, line 7, column 1: `Licensee` is not a field of KeyNote: did you mean `Licensees:`?" in done.stderr


def test_a_policy_that_breaks_a_rule_of_authority_is_refused(community: Path) -> None:
    change(community.parent / "topics/incidents.kn", 'operation == "subscribe"', 'topic == "incidents"')
    with pytest.raises(BadPolicy, match="operation"):
        run_file(community)


@pytest.mark.parametrize(
    "old,new,message",
    [
        ('door = "broker"', 'dor = "broker"', "request"),
        ('value = "allow"', 'vaule = "allow"', "want"),
        ("now = 2026-11-20T12:00:00Z", "now = 2026-11-20T12:00:00", "timezone"),
        ('requesters = ["xmpp:ann@members.example", ', 'requesters = ["An", ', "`An` is none of the file's principals"),
        ('credentials = ["../../credentials/demo"]', 'credentials = ["../../credential/demo"]', "there is no"),
        ('community = "csirt-net"', 'community = "csirt-net"\npolicies = "topics"', "holds no policies"),
        ('door = "broker"', 'door = broker"', "is not TOML"),
    ],
)
def test_a_slip_in_the_file_is_an_error_and_never_a_denial(community: Path, old: str, new: str, message: str) -> None:
    change(community, old, new)
    with pytest.raises(BadSettings, match=message):
        run_file(community)


def test_a_file_without_scenarios_tests_nothing_and_says_so(community: Path) -> None:
    community.write_text('note = "nothing"\ncommunity = "csirt-net"\n')
    with pytest.raises(BadSettings, match="scenarios"):
        read_scenarios(community)


def test_tables_are_merged_and_anything_else_is_replaced(community: Path) -> None:
    community.write_text(
        """\
note = "merging"
community = "csirt-net"
[request]
operation = "subscribe"
door = "broker"
now = 2026-11-20T12:00:00Z
requesters = ["a:1", "b:2"]
observed = { topic = "incidents", domain = "a.example" }
[[scenario]]
note = "one"
request = { requesters = ["c:3"], observed = { topic = "drafts" } }
want = { value = "deny", outcome = "refused" }
"""
    )
    request = read_scenarios(community).scenarios[0].request
    assert request.requesters == ("c:3",)
    assert request.observed == {"topic": "drafts", "domain": "a.example"}
