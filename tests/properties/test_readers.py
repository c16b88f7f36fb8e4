"""The fast reader gives Lark's tree, or the full parser's refusal, whatever it has seen before."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from clearinghouse.errors import ClearinghouseError, MalformedAssertion
from clearinghouse.keynote import parse, syntax
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.reader import Reading, from_tree, read
from clearinghouse.keynote.shapes import Shapes
from tests.properties import strategies as kn
from tests.properties.vectors import texts

LIMITS = Limits.local()


def slowly(raw: bytes) -> syntax.Assertion | None:
    """Return Lark's tree, or ``None`` where it refuses the text."""
    try:
        return parse(raw, limits=LIMITS)
    except MalformedAssertion:
        return None


def quickly(raw: bytes, shapes: Shapes, *, learn: bool = True) -> Reading | None:
    """Return the fast reader's result, or ``None`` where it refuses the text."""
    try:
        return read(raw, shapes, learn=learn, limits=LIMITS, budget=Budget(LIMITS.steps))
    except MalformedAssertion:
        return None


def agrees(reading: Reading | None, tree: syntax.Assertion | None) -> bool:
    """Tell whether both read the same, spans of signed bytes included."""
    if reading is None or tree is None:
        return reading is None and tree is None
    return from_tree(tree, Shapes(), learn=False) == Reading(
        reading.raw,
        reading.authorizer,
        reading.licensees,
        reading.program(),
        reading.constants,
        reading.signature,
        reading.signed_start,
        reading.signed_end,
    )


def check(raw: bytes, shapes: Shapes) -> None:
    """Hold the fast reader to Lark: with a shape that is being learnt, and with one that is known."""
    tree = slowly(raw)
    for learn in (True, False):
        assert agrees(quickly(raw, shapes, learn=learn), tree)


def test_readers_agree_on_every_vector() -> None:
    """On every third in the short profile: each is parsed twice and compiled."""
    shapes = Shapes()
    for raw in texts() if settings().max_examples > 1_000 else texts()[::3]:
        check(raw, shapes)
    assert len(shapes) > 100


@given(st.data(), kn.assertions)
def test_readers_agree_on_every_layout(data: st.DataObject, tree: syntax.Assertion) -> None:
    check(data.draw(kn.layouts(tree)), Shapes())


@given(kn.programs, st.data())
def test_other_literals_in_a_known_shape_give_their_own_tree(program: syntax.Program, data: st.DataObject) -> None:
    shapes = Shapes()
    first = kn.assertion_of(program)
    check(first, shapes)
    check(data.draw(kn.with_other_literals(first)), shapes)


@given(kn.programs, st.data())
def test_a_damaged_text_is_refused_by_both_also_when_its_like_is_known(program: syntax.Program, data: st.DataObject) -> None:
    shapes = Shapes()
    raw = kn.assertion_of(program)
    check(raw, shapes)
    check(data.draw(kn.damaged(raw)), shapes)


@given(st.integers(0, 10_000), st.data())
def test_a_damaged_vector_is_read_alike(number: int, data: st.DataObject) -> None:
    shapes = Shapes()
    raw = texts()[number % len(texts())]
    check(raw, shapes)
    check(data.draw(kn.damaged(raw)), shapes)


@given(kn.programs)
def test_a_stranger_teaches_no_shape(program: syntax.Program) -> None:
    shapes = Shapes()
    quickly(kn.assertion_of(program), shapes, learn=False)
    assert len(shapes) == 0


_SIGNATURE_PIECES = ('"', "\\\n ", "\\\n ", "\n ", "\n ", "\\", " ", "#", "00", "\r", "\n# note\n ")


@settings(max_examples=300)
@given(st.lists(st.sampled_from(_SIGNATURE_PIECES), max_size=6).map("".join))
def test_signatures_are_read_alike(body: str) -> None:
    for written in (body, f'"{body}"'):
        check(f'Authorizer: "K"\nSignature: {written}\n'.encode(), Shapes())


def test_a_shape_is_kept_within_its_limit() -> None:
    shapes = Shapes(size=2)
    for attribute in ("a", "b", "c"):
        assert quickly(f'Authorizer: "K"\nConditions: {attribute} == "1";\n'.encode(), shapes) is not None
    assert len(shapes) == 2


def test_errors_of_the_fast_reader_are_those_of_the_parser() -> None:
    raw = b'Authorizer: "K"\nConditions: a == 1;\n'
    told = []
    for reader in (lambda: parse(raw), lambda: read(raw, Shapes(), learn=True, limits=LIMITS, budget=Budget(LIMITS.steps))):
        try:
            reader()
        except ClearinghouseError as error:
            told.append(str(error))
    assert len(told) == 2
    assert told[0] == told[1]
