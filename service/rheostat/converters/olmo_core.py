"""
OLMo-core: olmo_core.optim.scheduler, in steps or tokens.

The length of the training is ``t_max_arg``, as the trainer passes it, or the context's ``total``.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from rheostat.converters.core import Case, Library, Nested
from rheostat.converters.kit import Phase, phases, raised, value_at, warmed
from rheostat.converters.parameters import (
    STRICT,
    Count,
    Ignored,
    Length,
    NotNegative,
    Positive,
    Share,
    Shared,
    Steps,
)
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.presets import Wsd
from rheostat.schedules.union import AnyDefinition

LrField = Annotated[str, Ignored("names the field that is set")]
Units = Annotated[
    Literal["steps", "tokens"], Ignored("says what lengths count; the definition counts the same")
]
Whole = Annotated[
    Steps | None, Ignored("is the length of the training, which this schedule does not depend on")
]


class Fields(Shared):
    """What all schedulers take."""

    lr_field: LrField = "lr"
    initial_lr_field: LrField = "initial_lr"
    units: Units = "steps"


library = Library("olmo_core", common=Fields)


def stage(case: Case, name: str, steps: int | None, fraction: float | None, total: int) -> int:
    """Return the steps of a stage: given, or a share of the whole that is rounded."""
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


class Training(Shared):
    """The length of the training, as the trainer passes it."""

    t_max_arg: Steps | None = None

    def total(self, case: Case) -> int:
        """Return the length of the training."""
        total = case.context.total if self.t_max_arg is None else self.t_max_arg
        if total is None:
            raise case.wrong("t_max_arg", "is required: the length of the training", None, "≥ 1")
        return int(total)


class Warm(Training):
    """A warm-up: its length, under its old name too, or as a share of the whole."""

    warmup: Count | None = None
    warmup_steps: Count | None = None
    warmup_fraction: Share | None = None
    warmup_min_lr: NotNegative = 0.0

    def warmup_of(self, case: Case, total: int) -> int:
        """Return how many steps of so many it takes."""
        steps = self.warmup_steps if self.warmup is None else self.warmup
        return stage(case, "warmup", steps, self.warmup_fraction, total)

    def warmup_alone(self, case: Case) -> int:
        """Return how many steps it takes, where only a share of the training asks for a length."""
        return self.warmup_of(case, 0 if self.warmup_fraction is None else self.total(case))

    def rise(self, case: Case, length: int, peak: float | None = None) -> Phase:
        """Return the warm-up of so many steps, to the base value or another peak."""
        return rise(case, length, self.warmup_min_lr, peak)

    def before(self, case: Case, length: int, curve: AnyDefinition) -> AnyDefinition:
        """Return the warm-up of so many steps to a curve, which starts at the base value."""
        self.rise(case, length)
        return warmed(length, curve, self.warmup_min_lr)


class Falling(Warm):
    """A warm-up and a fall to a share of the base value, which t_max counts both."""

    alpha_f: float = 0.1
    t_max: Length | None = None

    def whole(self, case: Case) -> int:
        """Return the length of both: that of the training unless it is given."""
        return self.total(case) if self.t_max is None else self.t_max

    def laid_out(self, case: Case, kind: type[Linear | Cosine]) -> AnyDefinition:
        """Return the warm-up and a fall of this kind."""
        total, end = self.whole(case), case.base * self.alpha_f
        length = self.warmup_of(case, total)
        if length >= total:
            return phases(self.rise(case, length), Phase(Constant(value=end)))
        return self.before(case, length, kind(start=case.base, end=end, steps=total - length))


class LastDecay(Shared):
    """A decay at the end: its length, under its old name too, or as a share of the training."""

    decay: Count | None = None
    decay_steps: Count | None = None
    decay_fraction: Share | None = 0.1
    decay_min_lr: NotNegative = 0.0

    def decay_of(self, case: Case, total: int) -> int:
        """Return how many steps of so many it takes."""
        steps = self.decay_steps if self.decay is None else self.decay
        return stage(case, "decay", steps, self.decay_fraction, total)


@library.scheduler("ConstantScheduler", "constant")
def constant(case: Case, *, t_max_arg: Whole = None) -> AnyDefinition:
    """`constant`."""
    return Constant(value=case.base)


@library.scheduler("ConstantWithWarmup", "constant_with_warmup")
def warmed_constant(case: Case, warm: Warm) -> AnyDefinition:
    """`warmup` to a constant; without one OLMo-core divides by zero at step 0."""
    return warm.before(case, warm.warmup_alone(case), Constant(value=case.base))


@library.scheduler("LinearWithWarmup", "linear_with_warmup")
def linear(case: Case, falling: Falling) -> AnyDefinition:
    """`warmup` to a `linear` decay; t_max counts the warm-up."""
    return falling.laid_out(case, Linear)


@library.scheduler("InvSqrtWithWarmup", "inv_sqrt_with_warmup")
def inverse_sqrt(case: Case, warm: Warm, *, alpha_f: float = 0.1) -> AnyDefinition:
    """
    `warmup` to an `inverse_sqrt` above the floor that it tends to.

    Its timescale is the warm-up; without one it is at the floor from step 1 on, and at step 0
    OLMo-core divides by zero.
    """
    length, floor = warm.warmup_alone(case), case.base * alpha_f
    if length == 0:
        return Constant(value=floor)
    curve = InverseSqrt(start=case.base - floor, timescale=length)
    return warm.before(case, length, raised(floor, curve))


@library.scheduler("ExponentialScheduler", "exponential")
def exponential(case: Case, training: Training, *, lr_min: Positive = 1e-9) -> AnyDefinition:
    """`piecewise` geometric: it grows from lr_min to the base value."""
    points = ((0.0, lr_min), (float(training.total(case)), case.base))
    return Piecewise(points=points, interpolation="geometric")


@library.scheduler("CosWithWarmup", "cos_with_warmup")
def cosine(case: Case, falling: Falling) -> AnyDefinition:
    """`warmup` to a `cosine`; t_max counts the warm-up."""
    return falling.laid_out(case, Cosine)


@library.scheduler("HalfCosWithWarmup", "half_cos_with_warmup")
def half(case: Case, falling: Falling) -> AnyDefinition:
    """`sequence` of a line and the second half of a `cosine`, which begins half-way down."""
    total, end = falling.whole(case), case.base * falling.alpha_f
    length = falling.warmup_of(case, total)
    begin = falling.rise(case, length, end + (case.base - end) / 2)
    left = total - length
    if left <= 0:
        return phases(begin, Phase(Constant(value=end)))
    wave = Cosine(start=case.base, end=end, steps=2 * left)
    return phases(begin, Phase(wave, origin=length - left))


@library.scheduler("CosWithWarmupAndLinearDecay", "cos_with_warmup_and_linear_decay")
def with_decay(case: Case, falling: Falling, decay: LastDecay) -> AnyDefinition:
    """
    `sequence` of CosWithWarmup and a line from where it is, at the end of the training.

    Past the end OLMo-core's line goes on below its floor; the definition holds.
    """
    total, end = falling.total(case), decay.decay_min_lr
    steps = decay.decay_of(case, total)
    curve = cosine(case, falling)
    if steps == 0:
        return curve
    start = value_at(curve, max(0, total - steps))
    if end >= start:
        message = "must be below where the decay begins"
        raise case.wrong("decay_min_lr", message, end, f"< {start}")
    fall = Linear(start=start, end=end, steps=steps)
    return phases(Phase(curve, until=total - steps), Phase(fall, origin=total - steps))


@library.scheduler("WSD", "wsd")
def wsd(case: Case, warm: Warm, decay: LastDecay) -> AnyDefinition:
    """
    `wsd`.

    Past the end OLMo-core's line goes on below decay_min_lr, and below zero; the definition holds.
    Without a warm-up OLMo-core divides by zero at step 0.
    """
    total, end = warm.total(case), decay.decay_min_lr
    length, steps = warm.warmup_of(case, total), decay.decay_of(case, total)
    begin = warm.rise(case, length)
    _check_floor(case, end, case.base)
    held, start = Constant(value=case.base), total - steps
    if steps == 0:
        return phases(begin, Phase(held))
    if start >= length:
        return Wsd(
            peak=case.base,
            warmup=length,
            warmup_start=warm.warmup_min_lr,
            stable=start - length,
            decay=steps,
            end=end,
        )
    fall = Linear(start=case.base, end=end, steps=steps)
    return phases(begin, Phase(held, until=length + 1), Phase(fall, origin=start))


@library.scheduler("PowerLR", "power_lr")
def power(
    case: Case, warm: Warm, decay: LastDecay, *, b: Annotated[float, Field(lt=0)] = -0.51
) -> AnyDefinition:
    """
    `sequence` of a line, an `inverse_sqrt` of power −b and a line at the end.

    Past the end OLMo-core's line goes on below decay_min_lr; the definition holds. Without a
    warm-up OLMo-core divides by zero.
    """
    total, end = warm.total(case), decay.decay_min_lr
    length, steps = warm.warmup_of(case, total), decay.decay_of(case, total)
    begin = warm.rise(case, needed(case, "warmup", length))
    curve = InverseSqrt(start=case.base, timescale=length, power=-b)
    if steps == 0:
        return phases(begin, Phase(curve, origin=length))
    start = total - steps
    level = case.base * (needed(case, "decay", start) / length) ** b
    _check_floor(case, end, level)
    fall = Linear(start=level, end=end, steps=steps)
    middle = Phase(curve, until=max(start, length + 1), origin=length)
    return phases(begin, middle, Phase(fall, origin=start))


@library.scheduler("WSDS", "wsds")
def periods(
    case: Case,
    *,
    period_lengths: Annotated[list[Length], Field(min_length=1)],
    period_lr_multipliers: list[Positive] | None = None,
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
    length = stage(case, "warmup", warmup, warmup_fraction, period_lengths[0])
    parts = [rise(case, length, warmup_min_lr, peaks[0])]
    end = 0
    for i, (period, peak) in enumerate(zip(period_lengths, peaks, strict=True)):
        steps = stage(case, "decay", decay, decay_fraction, period)
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


class Stage(BaseModel):
    """A stage: its length and shape, and its end, as a value or as a share of the base value."""

    model_config = STRICT

    duration: Length
    shape: Literal["linear", "cosine"] = "linear"
    end_lr: NotNegative | None = None
    end_lr_fraction: NotNegative | None = None

    def end(self, case: Case, path: str) -> float:
        """Return the value that it ends at."""
        return _value(case, f"{path}.end_lr", self.end_lr, self.end_lr_fraction)

    def curve(self, start: float, end: float) -> AnyDefinition:
        """Return its curve from a start to an end."""
        kind = Linear if self.shape == "linear" else Cosine
        return kind(start=start, end=end, steps=self.duration)


class StartedStage(Stage):
    """A stage that may start elsewhere than where the one before it ended."""

    start_lr: NotNegative | None = None
    start_lr_fraction: NotNegative | None = None

    def start(self, case: Case, path: str, before: float) -> float:
        """Return the value that it starts from: that of before unless it says otherwise."""
        if self.start_lr is None and self.start_lr_fraction is None:
            return before
        return _value(case, f"{path}.start_lr", self.start_lr, self.start_lr_fraction)


class OverrideDecay(Stage):
    """A decay from wherever the schedule is, at a step of its own."""

    start: Count

    def cut_in(self, case: Case, curve: AnyDefinition) -> AnyDefinition:
        """Return a schedule that ends with the decay."""
        level = value_at(curve, self.start)
        fall = self.curve(level, self.end(case, "override_decay"))
        return phases(Phase(curve, until=self.start), Phase(fall, origin=self.start))


def _value(case: Case, path: str, value: float | None, fraction: float | None) -> float:
    """Return a value that is given, or given as a share of the base value."""
    if (value is None) == (fraction is None):
        raise case.wrong(path, "is required, or else its fraction, not both", value, "a number")
    return value if value is not None else case.base * (fraction or 0.0)


@library.scheduler("ComposableScheduler", "composable")
def composable(
    case: Case,
    *,
    stages: Annotated[list[StartedStage], Field(min_length=1)],
    override_decay: OverrideDecay | None = None,
    t_max_arg: Whole = None,
) -> AnyDefinition:
    """
    `sequence` of lines and cosines, which holds its last value.

    A stage starts where the one before it ended unless it says otherwise; override_decay cuts in
    from wherever the schedule is.
    """
    parts, until, value = [], 0, case.base
    for i, item in enumerate(stages):
        path = f"stages[{i}]"
        start = item.start(case, path, value)
        value = item.end(case, path)
        origin, until = until, until + item.duration
        parts.append(Phase(item.curve(start, value), until=until, origin=origin))
    curve = phases(*parts[:-1], replace(parts[-1], until=inf))
    return override_decay.cut_in(case, curve) if override_decay else curve


@library.scheduler("SequentialScheduler", "sequential")
def sequential(
    case: Case,
    training: Training,
    *,
    schedulers: Annotated[list[Nested], Field(min_length=1)],
    schedulers_max: list[Length] | None = None,
    schedulers_max_steps: list[Length] | None = None,
    override_decay: OverrideDecay | None = None,
) -> AnyDefinition:
    """
    `sequence` of what the schedulers become.

    Each starts from the last value of the one before it, which keeps the step between them. The
    last one lasts to the end of the training, whatever its maximum says.
    """
    lengths = schedulers_max_steps if schedulers_max is None else schedulers_max
    if lengths is None:
        raise case.wrong("schedulers_max", "is required", None, "a length for all but the last")
    if len(lengths) == len(schedulers):
        lengths = lengths[:-1]
    if len(lengths) != len(schedulers) - 1:
        bound = f"{len(schedulers) - 1} lengths"
        raise case.wrong("schedulers_max", "must be one for all but the last", lengths, bound)

    def converted(i: int, base: float, total: int) -> AnyDefinition:
        return case.nested(schedulers[i], f"schedulers[{i}]", base_value=base, total=total)

    left, parts, origin, base = training.total(case), [], 0, case.base
    for i, length in enumerate(lengths):
        curve = converted(i, base, min(left, length))
        parts.append(Phase(curve, until=origin + length + 1, origin=origin))
        base = value_at(converted(i, base, length), length)
        origin, left = origin + length, left - length
    if left <= 0:
        bound = f"> {sum(lengths)}"
        raise case.wrong("t_max_arg", "must be above all maxima", left + sum(lengths), bound)
    curve = phases(*parts, Phase(converted(len(lengths), base, left), origin=origin))
    return override_decay.cut_in(case, curve) if override_decay else curve
