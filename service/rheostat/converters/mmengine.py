"""
MMEngine: mmengine.optim.scheduler, for any field of the optimizer.

Names end in ParamScheduler, LR or Momentum. A scheduler acts in its window, begin ≤ step < end, and
leaves what it reached; before its window it leaves the value alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.core import Case, Conversion, Library, refused
from rheostat.converters.kit import (
    exponential,
    of_group,
    one_cycle,
    polynomial,
    scaled,
    sequence,
    since,
    value_at,
)
from rheostat.converters.parameters import (
    Count,
    LastEpoch,
    Length,
    NotNegative,
    Share,
    Shared,
    Steps,
    Verbose,
)
from rheostat.converters.reactions import ThresholdMode, metric_of, plateau
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_STEP
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.kinds.pointwise import Power
from rheostat.schedules.kinds.presets import Step
from rheostat.schedules.kinds.sequence import Part, Sequence
from rheostat.schedules.kinds.timing import Staircase, Stretch
from rheostat.schedules.union import AnyDefinition

ENDLESS = 10**9
"""MMEngine's end of a scheduler that has none."""
_OF_MOMENTUM = ("momentum", "beta1", "betas")
_MOST_STEPS = MAX_STEP + 1

library = Library("mmengine")


def named(stem: str) -> tuple[str, str, str]:
    """Return the names of a scheduler."""
    return f"{stem}ParamScheduler", f"{stem}LR", f"{stem}Momentum"


class Common(Shared):
    """What all schedulers take: when they act, by which clock, and which field they set."""

    begin: Count = 0
    end: Steps = ENDLESS
    last_step: LastEpoch = -1
    by_epoch: bool = True
    convert_to_iter_based: bool = False
    verbose: Verbose = False
    param_name: str | None = None

    def window(self, case: Case) -> Window:
        """Return the window of a scheduler, once it is clear that it sets what is asked for."""
        _check_field(case, self.param_name)
        if self.end <= self.begin:
            raise case.wrong("end", "must lie above begin", self.end, f"> {self.begin}")
        length, to_iters = case.context.steps_per_epoch, self.convert_to_iter_based
        if to_iters and not self.by_epoch:
            message = "is for schedulers that count epochs"
            raise case.wrong("convert_to_iter_based", message, to_iters, "by_epoch true")
        if to_iters and length is None:
            raise needs_epochs("counts the iterations of its epochs")
        factor = (length or 1) if to_iters else 1
        every = (length or 1) if self.by_epoch and not to_iters else 1
        end = self.end if self.end >= ENDLESS else self.end * factor
        return Window(case, self.begin * factor, end, factor, every)


@dataclass(frozen=True)
class Window:
    """When a scheduler acts, in its own counts, and what a count is in steps."""

    case: Case
    begin: int
    end: int
    factor: int
    """By what its lengths are multiplied: those of epochs that are converted to iterations."""
    every: int
    """How many steps it takes to count once."""

    @property
    def width(self) -> int:
        """How many counts the window has."""
        return self.end - self.begin

    def at_most(self, counts: int) -> Window:
        """Return the window, cut off after so many counts."""
        return replace(self, end=min(self.end, self.begin + counts))

    def laid_out(self, curve: AnyDefinition) -> AnyDefinition:
        """Return a curve that acts in the window: after it the last value in it holds."""
        last = self.width - 1
        if self.end < ENDLESS and (curve.length is None or curve.length > last):
            frozen = Constant(value=value_at(curve, 0))
            curve = Sequence(parts=(Part(schedule=curve, steps=last),)) if last else frozen
        start = (Constant(value=self.case.base), self.begin)
        return by_counts(sequence(start, then=curve) if self.begin else curve, self.every)


def by_counts(curve: AnyDefinition, every: int) -> AnyDefinition:
    """Return a curve that moves on once every so many steps."""
    if every == 1 or isinstance(curve, Constant):
        return curve
    if isinstance(curve, Multistep) and max(curve.milestones, default=0) * every < _MOST_STEPS:
        milestones = tuple(milestone * every for milestone in curve.milestones)
        return Multistep(start=curve.start, milestones=milestones, factor=curve.factor)
    if isinstance(curve, Step) and float(curve.every).is_integer():
        return Step(start=curve.start, every=curve.every * every, factor=curve.factor)
    return Staircase(of=Stretch(of=curve, ratio=float(every)), every=float(every))


def field_of(name: str, param_name: str | None) -> str | None:
    """Return the field that a scheduler of this name sets; None for whatever is asked for."""
    if name.endswith("Momentum"):
        return "momentum"
    return "lr" if name.endswith("LR") else param_name


def sets(name: str, param_name: str | None, hyperparameter: str) -> bool:
    """Return whether a scheduler of this name sets a hyperparameter."""
    field = field_of(name, param_name)
    if field == "momentum":
        return hyperparameter in _OF_MOMENTUM
    return field is None or field == hyperparameter


