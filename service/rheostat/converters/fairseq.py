"""
fairseq: fairseq.optim.lr_scheduler, by class or by the name that `--lr-scheduler` takes.

What reacts to a metric watches best_checkpoint_metric, in the direction of
maximize_best_checkpoint_metric.
"""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Mapping
from itertools import groupby
from typing import Annotated, Any

from pydantic import Field

from rheostat.converters.core import Case, Conversion, Library
from rheostat.converters.kit import (
    Phase,
    cosine,
    exponential,
    lasting,
    phases,
    polynomial,
    since,
    times,
    triangles,
    warmed,
)
from rheostat.converters.parameters import (
    Count,
    Length,
    NotNegative,
    Positive,
    Share,
    Shared,
    Steps,
)
from rheostat.converters.reactions import Mode, metric_of, plateau, stop
from rheostat.limits import MAX_POINTS
from rheostat.schedules.kinds.curves import Constant, Linear
from rheostat.schedules.kinds.cycles import CosineRestarts
from rheostat.schedules.kinds.decays import Exponential, InverseSqrt
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.pointwise import Sum
from rheostat.schedules.kinds.presets import Step
from rheostat.schedules.kinds.repeat import Repeat
from rheostat.schedules.union import AnyDefinition

library = Library("fairseq")


class LearningRates(Shared):
    """The learning rate, or one for each epoch: else the base value."""

    lr: float | Annotated[list[float], Field(min_length=1)] | None = None

    def all(self, case: Case) -> list[float]:
        """Return the rates, one or more."""
        if self.lr is None:
            return [case.base]
        return self.lr if isinstance(self.lr, list) else [self.lr]

    def first(self, case: Case) -> float:
        """Return the first rate, whatever follows it."""
        return self.all(case)[0]

    def only(self, case: Case) -> float:
        """Return the learning rate; several are for other schedulers."""
        first, *others = self.all(case)
        if others:
            message = f"has several values, which {case.name} takes none of"
            raise case.wrong("lr", message, self.lr, "one")
        return first


class Warm(LearningRates):
    """A warm-up to the learning rate."""

    warmup_updates: Count = 0
    warmup_init_lr: float = -1.0

    def before(self, curve: AnyDefinition, lowest: float) -> AnyDefinition:
        """Return the warm-up to a curve, from the lowest value unless it has another start."""
        start = self.warmup_init_lr if self.warmup_init_lr >= 0 else lowest
        return warmed(self.warmup_updates, curve, start)


@library.scheduler("InverseSquareRootSchedule", "inverse_sqrt")
def inverse_sqrt(case: Case, warm: Warm, *, warmup_updates: Count = 4000) -> AnyDefinition:
    """
    `warmup` to an `inverse_sqrt` of the same timescale.

    It starts from 0 unless warmup_init_lr is given. Without a warm-up fairseq divides by zero.
    """
    if warmup_updates == 0:
        raise case.wrong("warmup_updates", "is a division by zero", warmup_updates, "≥ 1")
    return warm.before(InverseSqrt(start=warm.only(case), timescale=warmup_updates), 0.0)


@library.scheduler("PolynomialDecayLRSchedule", "polynomial_decay")
def polynomial_decay(
    case: Case,
    rates: LearningRates,
    *,
    warmup_updates: Count = 0,
    force_anneal: Steps | None = None,
    end_learning_rate: float = 0.0,
    power: NotNegative = 1.0,
    total_num_update: Positive | None = None,
    max_update: Positive | None = None,
) -> AnyDefinition:
    """
    `warmup` to a `polynomial` decay.

    total_num_update counts the warm-up, and is max_update unless it is given. From epoch
    force_anneal on fairseq takes each epoch's last rate for its peak: refused.
    """
    if force_anneal is not None:
        message = "lets each epoch decay anew from the last one's rate: there is no formula"
        raise case.wrong("force_anneal", message, force_anneal, "null")
    total = total_num_update or max_update
    if total is None:
        raise case.wrong("total_num_update", "is required, or else max_update", None, "> 0")
    peak, end, length = rates.only(case), end_learning_rate, total - warmup_updates
    if length > 0 and power > 0:
        return warmed(warmup_updates, polynomial(peak, end, length, power))
    rise = Linear(start=0.0, end=peak, steps=max(1, warmup_updates))
    held = Phase(Constant(value=peak), until=total)
    until = warmup_updates + 1 if warmup_updates > 0 else 0
    return phases(Phase(rise, until=until), held, Phase(Constant(value=end)))


