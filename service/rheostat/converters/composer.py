"""
MosaicML Composer: composer.optim.scheduler; a step is a batch.

``context`` is what the trainer is given, or knows: ``max_duration`` and ``scale_schedule_ratio``,
which scales it too, ``dataloader_len``, ``batch_size`` and ``tokens_per_sample``. Several
schedulers of a trainer multiply: convert each, and take the `product`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import ceil
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ValidationError

from rheostat.converters.core import Case, Conversion, Library, refused
from rheostat.converters.kit import Phase, cosine, exponential, phases, polynomial, share, warmed
from rheostat.converters.parameters import (
    STRICT,
    Count,
    Growth,
    Ignored,
    Length,
    NotNegative,
    Positive,
    Shared,
)
from rheostat.converters.reactions import Mode, metric_of, stop
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_STEP
from rheostat.schedules.field_errors import field_errors, shown
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.cycles import CosineRestarts
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.union import AnyDefinition

library = Library("composer")

_MOST_CYCLES = 500
_TEXT = re.compile(r"\s*(\d[\d_]{0,20}(?:\.\d{0,20})?(?:[eE]\+?\d{1,2})?)\s*(ep|ba|sp|tok|dur)")
_FORMS = '"10ep", "500ba", "1000sp", "2e9tok" or "0.1dur"'


@dataclass(frozen=True)
class Time:
    """A time in one of Composer's units."""

    value: Fraction
    unit: str


def read_time(field: str, text: str) -> Time:
    """Return a time that is written as Composer reads it."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise refused(FieldError(field, f"must be a time: {_FORMS}", shown(text), _FORMS))
    value, unit = Fraction(match[1].replace("_", "")), match[2]
    if unit != "dur" and (value.denominator != 1 or value > MAX_STEP):
        bound = f"a whole number up to {MAX_STEP}"
        raise refused(FieldError(field, f"must be {bound}", shown(text), bound))
    return Time(value, unit)


class TrainerState(BaseModel):
    """What Composer's trainer is given, and knows."""

    model_config = STRICT

    max_duration: str | None = None
    dataloader_len: Length | None = None
    batch_size: Length | None = None
    tokens_per_sample: Length | None = None
    scale_schedule_ratio: Positive = 1.0

    @classmethod
    def of(cls, context: Mapping[str, Any]) -> TrainerState:
        """Return the state that a context tells."""
        try:
            return cls.model_validate(context)
        except ValidationError as error:
            raise refused(*field_errors(error, context, "context")) from None

    def known(self, name: str) -> int:
        """Return a length that must be known."""
        value: int | None = getattr(self, name)
        if value is None:
            raise _missing(name, "≥ 1")
        return value

    def whole(self) -> Time:
        """Return the length of the training, as the trainer scales what it is given."""
        if self.max_duration is None:
            raise _missing("max_duration", f"a time: {_FORMS}")
        read = read_time("context.max_duration", self.max_duration)
        if self.scale_schedule_ratio == 1:
            return read
        scaled = int(float(read.value) * self.scale_schedule_ratio)
        if scaled == 0:
            message, value = "leaves nothing of max_duration", self.scale_schedule_ratio
            field = "context.scale_schedule_ratio"
            raise refused(FieldError(field, message, value, "a higher ratio"))
        return Time(Fraction(scaled), read.unit)

    def in_batches(self, time: Time) -> Fraction:
        """Return a time as batches, which need not be whole."""
        value = time.value
        if time.unit == "ba":
            return value
        if time.unit == "ep":
            return value * self.known("dataloader_len")
        if time.unit == "tok":
            value /= self.known("tokens_per_sample")
        return value / self.known("batch_size")


