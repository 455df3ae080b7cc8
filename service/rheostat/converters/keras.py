"""Keras: keras.optimizers.schedules. Functions of the step, in float64 (floatx float64)."""

from __future__ import annotations

from itertools import pairwise
from math import floor
from typing import Annotated

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import (
    cosine,
    exponential,
    levels,
    over,
    polynomial,
    raised,
    restarts,
    warmed,
)
from rheostat.converters.parameters import Function, Ignored, NotNegative, Positive, Shared, Verbose
from rheostat.schedules.kinds.curves import Polynomial
from rheostat.schedules.kinds.decays import InverseTime
from rheostat.schedules.union import AnyDefinition


class Common(Shared):
    """What all schedules accept; each has another name by default."""

    name: Annotated[str, Ignored("is a name")] = ""


library = Library("keras", common=Common)
library.metric_driven("ReduceLROnPlateau", "ReduceLROnPlateau(callback)")


@library.scheduler("ExponentialDecay")
def exponential_decay(
    case: Case,
    *,
    initial_learning_rate: float,
    decay_steps: Positive,
    decay_rate: float,
    staircase: bool = False,
) -> AnyDefinition:
    """
    `exponential`, or `step` if staircase.

    With decay_rate above 1 it holds where it would pass 1e100.
    """
    return exponential(initial_learning_rate, decay_rate, decay_steps, staircase=staircase)


@library.scheduler("PiecewiseConstantDecay")
def piecewise_constant(
    case: Case, *, boundaries: list[float], values: list[float]
) -> AnyDefinition:
    """
    `piecewise`.

    Each change comes one step after the boundary.
    """
    if len(boundaries) != len(values) - 1 or not boundaries:
        bound = f"{max(len(values) - 1, 1)} boundaries"
        raise case.wrong("boundaries", "must be one less than values", boundaries, bound)
    for before, after in pairwise(boundaries):
        if after < before:
            raise case.wrong("boundaries", "must not fall", after, f"≥ {before:g}")
    return levels([floor(boundary) + 1 for boundary in boundaries], values)


@library.scheduler("PolynomialDecay")
def polynomial_decay(
    case: Case,
    *,
    initial_learning_rate: float,
    decay_steps: Positive,
    end_learning_rate: float = 0.0001,
    power: float = 1.0,
    cycle: bool = False,
) -> AnyDefinition:
    """
    `polynomial`, or `linear` for power 1.

    With power 0 it never leaves the start.
    """
    start, end = initial_learning_rate, end_learning_rate
    if not cycle or power == 0:
        return polynomial(start, end, decay_steps, power)
    return over(
        decay_steps, lambda n: Polynomial(start=start, end=end, steps=n, power=power, cycle=True)
    )


@library.scheduler("InverseTimeDecay")
def inverse_time(
    case: Case,
    *,
    initial_learning_rate: float,
    decay_steps: Positive,
    decay_rate: float,
    staircase: bool = False,
) -> AnyDefinition:
    """`inverse_time`."""
    return InverseTime(
        start=initial_learning_rate, rate=decay_rate, every=decay_steps, staircase=staircase
    )


@library.scheduler("CosineDecay")
def cosine_decay(
    case: Case,
    *,
    initial_learning_rate: float,
    decay_steps: Positive,
    alpha: float = 0.0,
    warmup_target: float | None = None,
    warmup_steps: NotNegative = 0,
) -> AnyDefinition:
    """
    `cosine`, after a `warmup` if there is a warmup_target.

    decay_steps begins after the warm-up. Without warmup_target there is none, whatever
    warmup_steps is.
    """
    if warmup_target is None:
        return cosine(initial_learning_rate, alpha * initial_learning_rate, decay_steps)
    decay = cosine(warmup_target, alpha * warmup_target, decay_steps)
    return warmed(warmup_steps, decay, initial_learning_rate, peak=warmup_target)


@library.scheduler("CosineDecayRestarts")
def cosine_restarts(
    case: Case,
    *,
    initial_learning_rate: float,
    first_decay_steps: Positive,
    t_mul: float = 2.0,
    m_mul: float = 1.0,
    alpha: float = 0.0,
) -> AnyDefinition:
    """
    `cosine_restarts`.

    With alpha, m_mul shrinks what lies above alpha · initial_learning_rate. Keras finds the cycle
    by a rounded logarithm, and in float32 misses some restarts.
    """
    floor_value = alpha * initial_learning_rate
    if m_mul == 1 or alpha == 0:
        return restarts(initial_learning_rate, floor_value, first_decay_steps, t_mul, m_mul)
    waves = restarts(initial_learning_rate - floor_value, 0.0, first_decay_steps, t_mul, m_mul)
    return raised(floor_value, waves)


@library.scheduler("LearningRateScheduler", common=False)
def function(case: Case, *, schedule: Function, verbose: Verbose = 0) -> AnyDefinition:
    """Refused: a function is no data. Tabulate its values, and give them as a `table`."""
    raise case.wrong("schedule", "must be a function", schedule, "a function")
