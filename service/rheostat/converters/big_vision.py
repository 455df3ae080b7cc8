"""big_vision: big_vision.utils.create_learning_rate_schedule."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, over, phases, value_at, warmed
from rheostat.converters.parameters import Count, Length
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.pointwise import Product
from rheostat.schedules.union import AnyDefinition

library = Library("big_vision")

Percent = Annotated[float, Field(le=1)]


@dataclass(frozen=True)
class Clock:
    """The training's own clock, by which durations become steps."""

    case: Case
    total: int
    batch_size: int | None
    data_size: int | None

    def steps(self, name: str, default: float = 0, **units: float | None) -> float:
        """Return a duration in steps, which is given in one unit, rounded to at least one step."""
        given = [(unit, value) for unit, value in units.items() if value is not None and value >= 0]
        if len(given) > 1:
            field, bound = f"{name}_{given[1][0]}", f"{name}_{given[0][0]} alone"
            raise self.case.wrong(field, "gives the duration twice", given[1][1], bound)
        if not given:
            return default
        unit, value = given[0]
        if unit == "steps":
            return value
        length = value * self._length(f"{name}_{unit}", unit)
        return max(1, round(length)) if length else 0

    def _length(self, field: str, unit: str) -> float:
        """Return how many steps a unit takes."""
        if unit == "percent":
            return self.total
        examples = 1 if unit == "examples" else self.data_size
        if self.batch_size is None or examples is None:
            needed = "batch_size" if self.batch_size is None else "data_size"
            raise self.case.wrong(needed, f"is required for {field}", None, "≥ 1")
        return examples / self.batch_size


@library.scheduler("create_learning_rate_schedule")
def schedule(
    case: Case,
    *,
    total_steps: Length,
    batch_size: Length | None = None,
    data_size: Length | None = None,
    base: float = 1.0,
    decay_type: Literal["linear", "polynomial", "cosine", "rsqrt", "stair"] = "stair",
    scale_with_batchsize: bool = False,
    warmup_steps: float | None = None,
    warmup_examples: float | None = None,
    warmup_epochs: float | None = None,
    warmup_percent: Percent | None = None,
    cooldown_steps: float | None = None,
    cooldown_examples: float | None = None,
    cooldown_epochs: float | None = None,
    cooldown_percent: Percent | None = None,
    end: float | None = None,
    linear_end: float = 0.0,
    power: Annotated[float, Field(ge=0)] = 1.0,
    timescale: Annotated[float, Field(gt=0)] = 10_000,
    timescale_steps: float | None = None,
    timescale_examples: float | None = None,
    timescale_epochs: float | None = None,
    timescale_percent: Percent | None = None,
    shift: float = 0.0,
    shift_steps: float | None = None,
    shift_examples: float | None = None,
    shift_epochs: float | None = None,
    shift_percent: Percent | None = None,
    steps: list[Count] | None = None,
    mults: list[float] | None = None,
) -> AnyDefinition:
    """
    `warmup` to a `polynomial`, `cosine`, `inverse_sqrt` or `piecewise`, times a cooldown.

    It has the value of base, which is 1 unless it is given: big_vision multiplies it with the
    learning rate of its configuration. Past the end the factor of the cooldown goes on below zero;
    the definition holds 0.
    """
    clock = Clock(case, total_steps, batch_size, data_size)
    warmup = clock.steps(
        "warmup",
        steps=warmup_steps,
        examples=warmup_examples,
        epochs=warmup_epochs,
        percent=warmup_percent,
    )
    cooldown = clock.steps(
        "cooldown",
        steps=cooldown_steps,
        examples=cooldown_examples,
        epochs=cooldown_epochs,
        percent=cooldown_percent,
    )
    if total_steps > 1 and warmup >= total_steps:
        raise case.wrong("total_steps", "must be above the warm-up", total_steps, f"> {warmup}")
    peak = base
    if scale_with_batchsize:
        if batch_size is None:
            raise case.wrong("batch_size", "is required to scale with it", None, "≥ 1")
        peak = base * batch_size / 256
    if decay_type == "stair":
        curve = _stairs(case, peak, warmup, steps or [], mults or [])
        return _cooled(curve, total_steps, cooldown)
    if decay_type == "rsqrt":
        scale = clock.steps(
            "timescale",
            timescale,
            steps=timescale_steps,
            examples=timescale_examples,
            epochs=timescale_epochs,
            percent=timescale_percent,
        )
        ahead = clock.steps(
            "shift",
            shift,
            steps=shift_steps,
            examples=shift_examples,
            epochs=shift_epochs,
            percent=shift_percent,
        )
        level = peak * (scale / (scale + ahead)) ** 0.5
        decay: AnyDefinition = InverseSqrt(start=level, timescale=scale + ahead)
    else:
        floor = linear_end if end is None else end
        decay = _annealed(decay_type, (peak, floor), power, total_steps - warmup)
    return _cooled(_warmed(warmup, decay), total_steps, cooldown)


def _annealed(kind: str, ends: tuple[float, float], power: float, steps: float) -> AnyDefinition:
    """Return the decays that end with the training."""
    start, end = ends
    if kind == "cosine":
        return over(steps, lambda n: Cosine(start=start, end=0.0, steps=n))
    if power == 0:
        return Constant(value=start)
    if power == 1:
        return over(steps, lambda n: Linear(start=start, end=end, steps=n))
    return over(steps, lambda n: Polynomial(start=start, end=end, steps=n, power=power))


def _stairs(
    case: Case, peak: float, warmup: float, steps: list[int], mults: list[float]
) -> AnyDefinition:
    """Return the stairs, whose steps the warm-up does not shift, times the warm-up."""
    if len(mults) < len(steps):
        raise case.wrong("mults", "must be one for each step", mults, f"{len(steps)} numbers")
    for before, after in pairwise(steps):
        if after <= before:
            raise case.wrong("steps", "must rise", after, f"> {before}")
    points = {0.0: peak, **{float(s): peak * m for s, m in zip(steps, mults, strict=False)}}
    curve: AnyDefinition = Constant(value=peak)
    if len(points) > 1:
        curve = Piecewise(points=tuple(points.items()), interpolation="previous")
    if warmup == 0:
        return curve
    rise = over(warmup, lambda n: Linear(start=0.0, end=1.0, steps=n))
    return Product(of=(rise, curve))


def _warmed(warmup: float, curve: AnyDefinition) -> AnyDefinition:
    if float(warmup).is_integer():
        return warmed(int(warmup), curve)
    rise = over(warmup, lambda n: Linear(start=0.0, end=value_at(curve, 0), steps=n))
    return phases(Phase(rise, until=warmup), Phase(curve, origin=warmup))


def _cooled(curve: AnyDefinition, total: int, cooldown: float) -> AnyDefinition:
    """Return the curve times a factor that falls to 0 at the end of the training."""
    if cooldown == 0:
        return curve
    start = total - cooldown
    fall = over(cooldown, lambda n: Linear(start=1.0, end=0.0, steps=n))
    factor = phases(Phase(Constant(value=1.0), until=start), Phase(fall, origin=start))
    return Product(of=(curve, factor))
