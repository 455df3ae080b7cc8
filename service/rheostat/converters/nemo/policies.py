"""NeMo's policies without a decay, and PyTorch's schedulers under their own names."""

from __future__ import annotations

from rheostat.converters.case import Case
from rheostat.converters.ignored import LastEpoch
from rheostat.converters.nemo.registry import (
    Count,
    Length,
    Share,
    after_warmup,
    held,
    length,
    library,
)
from rheostat.converters.torch import curves, cycles
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.union import AnyDefinition

library.scheduler("StepLR")(curves.step)
library.scheduler("ExponentialLR")(curves.decay)
library.scheduler("CyclicLR", hyperparameters=cycles.BOTH)(cycles.cyclic)


@library.scheduler("WarmupPolicy")
def warm(
    case: Case,
    *,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    max_steps: Length | None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to a constant.

    After max_steps it drops to min_lr.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    if max_steps is None:
        return after_warmup(case, warmup, Constant(value=case.base))
    return held(case, warmup, max(max_steps, warmup), min_lr)


@library.scheduler("WarmupHoldPolicy")
def holding(
    case: Case,
    *,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    hold_steps: Count | None = None,
    hold_ratio: Share | None = None,
    max_steps: Length,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to a constant.

    After max_steps, and after the hold, it drops to min_lr.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    hold = length(case, "hold", hold_steps, hold_ratio, max_steps)
    return held(case, warmup, max(max_steps, warmup, warmup + hold - 1), min_lr)
