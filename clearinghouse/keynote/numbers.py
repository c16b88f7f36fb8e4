"""The numbers of conditions: C integers of 32 bits, doubles, and what strings convert to.

RFC 2704, section 4.6.5, wants the arithmetic of C.  Python's differs in nearly every corner
(`//` and `%` round down, integers never overflow, ``int(" 7_0")`` is a number), so each
operation is written out here.  What C leaves undefined (overflow, division by zero) is a
run-time error: the test that holds it is false, whatever surrounds it.
"""

from __future__ import annotations

import math
import re

INT_MIN = -(2**31)
INT_MAX = 2**31 - 1

_DIGITS_THAT_FIT = 9
"""Any number of so many digits fits 32 bits, so it needs no check."""

_DIGITS_AT_MOST = 10
"""A number with more significant digits never fits; Python refuses to read 4,301 of them."""

_WIDEST_SHIFT = 31
"""2 to this power no longer fits, nor does any larger base; smaller powers stay cheap."""

_PLAIN = re.compile(r"(-?)([0-9]*)(?:\.([0-9]*))?\Z", re.ASCII)


class RuntimeFault(Exception):
    """A KeyNote run-time error: the clause's test is false.

    It never leaves the engine, so it is no member of the error tree; ``reason`` says what went
    wrong, for the explanation of a decision.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        """Keep *reason*: lower case, no final period."""
        super().__init__(reason)
        self.reason = reason


def to_integer(text: str) -> int:
    """Return the value of ``@text``: the floor of a plain decimal, 0 for any other text.

    A plain decimal is ASCII digits with at most one dot, which may stand first or last, after
    an optional minus.  `RuntimeFault` when the value does not fit 32 bits.
    """
    # isdigit() alone accepts superscripts, which an octet string can hold (U+00B2).
    if len(text) <= _DIGITS_THAT_FIT and text.isdigit() and text.isascii():
        return int(text)
    return _floor(text)


def _floor(text: str) -> int:
    parts = _PLAIN.match(text)
    if parts is None:
        return 0
    minus, whole, fraction = parts.groups("")
    digits = whole.lstrip("0") or "0"
    if len(digits) > _DIGITS_AT_MOST:
        raise RuntimeFault(_OVERFLOW)
    if not minus:
        return _fits(int(digits))
    return _fits(-int(digits) - (fraction.strip("0") != ""))


def to_float(text: str) -> float:
    """Return the value of ``&text``: a plain decimal as in `to_integer`, 0.0 for any other text.

    `RuntimeFault` when the value exceeds a double.
    """
    parts = _PLAIN.match(text)
    if parts is None or not (parts[2] or parts[3]):
        return 0.0
    return _finite(float(text))


_OVERFLOW = "an integer does not fit 32 bits"
_INFINITE = "a number does not fit a double"


def _fits(value: int) -> int:
    if INT_MIN <= value <= INT_MAX:
        return value
    raise RuntimeFault(_OVERFLOW)


def integer(value: int) -> int:
    """Return a literal's *value*, which may be any string of digits."""
    return _fits(value)


def add(left: int, right: int) -> int:
    """Return ``left + right``."""
    return _fits(left + right)


def subtract(left: int, right: int) -> int:
    """Return ``left - right``."""
    return _fits(left - right)


def multiply(left: int, right: int) -> int:
    """Return ``left * right``."""
    return _fits(left * right)


def negate(value: int) -> int:
    """Return ``-value``; -2147483648 has no negative."""
    return _fits(-value)


def divide(left: int, right: int) -> int:
    """Return ``left / right``, truncated toward zero."""
    if right == 0:
        raise RuntimeFault("division by zero")
    quotient = abs(left) // abs(right)
    return _fits(quotient if (left < 0) == (right < 0) else -quotient)


def modulo(left: int, right: int) -> int:
    """Return ``left % right``, with the sign of the dividend."""
    if right == 0:
        raise RuntimeFault("modulo by zero")
    if left == INT_MIN and right == -1:
        raise RuntimeFault(_OVERFLOW)  # C leaves it undefined together with the quotient
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def power(base: int, exponent: int) -> int:
    """Return ``base ^ exponent``; a negative exponent gives 0 for every base."""
    if exponent < 0:
        return 0
    if -1 <= base <= 1:
        # The parity is all that matters, and it keeps a large exponent cheap.
        return base ** (2 - exponent % 2) if exponent else 1
    if exponent > _WIDEST_SHIFT:
        raise RuntimeFault(_OVERFLOW)
    return _fits(base**exponent)


def _finite(value: float) -> float:
    if math.isfinite(value):
        return value
    raise RuntimeFault(_INFINITE)


def fadd(left: float, right: float) -> float:
    """Return ``left + right``."""
    return _finite(left + right)


def fsubtract(left: float, right: float) -> float:
    """Return ``left - right``."""
    return _finite(left - right)


def fmultiply(left: float, right: float) -> float:
    """Return ``left * right``."""
    return _finite(left * right)


def fdivide(left: float, right: float) -> float:
    """Return ``left / right``."""
    if right == 0.0:
        raise RuntimeFault("division by zero")
    return _finite(left / right)


def fnegate(value: float) -> float:
    """Return ``-value``."""
    return -value


def fpower(base: float, exponent: float) -> float:
    """Return ``base ^ exponent``; an infinite or complex power is a run-time error."""
    try:
        return _finite(math.pow(base, exponent))
    except OverflowError:
        raise RuntimeFault(_INFINITE) from None
    except ValueError:
        raise RuntimeFault("a power that is not a real number") from None