@library.scheduler("StepLRSchedule", "step")
def step(
    case: Case,
    warm: Warm,
    *,
    min_lr: NotNegative = 0.0,
    lr_deacy_period: Length = 25000,
    lr_decay: Share = 0.5,
) -> AnyDefinition:
    """
    `warmup` to a `step`, or to an `exponential` staircase with a floor.

    The warm-up starts from min_lr unless warmup_init_lr is given. The option is spelled
    lr_deacy_period in fairseq.
    """
    peak = warm.first(case)
    if peak <= min_lr:
        raise case.wrong("min_lr", "must be below lr", min_lr, f"< {peak}")
    if min_lr == 0:
        return warm.before(Step(start=peak, every=lr_deacy_period, factor=lr_decay), min_lr)
    curve = Exponential(
        start=peak, factor=lr_decay, every=lr_deacy_period, staircase=True, floor=min_lr
    )
    return warm.before(curve, min_lr)


@library.scheduler("TriStageLRSchedule", "tri_stage")
def tri_stage(
    case: Case,
    rates: LearningRates,
    *,
    warmup_steps: Count = 0,
    hold_steps: Count = 0,
    decay_steps: Count = 0,
    phase_ratio: Annotated[list[float], Field(min_length=3, max_length=3)] | None = None,
    init_lr_scale: float = 0.01,
    final_lr_scale: Positive = 0.01,
    max_update: NotNegative | None = None,
) -> AnyDefinition:
    """
    `sequence` of a line, a constant and a geometric decay.

    phase_ratio gives the lengths as shares of max_update, each rounded down by itself, so that
    they may add up to less.
    """
    warmup, hold, decay = warmup_steps, hold_steps, decay_steps
    if phase_ratio is not None:
        warmup, hold, decay = _shares(case, phase_ratio, max_update)
    if decay == 0:
        field = "decay_steps" if phase_ratio is None else "phase_ratio"
        raise case.wrong(field, "leaves no decay, which is a division by zero", decay, "≥ 1")
    peak = rates.only(case)
    ends = ((0.0, peak), (float(decay), peak * final_lr_scale))
    fall = Piecewise(points=ends, interpolation="geometric")
    start = warmup + hold
    held = Phase(Constant(value=peak), until=start)
    rise = Linear(start=peak * init_lr_scale, end=peak, steps=max(1, warmup))
    return phases(Phase(rise, until=warmup), held, Phase(fall, origin=start))


def _shares(case: Case, ratio: list[float], total: float | None) -> tuple[int, int, int]:
    if not total:
        raise case.wrong("max_update", "is required for phase_ratio", total, "> 0")
    if sum(ratio) != 1:
        raise case.wrong("phase_ratio", "must add up to exactly 1", ratio, f"not {sum(ratio)!r}")
    return int(total * ratio[0]), int(total * ratio[1]), int(total * ratio[2])


@library.scheduler("CosineLRSchedule", "cosine")
def restarts(
    case: Case,
    warm: Warm,
    *,
    max_update: NotNegative | None = None,
    min_lr: float = 0.0,
    t_mult: Positive = 1.0,
    lr_period_updates: float = -1.0,
    lr_shrink: NotNegative = 0.1,
) -> AnyDefinition:
    """
    `warmup` to `cosine_restarts`.

    The period is what max_update leaves after the warm-up unless lr_period_updates is given; past
    it the next one begins, with both ends times lr_shrink. The warm-up starts from min_lr, not
    from lr as its help says. With a t_mult other than 1 fairseq finds the cycle by a rounded
    logarithm, and misses some restarts by one step.
    """
    peak = warm.only(case)
    floor = min(min_lr, peak)
    period = lr_period_updates
    if period <= 0:
        if not max_update:
            raise case.wrong("max_update", "is required, or else lr_period_updates", None, "> 0")
        period = max_update - warm.warmup_updates
    cycles = lasting(case, "t_mult", period, t_mult)
    if floor == 0:
        waves: AnyDefinition = CosineRestarts(
            start=peak,
            end=0.0,
            period=period,
            period_factor=t_mult,
            peak_factor=lr_shrink,
            cycles=cycles,
        )
    else:
        wave = cosine(peak, floor, period)
        waves = Repeat(
            of=wave, every=period, period_factor=t_mult, peak_factor=lr_shrink, cycles=cycles
        )
    return warm.before(waves, floor)


