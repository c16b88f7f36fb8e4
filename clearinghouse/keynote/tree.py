"""From the grammar's reductions to the typed tree, one callback for each rule of ``keynote.lark``.

The callbacks run while the LALR parser reduces, bottom up, so no data of a peer drives a
recursion.  Each item on the parser's stack is a :class:`Placed` node: its world (text, integer,
float, test or licensees) is its type, and mixing worlds is refused here, at the operator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from lark import Token, Transformer, v_args

from clearinghouse.errors import MalformedAssertion
from clearinghouse.keynote import syntax
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.mends import world_of, wrong_world
from clearinghouse.keynote.places import malformed
from clearinghouse.keynote.principals import shown
from clearinghouse.keynote.strings import float_of, unquote

_TEXTS = (syntax.Literal, syntax.Attribute, syntax.Indirect, syntax.Join)
_INTEGERS = (syntax.Integer, syntax.ToInteger, syntax.IntegerNegation, syntax.IntegerOperation)
_FLOATS = (syntax.Float, syntax.ToFloat, syntax.FloatNegation, syntax.FloatOperation)
_TESTS = (syntax.TextRelation, syntax.Match, syntax.IntegerRelation, syntax.FloatRelation, syntax.Truth, syntax.Not, syntax.And, syntax.Or)
_LICENSEES = (syntax.AllOf, syntax.AnyOf, syntax.Threshold)
_WORD = re.compile(r"(?i:true|false)\Z")


@dataclass(frozen=True, slots=True)
class Placed:
    """A node on the parser's stack, where it stands in the text, and how deep it is."""

    node: Any
    start: int
    end: int
    depth: int = 1


