"""Curves are within 4 units in the last place of what mathematics says, wherever one looks."""

from __future__ import annotations

import math
from typing import get_args

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mpmath import mpf
from tests.schedules.numeric.exact import (
    MOST,
    ULPS,
    Case,
    between,
    cases,
    crossings,
    lengths,
    magnitudes,
    powers,
    steps_of,
    ulps,
)

from rheostat.schedules import numeric
from rheostat.schedules.numeric import Shape, ShapeName

SHAPES = get_args(ShapeName)
steps_anywhere = st.one_of(
    st.integers(0, 1000), st.integers(0, MOST), st.floats(0, 15).map(lambda x: int(10**x))
)


def check(case: Case) -> None:
    for t in case.places:
        value = case.value(t)
        assert ulps(value, case.exact(t), case.scale) <= ULPS
        assert min(case.start, case.end) <= value <= max(case.start, case.end)


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_curve_is_exact(shape: str, data: st.DataObject) -> None:
    """A curve between ends of one sign is exact within 4 ulp, and never outside of its ends."""
    check(data.draw(cases(shape)))


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_curve_is_exact_where_it_changes_its_sign(shape: str, data: st.DataObject) -> None:
    """A curve that goes through zero is exact within 4 ulp beside it, where a sum cancels."""
    check(data.draw(crossings(shape)))


STEEP = Shape("polynomial", power=4.4)


@pytest.mark.parametrize(
    "case",
    [
        Case(6.040492300755095, -4.2694658151214166e-05, 1702278533, STEEP, []),
        Case(3.215993335322867e-05, -0.0016601597072105566, 686, Shape("cosine"), []),
    ],
)
def test_a_curve_is_exact_right_beside_zero(case: Case) -> None:
    """The steps next to a change of sign, where most cancels, are exact within 4 ulp too."""
    zero = case.crossing()
    check(case._replace(places=list(range(zero - 2, zero + 4))))


@settings(max_examples=80, deadline=None)
@given(data=st.data(), start=magnitudes, end=magnitudes, steps=lengths)
def test_a_geometric_curve_is_exact(
    data: st.DataObject, start: float, end: float, steps: int
) -> None:
    """start^(1 − y)·end^y is exact within 4 ulp."""
    for t in data.draw(steps_of(steps)):
        exact = mpf(start) * (mpf(end) / mpf(start)) ** (mpf(t) / steps)
        assert ulps(numeric.geometric(t, start, end, steps), exact) <= ULPS


@settings(max_examples=80, deadline=None)
@given(data=st.data(), start=magnitudes, end=magnitudes, steps=st.integers(1, 10**14))
def test_a_periodic_wave_is_exact(
    data: st.DataObject, start: float, end: float, steps: int
) -> None:
    """A wave that goes on is exact within 4 ulp in later periods as well."""
    for place in data.draw(steps_of(steps)):
        t = place + 2 * steps * data.draw(st.integers(0, 4))
        value = numeric.cosine_periodic(t, start, end, steps)
        assert ulps(value, between(start, end, Shape("cosine"), place, steps)) <= ULPS


factors = st.one_of(
    st.sampled_from([0.96, 0.5, 0.9999, 1 - 1e-15, 1 - 2.0**-53, 1 + 2.0**-52, 5e-324]),
    st.floats(1e-12, 2),
    st.floats(-15, -1).map(lambda x: 1 - 10.0**x),
)
durations = st.one_of(
    st.integers(1, 10**6), st.floats(1e-3, 1e12), st.sampled_from([0.3, 2.5, 1e15])
)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), start=magnitudes, factor=factors, every=durations)
def test_an_exponential_is_exact(
    data: st.DataObject, start: float, factor: float, every: float
) -> None:
    """start·factor^(t/every) is exact within 4 ulp, up to where it is subnormal, and then 0."""
    assume(factor != 1)
    folds = abs(mpmath.log(mpf(factor)))
    reach = min(int(800 * every / folds) + 1, MOST)
    for t in data.draw(steps_of(reach)):
        exact = mpf(start) * mpf(factor) ** (mpf(t) / mpf(every))
        assume(exact < 1e307)
        assert ulps(numeric.exponential(t, start, factor, every), exact) <= ULPS


@settings(max_examples=80, deadline=None)
@given(t=steps_anywhere, start=magnitudes, timescale=st.floats(1e-3, 1e12), power=powers)
def test_an_inverse_power_is_exact(t: int, start: float, timescale: float, power: float) -> None:
    """start·(timescale/(timescale + t))^power is exact within 4 ulp."""
    exact = mpf(start) * (mpf(timescale) / (mpf(timescale) + t)) ** mpf(power)
    assert ulps(numeric.inverse_power(t, start, timescale, power), exact) <= ULPS


@settings(max_examples=80, deadline=None)
@given(t=steps_anywhere, start=magnitudes, rate=st.floats(0, 1e300), every=durations)
def test_an_inverse_time_is_exact(t: int, start: float, rate: float, every: float) -> None:
    """start/(1 + rate·t/every) is exact within 4 ulp, however steep."""
    exact = mpf(start) / (1 + mpf(rate) * t / mpf(every))
    assert ulps(numeric.inverse_time(t, start, rate, every), exact) <= ULPS


@pytest.mark.parametrize(
    ("start", "end", "steps", "zero"),
    [(1.0, -1.0, 1000, 500), (1.0, -3.0, 3 * 10**14, 10**14), (-3.0, 1.0, 300, 200)],
)
def test_a_wave_is_zero_where_it_is_zero(start: float, end: float, steps: int, zero: int) -> None:
    """At a half and at thirds, where its weights are fractions, a wave that is zero is plain 0."""
    value = numeric.cosine(zero, start, end, steps)
    assert (value, math.copysign(1, value)) == (0.0, 1.0)


def test_a_power_is_zero_where_it_is_zero() -> None:
    """A parabola through zero at a ninth of its height is exactly 0 there."""
    assert numeric.polynomial(2 * 10**10, 8.0, -1.0, 3 * 10**10, 2) == 0.0


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("end", [0.0, -1.7e308])
@pytest.mark.parametrize("ratio", [0.1, 1 - 2.0**-53])
def test_values_of_all_sizes_are_exact(shape: ShapeName, end: float, ratio: float) -> None:
    """Ends at the limit of float64, and too far apart for their difference to be a float."""
    case = Case(1.7e308, end, 100, Shape(shape, power=0.9, ratio=ratio), [*range(0, 101, 7)])
    check(case)
    values = numeric.shaped(np.array(case.places), *case[:4])
    assert values.tolist() == [case.value(t) for t in case.places]
