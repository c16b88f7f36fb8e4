"""Advice about assertions that parse and yet may not mean what their author meant.

Each rule has a stable id and a name (:data:`RULES`).  A comment ``# lint: allow K701`` in an
assertion (an id or a name, several with commas) says that its author has seen the advice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from clearinghouse.keynote import syntax
from clearinghouse.keynote.lint import absence, clauses, comparisons, delegation, names, neighbours, patterns, principals
from clearinghouse.keynote.lint.advice import RULES, Advice, Level, Rule
from clearinghouse.keynote.lint.source import Source
from clearinghouse.keynote.octets import octets_to_bytes
from clearinghouse.keynote.parser import parse
from clearinghouse.keynote.printer import print_assertion

_CHECKS: tuple[Callable[[Source], Iterator[Advice]], ...] = (
    principals.bare_names,
    principals.empty_fields,
    principals.useless_fields,
    principals.keys,
    names.specials,
    names.captures,
    names.unused_constants,
    names.variants,
    clauses.values,
    clauses.unreachable,
    clauses.constant_tests,
    clauses.contradictions,
    absence.true_on_absence,
    comparisons.texts,
    comparisons.numbers,
    comparisons.requesters,
    patterns.lost_backslashes,
    patterns.patterns,
    delegation.credentials,
    delegation.thresholds,
    neighbours.near_misses,
)
_ALLOWED = re.compile(r"#[ \t]*lint:[ \t]*allow[ \t]+([A-Za-z0-9, \t-]+)")


def lint(assertion: syntax.Assertion, *, desk: str = "") -> tuple[Advice, ...]:
    """Return what there is to say about one assertion, in the order of its text; *desk* is the principal that signs approvals."""
    source = _source(assertion)
    found = [advice for check in _CHECKS for advice in check(source)]
    return _sorted(source, (*found, *(delegation.desk_alone(source, desk) if desk else ())))


def lint_set(assertions: Sequence[syntax.Assertion]) -> tuple[tuple[Advice, ...], ...]:
    """Return, for each assertion, what is seen only beside the others: near misses, reversed and unreached licences."""
    sources = [_source(assertion) for assertion in assertions]
    found = neighbours.roles(sources)
    neighbourhood = neighbours.Neighbourhood()
    for number, source in enumerate(sources):
        found[number] += neighbourhood.add(source)
    return tuple(_sorted(source, advice) for source, advice in zip(sources, found, strict=True))


def _source(assertion: syntax.Assertion) -> Source:
    """Return an assertion beside its text; one that was never text is printed first."""
    return Source(assertion if assertion.raw else parse(octets_to_bytes(print_assertion(assertion))))


def _sorted(source: Source, found: Iterable[Advice]) -> tuple[Advice, ...]:
    allowed = {word.strip() for written in _ALLOWED.findall(source.text) for word in written.split(",")}
    kept = (advice for advice in found if advice.rule not in allowed and advice.name not in allowed)
    return tuple(sorted(kept, key=lambda advice: (advice.line, advice.column, advice.rule)))


__all__ = ["RULES", "Advice", "Level", "Rule", "lint", "lint_set"]