@v_args(inline=True)
class TreeBuilder(Transformer[Token, Any]):
    """Builds the tree of one field body; :meth:`begin` says which."""

    def __init__(self) -> None:
        """Build nothing yet."""
        super().__init__()
        self.begin("", 0, Limits())

    def begin(self, text: str, base: int, limits: Limits) -> None:
        """Build over the body at offset *base* of *text*; literals are numbered from 0, left to right."""
        self._text = text
        self._base = base
        self._limits = limits
        self._slots = 0

    # -- helpers ----------------------------------------------------------------------------------

    def _placed(self, node: object, first: Token | Placed, last: Token | Placed, depth: int = 1) -> Placed:
        if depth > self._limits.nesting:
            raise malformed(
                self._text,
                self._start(first),
                f"this is nested more than {self._limits.nesting} deep",
                "split it over several clauses or assertions",
            )
        return Placed(node, self._start(first), self._end(last), depth)

    def _start(self, item: Token | Placed) -> int:
        return item.start if isinstance(item, Placed) else self._base + cast("int", item.start_pos)

    def _end(self, item: Token | Placed) -> int:
        return item.end if isinstance(item, Placed) else self._base + cast("int", item.end_pos)

    def _slot(self) -> int:
        self._slots += 1
        return self._slots - 1

    def _want(self, item: Placed, world: str, where: str) -> Any:  # noqa: ANN401 - the world is the type
        """Return the node as a member of *world*, or refuse the mixture."""
        node = item.node
        if isinstance(node, syntax.Attribute) and world == "test" and _WORD.match(node.name):
            return syntax.Truth(node.name.lower() == "true")  # a keyword where a test stands, a name elsewhere
        if world_of(node) != world:
            raise wrong_world(self._text, item.start, item.end, node, world, where)
        return node

    # -- atoms ------------------------------------------------------------------------------------

    def literal(self, token: Token) -> Placed:
        """``"text"``."""
        return self._placed(syntax.Literal(self._unquoted(token), self._slot()), token, token)

    def _unquoted(self, token: Token) -> str:
        value, bad = unquote(str(token))
        if bad is not None:
            raise malformed(
                self._text,
                self._start(token) + bad,
                "an octal escape stands for one byte, at most `\\377`",
                "write `\\\\` for a backslash",
                4,
            )
        return value

    def name(self, token: Token) -> Placed:
        """A name."""
        return self._placed(syntax.Attribute(str(token)), token, token)

    def integer(self, token: Token) -> Placed:
        """An integer literal; its size is judged when it is evaluated."""
        if len(token) > 20:  # noqa: PLR2004 - far beyond 32 bits; int() of thousands of digits is slow
            raise malformed(
                self._text,
                self._start(token),
                "this number has more than 20 digits",
                "KeyNote integers have 32 bits: compare as text",
                len(token),
            )
        return self._placed(syntax.Integer(int(token), self._slot()), token, token)

    def float(self, token: Token) -> Placed:
        """A float literal."""
        value = float_of(token)
        if value is None:
            message = "this number has more than 64 digits, or more than 60 before the dot"
            raise malformed(self._text, self._start(token), message, "a float has 17 significant digits", len(token))
        return self._placed(syntax.Float(value, self._slot()), token, token)

    def group(self, inner: Placed) -> Placed:
        """``( ... )``; one level deeper, so that brackets alone cannot nest without end."""
        return self._closed(self._prefixed("(", inner.node, inner))

    def _prefixed(self, mark: str, node: object, item: Placed) -> Placed:
        """Return *node*, that *mark* before *item* makes of it, with the mark; the grammar leaves such tokens out."""
        start = self._text.rfind(mark, self._base, item.start)
        return self._placed(node, Placed(node, start, start), item, item.depth + 1)

    def _closed(self, item: Placed) -> Placed:
        """Return *item* up to the bracket that closes it."""
        return Placed(item.node, item.start, self._text.find(")", item.end) + 1, item.depth)

    # -- operators --------------------------------------------------------------------------------

    def indirect(self, item: Placed) -> Placed:
        """``$text``."""
        return self._prefixed("$", syntax.Indirect(self._want(item, "text", "`$`")), item)

    def to_integer(self, item: Placed) -> Placed:
        """``@text``."""
        return self._prefixed("@", syntax.ToInteger(self._want(item, "text", "`@`")), item)

    def to_float(self, item: Placed) -> Placed:
        """``&text``."""
        return self._prefixed("&", syntax.ToFloat(self._want(item, "text", "`&`")), item)

    def negative(self, sign: Token, item: Placed) -> Placed:
        """``-number``."""
        if isinstance(item.node, _FLOATS):
            return self._placed(syntax.FloatNegation(item.node), sign, item, item.depth + 1)
        return self._placed(syntax.IntegerNegation(self._want(item, "integer", "`-`")), sign, item, item.depth + 1)

    def operation(self, left: Placed, operator: Token, right: Placed) -> Placed:
        """``left operator right`` in the world of *left*."""
        where, depth = f"`{operator}`", max(left.depth, right.depth) + 1
        if operator == ".":
            return self._join([left, right])
        if isinstance(left.node, _FLOATS) and operator != "%":
            return self._placed(
                syntax.FloatOperation(cast("syntax.Operator", str(operator)), left.node, self._want(right, "float", where)),
                left,
                right,
                depth,
            )
        a, b = self._want(left, "integer", where), self._want(right, "integer", where)
        return self._placed(syntax.IntegerOperation(cast("syntax.Operator", str(operator)), a, b), left, right, depth)

    def joined(self, *items: Placed) -> Placed:
        """``a . b . c`` among licensees."""
        return self._join(items)

    def _join(self, items: Sequence[Placed]) -> Placed:
        parts: list[syntax.Text] = []
        for item in items:
            node = self._want(item, "text", "`.`")
            parts += node.parts if isinstance(node, syntax.Join) else (node,)
        if len(parts) > self._limits.members:  # each `.` copies what it extends
            message = f"more than {self._limits.members} texts are joined here"
            raise malformed(self._text, self._start(items[0]), message, "use a constant for what repeats", 1)
        return self._placed(syntax.Join(tuple(parts)), items[0], items[-1], max(item.depth for item in items))

    # -- tests ------------------------------------------------------------------------------------

    def compared(self, left: Placed, token: Token, right: Placed) -> Placed:
        """One relation; both sides are of one world, and floats have no equality."""
        relation = str(token)
        depth = max(left.depth, right.depth) + 1
        world = world_of(left.node)
        if world == "test" or (world == "text" and world_of(right.node) == "test"):
            raise wrong_world(self._text, left.start, left.end, left.node, "text", f"`{relation}`")
        if relation == "~=":
            texts = self._want(left, "text", "`~=`"), self._want(right, "text", "`~=`")
            return self._placed(syntax.Match(*texts), left, right, depth)
        if world_of(right.node) != world:
            raise wrong_world(self._text, right.start, right.end, right.node, world, f"`{relation}`", other=left.node)
        if world == "float" and relation in {"==", "!="}:
            raise malformed(
                self._text,
                left.start,
                f"`{relation}` does not compare floats",
                "use `<=` and `>=`, or `@` for integers",
                left.end - left.start,
            )
        self._refuse_keyword_as_text(left, right)
        made: Callable[..., object] = {"text": syntax.TextRelation, "integer": syntax.IntegerRelation, "float": syntax.FloatRelation}[world]
        return self._placed(made(relation, left.node, right.node), left, right, depth)

    def _refuse_keyword_as_text(self, left: Placed, right: Placed) -> None:
        """``true == "true"`` is legal by the letter (a name against a text) and never what is meant."""
        for name, other in ((left, right), (right, left)):
            if not (isinstance(name.node, syntax.Attribute) and isinstance(other.node, syntax.Literal)):
                continue
            if _WORD.match(name.node.name) and _WORD.match(other.node.text):
                mend = f'write `{name.node.name}` alone for the constant, or `$"{name.node.name}"` for an attribute of that name'
                raise malformed(
                    self._text, name.start, f"`{name.node.name}` is compared with a text as if it were one", mend, name.end - name.start
                )

    def negated_test(self, item: Placed) -> Placed:
        """``!test``."""
        return self._prefixed("!", syntax.Not(self._want(item, "test", "`!`")), item)

    def and_test(self, *items: Placed) -> Placed:
        """``a && b && c``."""
        return self._run(syntax.And, items, "`&&`")

    def or_test(self, *items: Placed) -> Placed:
        """``a || b || c``."""
        return self._run(syntax.Or, items, "`||`")

    def _run(self, made: type[syntax.And | syntax.Or], items: Sequence[Placed], where: str) -> Placed:
        tests: list[syntax.Test] = []
        for item in items:
            node = self._want(item, "test", where)
            tests += node.tests if isinstance(node, made) else (node,)
        return self._placed(made(tuple(tests)), items[0], items[-1], max(item.depth for item in items) + 1)

    # -- clauses ----------------------------------------------------------------------------------

    def plain_clause(self, test: Placed) -> Placed:
        """``test;``."""
        return self._clause(test, None, test.end, 0)

    def value_clause(self, test: Placed, value: Placed) -> Placed:
        """``test -> value;``."""
        return self._clause(test, self._want(value, "text", "`->`"), value.end, value.depth)

    def block_clause(self, test: Placed, *clauses: Placed) -> Placed:
        """``test -> { ... };``."""
        inner = syntax.Program(tuple(clause.node for clause in clauses))
        end = clauses[-1].end if clauses else test.end
        return self._clause(test, inner, end, max((clause.depth for clause in clauses), default=0) + 1)

    def _clause(self, test: Placed, value: syntax.Text | syntax.Program | None, end: int, depth: int) -> Placed:
        node = syntax.Clause(self._want(test, "test", "a clause"), value, test.start, end)
        return self._placed(node, test, Placed(node, test.start, end), max(test.depth, depth))

    def conditions(self, *clauses: Placed) -> syntax.Program:
        """The whole Conditions field."""
        return syntax.Program(tuple(clause.node for clause in clauses))

    # -- licensees --------------------------------------------------------------------------------

    def all_of(self, *items: Placed) -> Placed:
        """``a && b`` among licensees."""
        return self._several(syntax.AllOf, items)

    def any_of(self, *items: Placed) -> Placed:
        """``a || b`` among licensees."""
        return self._several(syntax.AnyOf, items)

    def _several(self, made: type[syntax.AllOf | syntax.AnyOf], items: Sequence[Placed]) -> Placed:
        parts: list[syntax.Licensees] = []
        for item in items:
            node = self._licensee(item)
            parts += node.parts if isinstance(node, made) else (node,)
        if len(parts) > self._limits.members:
            raise malformed(
                self._text,
                items[0].start,
                f"there are more than {self._limits.members} licensees here",
                "split them over several assertions",
            )
        return self._placed(made(tuple(parts)), items[0], items[-1], max(item.depth for item in items) + 1)

    def _licensee(self, item: Placed) -> syntax.Licensees:
        if isinstance(item.node, (*_LICENSEES, syntax.Principal)):
            return item.node
        return syntax.Principal(self._want(item, "text", "Licensees"))

    def threshold(self, token: Token, *items: Placed) -> Placed:
        """``k-of(p, ...)``; a list that cannot meet *k*, or meets 0, is malformed."""
        told, written = f"`{shown(token, 40)}`", token[: -len("-of")]
        members = tuple(syntax.Principal(self._want(item, "text", told)) for item in items)
        if written.startswith("0"):
            raise self._unmeetable(token, f"{told} is no threshold", "write the number without a leading zero, and at least 1")
        k = int(written) if len(written) < 9 else 1 << 30  # noqa: PLR2004 - more members than any list has
        if len(members) > self._limits.members:
            raise self._unmeetable(token, f"{told} has more than {self._limits.members} members", "split the list")
        if k > len(members):
            raise self._unmeetable(token, f"{told} can never be met by {len(members)} principals", "lower the number, or add members")
        return self._closed(self._placed(syntax.Threshold(k, members), token, items[-1], max(item.depth for item in items) + 1))

    def _unmeetable(self, token: Token, message: str, mend: str) -> MalformedAssertion:
        return malformed(self._text, self._start(token), message, mend, len(token))

    def licensees(self, item: Placed) -> syntax.Licensees:
        """The whole Licensees field."""
        return self._licensee(item)

    # -- the other fields -------------------------------------------------------------------------

    def principal(self, item: Placed) -> syntax.Text:
        """Authorizer, or Signature: one text."""
        return cast("syntax.Text", self._want(item, "text", "this field"))

    def constant(self, name: Token, literal: Token) -> tuple[Token, str]:
        """``NAME = "literal"``."""
        return name, self._unquoted(literal)

    def constants(self, *pairs: tuple[Token, str]) -> tuple[tuple[str, str], ...]:
        """The whole Local-Constants field: no name twice, none with a leading underscore."""
        seen: set[str] = set()
        for name, _ in pairs:
            if name.startswith("_"):
                raise malformed(
                    self._text,
                    self._start(name),
                    f"`{name}` begins with an underscore",
                    "such names belong to KeyNote: choose another",
                    len(name),
                )
            if name in seen:
                raise malformed(self._text, self._start(name), f"`{name}` is defined twice", "keep one of the definitions", len(name))
            seen.add(name)
        return tuple((str(name), value) for name, value in pairs)
