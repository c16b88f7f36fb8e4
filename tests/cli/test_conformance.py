"""``conformance``: files of cases, and what is no case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clearinghouse.cli.vectors import run_file
from tests.cli.conftest import HUB, Command, credential

CASE: dict[str, Any] = {
    "id": "a-case",
    "assertions": [{"text": 'Authorizer: "POLICY"\nLicensees: "me"\n', "policy": True}],
    "action": {},
    "authorizers": ["me"],
    "values": ["no", "yes"],
    "expect": "yes",
}
BROKEN = {"text": 'Authorizer: "POLICY"\nLicensee: "me"\n', "policy": True}
SIGNED = {"text": credential("x").decode(), "policy": False}
TAMPERED = {"text": credential("x").decode().replace('"x"', '"y"'), "policy": False}
CUT = {"text": credential("x").decode().replace('"x"', '"x'), "policy": False}


def differences(changes: object) -> tuple[str, ...]:
    line = json.dumps(CASE | changes) if isinstance(changes, dict) else changes
    [result] = run_file("file", str(line).encode())
    return result.differences


def test_the_last_line_counts(run: Command, desk: Path) -> None:
    (desk / "good.jsonl").write_text(json.dumps(CASE) + "\n\n" + json.dumps(CASE))
    found = run("conformance", "good.jsonl")
    assert (found.status, found.out) == (0, "2 passed, 0 failed\n")
    (desk / "bad.jsonl").write_text(json.dumps(CASE | {"expect": "no"}) + "\nnonsense\n")
    found = run("conformance", "good.jsonl", "bad.jsonl")
    assert found.status == 1
    assert found.out.splitlines() == [
        "✘ bad.jsonl:1: a-case: wanted `no`, got `yes`",
        "✘ bad.jsonl:2: line 2: the line is no JSON",
        "2 passed, 2 failed",
    ]


@pytest.mark.parametrize("more", [(), ("--json",)], ids=["words", "json"])
def test_no_case_at_all_is_a_failure(run: Command, more: tuple[str, ...]) -> None:
    found = run("conformance", "-", *more, given="\n")
    assert found.status == 1
    assert (found.json["ok"] is False) if more else (found.out == "0 passed, 0 failed\n")


def test_json(run: Command) -> None:
    told = run("conformance", "-", "--json", given=json.dumps(CASE | {"expect": "no"})).json
    assert (told["ok"], told["passed"], told["failed"]) == (False, 0, 1)
    assert told["failures"] == [
        {"file": "standard input", "line": 1, "id": "a-case", "passed": False, "differences": ["wanted `no`, got `yes`"], "erratum": ""}
    ]


def test_a_file_that_is_not_there(run: Command) -> None:
    assert run("conformance", "absent.jsonl").status == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"authorizers": [], "expect": {"error": "no-authorizers"}},
        {"assertions": [*CASE["assertions"], BROKEN], "malformed": [1]},
        {"assertions": [*CASE["assertions"], TAMPERED], "badsig": [1]},
        {"assertions": [*CASE["assertions"], CUT], "badsig": [1]},
        {"assertions": [*CASE["assertions"], BROKEN]},
        {
            "assertions": [{"text": f'Authorizer: "POLICY"\nLicensees: "{HUB.principal}"\n', "policy": True}, SIGNED],
            "authorizers": ["x"],
            "expect": "no",
        },
        {"extra": "member"},
    ],
    ids=["no-authorizers", "malformed", "badsig", "badsig-unreadable", "unmentioned", "signed", "extra"],
)
def test_cases_that_pass(changes: dict[str, Any]) -> None:
    assert differences(changes) == ()


@pytest.mark.parametrize(
    "changes,said",
    [
        ({"expect": "no"}, "wanted `no`, got `yes`"),
        ({"expect": {"error": "no-authorizers"}}, "wanted the error `no-authorizers`, got `yes`"),
        ({"authorizers": []}, "wanted `yes`, got the error `no-authorizers`"),
        ({"authorizers": ["POLICY"]}, "wanted `yes`, got an error: `POLICY` cannot request an action"),
        ({"authorizers": ["rsa-hex:00"]}, "wanted `yes`, got an error: the principal"),
        ({"values": []}, "wanted `yes`, got an error: a query needs compliance values"),
        ({"malformed": [0]}, "assertion 0 was to be refused as malformed, and was admitted"),
        ({"badsig": [0]}, "assertion 0 was to be refused for its signature, and was admitted"),
        (
            {"assertions": [*CASE["assertions"], TAMPERED], "malformed": [1]},
            "assertion 1 was to be refused as malformed, and was refused as bad-signature",
        ),
        ("nonsense", "the line is no JSON"),
        ("[" * 100_000, "the line is no JSON"),
        ("[]", "the line is no JSON object"),
        ("{}", "the member `assertions` is missing"),
        ({"assertions": {}}, "the member `assertions` is no list"),
        ({"assertions": ["text"]}, "assertion 0 has not the members"),
        ({"assertions": [{"text": "x"}]}, "assertion 0 has not the members"),
        ({"action": []}, "the member `action` is no object"),
        ({"action": {"a": 5}}, "the member `action` holds something that is no string"),
        ({"authorizers": [5]}, "the member `authorizers` holds something that is no string"),
        ({"values": "yes"}, "the member `values` is no list"),
        ({"expect": None}, "the member `expect` is neither"),
        ({"expect": {"error": "other"}}, "the member `expect` is neither"),
        ({"malformed": [1]}, "the member `malformed` is no list of indices"),
        ({"badsig": [True]}, "the member `badsig` is no list of indices"),
        ({"badsig": 0}, "the member `badsig` is no list of indices"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else None,
)
def test_cases_that_fail_say_why(changes: object, said: str) -> None:
    assert differences(changes)[0].startswith(said)


def test_lone_surrogates_and_hostile_ids_do_no_harm(run: Command) -> None:
    case = json.dumps(CASE | {"id": "\x1b[2J\u202e", "expect": "\ud800", "authorizers": ["\ud800"]})
    found = run("conformance", "-", given=case)
    assert found.out.splitlines()[0].isprintable()
    assert run("conformance", "-", given=b"\xff\xfe\n").out.endswith("0 passed, 1 failed\n")
