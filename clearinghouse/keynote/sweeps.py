"""One condition shape for many subjects at once: the loop is generated, too.

Of a hundred thousand questions that differ in one attribute, the subject's name, everything else is read once.
Only texts that are compared are swept; any other condition is asked one by one, to the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from typing_extensions import override

from clearinghouse.keynote import syntax
from clearinghouse.keynote.compiler import Function, Source, TooDeep, Writer, source_of
from clearinghouse.keynote.context import Context
from clearinghouse.keynote.credential import Admitted
from clearinghouse.keynote.remembered import Remembered

_SWEEPS = 4_096
"""Loops that are remembered, as many as shapes are."""

Sweep = Callable[[Context, Mapping[str, tuple[Admitted, ...]], Mapping[tuple[Any, ...], Any]], list[Any]]
"""``sweep(context, assertions, found)``: for each subject and its assertions, what is *found* for their outcome.

An outcome names each assertion's authorizer and the level that its conditions give, one after the other.
"""


def sweep_of(functions: tuple[Function, ...], subject: str) -> Sweep | None:
    """Return the loop over assertions with these *functions*, asked with the key of each as the attribute *subject*."""
    return _sweeps[functions, subject]


def _made(of: tuple[tuple[Function, ...], str]) -> Sweep | None:
    functions, subject = of
    sources = [source for each in functions if (source := source_of(each)) is not None and _only_compares(source.program)]
    if len(sources) < len(functions):
        return None
    try:
        text = _loop(sources, subject)
    except TooDeep:
        return None
    space: dict[str, Any] = {"__builtins__": {"max": max}}
    exec(compile(text, "<sweep>", "exec"), space)  # noqa: S102 - slots, operators and admitted identifiers only
    made: Sweep = space["sweep"]
    return made


_sweeps: Remembered[tuple[tuple[Function, ...], str], Sweep | None] = Remembered(_made, _SWEEPS)

_COMPARING = (syntax.Program, syntax.Clause, syntax.TextRelation, syntax.Truth, syntax.Not, syntax.And, syntax.Or, syntax.Literal)


def _only_compares(program: syntax.Program) -> bool:
    """Say whether *program* compares texts and does nothing that could fail or that needs more than the attributes."""
    plain = all(isinstance(node, _COMPARING) or _is_named(node) for node in syntax.nodes(program))
    return plain and not any(isinstance(clause.value, syntax.Program) for clause in program.clauses)


def _is_named(node: object) -> bool:
    return isinstance(node, syntax.Attribute) and not node.name.startswith("_")


def _loop(sources: Sequence[Source], subject: str) -> str:
    """Return the source of one loop; attributes other than the subject are read before it."""
    read: dict[str, str] = {}
    levels = [_Level(source, number, subject, read).text() for number, source in enumerate(sources)]
    outcome = "".join(f"e{number}.authorizer, {level}, " for number, level in enumerate(levels))
    unpacked = "".join(f"e{number}, " for number in range(len(sources)))
    bound = "".join(f" for k{number} in [e{number}.constants]" for number in range(len(sources)))
    lines = [
        "def sweep(q, assertions, found):",
        "    a, top, levels = q.action.get, q.top, q.levels.get",
        *(f"    {variable} = a({name!r}, '')" for name, variable in read.items()),
        f"    return [found[{outcome}] for subject, ({unpacked}) in assertions.items(){bound}]",
    ]
    return "\n".join(lines)


class _Level(Writer):
    """Writes the level of one assertion of a subject as an expression."""

    def __init__(self, source: Source, number: int, subject: str, read: dict[str, str]) -> None:
        super().__init__({name: source.literals + index for index, name in enumerate(source.names)})
        self._program, self._number, self._subject, self._read = source.program, number, subject, read

    def text(self) -> str:
        levels = [self._of(clause) for clause in self._program.clauses]
        return levels[0] if len(levels) == 1 else f"max({', '.join((*levels, '0', '0'))})"

    def _of(self, clause: syntax.Clause) -> str:
        if isinstance(clause.value, syntax.Program):
            raise TooDeep
        value = "top" if clause.value is None else f"levels({self._text(clause.value, '()', 0)}, 0)"
        return f"({value} if {self._test(clause.test, '()', 0)} else 0)"

    @override
    def _constant(self, place: int) -> str:
        return f"k{self._number}[{place}]"

    @override
    def _name(self, name: str, captures: str) -> str:
        if name in self._names:
            return super()._name(name, captures)
        return "subject" if name == self._subject else self._read.setdefault(name, f"x{len(self._read)}")
