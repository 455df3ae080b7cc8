"""Paddle: paddle.optimizer.lr, stepped by `step()`, and the callbacks of paddle.hapi."""

from __future__ import annotations

from itertools import pairwise
from math import exp
from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.core import Case, Conversion, Library, Nested
from rheostat.converters.kit import (
    Mode,
    cyclic_by_mode,
    exponential,
    levels,
    noam,
    one_cycle,
    polynomial,
    warmed,
)
from rheostat.converters.parameters import (
    Count,
    Function,
    Ignored,
    Length,
    NotNegative,
    Positive,
    Resumed,
    ScaleMode,
    Share,
    Shared,
    Steps,
    Verbose,
)
from rheostat.converters.reactions import (
    Asked,
    ThresholdMode,
    checks,
    metric_of,
    plateau,
    stop,
)
from rheostat.converters.reactions import Mode as Best
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial
from rheostat.schedules.kinds.cycles import CosineRestarts
from rheostat.schedules.kinds.decays import Exponential, InverseTime
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.union import AnyDefinition


class Common(Resumed):
    """What all schedulers accept."""

    verbose: Verbose = False


library = Library("paddle", common=Common)

Gamma = Annotated[float, Field(lt=1)]


@library.scheduler("LambdaDecay", "MultiplicativeDecay")
def function(
    case: Case,
    *,
    learning_rate: NotNegative,
    lr_lambda: Function,
) -> AnyDefinition:
    """Refused: a function is no data. Tabulate its values, and give them as a `table`."""
    raise case.wrong("lr_lambda", "must be a function", lr_lambda, "a function")


@library.scheduler("NoamDecay")
def noam_decay(
    case: Case,
    *,
    d_model: Positive,
    warmup_steps: Length,
    learning_rate: NotNegative = 1.0,
) -> AnyDefinition:
    """`warmup` to an `inverse_sqrt`, from 0 to learning_rate / √(d_model · warmup_steps)."""
    return noam(learning_rate * d_model**-0.5 * warmup_steps**-0.5, warmup_steps)


@library.scheduler("PiecewiseDecay")
def piecewise(
    case: Case,
    *,
    boundaries: Annotated[list[float], Field(min_length=1)],
    values: list[float],
) -> AnyDefinition:
    """
    `piecewise`.

    Each change comes at the boundary itself. Of more values than are needed, the last one ends it.
    """
    if len(values) <= len(boundaries):
        bound = f"≥ {len(boundaries) + 1} values"
        raise case.wrong("values", "must be one more than boundaries", values, bound)
    return levels(boundaries, values)


@library.scheduler("NaturalExpDecay")
def natural_exponential(
    case: Case,
    *,
    learning_rate: NotNegative,
    gamma: Positive,
) -> AnyDefinition:
    """`exponential` by the factor 1/e every 1/gamma steps."""
    return Exponential(start=learning_rate, factor=exp(-1), every=1 / gamma)


@library.scheduler("InverseTimeDecay")
def inverse_time(
    case: Case,
    *,
    learning_rate: NotNegative,
    gamma: float,
) -> AnyDefinition:
    """`inverse_time`."""
    return InverseTime(start=learning_rate, rate=gamma)


@library.scheduler("PolynomialDecay")
def polynomial_decay(
    case: Case,
    *,
    learning_rate: NotNegative,
    decay_steps: Length,
    end_lr: float = 0.0001,
    power: Positive = 1.0,
    cycle: bool = False,
) -> AnyDefinition:
    """`polynomial`, or `linear` for power 1."""
    if not cycle:
        return polynomial(learning_rate, end_lr, decay_steps, power)
    return Polynomial(start=learning_rate, end=end_lr, steps=decay_steps, power=power, cycle=True)


