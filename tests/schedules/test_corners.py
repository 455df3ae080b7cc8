"""Corners: where a curve may break or turn, told without looking at values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rheostat.schedules import KINDS, parse

UNTOLD = {kind for kind, cls in KINDS.items() if cls.pointwise or cls.follower}
"""Kinds whose extremes depend on values, or on another parameter's."""
LAST = 100_000

TRIANGLE: dict[str, Any] = {"kind": "piecewise", "points": [[0, 0], [37, 1], [100, 0]]}
NESTED: list[dict[str, Any]] = [
    {"kind": "repeat", "every": 100, "of": TRIANGLE, "period_factor": 1.5, "peak_factor": 2},
    {"kind": "repeat", "every": 1000, "of": TRIANGLE, "period_factor": 0.9, "cycles": 40},
    {"kind": "repeat", "every": 100, "of": TRIANGLE, "period_factor": 1.01, "peak_factor": 0.99},
    {"kind": "scale", "factor": -1, "of": KINDS["one_cycle"].about.example},
    {"kind": "stretch", "ratio": 7.3, "of": {"kind": "table", "values": [0, 5, 1, -5, 0]}},
    {"kind": "repeat", "every": 777.5, "of": KINDS["warmup"].about.example, "peak_factor": 0.5},
    {"kind": "staircase", "every": 64, "of": KINDS["cyclic"].about.example},
    {"kind": "cosine", "start": 1, "end": 0, "steps": 321, "periodic": True},
    {"kind": "polynomial", "start": 1, "end": 0, "steps": 50, "cycle": True},
    {
        "kind": "sequence",
        "parts": [
            {
                "schedule": {"kind": "multistep", "start": 1, "milestones": [9, 50], "factor": 2},
                "steps": 60,
            },
            {
                "schedule": {"kind": "piecewise", "points": [[0, 0], [4.5, 9], [5.5, -9], [20, 0]]},
                "from": 2,
            },
        ],
    },
]


@pytest.mark.parametrize(
    "data",
    [*(cls.about.example for kind, cls in KINDS.items() if kind not in UNTOLD), *NESTED],
    ids=lambda data: data["kind"],
)
@pytest.mark.parametrize(("start", "stop"), [(0, LAST), (130, 2990)])
def test_extremes_lie_at_ends_and_corners(data: dict[str, Any], start: int, stop: int) -> None:
    """The least and greatest of all values are at corners, beside them, or at the ends."""
    definition = parse(data)
    values = definition.values(np.arange(start, stop + 1))
    corners = definition.corners(start, stop, LAST)
    assert ((corners >= start) & (corners <= stop)).all()
    steps = np.unique(np.floor(corners)[:, None] + [-1, 0, 1]).clip(start, stop).astype(np.int64)
    seen = definition.values(np.append(steps, [start, stop]))
    assert (seen.min(), seen.max()) == (values.min(), values.max())


def test_of_many_given_values_those_that_stick_out_are_corners() -> None:
    """Among 50 corners of 10,000 values, or points, are the least and the greatest."""
    values = [1.0] * 10_000
    values[1234], values[8765] = 5.0, -5.0
    table = {"kind": "table", "values": values}
    points = {"kind": "piecewise", "points": [[step, value] for step, value in enumerate(values)]}
    for data in (table, points):
        corners = parse(data).corners(0, LAST, 50)
        assert len(corners) <= 50
        assert {1234, 8765} <= {*corners.tolist()}


@pytest.mark.parametrize("most", [4, 50])
def test_corners_are_few_however_long_the_curve(most: int) -> None:
    """P10: of a million table values, points, milestones or cycles only some are told."""
    rows = [[step, (step * 7919) % 1001] for step in range(10_000)]
    nested = TRIANGLE
    for level in range(13):
        nested = {"kind": "repeat", "every": 100 * 2**level, "of": nested}
    for data in (
        nested,
        {"kind": "table", "values": [float(value) for _, value in rows]},
        {"kind": "piecewise", "points": rows},
        {"kind": "multistep", "start": 1, "milestones": [*range(10_000)], "factor": 1},
        {"kind": "cyclic", "low": 0, "high": 1, "up": 1, "down": 2},
        {"kind": "cosine", "start": 1, "end": 0, "steps": 1, "periodic": True},
    ):
        assert 0 < len(parse(data).corners(0, 2.0**53, most)) <= 2 * most + 2
