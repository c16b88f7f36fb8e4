"""Licensees: who is trusted, together or alone (RFC 2704, 4.6.4)."""

from __future__ import annotations

import pytest

from clearinghouse.keynote import Assertions, admit, parse, syntax
from clearinghouse.keynote.licensees import Anybody, Every, Nobody, Quorum, Some, Trusted, met, principals, resolve

VALUES = ("deny", "allow")


def trusted(licensees: str) -> Trusted:
    tree = parse(f'Authorizer: "K"\nLicensees: {licensees}\n'.encode())
    return resolve(tree.licensees, literal)


def literal(text: syntax.Text) -> str:
    assert isinstance(text, syntax.Literal)
    return text.text


@pytest.mark.parametrize(
    "licensees,wanted",
    [
        ('"a"', "a"),
        ('"a" && "b"', Quorum(2, {"a": 1, "b": 1})),
        ('"a" || "b"', Quorum(1, {"a": 1, "b": 1})),
        ('2-of("a", "b", "c")', Quorum(2, {"a": 1, "b": 1, "c": 1})),
        ('2-of("a", "b", "a")', Quorum(2, {"a": 2, "b": 1})),
        ('"a" && "a"', "a"),
        ('"a" || "a"', "a"),
        ('"a" && "b" && "a"', Quorum(2, {"a": 1, "b": 1})),
        ('2-of("a", "a")', "a"),
        ('"a" || "b" && "c"', Some(("a", Quorum(2, {"b": 1, "c": 1})))),
        ('"a" && ("b" || "c")', Every(("a", Quorum(1, {"b": 1, "c": 1})))),
        ('1-of("a", "b") && "c"', Every((Quorum(1, {"a": 1, "b": 1}), "c"))),
    ],
)
def test_licensees_are_reduced(licensees: str, wanted: Trusted) -> None:
    assert trusted(licensees) == wanted


def test_missing_and_empty() -> None:
    assert resolve(None, literal) == Anybody()
    assert resolve(syntax.Empty(), literal) == Nobody()


@pytest.mark.parametrize(
    "licensees,there,holds",
    [
        ('"a"', "a", True),
        ('"a"', "b", False),
        ('"a" && "b"', "a", False),
        ('"a" && "b"', "ab", True),
        ('"a" || "b"', "b", True),
        ('2-of("a", "b", "c")', "c", False),
        ('2-of("a", "b", "c")', "ca", True),
        ('2-of("a", "b", "a")', "a", True),
        ('3-of("a", "b", "a")', "a", False),
        ('3-of("a", "b", "a")', "ab", True),
        ('"a" && ("b" || "c")', "b", False),
        ('"a" && ("b" || "c")', "ac", True),
        ('"a" || 2-of("b", "c", "b") && "d"', "bd", True),
        ('"a" || 2-of("b", "c", "b") && "d"', "cd", False),
    ],
)
def test_who_is_enough(licensees: str, there: str, holds: object) -> None:
    assert met(trusted(licensees), set(there)) is holds
    policy = admit(f'Authorizer: "POLICY"\nLicensees: {licensees}\n'.encode(), policy=True)
    proof = Assertions(policies=[policy]).query(authorizers=list(there), action={}, values=VALUES)
    assert proof.value == ("allow" if holds else "deny")


def test_anybody_and_nobody() -> None:
    assert met(Anybody(), set())
    assert not met(Nobody(), {"a"})
    assert list(principals(Anybody())) == list(principals(Nobody())) == []


def test_each_principal_is_named_once() -> None:
    assert list(principals(trusted('"a" && ("b" || "a") || 2-of("c", "a", "c")'))) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "levels,licensees,wanted",
    [
        ("123", '"a" && "b" && "c"', 1),
        ("123", '"a" || "b" || "c"', 3),
        ("123", '2-of("a", "b", "c")', 2),
        ("123", '3-of("a", "b", "c")', 1),
        ("132", '2-of("a", "b", "b")', 3),
        ("103", '2-of("a", "b", "c")', 1),
        ("003", '2-of("a", "b", "c")', 0),
        ("213", '("a" || "b") && "c"', 2),
    ],
)
def test_values_are_minimum_maximum_and_kth_highest(levels: str, licensees: str, wanted: int) -> None:
    """Each of a, b and c licenses the requester at its own level."""
    texts = [f'Authorizer: "{name}"\nLicensees: "K"\nConditions: true -> "{level}";\n' for name, level in zip("abc", levels, strict=True)]
    texts.append(f'Authorizer: "POLICY"\nLicensees: {licensees}\n')
    assertions = Assertions(policies=[admit(text.encode(), policy=True) for text in texts])
    assert assertions.query(authorizers=["K"], action={}, values=("0", "1", "2", "3")).value == str(wanted)
