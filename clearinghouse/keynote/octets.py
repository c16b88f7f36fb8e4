r"""Octet strings: KeyNote compares bytes, so the engine's text is one character per byte.

An *octet string* is a ``str`` whose characters are all below U+0100, each standing for one byte
of the UTF-8 form.  Ordering and ``.`` in a regular expression then mean what RFC 2704 and the C
locale mean by them, plain ASCII (nearly all attributes) needs no conversion at all, and a byte
such as ``\377`` that is no UTF-8 still has a place.
"""

from __future__ import annotations


def to_octets(text: str) -> str:
    """Return the octet string of *text*; lone surrogates stand for the bytes they escape."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def from_octets(octets: str) -> str:
    """Return readable text; bytes that are not UTF-8 become U+FFFD."""
    return octets if octets.isascii() else octets.encode("latin-1").decode("utf-8", "replace")


def octets_to_bytes(octets: str) -> bytes:
    """Return the bytes that the octet string stands for."""
    return octets.encode("latin-1")
