"""NeMo's schedulers that anneal from the warm-up to max_steps."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rheostat.converters.case import Case
from rheostat.converters.ignored import FirstCycle, LastEpoch
from rheostat.converters.nemo.registry import (
    Count,
    Length,
    Share,
    after_warmup,
    floored,
    held,
    length,
    library,
)
from rheostat.converters.pieces import Piece, pieces, warmed
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial
from rheostat.schedules.union import AnyDefinition

Power = Annotated[float, Field(ge=0)]


@library.scheduler("CosineAnnealing")
def cosine(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    constant_steps: Count | None = None,
    constant_ratio: Share | None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to a `cosine`.

    constant_steps at min_lr come off the end of the cosine, and change the warm-up: with them it
    starts from 0. Where they leave no cosine, min_lr follows the warm-up at once.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    rest = length(case, "constant", constant_steps, constant_ratio, max_steps)
    if case.base < min_lr or (rest > 0 and case.base == min_lr):
        raise case.wrong("min_lr", "must be below the learning rate", min_lr, f"< {case.base}")
    if rest == 0 and warmup >= max_steps:
        return held(case, warmup, warmup, min_lr)
    if warmup + rest >= max_steps:
        return _constant_after(case, warmup, rest, max_steps, min_lr)
    curve = Cosine(start=case.base, end=min_lr, steps=max_steps - warmup - rest)
    return warmed(warmup, curve) if rest > 0 else after_warmup(case, warmup, curve)


def _constant_after(
    case: Case, warmup: int, rest: int, max_steps: int, min_lr: float
) -> AnyDefinition:
    """Return a warm-up from 0 that is followed by the constant steps."""
    if warmup == 0 and rest == max_steps:
        message = "is a division by zero: constant_steps leave none of it"
        raise case.wrong("max_steps", message, max_steps, f"≠ {rest}")
    rise = Linear(start=0.0, end=case.base, steps=max(1, warmup))
    until = warmup + 1 if warmup > 0 else 0
    return pieces(Piece(rise, until=until), Piece(Constant(value=min_lr)))


@library.scheduler("WarmupAnnealing")
def linear(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """`warmup` to a `linear` decay."""
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    if warmup >= max_steps:
        return held(case, warmup, warmup, min_lr)
    curve = Linear(start=case.base, end=min_lr, steps=max_steps - warmup)
    return after_warmup(case, warmup, curve)


@library.scheduler("SquareAnnealing")
def square(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    min_lr: float = 1e-5,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to a `polynomial` of power 2, clipped at min_lr.

    It is clipped and not rescaled, so that it reaches min_lr before max_steps.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    if warmup >= max_steps:
        return held(case, warmup, warmup, min_lr)
    curve = Polynomial(start=case.base, end=0.0, steps=max_steps - warmup, power=2.0)
    if min_lr <= case.base:
        return after_warmup(case, warmup, floored(curve, min_lr))
    rise = after_warmup(case, warmup, Constant(value=case.base))
    floor = Piece(Constant(value=min_lr))
    return pieces(Piece(rise, until=warmup + 1 if warmup > 0 else 0), floor)


@library.scheduler("SquareRootAnnealing")
def square_root(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `sequence` of a warm-up and a `polynomial` of power 0.5, clipped at min_lr.

    The decay counts from step 0, so that there is a jump after the warm-up.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    curve = Polynomial(start=case.base, end=0.0, steps=max_steps, power=0.5)
    rise = after_warmup(case, warmup, Constant(value=case.base))
    until = warmup + 1 if warmup > 0 else 0
    return pieces(Piece(rise, until=until), Piece(floored(curve, min_lr)))


@library.scheduler("PolynomialDecayAnnealing")
def polynomial(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    min_lr: float = 0.0,
    power: Power = 1.0,
    cycle: FirstCycle = False,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to a `polynomial`.

    cycle has no effect: the first cycle ends at max_steps, and after it min_lr holds.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    if power == 0 or warmup >= max_steps:
        return held(case, warmup, max(warmup, max_steps), min_lr)
    curve = Polynomial(start=case.base, end=min_lr, steps=max_steps - warmup, power=power)
    return after_warmup(case, warmup, curve)
