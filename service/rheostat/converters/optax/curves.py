"""optax's schedules of one curve."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rheostat.converters.building import cosine, delayed, exponential, polynomial
from rheostat.converters.case import Case, Steps
from rheostat.converters.optax.registry import library
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.decays import Exponential
from rheostat.schedules.kinds.pointwise import Clip, Power, Scale, Sum
from rheostat.schedules.union import AnyDefinition

Length = Annotated[float, Field(gt=0)]


@library.scheduler("constant_schedule", hyperparameters=None)
def constant(case: Case, *, value: float) -> AnyDefinition:
    """`constant`."""
    return Constant(value=value)


@library.scheduler("linear_schedule", hyperparameters=None)
def linear(
    case: Case,
    *,
    init_value: float,
    end_value: float,
    transition_steps: Steps,
    transition_begin: Steps = 0,
) -> AnyDefinition:
    """
    `linear`, after a `constant` until transition_begin.

    With transition_steps 0 or less init_value holds for ever. A negative transition_begin is 0.
    """
    return power_law(
        case,
        init_value=init_value,
        end_value=end_value,
        power=1.0,
        transition_steps=transition_steps,
        transition_begin=transition_begin,
    )


@library.scheduler("polynomial_schedule", hyperparameters=None)
def power_law(
    case: Case,
    *,
    init_value: float,
    end_value: float,
    power: float,
    transition_steps: Steps,
    transition_begin: Steps = 0,
) -> AnyDefinition:
    """
    `polynomial`, after a `constant` until transition_begin.

    With transition_steps 0 or less, or power 0, init_value holds for ever. A negative
    transition_begin is 0.
    """
    if transition_steps <= 0:
        return Constant(value=init_value)
    curve = polynomial(init_value, end_value, transition_steps, power)
    return delayed(transition_begin, curve)


@library.scheduler("exponential_decay", hyperparameters=None)
def exponential_decay(
    case: Case,
    *,
    init_value: float,
    transition_steps: Steps,
    decay_rate: float,
    transition_begin: Steps = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> AnyDefinition:
    """
    `exponential`, or `step` if staircase, after a `constant` until transition_begin.

    With decay_rate below 1 end_value is the least value, else the greatest: with 1 itself the
    value drops to it at once. With transition_steps 0 or less, or decay_rate 0, init_value holds
    for ever, whatever end_value is. What grows without an end_value holds where it would pass
    1e100.
    """
    if transition_steps <= 0 or decay_rate == 0:
        return Constant(value=init_value)
    curve = exponential(init_value, decay_rate, transition_steps, staircase=staircase)
    if end_value is not None and 0 < decay_rate < 1:
        curve = Exponential(
            start=init_value,
            factor=decay_rate,
            every=transition_steps,
            staircase=staircase,
            floor=end_value,
        )
    elif end_value is not None:
        curve = Clip(of=curve, max=end_value)
    return delayed(transition_begin, curve)


@library.scheduler("cosine_decay_schedule", hyperparameters=None)
def cosine_decay(
    case: Case,
    *,
    init_value: float,
    decay_steps: Length,
    alpha: float = 0.0,
    exponent: float = 1.0,
) -> AnyDefinition:
    """
    `cosine` to alpha · init_value.

    With an exponent, a `power` of a cosine.
    """
    if exponent == 0:
        return Constant(value=init_value)
    if exponent == 1:
        return cosine(init_value, alpha * init_value, decay_steps)
    curve = Power(of=cosine(1.0, 0.0, decay_steps), exponent=exponent)
    falling = Scale(factor=init_value * (1 - alpha), of=curve)
    return falling if alpha == 0 else Sum(of=(Constant(value=alpha * init_value), falling))
