"""Random KeyNote: trees as the parser makes them, texts that say the same in other layouts, questions.

Names and texts come from small pools, so that names meet attributes, ``$`` finds something, and
comparisons are sometimes true.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from clearinghouse.keynote import syntax
from clearinghouse.keynote.keys import from_seed
from clearinghouse.keynote.printer import print_assertion
from clearinghouse.keynote.signing import sign
from clearinghouse.keynote.strings import quote, unquote

NAMES = ("a", "b", "n", "date", "role")
SPECIALS = ("_0", "_1", "_2", "_01", "_999999", "_", "_MIN_TRUST", "_MAX_TRUST", "_VALUES", "_ACTION_AUTHORIZERS", "_other")
WORDS = (
    "",
    "a",
    "b",
    "ab",
    "n",
    "role",
    "_1",
    "_MAX_TRUST",
    "0",
    "7",
    "-5",
    "2.5",
    "0042",
    "2147483647",
    "2147483648",
    "1e3",
    "deny",
    "allow",
)
VALUES = ("deny", "ask", "allow", "a", "7")
PATTERNS = ("a", "^a", "(a)(b)?", "(x)?(a)", "^([a-z]*)([0-9]*)$", "(", "\\d", ".*", "[[:digit:]]+", "a{2}", "((a)|b)*")

# -- octets ----------------------------------------------------------------------------------------

OCTETS = st.characters(min_codepoint=1, max_codepoint=255)
octets = st.text(OCTETS, max_size=12)
"""Octet text that KeyNote can hold: no NUL."""

words = st.sampled_from(WORDS) | octets

# -- texts and numbers -----------------------------------------------------------------------------

literals = words.map(syntax.Literal)
attributes = st.sampled_from(NAMES + SPECIALS).map(syntax.Attribute)


def _flat_join(parts: list[syntax.Text]) -> syntax.Text:
    """Return the parts joined as the parser does it: a join in a join is one join."""
    return syntax.Join(tuple(each for part in parts for each in (part.parts if isinstance(part, syntax.Join) else (part,))))


texts: st.SearchStrategy[syntax.Text] = st.recursive(
    literals | attributes,
    lambda inner: inner.map(syntax.Indirect) | st.lists(inner, min_size=2, max_size=3).map(_flat_join),
    max_leaves=5,
)

whole_numbers = st.integers(0, 20) | st.integers(2**31 - 2, 2**31 + 1) | st.integers(0, 10**19)

integers: st.SearchStrategy[syntax.IntegerTerm] = st.recursive(
    whole_numbers.map(syntax.Integer) | texts.map(syntax.ToInteger),
    lambda inner: inner.map(syntax.IntegerNegation) | st.builds(syntax.IntegerOperation, st.sampled_from("+-*/%^"), inner, inner),
    max_leaves=4,
)

fractions = st.integers(0, 5_000).map(lambda thousandths: thousandths / 1000) | st.sampled_from((0.1, 1e-7, 123456789.125, 1e30))

floats: st.SearchStrategy[syntax.FloatTerm] = st.recursive(
    fractions.map(syntax.Float) | texts.map(syntax.ToFloat),
    lambda inner: inner.map(syntax.FloatNegation) | st.builds(syntax.FloatOperation, st.sampled_from("+-*/^"), inner, inner),
    max_leaves=4,
)

# -- tests and programs ----------------------------------------------------------------------------

patterns = st.sampled_from(PATTERNS).map(syntax.Literal) | texts

relations: st.SearchStrategy[syntax.Test] = st.one_of(
    st.booleans().map(syntax.Truth),
    st.builds(syntax.TextRelation, st.sampled_from(("==", "!=", "<", ">", "<=", ">=")), texts, texts),
    st.builds(syntax.IntegerRelation, st.sampled_from(("==", "!=", "<", ">", "<=", ">=")), integers, integers),
    st.builds(syntax.FloatRelation, st.sampled_from(("<", ">", "<=", ">=")), floats, floats),
    st.builds(syntax.Match, texts, patterns),
)


def _flat_and(tests: list[syntax.Test]) -> syntax.Test:
    return syntax.And(tuple(each for test in tests for each in (test.tests if isinstance(test, syntax.And) else (test,))))


def _flat_or(tests: list[syntax.Test]) -> syntax.Test:
    return syntax.Or(tuple(each for test in tests for each in (test.tests if isinstance(test, syntax.Or) else (test,))))


tests: st.SearchStrategy[syntax.Test] = st.recursive(
    relations,
    lambda inner: (
        inner.map(syntax.Not)
        | st.lists(inner, min_size=2, max_size=3).map(_flat_and)
        | st.lists(inner, min_size=2, max_size=3).map(_flat_or)
    ),
    max_leaves=5,
)

values = st.sampled_from(VALUES).map(syntax.Literal) | texts

programs: st.SearchStrategy[syntax.Program] = st.recursive(
    st.lists(st.builds(syntax.Clause, tests, st.none() | values), max_size=3).map(lambda clauses: syntax.Program(tuple(clauses))),
    lambda inner: st.lists(st.builds(syntax.Clause, tests, st.none() | values | inner), min_size=1, max_size=3).map(
        lambda clauses: syntax.Program(tuple(clauses))
    ),
    max_leaves=4,
)

# -- licensees -------------------------------------------------------------------------------------


def _flat_all(parts: list[syntax.Licensees]) -> syntax.Licensees:
    return syntax.AllOf(tuple(each for part in parts for each in (part.parts if isinstance(part, syntax.AllOf) else (part,))))


def _flat_any(parts: list[syntax.Licensees]) -> syntax.Licensees:
    return syntax.AnyOf(tuple(each for part in parts for each in (part.parts if isinstance(part, syntax.AnyOf) else (part,))))


@st.composite
def thresholds(draw: st.DrawFn, names: st.SearchStrategy[syntax.Text]) -> syntax.Threshold:
    """A threshold that its members can meet; members repeat."""
    members = draw(st.lists(names.map(syntax.Principal), min_size=1, max_size=4))
    return syntax.Threshold(draw(st.integers(1, len(members))), tuple(members))


def licensees_of(names: st.SearchStrategy[syntax.Text]) -> st.SearchStrategy[syntax.Licensees]:
    """Licensees over the principals *names*."""
    return st.recursive(
        names.map(syntax.Principal) | thresholds(names),
        lambda inner: st.lists(inner, min_size=2, max_size=3).map(_flat_all) | st.lists(inner, min_size=2, max_size=3).map(_flat_any),
        max_leaves=4,
    )


# -- assertions ------------------------------------------------------------------------------------

constants = st.dictionaries(st.sampled_from(("a", "b", "hub", "key")), words, max_size=2).map(lambda found: tuple(found.items()))
lines = st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\n"), max_size=12)
comments = st.lists(lines, max_size=3).map(lambda rows: "\n ".join(rows).strip(" \t\n"))

assertions = st.builds(
    syntax.Assertion,
    authorizer=texts,
    licensees=st.none() | st.just(syntax.Empty()) | licensees_of(texts),
    conditions=st.none() | programs,
    constants=constants,
    comment=st.none() | comments,
    version=st.booleans(),
    signature=st.none() | texts,
)


def assertion_of(conditions: syntax.Program, *, constants: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Return the text of a policy with these conditions, for the licensee ``K``."""
    tree = syntax.Assertion(syntax.Literal("POLICY"), syntax.Principal(syntax.Literal("K")), conditions, constants)
    return print_assertion(tree).encode("latin-1")


