"""NeMo's schedulers that hold the peak before they anneal."""

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
    held,
    length,
    library,
)
from rheostat.converters.pieces import Piece, pieces
from rheostat.schedules.kinds.curves import Constant, Linear, Polynomial, Ramp
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.kinds.presets import Wsd
from rheostat.schedules.union import AnyDefinition


@library.scheduler("WarmupHoldAnnealLinear")
def linear(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    hold_steps: Count | None = None,
    hold_ratio: Share | None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `wsd`.

    Without hold_steps the decay counts from step 0, underneath the warm-up.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    start = _held_until(case, warmup, hold_steps, hold_ratio, max_steps)
    if max(start - 1, warmup) >= max_steps:
        return held(case, warmup, max(start - 1, warmup), min_lr)
    steps = max_steps - start
    if start >= warmup:
        return Wsd(
            peak=case.base,
            warmup=warmup,
            warmup_start=case.base / (warmup + 1),
            stable=start - warmup,
            decay=steps,
            end=min_lr,
        )
    return _laid_out(case, warmup, start, Linear(start=case.base, end=min_lr, steps=steps))


@library.scheduler("WarmupHoldAnnealOneMinusSquareRoot")
def one_minus_square_root(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    hold_steps: Count | None = None,
    hold_ratio: Share | None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `wsd` of shape 1-sqrt; with a min_lr, clipped there and not rescaled.

    Without hold_steps the decay counts from step 0, underneath the warm-up.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    start = _held_until(case, warmup, hold_steps, hold_ratio, max_steps)
    if max(start - 1, warmup) >= max_steps:
        return held(case, warmup, max(start - 1, warmup), min_lr)
    steps = max_steps - start
    if start >= warmup and min_lr <= 0:
        return Wsd(
            peak=case.base,
            warmup=warmup,
            warmup_start=case.base / (warmup + 1),
            stable=start - warmup,
            decay=steps,
            decay_shape="1-sqrt",
        )
    curve = Ramp(start=case.base, end=0.0, steps=steps, shape="1-sqrt")
    return _laid_out(case, warmup, start, floored(curve, min_lr))


@library.scheduler("PolynomialHoldDecayAnnealing")
def polynomial(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    hold_steps: Count | None = None,
    hold_ratio: Share | None = None,
    min_lr: float = 0.0,
    power: Annotated[float, Field(gt=0)] = 1.0,
    cycle: bool = False,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `sequence` of a warm-up, a constant and a `polynomial`.

    Without hold_steps the decay counts from step 0, underneath the warm-up, and is over before
    max_steps; with cycle it starts again there.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    start = _held_until(case, warmup, hold_steps, hold_ratio, max_steps)
    if max(start - 1, warmup) >= max_steps:
        return held(case, warmup, max(start - 1, warmup), min_lr)
    steps = max_steps - max(warmup, start)
    curve = Polynomial(start=case.base, end=min_lr, steps=steps, power=power, cycle=cycle)
    return ending(_laid_out(case, warmup, start, curve), max_steps, min_lr)


@library.scheduler("NoamHoldAnnealing")
def noam(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    hold_steps: Count | None = None,
    hold_ratio: Share | None = None,
    decay_rate: float = 0.5,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `sequence` of a warm-up, a constant and an `inverse_sqrt` of power decay_rate.

    It is clipped at min_lr, and drops to it after max_steps.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    if warmup == 0:
        raise case.wrong("warmup_steps", "is required: Noam decays by it", warmup, "≥ 1")
    start = max(warmup, _held_until(case, warmup, hold_steps, hold_ratio, max_steps))
    if start >= max_steps:
        return held(case, warmup, max(start - 1, warmup), min_lr)
    curve: AnyDefinition = Constant(value=case.base)
    if decay_rate > 0:
        curve = InverseSqrt(start=case.base, timescale=warmup, power=decay_rate)
    return ending(_laid_out(case, warmup, start, floored(curve, min_lr)), max_steps, min_lr)


def _held_until(case: Case, warmup: int, steps: int | None, ratio: float | None, total: int) -> int:
    """Return the step at which the hold is over; without a hold NeMo takes it for 0."""
    hold = length(case, "hold", steps, ratio, total)
    start = warmup + hold if steps is not None or ratio is not None else 0
    if start == total:
        message = "is a division by zero: it ends with the hold"
        raise case.wrong("max_steps", message, total, f"≠ {start}")
    return start


def _laid_out(case: Case, warmup: int, start: int, curve: AnyDefinition) -> AnyDefinition:
    """Return the warm-up, the hold and a decay that begins at start."""
    rise = after_warmup(case, warmup, Constant(value=case.base))
    until = warmup + 1 if warmup > 0 else 0
    return pieces(Piece(rise, until=max(until, start)), Piece(curve, origin=start))
