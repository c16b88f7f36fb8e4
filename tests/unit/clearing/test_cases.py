"""Cases move as their table says, and the page about them shows that table."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest

from clearinghouse.clearing.cases import LASTING, NEXT, Case, CaseChange, CaseClosed, CaseState
from clearinghouse.clearing.vocabulary import OPERATIONS
from tests.world import NOON, request

PAGE = Path(__file__).parents[3] / "docs/explanation/people.md"
CASE = Case("0123456789", request("ann@a.example"), NOON, NOON + timedelta(days=30))
LATER = NOON + timedelta(hours=1)


def at(state: CaseState) -> Case:
    """Return the case where it can get to *state*, by the shortest way."""
    if state is CaseState.PENDING:
        return CASE
    before, change = next(pair for pair, after in NEXT.items() if after is state)
    return at(before).moved(change, at=NOON)


@pytest.mark.parametrize("state, change", list(product(CaseState, CaseChange)), ids=str)
def test_a_case_moves_as_the_table_says_and_in_no_other_way(state: CaseState, change: CaseChange) -> None:
    case = at(state)
    if (state, change) in NEXT:
        after = case.moved(change, at=LATER, by="Olga", why="as she said")
        assert (after.state, after.closed, after.by, after.why) == (NEXT[state, change], LATER, "Olga", "as she said")
        assert after.open is False
    else:
        with pytest.raises(CaseClosed, match=f"case 01234567 is {state}: it cannot {change} any more"):
            case.moved(change, at=LATER)


def test_every_state_is_reached_and_every_change_does_something() -> None:
    assert {CaseState.PENDING, *NEXT.values()} == set(CaseState)
    assert {change for _, change in NEXT} == set(CaseChange)


def drawn() -> str:
    rows: list[str] = []
    for state in dict.fromkeys(before for before, _ in NEXT):
        ways = [f"{change} ▶ {after}" for (before, change), after in NEXT.items() if before is state]
        rows += [state, *(f"├── {way}" for way in ways[:-1]), f"└── {ways[-1]}"]
    return "\n".join(rows)


def test_the_page_shows_the_table() -> None:
    found = re.search(r"```text\n(pending\n.*?)\n```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    assert found[1] == drawn()


def test_what_people_are_shown_is_one_fact_a_line_and_its_digest_is_of_that() -> None:
    shown = CASE.summary().splitlines()
    assert shown[:2] == ["case: 0123456789", "operation: subscribe"]
    assert {line.partition(":")[0] for line in shown} >= {*CASE.request.observed, *CASE.request.known, "requester", "seconds"}
    assert len(CASE.digest()) == 64


def test_what_lasts_is_an_operation_with_a_place_at_a_broker() -> None:
    assert {name for name, each in OPERATIONS.items() if each.group == "topics"} - LASTING == {"discover"}
