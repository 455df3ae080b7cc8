"""OLMo-core's schedulers of one curve after a warm-up."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rheostat.converters.case import Case, Steps
from rheostat.converters.ignored import LrField, Units, Whole
from rheostat.converters.olmo_core.registry import (
    Count,
    Length,
    NotNegative,
    Share,
    library,
    rise,
    share,
    training,
)
from rheostat.converters.pieces import Piece, pieces, warmed
from rheostat.schedules.kinds.curves import Constant, Linear
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.pointwise import Sum
from rheostat.schedules.union import AnyDefinition


@library.scheduler("ConstantScheduler", "constant")
def constant(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    t_max_arg: Whole = None,
) -> AnyDefinition:
    """`constant`."""
    return Constant(value=case.base)


@library.scheduler("ConstantWithWarmup", "constant_with_warmup")
def warm(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    warmup: Count | None = None,
    warmup_steps: Count | None = None,
    warmup_fraction: Share | None = None,
    warmup_min_lr: NotNegative = 0.0,
    t_max_arg: Steps | None = None,
) -> AnyDefinition:
    """`warmup` to a constant; without one OLMo-core divides by zero at step 0."""
    total = training(case, t_max_arg) if warmup_fraction is not None else 0
    length = share(case, "warmup", warmup, warmup_steps, warmup_fraction, total)
    rise(case, length, warmup_min_lr)
    return warmed(length, Constant(value=case.base), warmup_min_lr)


@library.scheduler("LinearWithWarmup", "linear_with_warmup")
def linear(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    alpha_f: float = 0.1,
    t_max: Length | None = None,
    warmup: Count | None = None,
    warmup_steps: Count | None = None,
    warmup_fraction: Share | None = None,
    warmup_min_lr: NotNegative = 0.0,
    t_max_arg: Steps | None = None,
) -> AnyDefinition:
    """`warmup` to a `linear` decay; t_max counts the warm-up."""
    total, end = training(case, t_max_arg, t_max), case.base * alpha_f
    length = share(case, "warmup", warmup, warmup_steps, warmup_fraction, total)
    begin = rise(case, length, warmup_min_lr)
    if length >= total:
        return pieces(begin, Piece(Constant(value=end)))
    return warmed(length, Linear(start=case.base, end=end, steps=total - length), warmup_min_lr)


@library.scheduler("InvSqrtWithWarmup", "inv_sqrt_with_warmup")
def inverse_sqrt(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    alpha_f: float = 0.1,
    warmup: Count | None = None,
    warmup_steps: Count | None = None,
    warmup_fraction: Share | None = None,
    warmup_min_lr: NotNegative = 0.0,
    t_max_arg: Steps | None = None,
) -> AnyDefinition:
    """
    `warmup` to an `inverse_sqrt` above the floor that it tends to.

    Its timescale is the warm-up; without one it is at the floor from step 1 on, and at step 0
    OLMo-core divides by zero.
    """
    total = training(case, t_max_arg) if warmup_fraction is not None else 0
    length = share(case, "warmup", warmup, warmup_steps, warmup_fraction, total)
    rise(case, length, warmup_min_lr)
    floor = case.base * alpha_f
    if length == 0:
        return Constant(value=floor)
    curve: AnyDefinition = InverseSqrt(start=case.base - floor, timescale=length)
    if floor:
        curve = Sum(of=(Constant(value=floor), curve))
    return warmed(length, curve, warmup_min_lr)


@library.scheduler("ExponentialScheduler", "exponential")
def exponential(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    lr_min: Annotated[float, Field(gt=0)] = 1e-9,
    t_max_arg: Steps | None = None,
) -> AnyDefinition:
    """`piecewise` geometric: it grows from lr_min to the base value."""
    points = ((0.0, lr_min), (float(training(case, t_max_arg)), case.base))
    return Piecewise(points=points, interpolation="geometric")
