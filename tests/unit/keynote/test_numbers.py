"""C's arithmetic and conversions, at the corners where Python's differ (RFC 2704, 4.6.5)."""

from __future__ import annotations

import math
from collections.abc import Callable
from ctypes import c_int32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.keynote import numbers
from clearinghouse.keynote.numbers import INT_MAX, INT_MIN, RuntimeFault, to_float, to_integer

INTEGERS = st.integers(INT_MIN, INT_MAX) | st.integers(-40, 40)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    "text, integer, floating",
    [
        pytest.param("", 0, 0.0, id="empty"),
        pytest.param("0", 0, 0.0, id="zero"),
        pytest.param("42", 42, 42.0, id="digits"),
        pytest.param("007", 7, 7.0, id="leading zeros"),
        pytest.param("000000000000000000000000000012", 12, 12.0, id="many leading zeros"),
        pytest.param("3.9", 3, 3.9, id="the floor, not the nearest"),
        pytest.param("5.", 5, 5.0, id="dot last"),
        pytest.param(".5", 0, 0.5, id="dot first"),
        pytest.param(".", 0, 0.0, id="dot alone"),
        pytest.param("-", 0, 0.0, id="minus alone"),
        pytest.param("-.", 0, 0.0, id="minus and dot"),
        pytest.param("-5", -5, -5.0, id="negative"),
        pytest.param("-2.5", -3, -2.5, id="the floor of a negative"),
        pytest.param("-2.0", -2, -2.0, id="no fraction to round"),
        pytest.param("-0.5", -1, -0.5, id="negative fraction"),
        pytest.param("-.5", -1, -0.5, id="negative, dot first"),
        pytest.param("-7.", -7, -7.0, id="negative, dot last"),
        pytest.param("1.2.3", 0, 0.0, id="two dots"),
        pytest.param("1e3", 0, 0.0, id="exponent"),
        pytest.param("0x10", 0, 0.0, id="hexadecimal"),
        pytest.param("+7", 0, 0.0, id="plus"),
        pytest.param("--7", 0, 0.0, id="two minus"),
        pytest.param(" 7", 0, 0.0, id="blank before"),
        pytest.param("7 ", 0, 0.0, id="blank after"),
        pytest.param("7\n", 0, 0.0, id="newline after"),
        pytest.param("- 7", 0, 0.0, id="blank between"),
        pytest.param("1_000", 0, 0.0, id="what Python reads as a thousand"),
        pytest.param("1,000", 0, 0.0, id="comma"),
        pytest.param("\xb2", 0, 0.0, id="superscript, a digit to isdigit"),
        pytest.param("1\xb9", 0, 0.0, id="superscript behind a digit"),
        pytest.param("\u0663", 0, 0.0, id="a digit of another script"),
        pytest.param("12x", 0, 0.0, id="letter behind"),
        pytest.param("nan", 0, 0.0, id="nan"),
        pytest.param("inf", 0, 0.0, id="inf"),
        pytest.param("2147483647", INT_MAX, 2147483647.0, id="largest"),
        pytest.param("2147483647.9", INT_MAX, 2147483647.9, id="largest and a fraction"),
        pytest.param("-2147483648", INT_MIN, -2147483648.0, id="smallest"),
    ],
)
def test_conversion(text: str, integer: int, floating: float) -> None:
    assert to_integer(text) == integer
    assert to_float(text) == floating


@pytest.mark.parametrize("text", ["2147483648", "-2147483649", "-2147483648.1", "99999999999", "9" * 5000, "-" + "9" * 5000])
def test_a_number_beyond_32_bits_is_a_run_time_error(text: str) -> None:
    with pytest.raises(RuntimeFault) as caught:
        to_integer(text)
    assert caught.value.reason == "an integer does not fit 32 bits"


def test_a_number_beyond_doubles_is_a_run_time_error() -> None:
    with pytest.raises(RuntimeFault) as caught:
        to_float("9" * 400)
    assert caught.value.reason == "a number does not fit a double"


@pytest.mark.parametrize(
    "left, right, quotient, rest",
    [
        (7, 2, 3, 1),
        (-7, 2, -3, -1),
        (7, -2, -3, 1),
        (-7, -2, 3, -1),
        (0, -5, 0, 0),
        (-6, 3, -2, 0),
        (INT_MIN, 1, INT_MIN, 0),
        (1, INT_MIN, 0, 1),
    ],
)
def test_division_truncates_and_the_rest_has_the_sign_of_the_dividend(left: int, right: int, quotient: int, rest: int) -> None:
    assert numbers.divide(left, right) == quotient
    assert numbers.modulo(left, right) == rest


