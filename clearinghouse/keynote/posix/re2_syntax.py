r"""A POSIX pattern written in RE2's syntax.

Bytes are written as ``[\x..-\x..]`` and nothing else, so that no character of a pattern can mean
something to RE2 that it does not mean to POSIX.
"""

from __future__ import annotations

from clearinghouse.keynote.posix.tree import Either, End, Group, Node, Octet, Repeat, Sequence, Start


def written_for_re2(node: Node) -> str:
    """Return *node* for RE2 with Latin-1 bytes; groups keep their numbers."""
    match node:
        case Octet(members):
            return _class(members)
        case Start():
            return r"\A"
        case End():
            return r"\z"
        case Group(number=0, body=body):
            return written_for_re2(body)
        case Group(body=body):
            return f"({written_for_re2(body)})"
        case Repeat(body, least, most):
            return written_for_re2(body) + _times(least, most)
        case Sequence(parts):
            return "".join(map(written_for_re2, parts))
        case Either(branches):
            return "|".join(map(written_for_re2, branches))


def _times(least: int, most: int | None) -> str:
    match least, most:
        case 0, None:
            return "*"
        case 1, None:
            return "+"
        case 0, 1:
            return "?"
        case _, None:
            return f"{{{least},}}"
        case _:
            return f"{{{least},{most}}}"


def _class(members: int) -> str:
    ranges = "".join(f"\\x{low:02x}-\\x{high:02x}" for low, high in _ranges(members))
    return f"[{ranges}]" if ranges else r"[^\x00-\xff]"


def _ranges(members: int) -> list[tuple[int, int]]:
    """Return the first and the last byte of each run of ones."""
    ranges = []
    low = 0
    while members >> low:
        low += _trailing_zeros(members >> low)
        length = _trailing_zeros(~(members >> low))
        ranges.append((low, low + length - 1))
        low += length
    return ranges


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1
