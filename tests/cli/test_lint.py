"""``lint``."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command

CARELESS = """\
Authorizer: "POLICY"
Licensees: "hub"
Conditions: operation == "subscribe" && @size < 5 -> "allow";

Authorizer: "POLICY"
Licensees: "hub"
Conditions: operation == "subcsribe" -> "allow";
"""


def test_advice_has_place_rule_message_and_mend(run: Command, desk: Path) -> None:
    (desk / "careless.kn").write_text(CARELESS)
    found = run("lint", "careless.kn")
    assert found.status == 1
    assert found.out.splitlines() == [
        "careless.kn:3:42: warning K301 true-on-absence",
        "  `@size < 5` also holds when `size` is not set, which reads as 0",
        '  put a guard before it: `size ~= "^[0-9]+$" && ...`',
        "careless.kn:7:26: warning K701 near-miss",
        "  `operation` is `subcsribe` here and `subscribe` in another assertion",
        '  if they mean the same, write `"subscribe"` in both places',
        "2 warnings in 2 assertions",
    ]


def test_the_key_that_signs_approvals_may_be_named(run: Command, desk: Path) -> None:
    (desk / "alone.kn").write_text('Authorizer: "POLICY"\nLicensees: "desk"\nConditions: operation == "subscribe" -> "allow";\n')
    assert run("lint", "alone.kn").status == 0
    found = run("lint", "alone.kn", "--desk", "desk")
    assert (found.status, found.out.splitlines()[0]) == (1, "alone.kn:2:1: warning K605 desk-alone")


def test_notes_count_only_if_that_is_wanted(run: Command) -> None:
    found = run("lint", "ann.kn")
    assert (found.status, found.out.splitlines()[-1]) == (0, "1 note in 1 assertion")
    assert run("lint", "--strict", "ann.kn").status == 1
    assert run("lint", "topic.kn").out == "nothing to say in 1 assertion\n"


def test_all_mistakes_of_a_text_that_cannot_be_parsed(run: Command) -> None:
    found = run("lint", "-", given='Authorizer: "POLICY"\nLicensee: "hub"\nConditions: a = "b";\n')
    assert found.status == 1
    assert [line for line in found.out.splitlines() if "error" in line] == [
        "standard input:2:1: error malformed",
        "standard input:3:15: error malformed",
        "2 errors in 1 assertion",
    ]


def test_json(run: Command, desk: Path) -> None:
    (desk / "careless.kn").write_text(CARELESS)
    told = run("lint", "careless.kn", "absent.kn", "--json")
    assert told.status == 2
    assert [each["rule"] for each in told.json["findings"]] == ["K301", "K701"]
    assert [each["file"] for each in told.json["errors"]] == ["absent.kn"]
    assert list(told.json["findings"][0]) == ["file", "line", "column", "level", "rule", "name", "message", "mend"]
