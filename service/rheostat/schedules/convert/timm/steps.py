"""timm's schedulers of steps."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field

from rheostat.schedules.convert.building import exponential
from rheostat.schedules.convert.case import Case
from rheostat.schedules.convert.timm.registry import (
    Count,
    Noisy,
    Range,
    Warm,
    finished,
    library,
)
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
    t_in_epochs: bool = True,
    noise_range_t: Range = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    initialize: bool = True,
) -> AnyDefinition:
    """
    `step`, or `constant` with a decay_rate of 1, which is timm's default.

    decay_t need not be whole. The warm-up is a prefix, unlike that of the other schedulers.
    """
    curve = exponential(case.base, decay_rate, decay_t, staircase=True)
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
    t_in_epochs: bool = True,
    noise_range_t: Range = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    initialize: bool = True,
) -> AnyDefinition:
    """
    `multistep`, each milestone one step earlier than it says.

    timm compares them with t + 1, and keeps that. A warm-up is a prefix, which shifts them.
    """
    for before, after in pairwise(decay_t):
        if after < before:
            raise case.wrong("decay_t", "must not fall", after, f"≥ {before}")
    milestones = tuple(max(0, milestone - 1) for milestone in decay_t)
    curve = Multistep(start=case.base, milestones=milestones, factor=decay_rate)
    warm = Warm(warmup_t, warmup_lr_init, warmup_prefix, peak=case.base)
    return finished(case, curve, warm, Noisy(noise_range_t, noise_pct, noise_std, noise_seed))
