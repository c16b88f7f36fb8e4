"""The table of attributes agrees with itself."""

from __future__ import annotations

import doctest

import pytest

import tests.world
from clearinghouse.clearing.vocabulary import (
    COMMON,
    GROUPS,
    OPERATIONS,
    PACKET_RULE,
    SENSITIVE,
    Kind,
    Operation,
    Origin,
    is_canonical,
    operations_of,
    rows,
    shown,
)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_each_dimension_of_an_effect_is_an_attribute_that_some_door_supplies(operation: Operation) -> None:
    assert set(operation.effect) | operation.by_requester <= operation.attributes.keys()
    assert operation.by_requester <= set(operation.effect)
    assert operation.doors()
    for door in operation.doors():
        assert any(operation.effect_at(door)) == bool(operation.effect)


def test_what_is_ours_everywhere_is_ours() -> None:
    for operation in OPERATIONS.values():
        assert {operation.attributes[name].origin for name in COMMON} == {Origin.OURS}
        assert all(operation.attributes[name].doors >= operation.doors() for name in COMMON)


def test_only_what_a_requester_says_has_a_default() -> None:
    """And `member`, which is `no` where nobody has looked."""
    for _, attribute in rows():
        default = {Origin.PARAMETER: "*", Origin.STATEMENT: ""}.get(attribute.origin, "no" if attribute.name == "member" else None)
        assert attribute.default == default
        assert not attribute.audit or attribute.origin is Origin.STATEMENT


def test_no_two_names_of_an_operation_differ_in_case_or_underscores_only_if_one_is_reserved() -> None:
    for operation in OPERATIONS.values():
        for name, attribute in operation.attributes.items():
            assert operation.reserved_like(name) == (name if attribute.origin.reserved else None)


def test_every_operation_is_in_one_group() -> None:
    assert sum(len(operations_of(group)) for group in GROUPS) == len(OPERATIONS)
    assert set(GROUPS) > SENSITIVE
    assert set(PACKET_RULE) <= OPERATIONS["whitelist"].attributes.keys()


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_refuses_something(kind: Kind) -> None:
    assert not is_canonical(kind, "\0")


@pytest.mark.parametrize("text", ["\ud800", "\u202e", "`", "\\", "\x1b[31m", "ä", "x" * 10_000, ""], ids=ascii)
def test_a_strangers_words_are_shown_safely(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 70


def test_the_world_of_the_tests_does_what_it_says() -> None:
    assert doctest.testmod(tests.world).failed == 0
