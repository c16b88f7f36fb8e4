"""The readable evaluator of conditions: the specification that the fast path is tested against.

Each function follows one rule of RFC 2704, section 4.6.5 (and 4.4 for attributes).  A run-time
error (:class:`RuntimeFault`) makes the whole test of its clause false, whatever surrounds it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clearinghouse.keynote import numbers, patterns, syntax
from clearinghouse.keynote.context import Context
from clearinghouse.keynote.numbers import RuntimeFault

_BYTES_PER_STEP = 64
"""Bytes of a text that are joined, or read as a number, in one step of the budget."""

SEARCHES = 2
"""Whoever explains an answer searches again, and should find it paid for."""

_RELATIONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_INTEGER_OPERATIONS = {
    "+": numbers.add,
    "-": numbers.subtract,
    "*": numbers.multiply,
    "/": numbers.divide,
    "%": numbers.modulo,
    "^": numbers.power,
}
_FLOAT_OPERATIONS = {
    "+": numbers.fadd,
    "-": numbers.fsubtract,
    "*": numbers.fmultiply,
    "/": numbers.fdivide,
    "^": numbers.fpower,
}


@dataclass(slots=True)
class Environment:
    """What a name means inside one assertion; ``reads`` records each action attribute that was read."""

    context: Context
    constants: Mapping[str, str]
    captures: tuple[str, ...] = ()
    reads: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """Special attributes, then captures, then constants, then the action; undefined is empty."""
        if name.startswith("_"):
            # isdigit() alone accepts superscripts, which an octet string can hold (U+00B2).
            return self.capture(name[1:]) if name[1:].isdigit() and name.isascii() else self._special(name)
        if name in self.constants:
            return self.constants[name]
        self.reads[name] = self.context.action.get(name, "")
        return self.reads[name]

    def capture(self, digits: str) -> str:
        """``_0`` is the number of groups of the last match, ``_1`` its first group."""
        if digits != "0" and digits.startswith("0"):
            return ""
        number = int(digits) if len(digits) < 4 else len(self.captures)  # noqa: PLR2004 - no pattern has 1000 groups
        return self.captures[number] if number < len(self.captures) else ""

    def _special(self, name: str) -> str:
        value = self.context.special(name)
        if value:
            self.reads[name] = value
        return value

    def match(self, text: str, pattern: str) -> bool:
        """Search, and keep the captures; a search that fails clears them."""
        self.context.budget.spend(SEARCHES * patterns.cost(pattern, text, limits=self.context.limits))
        found = patterns.search(pattern, text, limits=self.context.limits)
        self.captures = found or ()
        return found is not None

    def join(self, parts: list[str]) -> str:
        """Concatenate within the limit on built text."""
        return join(self.context, parts)


def join(context: Context, parts: list[str]) -> str:
    """Return the concatenation; too long a text is a run-time error, and every byte is paid for."""
    length = sum(map(len, parts))
    if length > context.limits.attribute_bytes:
        raise RuntimeFault("a text grew beyond the limit `attribute_bytes`")
    if length > _BYTES_PER_STEP:
        context.budget.spend(length // _BYTES_PER_STEP)
    return "".join(parts)


def integer_in(context: Context, text: str) -> int:
    """Return ``@text``; a long text is paid for, because reading its digits takes time."""
    if len(text) > _BYTES_PER_STEP:
        context.budget.spend(len(text) // _BYTES_PER_STEP)
    return numbers.to_integer(text)


def float_in(context: Context, text: str) -> float:
    """Return ``&text``; a long text is paid for."""
    if len(text) > _BYTES_PER_STEP:
        context.budget.spend(len(text) // _BYTES_PER_STEP)
    return numbers.to_float(text)


def text_of(node: syntax.Text, env: Environment) -> str:
    """An undefined attribute reads as the empty string (RFC 2704, 4.4)."""
    match node:
        case syntax.Literal(text):
            return text
        case syntax.Attribute(name):
            return env.get(name)
        case syntax.Indirect(term):
            return env.get(text_of(term, env))
        case syntax.Join(parts):
            return env.join([text_of(part, env) for part in parts])


def integer_of(node: syntax.IntegerTerm, env: Environment) -> int:
    """32-bit integers with C's rounding; leaving 32 bits is a run-time error."""
    match node:
        case syntax.Integer(value):
            return numbers.integer(value)
        case syntax.ToInteger(term):
            return integer_in(env.context, text_of(term, env))
        case syntax.IntegerNegation(term):
            return numbers.negate(integer_of(term, env))
        case syntax.IntegerOperation(symbol, left, right):
            return _INTEGER_OPERATIONS[symbol](integer_of(left, env), integer_of(right, env))


