"""Conditions by shape: the text without its literals, parsed and compiled once.

Reading a condition whose shape is known costs one regular expression; Lark reads each shape the
first time it is met.  The result is the tree that Lark gives, or there is none: a shape is kept
only if the literals that were cut out are exactly those that Lark found, in the same order.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import product
from sys import intern
from typing import Any

from clearinghouse.keynote import syntax
from clearinghouse.keynote.compiler import Constants, Function, TooDeep, compile_program, interpret
from clearinghouse.keynote.numbers import INT_MAX
from clearinghouse.keynote.remembered import Remembered
from clearinghouse.keynote.strings import float_of, unquote

# It begins with a set of characters, for which `re` looks much faster than for alternatives.
_LITERAL = re.compile(
    r"""
    (["0-9](?:
        (?<=") [^"\\\n\r]*+ (?:\\[^\r] [^"\\\n\r]*+)*+ (?:"|[\s\S]*)
        | (?<=[0-9]) (?<![A-Za-z0-9_.][0-9]) [0-9]* (?:\.[0-9]+)? (?![A-Za-z0-9_.])
    ))""",
    re.VERBOSE,
)
"""A literal; or a string that is never closed, and all after it, so that its quotes are not tried one by one."""
_KEYWORD = re.compile(r"(?i:\b(?:true|false)\b)")
_KEYWORDS = frozenset("".join(letters) for word in ("true", "false") for letters in product(*zip(word, word.upper(), strict=True)))
_SHAPES = 4_096
"""Shapes remembered; one is about 6 kB.  A community's templates give some dozens."""
_LONGEST = 1 << 14
"""Characters of a shape that is remembered."""
_INTERNED = 40
"""Literals up to this length are shared between credentials: names, domains, values."""
_NUMBERS = 1_024
"""Numbers that are shared between credentials: levels, ports, sizes."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape: its tree (literals carry their slots), its function, and what the function needs."""

    program: syntax.Program
    function: Function
    names: tuple[str, ...]
    indirect: bool
    cost: int


@dataclass(frozen=True, slots=True)
class Shaped:
    """A condition as a shape and its literals."""

    shape: Shape
    literals: tuple[Any, ...]

    def tree(self) -> syntax.Program:
        """Return the tree that Lark gives for the same text."""
        filled: syntax.Program = _fill(self.shape.program, self.literals)
        return filled

    def constants(self, names: Mapping[str, str]) -> Constants:
        """Return what the shape's function takes, given the assertion's local constants."""
        shape = self.shape
        if not names:
            return (*self.literals, {}) if shape.indirect else self.literals
        return (*self.literals, *(names[name] for name in shape.names), *((dict(names),) if shape.indirect else ()))


def cut(body: str) -> tuple[str, tuple[Any, ...]] | None:
    """Return the shape text of a Conditions *body* and its literals, or ``None`` for unusual text."""
    pieces = _LITERAL.split(body)
    outside = "\0".join(pieces[::2])
    if "#" in outside or len(outside) > _LONGEST or not pieces[-1]:  # every clause ends with `;`, so the last literal is not closed
        return None
    kinds, literals = [], []
    for piece in pieces[1::2]:
        kind, value = _value(piece)
        if value is None:
            return None
        kinds.append(kind)
        literals.append(value)
    if not _KEYWORDS.isdisjoint(literals) and _KEYWORD.search(outside):
        return None  # `true == "true"` is refused for what the literal says (tree.py)
    return f"{outside}\0\0{''.join(kinds)}", tuple(literals)


def _value(piece: str) -> tuple[str, str | int | float | None]:
    """Return the kind of a literal and its value, ``None`` where the slow path must judge it."""
    if piece[0] == '"':
        text, bad = (piece[1:-1], None) if "\\" not in piece else unquote(piece)
        return "s", None if bad is not None else (intern(text) if len(text) < _INTERNED else text)
    if "." in piece:
        return "f", float_of(piece)
    number = _integers[piece] if len(piece) <= 10 else INT_MAX + 1  # noqa: PLR2004 - digits of 32 bits
    return "i", number if number <= INT_MAX else None


_integers: Remembered[str, int] = Remembered(int, _NUMBERS)
"""Shared as short texts are: a number above 256 has 32 bytes in each credential otherwise."""


class Shapes:
    """A bounded memory of shapes, least recently used first out."""

    def __init__(self, size: int = _SHAPES) -> None:
        """Remember at most *size* shapes."""
        self._size = size
        self._known: OrderedDict[tuple[str, tuple[str, ...]], Shape] = OrderedDict()

    def __len__(self) -> int:
        """Return how many shapes are remembered."""
        return len(self._known)

    def known(self, body: str, names: tuple[str, ...]) -> Shaped | None:
        """Return *body* by a remembered shape, or ``None``; *names* are the local constants."""
        parts = cut(body)
        if parts is None:
            return None
        key = (parts[0], names)
        shape = self._known.get(key)
        if shape is None:
            return None
        with suppress(KeyError):  # another thread may just have let go of it
            self._known.move_to_end(key)
        return Shaped(shape, parts[1])

    def learn(self, body: str, names: tuple[str, ...], program: syntax.Program) -> Shaped | None:
        """Compile *program*, Lark's tree of *body*, and remember it if its shape is regular."""
        parts = cut(body)
        if parts is None or parts[1] != tuple(_literals(program)):
            return None
        used = tuple(sorted(set(names) & set(_attributes(program))))
        try:
            function = compile_program(program, used, len(parts[1]))
        except TooDeep:
            return None
        shape = Shape(program, function, used, indirect=_has_indirect(program), cost=weight(program))
        self._known[parts[0], names] = shape
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return Shaped(shape, parts[1])


def interpreted(program: syntax.Program, names: Mapping[str, str]) -> tuple[Function, Constants]:
    """Return the readable evaluator in the form of a compiled function."""
    return interpret, (program, dict(names))


def weight(program: syntax.Program) -> int:
    """Return the steps of a budget that evaluating *program* takes."""
    return 1 + (sum(1 for _ in syntax.nodes(program)) >> 3)


def _literals(program: syntax.Program) -> Iterator[str | int | float]:
    found = [node for node in syntax.nodes(program) if isinstance(node, syntax.Literal | syntax.Integer | syntax.Float)]
    for node in sorted(found, key=lambda node: node.slot):
        yield node.text if isinstance(node, syntax.Literal) else node.value


def _attributes(program: syntax.Program) -> Iterator[str]:
    return (node.name for node in syntax.nodes(program) if isinstance(node, syntax.Attribute))


def _has_indirect(program: syntax.Program) -> bool:
    return any(isinstance(node, syntax.Indirect) for node in syntax.nodes(program))


def _fill(node: Any, literals: tuple[Any, ...]) -> Any:  # noqa: ANN401 - every class of syntax.py
    """Return the shape's tree with other literals; its depth is bounded by the limit on nesting."""
    match node:
        case syntax.Literal():
            return replace(node, text=literals[node.slot])
        case syntax.Integer() | syntax.Float():
            return replace(node, value=literals[node.slot])
        case tuple():
            return tuple(_fill(each, literals) for each in node)
        case _ if is_dataclass(node):
            return node.__class__(*(_fill(getattr(node, each.name), literals) for each in fields(node)))
        case _:
            return node
