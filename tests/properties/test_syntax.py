"""Text and tree say the same: parse of print is identity, and no layout changes the tree."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.keynote import parse, print_assertion, syntax
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.strings import quote, unquote
from tests.properties import strategies as kn


@given(kn.assertions)
def test_parse_of_print_is_identity(tree: syntax.Assertion) -> None:
    assert parse(print_assertion(tree).encode("latin-1")) == tree


@given(kn.assertions)
def test_print_is_stable(tree: syntax.Assertion) -> None:
    printed = print_assertion(tree)
    assert print_assertion(parse(printed.encode("latin-1"))) == printed


@given(st.data(), kn.assertions)
def test_no_layout_changes_the_tree(data: st.DataObject, tree: syntax.Assertion) -> None:
    raw = data.draw(kn.layouts(tree))
    assert parse(raw, limits=Limits.local()) == tree


@given(st.data(), kn.tests)
def test_brackets_that_add_nothing_add_nothing(data: st.DataObject, test: syntax.Test) -> None:
    program = syntax.Program((syntax.Clause(test, None),))
    raw = f'Authorizer: "K"\nConditions: {data.draw(kn.bracketed(test))};\n'.encode("latin-1")
    assert parse(raw, limits=Limits(nesting=200)).conditions == program


@given(kn.octets)
def test_quotation_is_undone_by_unquoting(text: str) -> None:
    assert unquote(quote(text)) == (text, None)


@given(st.data(), kn.octets)
def test_every_spelling_of_a_literal_is_the_same_text(data: st.DataObject, text: str) -> None:
    assert unquote(data.draw(kn.spellings(quote(text)))) == (text, None)