@pytest.mark.parametrize(
    "base, exponent, want",
    [
        (2, 10, 1024),
        (2, 30, 1 << 30),
        (-2, 31, INT_MIN),
        (-2, 3, -8),
        (0, 0, 1),
        (5, 0, 1),
        (-1, 0, 1),
        (0, 9, 0),
        (1, INT_MAX, 1),
        (-1, INT_MAX, -1),
        (-1, INT_MAX - 1, 1),
        (2, -1, 0),
        (1, -1, 0),
        (-1, -2, 0),
        (0, -1, 0),
    ],
)
def test_power(base: int, exponent: int, want: int) -> None:
    assert numbers.power(base, exponent) == want


@pytest.mark.parametrize(
    "operation, left, right",
    [
        (numbers.add, INT_MAX, 1),
        (numbers.subtract, INT_MIN, 1),
        (numbers.multiply, 1 << 16, 1 << 15),
        (numbers.divide, INT_MIN, -1),
        (numbers.modulo, INT_MIN, -1),
        (numbers.divide, 1, 0),
        (numbers.modulo, 1, 0),
        (numbers.power, 2, 31),
        (numbers.power, 2, INT_MAX),
        (numbers.power, INT_MIN, INT_MAX),
        (numbers.power, 46341, 2),
        (numbers.fadd, 1.7e308, 1.7e308),
        (numbers.fsubtract, -1.7e308, 1.7e308),
        (numbers.fmultiply, 1e200, 1e200),
        (numbers.fdivide, 1.0, 0.0),
        (numbers.fdivide, 0.0, -0.0),
        (numbers.fdivide, 1e300, 1e-300),
        (numbers.fpower, 10.0, 400.0),
        (numbers.fpower, 0.0, -1.0),
        (numbers.fpower, -8.0, 0.5),
    ],
)
def test_what_c_leaves_undefined_is_a_run_time_error(operation: Callable[[float, float], float], left: float, right: float) -> None:
    with pytest.raises(RuntimeFault) as caught:
        operation(left, right)
    assert caught.value.reason


def test_negation_and_literals_stay_within_32_bits() -> None:
    assert numbers.negate(INT_MAX) == -INT_MAX
    assert numbers.integer(INT_MAX) == INT_MAX
    with pytest.raises(RuntimeFault):
        numbers.negate(INT_MIN)
    with pytest.raises(RuntimeFault):
        numbers.integer(INT_MAX + 1)


def test_floats_are_doubles() -> None:
    assert numbers.fadd(0.1, 0.2) == 0.1 + 0.2
    assert numbers.fpower(2.25, 2.0) == 5.0625
    assert numbers.fpower(2.0, -2.0) == 0.25
    assert numbers.fpower(0.0, 0.0) == 1.0
    assert numbers.fdivide(1.0, -4.0) == -0.25
    assert numbers.fnegate(2.5) == -2.5


@given(INTEGERS, INTEGERS)
def test_integers_agree_with_c(left: int, right: int) -> None:
    """Where C's own int32_t does not wrap, the answer is C's; elsewhere it is an error."""
    for operation, exact in ((numbers.add, left + right), (numbers.subtract, left - right), (numbers.multiply, left * right)):
        if c_int32(exact).value == exact:
            assert operation(left, right) == exact
        else:
            with pytest.raises(RuntimeFault):
                operation(left, right)


@given(INTEGERS, INTEGERS.filter(bool))
def test_quotient_and_rest_make_the_dividend(left: int, right: int) -> None:
    if (left, right) != (INT_MIN, -1):
        quotient, rest = numbers.divide(left, right), numbers.modulo(left, right)
        assert quotient * right + rest == left
        assert abs(rest) < abs(right)
        assert rest == 0 or (rest < 0) == (left < 0)


@given(st.sampled_from([numbers.fadd, numbers.fsubtract, numbers.fmultiply, numbers.fdivide, numbers.fpower]), FLOATS, FLOATS)
def test_floats_stay_finite_and_real(operation: Callable[[float, float], float], left: float, right: float) -> None:
    try:
        value = operation(left, right)
    except RuntimeFault:
        return
    assert type(value) is float
    assert math.isfinite(value)


@given(st.text(st.sampled_from("0123456789.-") | st.characters(max_codepoint=255), max_size=14))
def test_any_text_converts_or_overflows(text: str) -> None:
    try:
        integer = to_integer(text)
    except RuntimeFault:
        return
    assert INT_MIN <= integer <= INT_MAX
    assert integer == math.floor(to_float(text))