# -- the same in other words -----------------------------------------------------------------------

_TOKEN = re.compile(r'"(?:[^"\\]|\\[\s\S])*"|[0-9]+-of|[0-9]+\.[0-9]+|\w+|&&|\|\||->|[=!~<>]=|\S', re.ASCII)
_FIELD = re.compile(r"^([A-Za-z-]+):", re.MULTILINE)
_WORD_THEN_WORD = re.compile(r"\w\Z", re.ASCII), re.compile(r"\w", re.ASCII)

gaps = st.sampled_from(("", "", " ", "  ", "\t", "\n ", "\n\t", ' # a note; with && and "\n  ', '\n# in column 0: "\n\t', "\n \n "))


@st.composite
def spellings(draw: st.DrawFn, literal: str) -> str:
    """The quoted *literal* with other escapes and with continuation lines."""
    if not draw(st.booleans()):
        return literal
    text, _ = unquote(literal)
    style = draw(st.sampled_from(("octal", "backslash", "continued")))
    if style == "octal":
        return '"' + "".join(f"\\{ord(octet):03o}" for octet in text) + '"'
    if style == "backslash":
        return '"' + "".join(_with_backslash(octet) for octet in text) + '"'
    return '"\\\n \t' + literal[1:] if text[:1] not in {" ", "\t", "\n"} else literal


def _with_backslash(octet: str) -> str:
    plain = octet.isascii() and not octet.isalnum() and octet not in "\n\r"
    return "\\" + octet if plain else quote(octet)[1:-1]


