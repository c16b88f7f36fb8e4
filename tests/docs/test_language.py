"""The language page is true of the engine, and every assertion on any page is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse import keynote
from clearinghouse.errors import MalformedAssertion
from clearinghouse.keynote import Limits
from tests.docs.pages import PAGES, ROOT, blocks, name, table_rows

LANGUAGE = ROOT / "docs/reference/language.md"
CONDITIONS = [(row[0].strip("`"), row[1]) for row in table_rows(LANGUAGE, "Condition", "Result")]


def verdict(conditions: str) -> str:
    text = f'Authorizer: "POLICY"\nLicensees: "K"\nConditions: {conditions}\n'
    try:
        policy = keynote.admit(text.encode(), policy=True)
    except MalformedAssertion:
        return "malformed"
    proof = keynote.Assertions(policies=[policy]).query(authorizers=["K"], action={"x": "5"}, values=["no", "yes"])
    return "holds" if proof.value == "yes" else "does not hold"


def test_the_tables_were_found() -> None:
    assert len(CONDITIONS) > 40


@pytest.mark.parametrize("conditions,result", CONDITIONS, ids=[conditions for conditions, _ in CONDITIONS])
def test_a_condition_is_what_the_table_says(conditions: str, result: str) -> None:
    assert verdict(conditions) == result


# There every assertion is wrong on purpose, and what is said about it is tested in tests/unit/keynote.
MISTAKES = ROOT / "docs/explanation/paper-mistakes.md"


@pytest.mark.parametrize("path", [path for path in PAGES if path != MISTAKES and any(blocks(path, "keynote"))], ids=name)
def test_every_assertion_on_a_page_parses(path: Path) -> None:
    for block in blocks(path, "keynote"):
        for _, raw in keynote.split_assertions(block.text.encode()):
            keynote.parse(raw, limits=Limits.local())


def test_the_special_attributes_are_what_the_page_says() -> None:
    conditions = '_ACTION_AUTHORIZERS == "a,b" && _VALUES == "no,yes" && _MIN_TRUST == "no" && _MAX_TRUST == "yes"'
    text = f'Authorizer: "POLICY"\nLicensees: "b" && "a"\nConditions: {conditions};\n'.encode()
    assertions = keynote.Assertions(policies=[keynote.admit(text, policy=True)])
    assert assertions.query(authorizers=["b", "a"], action={}, values=["no", "yes"]).strongest
