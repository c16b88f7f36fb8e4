"""The words of a Lua program (Lua 5.4 manual, section 3.1), from any bytes at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """What a word is."""

    NAME = "name"
    TEXT = "text"
    NUMBER = "number"
    SIGN = "sign"
    COMMENT = "comment"
    BROKEN = "broken"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One word: of a text what it means, of everything else what is written; and its line, from 1."""

    kind: Kind
    text: str
    line: int

    def is_sign(self, *signs: str) -> bool:
        """Whether it is one of these signs."""
        return self.kind is Kind.SIGN and self.text in signs

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these names or keywords."""
        return self.kind is Kind.NAME and self.text in words


_WORDS: Final = re.compile(
    r"""(?P<blank>[ \t\r\n\f\v]+)
    | (?P<comment>--(?!\[=*\[)[^\n]*)
    | (?P<long>(?:--)?\[(?P<level>=*)\[)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>0[xX][0-9A-Fa-f.]+(?:[pP][+-]?[0-9]+)?|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<quote>"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*')
    | (?P<sign>\.\.\.|\.\.|==|~=|<=|>=|//|::|<<|>>|[-+*/%^\#&~|<>=(){}\[\];:,.])
    | (?P<broken>["'][^\n]*|.)""",
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(
    r"\\(?:z\s*|x(?P<hex>[0-9A-Fa-f]{2})|u\{(?P<point>[0-9A-Fa-f]{1,6})\}|(?P<decimal>[0-9]{1,3})|(?P<other>[\s\S]))"
)
_SHORT: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_LAST_CODE_POINT: Final = 0x10FFFF


def tokens(text: str) -> Iterator[Token]:
    """Yield the words of *text*; what is no word of Lua is `Kind.BROKEN`."""
    at, line = 0, 1
    if text.startswith("#"):  # a first line for the shell
        at = text.find("\n") if "\n" in text else len(text)
    while at < len(text):
        found = _WORDS.match(text, at)
        if found is None:  # "." matches all but a line's end, and those are blanks
            at += 1
            continue
        kind, written = str(found.lastgroup), found[0]
        if kind == "long":
            written = _long(text, found)
            yield from _of_long(written, found, line)
        elif kind != "blank":
            yield Token(*_meaning(kind, written), line)
        at += len(written)
        line += written.count("\n")
    yield Token(Kind.END, "", line)


def _long(text: str, found: re.Match[str]) -> str:
    """Return a long text or comment with its brackets; one that does not end goes on to the end."""
    closing = f"]{found['level']}]"
    end = text.find(closing, found.end())
    return text[found.start() : len(text) if end < 0 else end + len(closing)]


def _of_long(written: str, found: re.Match[str], line: int) -> Iterator[Token]:
    if written.startswith("--"):
        return
    closed = written.endswith(f"]{found['level']}]") and len(written) >= 2 * len(found[0])
    inner = written[len(found[0]) : -len(found[0])]
    yield Token(Kind.TEXT, inner.removeprefix("\r").removeprefix("\n"), line) if closed else Token(Kind.BROKEN, written[:40], line)


def _meaning(kind: str, written: str) -> tuple[Kind, str]:
    match kind:
        case "name" | "number" | "sign" | "broken":
            return Kind(kind), written
        case "comment":
            return Kind.COMMENT, written.lstrip("-").strip()
        case _:
            return Kind.TEXT, _ESCAPE.sub(_unescaped, written[1:-1])


def _unescaped(found: re.Match[str]) -> str:
    code = found["hex"] or found["point"]
    if code is not None:
        return _character(int(code, 16))
    if found["decimal"] is not None:
        return _character(int(found["decimal"]))
    if found["other"] is not None:
        return _SHORT.get(found["other"], found["other"])
    return ""


def _character(code: int) -> str:
    return chr(code) if code <= _LAST_CODE_POINT and not 0xD800 <= code <= 0xDFFF else "\ufffd"  # noqa: PLR2004 - surrogates