@library.scheduler("TriangularLRSchedule", "triangular")
def triangular(
    case: Case,
    rates: LearningRates,
    *,
    max_lr: float,
    lr_period_updates: Annotated[float, Field(ge=2)] = 5000,
    lr_shrink: NotNegative = 0.1,
    shrink_min: bool = False,
) -> AnyDefinition:
    """
    `cyclic`; if it shrinks, a repeated triangle.

    max_lr shrinks with each cycle, and lr only with shrink_min: from some cycle on the peak lies
    below the minimum. An odd period is rounded down.
    """
    low, half = rates.only(case), lr_period_updates // 2
    if max_lr <= low:
        raise case.wrong("max_lr", "must be above lr", max_lr, f"> {low}")
    if lr_shrink == 1:
        return triangles(low, max_lr, half, half)

    def repeated(outer: float, middle: float, shrink: float) -> AnyDefinition:
        triangle = Piecewise(points=((0.0, outer), (half, middle), (2 * half, outer)))
        return Repeat(of=triangle, every=2 * half, peak_factor=shrink)

    if shrink_min:
        return repeated(low, max_lr, lr_shrink)
    return Sum(of=(repeated(0.0, max_lr, lr_shrink), repeated(low, 0.0, 1.0)))


Written = str | dict[str, float]
"""A dictionary, or the text of one."""


@library.scheduler("FixedLRSchedule", "fixed")
def fixed(
    case: Case,
    rates: LearningRates,
    *,
    force_anneal: Annotated[Steps, Field(ge=1)] | None = None,
    lr_shrink: NotNegative = 0.1,
    warmup_updates: Count = 0,
) -> AnyDefinition:
    """
    `piecewise` by epochs; with a warm-up, the first epoch's value by updates.

    fairseq numbers epochs from 1, and so does the definition. The warm-up counts updates, which
    are no epochs: with one the definition counts updates. steps_per_epoch says how many make an
    epoch; without it the training is taken to end with its first one.
    """
    listed = rates.all(case)
    if warmup_updates == 0:
        return _by_epochs(listed, force_anneal, lr_shrink)
    length = case.context.steps_per_epoch
    if length is not None:
        annealed = None if force_anneal is None else (force_anneal - 1) * length
        by_updates = _by_epochs(listed, annealed, lr_shrink, first=0, length=length)
        return times(_rise(1.0, warmup_updates), by_updates)
    if force_anneal is not None:
        message = "counts epochs beside a warm-up of updates: steps_per_epoch is required"
        raise case.wrong("force_anneal", message, force_anneal, "null")
    return _rise(listed[0], warmup_updates)


def _rise(peak: float, steps: int) -> AnyDefinition:
    """Return a line to a peak, one step ahead, which holds."""
    return since(1, Linear(start=0.0, end=peak, steps=steps))


def _by_epochs(
    rates: list[float], anneal: int | None, shrink: float, *, first: int = 1, length: int = 1
) -> AnyDefinition:
    """Return a rate for each epoch, which shrinks in each from a step on."""
    listed = _steps([(first + epoch * length, rate) for epoch, rate in enumerate(rates)])
    if anneal is None:
        return listed
    annealed = exponential(rates[-1] * shrink, shrink, length, staircase=length > 1)
    return phases(Phase(listed, until=anneal), Phase(annealed, origin=anneal))


@library.scheduler("ManualSchedule", "manual")
def manual(
    case: Case, rates: LearningRates, *, epoch2lr: Written = "{}", update2lr: Written = "{}"
) -> AnyDefinition:
    """
    `piecewise`: the value of the largest key that is not above the step.

    Keys name a step, several ("11,12") or a range ("1-10"). The definition counts the updates of
    update2lr, or the epochs of epoch2lr, which fairseq numbers from 1.
    """
    by_epoch, by_update = _read(case, "epoch2lr", epoch2lr), _read(case, "update2lr", update2lr)
    if by_epoch and by_update:
        message = "cannot stand beside update2lr: a definition counts epochs or updates"
        raise case.wrong("epoch2lr", message, epoch2lr, "one of both")
    values = by_epoch or by_update
    first = rates.first(case)
    return _steps([(0, values.get(1, first)), *sorted(values.items())])