@library.scheduler("LinearWarmup")
def warmup(
    case: Case,
    *,
    learning_rate: float | Nested,
    warmup_steps: Length,
    start_lr: float,
    end_lr: float,
) -> AnyDefinition:
    """
    `warmup`, or a `sequence` if what follows does not begin at end_lr.

    A CosineAnnealingWarmRestarts inside misses some restarts by one step; the definition does not.
    """
    if end_lr <= start_lr:
        raise case.wrong("end_lr", "must lie above start_lr", end_lr, f"> {start_lr:g}")
    if isinstance(learning_rate, Nested):
        then = case.nested(learning_rate, "learning_rate")
    else:
        then = Constant(value=learning_rate)
    return warmed(warmup_steps, then, start_lr, peak=end_lr)


@library.scheduler("ExponentialDecay")
def exponential_decay(
    case: Case,
    *,
    learning_rate: NotNegative,
    gamma: Annotated[float, Field(gt=0, lt=1)],
) -> AnyDefinition:
    """`exponential`."""
    return Exponential(start=learning_rate, factor=gamma)


@library.scheduler("MultiStepDecay")
def multistep(
    case: Case,
    *,
    learning_rate: NotNegative,
    milestones: list[Steps],
    gamma: Gamma = 0.1,
) -> AnyDefinition:
    """`multistep`."""
    for before, after in pairwise(milestones):
        if after <= before:
            raise case.wrong("milestones", "must rise", after, f"> {before}")
    places = tuple(max(milestone, 0) for milestone in milestones)
    return Multistep(start=learning_rate, milestones=places, factor=gamma)


@library.scheduler("StepDecay")
def step(
    case: Case,
    *,
    learning_rate: NotNegative,
    step_size: Length,
    gamma: Gamma = 0.1,
) -> AnyDefinition:
    """`step`."""
    return exponential(learning_rate, gamma, step_size, staircase=True)


@library.scheduler("CosineAnnealingDecay")
def cosine(
    case: Case,
    *,
    learning_rate: NotNegative,
    T_max: Length,
    eta_min: float = 0.0,
) -> AnyDefinition:
    """`cosine`, periodic: past T_max the wave goes on."""
    return Cosine(start=learning_rate, end=eta_min, steps=T_max, periodic=True)


@library.scheduler("CosineAnnealingWarmRestarts")
def restarts(
    case: Case,
    *,
    learning_rate: NotNegative,
    T_0: Length,
    T_mult: Annotated[Steps, Field(ge=1)] = 1,
    eta_min: float = 0.0,
) -> AnyDefinition:
    """
    `cosine_restarts`.

    `step(epoch)` finds the cycle by a rounded logarithm, and misses some restarts by one step;
    `step()` and the definition do not.
    """
    return CosineRestarts(start=learning_rate, end=eta_min, period=T_0, period_factor=T_mult)


@library.scheduler("LinearLR")
def linear(
    case: Case,
    *,
    learning_rate: NotNegative,
    total_steps: Length,
    start_factor: Annotated[float, Field(gt=0, le=1)] = 1 / 3,
    end_factor: Share = 1.0,
) -> AnyDefinition:
    """`linear`."""
    start, end = learning_rate * start_factor, learning_rate * end_factor
    return Linear(start=start, end=end, steps=total_steps)


@library.scheduler("OneCycleLR")
def onecycle(
    case: Case,
    *,
    max_learning_rate: NotNegative,
    total_steps: Length,
    divide_factor: float = 25.0,
    end_learning_rate: NotNegative = 0.0001,
    phase_pct: Share = 0.3,
    anneal_strategy: Literal["cos", "linear"] = "cos",
    three_phase: bool = False,
) -> AnyDefinition:
    """
    `one_cycle` of total_steps − 1 steps.

    end_learning_rate is the value itself, no factor. At step total_steps, which Paddle still
    accepts, it runs past the end, a line even below zero; the definition holds.
    """
    if three_phase and phase_pct >= 0.5:
        raise case.wrong("phase_pct", "must be below a half for three phases", phase_pct, "< 0.5")
    return one_cycle(
        case,
        (max_learning_rate / divide_factor, max_learning_rate, end_learning_rate),
        total_steps,
        ("phase_pct", phase_pct),
        "cosine" if anneal_strategy == "cos" else "linear",
        three_phase=three_phase,
    )


