"""Each rule of the linter with the examples of ``lint_rules.toml``."""

from __future__ import annotations

import base64
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from clearinghouse import keynote
from clearinghouse.errors import ClearinghouseError
from clearinghouse.keynote import Limits, syntax
from clearinghouse.keynote.keys import from_seed
from clearinghouse.keynote.lint import RULES, Advice, lint, lint_set
from clearinghouse.keynote.principals import of_key
from clearinghouse.keynote.public_keys import read_library_key
from tests.unit.keynote.certificates import certificate, ecdsa_secret

CONFORMANCE = Path(__file__).parents[2] / "conformance"
ALICE = from_seed(b"alice" + bytes(27)).principal
NAMES = {
    "ALICE": ALICE,
    "ALICE_BASE64": "ed25519-base64:" + base64.b64encode(bytes.fromhex(ALICE.partition(":")[2])).decode(),
    "BOB": from_seed(b"bob" + bytes(29)).principal,
    "RSA_1024": of_key(read_library_key(rsa.RSAPublicNumbers(65_537, (1 << 1023) + 9).public_key())),
    "CERTIFICATE": "x509-hex:" + certificate(ecdsa_secret()).hex(),
}
EXAMPLES = tomllib.loads(Path(__file__).with_name("lint_rules.toml").read_text())["rule"]
NAMES_BY_ID = {rule.id: rule.name for rule in RULES.values()}


def advice(text: str) -> list[tuple[int, Advice]]:
    """Return what is said about each assertion of *text*, with the assertion's number."""
    filled = re.sub(r"\{([A-Z0-9_]+)\}", lambda found: NAMES[found.group(1)], text.lstrip("\n"))
    trees = [keynote.parse(raw) for _, raw in keynote.split_assertions(filled.encode())]
    alone = [(number, each) for number, tree in enumerate(trees, start=1) for each in lint(tree, desk="desk")]
    return alone + [(number, each) for number, found in enumerate(lint_set(trees), start=1) for each in found]


@dataclass(frozen=True, slots=True)
class Example:
    id: str
    bad: str
    good: str
    line: int
    column: int
    words: list[str]
    times: int = 1
    number: int = 1


@pytest.mark.parametrize(
    "example",
    [pytest.param(Example(**each), id=f"{number}-{each['id']}-{NAMES_BY_ID[each['id']]}") for number, each in enumerate(EXAMPLES)],
)
def test_a_rule_finds_its_bad_example_and_not_its_good_one(example: Example) -> None:
    found = [(number, each) for number, each in advice(example.bad) if each.rule == example.id]
    assert len(found) == example.times
    number, first = found[0]
    assert (number, first.line, first.column) == (example.number, example.line, example.column)
    assert [word for word in example.words if word not in f"{first.message}: {first.mend}"] == []
    assert [each for _, each in advice(example.good) if each.rule == example.id] == []


def test_every_rule_has_an_example() -> None:
    assert {each["id"] for each in EXAMPLES} == set(NAMES_BY_ID)


def test_ids_are_unique_and_in_order() -> None:
    ids = [rule.id for rule in RULES.values()]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("written", ["K701", "near-miss", "K201, near-miss"])
def test_advice_that_the_author_has_seen_is_not_repeated(written: str) -> None:
    text = 'Authorizer: "POLICY"\nLicensees: "a"\nConditions: role == "b2c"; # lint: allow WHAT\n  role == "c2b";\n'
    assert "K701" in {each.rule for _, each in advice(text)}
    assert "K701" not in {each.rule for _, each in advice(text.replace("WHAT", written))}


def test_a_tree_without_text_is_printed_first() -> None:
    tree = keynote.parse(b'Authorizer: "POLICY"\nLicensees: hub\n')
    made = type(tree)(tree.authorizer, tree.licensees)
    assert [each.rule for each in lint(made)] == ["K002"]


def test_advice_is_in_the_order_of_the_text() -> None:
    text = b'Conditions: @time < 5 && x ~= "\\d";\nLicensees: hub\nAuthorizer: POLICY\n'
    found = [(each.line, each.column) for each in lint(keynote.parse(text))]
    assert found == sorted(found)
    assert {line for line, _ in found} == {1, 2, 3}


def test_advice_names_nothing_that_could_move_a_terminal() -> None:
    text = 'Authorizer: "POLICY"\nLicensees: "a"\nConditions: x == "\x1b[2J\u202e\\007";\n  x == "\x1b[2J\u202e\\007";\n'.encode()
    assert all((each.message + each.mend).isprintable() for each in lint(keynote.parse(text)))


def test_json_has_the_documented_members() -> None:
    [found] = lint(keynote.parse(b'Authorizer: POLICY\nLicensees: "a"\n'))
    assert list(found.as_json()) == ["rule", "name", "level", "line", "column", "message", "mend"]


@pytest.mark.parametrize("file", sorted(CONFORMANCE.glob("*.jsonl")), ids=lambda path: path.stem)
def test_no_assertion_of_another_hand_is_too_odd_for_advice(file: Path) -> None:
    """Each literal and name of a tree is found in the text again, however it is laid out."""
    for line in file.read_text().splitlines()[::9]:
        raws = [assertion["text"].encode() for assertion in json.loads(line)["assertions"]]
        trees = [tree for raw in raws if (tree := parsed(raw)) is not None]
        for tree, several in zip(trees, lint_set(trees), strict=True):
            rows = tree.raw.decode().split("\n")
            assert all(1 <= each.column <= len(rows[each.line - 1]) + 1 for each in (*lint(tree), *several))


def parsed(raw: bytes) -> syntax.Assertion | None:
    try:
        return keynote.parse(raw, limits=Limits.local())
    except ClearinghouseError:
        return None
