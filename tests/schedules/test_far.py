"""Waves that began very long ago."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.schedules import reference

from rheostat.schedules import evaluate, parse

Json = dict[str, Any]

COSINE = {"kind": "cosine", "start": 0.1, "end": 0.001, "steps": 1000, "periodic": True}
TWO = {"kind": "constant", "value": 2.0}
RESTARTS = {"kind": "cosine_restarts", "start": 0.1, "end": 0.01}
LINE = {"kind": "linear", "start": 0.1, "end": 0.2, "steps": 1000}
CYCLIC = {"kind": "cyclic", "low": 0.1, "high": 0.2, "up": 300, "down": 700}


def stretch(ratio: float, of: Json) -> Json:
    return {"kind": "stretch", "ratio": ratio, "of": of}


WAVES: list[tuple[Json, Fraction]] = [
    (stretch(1.5, COSINE), 2000 * Fraction(1.5)),
    (stretch(0.1, COSINE), 2000 * Fraction(0.1)),
    (stretch(1 / 3, stretch(7.7, COSINE)), 2000 * Fraction(1 / 3) * Fraction(7.7)),
    (stretch(1.1, CYCLIC), 1000 * Fraction(1.1)),
    (stretch(2.7, {"kind": "scale", "factor": 3.0, "of": CYCLIC}), 1000 * Fraction(2.7)),
    (stretch(1.7, {"kind": "product", "of": [COSINE, TWO]}), 2000 * Fraction(1.7)),
    ({"kind": "repeat", "every": 1000.1, "of": LINE}, Fraction(1000.1)),
    ({**RESTARTS, "period": 1000.7}, Fraction(1000.7)),
    (stretch(0.7, {**RESTARTS, "period": 999.7}), Fraction(0.7) * Fraction(999.7)),
]
"""Waves, and their exact periods."""


@pytest.mark.parametrize(("wave", "period"), WAVES, ids=str)
@settings(deadline=None, max_examples=25)
@given(step=st.integers(0, 2**53 - 1) | st.integers(0, 10**13))
def test_a_wave_is_as_exact_far_out_as_at_its_beginning(
    wave: Json, period: Fraction, step: int
) -> None:
    """A period that is no whole number of steps is not rounded, however often it has passed."""
    passed = step % period
    assume(1e-9 < passed / period < 1 - 1e-9)  # where a saw tooth jumps
    right = float(reference.value(wave, passed))
    assert math.isclose(evaluate(wave, step), right, rel_tol=1e-10)


@pytest.mark.parametrize("wave", [wave for wave, _ in WAVES], ids=str)
def test_bounds_hold_far_out(wave: Json) -> None:
    """Bounds of a few steps hold for each of them, 10^12 steps after the beginning."""
    definition = parse(wave)
    for first in range(10**12, 10**12 + 3000, 97):
        bounds = definition.between(float(first), float(first + 50), {})
        values = definition.values(np.arange(first, first + 51))
        assert bounds.min <= values.min() <= values.max() <= bounds.max


def later(of: Json, steps: int = 100, begin: float = 0.0) -> Json:
    """Return a definition after a constant, from a place inside of its own curve."""
    first = {"schedule": TWO, "steps": steps}
    return {"kind": "sequence", "parts": [first, {"schedule": of, "from": begin}]}


def stairs(every: float, of: Json) -> Json:
    return {"kind": "staircase", "every": every, "of": of}


SHORT = {**COSINE, "steps": 500}
UNEVEN = {"kind": "sum", "of": [SHORT, {**COSINE, "steps": 700}]}
LATE: list[Json] = [
    stretch(1.5, {"kind": "warmup", "steps": 100, "then": COSINE}),
    stretch(1 / 3, later(stretch(7.7, COSINE), begin=0.3)),
    stretch(1.1, {"kind": "sum", "of": [COSINE, {**LINE, "steps": 5000}]}),
    stretch(1.5, UNEVEN),
    stretch(0.7, later(UNEVEN)),
    stretch(1.3, stairs(10, later(COSINE))),
    stretch(1.5, {"kind": "minimum", "of": [COSINE, {**CYCLIC, "high": 0.15}]}),
    later(COSINE, begin=0.3),
    later(stretch(0.1, CYCLIC), steps=77, begin=12.7),
    stairs(0.3, COSINE),
    stairs(1.7, later(stretch(1.5, COSINE))),
    {"kind": "power", "exponent": -1, "of": stretch(1.5, later(COSINE))},
]
"""Waves that begin late, between two steps, in stairs, or of two periods."""


@pytest.mark.parametrize("wave", LATE, ids=str)
@settings(deadline=None, max_examples=40)
@given(step=st.integers(0, 10**15) | st.integers(0, 10**12))
def test_a_wave_that_begins_late_is_exact_far_out(wave: Json, step: int) -> None:
    """Places are looked up with what their rounding leaves over, through all that changes time."""
    right = float(reference.value(wave, step))
    beside = [float(reference.value(wave, step + Fraction(by, 10**7))) for by in (-1, 1)]
    assume(max(abs(right - other) for other in beside) < 1e-6)  # where it jumps
    assert math.isclose(evaluate(wave, step), right, rel_tol=1e-10)


@pytest.mark.parametrize("wave", LATE, ids=str)
@pytest.mark.parametrize("far", [10**7, 10**12, 10**15])
def test_bounds_hold_for_waves_that_begin_late(wave: Json, far: int) -> None:
    """Bounds of a few steps far out hold for each of them, and the bits are those of each alone."""
    definition = parse(wave)
    for first in range(far, far + 3000, 97):
        bounds = definition.between(float(first), float(first + 50), {})
        values = definition.values(np.arange(first, first + 51))
        assert bounds.min <= values.min() <= values.max() <= bounds.max
        assert evaluate(definition, first + 9) == values[9]