def float_of(node: syntax.FloatTerm, env: Environment) -> float:
    """Double precision, as every implementation known to us; infinities are run-time errors."""
    match node:
        case syntax.Float(value):
            return value
        case syntax.ToFloat(term):
            return float_in(env.context, text_of(term, env))
        case syntax.FloatNegation(term):
            return -float_of(term, env)
        case syntax.FloatOperation(symbol, left, right):
            return _FLOAT_OPERATIONS[symbol](float_of(left, env), float_of(right, env))


def holds(node: syntax.Test, env: Environment) -> bool:
    """Left to right, and an operand that is skipped raises nothing."""
    match node:
        case syntax.TextRelation(relation, left, right):
            return _RELATIONS[relation](text_of(left, env), text_of(right, env))
        case syntax.IntegerRelation(relation, left, right):
            return _RELATIONS[relation](integer_of(left, env), integer_of(right, env))
        case syntax.FloatRelation(relation, left, right):
            return _RELATIONS[relation](float_of(left, env), float_of(right, env))
        case syntax.Match(text, pattern):
            return env.match(text_of(text, env), text_of(pattern, env))
        case syntax.Truth(value):
            return value
        case syntax.Not(test):
            return not holds(test, env)
        case syntax.And(tests):
            return all(holds(test, env) for test in tests)
        case syntax.Or(tests):
            return any(holds(test, env) for test in tests)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one clause.

    ``path`` numbers it from 1, inner clauses after their outer one.  ``level`` is its value as an
    index into the query's values.  ``fault`` is the run-time error that made it false.  ``said``
    is the text after ``->`` where it names no value of this query.  ``reads`` is what the clause
    read, an inner one's shared with its outer one.
    """

    path: tuple[int, ...]
    clause: syntax.Clause
    level: int
    held: bool
    fault: str = ""
    said: str | None = None
    inner: tuple[Outcome, ...] = ()
    reads: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


def outcomes(program: syntax.Program, env: Environment, path: tuple[int, ...] = ()) -> tuple[Outcome, ...]:
    """Evaluate every clause; captures of an outer test are seen by each inner clause."""
    outer, before = env.captures, env.reads
    found = []
    for number, clause in enumerate(program.clauses, start=1):
        env.captures = outer
        if not path:
            env.reads = {}
        found.append(_outcome(clause, env, (*path, number)))
        before.update(env.reads)
    env.captures, env.reads = outer, before
    return tuple(found)


def _outcome(clause: syntax.Clause, env: Environment, path: tuple[int, ...]) -> Outcome:
    env.context.budget.spend(1)
    reads = env.reads
    try:
        if not holds(clause.test, env):
            return Outcome(path, clause, 0, held=False, reads=reads)
        match clause.value:
            case None:
                return Outcome(path, clause, env.context.top, held=True, reads=reads)
            case syntax.Program() as block:
                inner = outcomes(block, env, path)
                return Outcome(path, clause, max((each.level for each in inner), default=0), held=True, inner=inner, reads=reads)
            case value:
                said = text_of(value, env)
                levels = env.context.levels
                return Outcome(path, clause, levels.get(said, 0), held=True, said=None if said in levels else said, reads=reads)
    except RuntimeFault as fault:
        return Outcome(path, clause, 0, held=False, fault=fault.reason, reads=reads)


def evaluate(program: syntax.Program | None, env: Environment) -> int:
    """Return the level of a Conditions field: missing is the strongest, empty the weakest (4.6.5)."""
    if program is None:
        return env.context.top
    return max((each.level for each in outcomes(program, env)), default=0)
