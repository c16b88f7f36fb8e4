"""Clauses: what they grant, and tests that cannot do what they seem to."""

from __future__ import annotations

from collections.abc import Iterator

from clearinghouse.keynote import syntax
from clearinghouse.keynote.context import MAX_TRUST, MIN_TRUST
from clearinghouse.keynote.lint.advice import Advice
from clearinghouse.keynote.lint.source import Source, compared, conjuncts, quoted
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.syntax import nodes
from clearinghouse.keynote.texts import fold

_REFUSALS = frozenset(["block", "deny", "denied", "disallow", "false", "forbid", "forbidden", "no", "none", "refuse", "reject", "rejected"])
_RELATIONS = (syntax.TextRelation, syntax.IntegerRelation, syntax.FloatRelation, syntax.Match)


def values(source: Source) -> Iterator[Advice]:
    """K201, K202 and K206: the value of a clause, and the operations for which it holds."""
    for path in source.paths:
        if source.is_policy and path.clause.value is None:
            message = "this clause has no `->`, so it grants the strongest value of whatever values are asked about"
            yield source.advise("no-value", path.clause.test, message, 'name the value: `... -> "allow";`')
        if source.is_policy and "operation" not in {node.name for node in source.attributes(path.test)}:
            message = "this clause does not test `operation`, so it holds for every operation"
            yield source.advise("no-operation", path.clause.test, message, 'begin it with `operation == "..." &&`')
        said = fold(path.clause.value, source.constants) if isinstance(path.clause.value, syntax.Literal | syntax.Attribute) else None
        if (said or "").lower() in _REFUSALS or path.clause.value == syntax.Attribute(MIN_TRUST):
            message = f"{quoted(path.clause.value)} forbids nothing: KeyNote takes the strongest value that any clause gives"
            mend = "remove the clause, and make the clauses that grant more not hold in this case"
            yield source.advise("forbids-nothing", path.clause.value, message, mend)


def unreachable(source: Source) -> Iterator[Advice]:
    """K203: clauses after one that always gives everything, and clauses that stand twice."""
    for program in nodes(source.tree.conditions):
        if not isinstance(program, syntax.Program):
            continue
        full = False
        for number, clause in enumerate(program.clauses):
            if full:
                message = "this clause can add nothing: one before it always gives the strongest value"
                yield source.advise("unreachable", clause.test, message, "remove it, or the clause before it")
            elif clause in program.clauses[:number]:
                yield source.advise("unreachable", clause.test, "this clause stands twice", "remove one of them")
            full = full or (clause.test == syntax.Truth(value=True) and clause.value in {None, syntax.Attribute(MAX_TRUST)})


def constant_tests(source: Source) -> Iterator[Advice]:
    """K204: tests that no request can change; ``true`` as a whole clause is the usual way to say always."""
    for test in source.tests:
        for node in nodes(test):
            if isinstance(node, syntax.Truth) and (node is not test or not node.value):
                yield source.advise("constant-test", node, f"`{str(node.value).lower()}` decides this test alone", "remove it")
            elif isinstance(node, _RELATIONS) and _is_constant(node, source):
                message = f"{quoted(node)} does not depend on the request"
                yield source.advise("constant-test", node, message, "compare an attribute, without quotation marks")
            elif isinstance(node, syntax.Or) and (pair := _two_unequal(node, source)):
                message = f"this is always true: `{pair}` cannot be equal to both texts"
                yield source.advise("constant-test", node, message, "join `!=` with `&&`")


def _is_constant(node: syntax.TextRelation | syntax.IntegerRelation | syntax.FloatRelation | syntax.Match, source: Source) -> bool:
    if any(isinstance(each, syntax.Indirect) for each in nodes(node)):
        return False
    return not source.attributes(node) or (isinstance(node, syntax.TextRelation) and node.left == node.right)


def _two_unequal(node: syntax.Or, source: Source) -> str:
    """Return the attribute of ``x != "a" || x != "b"``."""
    found: dict[str, str] = {}
    for test in node.tests:
        parts = compared(test, source.constants)
        if parts and parts[0] == "!=" and found.setdefault(parts[1].name, parts[2]) != parts[2]:
            return parts[1].name
    return ""


def contradictions(source: Source) -> Iterator[Advice]:
    """K205: two conjuncts of which one excludes the other."""
    told: set[int] = set()
    for path in source.paths:
        equal: dict[str, str] = {}
        low: dict[str, str] = {}
        high: dict[str, str] = {}
        for test in conjuncts(path.test):
            parts = compared(test, source.constants)
            if parts is None:
                continue
            relation, name, value = parts[0], parts[1].name, parts[2]
            if relation == "==":
                clash = equal.setdefault(name, value) != value
            elif relation in {"<", "<="}:
                high[name] = min(value, high.get(name, value))
                clash = name in low and high[name] < low[name]
            elif relation in {">", ">="}:
                low[name] = max(value, low.get(name, value))
                clash = name in high and high[name] < low[name]
            else:
                clash = equal.get(name) == value
            if clash and id(test) not in told:
                told.add(id(test))
                message = f"{quoted(test)} cannot hold together with the tests of `{from_octets(name)}` before it"
                yield source.advise("contradiction", test, message, "write alternatives as clauses of their own, or join them with `||`")
