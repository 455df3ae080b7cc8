"""
MosaicML Composer: composer.optim.scheduler; a step is a batch.

``context`` is what the trainer's state knows: ``max_duration`` (after scaling, if
scale_schedule_ratio is not 1), ``dataloader_len``, ``batch_size``, ``tokens_per_sample`` and
``scale_schedule_ratio``. Several schedulers of a trainer multiply: convert each, and take the
`product`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from rheostat.converters.core import Case, Library, refused
from rheostat.converters.kit import Phase, exponential, over, phases, share, warmed
from rheostat.converters.parameters import STRICT, Length
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_STEP
from rheostat.schedules.field_errors import field_errors, shown
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial
from rheostat.schedules.kinds.cycles import CosineRestarts
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.union import AnyDefinition

library = Library("composer")


_TEXT = re.compile(r"\s*(\d[\d_]{0,20}(?:\.\d{0,20})?(?:[eE]\+?\d{1,2})?)\s*(ep|ba|sp|tok|dur)")
_FORMS = '"10ep", "500ba", "1000sp", "2e9tok" or "0.1dur"'


@dataclass(frozen=True)
class Time:
    """A time in one of Composer's units."""

    value: Fraction
    unit: str


class State(BaseModel):
    """What Composer's trainer knows of the training."""

    model_config = STRICT

    max_duration: str | None = None
    dataloader_len: Length | None = None
    batch_size: Length | None = None
    tokens_per_sample: Length | None = None
    scale_schedule_ratio: Annotated[float, Field(gt=0)] = 1.0


@dataclass(frozen=True)
class Clock:
    """The training's own clock, by which its time strings become batches."""

    case: Case
    state: State

    @classmethod
    def of(cls, case: Case) -> Clock:
        """Return the clock of a case's context."""
        given = case.context.context or {}
        try:
            return cls(case, State.model_validate(given))
        except ValidationError as error:
            raise refused(*field_errors(error, given, "context")) from None

    def time(self, parameter: str, text: str, *, scaled: bool = True) -> Time:
        """Return a time in whole batches, samples or tokens, as Composer rounds it: down."""
        read = self._read(f"{self.case.field}.{parameter}", text)
        if read.unit == "dur":
            whole = self._max_duration()
            value = float(read.value) * float(whole.value)
            if whole.unit == "ep":
                whole = Time(whole.value * self._known("dataloader_len"), "ba")
                value = float(read.value) * float(whole.value)
            return Time(Fraction(int(value)), whole.unit)
        if read.unit == "ep":
            read = Time(read.value * self._known("dataloader_len"), "ba")
        if not scaled or self.state.scale_schedule_ratio == 1:
            return read
        return Time(Fraction(int(read.value * self.state.scale_schedule_ratio)), read.unit)

    def batches(self, parameter: str, text: str, *, scaled: bool = True) -> Fraction:
        """Return a time as batches, which need not be whole."""
        return self.in_batches(self.time(parameter, text, scaled=scaled))

    def in_batches(self, time: Time) -> Fraction:
        """Return batches, samples or tokens as batches."""
        value = time.value
        if time.unit == "tok":
            value /= self._known("tokens_per_sample")
        return value if time.unit == "ba" else value / self._known("batch_size")

    def unit(self, parameter: str, text: str) -> str:
        """Return the unit that a time is written in."""
        return self._read(f"{self.case.field}.{parameter}", text).unit

    def unit_of_training(self) -> str:
        """Return the unit that the training's length is written in."""
        return self._max_duration().unit

    def check_covers(self, parameter: str, time: Time) -> None:
        """Refuse a scheduler that ends before the training does, where Composer can tell."""
        whole = self._max_duration()
        if whole.unit == "ep" and self.state.dataloader_len is not None:
            whole = Time(whole.value * self.state.dataloader_len, "ba")
        if time.unit == whole.unit and time.value < whole.value:
            bound = f"≥ {self.state.max_duration}"
            text = f"{time.value}{time.unit}"
            raise self.case.wrong(parameter, "ends before the training does", text, bound)

    def _max_duration(self) -> Time:
        if self.state.max_duration is None:
            raise _missing("max_duration", f"a time: {_FORMS}")
        return self._read("context.max_duration", self.state.max_duration)

    def _known(self, name: str) -> int:
        value: int | None = getattr(self.state, name)
        if value is None:
            raise _missing(name, "≥ 1")
        return value

    def _read(self, field: str, text: str) -> Time:
        match = _TEXT.fullmatch(text)
        if match is None:
            raise refused(FieldError(field, f"must be a time: {_FORMS}", shown(text), _FORMS))
        value, unit = Fraction(match[1].replace("_", "")), match[2]
        if unit != "dur" and (value.denominator != 1 or value > MAX_STEP):
            bound = f"a whole number up to {MAX_STEP}"
            raise refused(FieldError(field, f"must be {bound}", shown(text), bound))
        return Time(value, unit)


def _missing(name: str, bound: str) -> Invalid:
    message = "is required to tell how many batches a time takes"
    return refused(FieldError(f"context.{name}", message, None, bound))


