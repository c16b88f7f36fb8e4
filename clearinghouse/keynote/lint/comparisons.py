"""Numbers, dates and requesters in comparisons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from clearinghouse.errors import BadPrincipal
from clearinghouse.keynote import syntax
from clearinghouse.keynote.clock import DATE, TIME
from clearinghouse.keynote.context import ACTION_AUTHORIZERS
from clearinghouse.keynote.lint.advice import Advice
from clearinghouse.keynote.lint.source import Source, compared, quoted
from clearinghouse.keynote.numbers import INT_MAX
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.principals import normalise, shown
from clearinghouse.keynote.syntax import nodes
from clearinghouse.keynote.texts import fold

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?\Z")
_FORMS = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S"}
_DIGITS = {DATE: 8, TIME: 14}
_EXAMPLES = {DATE: '`date < "20270101"`, year, month and day', TIME: '`time < "20270101120000"`, from the year to the second'}
_ORDER = frozenset({"<", ">", "<=", ">="})


def is_instant(text: str) -> bool:
    """Tell whether *text* is a date of 8 digits, or a time of 14, that exists."""
    if len(text) not in _FORMS or not (text.isascii() and text.isdigit()):
        return False
    try:
        datetime.strptime(text, _FORMS[len(text)]).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def texts(source: Source) -> Iterator[Advice]:
    """K401, K402 and K405: what an attribute is compared with."""
    for node in nodes(source.tree.conditions):
        parts = compared(node, source.constants)
        if parts is None:
            continue
        relation, attribute, value, other = parts
        name = attribute.name
        if name in _DIGITS:
            yield from _clock(source, name, value, other)
        elif name.lower() in _DIGITS and is_instant(value):
            message = f"`{name}` is what the requester claims; the clock is `{name.lower()}`"
            yield source.advise("claimed-clock", attribute, message, f"write `{name.lower()}`")
        elif relation in _ORDER and _NUMBER.match(value) and not is_instant(value):
            message = f'{quoted(node)} compares texts byte by byte, by which "9" is larger than "10"'
            mend = f"to compare numbers write `@{name}` and `{value}`, without quotation marks"
            yield source.advise("number-as-text", node, message, mend)


def _clock(source: Source, name: str, value: str, other: syntax.Text) -> Iterator[Advice]:
    if is_instant(value) and len(value) == _DIGITS[name]:
        return
    message = f"`{name}` has {_DIGITS[name]} digits, and `{shown(value)}` is no such {name}"
    yield source.advise("bad-date", other, message, f"write it as in {_EXAMPLES[name]}")


def numbers(source: Source) -> Iterator[Advice]:
    """K403 and K404: numbers that are too large, and clocks read as numbers."""
    for node in nodes(source.tree.conditions):
        match node:
            case syntax.Integer(value) if value > INT_MAX:
                message = f"{value} does not fit 32 bits, so the test that holds it is false"
                yield source.advise("integer-too-large", node, message, f"use at most {INT_MAX}, or compare texts of one length")
            case syntax.ToInteger(syntax.Attribute("time")) if TIME not in source.constants:
                message = "`@time` has 14 digits and does not fit 32 bits, so its test is always false"
                yield source.advise("clock-as-number", node, message, f"compare it as text: {_EXAMPLES[TIME]}")
            case syntax.ToInteger(syntax.Attribute(name)) | syntax.ToFloat(syntax.Attribute(name)) if (
                name in _DIGITS and name not in source.constants
            ):
                message = f"as a number, {quoted(node)} hides the instant at which the answer changes"
                yield source.advise("clock-as-number", node, message, f"compare it as text: {_EXAMPLES[name]}")
            case _:
                pass


def requesters(source: Source) -> Iterator[Advice]:
    """K604 and K002: what ``_ACTION_AUTHORIZERS`` can never equal, or whoever asks can choose."""
    for node in nodes(source.tree.conditions):
        if isinstance(node, syntax.TextRelation) and syntax.Attribute(ACTION_AUTHORIZERS) in {node.left, node.right}:
            other = node.right if node.left == syntax.Attribute(ACTION_AUTHORIZERS) else node.left
            yield from _requester(source, other)


def _requester(source: Source, other: syntax.Text) -> Iterator[Advice]:
    value = fold(other, source.constants)
    normal = _normal(value) if value is not None else None
    if isinstance(other, syntax.Attribute) and value is None:
        message = f"the request decides whom `{other.name}` names here: it is no constant of this assertion"
        mend = f'write `"{other.name}"`, or define it: `Local-Constants: {other.name} = "ed25519-hex:..."`'
        yield source.advise("unquoted-principal", other, message, mend)
    elif value is not None and normal is not None and normal != value:
        message = f"`{ACTION_AUTHORIZERS}` never reads `{shown(value)}`: it has normal forms, each once, in the order of their bytes"
        yield source.advise("requester-form", other, message, f'write `"{from_octets(normal)}"`')


def _normal(names: str) -> str | None:
    try:
        return ",".join(sorted({normalise(name) for name in names.split(",")}))
    except BadPrincipal:
        return None
