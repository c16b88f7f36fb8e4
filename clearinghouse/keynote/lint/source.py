"""An assertion beside its text: where each literal and name of the tree is written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from clearinghouse.keynote import syntax
from clearinghouse.keynote.context import POLICY
from clearinghouse.keynote.fields import Field, Fields, split_fields
from clearinghouse.keynote.lint.advice import RULES, Advice
from clearinghouse.keynote.places import line_and_column
from clearinghouse.keynote.principals import is_key, shown
from clearinghouse.keynote.printer import show
from clearinghouse.keynote.syntax import nodes
from clearinghouse.keynote.texts import fold

_TOKEN = re.compile(r'#[^\n]*|("(?:[^"\\]|\\[\s\S])*"|(?i:[0-9]+-of\b)|[0-9]+\.[0-9]+|[0-9]+|[A-Za-z_][A-Za-z0-9_]*)')
_THRESHOLD = re.compile(r"[0-9]+-of\Z", re.IGNORECASE)
_Leaf = syntax.Literal | syntax.Attribute | syntax.Integer | syntax.Float | syntax.Truth
_LEAVES = (syntax.Literal, syntax.Attribute, syntax.Integer, syntax.Float, syntax.Truth)


@dataclass(frozen=True)
class Source:
    """One parsed assertion with its octet text; advice about it is made here, so that it has a place."""

    tree: syntax.Assertion

    @cached_property
    def fields(self) -> Fields:
        """The fields of the text."""
        return split_fields(self.tree.raw.decode("latin-1"))[0]

    @property
    def text(self) -> str:
        """The octet text."""
        return self.fields.text

    @cached_property
    def constants(self) -> dict[str, str]:
        """The local constants."""
        return dict(self.tree.constants)

    @cached_property
    def _spans(self) -> dict[int, tuple[int, int]]:
        """Where each leaf of the tree is written; leaves are told apart by identity."""
        spans: dict[int, tuple[int, int]] = {}
        for label, part in (("Authorizer", self.tree.authorizer), ("Licensees", self.tree.licensees), ("Conditions", self.tree.conditions)):
            field = self.fields.get(label)
            if field is not None and part is not None:
                leaves = [node for node in nodes(part) if isinstance(node, _LEAVES)]
                spans |= {id(leaf): span for leaf, span in zip(leaves, _tokens(self.text, field), strict=True)}
        return spans

    def span(self, node: Any) -> tuple[int, int]:  # noqa: ANN401 - every class of syntax.py
        """Return the offsets of *node*, from its first leaf to its last."""
        spans = [self._spans[id(leaf)] for leaf in nodes(node) if isinstance(leaf, _LEAVES)]
        return spans[0][0], spans[-1][1]

    def written(self, literal: syntax.Literal) -> str:
        """Return a literal as it is written, quotation marks and escapes included."""
        start, end = self._spans[id(literal)]
        return self.text[start:end]

    def at(self, label: str) -> int:
        """Return the offset of a field's label, 0 where there is none."""
        field = self.fields.get(label)
        return field.at if field else 0

    @cached_property
    def authorizer(self) -> str | None:
        """The authorizer as it is written, ``None`` where it depends on the request."""
        return fold(self.tree.authorizer, self.constants)

    @property
    def is_policy(self) -> bool:
        """Whether ``POLICY`` speaks."""
        return self.authorizer == POLICY

    @property
    def is_credential(self) -> bool:
        """Whether a key speaks, so that the assertion travels."""
        return self.authorizer is not None and is_key(self.authorizer)

    @cached_property
    def tests(self) -> tuple[syntax.Test, ...]:
        """The outermost test of every clause, inner clauses included."""
        return tuple(node.test for node in nodes(self.tree.conditions) if isinstance(node, syntax.Clause))

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """Every way to a value: see :class:`Path`."""
        return tuple(_paths(self.tree.conditions, ())) if self.tree.conditions else ()

    def attributes(self, node: Any) -> tuple[syntax.Attribute, ...]:  # noqa: ANN401 - every class of syntax.py
        """Return the names in *node* that are no local constants."""
        return tuple(each for each in nodes(node) if isinstance(each, syntax.Attribute) and each.name not in self.constants)

    def advise(self, name: str, where: Any, message: str, mend: str) -> Advice:  # noqa: ANN401 - an offset, or a node
        """Return advice by the rule *name* about an offset or about a node."""
        rule = RULES[name]
        at = where if isinstance(where, int) else self.span(where)[0]
        line, column = line_and_column(self.text, at)
        return Advice(rule.id, rule.name, rule.level, line, column, message, mend)


@dataclass(frozen=True, slots=True)
class Path:
    """A clause that gives a value, and the tests of the clauses around it; all must hold."""

    clause: syntax.Clause
    outer: tuple[syntax.Test, ...]

    @property
    def test(self) -> syntax.Test:
        """The tests on the way, as one."""
        return syntax.And((*self.outer, self.clause.test)) if self.outer else self.clause.test


def _paths(program: syntax.Program, outer: tuple[syntax.Test, ...]) -> Iterator[Path]:
    for clause in program.clauses:
        if isinstance(clause.value, syntax.Program):
            yield from _paths(clause.value, (*outer, clause.test))
        else:
            yield Path(clause, outer)


def _tokens(text: str, field: Field) -> list[tuple[int, int]]:
    """Return the places of the literals and names of a field's body, in order."""
    found = (token for token in _TOKEN.finditer(text, field.start, field.end) if token.group(1))
    return [token.span(1) for token in found if not _THRESHOLD.match(token.group(1))]


def conjuncts(test: syntax.Test) -> tuple[syntax.Test, ...]:
    """Return the tests that all have to hold."""
    match test:
        case syntax.And(tests):
            return tuple(part for each in tests for part in conjuncts(each))
        case _:
            return (test,)


def compared(test: syntax.Test, constants: dict[str, str]) -> tuple[str, syntax.Attribute, str, syntax.Text] | None:
    """Return relation, attribute, the text that it is compared with and that text's node, however they are turned round."""
    if not isinstance(test, syntax.TextRelation):
        return None
    for name, other, relation in ((test.left, test.right, test.relation), (test.right, test.left, TURNED[test.relation])):
        value = fold(other, constants)
        if isinstance(name, syntax.Attribute) and name.name not in constants and value is not None:
            return relation, name, value, other
    return None


TURNED = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
"""The relation that says the same from right to left."""


def quoted(node: Any) -> str:  # noqa: ANN401 - every class of syntax.py
    """Return *node* between backticks, safe to show."""
    return f"`{shown(show(node), 120)}`"