def _steps(points: list[tuple[int, float]]) -> AnyDefinition:
    """Return the value of the last point, a constant if there is but one."""
    kept = [next(group) for _, group in groupby(dict(points).items(), key=lambda item: item[1])]
    if len(kept) == 1:
        return Constant(value=kept[0][1])
    places = tuple((float(step), value) for step, value in kept)
    return Piecewise(points=places, interpolation="previous")


def _read(case: Case, parameter: str, written: Written) -> dict[int, float]:
    """Return the value of each step that is named; later names win."""
    values: dict[int, float] = {}
    for key, value in _parsed(case, parameter, written).items():
        for steps in _named(case, parameter, key):
            if len(values) + len(steps) > MAX_POINTS:
                bound = f"≤ {MAX_POINTS} steps in all"
                raise case.wrong(parameter, "names too many steps", key, bound)
            values.update(dict.fromkeys(steps, float(value)))
    return values


def _parsed(case: Case, parameter: str, written: Written) -> Mapping[str, float]:
    if isinstance(written, dict):
        return written
    try:
        parsed: Any = literal_eval(written.replace(" ", ""))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict) or not all(_is_entry(item) for item in parsed.items()):
        bound = "{'1-10': 1e-3, '11,12': 5e-4}"
        raise case.wrong(parameter, "must be a dictionary of steps", written, bound)
    return parsed


def _is_entry(item: tuple[Any, Any]) -> bool:
    return isinstance(item[0], str) and type(item[1]) in {int, float}


def _named(case: Case, parameter: str, key: str) -> list[range]:
    """Return the steps that a key names."""
    try:
        if "," in key:
            return [range(int(part), int(part) + 1) for part in key.split(",")]
        first, _, last = key.partition("-")
        return [range(int(first), int(last or first) + 1)]
    except ValueError:
        bound = '"20", "11,12" or "1-10"'
        raise case.wrong(parameter, "has a key that names no steps", key, bound) from None


class Checkpoints(Shared):
    """The metric by which fairseq knows its best checkpoint."""

    best_checkpoint_metric: str = "loss"
    maximize_best_checkpoint_metric: bool = False

    @property
    def mode(self) -> Mode:
        """Whether the metric is to be small or great."""
        return "max" if self.maximize_best_checkpoint_metric else "min"

    def metric(self, case: Case) -> str:
        """Return what the reports call the metric."""
        return metric_of(case, self.mode, self.best_checkpoint_metric)


@library.controller("ReduceLROnPlateauLRSchedule", "reduce_lr_on_plateau")
def reduce_on_plateau(
    case: Case,
    warm: Warm,
    checkpoints: Checkpoints,
    *,
    lr_shrink: float = 0.1,
    lr_threshold: NotNegative = 1e-4,
    lr_patience: Count = 0,
) -> Conversion:
    """
    `plateau`, reading `torch`, beside a `warmup` to a constant, or with lr alone a `constant`.

    The plateau's `start` is the first step after the warm-up. fairseq looks at the metric at the
    end of an epoch alone: report it there.
    """
    steps = warm.warmup_updates
    rates = steps > 0 or warm.lr is not None
    curve = warm.before(Constant(value=warm.only(case)), 0.0) if rates else None
    return plateau(
        case,
        "torch",
        checkpoints.metric(case),
        checkpoints.mode,
        definition=curve,
        factor=lr_shrink,
        patience=lr_patience,
        threshold=lr_threshold,
        start=steps + 1 if steps else None,
    )


@library.controller("should_stop_early", "early_stopping")
def early_stopping(case: Case, checkpoints: Checkpoints, *, patience: int = -1) -> Conversion:
    """
    `stop`, reading `keras`, of `--patience`.

    Without patience, as by default, it never stops: refused.
    """
    if patience <= 0:
        raise case.wrong("patience", "stops nothing", patience, "≥ 1")
    return stop(case, "keras", checkpoints.metric(case), checkpoints.mode, patience=patience)
