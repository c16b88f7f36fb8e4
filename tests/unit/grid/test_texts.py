"""Text for people is what it looks like."""

from __future__ import annotations

from datetime import timedelta
from xml.etree.ElementTree import fromstring, tostring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.clearing.people import Changed, Party
from clearinghouse.grid.dialogs import Choice, Field, Kind, write_dialog
from clearinghouse.grid.forms import read_form
from clearinghouse.grid.texts import MAX_LINE_CHARACTERS, MAX_LINES, changed_lines, lines_of, plain, span

ANYTHING = st.text(st.characters(codec=None, categories=None, exclude_categories=[]), max_size=2000)


@given(ANYTHING)
def test_any_text_becomes_one_printable_line(text: str) -> None:
    made = plain(text)
    assert made.isprintable()
    assert len(made) <= 10 * (MAX_LINE_CHARACTERS + 1)


@given(ANYTHING)
def test_any_text_can_stand_in_a_form(text: str) -> None:
    field = Field(Kind.CHOICE, "a", text, (text,), (Choice(text, text),))
    x = fromstring(tostring(write_dialog("submit", "urn:x", text, text, [field])))  # noqa: S314 - ours
    assert read_form(x, longest=20_000).fields["a"] == (plain(text),)


def test_many_lines_are_cut_and_counted() -> None:
    lines = lines_of("a\r\n\tb\n" * MAX_LINES)
    assert lines[:2] == ["a", "    b"]
    assert lines[MAX_LINES:] == [f"... and {MAX_LINES} more lines"]


@pytest.mark.parametrize(
    "seconds, said", [(1, "1 second"), (90, "90 seconds"), (3600, "1 hour"), (5400, "90 minutes"), (86_400, "1 day"), (604_800, "7 days")]
)
def test_span(seconds: int, said: str) -> None:
    assert span(timedelta(seconds=seconds)) == said


def test_losers_are_complete_up_to_a_limit_and_then_counted() -> None:
    losing = tuple(Party(f"u{number}@b.example", "subscribe", "t", "allow", "deny", "") for number in range(MAX_LINES + 3))
    lines = list(changed_lines(Changed(("a\nb",), losing, (), done=False, version="1")))
    assert lines[0].startswith("would change: a\\")
    assert lines[1] == "loses: u0@b.example subscribe `t`: allow, then deny"
    assert lines[-2:] == ["... and 3 more of whom each loses", "nobody wins anything"]
