"""One condition shape for many subjects at once: the loop is generated, too.

Of a hundred thousand questions that differ in one attribute, the subject's name, everything else is read once.
Only texts that are compared are swept; any other condition is asked one by one, to the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import override

from clearinghouse.keynote import syntax
from clearinghouse.keynote.compiler import Function, Source, TooDeep, Writer, source_of
from clearinghouse.keynote.context import Context
from clearinghouse.keynote.credential import Admitted
from clearinghouse.keynote.remembered import Remembered

_SWEEPS = 4_096
"""Loops that are remembered, as many as shapes are."""

Sweep = Callable[[Context, Mapping[str, Admitted], Mapping[tuple[str, int], Any]], list[Any]]
"""``sweep(context, assertions, found)``: for each subject and its one assertion, what is *found* for the authorizer and the level."""


def sweep_of(function: Function, subject: str) -> Sweep | None:
    """Return the loop over assertions with this *function*, each asked with its key as the attribute *subject*."""
    return _sweeps[function, subject]


def _made(of: tuple[Function, str]) -> Sweep | None:
    function, subject = of
    source = source_of(function)
    if source is None or not _only_compares(source.program):
        return None
    try:
        text = _Loop(source, subject).text()
    except TooDeep:
        return None
    space: dict[str, Any] = {"__builtins__": {"max": max}}
    exec(compile(text, "<sweep>", "exec"), space)  # noqa: S102 - slots, operators and admitted identifiers only
    made: Sweep = space["sweep"]
    return made


_sweeps: Remembered[tuple[Function, str], Sweep | None] = Remembered(_made, _SWEEPS)

_COMPARING = (syntax.Program, syntax.Clause, syntax.TextRelation, syntax.Truth, syntax.Not, syntax.And, syntax.Or, syntax.Literal)


def _only_compares(program: syntax.Program) -> bool:
    """Say whether *program* compares texts and does nothing that could fail or that needs more than the attributes."""
    plain = all(isinstance(node, _COMPARING) or _is_named(node) for node in syntax.nodes(program))
    return plain and not any(isinstance(clause.value, syntax.Program) for clause in program.clauses)


def _is_named(node: object) -> bool:
    return isinstance(node, syntax.Attribute) and not node.name.startswith("_")


class _Loop(Writer):
    """Writes the loop over one shape; attributes other than the subject are read before it."""

    def __init__(self, source: Source, subject: str) -> None:
        super().__init__({name: source.literals + index for index, name in enumerate(source.names)})
        self._program, self._subject = source.program, subject
        self._read: dict[str, str] = {}

    def text(self) -> str:
        levels = [self._level(clause) for clause in self._program.clauses]
        level = levels[0] if len(levels) == 1 else f"max({', '.join(levels)}, 0)"
        lines = [
            "def sweep(q, assertions, found):",
            "    a, top, levels = q.action.get, q.top, q.levels.get",
            *(f"    {variable} = a({name!r}, '')" for name, variable in self._read.items()),
            f"    return [found[e.authorizer, {level}] for subject, e in assertions.items() if (k := e.constants) or True]",
        ]
        return "\n".join(lines)

    def _level(self, clause: syntax.Clause) -> str:
        if isinstance(clause.value, syntax.Program):
            raise TooDeep
        value = "top" if clause.value is None else f"levels({self._text(clause.value, '()', 0)}, 0)"
        return f"({value} if {self._test(clause.test, '()', 0)} else 0)"

    @override
    def _name(self, name: str, captures: str) -> str:
        if name == self._subject and name not in self._names:
            return "subject"
        if name in self._names:
            return super()._name(name, captures)
        return self._read.setdefault(name, f"x{len(self._read)}")
