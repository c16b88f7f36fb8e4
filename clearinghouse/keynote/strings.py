"""Literals: strings from the source to octets and back, and floats (RFC 2704, 4.4)."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(\n[ \t]*|0[0-7]{1,2}|[1-7][0-7]{2}|[\s\S])")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_WRITTEN = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f", '"': '\\"', "\\": "\\\\"}
_PLAIN = re.compile(r'[^"\\\x00-\x1f\x7f]*\Z')
_BYTE = 0o400
_LONGEST_FLOAT = 64
_LARGEST_FLOAT = 1e60
"""Below it a float, printed without exponent, is no longer than the longest that is read."""


def float_of(source: str) -> float | None:
    """Return the value of a float literal, ``None`` for one that is too long or too large."""
    value = float(source) if len(source) <= _LONGEST_FLOAT else _LARGEST_FLOAT
    return value if value < _LARGEST_FLOAT else None


def unquote(source: str) -> tuple[str, int | None]:
    """Return the octets of a quoted *source*, and the offset of an octal escape beyond one byte."""
    if "\\" not in source:
        return source[1:-1], None
    for found in _ESCAPE.finditer(source):
        written = found.group(1)
        if len(written) == 3 and written.isdigit() and int(written, 8) >= _BYTE:  # noqa: PLR2004 - three octal digits
            return "", found.start()
    return _ESCAPE.sub(_escaped, source[1:-1]), None


def _escaped(found: re.Match[str]) -> str:
    """Return what one escape stands for; an unknown one loses its backslash."""
    written = found.group(1)
    if written[0] == "\n":
        return ""
    if written[0].isdigit() and len(written) > 1:
        value = int(written, 8)
        return chr(value) if value else written  # `\000` is no NUL byte but the text "000"
    return _LETTERS.get(written, written)


def quote(octets: str) -> str:
    """Return the literal that stands for *octets*; other control and high bytes become octal."""
    if _PLAIN.match(octets) and octets.isascii():
        return f'"{octets}"'
    return '"' + "".join(_written(octet) for octet in octets) + '"'


def _written(octet: str) -> str:
    if octet in _WRITTEN:
        return _WRITTEN[octet]
    return octet if octet.isprintable() or octet >= "\x80" else f"\\{ord(octet):03o}"
