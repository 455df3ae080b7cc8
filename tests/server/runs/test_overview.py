"""Overviews: few points that show what all of them would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rheostat.limits import MAX_STEP
from rheostat.schedules import parse
from rheostat.server.runs.grid import Grid
from rheostat.server.runs.overview import LOOKED_AT, Span, overview, restricted
from rheostat.server.runs.timeline import Piece, Timeline, Timelines

FALLING = {"kind": "linear", "start": 1, "end": 0, "steps": 5 * 10**12}


def timelines(**pieces: list[tuple[int, dict[str, Any]]]) -> Timelines:
    """Return timelines; each piece counts from its own start."""
    return Timelines(
        {
            name: Timeline(tuple(Piece(start, start, parse(data), 1) for start, data in each))
            for name, each in pieces.items()
        }
    )


def constant(value: float) -> dict[str, Any]:
    return {"kind": "constant", "value": value}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 9), st.booleans(), st.integers(0, 2)), min_size=1))
def test_all_cells_have_the_values_of_what_is_in_force(
    spans: list[tuple[int, bool, int]],
) -> None:
    """Where everything fits, each cell is as its span's timelines say, whoever follows whom."""
    line, start = [], 3
    for length, swapped, value in spans:
        first, second = ("wd", "lr") if swapped else ("lr", "wd")
        follows = {"kind": "follow", "parameter": first, "offset": 10}
        each = {first: [(0, constant(value))], second: [(0, follows)]}
        line.append(Span(start, start + length, timelines(**each)))
        start += length
    steps, (values,) = overview(Grid(), [line], 1000)
    assert steps.tolist() == [*range(3, start)]
    for span in line:
        there = (steps >= span.start) & (steps < span.stop)
        for name, expected in span.timelines.evaluate(steps[there]).items():
            assert values[name][there].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("stop", "resolution"),
    [(10**7, 1), (5 * 10**12, 1), (5 * 10**12, 4_194_304), (MAX_STEP + 1, 4_194_304)],
)
def test_what_breaks_on_a_long_axis_is_seen(stop: int, resolution: int) -> None:
    """A warm-up's peak, one table value, and a value set for one cell are among 1,000 points."""
    grid = Grid(resolution)
    at = grid.floor(stop // 3)
    peak = {"kind": "warmup", "steps": stop // 7, "then": {**FALLING, "start": 3}}
    table = {"kind": "table", "values": [*[0.5] * 1000, 8, *[0.5] * 1000]}
    shown = timelines(
        lr=[(0, peak), (at, constant(-5)), (at + resolution, FALLING)],
        wd=[(0, {"kind": "stretch", "ratio": resolution, "of": table})],
    )
    steps, (values,) = overview(grid, [[Span(0, stop, shown)]], 1000)
    assert len(steps) <= 1000
    assert not (steps % resolution).any()
    assert values["lr"].min() == -5
    assert values["lr"].max() == pytest.approx(3, rel=resolution * 8 / stop)
    assert values["wd"].max() == 8
    assert (steps[0], steps[-1]) == (0, grid.floor(stop - 1))


@pytest.mark.parametrize(("parameters", "nodes"), [(200, 1), (1, 4), (2, 900)])
def test_the_work_is_bounded(parameters: int, nodes: int) -> None:
    """P10: on the longest axis two million values are computed, fewer of what is made of many."""
    looked_at = 0

    class Counting(Timeline):
        def values(self, steps: Any, followed: Any) -> Any:
            nonlocal looked_at
            looked_at += len(steps)
            return super().values(steps, followed)

    tooth = {"kind": "cosine", "start": 1, "end": 0, "steps": 3, "periodic": True}
    combed = {"kind": "sum", "of": [tooth] * (nodes - 1)} if nodes > 1 else tooth
    line = Timeline.of(parse(combed)).pieces
    many = Timelines({f"p{number}": Counting(line) for number in range(parameters)})
    steps, (values,) = overview(Grid(), [[Span(0, MAX_STEP + 1, many)]], 1000)
    assert len(values) == parameters
    assert len(steps) <= 1000
    assert looked_at * nodes <= 4 * LOOKED_AT
    assert looked_at <= LOOKED_AT


def test_two_lines_share_their_steps() -> None:
    """What sticks out of either is at the steps of both; other parameters are left aside."""
    before = timelines(lr=[(0, constant(1))], wd=[(0, constant(2))])
    after = before.replaced(
        timelines(lr=[(0, constant(1)), (5000, constant(9)), (5001, constant(1))])
    )
    lines = [[Span(0, 100_000, restricted(each, ["lr"]))] for each in (before, after)]
    steps, (old, new) = overview(Grid(), lines, 200)
    assert [*old] == [*new] == ["lr"]
    assert new["lr"][np.flatnonzero(steps == 5000)] == [9]
    assert set(old["lr"]) == {1}
