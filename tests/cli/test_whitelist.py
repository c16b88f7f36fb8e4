"""``request whitelist``: what would be shown to a target, and what is refused before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse.demo.keys import demonstration_key
from clearinghouse.keynote.keys import write_key_file
from tests.cli.conftest import Command

CREDENTIALS = Path(__file__).resolve().parents[2] / "credentials"
ASK = ("request", "whitelist", "--to", "target.example", "--domain", "partner.example", "--address", "192.168.40.55", "--allow-demo")
THREE = ("--credential", str(CREDENTIALS / "paper-section-3"))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    found = tmp_path / "Alice.pem"
    write_key_file(found, demonstration_key("Alice"))
    return found


def test_only_the_chain_that_is_needed_is_shown(run: Command, key: Path) -> None:
    found = run(*ASK, "--key", str(key), *THREE, "--for", "1 hour", "--dry-run", "--json").json
    request = found["request"]
    assert (found["ok"], found["answer"], request["held"]) == (True, None, 2)
    assert request["body"] == {
        "App_domain": "XMPP",
        "Server_IP_Address": "192.168.40.55",
        "domain": "partner.example",
        "seconds": "3600",
    }
    [shown] = request["credentials"]
    assert shown["from"] == demonstration_key("TargetAdmin").principal
    assert set(shown) == {"id", "from", "source"}
    everything = run(*ASK, "--key", str(key), *THREE, "--all", "--dry-run", "--json").json
    assert len(everything["request"]["credentials"]) == 2


def test_the_target_may_trust_somebody_further_down(run: Command, key: Path) -> None:
    """Where the target trusts Alice herself, nothing has to be shown."""
    found = run(*ASK, "--key", str(key), *THREE, "--root", demonstration_key("Alice").principal, "--dry-run", "--json").json
    assert found["request"]["credentials"] == []


@pytest.mark.parametrize(
    "more, code, words",
    [
        (("--packet", "Message"), "malformed-request", "kind of packet"),
        (("--direction", "both"), "malformed-request", "direction"),
        (("--user", "bob@other.example"), "malformed-request", "no user of"),
        (("--address", "192.168.040.55"), "malformed-request", "IP address"),
        (("--domain", "*"), "cannot-enforce", "no one domain"),
        (("--claim", "App_domain=ERP"), "cannot-enforce", "no application"),
        (("--domain", "other.example"), "holder", "do not lead to your key"),
        (("--for", "soon"), "bad-settings", "length of time"),
        (("--to", "192.0.2.1"), "bad-name", "192.0.2.1"),
        (("--credential", "absent.kn"), "bad-settings", "absent.kn"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_it_is_sent(run: Command, key: Path, more: tuple[str, ...], code: str, words: str) -> None:
    found = run(*ASK, "--key", str(key), *THREE, *more, "--dry-run", "--json")
    assert found.status == 2
    assert found.json["error"]["code"] == code
    assert words in found.json["error"]["message"]


@pytest.mark.parametrize("way", [(), ("--via", "https://a.example", "--relay", "https://b.example"), ("--relay", "https://b.example")])
def test_there_is_exactly_one_way(run: Command, key: Path, way: tuple[str, ...]) -> None:
    found = run(*ASK, "--key", str(key), *way, "--json")
    assert (found.status, found.json["error"]["code"]) == (2, "bad-settings")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ftp://a.example", "a.example:8443", "https://"])
def test_nothing_is_sent_without_tls(run: Command, key: Path, url: str) -> None:
    found = run(*ASK, "--key", str(key), "--via", url, "--json")
    assert (found.status, found.json["error"]["code"]) == (2, "bad-settings")


def test_an_agent_that_is_not_there_is_no_refusal(run: Command, key: Path) -> None:
    found = run(*ASK, "--key", str(key), "--via", "https://127.0.0.1:9", "--json")
    assert (found.status, found.json["error"]["code"]) == (3, "agent-unreachable")
