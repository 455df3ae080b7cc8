"""
Keras: keras.optimizers.schedules, and what reacts to a metric of keras.callbacks.

Schedules are functions of the step, in float64 (floatx float64).
"""

from __future__ import annotations

from itertools import pairwise
from math import floor
from typing import Annotated

from rheostat.converters.core import Case, Conversion, Library
from rheostat.converters.kit import (
    cosine,
    exponential,
    lasting,
    levels,
    over,
    polynomial,
    raised,
    restarts,
    warmed,
)
from rheostat.converters.parameters import (
    Count,
    Function,
    Ignored,
    NotNegative,
    Positive,
    Shared,
    Verbose,
)
from rheostat.converters.reactions import Asked, Mode, metric_of, plateau, stop
from rheostat.schedules.kinds.curves import Polynomial
from rheostat.schedules.kinds.decays import InverseTime
from rheostat.schedules.union import AnyDefinition


class Common(Shared):
    """What all schedules accept; each has another name by default."""

    name: Annotated[str, Ignored("is a name")] = ""


library = Library("keras", common=Common)


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
    t_mul: Positive = 2.0,
    m_mul: float = 1.0,
    alpha: float = 0.0,
) -> AnyDefinition:
    """
    `cosine_restarts`.

    With alpha, m_mul shrinks what lies above alpha · initial_learning_rate. Keras finds the cycle
    by a rounded logarithm, and in float32 misses some restarts. Where t_mul is below 1, its values
    are no numbers once all cycles are over: total must say that the training ends before that.
    """
    floor_value = alpha * initial_learning_rate
    cycles = lasting(case, "t_mul", first_decay_steps, t_mul)

    def waves(start: float, end: float) -> AnyDefinition:
        return restarts(start, end, first_decay_steps, t_mul, m_mul, cycles=cycles)

    if m_mul != 1 and alpha != 0:
        return raised(floor_value, waves(initial_learning_rate - floor_value, 0.0))
    return waves(initial_learning_rate, floor_value)


@library.scheduler("LearningRateScheduler", common=False)
def function(case: Case, *, schedule: Function, verbose: Verbose = 0) -> AnyDefinition:
    """Refused: a function is no data. Tabulate its values, and give them as a `table`."""
    raise case.wrong("schedule", "must be a function", schedule, "a function")


class Monitored(Shared):
    """What is watched, and when a value is better than another one."""

    monitor: str = "val_loss"
    mode: Asked = "auto"
    verbose: Verbose = 0

    def wanted(self, case: Case) -> Mode:
        """Return the mode; of ``auto`` Keras knows that a loss is to be small."""
        if self.mode != "auto":
            return self.mode
        if self.monitor.removeprefix("val_") == "loss":
            return "min"
        message = f"cannot be told by the name {self.monitor}: Keras asks the model's metrics"
        raise case.wrong("mode", message, self.mode, "min or max")

    def metric(self, case: Case) -> str:
        """Return what the reports call the metric."""
        return metric_of(case, self.wanted(case), self.monitor)


@library.controller("ReduceLROnPlateau", "ReduceLROnPlateau(callback)")
def reduce_on_plateau(
    case: Case,
    monitored: Monitored,
    *,
    factor: float = 0.1,
    patience: Count = 10,
    min_delta: float = 1e-4,
    cooldown: Count = 0,
    min_lr: float = 0.0,
) -> Conversion:
    """
    `plateau`, reading `keras`.

    Of min_delta the size counts. With auto, a metric other than a loss needs the mode.
    """
    return plateau(
        case,
        "keras",
        monitored.metric(case),
        monitored.wanted(case),
        factor=factor,
        patience=patience,
        threshold=abs(min_delta),
        cooldown=cooldown,
        min=min_lr,
    )


@library.controller("EarlyStopping", "EarlyStopping(callback)")
def early_stopping(
    case: Case,
    monitored: Monitored,
    *,
    min_delta: float = 0.0,
    patience: Count = 0,
    baseline: float | None = None,
    restore_best_weights: bool = False,
    start_from_epoch: Count = 0,
) -> Conversion:
    """
    `stop`, reading `keras`.

    Of min_delta the size counts. start_from_epoch needs steps_per_epoch, and becomes the `start`.
    A stop restores no weights: restore_best_weights is refused.
    """
    if restore_best_weights:
        message = "is the training's own affair: a stop restores no weights"
        bound = "false; load the checkpoint of the best report after the stop"
        raise case.wrong("restore_best_weights", message, restore_best_weights, bound)
    start = start_from_epoch * case.every("start_from_epoch") + 1 if start_from_epoch else None
    return stop(
        case,
        "keras",
        monitored.metric(case),
        monitored.wanted(case),
        patience=patience,
        min_delta=abs(min_delta),
        baseline=baseline,
        start=start,
    )
