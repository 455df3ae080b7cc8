"""What holds at the ends of curves, before and past them, and between steps."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.schedules.numeric.exact import ULPS, between, lengths, magnitudes, ulps

from rheostat.schedules import numeric
from rheostat.schedules.numeric import Shape, ShapeName

SHAPES = get_args(ShapeName)
signed = st.one_of(magnitudes, magnitudes.map(lambda value: -value))


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=50, deadline=None)
@given(start=signed, end=signed, steps=lengths)
def test_ends_are_exact(shape: ShapeName, start: float, end: float, steps: int) -> None:
    """A curve is start at 0 and end from its last step on, bit for bit, by any way of asking."""
    for t in (range(steps + 7), range(steps - 5, steps + 7), np.array([0, steps, steps + 1] * 2)):
        if len(t) > 10**6:
            continue
        values = numeric.shaped(t, start, end, steps, Shape(shape, power=0.7))
        past = np.asarray(t) >= steps
        assert set(values[past].tolist()) == {end}
        assert set(values[np.asarray(t) <= 0].tolist()) <= {start}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_curve_runs_one_way(shape: ShapeName) -> None:
    """Values fall from step to step by what the shape says, without a step back across cells."""
    values = numeric.shaped(range(100_001), 1.0, 0.25, 100_000, Shape(shape, power=1.5))
    back = np.diff(values).max()
    assert back <= 2 * math.ulp(1.0)
    assert (values.min(), values.max()) == (0.25, 1.0)


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=30, deadline=None)
@given(place=st.integers(0, 2**30).map(lambda n: n * 2.0**-20), steps=st.integers(1, 1000))
def test_a_place_between_steps_has_its_value(shape: ShapeName, place: float, steps: int) -> None:
    """A curve has values between steps as well, as exact as a sum of its parts can be."""
    form = Shape(shape, power=0.7)
    n, d = place.as_integer_ratio()
    exact = between(1.0, 0.5, form, n, d * steps)
    assert ulps(numeric.shaped(place, 1.0, 0.5, steps, form), exact) <= ULPS


def test_a_flat_curve_keeps_between_its_ends() -> None:
    """Ends that are neighbouring floats leave no room for rounding to pass them."""
    start, end = 0.1, math.nextafter(0.1, 1)
    values = numeric.cosine(range(50_001), start, end, 50_000)
    assert set(values.tolist()) == {start, end}


def test_a_subnormal_curve_keeps_between_its_ends() -> None:
    """Among subnormal numbers, where a step of rounding is large, no value passes an end."""
    steps, start, square = 486548103, 5.451e-320, Shape("power", power=2.0)
    places = range(14520, 14540)
    shuffled = np.array(places)[::-1]
    run = numeric.shaped(places, start, 0.0, steps, square)
    assert max(run) <= start
    assert numeric.shaped(shuffled, start, 0.0, steps, square)[::-1].tolist() == run.tolist()
    assert [numeric.shaped(t, start, 0.0, steps, square) for t in places] == run.tolist()


@pytest.mark.parametrize(
    ("factor", "values"), [(0.0, [2.0, 0.0, 0.0]), (1.0, [2.0, 2.0, 2.0]), (0.5, [2.0, 1.0, 0.5])]
)
def test_an_exponential_with_a_plain_factor(factor: float, values: list[float]) -> None:
    """A factor of 0 leaves the start alone, of 1 changes nothing, and of a half is exact."""
    assert numeric.exponential(range(3), 2.0, factor).tolist() == values
    assert [numeric.exponential(t, 2.0, factor) for t in range(3)] == values


def test_an_exponential_ends_in_zero_or_out_of_range() -> None:
    """What is smaller than every float is 0, what is larger is infinite, and nothing is NaN."""
    steps = [0, 10**3, 10**6, 10**15]
    fallen = numeric.exponential(np.array(steps * 2), 1e-3, 0.9)
    grown = numeric.exponential(np.array(steps * 2), -1e-3, 1.1)
    assert fallen[2:4].tolist() == [0.0, 0.0]
    assert grown[2:4].tolist() == [-math.inf, -math.inf]
    assert not np.isnan(grown).any()


def test_zero_has_no_sign() -> None:
    """Parameters that are equal give equal bits, so that a zero of either sign is plain zero."""
    values = [numeric.linear(t, -0.0, 1.0, 10) for t in range(3)]
    assert math.copysign(1, values[0]) == 1
    assert math.copysign(1, numeric.linear(10, 1.0, -0.0, 10)) == 1


def test_nothing_gives_nothing() -> None:
    """An empty range and an empty array give empty arrays."""
    assert numeric.cosine(range(0), 1.0, 0.0, 10).shape == (0,)
    assert numeric.cosine(np.array([], dtype=np.int64), 1.0, 0.0, 10).shape == (0,)
