"""The fast path: one Python function for each *shape* of a Conditions field.

A shape is a condition with its literals taken out.  Conditions of one shape share one function
``f(context, constants) -> level``; their literals arrive in ``constants``, so no byte of a
credential ever becomes part of generated source: what is generated are slot numbers, operators
and attribute names that the grammar has admitted as identifiers.

The function does what :func:`clearinghouse.keynote.conditions.evaluate` does, and the property
tests hold it to that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clearinghouse.keynote import numbers, patterns, syntax
from clearinghouse.keynote.conditions import SEARCHES, Environment, evaluate, float_in, integer_in, join
from clearinghouse.keynote.context import Context
from clearinghouse.keynote.numbers import RuntimeFault

Constants = tuple[Any, ...]
Function = Callable[[Context, Constants], int]

_DEEPEST = 30
"""Nesting that is compiled; Python allows 200 brackets and 20 nested blocks.  Deeper is interpreted."""
_DEEPEST_BLOCK = 8

_INTEGER = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "modulo", "^": "power"}
_FLOAT = {"+": "fadd", "-": "fsubtract", "*": "fmultiply", "/": "fdivide", "^": "fpower"}


def interpret(context: Context, constants: Constants) -> int:
    """Evaluate without compiling: *constants* are the program and its local constants."""
    program, names = constants
    return evaluate(program, Environment(context, names))


class TooDeep(Exception):
    """The program nests deeper than is compiled."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a function was made of: ``constants[literals + i]`` is the value of the local constant ``names[i]``."""

    program: syntax.Program
    names: tuple[str, ...]
    literals: int


def source_of(function: Function) -> Source | None:
    """Return what *function* was made of, ``None`` for :func:`interpret`."""
    found: Source | None = getattr(function, "source", None)
    return found


def compile_program(program: syntax.Program, names: Sequence[str], literals: int) -> Function:
    """Return the function of *program*.

    ``constants[slot]`` is each literal; ``constants[literals + i]`` the value of the local
    constant ``names[i]``; ``constants[-1]`` the mapping of local constants, for ``$``.
    Raises :class:`TooDeep`.
    """
    source = Writer({name: literals + index for index, name in enumerate(names)}).write(program)
    space: dict[str, Any] = dict(_HELPERS)
    exec(compile(source, "<conditions>", "exec"), space)  # noqa: S102 - slots, operators and admitted identifiers only
    made: Function = space["program"]
    made.__dict__["source"] = Source(program, tuple(names), literals)
    return made