@library.scheduler("CyclicLR")
def cyclic(
    case: Case,
    *,
    base_learning_rate: NotNegative,
    max_learning_rate: NotNegative,
    step_size_up: Positive,
    step_size_down: Positive | None = None,
    mode: Mode = "triangular",
    exp_gamma: float = 1.0,
    scale_fn: Function | None = None,
    scale_mode: ScaleMode = "cycle",
) -> AnyDefinition:
    """
    `cyclic`.

    exp_range shrinks with every step, not with every cycle. scale_fn cannot be converted.
    """
    low, high = base_learning_rate, max_learning_rate
    return cyclic_by_mode(low, high, step_size_up, step_size_down, mode, exp_gamma)


@library.controller("ReduceOnPlateau")
def reduce_on_plateau(
    case: Case,
    *,
    learning_rate: NotNegative | None = None,
    mode: Best = "min",
    factor: float = 0.1,
    patience: Count = 10,
    threshold: NotNegative = 1e-4,
    threshold_mode: ThresholdMode = "rel",
    cooldown: Count = 0,
    min_lr: float = 0.0,
    epsilon: NotNegative = 1e-8,
    verbose: Verbose = False,
) -> Conversion:
    """`plateau`, reading `paddle`, and with learning_rate a `constant` beside it."""
    return plateau(
        case,
        "paddle",
        metric_of(case, mode),
        mode,
        definition=None if learning_rate is None else Constant(value=learning_rate),
        factor=factor,
        patience=patience,
        threshold=threshold,
        threshold_mode=threshold_mode,
        cooldown=cooldown,
        min=min_lr,
        eps=epsilon,
    )


class Monitored(Shared):
    """What a callback watches, and when a value is better than another one."""

    monitor: str = "loss"
    mode: Asked = "auto"
    verbose: Verbose = 1

    @property
    def wanted(self) -> Best:
        """The mode; with ``auto`` an accuracy is to be great, and all else to be small."""
        if self.mode != "auto":
            return self.mode
        return "max" if "acc" in self.monitor else "min"

    def metric(self, case: Case) -> str:
        """Return what the reports call the metric."""
        return metric_of(case, self.wanted, self.monitor)


@library.controller("callbacks.ReduceLROnPlateau", "ReduceLROnPlateau")
def callback_on_plateau(
    case: Case,
    monitored: Monitored,
    *,
    factor: float = 0.1,
    patience: Count = 10,
    min_delta: NotNegative = 1e-4,
    cooldown: Count = 0,
    min_lr: float = 0.0,
) -> Conversion:
    """
    `plateau`, reading `keras`.

    A first report that is no number becomes the best one there, and none is better: Paddle's
    callback goes on with the next one.
    """
    return plateau(
        case,
        "keras",
        monitored.metric(case),
        monitored.wanted,
        factor=factor,
        patience=patience,
        threshold=min_delta,
        cooldown=cooldown,
        min=min_lr,
    )


@library.controller("callbacks.EarlyStopping", "EarlyStopping")
def early_stopping(
    case: Case,
    monitored: Monitored,
    *,
    patience: Count = 0,
    min_delta: float = 0.0,
    baseline: float | None = None,
    save_best_model: Annotated[
        bool, Ignored("saves a checkpoint, which is the training's own affair")
    ] = True,
) -> Conversion:
    """
    `stop`, reading `lightning`, with check_finite false.

    Of min_delta the size counts. Without patience, as by default, Paddle stops at the first
    report: refused. So is a baseline: there it is the first best value, which no reading has.
    """
    if baseline is not None:
        message = "is the first best value there, which no reading of a stop has"
        raise case.wrong("baseline", message, baseline, "null")
    return stop(
        case,
        "lightning",
        monitored.metric(case),
        monitored.wanted,
        patience=checks(case, patience),
        min_delta=abs(min_delta),
        check_finite=False,
    )
