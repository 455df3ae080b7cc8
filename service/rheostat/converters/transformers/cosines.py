"""The cosine schedules of transformers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rheostat.converters.building import over
from rheostat.converters.case import Case
from rheostat.converters.ignored import LastEpoch
from rheostat.converters.pieces import Piece, pieces, share, warmed
from rheostat.converters.transformers.registry import Count, library
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear
from rheostat.schedules.kinds.cycles import CosineRestarts
from rheostat.schedules.kinds.pointwise import Clip
from rheostat.schedules.union import AnyDefinition

Cycles = Annotated[float, Field(ge=0)]


@library.scheduler("get_cosine_schedule_with_warmup", "cosine")
def cosine(
    case: Case,
    *,
    num_warmup_steps: Count,
    num_training_steps: Count,
    num_cycles: Cycles = 0.5,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to a periodic `cosine`.

    num_cycles counts whole waves: the half one of the default falls to 0. Past num_training_steps
    the wave goes on.
    """
    steps = num_training_steps - num_warmup_steps
    return warmed(num_warmup_steps, wave(case.base, 0.0, steps, num_cycles))


@library.scheduler("get_cosine_with_hard_restarts_schedule_with_warmup", "cosine_with_restarts")
def restarts(
    case: Case,
    *,
    num_warmup_steps: Count,
    num_training_steps: Count,
    num_cycles: Cycles = 1,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to `cosine_restarts`.

    Past num_training_steps it is 0.
    """
    steps = max(1, num_training_steps - num_warmup_steps)
    return warmed(num_warmup_steps, _restarted(case.base, steps, num_cycles))


@library.scheduler("get_cosine_with_min_lr_schedule_with_warmup", "cosine_with_min_lr")
def floored(
    case: Case,
    *,
    num_warmup_steps: Count,
    num_training_steps: Count,
    num_cycles: Cycles = 0.5,
    last_epoch: LastEpoch = -1,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
) -> AnyDefinition:
    """
    `warmup` to a periodic `cosine` that ends above 0.

    min_lr belongs to the optimizer's default learning rate: a group that starts elsewhere has its
    floor in proportion. Past num_training_steps the wave rises again.
    """
    end = case.base * _rate(case, min_lr, min_lr_rate)
    steps = num_training_steps - num_warmup_steps
    return warmed(num_warmup_steps, _not_negative(wave(case.base, end, steps, num_cycles), end))


@library.scheduler(
    "get_cosine_with_min_lr_schedule_with_warmup_lr_rate", "cosine_warmup_with_min_lr"
)
def ahead(
    case: Case,
    *,
    num_warmup_steps: Count,
    num_training_steps: Count,
    num_cycles: Cycles = 0.5,
    last_epoch: LastEpoch = -1,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
    warmup_lr_rate: float | None = None,
) -> AnyDefinition:
    """
    `sequence` of a warm-up and a periodic `cosine`, both one step ahead.

    The first step has base/num_warmup_steps, or base · warmup_lr_rate; the peak is in force at the
    last step of the warm-up, and the floor one step before the end.
    """
    warmup, base = num_warmup_steps, case.base
    end = base * _rate(case, min_lr, min_lr_rate)
    fall = wave(base, end, num_training_steps - warmup, num_cycles)
    if warmup_lr_rate is None:
        rise, origin = Linear(start=0.0, end=base, steps=max(1, warmup)), -1
    else:
        start = base * warmup_lr_rate
        rise, origin = Linear(start=start, end=base, steps=max(1, warmup - 1)), 0
    decay = Piece(_not_negative(fall, end), origin=warmup - 1)
    return pieces(Piece(rise, until=warmup, origin=origin), decay)


def wave(start: float, end: float, steps: int, cycles: float) -> AnyDefinition:
    """Return a cosine that makes so many whole waves in the steps, and goes on."""
    if cycles == 0:
        return Constant(value=start)
    half = max(1, steps) / (2 * cycles)
    return over(half, lambda n: Cosine(start=start, end=end, steps=n, periodic=True))


def _restarted(base: float, steps: int, cycles: float) -> AnyDefinition:
    if cycles == 0:
        return pieces(Piece(Constant(value=base), until=steps), Piece(Constant(value=0.0)))
    period = share(steps, cycles)
    if float(cycles).is_integer():
        return CosineRestarts(start=base, end=0.0, period=period, cycles=int(cycles))
    cut = Piece(CosineRestarts(start=base, end=0.0, period=period), until=steps)
    return pieces(cut, Piece(Constant(value=0.0)))


def _rate(case: Case, min_lr: float | None, min_lr_rate: float | None) -> float:
    """Return the floor as a share of the base value."""
    if min_lr is not None and min_lr_rate is not None:
        raise case.wrong("min_lr_rate", "cannot stand beside min_lr", min_lr_rate, "one of both")
    if min_lr is not None:
        return min_lr / (case.context.optimizer_default_lr or case.base)
    if min_lr_rate is None:
        raise case.wrong("min_lr", "is required, or else min_lr_rate", None, "a number")
    return min_lr_rate


def _not_negative(curve: AnyDefinition, end: float) -> AnyDefinition:
    """Return the curve without what lies below zero: a negative floor is never reached."""
    return Clip(of=curve, min=0.0) if end < 0 else curve
