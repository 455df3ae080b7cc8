"""
Overviews: what the curves of a run look like over a range, at few enough steps to be looked at.

Up to `LOOKED_AT` values of simple definitions are computed to find out: those at all cells of the
range if they are so few. Of a longer range half of the cells that are looked at are spread evenly;
the others, as many as it takes, lie where a curve may break or turn as far as pieces and
definitions can tell: where pieces begin and end (of changes, holds and values that are set), and at
corners of definitions. What values alone tell, such as the extremes of noise or of a product, is
seen there at the even ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from rheostat.schedules.thin import spread, thin
from rheostat.server.runs.grid import Grid
from rheostat.server.runs.timeline import Piece, Steps, Timelines, Values, nodes

LOOKED_AT = 2_000_000
"""Values that are computed for one overview, unless more of them are wanted."""

SIMPLE = 4
"""Definitions inside one that is computed so often; others are less often, as they have more."""

AT_ONCE = 2**16
"""Steps that are computed at a time: what is computed on the way takes no more memory."""


def of_four_digits(values: Iterable[float]) -> list[float]:
    """Return values with the four digits that a small picture, or a glance, can show."""
    return [float(f"{value:.4g}") for value in values]


class Span(NamedTuple):
    """From ``start`` to ``stop``, timelines are in force."""

    start: int
    stop: int
    timelines: Timelines


Spans = Sequence[Span]
"""Spans that follow each other without a gap."""

PieceRange = tuple[Piece, int, int]
"""A piece, and the range in which it is in force."""


def overview(
    grid: Grid, lines: Sequence[Spans], points: int, looked_at: int = LOOKED_AT
) -> tuple[Steps, list[dict[str, Values]]]:
    """
    Return up to ``points`` cells of the range of some lines, and the values of each line there.

    The cells are spread evenly over the range, and among them are those at which a parameter of
    a line goes beyond its values at the cells beside: see `thin`. To find them, as many values as
    ``looked_at`` are computed.
    """
    steps = _cells(grid, lines, points, looked_at)
    found = [evaluate(line, steps) for line in lines]
    kept = thin([values for columns in found for values in columns.values()], points)
    return steps[kept], [
        {name: values[kept] for name, values in columns.items()} for columns in found
    ]


def restricted(timelines: Timelines, names: Sequence[str]) -> Timelines:
    """Return the timelines of some parameters, and of those that they follow."""
    needed = set[str]().union(*(timelines.sources(name) for name in names))
    return Timelines({name: timelines[name] for name in needed})


def _cells(grid: Grid, lines: Sequence[Spans], points: int, looked_at: int) -> Steps:
    """Return the cells to look at: all of the range, or as many as is affordable."""
    pieces = [list(_pieces(line, name)) for line in lines for name in line[0].timelines]
    most = max(points, looked_at // sum(map(_weight, pieces)))
    first, last = grid.floor(lines[0][0].start), grid.floor(lines[0][-1].stop - 1)
    count = grid.cells(first, last) + 1
    if count <= most:
        return grid.steps(first, last + 1)
    even = first + spread(count, most - most // 2) * grid.resolution
    corners = _corners(grid, [piece_range for each in pieces for piece_range in each], most // 2)
    chosen = corners[spread(len(corners), min(len(corners), most // 2))]
    return np.union1d(even, np.clip(chosen, first, last))


def _weight(ranges: Iterable[PieceRange]) -> int:
    """Return how many simple definitions take as long as one value of a parameter."""
    heaviest = max(nodes(piece.definition) for piece, _, _ in ranges)
    return -(-heaviest // SIMPLE)


def _corners(grid: Grid, ranges: Sequence[PieceRange], most: int) -> Steps:
    """Return the cells where a curve may break or turn, and those before and after."""
    share = most // (3 * len(ranges))
    places = [np.zeros(0, dtype=np.int64)]
    for piece, start, stop in ranges:
        since, until = float(start - piece.origin), float(stop - 1 - piece.origin)
        corners = piece.definition.corners(max(since, 0.0), max(until, 0.0), share)
        places += [piece.origin + corners.astype(np.int64), np.array([start, stop - 1])]
    cells = np.unique(np.concatenate(places) // grid.resolution)
    return np.unique(np.concatenate([cells - 1, cells, cells + 1])) * grid.resolution


def _pieces(line: Spans, name: str) -> Iterator[PieceRange]:
    """Yield the pieces of a parameter, each with the range in which it is in force."""
    for timeline, group in groupby(line, key=lambda span: span.timelines[name]):
        spans = list(group)
        stop = spans[-1].stop
        pieces = timeline.between(spans[0].start, stop - 1)
        stops = [*(piece.start for piece in pieces[1:]), stop]
        yield from ((piece, piece.start, end) for piece, end in zip(pieces, stops, strict=True))


def evaluate(line: Spans, steps: Steps) -> Mapping[str, Values]:
    """Return each parameter's values at rising ``steps``, all of which the line covers."""
    # the first cell may begin before the first span does
    starts = [span.start for span in line[1:]]
    edges = [0, *np.searchsorted(steps, starts).tolist(), len(steps)]
    stages = [
        _Stage(span.timelines, *ends) for span, ends in zip(line, pairwise(edges), strict=True)
    ]
    values = {name: np.empty(len(steps)) for name in line[0].timelines}
    for order, group in groupby(stages, key=lambda stage: stage.timelines.order):
        together = list(group)
        for name in order:
            _fill(values, name, together, steps)
    return values


class _Stage(NamedTuple):
    """Timelines, and the indices of the steps at which they are in force."""

    timelines: Timelines
    first: int
    last: int


def _fill(values: Mapping[str, Values], name: str, stages: Sequence[_Stage], steps: Steps) -> None:
    """Compute one parameter; most revisions leave most parameters as they were."""
    for timeline, group in groupby(stages, key=lambda stage: stage.timelines[name]):
        same = list(group)
        for begin in range(same[0].first, same[-1].last, AT_ONCE):
            there = slice(begin, min(begin + AT_ONCE, same[-1].last))
            followed = {other: values[other][there] for other in timeline.follows}
            values[name][there] = timeline.values(steps[there], followed)
