"""What must hold for any bytes at all:

1. they give a tree, or an error of our own tree of errors; nothing else is ever raised;
2. the fast reader agrees with the parser, tree or refusal, whatever shapes it has learnt before;
3. the parser reads what the printer writes, and reads it as the same tree;
4. a file that is cut into assertions loses nothing but empty lines and comments.

`check` raises `Broken` where one of these does not hold.
"""

from __future__ import annotations

from clearinghouse.errors import ClearinghouseError
from clearinghouse.keynote import parse, print_assertion, split_assertions, syntax
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.reader import Reading, read
from clearinghouse.keynote.shapes import Shapes

LIMITS = Limits()
_LEARNT = Shapes(size=256)


class Broken(AssertionError):
    """One of the four statements does not hold."""


def check(data: bytes) -> None:
    """Hold the parser, the fast reader and the printer to their invariant."""
    tree = _parsed(data)
    fresh = Shapes()
    for shapes in (fresh, fresh, _LEARNT):
        _agree(tree, _read(data, shapes))
    if tree is not None:
        _same_when_printed(tree)
    _cut(data)


def _parsed(data: bytes) -> syntax.Assertion | None:
    try:
        return parse(data, limits=LIMITS, budget=Budget(LIMITS.steps))
    except ClearinghouseError as error:
        str(error), error.as_json()
        return None


def _read(data: bytes, shapes: Shapes) -> Reading | None:
    try:
        return read(data, shapes, learn=True, limits=LIMITS, budget=Budget(4 * LIMITS.steps))
    except ClearinghouseError:
        return None


def _agree(tree: syntax.Assertion | None, reading: Reading | None) -> None:
    if tree is None and reading is not None and _parsed_patiently(reading.raw):
        return  # the fast reader needs fewer steps
    if (tree is None) != (reading is None):
        raise Broken(f"the parser says {tree}, the fast reader {reading}")
    if tree is None or reading is None:
        return
    slow = (tree.authorizer, tree.licensees, tree.conditions, tree.constants, tree.signature, tree.signed_start, tree.signed_end)
    fast = (
        reading.authorizer,
        reading.licensees,
        reading.program(),
        reading.constants,
        reading.signature,
        reading.signed_start,
        reading.signed_end,
    )
    if slow != fast:
        raise Broken(f"the parser reads {slow}, the fast reader {fast}")


def _parsed_patiently(data: bytes) -> bool:
    try:
        parse(data, limits=LIMITS)
    except ClearinghouseError:
        return False
    return True


def _same_when_printed(tree: syntax.Assertion) -> None:
    printed = print_assertion(tree).encode("latin-1")
    try:
        again = parse(printed, limits=Limits.local())
    except ClearinghouseError as error:
        raise Broken(f"{printed!r} does not parse: {error}") from error
    if again != tree:
        raise Broken(f"{tree} is printed as {printed!r} and read as {again}")


def _cut(data: bytes) -> None:
    pieces = split_assertions(data)
    if any(data.split(b"\n")[line - 1 :][:1] != piece.split(b"\n")[:1] for line, piece in pieces):
        raise Broken(f"{pieces} are not where they say")
    lost = b"\n".join(row for row in data.split(b"\n") if row.strip(b" \t") and not row.lstrip(b" \t").startswith(b"#"))
    kept = b"".join(piece for _, piece in pieces)
    if any(row not in kept for row in lost.split(b"\n")):
        raise Broken("a line was lost")
