"""`init` writes what works; that it works at a server is tested with the servers."""

from __future__ import annotations

import getpass
import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from clearinghouse import keynote
from clearinghouse.clearing.policies import check_policy
from clearinghouse.cli.main import app
from clearinghouse.keynote.keys import read_key_file
from clearinghouse.settings import read_settings


def run(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, list(words))


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    result = run("init", str(tmp_path / "hub"), "--community", "csirt-net", "--broker", "pubsub.hub.example")
    assert result.exit_code == 0, result.stderr
    return tmp_path / "hub"


def test_what_it_writes_is_accepted_as_it_is(hub: Path) -> None:
    result = run("serve", "--config", str(hub / "clearinghouse.toml"), "--check", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (told["ok"], told["left_out"], told["errors"], told["cautions"]) == (True, [], [], [])
    assert told["brokers"] == ["pubsub.hub.example"]
    assert told["credentials"] == ["credentials/members.kn"]


def test_the_linter_has_nothing_to_warn_of(hub: Path) -> None:
    for part in ("policies", "credentials", "drafts"):
        result = run("lint", str(hub / part))
        assert result.exit_code == 0, result.stdout


def test_secrets_and_keys_are_private_and_nothing_else_has_to_be(hub: Path) -> None:
    modes = {str(path.relative_to(hub)): path.stat().st_mode & 0o777 for path in hub.rglob("*") if path.is_file()}
    private = {"keys/hub.key", "keys/desk.key", "keys/log.key", "secrets/clearinghouse.hub.example", "ejabberd.yml"}
    assert {name for name, mode in modes.items() if mode == 0o600} == private
    assert {mode for name, mode in modes.items() if name not in private} == {0o644}
    assert (hub / "keys").stat().st_mode & 0o777 == 0o700


def test_every_file_has_its_own_keys_and_secrets(tmp_path: Path, hub: Path) -> None:
    assert run("init", str(tmp_path / "other"), "--community", "csirt-net").exit_code == 0
    for name in ("keys/hub.key", "keys/desk.key", "keys/log.key", "secrets/clearinghouse.hub.example"):
        assert (hub / name).read_bytes() != (tmp_path / "other" / name).read_bytes()
    assert read_key_file(hub / "keys/hub.key").principal != read_key_file(hub / "keys/desk.key").principal


def ask(hub: Path, *credentials: bytes) -> str:
    """Return the compliance value for a user of the hub's own domain."""
    policies = [keynote.admit(raw, policy=True) for _, raw in keynote.split_assertions((hub / "policies/topics/incidents.kn").read_bytes())]
    for each in policies:
        check_policy(each, "topics")
    assertions = keynote.Assertions(policies=policies, credentials=[keynote.admit(raw) for raw in credentials])
    action = {
        "operation": "subscribe",
        "broker": "pubsub.hub.example",
        "topic": "incidents",
        "payload_type": "urn:ietf:params:xml:ns:iodef-2.0",
        "domain": "hub.example",
        "date": "20261121",
    }
    return assertions.query(authorizers=["xmpp-member:hub.example"], action=action, values=["deny", "ask", "allow"]).value


def test_the_first_policy_has_the_shape_of_rule_r2(hub: Path) -> None:
    """The licence alone gives `ask`, the approval alone nothing, both together `allow`."""
    member = (hub / "credentials/members.kn").read_bytes()
    approval = keynote.sign((hub / "drafts/approval.kn").read_bytes(), read_key_file(hub / "keys/desk.key"))
    assert [ask(hub), ask(hub, approval), ask(hub, member), ask(hub, member, approval)] == ["deny", "deny", "ask", "allow"]


def test_it_tells_three_commands_in_words_that_a_shell_takes(tmp_path: Path) -> None:
    result = run("init", str(tmp_path / "my hub"), "--community", "csirt-net", "--json")
    commands = json.loads(result.stdout)["commands"]
    assert len(commands) == 3
    assert shlex.split(commands[0]) == ["clearinghouse", "serve", "--config", str(tmp_path / "my hub/clearinghouse.toml"), "--check"]


def test_what_it_prints_fits_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("init", "hub", "--community", "csirt-net")
    wide = [line for line in result.stdout.splitlines() if len(line) > 80 and not line.startswith("   clearinghouse")]
    assert wide == []
    assert result.stdout.count("   clearinghouse ") == 3


def test_several_brokers_each_have_their_component_and_secret(tmp_path: Path) -> None:
    run("init", str(tmp_path / "hub"), "--community", "x", "--broker", "pubsub.a.example", "--broker", "pubsub.b.example")
    settings = read_settings(tmp_path / "hub/clearinghouse.toml")
    assert [(each.jid, each.component) for each in settings.broker] == [
        ("pubsub.a.example", "clearinghouse.a.example"),
        ("pubsub.b.example", "clearinghouse.b.example"),
    ]
    assert [each.broker for each in settings.topic] == ["pubsub.a.example"]


@pytest.mark.parametrize("community", ["", "CSIRT", "a b", 'x" #', "a\nb", "-x", "../x"])
def test_a_name_that_cannot_be_used_leaves_nothing_behind(tmp_path: Path, community: str) -> None:
    result = run("init", str(tmp_path / "hub"), "--community", community)
    assert result.exit_code == 2
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize("broker", ["", "PubSub.example", "user@example", "a b", "*", 'x"\n[log]'])
def test_a_broker_that_cannot_be_used_leaves_nothing_behind(tmp_path: Path, broker: str) -> None:
    result = run("init", str(tmp_path / "hub"), "--community", "x", "--broker", broker)
    assert result.exit_code == 2
    assert not (tmp_path / "hub").exists()


def test_nothing_is_overwritten(tmp_path: Path, hub: Path) -> None:
    before = {path: path.read_bytes() for path in hub.rglob("*") if path.is_file()}
    result = run("init", str(hub), "--community", "other")
    assert result.exit_code == 2
    assert "is not empty" in result.stderr
    assert {path: path.read_bytes() for path in hub.rglob("*") if path.is_file()} == before
    (tmp_path / "file").write_text("x")
    assert "is no directory" in run("init", str(tmp_path / "file"), "--community", "x").stderr


def test_whoever_makes_it_is_the_first_person_and_may_decide(hub: Path) -> None:
    settings = read_settings(hub / "clearinghouse.toml")
    me = f"unix:{getpass.getuser()}"
    assert settings.person_of(me) is not None
    assert settings.desk.key_file == hub / "keys/desk.key"
    assert settings.ledger.key_file == hub / "keys/log.key"
    raw = (hub / "policies/people/keepers.kn").read_bytes()
    policies = [keynote.admit(each, policy=True) for _, each in keynote.split_assertions(raw)]
    for each in policies:
        check_policy(each, "people")
    assertions = keynote.Assertions(policies=policies)
    about = {"operation": "approve", "topic": "incidents", "subject": "ann@hub.example"}
    for asking, action, value in (
        (me, about, "allow"),
        ("unix:somebody-else", about, "deny"),
        (me, about | {"topic": "*"}, "deny"),
        (me, about | {"subject": "*"}, "deny"),
        (me, {"operation": "administer"}, "allow"),
    ):
        assert assertions.query(authorizers=[asking], action=action, values=["deny", "allow"]).value == value
