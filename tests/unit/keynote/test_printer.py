"""From the tree to text: only the brackets that are needed, one clause a line."""

from __future__ import annotations

import pytest

from clearinghouse.errors import MalformedAssertion
from clearinghouse.keynote import parse, print_assertion, syntax
from clearinghouse.keynote.printer import show
from clearinghouse.keynote.strings import quote
from tests.data import Case, each


def test_an_assertion_is_laid_out() -> None:
    raw = b"""conditions:(topic=="incidents")&&@level>3->"allow";true->{role=="x"->{};!(a==b||c==d);};licensees:X
# a note
authorizer:"POLICY"
comment: two
  lines
local-constants:X="x" Y="\\"y\\""
"""
    raw = raw.replace(b";licensees", b";\nlicensees")
    assert print_assertion(parse(raw)) == (
        "Comment: two\n"
        "  lines\n"
        'Local-Constants: X = "x"\n'
        '  Y = "\\"y\\""\n'
        'Authorizer: "POLICY"\n'
        "Licensees: X\n"
        'Conditions: topic == "incidents" && @level > 3 -> "allow";\n'
        "  true -> {\n"
        '    role == "x" -> {};\n'
        "    !(a == b || c == d);\n"
        "  };\n"
    )


def test_empty_and_missing_fields_stay_what_they_are() -> None:
    raw = b'KeyNote-Version: 2\nComment: \nAuthorizer: "K"\nLicensees:\nConditions:\nSignature: "s"\n'
    assert print_assertion(parse(raw)).encode() == raw
    assert print_assertion(syntax.Assertion(syntax.Literal("K"))) == 'Authorizer: "K"\n'


def test_a_long_test_is_broken_before_its_operators() -> None:
    parts = " && ".join(f'attribute_number_{number} == "value"' for number in range(4))
    printed = print_assertion(parse(f'Authorizer: "K"\nConditions: {parts} -> "allow";\n'.encode()))
    assert printed.splitlines()[1:] == [
        'Conditions: attribute_number_0 == "value"',
        '    && attribute_number_1 == "value"',
        '    && attribute_number_2 == "value"',
        '    && attribute_number_3 == "value" -> "allow";',
    ]


@each("bindings")
def test_brackets_only_where_they_are_needed(case: Case) -> None:
    """The printed form parses to the same tree, and no pair of its brackets can be left out."""
    program = parse(f'Authorizer: "K"\nConditions: {case["means"]}\n'.encode()).conditions
    assert program is not None
    (clause,) = program.clauses
    printed = show(clause.test)
    assert "((" not in printed
    assert printed.count("(") <= case["conditions"].count("(")


@pytest.mark.parametrize(
    "printed",
    [
        "(2 - 3) * 4 == 1",
        "2 - (3 - 4) == 1",
        "2 ^ (3 ^ 2) == 1",
        "-(2 ^ 2) == 1",
        "--2 == 1",
        "@(a . b) == 1",
        "$(a . b) == c",
        "$$a == b",
        "!(a == b && c == d)",
        "!!(a == b || c == d)",
        "(a == b || c == d) && e == f",
        "a == b && c == d || e == f",
        '"a" . b ~= c . "d"',
        "&a / 2.0 ^ 0.5 <= 1000000.25",
    ],
)
def test_the_printed_form_is_its_own(printed: str) -> None:
    program = parse(f'Authorizer: "K"\nConditions: {printed};\n'.encode()).conditions
    assert program is not None
    assert show(program.clauses[0].test) == printed


@pytest.mark.parametrize(
    "written,printed",
    [
        ('"a" || "b" && "c"', '"a" || "b" && "c"'),
        ('("a" || "b") && "c"', '("a" || "b") && "c"'),
        ('(("a"))', '"a"'),
        ('2-OF( "a" ,x . "b","a")&&$y', '2-of("a", x . "b", "a") && $y'),
        ("1-of(a) || (b && 2-of(c, d))", "1-of(a) || b && 2-of(c, d)"),
    ],
)
def test_licensees(written: str, printed: str) -> None:
    tree = parse(f'Authorizer: "K"\nLicensees: {written}\n'.encode())
    assert f"Licensees: {printed}\n" in print_assertion(tree)


@pytest.mark.parametrize(
    "octets,literal",
    [
        ("plain", '"plain"'),
        ('"\\', '"\\"\\\\"'),
        ("\n\r\t\f", '"\\n\\r\\t\\f"'),
        ("\x01\x7f7", '"\\001\\1777"'),
        ("Ã¼", '"Ã¼"'),
        ("\xff", '"\xff"'),
    ],
)
def test_literals(octets: str, literal: str) -> None:
    assert quote(octets) == literal


@pytest.mark.parametrize(
    "value,written",
    [(0.0, "0.0"), (1.0, "1.0"), (0.1, "0.1"), (1e-7, "0.0000001"), (1e22, "10000000000000000000000.0"), (2.5e10, "25000000000.0")],
)
def test_floats_have_no_exponent(value: float, written: str) -> None:
    assert show(syntax.Float(value)) == written


@pytest.mark.parametrize("digits", ["9" * 59 + ".0", "1" * 60 + ".99", "0." + "0" * 61 + "1", "0." + "9" * 62])
def test_the_longest_floats_that_are_read_print_within_the_limit(digits: str) -> None:
    tree = parse(f'Authorizer: "K"\nConditions: &a < {digits};\n'.encode())
    assert parse(print_assertion(tree).encode()) == tree


@pytest.mark.parametrize("digits", ["9" * 60 + ".0", "1" * 61 + ".0", "0." + "9" * 63])
def test_longer_floats_are_not_read(digits: str) -> None:
    with pytest.raises(MalformedAssertion, match="more than 64 digits"):
        parse(f'Authorizer: "K"\nConditions: &a < {digits};\n'.encode())