@dataclass(frozen=True)
class TrainerClock:
    """The clock of Composer's trainer, by which its time strings become batches."""

    case: Case
    state: TrainerState

    @classmethod
    def of(cls, case: Case) -> TrainerClock:
        """Return the clock of a case's context."""
        return cls(case, TrainerState.of(case.context.context or {}))

    def time(self, parameter: str, text: str, *, scaled: bool = True) -> Time:
        """Return a time in whole batches, samples or tokens, as Composer rounds it: down."""
        read = self._read(parameter, text)
        if read.unit == "dur":
            whole = self.state.whole()
            if whole.unit == "ep":
                share = float(read.value) * self.state.known("dataloader_len")
                return Time(Fraction(int(share * float(whole.value))), "ba")
            return Time(Fraction(int(float(read.value) * float(whole.value))), whole.unit)
        if read.unit == "ep":
            read = Time(self.state.in_batches(read), "ba")
        if not scaled or self.state.scale_schedule_ratio == 1:
            return read
        return Time(Fraction(int(read.value * self.state.scale_schedule_ratio)), read.unit)

    def batches(self, parameter: str, text: str, *, scaled: bool = True) -> Fraction:
        """Return a time as batches, which need not be whole."""
        return self.state.in_batches(self.time(parameter, text, scaled=scaled))

    def length(self, parameter: str, text: str) -> float:
        """Return a time as batches, which must not be zero."""
        length = self.batches(parameter, text)
        if length == 0:
            raise self.case.wrong(parameter, "is a division by zero", text, "> 0")
        return float(length)

    def unit(self, parameter: str, text: str) -> str:
        """Return the unit that a time is written in."""
        return self._read(parameter, text).unit

    def check_covers(self, parameter: str, time: Time) -> None:
        """Refuse a scheduler that ends before the training does, where Composer can tell."""
        whole = self.state.whole()
        if whole.unit == "ep" and self.state.dataloader_len is not None:
            whole = Time(self.state.in_batches(whole), "ba")
        if time.unit == whole.unit and time.value < whole.value:
            bound = f"≥ {whole.value}{whole.unit}"
            text = f"{time.value}{time.unit}"
            raise self.case.wrong(parameter, "ends before the training does", text, bound)

    def _read(self, parameter: str, text: str) -> Time:
        return read_time(f"{self.case.field}.{parameter}", text)


def _missing(name: str, bound: str) -> Invalid:
    message = "is required to tell how many batches a time takes"
    return refused(FieldError(f"context.{name}", message, None, bound))


Shape: TypeAlias = Callable[[float, float, float], AnyDefinition]
"""A curve from a start to an end, in a length that need not be a whole number of batches."""


class Warm(Shared):
    """A warm-up; scaling it changes its line alone, not when it ends."""

    t_warmup: str
    scale_warmup: bool = False

    def lengths(self, case: Case) -> tuple[float, float]:
        """Return how many batches it is in force, and how many its line takes."""
        clock = TrainerClock.of(case)
        steps = clock.batches("t_warmup", self.t_warmup, scaled=False)
        line = clock.batches("t_warmup", self.t_warmup) if self.scale_warmup else steps
        if line == 0 and steps > 0:
            raise case.wrong("t_warmup", "is zero once it is scaled", self.t_warmup, "> 0")
        return float(steps), float(line)

    def rise(self, case: Case, peak: float) -> Phase:
        """Return the line to a peak, while it is in force."""
        steps, line = self.lengths(case)
        return Phase(polynomial(0.0, peak, line or 1), until=steps)

    def before(self, case: Case, peak: float, curve: AnyDefinition) -> AnyDefinition:
        """Return the warm-up to a peak, and a curve that counts from its end."""
        steps, line = self.lengths(case)
        if steps == line:
            return warmed(steps, curve)
        return phases(self.rise(case, peak), Phase(curve, origin=steps))


class Until(Shared):
    """When a schedule ends."""

    t_max: str = "1dur"

    def after(self, case: Case, warm: Warm) -> float:
        """Return how many batches the warm-up leaves, which t_max counts too."""
        clock = TrainerClock.of(case)
        warmup = clock.time("t_warmup", warm.t_warmup, scaled=False)
        whole = clock.time("t_max", self.t_max)
        if warmup.unit != whole.unit:
            message, bound = "is in another unit than t_max", f"in the unit of t_max, {whole.unit}"
            raise case.wrong("t_warmup", message, warm.t_warmup, bound)
        clock.check_covers("t_max", whole)
        return float(clock.state.in_batches(whole) - clock.state.in_batches(warmup))


