"""Rows of a table are a value like a dictionary, whatever was changed and however often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.federation.published.rows import MOST_CHANGES, Rows
from tests.presses import LEVELS

FEW = [f"m{number}.example" for number in range(8)]
ROWS = st.dictionaries(st.sampled_from(FEW), st.sampled_from(LEVELS[1:]))
CHANGES = st.tuples(ROWS, st.sets(st.sampled_from(FEW)))


@given(ROWS, st.lists(CHANGES, max_size=5))
def test_they_are_what_a_dictionary_would_be(first: dict[str, str], steps: list[tuple[dict[str, str], set[str]]]) -> None:
    rows, plain = Rows.of(first), dict(first)
    for changed, unset in steps:
        gone = sorted(unset - changed.keys())
        before, frozen = rows, dict(rows.items())
        rows = rows.changed(changed, gone)
        plain = {name: level for name, level in (plain | changed).items() if name not in gone}
        assert before == frozen, "what was given out never changes"
        touched = rows.touched_since(before)
        assert touched is not None
        assert touched >= {name for name in {*rows, *before} if rows.get(name) != before.get(name)}
        assert rows == plain
        assert dict(rows.items()) == dict(rows) == plain
        assert len(rows) == len(plain)
        assert set(rows) == set(plain)
        assert [rows.get(name) for name in FEW] == [plain.get(name) for name in FEW]
        assert {name: level for level, names in rows.lists().items() for name in names} == plain
        assert all(list(names) == sorted(names) for names in rows.lists().values())
        assert sorted(rows.values()) == sorted(plain.values())
    assert Rows.of(rows) is rows


def test_many_changes_make_new_lists() -> None:
    rows = Rows.of({f"m{number:05}.example": "level-1" for number in range(6_000)})
    changes = {f"m{number:05}.example": "level-2" for number in range(MOST_CHANGES + 1)}
    changed = rows.changed(changes, [])
    assert not changed._changes
    assert changed.touched_since(rows) is None
    assert rows.touched_since({}) is None
    assert changed["m00000.example"] == "level-2"
    assert changed["m05999.example"] == "level-1"
    assert rows["m00000.example"] == "level-1"
    assert len(changed) == 6_000


def test_the_lowest_level_is_left_out_on_demand() -> None:
    rows = Rows.of({"a.example": "deny", "b.example": "level-1"})
    assert rows.above("deny") == {"b.example": "level-1"}
    assert rows.above("level-3") is rows
    assert Rows() == {}


def test_a_name_that_has_no_row_is_no_key() -> None:
    rows = Rows.of({"b.example": "level-1"}).changed({}, ["b.example", "c.example"])
    for name in ("a.example", "b.example", "c.example", "", "z"):
        with pytest.raises(KeyError):
            rows[name]
    assert len(rows) == 0
