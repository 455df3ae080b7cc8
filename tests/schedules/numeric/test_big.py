"""Numbers of 200 bits, from which all curves are built."""

from __future__ import annotations

import math

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mpf

from rheostat.schedules.numeric.big import BITS, PI, Big, cos_sin, exp, ln

ACCURATE = mpf(2) ** -170
numbers = st.floats(allow_nan=False, allow_infinity=False)
nonzero = numbers.filter(bool)


def exact(x: Big) -> mpf:
    return mpf(x.mantissa) * mpf(2) ** x.exponent


def near(x: Big, value: mpf) -> bool:
    return bool(abs(exact(x) - value) <= ACCURATE * abs(value))


@given(value=numbers)
def test_a_float_goes_there_and_back(value: float) -> None:
    """Every float64 is a Big, and comes back as it was."""
    assert float(Big.of(value)) == value


@given(a=numbers, b=nonzero)
def test_arithmetic_is_accurate(a: float, b: float) -> None:
    """Sums, differences, products and quotients are right to 2^−170."""
    with mpmath.workprec(5000):
        x, y = Big.of(a), Big.of(b)
        assert near(x + y, mpf(a) + mpf(b))
        assert near(x - y, mpf(a) - mpf(b))
        assert near(x * y, mpf(a) * mpf(b))
        assert near(x / y, mpf(a) / mpf(b))


@given(mantissa=st.integers(-(2**250), 2**250), exponent=st.integers(-1330, 900))
def test_rounding_is_correct(mantissa: int, exponent: int) -> None:
    """A Big becomes the nearest float64, in the subnormal and the infinite range too."""
    with mpmath.workprec(5000):
        assert float(Big(mantissa, exponent)) == float(mpf(mantissa) * mpf(2) ** exponent)


@given(x=st.floats(-800, 800))
def test_the_exponential_is_accurate(x: float) -> None:
    """e^x is right to 2^−170."""
    with mpmath.workprec(400):
        assert near(exp(int(mpf(x) * 2**BITS)), mpmath.exp(mpf(int(mpf(x) * 2**BITS)) / 2**BITS))


@given(x=st.one_of(st.floats(5e-324, 1e308), st.floats(0.999999, 1.000001)))
def test_the_logarithm_is_accurate(x: float) -> None:
    """The logarithm is right to 2^−170, not relative to it but as it stands."""
    with mpmath.workprec(400):
        assert abs(mpf(ln(Big.of(x))) / 2**BITS - mpmath.log(mpf(x))) <= ACCURATE


@given(d=st.integers(1, 2**53), part=st.floats(0, 1))
def test_cosine_and_sine_are_accurate(d: int, part: float) -> None:
    """Cosine and sine of a part of π are right to 2^−170."""
    n = math.floor(part * d)
    with mpmath.workprec(400):
        angle = mpmath.pi * n / d
        for got, wanted in zip(cos_sin(n, d), (mpmath.cos(angle), mpmath.sin(angle)), strict=True):
            assert abs(exact(got) - wanted) <= ACCURATE
        assert near(PI, mpmath.pi)


@pytest.mark.parametrize("aside", [-(2.0**-50), 0.0, 2.0**-50])
def test_functions_are_accurate_where_a_series_starts(aside: float) -> None:
    """At multiples of 2^−8 and right beside them, where tables change, all is right to 2^−170."""
    with mpmath.workprec(400):
        for x in (k / 256 + aside for k in range(1, 257)):
            assert near(exp(int(mpf(x) * 2**BITS)), mpmath.exp(x))
            assert abs(mpf(ln(Big.of(x))) / 2**BITS - mpmath.log(x)) <= ACCURATE
            n, d = math.floor(x / math.pi * 2**53), 2**53
            angle = mpmath.pi * n / d
            for got, wanted in zip(
                cos_sin(n, d), (mpmath.cos(angle), mpmath.sin(angle)), strict=True
            ):
                assert abs(exact(got) - wanted) <= ACCURATE


def test_what_cancels_is_zero() -> None:
    """A sum of which only rounding is left is zero; one that is merely small is not."""
    third = Big(1) / Big(3)
    assert (third + third + third).plus(Big(-1)).mantissa == 0
    assert Big(1).plus(Big(-1) + Big(1, -100)).mantissa != 0
