"""The two ASCII encodings of RFC 2792, ``hex`` and ``base64``, read without any latitude.

One sequence of bytes has one base64 text (padded, no white space, no stray low bits) and two
hex texts, upper and lower case.  The standard library's readers forgive more than that.
"""

from __future__ import annotations

import binascii
from enum import StrEnum


class Encoding(StrEnum):
    """The last part of a key or signature identifier."""

    HEX = "hex"
    BASE64 = "base64"


def decode(text: str, encoding: Encoding) -> bytes:
    """Return the bytes that *text* stands for; raise ``ValueError`` for anything else."""
    try:
        match encoding:
            case Encoding.HEX:
                return binascii.unhexlify(text)
            case Encoding.BASE64:
                return _decode_base64(text)
    except ValueError:
        raise ValueError(f"the bits are not {encoding}") from None


def encode(octets: bytes, encoding: Encoding) -> str:
    """Return the text of *octets*, hex in lower case."""
    match encoding:
        case Encoding.HEX:
            return octets.hex()
        case Encoding.BASE64:
            return binascii.b2a_base64(octets, newline=False).decode("ascii")


def _decode_base64(text: str) -> bytes:
    octets = binascii.a2b_base64(text)
    # The reader skips what it does not know; only the writer's own form is unambiguous.
    if encode(octets, Encoding.BASE64) != text:
        raise ValueError
    return octets
