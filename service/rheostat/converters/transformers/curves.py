"""The schedules of transformers that are no cosines."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from rheostat.converters.case import Case, Nested
from rheostat.converters.ignored import LastEpoch
from rheostat.converters.pieces import Piece, pieces, warmed
from rheostat.converters.transformers.registry import Count, library
from rheostat.schedules.kinds.curves import Constant, Linear, Polynomial
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.union import AnyDefinition


@library.scheduler("get_constant_schedule", "constant")
def constant(case: Case, *, last_epoch: LastEpoch = -1) -> AnyDefinition:
    """`constant`."""
    return Constant(value=case.base)


@library.scheduler("get_constant_schedule_with_warmup", "constant_with_warmup")
def warm(case: Case, *, num_warmup_steps: Count, last_epoch: LastEpoch = -1) -> AnyDefinition:
    """`warmup` to a constant."""
    return warmed(num_warmup_steps, Constant(value=case.base))


@library.scheduler("get_linear_schedule_with_warmup", "linear")
def linear(
    case: Case, *, num_warmup_steps: Count, num_training_steps: Count, last_epoch: LastEpoch = -1
) -> AnyDefinition:
    """
    `warmup` to a `linear` decay to 0.

    A warm-up that is longer than the training goes on past its end, and then drops to 0.
    """
    steps = num_training_steps - num_warmup_steps
    if steps > 0:
        return warmed(num_warmup_steps, Linear(start=case.base, end=0.0, steps=steps))
    return _ramp_then(case.base, num_warmup_steps, 0.0)


@library.scheduler("get_polynomial_decay_schedule_with_warmup", "polynomial")
def polynomial(
    case: Case,
    *,
    num_warmup_steps: Count,
    num_training_steps: Count,
    lr_end: float = 1e-7,
    power: Annotated[float, Field(ge=0)] = 1.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to a `polynomial` decay.

    lr_end belongs to the optimizer's default learning rate: a group that starts elsewhere ends in
    proportion. Where the warm-up is as long as the training the library divides by zero at its
    end; the definition goes on at lr_end.
    """
    default = case.context.optimizer_default_lr or case.base
    if lr_end >= default:
        raise case.wrong("lr_end", "must be below the learning rate", lr_end, f"< {default}")
    end, steps = case.base * lr_end / default, num_training_steps - num_warmup_steps
    if steps <= 0:
        return _ramp_then(case.base, num_warmup_steps, end)
    if power > 0:
        curve = Polynomial(start=case.base, end=end, steps=steps, power=power)
        return warmed(num_warmup_steps, curve)
    held = Piece(Constant(value=case.base), until=steps + 1)
    return warmed(num_warmup_steps, pieces(held, Piece(Constant(value=end))))


@library.scheduler("get_inverse_sqrt_schedule", "inverse_sqrt")
def inverse_sqrt(
    case: Case,
    *,
    num_warmup_steps: Count,
    timescale: Annotated[float, Field(gt=0)] | None = None,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to an `inverse_sqrt`.

    The timescale is the warm-up by default, and 10,000 without one.
    """
    scale = timescale or float(num_warmup_steps or 10_000)
    return warmed(num_warmup_steps, InverseSqrt(start=case.base, timescale=scale))


@library.scheduler("get_scheduler")
def by_name(
    case: Case,
    *,
    name: str,
    num_warmup_steps: Count | None = None,
    num_training_steps: Count | None = None,
    scheduler_specific_kwargs: dict[str, Any] | None = None,
) -> AnyDefinition:
    """What the schedule of this name becomes."""
    lengths = {"num_warmup_steps": num_warmup_steps, "num_training_steps": num_training_steps}
    taken = {"constant": 0, "constant_with_warmup": 1, "inverse_sqrt": 1}.get(name, 2)
    given = {key: value for key, value in [*lengths.items()][:taken] if value is not None}
    params = {**given, **(scheduler_specific_kwargs or {})}
    return case.nested(Nested(name=name, params=params), "scheduler_specific_kwargs")


def _ramp_then(peak: float, steps: int, value: float) -> AnyDefinition:
    """Return a warm-up that drops to a value at once."""
    if steps == 0:
        return Constant(value=value)
    ramp = Linear(start=0.0, end=peak, steps=steps)
    return pieces(Piece(ramp, until=steps), Piece(Constant(value=value)))
