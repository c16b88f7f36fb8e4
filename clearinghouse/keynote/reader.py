"""One assertion read for admission: the quick way where its layout is usual, Lark's where not.

Both ways give the same :class:`Reading`; whatever the quick way does not recognise at once is
parsed in full, which either succeeds or says what is wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from clearinghouse.errors import MalformedAssertion, TooLarge
from clearinghouse.keynote import syntax
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.fields import split_fields
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.parser import parse, parse_body
from clearinghouse.keynote.shapes import Shaped, Shapes

_FIELD = re.compile(r"([A-Za-z-]+):((?:[^\n]*)(?:\n[ \t][^\n]*)*)(?:\n|\Z)")
_ONE_LITERAL = re.compile(r'[ \t\n]*"([^"\\\n\r#]*)"[ \t\n]*\Z')
_CONTINUED = re.compile(r'[ \t\n]*"([^"\\\n\r#]*+(?:\\\n[ \t]*+[^"\\\n\r#]*+)*+)"[ \t\n]*\Z')
_CONTINUATION = re.compile(r"\\\n[ \t]*")
_VERSION = re.compile(r'[ \t]*(?:2|"2")[ \t]*\Z')
_USUAL = frozenset({"keynote-version", "authorizer", "licensees", "conditions", "comment", "signature"})
_BYTES_PER_STEP = 128
"""The quick way reads 128 bytes in about 2 us."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What admission needs of one assertion; ``conditions`` is by shape where the shape is known."""

    raw: bytes
    authorizer: syntax.Text
    licensees: syntax.Licensees | syntax.Empty | None
    conditions: Shaped | syntax.Program | None
    constants: tuple[tuple[str, str], ...]
    signature: syntax.Text | None
    signed_start: int
    signed_end: int
    tree: syntax.Assertion | None = field(default=None, compare=False)
    """The whole tree, where it was parsed and the conditions are not kept by shape."""

    @property
    def signed(self) -> bytes:
        """The bytes that a signature covers, without the algorithm name."""
        return self.raw[self.signed_start : self.signed_end]

    def program(self) -> syntax.Program | None:
        """Return the tree of the conditions."""
        return self.conditions.tree() if isinstance(self.conditions, Shaped) else self.conditions


def read(data: bytes, shapes: Shapes, *, learn: bool, limits: Limits, budget: Budget) -> Reading:
    """Read one assertion; *learn* allows a new condition shape to be remembered.

    Raises as :func:`clearinghouse.keynote.parser.parse` does.
    """
    if len(data) > limits.assertion_bytes:
        raise TooLarge(f"an assertion has {len(data)} bytes", mend=f"at most {limits.assertion_bytes} are read (`assertion_bytes`)")
    budget.spend(1 + len(data) // _BYTES_PER_STEP)
    usual = _usual_fields(data)
    reading = _quick(data, *usual, shapes, learn=learn, limits=limits, budget=budget) if usual else None
    return reading or from_tree(parse(data, limits=limits, budget=budget), shapes, learn=learn)


def from_tree(tree: syntax.Assertion, shapes: Shapes, *, learn: bool) -> Reading:
    """Return the reading of a tree that is parsed already."""
    conditions: Shaped | syntax.Program | None = tree.conditions
    if tree.conditions is not None:
        text = tree.raw.decode("latin-1")
        found = split_fields(text)[0].get("Conditions")
        body, names = text[found.start : found.end] if found else "", tuple(sorted(name for name, _ in tree.constants))
        conditions = shapes.known(body, names) or (shapes.learn(body, names, tree.conditions) if learn else None) or tree.conditions
    return Reading(
        tree.raw,
        tree.authorizer,
        tree.licensees,
        conditions,
        tree.constants,
        tree.signature,
        tree.signed_start,
        tree.signed_end,
        None if isinstance(conditions, Shaped) else tree,
    )


def _usual_fields(data: bytes) -> tuple[dict[str, str], int] | None:
    """Return the bodies by lower-case label, and the offset of Signature; ``None`` if unusual."""
    text = data.decode("latin-1")
    bodies: dict[str, str] = {}
    at, signature, end = 0, len(text), len(text)
    while at < end:
        found = _FIELD.match(text, at)
        if found is None:
            return None
        label = found.group(1).lower()
        if label in bodies or label not in _USUAL or signature < end or (label == "keynote-version" and at):
            return None
        if label == "signature":
            signature = at
        bodies[label] = found.group(2)
        at = found.end()
    return (bodies, signature) if "authorizer" in bodies and "\0" not in text else None


def _quick(
    data: bytes, bodies: dict[str, str], signature: int, shapes: Shapes, *, learn: bool, limits: Limits, budget: Budget
) -> Reading | None:
    """Return the reading where each body is of the usual form, else ``None``."""
    authorizer = _ONE_LITERAL.match(bodies["authorizer"])
    if authorizer is None or ("keynote-version" in bodies and not _VERSION.match(bodies["keynote-version"])):
        return None
    signed = _signature(bodies.get("signature"))
    conditions = _conditions(bodies.get("conditions"), shapes, learn=learn, limits=limits, budget=budget)
    if signed is _UNUSUAL or conditions is _UNUSUAL:
        return None
    licensees = _licensees(bodies.get("licensees"), limits, budget)  # last: they may need Lark, which should not be for nothing
    if licensees is _UNUSUAL:
        return None
    return Reading(data, syntax.Literal(authorizer.group(1)), licensees, conditions, (), signed, 0, signature)


class _Unusual:
    """Marks a body that only the full parser may judge."""


_UNUSUAL: Any = _Unusual()


def _signature(body: str | None) -> Any:  # noqa: ANN401 - a text, nothing, or the mark
    if body is None:
        return None
    found = _CONTINUED.match(body)
    if found is None:
        return _UNUSUAL
    written = found.group(1)
    return syntax.Literal(_CONTINUATION.sub("", written) if "\\" in written else written)


def _licensees(body: str | None, limits: Limits, budget: Budget) -> Any:  # noqa: ANN401 - licensees, nothing, or the mark
    if body is None:
        return None
    found = _ONE_LITERAL.match(body)
    if found:
        return syntax.Principal(syntax.Literal(found.group(1)))
    return _parsed("Licensees", body, limits, budget) if body.strip(" \t\n") else syntax.Empty()


def _conditions(body: str | None, shapes: Shapes, *, learn: bool, limits: Limits, budget: Budget) -> Any:  # noqa: ANN401 - as above
    if body is None:
        return None
    known = shapes.known(body, ())
    if known is not None:
        return known
    if not learn:
        return _UNUSUAL  # what is not remembered is parsed as a whole, once, and its tree kept
    program = _parsed("Conditions", body, limits, budget)
    return program if program is _UNUSUAL else shapes.learn(body, (), program) or _UNUSUAL


def _parsed(label: str, body: str, limits: Limits, budget: Budget) -> Any:  # noqa: ANN401 - one type per label
    """Parse one body; a mistake is left to the full parser, which knows the line."""
    try:
        return parse_body(label, body, limits=limits, budget=budget)
    except MalformedAssertion:
        return _UNUSUAL
