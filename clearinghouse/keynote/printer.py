"""From the tree to text, the inverse of the parser: ``parse(print(tree)) == tree``.

The layout is the one that ``clearinghouse fmt`` gives: fields in the order of RFC 2704, one clause
a line, ``&&`` and ``||`` at the beginning of a line where a test is long.
"""

from __future__ import annotations

from decimal import Decimal

from clearinghouse.keynote import syntax
from clearinghouse.keynote.strings import quote

_WIDTH = 100
"""Columns of a line before a test is broken at its operators."""

# How tightly each node binds; a part that binds less tightly than its place needs brackets.
_OR, _AND, _NOT, _RELATION, _SUM, _PRODUCT, _POWER, _UNARY, _ATOM = range(9)
_SYMBOL_TIGHTNESS = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "%": _PRODUCT, "^": _POWER}

Node = syntax.Term | syntax.Licensees


def tightness(node: Node) -> int:
    """Return how tightly the printed form of *node* binds."""
    match node:
        case syntax.Or() | syntax.AnyOf():
            return _OR
        case syntax.And() | syntax.AllOf():
            return _AND
        case syntax.Not():
            return _NOT
        case syntax.TextRelation() | syntax.IntegerRelation() | syntax.FloatRelation() | syntax.Match():
            return _RELATION
        case syntax.IntegerOperation(symbol) | syntax.FloatOperation(symbol):
            return _SYMBOL_TIGHTNESS[symbol]
        case syntax.Join():
            return _SUM
        case syntax.Indirect() | syntax.ToInteger() | syntax.ToFloat() | syntax.IntegerNegation() | syntax.FloatNegation():
            return _UNARY
        case _:
            return _ATOM


def show(node: Node, place: int = _OR) -> str:
    """Return the text of *node* where *place* is the loosest binding that needs no brackets."""
    written = _written(node)
    return f"({written})" if tightness(node) < place else written


def _written(node: Node) -> str:
    match node:
        case syntax.Literal(text):
            return quote(text)
        case syntax.Attribute(name):
            return name
        case syntax.Join(parts):
            return " . ".join(show(part, _PRODUCT) for part in parts)
        case syntax.Integer(value):
            return str(value)
        case syntax.Float(value):
            return _float(value)
        case syntax.Indirect(term):
            return "$" + show(term, _UNARY)
        case syntax.ToInteger(term):
            return "@" + show(term, _UNARY)
        case syntax.ToFloat(term):
            return "&" + show(term, _UNARY)
        case syntax.Truth(value):
            return "true" if value else "false"
        case syntax.Principal(name):
            return show(name)
        case syntax.Threshold(k, members):
            return f"{k}-of({', '.join(show(member) for member in members)})"
        case _:
            return _operation(node)


def _operation(node: Node) -> str:  # noqa: C901, PLR0912 - one case for each node
    match node:
        case syntax.IntegerNegation(number):
            return "-" + show(number, _UNARY)
        case syntax.FloatNegation(real):
            return "-" + show(real, _UNARY)
        case syntax.IntegerOperation(symbol, left, right):
            return _infix(symbol, left, right)
        case syntax.FloatOperation(symbol, first, second):
            return _infix(symbol, first, second)
        case syntax.TextRelation(relation, a, b):
            return f"{show(a, _SUM)} {relation} {show(b, _SUM)}"
        case syntax.IntegerRelation(relation, c, d):
            return f"{show(c, _SUM)} {relation} {show(d, _SUM)}"
        case syntax.FloatRelation(relation, e, f):
            return f"{show(e, _SUM)} {relation} {show(f, _SUM)}"
        case syntax.Match(text, pattern):
            return f"{show(text, _SUM)} ~= {show(pattern, _SUM)}"
        case syntax.Not(test):
            return "!" + show(test, _NOT)
        case syntax.And(tests):
            return " && ".join(show(test, _NOT) for test in tests)
        case syntax.Or(tests):
            return " || ".join(show(test, _AND) for test in tests)
        case syntax.AllOf(parts):
            return " && ".join(show(part, _NOT) for part in parts)
        case syntax.AnyOf(parts):
            return " || ".join(show(part, _AND) for part in parts)
        case _:
            raise AssertionError(node)  # every class of syntax.py is above


def _infix(symbol: syntax.Operator, left: Node, right: Node) -> str:
    """Operators associate to the left, so an equal one on the right needs brackets."""
    place = _SYMBOL_TIGHTNESS[symbol]
    return f"{show(left, place)} {symbol} {show(right, place + 1)}"


def _float(value: float) -> str:
    written = format(Decimal(repr(value)), "f")
    return written if "." in written else written + ".0"


# -- assertions -----------------------------------------------------------------------------------


def print_assertion(assertion: syntax.Assertion) -> str:
    """Return the assertion in the layout of ``fmt``, ending in a newline; octet text."""
    lines: list[str] = []
    if assertion.version:
        lines.append("KeyNote-Version: 2")
    if assertion.comment is not None:
        lines.append(f"Comment: {assertion.comment}")
    if assertion.constants:
        rows = [f"{name} = {quote(value)}" for name, value in assertion.constants]
        lines.append("Local-Constants: " + "\n  ".join(rows))
    lines.append(f"Authorizer: {show(assertion.authorizer)}")
    match assertion.licensees:
        case None:
            pass
        case syntax.Empty():
            lines.append("Licensees:")
        case licensees:
            lines.append(f"Licensees: {show(licensees)}")
    if assertion.conditions is not None:
        lines.append("Conditions:" + _program(assertion.conditions, 1))
    if assertion.signature is not None:
        lines.append(f"Signature: {show(assertion.signature)}")
    return "\n".join(lines) + "\n"


def _program(program: syntax.Program, depth: int) -> str:
    """Return the clauses; a field's first clause stands on the label's line."""
    separator = "\n" + "  " * depth
    rows = [_clause(clause, depth) for clause in program.clauses]
    if not rows:
        return ""
    return (" " if depth == 1 else separator) + separator.join(rows)


def _clause(clause: syntax.Clause, depth: int) -> str:
    test = _test(clause.test, depth)
    match clause.value:
        case None:
            return f"{test};"
        case syntax.Program() as block:
            inner = _program(block, depth + 1)
            return f"{test} -> {{{inner}" + ("\n" + "  " * depth if inner else "") + "};"
        case value:
            return f"{test} -> {show(value)};"


def _test(test: syntax.Test, depth: int) -> str:
    """Return a test on one line, or broken before its outermost `&&` or `||`."""
    line = show(test)
    if len(line) <= _WIDTH or not isinstance(test, syntax.And | syntax.Or):
        return line
    symbol, place = ("&&", _NOT) if isinstance(test, syntax.And) else ("||", _AND)
    return f"\n{'  ' * (depth + 1)}{symbol} ".join(show(part, place) for part in test.tests)
