"""Where in a text something stands, for messages that a person reads."""

from __future__ import annotations

from clearinghouse.errors import MalformedAssertion
from clearinghouse.keynote.octets import from_octets

_SHOWN = 160
"""Characters of a source line that a message shows; a line may be as long as the assertion."""

_LONGEST_MESSAGE = 400
"""Characters of a message, and of its mend."""


def line_and_column(text: str, at: int) -> tuple[int, int]:
    """Return the line and column of offset *at*, both from 1; columns count characters."""
    start = text.rfind("\n", 0, at) + 1
    return text.count("\n", 0, at) + 1, len(from_octets(text[start:at])) + 1


def malformed(text: str, at: int, message: str, mend: str = "", width: int = 1) -> MalformedAssertion:
    """Return the error for a mistake of *width* characters at offset *at* of *text*."""
    line, column = line_and_column(text, at)
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    source = from_octets(text[start : len(text) if end < 0 else end])
    cut = max(0, column - _SHOWN // 2) if column > _SHOWN else 0  # of a long line, show the neighbourhood
    shown = ("…" if cut else "") + printable(source[cut : cut + _SHOWN])
    caret = column - cut + (1 if cut else 0)
    width = len(from_octets(text[at : at + width]))
    return MalformedAssertion(
        _bounded(message),
        mend=_bounded(mend),
        line=line,
        column=column,
        source=shown,
        caret=caret,
        width=max(1, min(width, len(shown) - caret + 1)),
    )


def _bounded(message: str) -> str:
    """A name or a number may be as long as the assertion too."""
    return message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "…"


def printable(text: str) -> str:
    """Return *text* with every control, bidirectional and unassigned character shown as U+FFFD."""
    return "".join(c if c == "\t" or c.isprintable() else "\ufffd" for c in text)
