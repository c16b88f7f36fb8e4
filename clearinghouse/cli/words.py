"""Assertions in plain words: who trusts whom for what, until when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from clearinghouse.keynote import POLICY, syntax
from clearinghouse.keynote.clock import DATE, TIME
from clearinghouse.keynote.context import ACTION_AUTHORIZERS, MIN_TRUST
from clearinghouse.keynote.principals import describe, is_key, shown
from clearinghouse.keynote.printer import show
from clearinghouse.keynote.texts import fold

_SHOWN = 200
_RELATIONS = {"==": "is", "!=": "is not", "<": "is below", ">": "is above", "<=": "is at most", ">=": "is at least"}
_CLOCK = {"==": "is", "!=": "is not", "<": "is before", ">": "is after", "<=": "is at the latest", ">=": "is at the earliest"}


@dataclass(frozen=True, slots=True)
class Phrase:
    """A line, and the lines that belong below it."""

    text: str
    below: tuple[Phrase, ...] = ()


def code(node: syntax.Term | syntax.Licensees) -> str:
    """Return a part of an assertion as KeyNote text, safe to show."""
    return shown(show(node), _SHOWN)


def speaker(node: syntax.Text, constants: Mapping[str, str]) -> str:
    """Return who an Authorizer or a licensee is."""
    written = fold(node, constants)
    if written is None:
        return f"whoever the request names as {code(node)}"
    if written == POLICY:
        return "this clearinghouse itself (POLICY)"
    name = f"{node.name}, " if isinstance(node, syntax.Attribute) else ""
    return name + describe(written)


def trusted(node: syntax.Licensees | syntax.Empty | None, constants: Mapping[str, str]) -> Phrase:
    """Return whom an assertion trusts."""
    match node:
        case None:
            return Phrase("anybody at all")
        case syntax.Empty():
            return Phrase("nobody")
        case syntax.Principal(name):
            return Phrase(speaker(name, constants))
        case syntax.AllOf(parts):
            return Phrase("all of these together", tuple(trusted(part, constants) for part in parts))
        case syntax.AnyOf(parts):
            return Phrase("any one of these", tuple(trusted(part, constants) for part in parts))
        case syntax.Threshold(k, members):
            return Phrase(f"any {k} of these together", tuple(trusted(member, constants) for member in members))


def granted(program: syntax.Program | None, constants: Mapping[str, str]) -> tuple[Phrase, ...]:
    """Return for what: one phrase for each clause."""
    if program is None:
        return (Phrase("everything that the authorizer may do, always"),)
    if not program.clauses:
        return (Phrase("nothing: the Conditions are empty"),)
    return tuple(_clause(clause, constants) for clause in program.clauses)


def _clause(clause: syntax.Clause, constants: Mapping[str, str]) -> Phrase:
    tests = _tests(clause.test, constants)
    match clause.value:
        case syntax.Program(inner):
            return Phrase("where all of this holds, and one of the following", (*tests, *(_clause(each, constants) for each in inner)))
        case None | syntax.Attribute("_MAX_TRUST"):
            return _where("the strongest value", tests)
        case value:
            return _where("the weakest value" if value == syntax.Attribute(MIN_TRUST) else f"the value {code(value)}", tests)


def _where(value: str, tests: tuple[Phrase, ...]) -> Phrase:
    return Phrase(f"{value}, where" if tests else f"{value}, always", tests)


def _tests(test: syntax.Test, constants: Mapping[str, str]) -> tuple[Phrase, ...]:
    match test:
        case syntax.And(parts):
            return tuple(phrase for part in parts for phrase in _tests(part, constants))
        case syntax.Truth(True):
            return ()
        case _:
            return (_test(test, constants),)


def _test(test: syntax.Test, constants: Mapping[str, str]) -> Phrase:
    match test:
        case syntax.Or(parts):
            return Phrase("one of these holds", tuple(_test(part, constants) for part in parts))
        case syntax.And():
            return Phrase("all of these hold", _tests(test, constants))
        case syntax.Not(inner):
            return Phrase("this does not hold", (_test(inner, constants),))
        case syntax.Truth(value):
            return Phrase("always" if value else "never")
        case syntax.TextRelation(relation, left, right):
            return Phrase(_compared(relation, left, right, constants))
        case syntax.Match(text, pattern):
            return Phrase(f"{_text(text)} matches the pattern {_text(pattern)}")
        case syntax.IntegerRelation(relation, first, second):
            return Phrase(f"{code(first)} {_RELATIONS[relation]} {code(second)}, as numbers")
        case syntax.FloatRelation(relation, one, other):
            return Phrase(f"{code(one)} {_RELATIONS[relation]} {code(other)}, as numbers")


def _compared(relation: str, left: syntax.Text, right: syntax.Text, constants: Mapping[str, str]) -> str:
    name = left.name if isinstance(left, syntax.Attribute) else ""
    value = fold(right, constants)
    if name in {DATE, TIME} and value is not None:
        return f"the {name} {_CLOCK[relation]} {when(value)}"
    if name == ACTION_AUTHORIZERS and value is not None and relation == "==":
        people = [describe(each) for each in value.split(",")]
        return "it is asked for by " + " and ".join(people) + " in person"
    if value == "" and relation in {"==", "!="}:
        return f"{_text(left)} is {'not ' if relation == '==' else ''}set"
    return f"{_text(left)} {_RELATIONS[relation]} {_text(right)}"


def _text(node: syntax.Text) -> str:
    return shown(node.name) if isinstance(node, syntax.Attribute) else code(node)


def when(written: str) -> str:
    """Return a KeyNote date or time as people write it, in UTC."""
    digits = written.isascii() and written.isdigit()
    day = f"{written[:4]}-{written[4:6]}-{written[6:8]}"
    if digits and len(written) == 8:  # noqa: PLR2004 - YYYYMMDD
        return day
    if digits and len(written) == 14:  # noqa: PLR2004 - YYYYMMDDhhmmss
        return f"{day} {written[8:10]}:{written[10:12]}:{written[12:]} UTC"
    return f"`{shown(written)}`"


def delegation(tree: syntax.Assertion) -> str:
    """Return whether licensees may pass on what they get."""
    clauses = [node for node in syntax.nodes(tree.conditions) if isinstance(node, syntax.Clause)]
    if clauses and all(syntax.Attribute(ACTION_AUTHORIZERS) in tuple(syntax.nodes(clause.test)) for clause in clauses):
        return "for those who ask in person"
    constants = dict(tree.constants)
    names = [fold(node.name, constants) for node in syntax.nodes(tree.licensees) if isinstance(node, syntax.Principal)]
    if names and not any(name is None or is_key(name) for name in names):
        return "its licensees are names, not keys: they cannot pass it on"
    return "its licensees may license others in turn"


def last_days(tree: syntax.Assertion) -> tuple[str, ...]:
    """Return every day or time before which the conditions want to be asked."""
    return tuple(dict.fromkeys(_upper_bounds(tree)))


def _upper_bounds(tree: syntax.Assertion) -> Iterator[str]:
    constants = dict(tree.constants)
    for node in syntax.nodes(tree.conditions):
        if isinstance(node, syntax.TextRelation) and node.relation in {"<", "<="} and isinstance(node.left, syntax.Attribute):
            value = fold(node.right, constants)
            if node.left.name in {DATE, TIME} and value is not None:
                yield f"{'before' if node.relation == '<' else 'up to and with'} {when(value)}"