class Decay(Until):
    """When a schedule ends, and at which share of the base value."""

    alpha_f: float = 0.0

    def fall(self, case: Case, shape: Shape, alpha: float = 1.0) -> AnyDefinition:
        """Return a curve from a share of the base value."""
        length = TrainerClock.of(case).length("t_max", self.t_max)
        return shape(case.base * alpha, case.base * self.alpha_f, length)

    def warmed(self, case: Case, warm: Warm, shape: Shape, alpha: float = 1.0) -> AnyDefinition:
        """Return a warm-up to such a curve, or to its peak if it leaves nothing."""
        start = case.base * alpha
        warm.lengths(case)  # refuses first what is wrong in it alone
        length = self.after(case, warm)
        curve: AnyDefinition = Constant(value=start)
        if length > 0:
            curve = shape(start, case.base * self.alpha_f, length)
        return warm.before(case, start, curve)


@library.scheduler("StepScheduler")
def step(case: Case, *, step_size: str, gamma: float = 0.1) -> AnyDefinition:
    """`step`."""
    start, every = case.base, TrainerClock.of(case).length("step_size", step_size)
    return exponential(start, gamma, every, staircase=True)


@library.scheduler("MultiStepScheduler")
def multistep(case: Case, *, milestones: list[str], gamma: float = 0.1) -> AnyDefinition:
    """
    `multistep`.

    A milestone between two batches counts from the next one; a repeated one counts again.
    """
    clock = TrainerClock.of(case)
    steps = [ceil(clock.batches(f"milestones[{i}]", m)) for i, m in enumerate(milestones)]
    return Multistep(start=case.base, milestones=tuple(steps), factor=gamma)


@library.scheduler("ConstantScheduler")
def constant(case: Case, end: Until, *, alpha: float = 1.0) -> AnyDefinition:
    """`sequence` of two constants: from t_max on the base value holds."""
    reduced, full = Constant(value=case.base * alpha), Constant(value=case.base)
    until = float(TrainerClock.of(case).batches("t_max", end.t_max))
    return phases(Phase(reduced, until=until), Phase(full))


@library.scheduler("LinearScheduler")
def linear(case: Case, decay: Decay, *, alpha_i: float = 1.0) -> AnyDefinition:
    """`linear`."""
    return decay.fall(case, polynomial, alpha_i)


@library.scheduler("ExponentialScheduler")
def exponential_decay(case: Case, *, gamma: float, decay_period: str = "1ep") -> AnyDefinition:
    """
    `exponential`.

    It falls within an epoch too, batch by batch.
    """
    return exponential(case.base, gamma, TrainerClock.of(case).length("decay_period", decay_period))


@library.scheduler("CosineAnnealingScheduler")
def cosine_annealing(case: Case, decay: Decay) -> AnyDefinition:
    """`cosine`."""
    return decay.fall(case, cosine)


@library.scheduler("PolynomialScheduler")
def polynomial_decay(case: Case, decay: Decay, *, power: NotNegative) -> AnyDefinition:
    """`polynomial`."""
    return decay.fall(case, partial(polynomial, power=power))


@library.scheduler("CosineAnnealingWarmRestartsScheduler")
def restarts(case: Case, *, t_0: str, t_mult: Growth = 1.0, alpha_f: float = 0.0) -> AnyDefinition:
    """
    `cosine_restarts`; if t_mult is not whole, a `sequence` of cosines up to max_duration.

    Composer rounds the length of each cycle down: with t_0 5ba and t_mult 1.5 they have 5, 7, 10,
    15 and 22 batches.
    """
    clock = TrainerClock.of(case)
    first, end = clock.time("t_0", t_0), case.base * alpha_f
    if first.value == 0:
        raise case.wrong("t_0", "must not be zero", t_0, "> 0")
    if t_mult.is_integer():
        period = share(clock.state.in_batches(first))
        return CosineRestarts(start=case.base, end=end, period=period, period_factor=t_mult)
    return _growing(clock, (first, t_mult), (case.base, end))


