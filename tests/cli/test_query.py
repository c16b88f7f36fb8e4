"""``query``: values, exit status, what is missing, and files that cannot be loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clearinghouse.cli import reading
from tests.cli.conftest import ANN, EVE, Command

ASK = ("query", "--policy", "topic.kn", "--credential", "ann.kn", "--now", "2026-11-20", "--attribute", "operation=subscribe")
ANN_ASKS = (*ASK, "--authorizer", ANN.principal)
NEWS = ("--attribute", "topic=news")
INCIDENTS = ("--attribute", "topic=incidents")


def test_the_value_and_nothing_else(run: Command) -> None:
    found = run(*ANN_ASKS, *NEWS)
    assert (found.status, found.out, found.err) == (0, "allow\n", "")


def test_below_the_strongest_value_the_nearest_step_is_told(run: Command) -> None:
    found = run(*ANN_ASKS, *INCIDENTS)
    assert (found.status, found.out) == (1, "ask\n")
    assert '`topic == "news"` failed: `topic` is `incidents`' in found.err
    assert run(*ANN_ASKS, *INCIDENTS, "--quiet").err == ""


def test_somebody_else(run: Command) -> None:
    found = run(*ASK, "--authorizer", EVE.principal, *NEWS)
    assert (found.status, found.out) == (1, "deny\n")
    assert "a licence for `ed25519-" in found.err


@pytest.mark.parametrize("who", ["ann.pub", "./ann.pub", "ann.key", ANN.principal.upper().replace("ED25519-HEX", "Ed25519-Hex")])
def test_who_asks_may_be_a_file(run: Command, who: str) -> None:
    assert run(*ASK, "--authorizer", who, *NEWS).out == "allow\n"


def test_a_name_is_a_name_also_where_a_file_has_it(run: Command, desk: Path) -> None:
    (desk / "hub").write_text(ANN.principal)
    assert run(*ASK, "--authorizer", "hub", *NEWS).out == "deny\n"


def test_the_clock_is_ours_unless_a_time_is_given(run: Command) -> None:
    late = (*ANN_ASKS[:5], "--now", "2027-01-01T00:00:00+00:00", *ANN_ASKS[7:])
    assert run(*late, *NEWS).out == "deny\n"
    earlier = (*ANN_ASKS[:5], "--now", "2027-01-01T01:00:00+02:00", *ANN_ASKS[7:])
    assert run(*earlier, *NEWS).out == "allow\n"
    assert run(*late, *NEWS, "--attribute", "date=20261231").out == "allow\n"
    told = run("query", "--policy", "topic.kn", "--authorizer", "x", "--json").json
    assert told["attributes"]["date"] == told["attributes"]["time"][:8] == f"{reading.instant(None):%Y%m%d}"
    assert run(*ANN_ASKS[:5], "--now", "yesterday", *ANN_ASKS[7:]).status == 2


def test_attributes_from_a_file(run: Command, desk: Path) -> None:
    (desk / "action.json").write_text(json.dumps({"topic": "incidents", "name": "é\n"}))
    assert run(*ANN_ASKS, "--attributes", "action.json").out == "ask\n"
    assert run(*ANN_ASKS, "--attributes", "action.json", *NEWS).out == "allow\n"
    assert run(*ANN_ASKS, "--attributes", "-", given='{"topic": "news"}').out == "allow\n"


@pytest.mark.parametrize("content", ["", "[]", '{"topic": 5}', '{"topic": null}', "{", "[" * 100_000])
def test_attributes_that_are_no_texts(run: Command, desk: Path, content: str) -> None:
    (desk / "action.json").write_text(content)
    found = run(*ANN_ASKS, "--attributes", "action.json", "--json")
    assert (found.status, found.json["error"]["code"]) == (2, "bad-settings")


def test_policies_and_credentials_may_be_text(run: Command) -> None:
    policy = 'Authorizer: "POLICY"\nLicensees: "me"\nConditions: true -> "yes";'
    assert run("query", "--policy", policy, "--authorizer", "me", "--values", "no,yes").out == "yes\n"
    assert run("query", "--policy", "-", "--authorizer", "me", "--values", "no, yes", given=policy).out == "yes\n"


def test_a_file_that_cannot_be_loaded_is_named_and_the_others_count(run: Command) -> None:
    more = ("--policy", "broken.kn", "--credential", "tampered.kn", "--credential", "absent.kn", "--credential", "past.kn")
    found = run(*ANN_ASKS, *NEWS, *more)
    assert (found.status, found.out) == (0, "allow\n")
    for said in ("broken.kn: line 2, column 1", "tampered.kn: the signature does not verify", "`absent.kn` cannot be read"):
        assert said in found.err
    told = run(*ANN_ASKS, *NEWS, *more, "--json").json
    assert [(each["file"], each["code"]) for each in told["errors"]] == [
        ("broken.kn", "malformed"),
        ("tampered.kn", "bad-signature"),
        ("absent.kn", "bad-settings"),
    ]
    assert [each["reason"] for each in told["proof"]["skipped"]][:3] == ["malformed", "bad-signature", "bad-settings"]


def test_without_any_policy_there_is_no_answer(run: Command) -> None:
    found = run("query", "--policy", "broken.kn", "--credential", "ann.kn", "--authorizer", "x")
    assert (found.status, found.out) == (2, "")
    assert "broken.kn: line 2, column 1" in found.err


def test_json_has_value_proof_and_question(run: Command) -> None:
    told = run(*ANN_ASKS, *INCIDENTS, "--json").json
    assert (told["ok"], told["value"], told["values"]) == (False, "ask", ["deny", "ask", "allow"])
    assert [link["channel"] for link in told["proof"]["chain"]] == ["policy", "credential"]
    assert told["proof"]["missing"][0]["value"] == "allow"
    assert told["attributes"]["topic"] == "incidents"


@pytest.mark.parametrize(
    "words,code",
    [
        (("--values", "deny,,allow"), "bad-settings"),
        (("--values", ""), "bad-settings"),
        (("--values", "deny,deny"), "bad-query"),
        (("--attribute", "topic"), "bad-settings"),
        (("--attribute", "=x"), "bad-settings"),
        (("--values", "allow"), "bad-query"),
        (("--attribute", "x=1", "--attribute", "x=2"), "bad-query"),
        (("--attribute", "1x=1"), "bad-query"),
        (("--attribute", "a b=1"), "bad-query"),
        (("--authorizer", ""), "bad-query"),
        (("--authorizer", "a,b"), "bad-query"),
        (("--attribute", "_MIN_TRUST=x"), "bad-query"),
        (("--authorizer", "POLICY"), "bad-query"),
        (("--authorizer", "rsa-hex:00"), "bad-principal"),
        (("--authorizer", "absent/key"), "bad-settings"),
    ],
    ids=repr,
)
def test_bad_questions(run: Command, words: tuple[str, ...], code: str) -> None:
    found = run(*ANN_ASKS, *words, "--json")
    assert (found.status, found.json["ok"], found.json["error"]["code"]) == (2, False, code)


def test_legacy_signatures_need_the_switch(run: Command) -> None:
    vectors = Path(__file__).parents[1] / "conformance" / "keynote-signed.jsonl"
    case = json.loads(vectors.read_text().splitlines()[0])
    texts = [("--policy" if each["policy"] else "--credential", each["text"]) for each in case["assertions"]]
    words = [word for pair in texts for word in pair] + [f"--authorizer={name}" for name in case["authorizers"]]
    words += [f"--attribute={name}={value}" for name, value in case["action"].items()] + ["--values", ",".join(case["values"])]
    assert "legacy" in run("query", *words).err
    assert run("query", "--allow-legacy", *words).out == case["expect"] + "\n"
