"""
OLMo-core: olmo_core.optim.scheduler, in steps or tokens.

The length of the training is ``t_max_arg``, as the trainer passes it, or the context's ``total``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, phases, value_at, warmed
from rheostat.converters.parameters import (
    Count,
    Length,
    LrField,
    NotNegative,
    Share,
    Steps,
    Units,
    Whole,
)
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.pointwise import Sum
from rheostat.schedules.kinds.presets import Wsd
from rheostat.schedules.union import AnyDefinition

library = Library("olmo_core")


def training(case: Case, t_max_arg: int | None, t_max: int | None = None) -> int:
    """Return the length of the training: the scheduler's own, or the trainer's."""
    for length in (t_max, t_max_arg, case.context.total):
        if length is not None:
            return length
    raise case.wrong("t_max_arg", "is required: the length of the training", None, "≥ 1")


def share(
    case: Case, name: str, steps: int | None, old: int | None, fraction: float | None, total: int
) -> int:
    """Return the steps of a stage: given, under its old name too, or a share that is rounded."""
    steps = old if steps is None else steps
    if (steps is None) == (fraction is None):
        bound = f"{name} or {name}_fraction, and null for the other one"
        raise case.wrong(name, f"is required, or else {name}_fraction, not both", steps, bound)
    return steps if steps is not None else round(total * (fraction or 0))


def needed(case: Case, name: str, steps: int) -> int:
    """Return the steps of a stage that OLMo-core divides by at once."""
    if steps <= 0:
        raise case.wrong(name, "is a division by zero", steps, "≥ 1")
    return steps


def rise(case: Case, warmup: int, start: float, peak: float | None = None) -> Phase:
    """Return the warm-up, to the base value or another peak."""
    peak = case.base if peak is None else peak
    if warmup > 0 and start >= peak:
        raise case.wrong("warmup_min_lr", "must be below the peak", start, f"< {peak}")
    return Phase(Linear(start=start, end=peak, steps=max(1, warmup)), until=warmup)


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
        return phases(begin, Phase(Constant(value=end)))
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


@library.scheduler("CosWithWarmup", "cos_with_warmup")
def cosine(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    warmup: Count | None = None,
    warmup_steps: Count | None = None,
    warmup_fraction: Share | None = None,
    alpha_f: float = 0.1,
    t_max: Length | None = None,
    warmup_min_lr: NotNegative = 0.0,
    t_max_arg: Steps | None = None,
) -> AnyDefinition:
    """`warmup` to a `cosine`; t_max counts the warm-up."""
    total, end = training(case, t_max_arg, t_max), case.base * alpha_f
    length = share(case, "warmup", warmup, warmup_steps, warmup_fraction, total)
    begin = rise(case, length, warmup_min_lr)
    if length >= total:
        return phases(begin, Phase(Constant(value=end)))
    return warmed(length, Cosine(start=case.base, end=end, steps=total - length), warmup_min_lr)


@library.scheduler("HalfCosWithWarmup", "half_cos_with_warmup")
def half(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    warmup: Count | None = None,
    warmup_steps: Count | None = None,
    warmup_fraction: Share | None = None,
    alpha_f: float = 0.1,
    t_max: Length | None = None,
    warmup_min_lr: NotNegative = 0.0,
    t_max_arg: Steps | None = None,
) -> AnyDefinition:
    """`sequence` of a line and the second half of a `cosine`, which begins half-way down."""
    total, end = training(case, t_max_arg, t_max), case.base * alpha_f
    length = share(case, "warmup", warmup, warmup_steps, warmup_fraction, total)
    begin = rise(case, length, warmup_min_lr, end + (case.base - end) / 2)
    left = total - length
    if left <= 0:
        return phases(begin, Phase(Constant(value=end)))
    wave = Cosine(start=case.base, end=end, steps=2 * left)
    return phases(begin, Phase(wave, origin=length - left))


@library.scheduler("CosWithWarmupAndLinearDecay", "cos_with_warmup_and_linear_decay")
def with_decay(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    warmup: Count | None = None,
    warmup_steps: Count | None = None,
    warmup_fraction: Share | None = None,
    alpha_f: float = 0.1,
    t_max: Length | None = None,
    warmup_min_lr: NotNegative = 0.0,
    decay: Count | None = None,
    decay_steps: Count | None = None,
    decay_fraction: Share | None = 0.1,
    decay_min_lr: NotNegative = 0.0,
    t_max_arg: Steps | None = None,
) -> AnyDefinition:
    """
    `sequence` of CosWithWarmup and a line from where it is, at the end of the training.

    Past the end OLMo-core's line goes on below its floor; the definition holds.
    """
    total = training(case, t_max_arg)
    steps = share(case, "decay", decay, decay_steps, decay_fraction, total)
    curve = cosine(
        case,
        warmup=warmup,
        warmup_steps=warmup_steps,
        warmup_fraction=warmup_fraction,
        alpha_f=alpha_f,
        t_max=t_max,
        warmup_min_lr=warmup_min_lr,
        t_max_arg=total,
    )
    if steps == 0:
        return curve
    start = value_at(curve, max(0, total - steps))
    if decay_min_lr >= start:
        bound = f"< {start}"
        raise case.wrong(
            "decay_min_lr", "must be below where the decay begins", decay_min_lr, bound
        )
    fall = Linear(start=start, end=decay_min_lr, steps=steps)
    return phases(Phase(curve, until=total - steps), Phase(fall, origin=total - steps))


@library.scheduler("WSD", "wsd")
def wsd(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    warmup: Count | None = None,
    warmup_steps: Count | None = None,
    warmup_fraction: Share | None = None,
    decay: Count | None = None,
    decay_steps: Count | None = None,
    decay_fraction: Share | None = 0.1,
    warmup_min_lr: NotNegative = 0.0,
    decay_min_lr: NotNegative = 0.0,
    t_max_arg: Steps | None = None,
) -> AnyDefinition:
    """
    `wsd`.

    Past the end OLMo-core's line goes on below decay_min_lr, and below zero; the definition holds.
    Without a warm-up OLMo-core divides by zero at step 0.
    """
    total = training(case, t_max_arg)
    length = share(case, "warmup", warmup, warmup_steps, warmup_fraction, total)
    steps = share(case, "decay", decay, decay_steps, decay_fraction, total)
    begin = rise(case, length, warmup_min_lr)
    _check_floor(case, decay_min_lr, case.base)
    held, start = Constant(value=case.base), total - steps
    if steps == 0:
        return phases(begin, Phase(held))
    if start >= length:
        return Wsd(
            peak=case.base,
            warmup=length,
            warmup_start=warmup_min_lr,
            stable=start - length,
            decay=steps,
            end=decay_min_lr,
        )
    fall = Linear(start=case.base, end=decay_min_lr, steps=steps)
    return phases(begin, Phase(held, until=length + 1), Phase(fall, origin=start))


@library.scheduler("PowerLR", "power_lr")
def power(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    b: Annotated[float, Field(lt=0)] = -0.51,
    warmup: Count | None = None,
    warmup_steps: Count | None = None,
    warmup_fraction: Share | None = None,
    warmup_min_lr: NotNegative = 0.0,
    decay: Count | None = None,
    decay_steps: Count | None = None,
    decay_fraction: Share | None = 0.1,
    decay_min_lr: NotNegative = 0.0,
    t_max_arg: Steps | None = None,
) -> AnyDefinition:
    """
    `sequence` of a line, an `inverse_sqrt` of power −b and a line at the end.

    Past the end OLMo-core's line goes on below decay_min_lr; the definition holds. Without a
    warm-up OLMo-core divides by zero.
    """
    total = training(case, t_max_arg)
    length = share(case, "warmup", warmup, warmup_steps, warmup_fraction, total)
    steps = share(case, "decay", decay, decay_steps, decay_fraction, total)
    begin = rise(case, needed(case, "warmup", length), warmup_min_lr)
    curve = InverseSqrt(start=case.base, timescale=length, power=-b)
    if steps == 0:
        return phases(begin, Phase(curve, origin=length))
    level = case.base * (needed(case, "decay", total - steps) / length) ** b
    _check_floor(case, decay_min_lr, level)
    fall = Linear(start=level, end=decay_min_lr, steps=steps)
    until = max(total - steps, length + 1)
    middle = Phase(curve, until=until, origin=length)
    return phases(begin, middle, Phase(fall, origin=total - steps))


@library.scheduler("WSDS", "wsds")
def periods(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    period_lengths: Annotated[list[Length], Field(min_length=1)],
    period_lr_multipliers: list[Annotated[float, Field(gt=0)]] | None = None,
    warmup: Count | None = None,
    warmup_fraction: Share | None = None,
    decay: Count | None = None,
    decay_fraction: Share | None = None,
    warmup_min_lr: NotNegative = 0.0,
    decay_min_lr: NotNegative = 0.0,
    t_max_arg: Whole = None,
) -> AnyDefinition:
    """
    `sequence` of a warm-up and, for each period, a constant and a line.

    The last step of a period has decay_min_lr, and the next one the peak of the next period. The
    first period counts the warm-up.
    """
    peaks = _peaks(case, period_lengths, period_lr_multipliers)
    length = share(case, "warmup", warmup, None, warmup_fraction, period_lengths[0])
    parts = [rise(case, length, warmup_min_lr, peaks[0])]
    end = 0
    for i, (period, peak) in enumerate(zip(period_lengths, peaks, strict=True)):
        steps = share(case, "decay", decay, None, decay_fraction, period)
        start, end = end + (length if i == 0 else 0), end + period
        if end - steps < start:
            path, bound = f"period_lengths[{i}]", f"≥ {start - end + period + steps}"
            raise case.wrong(path, "is shorter than its stages", period, bound)
        _check_floor(case, decay_min_lr, peak)
        fall = Linear(start=peak, end=decay_min_lr, steps=needed(case, "decay", steps))
        parts.append(Phase(Constant(value=peak), until=end - steps))
        parts.append(Phase(fall, until=end + 1, origin=end - steps))
    return phases(*parts, Phase(Constant(value=decay_min_lr)))


def _peaks(case: Case, lengths: list[int], multipliers: list[float] | None) -> list[float]:
    if multipliers is None:
        return [case.base] * len(lengths)
    if len(multipliers) != len(lengths):
        bound = f"{len(lengths)} numbers"
        raise case.wrong("period_lr_multipliers", "must be one per period", multipliers, bound)
    return [case.base * multiplier for multiplier in multipliers]


def _check_floor(case: Case, floor: float, peak: float) -> None:
    if floor >= peak:
        raise case.wrong("decay_min_lr", "must be below the peak", floor, f"< {peak}")
