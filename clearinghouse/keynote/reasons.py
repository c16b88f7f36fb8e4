"""Why a test was false, in words that name the attribute, its value, and what was wanted."""

from __future__ import annotations

from collections.abc import Iterator

from clearinghouse.keynote import syntax
from clearinghouse.keynote.conditions import Environment, holds
from clearinghouse.keynote.numbers import RuntimeFault
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.principals import shown
from clearinghouse.keynote.printer import show
from clearinghouse.keynote.syntax import nodes

_ALTERNATIVES = 3
"""Alternatives of an `||` that are explained; the rest are counted."""


def why_not(test: syntax.Test, env: Environment) -> str:
    """Return why *test*, evaluated from the beginning of its clause, is false."""
    return "; ".join(describe(part, env) for part in failing(test, env))


def failing(test: syntax.Test, env: Environment) -> tuple[syntax.Test, ...]:
    """Return the parts of a false test that would all have to hold.

    The parts of an `&&` are judged each on its own, so that one false part does not hide another.
    """
    match test:
        case syntax.And(tests):
            found = tuple(part for each in tests for part in failing(each, env))
            return found or ((test,) if not _true(test, env) else ())
        case _:
            return () if _true(test, env) else (test,)


def describe(test: syntax.Test, env: Environment) -> str:
    """Return one sentence about a false *test*."""
    fault = _fault(test, env)
    if fault:
        return f"`{shown(show(test), 200)}` could not be computed: {fault}"
    if isinstance(test, syntax.Or):
        rest = len(test.tests) - _ALTERNATIVES
        told = " and ".join(describe(each, env) for each in test.tests[:_ALTERNATIVES])
        return f"no alternative holds: {told}" + (f", and {rest} more" if rest > 0 else "")
    values = ", ".join(_values(test, env))
    return f"`{shown(show(test), 200)}` failed" + (f": {values}" if values else "")


def _values(test: syntax.Test, env: Environment) -> Iterator[str]:
    """Yield ``name is `value``` for each attribute in *test*, once."""
    for name in dict.fromkeys(node.name for node in nodes(test) if isinstance(node, syntax.Attribute)):
        if name in env.constants:
            continue
        value = env.get(name)
        yield f"`{name}` is `{shown(value)}`" if value else f"`{name}` is not set"


def _true(test: syntax.Test, env: Environment) -> bool:
    try:
        return holds(test, env)
    except RuntimeFault:
        return False


def _fault(test: syntax.Test, env: Environment) -> str:
    try:
        holds(test, env)
    except RuntimeFault as fault:
        return from_octets(fault.reason)
    return ""
