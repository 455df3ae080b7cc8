"""Bounds by interval arithmetic: they hold in every window, and are exact where they can be."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.schedules import strategies

from rheostat.errors import Invalid
from rheostat.schedules import Bounds, evaluate, parse

Json = dict[str, Any]

COSINE = {"kind": "cosine", "start": 0.1, "end": 0.001, "steps": 50}
HALF = {"kind": "constant", "value": 0.05}
GROWTH = {"kind": "exponential", "start": 1e-8, "factor": 2.0, "every": 10}


@settings(deadline=None, max_examples=100)
@given(strategies.definitions, st.integers(0, 300), st.integers(0, 200), st.data())
def test_windows(raw: Json, start: int, length: int, data: st.DataObject) -> None:
    """Bounds of a stretch of a definition hold for every step in it, both ends included."""
    definition = parse(raw)
    steps = data.draw(st.lists(st.integers(start, start + length), min_size=1, max_size=20))
    values = definition.values(np.array([start, *steps, start + length]))
    with np.errstate(over="ignore"):
        low, high = definition.between(float(start), float(start + length), {})
    assert low <= values.min()
    assert values.max() <= high


@pytest.mark.parametrize(
    ("definition", "low", "high"),
    [
        (COSINE, 0.001, 0.1),
        ({**COSINE, "periodic": True}, 0.001, 0.1),
        ({"kind": "exponential", "start": 0.1, "factor": 0.9}, 0.0, 0.1),
        ({"kind": "exponential", "start": 0.1, "factor": 0.9, "floor": 0.01}, 0.01, 0.1),
        ({"kind": "clip", "of": GROWTH, "min": 0.1, "max": 0.3}, 0.1, 0.3),
        ({"kind": "scale", "of": COSINE, "factor": -2}, -0.2, -0.002),
        ({"kind": "quantize", "of": COSINE, "multiple": 0.0625, "rounding": "ceil"}, 0.0625, 0.125),
        ({"kind": "wsd", "peak": 3e-4, "warmup": 10, "stable": 5, "decay": 5}, 0.0, 3e-4),
        ({"kind": "warmup", "steps": 10, "then": COSINE}, 0.0, 0.1),
        ({"kind": "repeat", "of": COSINE, "every": 50}, 0.001, 0.1),
        ({"kind": "table", "values": [3, -1, 2]}, -1, 3),
        ({"kind": "minimum", "of": [COSINE, HALF]}, 0.001, 0.05),
        (
            {"kind": "maximum", "of": [COSINE, {"kind": "scale", "factor": 0.5, "of": COSINE}]},
            1e-3,
            0.1,
        ),
        ({"kind": "power", "exponent": -1, "of": {**COSINE, "end": 0.0625, "start": 0.5}}, 2, 16),
        ({"kind": "power", "exponent": 0, "of": GROWTH}, 1, 1),
    ],
)
def test_exact_bounds(definition: Json, low: float, high: float) -> None:
    """Bounds are the least and greatest value themselves where these are known exactly."""
    assert tuple(parse(definition).bounds()) == (low, high)


def test_growth_may_end() -> None:
    """What grows without end is accepted where a sequence uses it for so many steps only."""
    parts = [{"schedule": GROWTH, "steps": 300}, {"schedule": COSINE}]
    definition = parse({"kind": "sequence", "parts": parts})
    assert definition.bounds().max == pytest.approx(1e-8 * 2**30, rel=1e-12)


STEEP = {"kind": "exponential", "start": 1.0, "factor": 1e200}
FALLING = {**STEEP, "start": -1.0}
CROSSING = {"kind": "linear", "start": -1.0, "end": 1.0, "steps": 10}


@pytest.mark.parametrize(
    "inner",
    [
        {"kind": "sum", "of": [STEEP, FALLING]},
        {"kind": "product", "of": [CROSSING, STEEP]},
        {"kind": "power", "of": {"kind": "scale", "factor": 0, "of": STEEP}, "exponent": 2},
        {"kind": "maximum", "of": [STEEP, {"kind": "sum", "of": [STEEP, FALLING]}]},
    ],
)
def test_infinities_that_cancel_are_refused(inner: Json) -> None:
    """P10: no clip hides that some step has no value: ∞ − ∞ and 0 · ∞ are found beforehand."""
    with pytest.raises(Invalid):
        parse({"kind": "clip", "min": -5, "max": 5, "of": inner})


def test_infinities_that_are_clipped_are_values() -> None:
    """What grows past float64 is the limit of its clip from there on, powers of it too."""
    squared = parse({"kind": "clip", "max": 5, "of": {"kind": "power", "exponent": 2, "of": STEEP}})
    assert evaluate(squared, range(4)).tolist() == [1, 5, 5, 5]
    lower = parse({"kind": "minimum", "of": [STEEP, {"kind": "constant", "value": 5}]})
    assert evaluate(lower, range(4)).tolist() == [1, 5, 5, 5]
    inverse = parse({"kind": "power", "exponent": -1, "of": STEEP})
    assert evaluate(inverse, range(4)).tolist() == [1, 1e-200, 0, 0]


def test_bounds_of_what_follows() -> None:
    """What follows a parameter is bounded by that one's bounds, and by nothing without them."""
    squared = parse({"kind": "follow", "parameter": "lr", "power": 2, "scale": -3, "offset": 1})
    assert squared.bounds({"lr": Bounds(-2.0, 1.0)}) == pytest.approx((-11.0, 1.0), rel=1e-14)
    assert tuple(squared.bounds()) == (-inf, 1.0)
    rooted = parse({"kind": "follow", "parameter": "lr", "power": 0.5})
    assert rooted.bounds({"lr": Bounds(4.0, 9.0)}) == pytest.approx((2.0, 3.0))
    assert not rooted.bounds({"lr": Bounds(-1.0, 9.0)}).finite
    inverse = parse({"kind": "follow", "parameter": "lr", "power": -1, "scale": 3})
    assert tuple(inverse.bounds({"lr": Bounds(0.5, 4.0)})) == (0.75, 6.0)
    assert tuple(inverse.bounds({"lr": Bounds(-4.0, -0.5)})) == (-6.0, -0.75)
    for reaching_zero in (Bounds(0.0, 1.0), Bounds(-1.0, 0.0), Bounds(-1.0, 1.0)):
        assert not inverse.bounds({"lr": reaching_zero}).finite