def needs_epochs(why: str) -> Invalid:
    """Return the error about the length of an epoch that is missing, to be raised."""
    return refused(FieldError("steps_per_epoch", f"is required: {why}", None, "≥ 1"))


def _check_field(case: Case, param_name: str | None) -> None:
    """Refuse a scheduler of another field than the one that is asked for."""
    if param_name is not None and not case.name.endswith("ParamScheduler"):
        message = f"is not a parameter of {case.name}"
        raise case.wrong("param_name", message, param_name, "not given")
    if sets(case.name, param_name, case.hyperparameter):
        return
    field = field_of(case.name, param_name)
    message = f"is not set by {case.name}, which sets the {field}"
    raise refused(FieldError("hyperparameter", message, case.hyperparameter, f"{field}"))


@library.scheduler(*named("Constant"), hyperparameters=None)
def constant(case: Case, common: Common, *, factor: Share = 1 / 3) -> AnyDefinition:
    """
    `sequence` of two constants.

    It returns to the base value one step before end.
    """
    window = common.window(case)
    steps = window.width - 1
    reduced = Constant(value=case.base * factor)
    curve = sequence((reduced, steps), then=Constant(value=case.base)) if steps else reduced
    return window.laid_out(curve)


@library.scheduler(*named("Linear"), hyperparameters=None)
def linear(
    case: Case, common: Common, *, start_factor: Share = 1 / 3, end_factor: Share = 1.0
) -> AnyDefinition:
    """
    `linear`.

    It reaches its end one step before end. With start_factor 0 MMEngine divides by zero.
    """
    window = common.window(case)
    steps = window.width - 1
    start = case.base * start_factor
    curve = polynomial(start, case.base * end_factor, steps) if steps else Constant(value=start)
    return window.laid_out(curve)


@library.scheduler(*named("Poly"), hyperparameters=None)
def poly(case: Case, common: Common, *, eta_min: float = 0.0, power: float = 1.0) -> AnyDefinition:
    """
    `polynomial`, or `linear` for power 1.

    It reaches its end one step before end.
    """
    window = common.window(case)
    steps = window.width - 1
    start = Constant(value=case.base)
    curve = polynomial(case.base, eta_min, steps, power) if steps else start
    return window.laid_out(curve)


@library.scheduler(*named("Step"), hyperparameters=None)
def step(case: Case, common: Common, *, step_size: Length, gamma: float = 0.1) -> AnyDefinition:
    """`step`."""
    window = common.window(case)
    curve = exponential(case.base, gamma, step_size * window.factor, staircase=True)
    return window.laid_out(curve)


@library.scheduler(*named("MultiStep"), hyperparameters=None)
def multistep(
    case: Case, common: Common, *, milestones: list[Count], gamma: float = 0.1
) -> AnyDefinition:
    """
    `multistep`.

    Milestones count from begin. A repeated one counts again.
    """
    window = common.window(case)
    places = tuple(place * window.factor for place in milestones)
    curve = Multistep(start=case.base, milestones=places, factor=gamma)
    return window.laid_out(curve)


@library.scheduler(*named("Exponential"), hyperparameters=None)
def decay(case: Case, common: Common, *, gamma: float) -> AnyDefinition:
    """
    `exponential`.

    With gamma above 1 it holds where it would pass 1e100.
    """
    window = common.window(case)
    return window.laid_out(exponential(case.base, gamma))


@library.scheduler(*named("CosineAnnealing"), hyperparameters=None)
def cosine(
    case: Case,
    common: Common,
    *,
    T_max: Count | None = None,
    eta_min: float | None = None,
    eta_min_ratio: float | None = None,
) -> AnyDefinition:
    """
    `cosine`, periodic: past T_max the wave goes on until end.

    T_max is the whole window by default, so that the end itself is never reached.
    """
    if eta_min is not None and eta_min_ratio is not None:
        message = "cannot stand beside eta_min"
        raise case.wrong("eta_min_ratio", message, eta_min_ratio, "eta_min or eta_min_ratio")
    lowest = case.base * eta_min_ratio if eta_min_ratio is not None else eta_min or 0.0
    window = common.window(case)
    steps = (T_max or 0) * window.factor or window.width
    wave = Cosine(start=case.base, end=lowest, steps=steps, periodic=True)
    return window.laid_out(wave)


