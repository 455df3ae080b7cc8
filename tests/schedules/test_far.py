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
