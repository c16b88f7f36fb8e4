"""Each mistake of the published policies gets a message that names the correction."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from clearinghouse import keynote
from clearinghouse.errors import MalformedAssertion
from clearinghouse.keynote.lint import lint, lint_set

MISTAKES = tomllib.loads(Path(__file__).with_name("paper_mistakes.toml").read_text())["mistake"]
PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "paper-mistakes.md"


@dataclass(frozen=True, slots=True)
class Mistake:
    note: str
    printed: str
    by: str
    words: list[str]
    line: int = 0
    column: int = 0
    number: int = 1
    authorizer: str = ""


def said(mistake: Mistake) -> list[tuple[int, int, int, str]]:
    """Return everything that is said: number of the assertion, line, column, text."""
    raws = [raw for _, raw in keynote.split_assertions(mistake.printed.lstrip("\n").encode())]
    match mistake.by:
        case "parser" | "admission":
            with pytest.raises(MalformedAssertion) as caught:
                keynote.admit(raws[0], policy=True)
            return [(1, each.line, each.column, str(each)) for each in (caught.value, *caught.value.others)]
        case "linter":
            return [(1, each.line, each.column, f"{each.message}: {each.mend}") for each in lint(keynote.parse(raws[0]))]
        case "set":
            found = enumerate(lint_set([keynote.parse(raw) for raw in raws]), start=1)
            return [(number, each.line, each.column, f"{each.message}: {each.mend}") for number, several in found for each in several]
        case _:
            assertions = keynote.Assertions(policies=[keynote.admit(raw, policy=True) for raw in raws])
            proof = assertions.query(authorizers=[mistake.authorizer], action={}, values=["deny", "allow"])
            return [(1, 0, 0, step.text) for missing in proof.missing for step in missing.steps]


@pytest.mark.parametrize("mistake", [Mistake(**each) for each in MISTAKES], ids=lambda mistake: mistake.note)
def test_the_message_names_the_correction(mistake: Mistake) -> None:
    texts = [text for number, *place, text in said(mistake) if [number, *place] == [mistake.number, mistake.line, mistake.column]]
    assert any(all(word in text for word in mistake.words) for text in texts), said(mistake)


def test_the_page_tells_of_every_mistake() -> None:
    page = " ".join(PAGE.read_text().replace("\n> ", "\n").split())
    assert [each["note"] for each in MISTAKES if each["note"] not in page] == []
    assert [each["words"][-1] for each in MISTAKES if each["words"][-1] not in page] == []