Power = Annotated[float, Field(ge=0)]
_MOST_CYCLES = 500


@library.scheduler("StepScheduler")
def step(case: Case, *, step_size: str, gamma: float = 0.1) -> AnyDefinition:
    """`step`."""
    return exponential(case.base, gamma, _length(case, "step_size", step_size), staircase=True)


@library.scheduler("MultiStepScheduler")
def multistep(case: Case, *, milestones: list[str], gamma: float = 0.1) -> AnyDefinition:
    """
    `multistep`.

    A milestone between two batches counts from the next one; a repeated one counts again.
    """
    clock = Clock.of(case)
    steps = [ceil(clock.batches(f"milestones[{i}]", m)) for i, m in enumerate(milestones)]
    return Multistep(start=case.base, milestones=tuple(steps), factor=gamma)


@library.scheduler("ConstantScheduler")
def constant(case: Case, *, alpha: float = 1.0, t_max: str = "1dur") -> AnyDefinition:
    """`sequence` of two constants: from t_max on the base value holds."""
    reduced, full = Constant(value=case.base * alpha), Constant(value=case.base)
    until = float(Clock.of(case).batches("t_max", t_max))
    return phases(Phase(reduced, until=until), Phase(full))


@library.scheduler("LinearScheduler")
def linear(
    case: Case, *, alpha_i: float = 1.0, alpha_f: float = 0.0, t_max: str = "1dur"
) -> AnyDefinition:
    """`linear`."""
    start, end = case.base * alpha_i, case.base * alpha_f
    return over(_length(case, "t_max", t_max), lambda n: Linear(start=start, end=end, steps=n))


@library.scheduler("ExponentialScheduler")
def decay(case: Case, *, gamma: float, decay_period: str = "1ep") -> AnyDefinition:
    """
    `exponential`.

    It falls within an epoch too, batch by batch.
    """
    return exponential(case.base, gamma, _length(case, "decay_period", decay_period))


@library.scheduler("CosineAnnealingScheduler")
def cosine(case: Case, *, t_max: str = "1dur", alpha_f: float = 0.0) -> AnyDefinition:
    """`cosine`."""
    end = case.base * alpha_f
    return over(_length(case, "t_max", t_max), lambda n: Cosine(start=case.base, end=end, steps=n))


@library.scheduler("PolynomialScheduler")
def polynomial(
    case: Case, *, power: Power, t_max: str = "1dur", alpha_f: float = 0.0
) -> AnyDefinition:
    """`polynomial`."""
    end, length = case.base * alpha_f, _length(case, "t_max", t_max)
    if power == 0:
        return Constant(value=case.base)
    return over(length, lambda n: Polynomial(start=case.base, end=end, steps=n, power=power))


@library.scheduler("CosineAnnealingWarmRestartsScheduler")
def restarts(
    case: Case, *, t_0: str, t_mult: Annotated[float, Field(ge=1)] = 1.0, alpha_f: float = 0.0
) -> AnyDefinition:
    """
    `cosine_restarts`; if t_mult is not whole, a `sequence` of cosines up to max_duration.

    Composer rounds the length of each cycle down: with t_0 5ba and t_mult 1.5 they have 5, 7, 10,
    15 and 22 batches.
    """
    clock = Clock.of(case)
    first, end = clock.time("t_0", t_0), case.base * alpha_f
    if first.value == 0:
        raise case.wrong("t_0", "must not be zero", t_0, "> 0")
    if t_mult.is_integer():
        period = share(clock.in_batches(first))
        return CosineRestarts(start=case.base, end=end, period=period, period_factor=t_mult)
    return _growing(case, clock, (first, t_mult), end)


def _growing(case: Case, clock: Clock, cycles: tuple[Time, float], end: float) -> AnyDefinition:
    """Return cycles that grow by rounding down, up to one that begins past the training's end."""
    time, factor = cycles
    parts: list[Phase] = []
    begin, last = Fraction(0), clock.batches("t_0", "1dur")
    while (not parts or parts[-1].origin <= last) and len(parts) < _MOST_CYCLES:
        length = clock.in_batches(time)
        longer = Time(Fraction(int(factor * float(time.value))), time.unit)
        if longer == time:
            waves = CosineRestarts(start=case.base, end=end, period=share(length))
            return phases(*parts, Phase(waves, origin=float(begin)))
        wave = over(float(length), lambda n: Cosine(start=case.base, end=end, steps=n))
        parts.append(Phase(wave, until=float(begin + length), origin=float(begin)))
        begin, time = begin + length, longer
    return phases(*parts)


def _length(case: Case, parameter: str, text: str) -> float:
    """Return a length in batches, which must not be zero."""
    length = Clock.of(case).batches(parameter, text)
    if length == 0:
        raise case.wrong(parameter, "is a division by zero", text, "> 0")
    return float(length)


Curve = Callable[[int], AnyDefinition]


