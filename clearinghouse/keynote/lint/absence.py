"""Tests that hold when nothing is known (authority rule R7).

An attribute that is not set reads as the empty text, and as 0.  A test of it that then holds needs
a guard beside it: another test, joined by ``&&``, that fails when the attribute is not set.
"""

from __future__ import annotations

from collections.abc import Iterator

from clearinghouse.keynote import syntax
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.clock import DATE, TIME
from clearinghouse.keynote.conditions import Environment, holds
from clearinghouse.keynote.context import Context, scale_of
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.lint.advice import Advice
from clearinghouse.keynote.lint.source import Source, compared, quoted
from clearinghouse.keynote.numbers import RuntimeFault
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.syntax import nodes

_ALWAYS_SET = frozenset({DATE, TIME})


def true_on_absence(source: Source) -> Iterator[Advice]:
    """K301: tests that hold although their attribute is not set, without a guard."""
    told: set[int] = set()
    for path in source.paths:
        for test, wanted in _Absence(source).unguarded(path.test, frozenset(), wanted=True):
            if id(test) not in told:
                told.add(id(test))
                yield _advice(source, test, wanted=wanted)


def _advice(source: Source, test: syntax.Test, *, wanted: bool) -> Advice:
    names = list(dict.fromkeys(node.name for node in source.attributes(test)))
    first = from_octets(names[0])
    number = any(isinstance(node, syntax.ToInteger | syntax.ToFloat) for node in nodes(test))
    unset = " and ".join(f"`{from_octets(name)}`" for name in names) + (" is not set" if len(names) == 1 else " are not set")
    guard = f'{first} ~= "^[0-9]+$"' if number else f'{first} != ""'
    holds_too = "also holds" if wanted else "also fails, as is wanted here,"
    message = f"{quoted(test)} {holds_too} when {unset}" + (", which reads as 0" if number else "")
    return source.advise("true-on-absence", test, message, f"put a guard before it: `{guard} && ...`")


class _Absence:
    """The tests of one assertion, evaluated as if attributes were not set."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def unguarded(self, test: syntax.Test, guarded: frozenset[str], *, wanted: bool) -> Iterator[tuple[syntax.Test, bool]]:
        """Yield the relations in *test* that come out as is wanted of them when their attributes are not set."""
        match test:
            case syntax.Not(inner):
                yield from self.unguarded(inner, guarded, wanted=not wanted)
            case syntax.And(parts) | syntax.Or(parts):
                together = isinstance(test, syntax.And) == wanted  # all parts are needed: one guards the others
                if together:
                    guarded |= {name for name in self._names(test) if any(self._value(part, {name}) is (not wanted) for part in parts)}
                for part in parts:
                    yield from self.unguarded(part, guarded, wanted=wanted)
            case syntax.Truth():
                return
            case _:
                names = self._names(test)
                if names and not names & guarded and not self._is_deliberate(test) and self._value(test, names) is wanted:
                    yield test, wanted

    def _names(self, test: syntax.Test) -> set[str]:
        return {node.name for node in self._source.attributes(test) if not node.name.startswith("_")} - _ALWAYS_SET

    def _is_deliberate(self, test: syntax.Test) -> bool:
        """``x == ""`` asks for absence by name."""
        parts = compared(test, self._source.constants)
        return parts is not None and parts[2] == ""

    def _value(self, test: syntax.Test, absent: set[str]) -> bool | None:
        """Return what *test* is when *absent* are not set, ``None`` where other things decide too."""
        match test:
            case syntax.Truth(value):
                return value
            case syntax.Not(inner):
                found = self._value(inner, absent)
                return None if found is None else not found
            case syntax.And(parts):
                values = {self._value(part, absent) for part in parts}
                return False if False in values else None if None in values else True
            case syntax.Or(parts):
                values = {self._value(part, absent) for part in parts}
                return True if True in values else None if None in values else False
            case _:
                return self._relation(test, absent)

    def _relation(self, test: syntax.Test, absent: set[str]) -> bool | None:
        names = {node.name for node in self._source.attributes(test)}
        if names - absent or any(isinstance(node, syntax.Indirect) for node in nodes(test)):
            return None
        limits = Limits.local()
        context = Context((), {}, scale_of(("",)), limits, Budget(limits.steps))
        try:
            return holds(test, Environment(context, self._source.constants))
        except RuntimeFault:
            return None
