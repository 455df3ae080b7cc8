"""
Overviews: what the curves of a run look like over a range, at few enough steps to be looked at.

Up to `LOOKED_AT` values are computed to find out: all cells of the range if they are so few, and
else the cells of an even stride.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rheostat.schedules.thin import spread, thin
from rheostat.server.runs.grid import Grid
from rheostat.server.runs.timeline import Steps, Timelines, Values

LOOKED_AT = 2_000_000
"""Values that are computed for one overview, unless more of them are wanted."""

AT_ONCE = 2**16
"""Steps that are computed at a time: what is computed on the way takes no more memory."""


class Span(NamedTuple):
    """From ``start`` to ``stop``, timelines are in force."""

    start: int
    stop: int
    timelines: Timelines


Line = Sequence[Span]
"""Spans that follow each other without a gap."""


def overview(
    grid: Grid, lines: Sequence[Line], points: int
) -> tuple[Steps, list[dict[str, Values]]]:
    """
    Return up to ``points`` cells of the range of some lines, and the values of each line there.

    The cells are spread evenly over the range, and among them are those at which a parameter of
    a line goes beyond its values at the cells beside: see `thin`.
    """
    width = sum(len(line[0].timelines) for line in lines)
    steps = _cells(grid, lines[0][0].start, lines[0][-1].stop, max(points, LOOKED_AT // width))
    found = [_evaluate(line, steps) for line in lines]
    kept = thin([values for columns in found for values in columns.values()], points)
    return steps[kept], [
        {name: values[kept] for name, values in columns.items()} for columns in found
    ]


def restricted(timelines: Timelines, names: Sequence[str]) -> Timelines:
    """Return the timelines of some parameters, and of those that they follow."""
    needed = set[str]().union(*(timelines.sources(name) for name in names))
    return Timelines({name: timelines[name] for name in needed})


def _cells(grid: Grid, start: int, stop: int, most: int) -> Steps:
    """Return the cells that hold the steps from ``start`` to ``stop``, evenly chosen."""
    first, last = grid.floor(start), grid.floor(stop - 1)
    count = grid.cells(first, last) + 1
    return first + spread(count, min(count, most)) * grid.resolution


def _evaluate(line: Line, steps: Steps) -> Mapping[str, Values]:
    """Return each parameter's values at rising ``steps`` that the line covers."""
    # the first cell may begin before the first span does
    starts = [span.start for span in line[1:]]
    edges = [0, *np.searchsorted(steps, starts).tolist(), len(steps)]
    values = {name: np.empty(len(steps)) for name in line[0].timelines}
    for span, (first, last) in zip(line, pairwise(edges), strict=True):
        for begin in range(first, last, AT_ONCE):
            there = slice(begin, min(begin + AT_ONCE, last))
            for name, column in span.timelines.evaluate(steps[there]).items():
                values[name][there] = column
    return values
