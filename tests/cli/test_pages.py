"""The reference pages say what the commands do: members of the JSON answers, rules of the linter, codes of errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clearinghouse import errors
from clearinghouse.errors import ClearinghouseError
from clearinghouse.keynote.lint import RULES
from tests.cli.conftest import ANN, Command
from tests.cli.test_conformance import CASE
from tests.docs.pages import ROOT, table_rows

REFERENCE = ROOT / "docs" / "reference"
ABSTRACT = {"error", "operator", "holder", "peer", "unavailable"}
"""Codes of the classes that sort the others."""
CODE = re.compile(r'^    code(?:: ClassVar\[str\])? = "([a-z-]+)"$', re.MULTILINE)
ASK = ("--policy", "topic.kn", "--policy", "broken.kn", "--credential", "ann.kn", "--authorizer", ANN.principal)
ANSWERS = {
    "keygen": ("keygen", "--public", "hub.key"),
    "sign": ("sign", "--key", "hub.key", "draft.kn"),
    "verify": ("verify", "ann.kn", "tampered.kn"),
    "inspect": ("inspect", "ann.kn"),
    "query": ("query", *ASK),
    "explain": ("explain", *ASK),
    "lint": ("lint", "ann.kn", "broken.kn"),
    "fmt": ("fmt", "--check", "topic.kn"),
    "conformance": ("conformance", "-"),
}


def documented() -> dict[str, set[str]]:
    """Return the members by the heading under which they stand, and by the member whose members they are."""
    found: dict[str, set[str]] = {}
    heading = owner = ""
    for line in (REFERENCE / "json.md").read_text().splitlines():
        if line.startswith("#"):
            heading, owner = line.lstrip("# "), ""
        elif line.startswith("| member"):
            owner = "".join(re.findall(r"of `(\w+)`", line))
        elif line.startswith("| `"):
            for name in heading.split(" and "):
                found.setdefault(f"{name}/{owner}".rstrip("/"), set()).update(re.findall(r"`(\w+)`", line.split("|")[1]))
    return found


def objects(answer: dict[str, Any], command: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each object of an answer under the name by which the page documents it."""
    yield command, {name: value for name, value in answer.items() if name not in {"schema", "command", "ok"}}
    for owner in ("assertions", "findings", "failures"):
        yield from ((f"{command}/{owner}", each) for each in answer.get(owner, ()))
    if "proof" in answer:
        yield f"{command}/proof", answer["proof"]
        for owner in ("chain", "skipped", "missing"):
            yield from ((f"{command}/{owner}", each) for each in answer["proof"][owner])


@pytest.mark.parametrize("command", ANSWERS)
def test_every_member_is_documented(run: Command, command: str) -> None:
    answer = run(*ANSWERS[command], "--json", given=json.dumps(CASE | {"expect": "no"})).json
    page = documented()
    page["inspect/assertions"] |= page["verify/assertions"]
    for name, found in objects(answer, command):
        assert set(found) <= page[name], name
    assert set(page[command]) >= set(answer) - {"schema", "command", "ok"}


def test_every_code_of_an_error_is_documented() -> None:
    told = {
        code for row in table_rows(REFERENCE / "json.md", "code", "exit status", "who acts") for code in re.findall(r"`([a-z-]+)`", row[0])
    }
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ClearinghouseError)]
    assert told == {kind.code for kind in kinds} - ABSTRACT


def test_every_code_that_a_part_adds_is_documented() -> None:
    """Those of the service's doors included; a client's command that is refused has no answer in JSON."""
    rows = table_rows(REFERENCE / "json.md", "code", "exit status", "it means")
    told = {code for row in rows for code in re.findall(r"`([a-z-]+)`", row[0])}
    sources = (path.read_text() for path in (ROOT / "clearinghouse").rglob("*.py") if path.name != "errors.py")
    written = {code for source in sources for code in CODE.findall(source)}
    assert written - told - ABSTRACT == {"command-refused"}


def test_every_rule_is_documented() -> None:
    rows = list(table_rows(REFERENCE / "command-line.md", "id", "name", "level", "about"))
    assert rows == [(rule.id, f"`{rule.name}`", rule.level, rule.about) for rule in RULES.values()]


def test_every_command_has_a_section() -> None:
    text = Path(REFERENCE / "command-line.md").read_text()
    assert [command for command in ANSWERS if f"\n## {command}\n" not in text] == []