@dataclass(frozen=True)
class Warm:
    """A warm-up in batches: how long it is in force, and how long its line takes."""

    steps: float
    line: float

    @classmethod
    def of(cls, case: Case, t_warmup: str, *, scale_warmup: bool) -> Warm:
        """Return the warm-up: scaling it changes its line alone, not when it ends."""
        clock = Clock.of(case)
        steps = clock.batches("t_warmup", t_warmup, scaled=False)
        line = clock.batches("t_warmup", t_warmup) if scale_warmup else steps
        if line == 0 and steps > 0:
            raise case.wrong("t_warmup", "is zero once it is scaled", t_warmup, "> 0")
        return cls(float(steps), float(line))

    def before(self, peak: float, curve: AnyDefinition, *, absolute: bool = False) -> AnyDefinition:
        """Return the warm-up to a peak, and a curve, which counts from its end or from step 0."""
        if self.steps == 0:
            return curve
        if self.steps == self.line and self.steps.is_integer() and not absolute:
            return warmed(int(self.steps), curve)
        rise = over(self.line, lambda n: Linear(start=0.0, end=peak, steps=n))
        origin = 0.0 if absolute else self.steps
        return phases(Phase(rise, until=self.steps), Phase(curve, origin=origin))


@library.scheduler("MultiStepWithWarmupScheduler")
def steps(
    case: Case,
    *,
    t_warmup: str,
    milestones: list[str],
    gamma: float = 0.1,
    scale_warmup: bool = False,
) -> AnyDefinition:
    """
    `sequence` of a line and a `multistep`.

    The warm-up does not shift the milestones; one inside of it takes effect at its end.
    """
    warm = Warm.of(case, t_warmup, scale_warmup=scale_warmup)
    curve = multistep(case, milestones=milestones, gamma=gamma)
    return warm.before(case.base, curve, absolute=True)


@library.scheduler("ConstantWithWarmupScheduler")
def warmed_constant(
    case: Case,
    *,
    t_warmup: str,
    alpha: float = 1.0,
    t_max: str = "1dur",
    scale_warmup: bool = False,
) -> AnyDefinition:
    """`warmup` to a constant."""
    value = case.base * alpha
    _after(case, t_warmup, t_max)
    warm = Warm.of(case, t_warmup, scale_warmup=scale_warmup)
    return warm.before(value, Constant(value=value))


@library.scheduler("LinearWithWarmupScheduler")
def warmed_linear(
    case: Case,
    *,
    t_warmup: str,
    alpha_i: float = 1.0,
    alpha_f: float = 0.0,
    t_max: str = "1dur",
    scale_warmup: bool = False,
) -> AnyDefinition:
    """`warmup` to a `linear`; t_max counts the warm-up."""
    start, end = case.base * alpha_i, case.base * alpha_f
    warm = Warm.of(case, t_warmup, scale_warmup=scale_warmup)
    length = _after(case, t_warmup, t_max)
    return warm.before(
        start, _falling(start, length, lambda n: Linear(start=start, end=end, steps=n))
    )


@library.scheduler("CosineAnnealingWithWarmupScheduler")
def warmed_cosine(
    case: Case,
    *,
    t_warmup: str,
    t_max: str = "1dur",
    alpha_f: float = 0.0,
    scale_warmup: bool = False,
) -> AnyDefinition:
    """
    `warmup` to a `cosine`; t_max counts the warm-up.

    scale_schedule_ratio does not shorten the warm-up; with scale_warmup it is only steeper, and
    then waits at the peak.
    """
    start, end = case.base, case.base * alpha_f
    warm = Warm.of(case, t_warmup, scale_warmup=scale_warmup)
    length = _after(case, t_warmup, t_max)
    return warm.before(
        start, _falling(start, length, lambda n: Cosine(start=start, end=end, steps=n))
    )


@library.scheduler("PolynomialWithWarmupScheduler")
def warmed_polynomial(
    case: Case,
    *,
    t_warmup: str,
    power: Annotated[float, Field(ge=0)] = 2.0,
    t_max: str = "1dur",
    alpha_f: float = 0.0,
    scale_warmup: bool = False,
) -> AnyDefinition:
    """`warmup` to a `polynomial`; t_max counts the warm-up."""
    start, end = case.base, case.base * alpha_f
    warm = Warm.of(case, t_warmup, scale_warmup=scale_warmup)
    length = _after(case, t_warmup, t_max)
    if power == 0:
        return warm.before(start, Constant(value=start))
    curve = _falling(
        start, length, lambda n: Polynomial(start=start, end=end, steps=n, power=power)
    )
    return warm.before(start, curve)


def _after(case: Case, t_warmup: str, t_max: str) -> float:
    """Return how many batches t_max leaves after the warm-up."""
    clock = Clock.of(case)
    warmup, whole = clock.time("t_warmup", t_warmup, scaled=False), clock.time("t_max", t_max)
    if warmup.unit != whole.unit:
        bound = f"in the unit of t_max, {whole.unit}"
        raise case.wrong("t_warmup", "is in another unit than t_max", t_warmup, bound)
    clock.check_covers("t_max", whole)
    return float(clock.in_batches(whole) - clock.in_batches(warmup))


def _falling(start: float, length: float, curve: Curve) -> AnyDefinition:
    """Return a curve; a warm-up that leaves nothing is followed by its peak."""
    return over(length, curve) if length > 0 else Constant(value=start)
