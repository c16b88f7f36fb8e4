"""The tree of one assertion: frozen dataclasses named after the rules of ``keynote.lark``.

Text in the tree is octet text (see :mod:`.octets`).  ``slot`` numbers the literals of a
Conditions field in the order in which they are written; it is no part of a tree's value and lets
one compiled program serve every assertion of the same shape.

``&&``, ``||`` and ``.`` are associative, so a run of them is one node with many parts: a long
list of alternatives is wide, not deep.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any
from typing import Literal as OneOf

# -- text: a literal, a name, `$`, `.` ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Literal:
    """A quoted string, escapes resolved (RFC 2704, 4.4)."""

    text: str
    slot: int = field(default=-1, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Attribute:
    """A name: a special attribute, a capture, a local constant or an action attribute."""

    name: str


@dataclass(frozen=True, slots=True)
class Indirect:
    """``$term``: the attribute whose name is the value of *term*."""

    term: Text


@dataclass(frozen=True, slots=True)
class Join:
    """``a . b . c``: concatenation."""

    parts: tuple[Text, ...]


Text = Literal | Attribute | Indirect | Join

# -- numbers: two worlds that never mix ------------------------------------------------------------

Operator = OneOf["+", "-", "*", "/", "%", "^"]


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer literal; a value beyond 32 bits is a run-time error when it is evaluated."""

    value: int
    slot: int = field(default=-1, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ToInteger:
    """``@term``: the integer that a text denotes, 0 where it denotes none."""

    term: Text


@dataclass(frozen=True, slots=True)
class IntegerNegation:
    """``-term`` on integers; binds tighter than ``^``."""

    term: IntegerTerm


@dataclass(frozen=True, slots=True)
class IntegerOperation:
    """One of ``+ - * / % ^`` on 32-bit integers with C's rounding."""

    operator: Operator
    left: IntegerTerm
    right: IntegerTerm


IntegerTerm = Integer | ToInteger | IntegerNegation | IntegerOperation


@dataclass(frozen=True, slots=True)
class Float:
    """A float literal."""

    value: float
    slot: int = field(default=-1, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ToFloat:
    """``&term``: the float that a text denotes, 0.0 where it denotes none."""

    term: Text


@dataclass(frozen=True, slots=True)
class FloatNegation:
    """``-term`` on floats."""

    term: FloatTerm


@dataclass(frozen=True, slots=True)
class FloatOperation:
    """One of ``+ - * / ^`` on floats."""

    operator: Operator
    left: FloatTerm
    right: FloatTerm


FloatTerm = Float | ToFloat | FloatNegation | FloatOperation

# -- tests -----------------------------------------------------------------------------------------

Relation = OneOf["==", "!=", "<", ">", "<=", ">="]


@dataclass(frozen=True, slots=True)
class TextRelation:
    """Two texts compared octet by octet."""

    relation: Relation
    left: Text
    right: Text


@dataclass(frozen=True, slots=True)
class Match:
    """``text ~= pattern``: a POSIX extended regular expression, unanchored; sets the captures."""

    text: Text
    pattern: Text


@dataclass(frozen=True, slots=True)
class IntegerRelation:
    """Two integers compared."""

    relation: Relation
    left: IntegerTerm
    right: IntegerTerm


@dataclass(frozen=True, slots=True)
class FloatRelation:
    """Two floats compared; only ``< > <= >=`` exist."""

    relation: Relation
    left: FloatTerm
    right: FloatTerm


@dataclass(frozen=True, slots=True)
class Truth:
    """``true`` or ``false``."""

    value: bool


@dataclass(frozen=True, slots=True)
class Not:
    """``!test``; binds looser than a relation."""

    test: Test


@dataclass(frozen=True, slots=True)
class And:
    """``a && b && c``, left to right, stopping at the first that is false."""

    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """``a || b || c``, left to right, stopping at the first that is true."""

    tests: tuple[Test, ...]


Test = TextRelation | Match | IntegerRelation | FloatRelation | Truth | Not | And | Or
Term = Text | IntegerTerm | FloatTerm | Test

# -- conditions ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clause:
    """``test;``, ``test -> value;`` or ``test -> { program };`` (RFC 2704, 4.6.5).

    ``start`` and ``end`` are the clause's place in the assertion's octet text.
    """

    test: Test
    value: Text | Program | None
    start: int = field(default=0, compare=False, repr=False)
    end: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Program:
    """The clauses of a Conditions field or of a ``{ }`` block; they are alternatives."""

    clauses: tuple[Clause, ...]


# -- licensees -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Principal:
    """One principal among the licensees: any text."""

    name: Text


@dataclass(frozen=True, slots=True)
class AllOf:
    """``a && b``: the weakest of the parts."""

    parts: tuple[Licensees, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """``a || b``: the strongest of the parts."""

    parts: tuple[Licensees, ...]


@dataclass(frozen=True, slots=True)
class Threshold:
    """``k-of(p, ...)``: the k-th strongest of the members, repeated ones counted."""

    k: int
    members: tuple[Principal, ...]


Licensees = Principal | AllOf | AnyOf | Threshold

# -- the assertion ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Empty:
    """A field that is present with nothing in it: the weakest value, not the strongest."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """One parsed assertion, not verified: nothing in it may be believed yet.

    ``raw`` are the exact bytes.  ``signed_end`` is the offset just after the newline before the
    Signature label, so ``raw[signed_start:signed_end]`` are the bytes that a signature covers
    (without the algorithm name).  A missing field is ``None``; an empty one is :class:`Empty`.
    """

    authorizer: Text
    licensees: Licensees | Empty | None = None
    conditions: Program | None = None
    constants: tuple[tuple[str, str], ...] = ()
    comment: str | None = None
    version: bool = False
    signature: Text | None = None
    raw: bytes = field(default=b"", compare=False, repr=False)
    signed_start: int = field(default=0, compare=False, repr=False)
    signed_end: int = field(default=0, compare=False, repr=False)


# -- walking --------------------------------------------------------------------------------------


def nodes(node: Any) -> Iterator[Any]:  # noqa: ANN401 - any class above
    """Yield *node* and all below it, in the order in which they are written; no recursion."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if isinstance(current, tuple):
            waiting.extend(current[::-1])
        elif parts := _parts(current.__class__):
            yield current
            waiting.extend([getattr(current, part) for part in parts])


@cache
def _parts(kind: type) -> tuple[str, ...]:
    """Return the members of a class above, the last first; none for any other class."""
    return tuple(each.name for each in reversed(fields(kind))) if is_dataclass(kind) else ()
