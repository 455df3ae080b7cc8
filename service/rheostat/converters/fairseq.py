"""fairseq: fairseq.optim.lr_scheduler, by class or by the name that `--lr-scheduler` takes."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Mapping
from itertools import groupby
from typing import Annotated, Any

from pydantic import Field

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, exponential, over, phases, times, triangles, warmed
from rheostat.converters.parameters import Count, NotNegative, Steps
from rheostat.limits import MAX_POINTS
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial
from rheostat.schedules.kinds.cycles import CosineRestarts
from rheostat.schedules.kinds.decays import Exponential, InverseSqrt
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.pointwise import Sum
from rheostat.schedules.kinds.presets import Step
from rheostat.schedules.kinds.repeat import Repeat
from rheostat.schedules.union import AnyDefinition

library = Library("fairseq")
library.metric_driven("ReduceLROnPlateauLRSchedule", "reduce_lr_on_plateau")

Rates = float | Annotated[list[float], Field(min_length=1)]


def only(case: Case, lr: Rates | None) -> float:
    """Return the learning rate; several are for the scheduler `fixed`."""
    if lr is None:
        return case.base
    if not isinstance(lr, list):
        return lr
    if len(lr) > 1:
        raise case.wrong("lr", f"has several values, which {case.name} takes none of", lr, "one")
    return lr[0]


Ratios = Annotated[list[float], Field(min_length=3, max_length=3)]


@library.scheduler("InverseSquareRootSchedule", "inverse_sqrt")
def inverse_sqrt(
    case: Case,
    *,
    lr: Rates | None = None,
    warmup_updates: Count = 4000,
    warmup_init_lr: float = -1.0,
) -> AnyDefinition:
    """
    `warmup` to an `inverse_sqrt` of the same timescale.

    It starts from 0 unless warmup_init_lr is given. Without a warm-up fairseq divides by zero.
    """
    if warmup_updates == 0:
        raise case.wrong("warmup_updates", "is a division by zero", warmup_updates, "≥ 1")
    curve = InverseSqrt(start=only(case, lr), timescale=warmup_updates)
    return warmed(warmup_updates, curve, max(warmup_init_lr, 0.0))


@library.scheduler("PolynomialDecayLRSchedule", "polynomial_decay")
def polynomial(
    case: Case,
    *,
    lr: Rates | None = None,
    warmup_updates: Count = 0,
    force_anneal: Steps | None = None,
    end_learning_rate: float = 0.0,
    power: NotNegative = 1.0,
    total_num_update: Annotated[float, Field(gt=0)] | None = None,
    max_update: Annotated[float, Field(gt=0)] | None = None,
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
    peak, end, length = only(case, lr), end_learning_rate, total - warmup_updates
    if length > 0 and power > 0:
        fall = over(length, lambda n: Polynomial(start=peak, end=end, steps=n, power=power))
        return warmed(warmup_updates, fall)
    rise = Linear(start=0.0, end=peak, steps=max(1, warmup_updates))
    held = Phase(Constant(value=peak), until=total)
    until = warmup_updates + 1 if warmup_updates > 0 else 0
    return phases(Phase(rise, until=until), held, Phase(Constant(value=end)))


@library.scheduler("StepLRSchedule", "step")
def step(
    case: Case,
    *,
    lr: Rates | None = None,
    warmup_updates: Count = 0,
    warmup_init_lr: float = -1.0,
    min_lr: NotNegative = 0.0,
    lr_deacy_period: Annotated[Steps, Field(gt=0)] = 25000,
    lr_decay: Annotated[float, Field(ge=0, le=1)] = 0.5,
) -> AnyDefinition:
    """
    `warmup` to a `step`, or to an `exponential` staircase with a floor.

    The warm-up starts from min_lr unless warmup_init_lr is given. The option is spelled
    lr_deacy_period in fairseq.
    """
    peak = lr[0] if isinstance(lr, list) else only(case, lr)
    if peak <= min_lr:
        raise case.wrong("min_lr", "must be below lr", min_lr, f"< {peak}")
    start = warmup_init_lr if warmup_init_lr >= 0 else min_lr
    if min_lr == 0:
        return warmed(
            warmup_updates, Step(start=peak, every=lr_deacy_period, factor=lr_decay), start
        )
    curve = Exponential(
        start=peak, factor=lr_decay, every=lr_deacy_period, staircase=True, floor=min_lr
    )
    return warmed(warmup_updates, curve, start)


@library.scheduler("TriStageLRSchedule", "tri_stage")
def tri_stage(
    case: Case,
    *,
    lr: Rates | None = None,
    warmup_steps: Count = 0,
    hold_steps: Count = 0,
    decay_steps: Count = 0,
    phase_ratio: Ratios | None = None,
    init_lr_scale: float = 0.01,
    final_lr_scale: Annotated[float, Field(gt=0)] = 0.01,
    max_update: NotNegative | None = None,
) -> AnyDefinition:
    """
    `sequence` of a line, a constant and a geometric decay.

    phase_ratio gives the lengths as shares of max_update, each rounded down by itself, so that
    they may add up to less.
    """
    stages = (warmup_steps, hold_steps, decay_steps)
    if phase_ratio is not None:
        stages = _shares(case, phase_ratio, max_update)
    warmup, hold, decay = stages
    if decay == 0:
        field = "decay_steps" if phase_ratio is None else "phase_ratio"
        raise case.wrong(field, "leaves no decay, which is a division by zero", decay, "≥ 1")
    peak = only(case, lr)
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


Shrink = Annotated[float, Field(ge=0)]


@library.scheduler("CosineLRSchedule", "cosine")
def cosine(
    case: Case,
    *,
    lr: Rates | None = None,
    max_update: Annotated[float, Field(ge=0)] | None = None,
    warmup_updates: Count = 0,
    warmup_init_lr: float = -1.0,
    min_lr: float = 0.0,
    t_mult: Annotated[float, Field(gt=0)] = 1.0,
    lr_period_updates: float = -1.0,
    lr_shrink: Shrink = 0.1,
) -> AnyDefinition:
    """
    `warmup` to `cosine_restarts`.

    The period is what max_update leaves after the warm-up unless lr_period_updates is given; past
    it the next one begins, with both ends times lr_shrink. The warm-up starts from min_lr, not
    from lr as its help says. With a t_mult other than 1 fairseq finds the cycle by a rounded
    logarithm, and misses some restarts by one step.
    """
    peak = only(case, lr)
    floor = min(min_lr, peak)
    period = lr_period_updates
    if period <= 0:
        if not max_update:
            raise case.wrong("max_update", "is required, or else lr_period_updates", None, "> 0")
        period = max_update - warmup_updates
    start = floor if warmup_init_lr < 0 else warmup_init_lr
    if floor == 0:
        waves: AnyDefinition = CosineRestarts(
            start=peak, end=0.0, period=period, period_factor=t_mult, peak_factor=lr_shrink
        )
    else:
        wave = over(period, lambda n: Cosine(start=peak, end=floor, steps=n))
        waves = Repeat(of=wave, every=period, period_factor=t_mult, peak_factor=lr_shrink)
    return warmed(warmup_updates, waves, start)


@library.scheduler("TriangularLRSchedule", "triangular")
def triangular(
    case: Case,
    *,
    lr: Rates | None = None,
    max_lr: float,
    lr_period_updates: Annotated[float, Field(ge=2)] = 5000,
    lr_shrink: Shrink = 0.1,
    shrink_min: bool = False,
) -> AnyDefinition:
    """
    `cyclic`; if it shrinks, a repeated triangle.

    max_lr shrinks with each cycle, and lr only with shrink_min: from some cycle on the peak lies
    below the minimum. An odd period is rounded down.
    """
    low, half = only(case, lr), lr_period_updates // 2
    if max_lr <= low:
        raise case.wrong("max_lr", "must be above lr", max_lr, f"> {low}")
    if lr_shrink == 1:
        return triangles(low, max_lr, half, half)
    if shrink_min:
        return _triangles((low, max_lr, low), half, lr_shrink)
    rising, falling = (0.0, max_lr, 0.0), (low, 0.0, low)
    return Sum(of=(_triangles(rising, half, lr_shrink), _triangles(falling, half, 1.0)))


def _triangles(values: tuple[float, float, float], half: float, shrink: float) -> AnyDefinition:
    points = tuple(zip((0.0, half, 2 * half), values, strict=True))
    return Repeat(of=Piecewise(points=points), every=2 * half, peak_factor=shrink)


Written = str | dict[str, float]
"""A dictionary, or the text of one."""


@library.scheduler("FixedLRSchedule", "fixed")
def fixed(
    case: Case,
    *,
    lr: Rates | None = None,
    force_anneal: Annotated[Steps, Field(ge=1)] | None = None,
    lr_shrink: Annotated[float, Field(ge=0)] = 0.1,
    warmup_updates: Count = 0,
) -> AnyDefinition:
    """
    `piecewise` by epochs; with a warm-up, the first epoch's value by updates.

    fairseq numbers epochs from 1, and so does the definition. The warm-up counts updates, which
    are no epochs: with one the definition counts updates. steps_per_epoch says how many make an
    epoch; without it the training is taken to end with its first one.
    """
    rates = [case.base] if lr is None else lr if isinstance(lr, list) else [lr]
    if warmup_updates == 0:
        return _by_epochs(rates, force_anneal, lr_shrink)
    length = case.context.steps_per_epoch
    if length is not None:
        annealed = None if force_anneal is None else (force_anneal - 1) * length
        by_updates = _by_epochs(rates, annealed, lr_shrink, first=0, length=length)
        return times(_rise(1.0, warmup_updates), by_updates)
    if force_anneal is not None:
        message = "counts epochs beside a warm-up of updates: steps_per_epoch is required"
        raise case.wrong("force_anneal", message, force_anneal, "null")
    return _rise(rates[0], warmup_updates)


def _rise(peak: float, steps: int) -> AnyDefinition:
    """Return a line to a peak, one step ahead, which holds."""
    rise = Linear(start=0.0, end=peak, steps=steps)
    return phases(Phase(rise, until=steps, origin=-1), Phase(Constant(value=peak)))


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
    case: Case,
    *,
    epoch2lr: Written = "{}",
    update2lr: Written = "{}",
    lr: Rates | None = None,
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
    first = lr[0] if isinstance(lr, list) else case.base if lr is None else lr
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
