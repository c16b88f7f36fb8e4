"""POSIX extended regular expressions as trees, named after IEEE Std 1003.1, section 9.4.

`clearinghouse.keynote.posix.parser` reads them, `clearinghouse.keynote.patterns` searches with
them, and `clearinghouse.keynote.posix.submatches` says what their groups matched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from clearinghouse.keynote.numbers import RuntimeFault

ANY = (1 << 256) - 1
"""The set of all bytes, which ``.`` stands for."""


class PatternFault(RuntimeFault):
    """A pattern that cannot be used: the run-time error of ``~=``.

    ``rule`` is the linter's name for it: ``regex-escape``, ``regex-syntax`` or ``regex-size``.
    """

    __slots__ = ("rule",)

    def __init__(self, rule: str, reason: str) -> None:
        """Keep *rule* and *reason*; the reason ends with what to write instead, where that is known."""
        super().__init__(reason)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Octet:
    """One byte of a set: bit *b* of ``members`` is 1 when byte *b* belongs to it."""

    members: int


@dataclass(frozen=True, slots=True)
class Start:
    """``^``, the start of the text."""


@dataclass(frozen=True, slots=True)
class End:
    """``$``, the very end of the text."""


@dataclass(frozen=True, slots=True)
class Group:
    """``(body)``, number ``number``; the groups inside it have the numbers after it, up to ``last``."""

    number: int
    last: int
    body: Node


@dataclass(frozen=True, slots=True)
class Repeat:
    """*body* ``least`` to ``most`` times; ``None`` is without end."""

    body: Octet | Group
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Sequence:
    """Two or more parts, one after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Two or more branches, joined by ``|``."""

    branches: tuple[Node, ...]


Node: TypeAlias = Octet | Start | End | Group | Repeat | Sequence | Either


def size(node: Node) -> int:
    """Return how many nodes there are when every repetition is written out; RE2 needs about as many instructions."""
    match node:
        case Octet() | Start() | End():
            return 1
        case Group(body=body):
            return 1 + size(body)
        case Repeat(body, least, most):
            return 1 + size(body) * max(least, most or 1)
        case Sequence(parts) | Either(parts):
            return sum(map(size, parts))
