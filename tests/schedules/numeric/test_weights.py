"""Weights along shapes, mixing, and powers of arrays."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mpf
from tests.schedules.numeric.exact import ULPS, fall, lengths, shapes, steps_of, ulps

from rheostat.schedules import numeric
from rheostat.schedules.numeric import Shape, ShapeName

values = st.one_of(st.floats(1e-9, 1e9), st.floats(0.999, 1.001), st.sampled_from([1.0, 5e-324]))


@pytest.mark.parametrize("name", get_args(ShapeName))
@settings(max_examples=60, deadline=None)
@given(data=st.data(), d=lengths)
def test_both_weights_are_accurate(name: ShapeName, data: st.DataObject, d: int) -> None:
    """A weight and what it lacks to 1 are both exact within 4 ulp, however small one is."""
    shape = data.draw(shapes(name))
    places = data.draw(steps_of(d))
    falling, rising = numeric.weight(shape, np.array(places), d)
    for n, w, v in zip(places, falling.tolist(), rising.tolist(), strict=True):
        exact_w, exact_v = fall(shape, n, d)
        assert ulps(w, exact_w, 1.0) <= ULPS
        assert ulps(v, exact_v, 1.0) <= ULPS


def test_weights_of_many_lengths_are_those_of_each() -> None:
    """An array of lengths gives each place the weights of its own length, but for rounding n/d."""
    n, d = np.array([1, 5, 70, 999]), np.array([3, 100, 71, 10**6])
    for name in get_args(ShapeName):
        shape = Shape(name, power=1.5)
        pairs = [numeric.weight(shape, n[i : i + 1], d[i].item()) for i in range(4)]
        for got, wanted in zip(numeric.weight(shape, n, d), zip(*pairs, strict=True), strict=True):
            assert got == pytest.approx(np.concatenate(wanted), rel=1e-14)


def test_weights_end_in_zero_and_one() -> None:
    """The pair is (1, 0) at the start and (0, 1) at the end and past it, for each length."""
    for name in get_args(ShapeName):
        pair = numeric.weight(Shape(name, power=1.5), np.array([0, 3, 9]), np.array([3, 3, 8]))
        assert [w.tolist() for w in pair] == [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]


def test_a_mix_keeps_between_its_ends() -> None:
    """What is mixed of two values is never outside of them, whatever rounding does."""
    w, v = numeric.weight(Shape("cosine"), np.arange(1001), 1000)
    mixed = numeric.mix(0.1, math.nextafter(0.1, 1), w, v)
    assert set(mixed.tolist()) == {0.1, math.nextafter(0.1, 1)}


@settings(max_examples=200, deadline=None)
@given(value=values, exponent=st.one_of(st.floats(-8, 8), st.sampled_from([0.5, 2.0, -1.0])))
def test_a_power_is_exact(value: float, exponent: float) -> None:
    """The power of a value is exact within 4 ulp."""
    power = numeric.power(np.array([value]), exponent).item()
    exact = mpf(value) ** mpf(exponent)
    assert power == float(exact) if exact > 1e308 else ulps(power, exact) <= ULPS


def test_powers_of_zero() -> None:
    """0 to a power is 0, 1 or infinite, as the exponent's sign says."""
    zero = np.zeros(1)
    assert [numeric.power(zero, p).item() for p in (2.0, 0.0, -1.0)] == [0.0, 1.0, math.inf]


@settings(max_examples=100, deadline=None)
@given(
    start=st.floats(1e-150, 1e150),
    end=st.floats(1e-150, 1e150),
    steps=st.integers(1, 10**12),
    part=st.floats(0, 1),
)
def test_geometric_curves_of_many_ends(start: float, end: float, steps: int, part: float) -> None:
    """start^(1 − y)·end^y of arrays of ends and lengths is exact within 4 ulp, and at the ends."""
    n = math.floor(part * steps)
    starts, stops, lengths = (np.full(3, number) for number in (start, end, float(steps)))
    values = numeric.geometric(np.array([0, n, steps]), starts, stops, lengths)
    first, inside, last = values.tolist()
    assert (first, last) == (start, end)
    assert ulps(inside, mpf(start) * (mpf(end) / mpf(start)) ** (mpf(n) / steps)) <= ULPS


def test_a_geometric_curve_across_all_of_float64() -> None:
    """Ends whose quotient is no float are no trouble."""
    t, start, end = np.array([1, 2, 3]), np.full(3, -5e-324), np.full(3, -1e308)
    values = numeric.geometric(t, start, end, np.full(3, 4))
    exact = [-(mpf(5e-324) ** (1 - mpf(n) / 4)) * mpf(1e308) ** (mpf(n) / 4) for n in (1, 2, 3)]
    assert values == pytest.approx([float(value) for value in exact], rel=1e-14)
