"""Errors that teach: each likely mistake has its message, its place and its mend (``tests/data/mistakes.toml``)."""

from __future__ import annotations

import pytest

from clearinghouse.errors import MalformedAssertion
from clearinghouse.keynote import parse
from clearinghouse.keynote.fields import MOST_MISTAKES
from tests.data import Case, each

P = b'Authorizer: "POLICY"\n'


def mistake(raw: bytes) -> MalformedAssertion:
    with pytest.raises(MalformedAssertion) as told:
        parse(raw)
    return told.value


@each("mistakes")
def test_mistake_is_told_with_place_and_mend(case: Case) -> None:
    error = mistake(case["text"].encode())
    assert (error.line, error.column) == (case["line"], case["column"])
    assert error.source[error.caret - 1 : error.caret - 1 + error.width] == case["marked"]
    assert (error.message, error.mend) == (case["message"], case["mend"])


@each("mistakes")
def test_form_of_messages(case: Case) -> None:
    """Lower case, no final period, always a mend."""
    assert case["message"][0].islower() or case["message"][0] in "`K"
    assert not case["message"].endswith(".")
    assert case["mend"]
    assert not case["mend"].endswith(".")


def test_picture_puts_the_caret_under_the_mistake() -> None:
    picture = mistake(P + b"Conditions: \tlimit < 30000;\n").picture()
    assert picture.splitlines() == [
        "line 2, column 22: `30000` is a number, and `<` needs text",
        "  Conditions: \tlimit < 30000;",
        "              \t        ^^^^^",
        '  to compare numbers write `@limit` on the other side; to compare text write `"30000"`',
    ]


def test_columns_count_characters_and_not_bytes() -> None:
    error = mistake(P + 'Conditions: "grün" = "blau";\n'.encode())
    assert (error.column, error.caret, error.source[error.caret - 1]) == (20, 20, "=")


def test_of_a_long_line_the_neighbourhood_is_shown() -> None:
    error = mistake(P + b"Conditions: " + b" && ".join([b'a == "b"'] * 60) + b' && c = "d";\n')
    assert error.column > 700
    assert len(error.source) <= 161
    assert error.source[error.caret - 1] == "="
    assert error.source.startswith("…")


def test_what_is_shown_cannot_steer_a_terminal() -> None:
    error = mistake(P + 'Conditions: "\x1b[2J\u202e" == \x9b5;\n'.encode("utf-8", "surrogateescape"))
    assert all(character.isprintable() for character in error.picture().replace("\n", ""))


def test_a_long_name_is_not_repeated_in_full() -> None:
    error = mistake(P + b"Local-Constants: _" + b"a" * 5_000 + b' = "x"\n')
    assert len(error.message) < 500
    assert len(error.picture()) < 1_000


def test_all_mistakes_are_told_in_order_of_place() -> None:
    error = mistake(b'Licensee: "a"\nAuthorizer: x y\nConditions: a = "b";\nConditions: c == "d"\n')
    told = [(each.line, each.column) for each in (error, *error.others)]
    assert told == sorted(told)
    assert [line for line, _ in told] == [1, 2, 3, 4, 4]


def test_mistakes_beyond_a_bound_are_not_told() -> None:
    error = mistake(b"nonsense\n" * 500)
    assert len(error.others) == MOST_MISTAKES - 1


def test_error_as_json_has_its_position() -> None:
    assert mistake(P + b'Conditions: a = "b";\n').as_json() == {
        "code": "malformed",
        "message": "`=` does not compare",
        "mend": "write `==` to compare texts, `~=` to match a regular expression",
        "line": 2,
        "column": 15,
        "source": 'Conditions: a = "b";',
    }
