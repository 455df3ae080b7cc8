"""NeMo's schedulers of inverse square roots."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rheostat.converters.case import Case
from rheostat.converters.ignored import LastEpoch
from rheostat.converters.nemo.registry import (
    Count,
    Length,
    Share,
    after_warmup,
    ending,
    floored,
    length,
    library,
)
from rheostat.converters.pieces import Piece, pieces
from rheostat.schedules.kinds.curves import Constant, Linear
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.union import AnyDefinition


@library.scheduler("InverseSquareRootAnnealing")
def inverse_sqrt(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to an `inverse_sqrt`.

    After max_steps it drops to min_lr, which is no floor before.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    curve = InverseSqrt(start=case.base, timescale=warmup + 1)
    return ending(after_warmup(case, warmup, curve), max(max_steps, warmup), min_lr)


@library.scheduler("T5InverseSquareRootAnnealing")
def t5(
    case: Case,
    *,
    max_steps: Length,
    constant_steps: Length,
    constant_ratio: None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `sequence` of a constant and an `inverse_sqrt`.

    It is 1/√t, whatever the base value is, and drops to min_lr after max_steps. NeMo fails on
    constant_ratio.
    """
    start = 1 / constant_steps**0.5
    held = Piece(Constant(value=start), until=constant_steps + 1)
    fall = Piece(InverseSqrt(start=start, timescale=constant_steps), origin=constant_steps)
    if constant_steps >= max_steps:
        return pieces(held, Piece(Constant(value=min_lr)))
    return ending(pieces(held, fall), max_steps, min_lr)


@library.scheduler("NoamAnnealing")
def noam(
    case: Case,
    *,
    d_model: Annotated[float, Field(gt=0)],
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    max_steps: Length | None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `sequence` of a line and an `inverse_sqrt`, clipped at min_lr.

    The base value is a factor of 1/√d_model. Step 0 has the value of step 1; max_steps ends
    nothing.
    """
    if case.base < min_lr:
        raise case.wrong("min_lr", "must not be above the base value", min_lr, f"≤ {case.base}")
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    scale = max(warmup, 1)
    peak = case.base * d_model**-0.5 * scale**-0.5
    first = peak / scale if warmup else max(peak, min_lr)
    rise = Piece(Linear(start=0.0, end=peak, steps=scale), until=warmup + 1)
    fall = floored(InverseSqrt(start=peak, timescale=scale), min_lr)
    held = Piece(Constant(value=first), until=1)
    return pieces(held, rise, Piece(fall, origin=scale))
