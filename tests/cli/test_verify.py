"""``verify``."""

from __future__ import annotations

from pathlib import Path

from clearinghouse import keynote
from tests.cli.conftest import HUB, Command, credential


def test_a_valid_credential(run: Command, desk: Path) -> None:
    found = run("verify", "ann.kn")
    assert found.status == 0
    assert "✔ ann.kn: sig-ed25519-hex, Ed25519 key" in found.out
    told = run("verify", "ann.kn", "--json").json
    [one] = told["assertions"]
    assert told["ok"] is one["valid"] is True
    assert one["id"] == keynote.admit((desk / "ann.kn").read_bytes()).name
    assert (one["authorizer"], one["signature"], one["line"], one["error"]) == (HUB.principal, "sig-ed25519-hex", 1, None)


def test_each_assertion_of_each_file_is_judged(run: Command, desk: Path) -> None:
    (desk / "both.kn").write_bytes(credential("x") + b"\n" + credential("y").replace(b'"y"', b'"z"'))
    found = run("verify", "both.kn", "topic.kn", "broken.kn", "--json")
    assert found.status == 1
    told = [(one["file"], one["line"], one["valid"], (one["error"] or {}).get("code")) for one in found.json["assertions"]]
    assert told == [
        ("both.kn", 1, True, None),
        ("both.kn", 6, False, "bad-signature"),
        ("topic.kn", 1, False, "bad-signature"),
        ("broken.kn", 1, False, "malformed"),
    ]


def test_an_invalid_credential_says_why(run: Command) -> None:
    found = run("verify", "tampered.kn")
    assert found.status == 1
    assert "✘ tampered.kn: not valid, Ed25519 key" in found.out
    assert "the signature does not verify" in found.err


def test_a_position_counts_from_the_beginning_of_the_file(run: Command, desk: Path) -> None:
    (desk / "both.kn").write_bytes(credential("x") + b"\n\n" + (desk / "broken.kn").read_bytes())
    [_, bad] = run("verify", "both.kn", "--json").json["assertions"]
    assert (bad["line"], bad["error"]["line"], bad["error"]["column"]) == (7, 8, 1)


def test_a_folder_is_its_assertions(run: Command, desk: Path) -> None:
    (desk / "below").mkdir()
    (desk / "ann.kn").rename(desk / "below" / "ann.kn")
    (desk / "below" / "notes.txt").write_text("not looked at")
    assert [one["file"] for one in run("verify", ".", "--json").json["assertions"]].count("below/ann.kn") == 1


def test_an_unreadable_file_is_named_and_the_others_are_judged(run: Command, desk: Path) -> None:
    (desk / "empty.kn").write_text("# nothing\n")
    found = run("verify", "absent.kn", "empty.kn", "ann.kn", "--json")
    assert found.status == 2
    assert [error["file"] for error in found.json["errors"]] == ["absent.kn", "empty.kn"]
    assert [one["valid"] for one in found.json["assertions"]] == [True]
    assert "`absent.kn` cannot be read (No such file or directory)" in run("verify", "absent.kn").err
