"""timm's schedulers of steps."""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise
from math import inf, nextafter
from typing import Annotated

from pydantic import Field

from rheostat.converters.building import exponential
from rheostat.converters.case import Case
from rheostat.converters.ignored import InEpochs, Initialize
from rheostat.converters.timm.registry import Count, Noisy, Range, Warm, finished, library
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.union import AnyDefinition


@library.scheduler("StepLRScheduler")
def step(
    case: Case,
    *,
    decay_t: Annotated[float, Field(gt=0)],
    decay_rate: float = 1.0,
    warmup_t: Count = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = True,
    t_in_epochs: InEpochs = True,
    noise_range_t: Range = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    initialize: Initialize = True,
) -> AnyDefinition:
    """
    `step`, or `constant` with a decay_rate of 1, which is timm's default.

    decay_t need not be whole: 3.7 is a little more as float64, so that timm's step 37 is still in
    the tenth interval, and so is the definition's. The warm-up is a prefix, unlike that of the
    other schedulers.
    """
    curve = exponential(case.base, decay_rate, _length(decay_t), staircase=True)
    if decay_rate == 1:
        curve = Constant(value=case.base)
    warm = Warm(warmup_t, warmup_lr_init, warmup_prefix)
    return finished(case, curve, warm, Noisy(noise_range_t, noise_pct, noise_std, noise_seed))


@library.scheduler("MultiStepLRScheduler")
def multistep(
    case: Case,
    *,
    decay_t: list[Count],
    decay_rate: float = 1.0,
    warmup_t: Count = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = True,
    t_in_epochs: InEpochs = True,
    noise_range_t: Range = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    initialize: Initialize = True,
) -> AnyDefinition:
    """
    `multistep`, each milestone one step earlier than it says.

    timm compares them with t + 1, and keeps that. A warm-up is a prefix, which shifts them. Of
    milestones that fall it counts those that its bisection finds, and so does the definition.
    """
    curve = Multistep(start=case.base, milestones=_milestones(decay_t), factor=decay_rate)
    warm = Warm(warmup_t, warmup_lr_init, warmup_prefix, peak=case.base)
    return finished(case, curve, warm, Noisy(noise_range_t, noise_pct, noise_std, noise_seed))


def _length(decay_t: float) -> float:
    """Return a length by which a rounded quotient is rounded down as timm's exact one is."""
    if Fraction(decay_t) <= Fraction(repr(decay_t)):
        return decay_t
    return nextafter(nextafter(decay_t, inf), inf)


def _milestones(decay_t: list[int]) -> tuple[int, ...]:
    """Return the steps of the changes: timm counts the milestones up to t + 1 by bisection."""
    steps = sorted(set(decay_t))
    counts = [0, *(bisect_right(decay_t, step) for step in steps)]
    return tuple(
        max(0, step - 1)
        for step, (before, after) in zip(steps, pairwise(counts), strict=True)
        for _ in range(after - before)
    )
