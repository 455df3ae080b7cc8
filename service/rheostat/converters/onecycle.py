"""The one-cycle schedule as PyTorch, Paddle and MMEngine lay it out."""

from __future__ import annotations

from typing import Literal

from rheostat.converters.building import part
from rheostat.converters.case import Case
from rheostat.schedules.kinds.cycles import OneCycle
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.sequence import Sequence
from rheostat.schedules.union import AnyDefinition

Corner = tuple[float, float]


def one_cycle(
    case: Case,
    values: tuple[float, float, float],
    total: int,
    up: tuple[str, float],
    shape: Literal["linear", "cosine"],
    *,
    three_phase: bool,
) -> AnyDefinition:
    """
    Return the cycle from start to peak to end, the last of ``total`` values being the end.

    The turn lies at up · total − 1, and with three phases the return to start at twice that.
    """
    start, peak, end = values
    last, turn = total - 1, up[1] * total - 1
    if turn == 0:
        message = f"puts the turn on step 0, where {case.name} divides by zero"
        raise case.wrong(up[0], message, up[1], f"not 1/{total}")
    if 0 < turn < last and not (three_phase and 2 * turn >= last):
        return OneCycle(
            peak=peak,
            steps=last,
            start=start,
            end=end,
            up=turn / last,
            shape=shape,
            three_phase=three_phase,
        )
    back = [(2 * turn, start)] if three_phase else []
    return _cut([(0, start), (turn, peak), *back, (last, end)], total, shape)


def _cut(corners: list[Corner], total: int, shape: Literal["linear", "cosine"]) -> AnyDefinition:
    """Return what lies between steps 0 and ``total`` of a cycle whose corners lie outside."""
    while len(corners) > 2 and corners[1][0] < 0:
        corners = corners[1:]
    if corners[-2][0] >= corners[-1][0]:
        corners = corners[:-1]
    origin = corners[0][0]
    points = tuple((place - origin, value) for place, value in corners)
    curve = Piecewise(points=points, interpolation=shape)
    return Sequence(parts=(part(curve, start=-origin, steps=total),))