def _growing(
    clock: TrainerClock, cycles: tuple[Time, float], ends: tuple[float, float]
) -> AnyDefinition:
    """Return cycles that grow by rounding down, up to one that begins past the training's end."""
    (time, factor), (start, end) = cycles, ends
    parts: list[Phase] = []
    begin, last = Fraction(0), clock.batches("t_0", "1dur")
    while (not parts or parts[-1].origin <= last) and len(parts) < _MOST_CYCLES:
        length = clock.state.in_batches(time)
        longer = Time(Fraction(int(factor * float(time.value))), time.unit)
        if longer == time:
            waves = CosineRestarts(start=start, end=end, period=share(length))
            return phases(*parts, Phase(waves, origin=float(begin)))
        wave = cosine(start, end, float(length))
        parts.append(Phase(wave, until=float(begin + length), origin=float(begin)))
        begin, time = begin + length, longer
    return phases(*parts)


@library.scheduler("MultiStepWithWarmupScheduler")
def warmed_multistep(
    case: Case, warm: Warm, *, milestones: list[str], gamma: float = 0.1
) -> AnyDefinition:
    """
    `sequence` of a line and a `multistep`.

    The warm-up does not shift the milestones; one inside of it takes effect at its end.
    """
    rise = warm.rise(case, case.base)
    return phases(rise, Phase(multistep(case, milestones=milestones, gamma=gamma)))


@library.scheduler("ConstantWithWarmupScheduler")
def warmed_constant(case: Case, warm: Warm, end: Until, *, alpha: float = 1.0) -> AnyDefinition:
    """`warmup` to a constant."""
    value = case.base * alpha
    end.after(case, warm)
    return warm.before(case, value, Constant(value=value))


@library.scheduler("LinearWithWarmupScheduler")
def warmed_linear(case: Case, warm: Warm, decay: Decay, *, alpha_i: float = 1.0) -> AnyDefinition:
    """`warmup` to a `linear`; t_max counts the warm-up."""
    return decay.warmed(case, warm, polynomial, alpha_i)


@library.scheduler("CosineAnnealingWithWarmupScheduler")
def warmed_cosine(case: Case, warm: Warm, decay: Decay) -> AnyDefinition:
    """
    `warmup` to a `cosine`; t_max counts the warm-up.

    scale_schedule_ratio does not shorten the warm-up; with scale_warmup it is only steeper, and
    then waits at the peak.
    """
    return decay.warmed(case, warm, cosine)


@library.scheduler("PolynomialWithWarmupScheduler")
def warmed_polynomial(
    case: Case, warm: Warm, decay: Decay, *, power: NotNegative = 2.0
) -> AnyDefinition:
    """`warmup` to a `polynomial`; t_max counts the warm-up."""
    return decay.warmed(case, warm, partial(polynomial, power=power))


@library.controller("EarlyStopper", "early_stopper")
def early_stopper(
    case: Case,
    *,
    monitor: str,
    dataloader_label: Annotated[
        str, Ignored("says where the metric is measured: whoever reports it knows")
    ],
    comp: Literal["less", "lt", "greater", "gt"] | None = None,
    min_delta: float = 0.0,
    patience: Count | str = 1,
) -> Conversion:
    """
    `stop`, reading `composer`.

    patience becomes `patience_steps`, in batches: epochs need the dataloader_len, and count as in
    Composer where the metric is reported at their ends. Of min_delta the size counts. Without
    comp, a loss, an error or a perplexity is to be small, and all else great.
    """
    mode: Mode = "min" if comp in {"less", "lt"} else "max"
    if comp is None and any(word in monitor.lower() for word in ("loss", "error", "perplexity")):
        mode = "min"
    clock, text = TrainerClock.of(case), patience if isinstance(patience, str) else f"{patience}ep"
    if clock.unit("patience", text) not in {"ep", "ba"}:
        raise case.wrong("patience", "must count epochs or batches", patience, "10ep, or 500ba")
    return stop(
        case,
        "composer",
        metric_of(case, mode, monitor),
        mode,
        patience_steps=int(clock.batches("patience", text, scaled=False)),
        min_delta=abs(min_delta),
    )
