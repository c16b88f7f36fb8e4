"""Conditions by shape: the text without its literals, compiled once, and never by a stranger (authority rule R20)."""

from __future__ import annotations

import pytest

from clearinghouse.keynote import parse, syntax
from clearinghouse.keynote.shapes import Shaped, Shapes, cut, weight
from clearinghouse.keynote.syntax import nodes


def program_of(body: str, constants: str = "") -> syntax.Program:
    text = f'Authorizer: "K"\n{constants}Conditions:{body}\n'
    program = parse(text.encode("latin-1")).conditions
    assert program is not None
    return program


def learnt(shapes: Shapes, body: str, names: tuple[str, ...] = ()) -> Shaped | None:
    return shapes.learn(body, names, program_of(body))


# -- cutting ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body,literals",
    [
        ('a == "x";', ("x",)),
        ('a == "x" -> "y" . "z";', ("x", "y", "z")),
        ("@a > 7 && &b < 2.5;", (7, 2.5)),
        ('"\\101" == a;', ("A",)),
        ('"one\\\n  two" == a;', ("onetwo",)),
        ("@n1 == 1-2;", (1, 2)),
        ("_1 == a1 && b_2 == c;", ()),
        ('"7" == a && @b == 007;', ("7", 7)),
        ("2147483647 == @a;", (2147483647,)),
    ],
)
def test_literals_are_cut_out(body: str, literals: tuple[object, ...]) -> None:
    found = cut(body)
    assert found is not None
    shape, values = found
    assert values == literals
    assert [type(value) for value in values] == [type(value) for value in literals]
    assert '"' not in shape


@pytest.mark.parametrize(
    "body",
    [
        'a == "x" # note\n;',
        "",
        'a == "open;',
        'a == "x"',
        '"a\\"b;',
        '"\\400" == a;',
        "2147483648 == @a;",
        "99999999999 == @a;",
        "&a < " + "9" * 61 + ".0;",
        'true == "true";',
        '"FALSE" == false;',
        "a . " * 5_000 + 'a == "x";',
    ],
    ids=lambda body: body[:20],
)
def test_what_the_slow_path_must_judge_is_not_cut(body: str) -> None:
    assert cut(body) is None


def test_a_hash_sign_in_a_text_is_no_comment() -> None:
    assert cut('a == "#1";') is not None


def test_kinds_are_part_of_the_shape() -> None:
    """`@a > 1` and `@a > "1"` differ, though both have one literal."""
    shapes = {cut(body) and cut(body)[0] for body in ('a == "1";', "a == 1;", "a == 1.0;")}  # type: ignore[index]
    assert len(shapes) == 3


def test_one_shape_whatever_its_literals_say() -> None:
    hostile = 'a == "\\"); import os; (\\"";'
    one, two = cut('a == "x";'), cut(hostile)
    assert one is not None
    assert two is not None
    assert one[0] == two[0]


# -- learning --------------------------------------------------------------------------------------


def test_a_learnt_shape_gives_the_tree_of_another_text() -> None:
    shapes = Shapes()
    assert shapes.known(' a == "x" -> "ask";', ()) is None
    assert learnt(shapes, ' a == "x" -> "ask";') is not None
    known = shapes.known(' a == "y" -> "allow";', ())
    assert known is not None
    assert known.tree() == program_of(' a == "y" -> "allow";')


def test_other_layout_is_another_shape() -> None:
    shapes = Shapes()
    learnt(shapes, ' a == "x";')
    assert shapes.known('  a == "x";', ()) is None


def test_constants_are_part_of_the_key() -> None:
    """The same text means something else where a name is a constant."""
    shapes = Shapes()
    body = ' a == b -> "ask";'
    assert shapes.learn(body, ("a", "c"), program_of(body)) is not None
    assert shapes.known(body, ()) is None
    known = shapes.known(body, ("a", "c"))
    assert known is not None
    assert known.shape.names == ("a",)
    assert known.constants({"a": "1", "c": "2"}) == ("ask", "1")


def test_constants_for_dereferencing_come_as_a_mapping() -> None:
    shapes = Shapes()
    body = ' $a == "x";'
    known = shapes.learn(body, ("c",), program_of(body))
    assert known is not None
    assert known.constants({"c": "2"}) == ("x", {"c": "2"})


def test_a_program_of_other_literals_is_not_learnt() -> None:
    shapes = Shapes()
    assert shapes.learn(' a == "x";', (), program_of(' a == "y";')) is None
    assert len(shapes) == 0


def test_what_nests_too_deep_is_not_learnt() -> None:
    shapes = Shapes()
    assert learnt(shapes, " " + "!" * 40 + "true;") is None
    assert len(shapes) == 0


def test_the_least_recently_used_shape_is_forgotten() -> None:
    shapes = Shapes(size=2)
    learnt(shapes, ' a == "1";')
    learnt(shapes, ' b == "1";')
    assert shapes.known(' a == "2";', ()) is not None
    learnt(shapes, ' c == "1";')
    assert shapes.known(' a == "3";', ()) is not None
    assert shapes.known(' b == "3";', ()) is None
    assert len(shapes) == 2


def test_weight_follows_the_size_of_the_tree() -> None:
    small, large = program_of(" true;"), program_of(" " + "a == b; " * 200)
    assert weight(small) == 1
    assert weight(large) == 1 + sum(1 for _ in nodes(large)) // 8
