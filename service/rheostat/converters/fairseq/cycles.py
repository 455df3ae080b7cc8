"""fairseq's schedulers of cycles."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rheostat.converters.building import over, triangles
from rheostat.converters.case import Case
from rheostat.converters.fairseq.registry import Count, Rates, library, only
from rheostat.converters.pieces import warmed
from rheostat.schedules.kinds.curves import Cosine
from rheostat.schedules.kinds.cycles import CosineRestarts
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.pointwise import Sum
from rheostat.schedules.kinds.repeat import Repeat
from rheostat.schedules.union import AnyDefinition

Shrink = Annotated[float, Field(ge=0)]


@library.scheduler("CosineLRSchedule", "cosine")
def cosine(
    case: Case,
    *,
    lr: Rates | None = None,
    max_update: Annotated[float, Field(ge=0)] | None = None,
    warmup_updates: Count = 0,
    warmup_init_lr: float = -1.0,
    min_lr: float = 0.0,
    t_mult: Annotated[float, Field(gt=0)] = 1.0,
    lr_period_updates: float = -1.0,
    lr_shrink: Shrink = 0.1,
) -> AnyDefinition:
    """
    `warmup` to `cosine_restarts`.

    The period is what max_update leaves after the warm-up unless lr_period_updates is given; past
    it the next one begins, with both ends times lr_shrink. The warm-up starts from min_lr, not
    from lr as its help says. With a t_mult other than 1 fairseq finds the cycle by a rounded
    logarithm, and misses some restarts by one step.
    """
    peak = only(case, lr)
    floor = min(min_lr, peak)
    period = lr_period_updates
    if period <= 0:
        if not max_update:
            raise case.wrong("max_update", "is required, or else lr_period_updates", None, "> 0")
        period = max_update - warmup_updates
    start = floor if warmup_init_lr < 0 else warmup_init_lr
    if floor == 0:
        waves: AnyDefinition = CosineRestarts(
            start=peak, end=0.0, period=period, period_factor=t_mult, peak_factor=lr_shrink
        )
    else:
        wave = over(period, lambda n: Cosine(start=peak, end=floor, steps=n))
        waves = Repeat(of=wave, every=period, period_factor=t_mult, peak_factor=lr_shrink)
    return warmed(warmup_updates, waves, start)


@library.scheduler("TriangularLRSchedule", "triangular")
def triangular(
    case: Case,
    *,
    lr: Rates | None = None,
    max_lr: float,
    lr_period_updates: Annotated[float, Field(ge=2)] = 5000,
    lr_shrink: Shrink = 0.1,
    shrink_min: bool = False,
) -> AnyDefinition:
    """
    `cyclic`; if it shrinks, a repeated triangle.

    max_lr shrinks with each cycle, and lr only with shrink_min: from some cycle on the peak lies
    below the minimum. An odd period is rounded down.
    """
    low, half = only(case, lr), lr_period_updates // 2
    if max_lr <= low:
        raise case.wrong("max_lr", "must be above lr", max_lr, f"> {low}")
    if lr_shrink == 1:
        return triangles(low, max_lr, half, half)
    if shrink_min:
        return _triangles((low, max_lr, low), half, lr_shrink)
    rising, falling = (0.0, max_lr, 0.0), (low, 0.0, low)
    return Sum(of=(_triangles(rising, half, lr_shrink), _triangles(falling, half, 1.0)))


def _triangles(values: tuple[float, float, float], half: float, shrink: float) -> AnyDefinition:
    points = tuple(zip((0.0, half, 2 * half), values, strict=True))
    return Repeat(of=Piecewise(points=points), every=2 * half, peak_factor=shrink)
