"""From bytes to the tree of one assertion, or an error with line, column and the mend."""

from __future__ import annotations

import re
import threading
from importlib import resources
from typing import Any, cast

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

from clearinghouse.errors import MalformedAssertion, TooLarge
from clearinghouse.keynote import syntax
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.fields import MOST_MISTAKES, Field, Fields, split_fields
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.mends import unexpected
from clearinghouse.keynote.places import malformed
from clearinghouse.keynote.principals import shown
from clearinghouse.keynote.tree import TreeBuilder

_STARTS = {
    "Local-Constants": "constants",
    "Authorizer": "principal",
    "Licensees": "licensees",
    "Conditions": "conditions",
    "Signature": "principal",
}
# Possessive, here and wherever else a pattern meets a stranger's text: otherwise a line of `#` has 2^n readings.
_NOTHING = re.compile(r"(?:[ \t\n]|#[^\n]*+)*+\Z")
_VERSION = re.compile(r'(?:[ \t\n]|#[^\n]*+\n)*+(?:2|"2")(?:[ \t\n]|#[^\n]*+)*+\Z')
_TOKENS = re.compile(r'"(?:[^"\\\n]|\\[\s\S])*+"?|[A-Za-z0-9_]+|#[^\n]*|[^\sA-Za-z0-9_"#]')
_STEPS_PER_TOKEN = 5
"""Lark reads one token in at most 10 us on the reference machine (`true;`, where each is reduced eight times)."""


class _FieldParser:
    """The LALR parser of one start rule, with the builder that its reductions call.

    The builder holds the text of the parse under way, so a parser belongs to one thread.
    """

    def __init__(self, start: str) -> None:
        source = resources.files("clearinghouse.keynote").joinpath("keynote.lark").read_text(encoding="utf-8")
        self._builder = TreeBuilder()
        self._lark = Lark(source, start=start, parser="lalr", lexer="basic", maybe_placeholders=False, transformer=self._builder)

    def __call__(self, text: str, begin: int, end: int, limits: Limits) -> Any:  # noqa: ANN401 - one type per start rule
        self._builder.begin(text, begin, limits)
        return self._lark.parse(text[begin:end])


class _Parsers(threading.local):
    """The parsers of this thread, built when first needed (some milliseconds each)."""

    def __init__(self) -> None:
        self._made: dict[str, _FieldParser] = {}

    def __getitem__(self, start: str) -> _FieldParser:
        if start not in self._made:
            self._made[start] = _FieldParser(start)
        return self._made[start]


_parsers = _Parsers()


def parse(data: bytes, *, limits: Limits | None = None, budget: Budget | None = None) -> syntax.Assertion:
    """Return the tree of one assertion.

    The tree is not verified: see :func:`clearinghouse.keynote.admit`.  Raises
    :class:`MalformedAssertion` for the first mistake, with the others in ``others``;
    :class:`TooLarge` for more than ``limits.assertion_bytes`` bytes; :class:`BudgetExhausted`.
    """
    limits = limits or Limits()
    if len(data) > limits.assertion_bytes:
        raise TooLarge(f"an assertion has {len(data)} bytes", mend=f"at most {limits.assertion_bytes} are read (`assertion_bytes`)")
    text = data.decode("latin-1")
    if "\0" in text:
        raise malformed(text, text.index("\0"), "there is a NUL byte", "KeyNote assertions are text")
    fields, problems = split_fields(text)
    found: dict[str, Any] = {}
    for field in fields.fields[:MOST_MISTAKES]:  # more fields than labels: some are refused already
        try:
            found.setdefault(field.label, _field(fields, field, limits, budget))
        except MalformedAssertion as problem:
            problems.append(problem)
    if problems:
        raise _first(problems)
    return _assertion(fields, found, data)


def parse_body(label: str, body: str, *, limits: Limits | None = None, budget: Budget | None = None) -> Any:  # noqa: ANN401 - one type per label
    """Return the tree of one field *body* on its own (octet text), as if it followed ``label:``."""
    return _tree(label, body, 0, len(body), limits or Limits(), budget)


def _field(fields: Fields, field: Field, limits: Limits, budget: Budget | None) -> Any:  # noqa: ANN401 - one type per label
    body = fields.body(field)
    if field.label == "Comment":
        return body.strip(" \t\n")
    if field.label == "KeyNote-Version":
        if not _VERSION.match(body):
            raise malformed(
                fields.text,
                field.at,
                f"this engine reads KeyNote version 2, not `{shown(body.strip())}`",
                "write `KeyNote-Version: 2`",
                len(field.label),
            )
        return True
    if _NOTHING.match(body) and field.label in {"Authorizer", "Signature"}:
        raise malformed(
            fields.text,
            field.at,
            f"`{field.label}` is empty",
            "write a quoted principal" if field.label == "Authorizer" else "sign the assertion",
            len(field.label),
        )
    if _NOTHING.match(body) and field.label == "Licensees":
        return syntax.Empty()
    return _tree(field.label, fields.text, field.start, field.end, limits, budget)


def _tree(label: str, text: str, begin: int, end: int, limits: Limits, budget: Budget | None) -> Any:  # noqa: ANN401 - one type per label
    """Parse ``text[begin:end]`` by the start rule of *label*."""
    if budget is not None:
        budget.spend(_STEPS_PER_TOKEN * len(_TOKENS.findall(text, begin, end)))
    try:
        return _parsers[_STARTS[label]](text, begin, end, limits)
    except UnexpectedToken as problem:
        at = end if problem.token.type == "$END" else begin + (problem.token.start_pos or 0)
        raise unexpected(text, at, begin, end, label) from None
    except UnexpectedCharacters as problem:
        raise unexpected(text, begin + cast("int", problem.pos_in_stream), begin, end, label) from None
    except UnexpectedEOF:
        raise unexpected(text, end, begin, end, label) from None


def _first(problems: list[MalformedAssertion]) -> MalformedAssertion:
    """Return the earliest problem, carrying the rest."""
    first, *rest = sorted(problems, key=lambda problem: (problem.line, problem.column))
    first.others = tuple(rest)
    return first


def _assertion(fields: Fields, found: dict[str, Any], data: bytes) -> syntax.Assertion:
    return syntax.Assertion(
        authorizer=found["Authorizer"],
        licensees=found.get("Licensees"),
        conditions=found.get("Conditions"),
        constants=found.get("Local-Constants", ()),
        comment=found.get("Comment"),
        version=found.get("KeyNote-Version", False),
        signature=found.get("Signature"),
        raw=data,
        signed_start=fields.signed_start,
        signed_end=fields.signed_end,
    )
