"""No bytes at all raise anything outside our tree of errors, and no text of a question does."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.errors import ClearinghouseError
from clearinghouse.keynote import Assertions, Refused, admit, parse, print_assertion, split_assertions, syntax
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.reader import read
from clearinghouse.keynote.shapes import Shapes
from tests.properties import strategies as kn
from tests.properties.vectors import texts

_LABELS = (b"Authorizer:", b"Licensees:", b"Conditions:", b"Local-Constants:", b"Signature:", b"Comment:", b"KeyNote-Version:")
_PIECES = (b'"POLICY"', b'"K"', b'"rsa-hex:00"', b'"sig-ed25519-hex:00"', b"2-of(", b"\n", b"\n ", b" ", b"2")

soups = st.lists(st.sampled_from(_LABELS + _PIECES) | kn.strange, max_size=30).map(b"".join)
bytes_at_all = st.binary(max_size=200) | soups | st.tuples(st.integers(0, 10_000), kn.tails).map(lambda found: vector(*found))
anything = st.text(max_size=8) | st.text(st.characters(categories=["Cs", "Cc", "Ll"]), max_size=4)
budgets = st.integers(0, 3_000) | st.just(10**7)


def vector(number: int, tail: bytes) -> bytes:
    known = texts()
    return known[number % len(known)] + tail


@given(bytes_at_all, budgets)
def test_reading_any_bytes_gives_a_tree_or_an_error_of_ours(raw: bytes, steps: int) -> None:
    for attempt in (
        lambda: parse(raw, budget=Budget(steps)),
        lambda: read(raw, Shapes(), learn=True, limits=Limits(), budget=Budget(steps)),
        lambda: admit(raw, policy=True, budget=Budget(steps)),
        lambda: admit(raw, allow_legacy=True, budget=Budget(steps), learn=False),
    ):
        with suppress(ClearinghouseError):
            attempt()
    assert all(text in raw for _, text in split_assertions(raw))


actions = st.dictionaries(anything | st.sampled_from(kn.NAMES), anything)


@given(kn.delegations(dynamic=True), st.lists(anything, max_size=2), actions, budgets)
def test_asking_anything_gives_a_proof_or_an_error_of_ours(
    trees: list[syntax.Assertion], authorizers: list[str], action: dict[str, str], steps: int
) -> None:
    known = Assertions(policies=[admit(print_assertion(tree).encode("latin-1"), policy=True) for tree in trees])
    with suppress(ClearinghouseError):
        proof = known.query(authorizers=authorizers or ["p0"], action=action, values=["deny", "ask", "allow"], budget=Budget(steps))
        assert proof.as_json()["value"] == proof.value
        assert all(isinstance(value, str) for value in proof.reads.values())


@given(kn.programs, kn.questions(("K",)))
def test_explaining_anything_gives_words(program: syntax.Program, question: kn.Question) -> None:
    """Also what a hostile credential says is shown without its control characters."""
    policy = admit(kn.assertion_of(program), policy=True)
    refused = Refused("file", 0, ClearinghouseError("why"))
    proof = Assertions(policies=[policy], refused=[refused]).query(
        authorizers=question.authorizers, action=question.action, values=question.values
    )
    told = [each.detail for each in proof.skipped] + [step.text for missing in proof.missing for step in missing.steps]
    assert all(text and text.isprintable() for text in told)