@library.scheduler(*named("CosineRestart"), hyperparameters=None)
def restarts(
    case: Case,
    common: Common,
    *,
    periods: Annotated[list[Length], Field(min_length=1)],
    restart_weights: list[float] = [1.0],  # noqa: B006
    eta_min: float | None = None,
    eta_min_ratio: float | None = None,
) -> AnyDefinition:
    """
    `sequence` of cosines.

    After the last one its last value, one step before its end, holds.
    """
    if (eta_min is None) == (eta_min_ratio is None):
        bound = "eta_min or eta_min_ratio"
        raise case.wrong("eta_min", "is required, or eta_min_ratio, but not both", eta_min, bound)
    if len(restart_weights) != len(periods):
        bound = f"{len(periods)} weights"
        raise case.wrong("restart_weights", "must fit the periods", restart_weights, bound)
    lowest = case.base * eta_min_ratio if eta_min_ratio is not None else eta_min or 0.0
    window = common.window(case)
    lengths = [steps * window.factor for steps in periods]
    waves = [
        (Cosine(start=case.base * weight, end=lowest, steps=steps), steps)
        for weight, steps in zip(restart_weights, lengths, strict=True)
    ]
    *_, whole = accumulate(lengths)
    curve = sequence(*waves[:-1], then=waves[-1][0])
    return window.at_most(whole).laid_out(curve)


@library.scheduler(*named("QuadraticWarmup"), hyperparameters=None)
def quadratic(case: Case, common: Common) -> AnyDefinition:
    """
    `power` of a line to the base value that is one step ahead.

    It is a scheduler of MMDetection and MMPose, for YOLOX, and must have an end.
    """
    if common.end >= ENDLESS:
        raise case.wrong("end", "is required", None, f"> {common.begin}")
    window = common.window(case)
    line = since(1, Linear(start=0.0, end=1.0, steps=window.width))
    return window.laid_out(scaled(case.base, Power(of=line, exponent=2.0)))


@library.scheduler("OneCycleParamScheduler", "OneCycleLR")
def onecycle(
    case: Case,
    common: Common,
    *,
    eta_max: float | list[float] = 0.0,
    total_steps: Length | None = None,
    pct_start: Share = 0.3,
    anneal_strategy: Literal["cos", "linear"] = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
) -> AnyDefinition:
    """
    `one_cycle` of total_steps − 1 steps.

    The optimizer's own value plays no part. At step total_steps, which MMEngine still accepts, it
    runs past the end; the definition holds.
    """
    window = common.window(case)
    total = (total_steps or 0) * window.factor or window.width
    peak = of_group(case, "eta_max", eta_max)
    start = peak / div_factor
    values, up = (start, peak, start / final_div_factor), ("pct_start", pct_start)
    shape: Literal["cosine", "linear"] = "cosine" if anneal_strategy == "cos" else "linear"
    curve = one_cycle(case, values, total, up, shape, three_phase=three_phase)
    return window.laid_out(curve)


@library.controller(*named("ReduceOnPlateau"), hyperparameters=None)
def reduce_on_plateau(
    case: Case,
    *,
    param_name: str | None = None,
    monitor: str = "loss",
    rule: Literal["less", "greater"] = "less",
    factor: float = 0.1,
    patience: Count = 10,
    threshold: NotNegative = 1e-4,
    threshold_rule: ThresholdMode = "rel",
    cooldown: Count = 0,
    min_value: float | list[float] = 0.0,
    eps: NotNegative = 1e-8,
    begin: Count = 0,
    end: Steps = ENDLESS,
    last_step: LastEpoch = -1,
    by_epoch: bool = True,
    verbose: Verbose = False,
) -> Conversion:
    """
    `plateau`, reading `mmengine`.

    begin needs steps_per_epoch, and becomes the `start`; an end is refused, for a controller has
    none. Where min_value has a floor for each group, it is that of the group.
    """
    _check_field(case, param_name)
    if end < ENDLESS:
        message = "is nothing that a controller has"
        raise case.wrong("end", message, end, f"≥ {ENDLESS}; disarm it in the run")
    if not by_epoch:
        raise case.wrong("by_epoch", "must be true, as MMEngine requires", by_epoch, "true")
    mode: Literal["min", "max"] = "min" if rule == "less" else "max"
    return plateau(
        case,
        "mmengine",
        metric_of(case, mode, monitor),
        mode,
        factor=factor,
        patience=patience,
        threshold=threshold,
        threshold_mode=threshold_rule,
        cooldown=cooldown,
        min=of_group(case, "min_value", min_value),
        eps=eps,
        start=begin * case.every("begin") if begin else None,
    )


@library.controller("EarlyStoppingHook")
def early_stopping(
    case: Case,
    *,
    monitor: str,
    rule: str | None = None,
    min_delta: float = 0.1,
    strict: bool = False,
    check_finite: bool = True,
    patience: int = 5,
    stopping_threshold: float | None = None,
) -> Conversion:
    """
    Refused: what is better by exactly min_delta is better there, and to no reading of a stop.

    With min_delta 0 it goes on for as long as the metric stays the same. The nearest is a `stop` of
    reading `lightning`, with the same fields.
    """
    message = "takes what is better by exactly min_delta for better, as no reading of a stop does"
    bound = "the nearest is EarlyStopping of lightning"
    raise refused(FieldError(case.name_field, message, case.name, bound))