class Writer:
    """Writes the source of one function; each method returns the text of one expression."""

    def __init__(self, names: Mapping[str, int]) -> None:
        """Take local constants *names* from their places in the constants."""
        self._names = names
        self._lines: list[str] = []
        self._alone = False

    def write(self, program: syntax.Program) -> str:
        """Return the function of *program*."""
        self._alone = len(program.clauses) == 1 and not isinstance(program.clauses[0].value, syntax.Program)
        self._lines = ["def program(q, k):", "    a = q.action.get", *([] if self._alone else ["    top = q.top", "    best = 0"])]
        self._clauses(program, 1, "()")
        self._lines.append("    return 0" if self._alone else "    return best")
        return "\n".join(self._lines)

    def _line(self, depth: int, text: str) -> None:
        self._lines.append("    " * depth + text)

    def _clauses(self, program: syntax.Program, depth: int, outer: str) -> None:
        """Write each clause as a guarded ``if``; captures live in one variable per block level."""
        if depth > 2 * _DEEPEST_BLOCK:
            raise TooDeep
        captures = f"c{depth}"
        for clause in program.clauses:
            if _uses_captures(clause):
                self._line(depth, f"{captures} = {outer}")
            guarded = isinstance(clause.value, syntax.Program) or _can_fail(clause)
            inside = depth + 1 if guarded else depth
            if guarded:
                self._line(depth, "try:")
            self._line(inside, f"if {self._test(clause.test, captures, 0)}:")
            self._value(clause.value, inside + 1, captures)
            if guarded:
                self._line(depth, "except RuntimeFault:")
                self._line(depth + 1, "pass")

    def _value(self, value: syntax.Text | syntax.Program | None, depth: int, captures: str) -> None:
        match value:
            case None:
                self._line(depth, "return q.top")
            case syntax.Literal() | syntax.Attribute() | syntax.Indirect() | syntax.Join() as text if self._alone:
                self._line(depth, f"return q.levels.get({self._text(text, captures, 0)}, 0)")
            case syntax.Program():
                self._line(depth, "pass")
                self._clauses(value, depth, captures)
            case text:
                self._line(depth, f"level = q.levels.get({self._text(text, captures, 0)}, 0)")
                self._line(depth, "if level > best:")
                self._line(depth + 1, "best = level")
                self._line(depth + 1, "if best == top:")
                self._line(depth + 2, "return top")

    def _constant(self, place: int) -> str:
        return f"k[{place}]"

    def _text(self, node: syntax.Text, captures: str, depth: int) -> str:
        if depth > _DEEPEST:
            raise TooDeep
        match node:
            case syntax.Literal():
                return self._constant(node.slot)
            case syntax.Attribute(name):
                return self._name(name, captures)
            case syntax.Indirect(term):
                return f"named(q, {captures}, k[-1], {self._text(term, captures, depth + 1)})"
            case syntax.Join(parts):
                return f"join(q, [{', '.join(self._text(part, captures, depth + 1) for part in parts)}])"

    def _name(self, name: str, captures: str) -> str:
        if name in self._names:
            return self._constant(self._names[name])
        if name.startswith("_"):  # a capture or a special attribute: resolved as `$` would
            return f"named(q, {captures}, NONE, {name!r})"
        return f'a({name!r}, "")'

    def _integer(self, node: syntax.IntegerTerm, captures: str, depth: int) -> str:
        if depth > _DEEPEST:
            raise TooDeep
        match node:
            case syntax.Integer():
                return self._constant(node.slot)
            case syntax.ToInteger(term):
                return f"(integers[t] if (t := {self._text(term, captures, depth + 1)}) in integers else to_integer(q, t))"
            case syntax.IntegerNegation(term):
                return f"negate({self._integer(term, captures, depth + 1)})"
            case syntax.IntegerOperation(symbol, left, right):
                return f"{_INTEGER[symbol]}({self._integer(left, captures, depth + 1)}, {self._integer(right, captures, depth + 1)})"

    def _float(self, node: syntax.FloatTerm, captures: str, depth: int) -> str:
        if depth > _DEEPEST:
            raise TooDeep
        match node:
            case syntax.Float():
                return self._constant(node.slot)
            case syntax.ToFloat(term):
                return f"to_float(q, {self._text(term, captures, depth + 1)})"
            case syntax.FloatNegation(term):
                return f"-({self._float(term, captures, depth + 1)})"
            case syntax.FloatOperation(symbol, left, right):
                return f"{_FLOAT[symbol]}({self._float(left, captures, depth + 1)}, {self._float(right, captures, depth + 1)})"

    def _test(self, node: syntax.Test, captures: str, depth: int) -> str:
        if depth > _DEEPEST:
            raise TooDeep
        match node:
            case syntax.TextRelation(relation, left, right):
                return f"{self._text(left, captures, depth)} {relation} {self._text(right, captures, depth)}"
            case syntax.IntegerRelation(relation, first, second):
                return f"{self._integer(first, captures, depth)} {relation} {self._integer(second, captures, depth)}"
            case syntax.FloatRelation(relation, one, other):
                return f"{self._float(one, captures, depth)} {relation} {self._float(other, captures, depth)}"
            case syntax.Match(text, pattern):
                return f"({captures} := search(q, {self._text(text, captures, depth)}, {self._text(pattern, captures, depth)}))"
            case syntax.Truth(value):
                return str(value)
            case syntax.Not(test):
                return f"not ({self._test(test, captures, depth + 1)})"
            case syntax.And(tests):
                return " and ".join(f"({self._test(test, captures, depth + 1)})" for test in tests)
            case syntax.Or(tests):
                return " or ".join(f"({self._test(test, captures, depth + 1)})" for test in tests)


def _uses_captures(clause: syntax.Clause) -> bool:
    """Say whether anything in *clause* sets or reads a capture; `$` may name one."""
    return any(
        isinstance(node, syntax.Match | syntax.Indirect | syntax.Attribute) and getattr(node, "name", "_").startswith("_")
        for node in syntax.nodes(clause)
    )


def _can_fail(clause: syntax.Clause) -> bool:
    """Say whether *clause* can raise a run-time error: comparing texts cannot."""
    return any(isinstance(node, _FALLIBLE) for node in syntax.nodes(clause))


_FALLIBLE = (syntax.Match, syntax.Join, syntax.IntegerRelation, syntax.FloatRelation, syntax.ToInteger, syntax.ToFloat)


# -- what generated functions call ----------------------------------------------------------------


def _search(context: Context, text: str, pattern: str) -> tuple[str, ...]:
    """Return the captures, which are never empty on a match; no match gives none."""
    context.budget.spend(SEARCHES * patterns.cost(pattern, text, limits=context.limits))
    return patterns.search(pattern, text, limits=context.limits) or ()


def _named(context: Context, captures: tuple[str, ...], constants: Mapping[str, str], name: str) -> str:
    """Return the value of the attribute *name*, as the readable evaluator finds it."""
    return Environment(context, constants, captures).get(name)


_integers: dict[str, int] = {}
"""What texts of up to four digits are: levels, ports, counts.  There are 11,110 of them, so none is forgotten."""


def _to_integer(context: Context, text: str) -> int:
    """Return ``@text``, and remember it if it is short."""
    value = integer_in(context, text)
    if len(text) <= 4 and text.isdecimal():  # noqa: PLR2004 - as above; an octet string of decimals is ASCII
        _integers[text] = value
    return value


_HELPERS: Mapping[str, Any] = {
    "__builtins__": {},
    "RuntimeFault": RuntimeFault,
    "NONE": {},
    "join": join,
    "named": _named,
    "search": _search,
    "integers": _integers,
    "to_integer": _to_integer,
    "to_float": float_in,
    "negate": numbers.negate,
    **{name: getattr(numbers, name) for name in (*_INTEGER.values(), *_FLOAT.values())},
}
