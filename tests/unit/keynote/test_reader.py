"""The fast reader: which layouts it takes itself, and what it leaves to the parser."""

from __future__ import annotations

from typing import Any

import pytest

from clearinghouse.errors import BudgetExhausted, MalformedAssertion, TooLarge
from clearinghouse.keynote import parse, syntax
from clearinghouse.keynote import reader as module
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.reader import Reading, read
from clearinghouse.keynote.shapes import Shaped, Shapes

USUAL = b"""KeyNote-Version: 2
Comment: a usual credential
Authorizer: "ed25519-hex:00"
Licensees: "xmpp:alice@a.example"
Conditions: topic == "incidents" && date < "20270101" -> "allow";
Signature: "sig-ed25519-hex:\\
  0011\\
  2233"
"""


def reading(raw: bytes, shapes: Shapes | None = None, *, learn: bool = True) -> Reading:
    return read(raw, Shapes() if shapes is None else shapes, learn=learn, limits=Limits(), budget=Budget(20_000))


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Record which texts the fast reader leaves to the parser as a whole."""
    left: list[bytes] = []
    whole = parse

    def recorded(data: bytes, **options: Any) -> syntax.Assertion:  # noqa: ANN401 - handed on
        left.append(data)
        return whole(data, **options)

    monkeypatch.setattr(module, "parse", recorded)
    return left


def test_a_usual_credential_needs_no_parser(parses: list[bytes]) -> None:
    shapes = Shapes()
    first, second = reading(USUAL, shapes), reading(USUAL.replace(b"incidents", b"warnings"), shapes)
    assert parses == []
    assert isinstance(second.conditions, Shaped)
    assert isinstance(first.conditions, Shaped)
    assert second.conditions.shape is first.conditions.shape
    assert second.conditions.literals == ("warnings", "20270101", "allow")
    assert second.authorizer == syntax.Literal("ed25519-hex:00")
    assert second.licensees == syntax.Principal(syntax.Literal("xmpp:alice@a.example"))
    assert second.signature == syntax.Literal("sig-ed25519-hex:00112233")
    assert second.signed == USUAL.replace(b"incidents", b"warnings").partition(b"Signature")[0]


@pytest.mark.parametrize(
    "raw",
    [
        b'Authorizer: "K"',
        b'authorizer:"K"\nLICENSEES:\nconditions:true;\n',
        b'Authorizer:\n  "K"\nLicensees: "a" && 2-of("b", "c", "d")\n',
        b'Comment: anything; "at" # all\n  and more\nAuthorizer: "K"\n',
        b'KeyNote-Version: "2"\nAuthorizer: "K"\n',
    ],
    ids=repr,
)
def test_layouts_that_the_fast_reader_takes(raw: bytes, parses: list[bytes]) -> None:
    reading(raw)
    assert parses == []


@pytest.mark.parametrize(
    "raw",
    [
        b'\nAuthorizer: "K"\n',
        b'# note\nAuthorizer: "K"\n',
        b'Authorizer: "K" # note\n',
        b'Authorizer: "a" . "b"\n',
        b'Authorizer: "a\\"b"\n',
        b'Authorizer: hub\nLocal-Constants: hub = "K"\n',
        b'Authorizer: "K"\nSignature: "s"\nmore\n',
        b'Authorizer: "K"\nSignature: "s" # note\n',
        b'Authorizer: "K"\nLicensees: # nobody\n',
        b'KeyNote-Version: 2 # ours\nAuthorizer: "K"\n',
        b'Authorizer: "K"\nConditions: true; # note\n',
        b'Authorizer: "K"\nConditions: ' + b"!" * 40 + b"true;\n",
    ],
    ids=lambda raw: repr(raw)[:40],
)
def test_layouts_that_it_leaves_to_the_parser(raw: bytes, parses: list[bytes]) -> None:
    reading(raw)
    assert parses == [raw]


@pytest.mark.parametrize(
    "raw",
    [
        b'Authorizer: "K"\nauthorizer: "K"\n',
        b'Authorizer: "K"\nKeyNote-Version: 2\n',
        b'KeyNote-Version: 3\nAuthorizer: "K"\n',
        b'Authorizer: "K"\nIssuer: "x"\n',
        b'Authorizer: "K"\nConditions: a = "b";\n',
        b'Authorizer: "K"\nLicensees: "a" "b"\n',
        b'Authorizer: "K"\nSignature: "s\\\n \n t"\n',
        b'Authorizer: "K"\n\nLicensees: "a"\n',
        b'Authorizer: "K"\r\n',
        b'Comment: \0\nAuthorizer: "K"\n',
        b'Licensees: "K"\n',
        b"",
    ],
    ids=lambda raw: repr(raw)[:40],
)
def test_mistakes_are_told_by_the_parser(raw: bytes, parses: list[bytes]) -> None:
    with pytest.raises(MalformedAssertion):
        reading(raw)
    assert parses == [raw]


def test_a_known_shape_refuses_what_its_literals_make_illegal() -> None:
    shapes = Shapes()
    for good, bad in ((b'true == "x"', b'true == "TRUE"'), (b'a == "x"', b'a == "\\777"'), (b"&a < 1.5", b"&a < " + b"1" * 61 + b".5")):
        reading(b'Authorizer: "K"\nConditions: ' + good + b";\n", shapes)
        with pytest.raises(MalformedAssertion):
            reading(b'Authorizer: "K"\nConditions: ' + bad + b";\n", shapes)
    assert len(shapes) == 3


def test_constants_shape_conditions_too() -> None:
    shapes = Shapes()
    raw = b'Local-Constants: hub = "K"\nAuthorizer: hub\nConditions: a == hub;\n'
    first, second = reading(raw, shapes), reading(raw.replace(b'"K"', b'"L"'), shapes)
    assert isinstance(first.conditions, Shaped)
    assert isinstance(second.conditions, Shaped)
    assert second.conditions.constants(dict(second.constants)) == ("L",)


def test_what_is_not_learnt_keeps_its_tree() -> None:
    """So that explaining it needs no second parse; where the shape is known the tree is left out."""
    stranger = reading(USUAL, learn=False)
    assert stranger.tree is not None
    assert stranger.conditions is stranger.tree.conditions
    shapes = Shapes()
    reading(USUAL, shapes)
    assert reading(USUAL, shapes, learn=False).tree is None


def test_reading_spends_before_it_works() -> None:
    with pytest.raises(BudgetExhausted):
        read(USUAL, Shapes(), learn=True, limits=Limits(), budget=Budget(len(USUAL) // 128))
    with pytest.raises(TooLarge):
        read(USUAL, Shapes(), learn=True, limits=Limits(assertion_bytes=100), budget=Budget(0))
