"""Distinguished Encoding Rules (X.690) for the one shape that KeyNote keys have.

RFC 2792 writes a key as a SEQUENCE of INTEGERs, and nothing else.  Reading is strict: one
definite minimal length, minimal non-negative integers, no byte left over.  A key then has
exactly one encoding, so the bytes themselves are its normal form.
"""

from __future__ import annotations

_INTEGER = 0x02
_OCTET_STRING = 0x04
_SEQUENCE = 0x30
_HIGH_BIT = 0x80  # of a length: the long form follows; of an integer: it is negative
_HEADER = 2  # bytes of the shortest tag and length


def read_integers(der: bytes, count: int) -> tuple[int, ...]:
    """Return the *count* INTEGERs of a SEQUENCE; raise ``ValueError`` if it is anything else."""
    rest = _whole(der, _SEQUENCE)
    values = []
    for _ in range(count):
        content, rest = _take(rest, _INTEGER)
        values.append(_natural(content))
    if rest:
        raise ValueError(f"bytes follow the {count} integers")
    return tuple(values)


def write_integers(*values: int) -> bytes:
    """Return the SEQUENCE of the non-negative *values*."""
    return _wrap(_SEQUENCE, b"".join(_wrap(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1)) for value in values))


def octet_string(octets: bytes) -> bytes:
    """Return *octets* as an OCTET STRING."""
    return _wrap(_OCTET_STRING, octets)


def _whole(der: bytes, tag: int) -> bytes:
    content, rest = _take(der, tag)
    if rest:
        raise ValueError("bytes follow the value")
    return content


def _take(der: bytes, tag: int) -> tuple[bytes, bytes]:
    """Split *der* into the content of its first value, which has *tag*, and the rest."""
    if len(der) < _HEADER or der[0] != tag:
        raise ValueError(f"a value with tag {tag:#04x} was expected")
    length, start = _length(der)
    if start + length > len(der):
        raise ValueError("a value is cut off")
    return der[start : start + length], der[start + length :]


def _length(der: bytes) -> tuple[int, int]:
    """Return the length that stands at byte 1, and where the content starts."""
    first = der[1]
    if first < _HIGH_BIT:
        return first, _HEADER
    octets = der[_HEADER : _HEADER + first - _HIGH_BIT]
    length = int.from_bytes(octets)
    if len(octets) != first - _HIGH_BIT or length < _HIGH_BIT or octets[0] == 0:
        raise ValueError("a length is not minimal")
    return length, _HEADER + len(octets)


def _natural(content: bytes) -> int:
    if not content or content[0] & _HIGH_BIT:
        raise ValueError("an integer is empty or negative")
    if len(content) > 1 and content[0] == 0 and not content[1] & _HIGH_BIT:
        raise ValueError("an integer is not minimal")
    return int.from_bytes(content)


def _wrap(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < _HIGH_BIT:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, _HIGH_BIT + len(octets))) + octets + content
