"""big_vision: big_vision.utils.create_learning_rate_schedule."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, cosine, phases, polynomial, warmed
from rheostat.converters.parameters import Count, Length, NotNegative, Positive, Shared
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.pointwise import Product
from rheostat.schedules.union import AnyDefinition

library = Library("big_vision")

Percent = Annotated[float, Field(le=1)]


class Training(Shared):
    """How long the training is, and its durations, each of which is given in one of four units."""

    total_steps: Length
    batch_size: Length | None = None
    data_size: Length | None = None
    warmup_steps: float | None = None
    warmup_examples: float | None = None
    warmup_epochs: float | None = None
    warmup_percent: Percent | None = None
    cooldown_steps: float | None = None
    cooldown_examples: float | None = None
    cooldown_epochs: float | None = None
    cooldown_percent: Percent | None = None
    timescale_steps: float | None = None
    timescale_examples: float | None = None
    timescale_epochs: float | None = None
    timescale_percent: Percent | None = None
    shift_steps: float | None = None
    shift_examples: float | None = None
    shift_epochs: float | None = None
    shift_percent: Percent | None = None

    def duration(self, case: Case, name: str, default: float = 0) -> float:
        """Return a duration in steps; what is given in other units is rounded, to at least one."""
        units = ("steps", "examples", "epochs", "percent")
        values = ((unit, getattr(self, f"{name}_{unit}")) for unit in units)
        given = [(unit, value) for unit, value in values if value is not None and value >= 0]
        if len(given) > 1:
            field, bound = f"{name}_{given[1][0]}", f"{name}_{given[0][0]} alone"
            raise case.wrong(field, "gives the duration twice", given[1][1], bound)
        if not given:
            return default
        unit, value = given[0]
        if unit == "steps":
            return float(value)
        length = value * self._length(case, f"{name}_{unit}", unit)
        return max(1, round(length)) if length else 0

    def _length(self, case: Case, field: str, unit: str) -> float:
        """Return how many steps a unit takes."""
        if unit == "percent":
            return self.total_steps
        examples = 1 if unit == "examples" else self.data_size
        if self.batch_size is None or examples is None:
            needed = "batch_size" if self.batch_size is None else "data_size"
            raise case.wrong(needed, f"is required for {field}", None, "≥ 1")
        return examples / self.batch_size


@library.scheduler("create_learning_rate_schedule")
def schedule(
    case: Case,
    training: Training,
    *,
    base: float = 1.0,
    decay_type: Literal["linear", "polynomial", "cosine", "rsqrt", "stair"] = "stair",
    scale_with_batchsize: bool = False,
    end: float | None = None,
    linear_end: float = 0.0,
    power: NotNegative = 1.0,
    timescale: Positive = 10_000,
    shift: float = 0.0,
    steps: list[Count] | None = None,
    mults: list[float] | None = None,
) -> AnyDefinition:
    """
    `warmup` to a `polynomial`, `cosine`, `inverse_sqrt` or `piecewise`, times a cooldown.

    It has the value of base, which is 1 unless it is given: big_vision multiplies it with the
    learning rate of its configuration. Past the end the factor of the cooldown goes on below zero;
    the definition holds 0.
    """
    total, batch = training.total_steps, training.batch_size
    warmup, cooldown = training.duration(case, "warmup"), training.duration(case, "cooldown")
    if total > 1 and warmup >= total:
        raise case.wrong("total_steps", "must be above the warm-up", total, f"> {warmup}")
    peak = base
    if scale_with_batchsize:
        if batch is None:
            raise case.wrong("batch_size", "is required to scale with it", None, "≥ 1")
        peak = base * batch / 256
    if decay_type == "stair":
        curve = _stairs(case, peak, warmup, steps or [], mults or [])
        return _cooled(curve, total, cooldown)
    if decay_type == "rsqrt":
        scale = training.duration(case, "timescale", timescale)
        ahead = training.duration(case, "shift", shift)
        level = peak * (scale / (scale + ahead)) ** 0.5
        decay: AnyDefinition = InverseSqrt(start=level, timescale=scale + ahead)
    elif decay_type == "cosine":
        decay = cosine(peak, 0.0, total - warmup)
    else:
        decay = polynomial(peak, linear_end if end is None else end, total - warmup, power)
    return _cooled(warmed(warmup, decay), total, cooldown)


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
    return Product(of=(polynomial(0.0, 1.0, warmup), curve))


def _cooled(curve: AnyDefinition, total: int, cooldown: float) -> AnyDefinition:
    """Return the curve times a factor that falls to 0 at the end of the training."""
    if cooldown == 0:
        return curve
    start = total - cooldown
    fall = Phase(polynomial(1.0, 0.0, cooldown), origin=start)
    factor = phases(Phase(Constant(value=1.0), until=start), fall)
    return Product(of=(curve, factor))
