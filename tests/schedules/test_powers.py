"""Powers, also large ones: how exact they are, and what of that is the definition's inside."""

from __future__ import annotations

from math import ulp
from typing import Any

import mpmath
import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mpmath import mpf

from rheostat.schedules import evaluate, parse

EXPONENTS = st.floats(-1000, 1000) | st.integers(-1000, 1000).map(float) | st.floats(-3, 3)


def off(value: float, right: Any) -> float:
    """Return how many units in the last place a value is off."""
    return abs(float((mpf(value) - right) / ulp(float(right))))


@settings(deadline=None, max_examples=500)
@given(st.floats(1e-6, 1e3), EXPONENTS)
def test_a_power_of_an_exact_value_is_within_4_ulp(value: float, exponent: float) -> None:
    """Exponents up to 1,000, and down to −1,000, lose nothing; of `power` and `follow` alike."""
    with mpmath.workdps(60):
        right = mpf(value) ** mpf(exponent)
        assume(1e-300 < right < 1e300)
        raised = {"kind": "power", "exponent": exponent, "of": {"kind": "constant", "value": value}}
        assert off(evaluate(raised, 0), right) <= 4
        follow = parse({"kind": "follow", "parameter": "lr", "power": exponent})
        steps = np.arange(3)
        followed = follow.values(steps, {"lr": np.array([1.0, value, 2.0])})
        assert off(followed[1], right) <= 4


@settings(deadline=None, max_examples=500)
@given(st.integers(1, 1000), EXPONENTS, st.sampled_from(["linear", "cosine"]))
def test_a_power_is_off_by_its_exponent_times_what_its_inside_is(
    step: int, exponent: float, kind: str
) -> None:
    """Where the inside is rounded, a power has up to its exponent times as many ulp, and 4 more."""
    inner = {"kind": kind, "start": 1.5, "end": 0.4, "steps": 1000}
    rounded = evaluate(inner, step)
    with mpmath.workdps(60):
        y = mpf(step) / 1000
        share = y if kind == "linear" else (1 - mpmath.cos(mpmath.pi * y)) / 2
        exact = mpf(1.5) + (mpf(0.4) - mpf(1.5)) * share
        right = exact ** mpf(exponent)
        assume(abs(exponent) < 700)  # of both ends, values are finite
        allowed = 4 + 2 * abs(exponent) * max(off(rounded, exact), 0.5)
        value = evaluate({"kind": "power", "exponent": exponent, "of": inner}, step)
        assert off(value, right) <= allowed


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 1000), st.floats(1e-3, 1000) | st.integers(1, 1000).map(float))
def test_a_polynomial_of_a_large_power_is_within_4_ulp(step: int, power: float) -> None:
    """A polynomial is exact however large its power; in teeth it is as a power of a line."""
    curve = {"kind": "polynomial", "start": 0.7, "end": 0, "steps": 1000, "power": power}
    with mpmath.workdps(60):
        right = mpf(0.7) * (1 - mpf(step) / 1000) ** mpf(power)
        assume(right == 0 or right > 1e-300)
        for more, allowed in (({}, 4.0), ({"cycle": True}, 4 + power)):
            value = evaluate({**curve, **more}, step)
            assert value == right or off(value, right) <= allowed