@st.composite
def layouts(draw: st.DrawFn, tree: syntax.Assertion) -> bytes:
    """A text that parses to *tree*: other gaps, comments, letter case, escapes, order and brackets."""
    text = print_assertion(tree)
    starts = [found.start() for found in _FIELD.finditer(text)]
    fields = [text[begin:end] for begin, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    first = fields[:1] if tree.version else []
    last = fields[-1:] if tree.signature is not None else []
    between = fields[len(first) : len(fields) - len(last)]
    ordered = [*first, *draw(st.permutations(between)), *last]
    head = draw(st.sampled_from(("", "\n", "# heading\n", '  \n\n# heading: "\n')))
    return (head + "".join([draw(field_layouts(field)) for field in ordered])).encode("latin-1")


@st.composite
def field_layouts(draw: st.DrawFn, field: str) -> str:
    """One printed field in another layout."""
    label, _, body = field.partition(":")
    cased = draw(st.sampled_from((label, label.upper(), label.lower(), label.swapcase())))
    if label == "Comment":
        return f"{cased}:{body}"
    written = cased + ":"
    for token in _TOKEN.findall(body):
        gap = draw(gaps)
        if not gap and re.search(r"\w\Z", written, re.ASCII) and re.match(r"\w", token, re.ASCII):
            gap = " "
        written += gap + (draw(spellings(token)) if token[0] == '"' else token)
    return written + draw(st.sampled_from(("\n", " \n", "\n# after\n", " # after\n")))


@st.composite
def bracketed(draw: st.DrawFn, node: syntax.Term) -> str:
    """*node* with brackets around every part, some of them twice; written without our own printer."""
    match node:
        case syntax.And(parts) | syntax.Or(parts) | syntax.Join(parts):
            symbol = {syntax.And: "&&", syntax.Or: "||", syntax.Join: "."}[type(node)]
            inner = symbol.join([draw(bracketed(part)) for part in parts])
        case syntax.Literal() | syntax.Attribute() | syntax.Integer() | syntax.Float() | syntax.Truth():
            inner = _atom(node)
        case _ if type(node) in _PREFIXES:
            inner = _PREFIXES[type(node)] + draw(bracketed(getattr(node, node.__match_args__[0])))
        case syntax.Match(left, right):
            inner = f"{draw(bracketed(left))}~={draw(bracketed(right))}"
        case _:
            symbol, left, right = (getattr(node, name) for name in node.__match_args__)
            inner = f"{draw(bracketed(left))}{symbol}{draw(bracketed(right))}"
    return f"(({inner}))" if draw(st.booleans()) else f"({inner})"


_PREFIXES = {
    syntax.Not: "!",
    syntax.IntegerNegation: "-",
    syntax.FloatNegation: "-",
    syntax.ToInteger: "@",
    syntax.ToFloat: "&",
    syntax.Indirect: "$",
}


def _atom(node: syntax.Literal | syntax.Attribute | syntax.Integer | syntax.Float | syntax.Truth) -> str:
    match node:
        case syntax.Literal(text):
            return '"' + "".join(f"\\{ord(octet):03o}" for octet in text) + '"'
        case syntax.Attribute(name):
            return name
        case syntax.Float(value):
            return f"{value:.7f}"
        case syntax.Integer(value) | syntax.Truth(value):
            return str(value)


_LITERAL = re.compile(rb'"(?:[^"\\]|\\[\s\S])*"|(?<![\w.])[0-9]+(?:\.[0-9]+)?(?![\w.])')
_STRANGE = (
    "",
    '"',
    "\\",
    "\n",
    "\n\n",
    "\r",
    "\0",
    "#",
    " ",
    "(",
    ")",
    "{",
    "}",
    ";",
    "->",
    "&&",
    "&",
    "|",
    "!",
    "-",
    "@",
    "$",
    ".",
    ",",
    "0",
    "9",
    "a",
    "true",
    "=",
    ":",
)
_SPARE = (
    '""',
    '"x"',
    '"true"',
    '"\\400"',
    '"#"',
    '"\\\n  x"',
    '"\xff"',
    "1",
    "007",
    "2147483648",
    "9" * 20,
    "9" * 21,
    "1.5",
    "0.0",
    "9" * 62 + ".0",
)
strange = st.sampled_from(_STRANGE).map(lambda piece: piece.encode("latin-1")) | st.binary(max_size=3)

tails = st.lists(strange, max_size=6).map(b"".join)


@st.composite
def with_other_literals(draw: st.DrawFn, raw: bytes, *, spare: bool = True) -> bytes:
    """*raw* with the literals of its conditions replaced, by others of their kind or, with *spare*, by any."""
    head, label, conditions = raw.partition(b"Conditions:")
    return head + label + _LITERAL.sub(lambda found: draw(_others(found.group(), spare=spare)), conditions)


def _others(literal: bytes, *, spare: bool) -> st.SearchStrategy[bytes]:
    anything = st.sampled_from(_SPARE).map(lambda piece: piece.encode("latin-1")) if spare else st.nothing()
    if literal[:1] == b'"':
        return words.map(lambda text: quote(text).encode("latin-1")) | anything
    kind = fractions.map(lambda value: f"{value:.3f}") if b"." in literal else whole_numbers.map(str)
    return kind.map(str.encode) | anything


@st.composite
def damaged(draw: st.DrawFn, raw: bytes) -> bytes:
    """*raw* with something dropped, inserted, replaced or repeated."""
    begin = draw(st.integers(0, len(raw)))
    end = min(len(raw), begin + draw(st.integers(0, 3)))
    return raw[:begin] + draw(strange) + raw[draw(st.sampled_from((begin, end, end))) :]


# -- questions -------------------------------------------------------------------------------------

actions = st.dictionaries(st.sampled_from(NAMES), words, max_size=len(NAMES))
value_sets = st.lists(st.sampled_from(VALUES), min_size=1, max_size=4, unique=True)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the assertions; ``values`` from the weakest."""

    authorizers: tuple[str, ...]
    action: dict[str, str]
    values: tuple[str, ...]


def questions(principals: tuple[str, ...]) -> st.SearchStrategy[Question]:
    """Requests by some of *principals*."""
    return st.builds(
        Question,
        authorizers=st.lists(st.sampled_from(principals), min_size=1, max_size=3).map(tuple),
        action=actions,
        values=value_sets.map(tuple),
    )


# -- delegations -----------------------------------------------------------------------------------

PRINCIPALS = ("p0", "p1", "p2", "p3", "p4")

names_of_principals = st.sampled_from(("POLICY", *PRINCIPALS, *PRINCIPALS))
"""Values by which an attribute names a principal."""

KEYS = {name: from_seed(name.encode().ljust(32)) for name in PRINCIPALS}
"""A key for each principal, so that it can sign."""

clauses = st.builds(syntax.Clause, st.just(syntax.Truth(value=True)) | relations, st.none() | st.sampled_from(VALUES).map(syntax.Literal))


@st.composite
def delegations(draw: st.DrawFn, *, dynamic: bool = False) -> list[syntax.Assertion]:
    """Assertions between opaque principals: chains, diamonds, cycles, thresholds, missing and empty fields.

    With *dynamic* some principals are named by attributes.
    """
    principals: st.SearchStrategy[syntax.Text] = st.sampled_from(PRINCIPALS).map(syntax.Literal)
    authorizers: st.SearchStrategy[syntax.Text] = st.sampled_from(("POLICY", *PRINCIPALS)).map(syntax.Literal)
    if dynamic:
        named = st.sampled_from(("a", "b")).map(syntax.Attribute)
        principals, authorizers = principals | named, authorizers | authorizers | named
    assertion = st.builds(
        syntax.Assertion,
        authorizer=authorizers,
        licensees=st.sampled_from((None, syntax.Empty())) | licensees_of(principals) | licensees_of(principals) | licensees_of(principals),
        conditions=st.none() | st.lists(clauses, max_size=2).map(lambda found: syntax.Program(tuple(found))),
    )
    return draw(st.lists(assertion, min_size=1, max_size=8))


def renamed(tree: syntax.Assertion, names: Mapping[str, str]) -> syntax.Assertion:
    """Return *tree* with other names for its principals."""

    def text(node: syntax.Text) -> syntax.Text:
        return syntax.Literal(names.get(node.text, node.text)) if isinstance(node, syntax.Literal) else node

    def licensee(node: syntax.Licensees | syntax.Empty | None) -> Any:  # noqa: ANN401 - the class that came in
        match node:
            case syntax.Principal(name):
                return syntax.Principal(text(name))
            case syntax.AllOf(parts) | syntax.AnyOf(parts):
                return type(node)(tuple(licensee(part) for part in parts))
            case syntax.Threshold(k, members):
                return syntax.Threshold(k, tuple(licensee(member) for member in members))
            case _:
                return node

    return syntax.Assertion(text(tree.authorizer), licensee(tree.licensees), tree.conditions, tree.constants)


def with_keys(tree: syntax.Assertion) -> syntax.Assertion:
    """Return *tree* with the keys of its principals instead of their names."""
    return renamed(tree, {name: key.principal for name, key in KEYS.items()})


def signed_by_its_authorizer(tree: syntax.Assertion) -> bytes:
    """Return the text of *tree* with the signature of its authorizer, one of `KEYS`."""
    assert isinstance(tree.authorizer, syntax.Literal)
    key = next(key for key in KEYS.values() if key.principal == tree.authorizer.text)
    return sign(print_assertion(tree).encode("latin-1"), key)
