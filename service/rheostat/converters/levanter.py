"""Levanter: levanter.optim, OptimizerConfig.lr_scheduler."""

from __future__ import annotations

from itertools import accumulate, pairwise
from math import ceil
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, Field

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, joined, phases, value_at, warmed
from rheostat.converters.optax import cosine_decay
from rheostat.converters.parameters import STRICT, Length, NotNegative, Positive
from rheostat.schedules.kinds.curves import Constant, Linear
from rheostat.schedules.kinds.decays import InverseSqrt, InverseTime
from rheostat.schedules.kinds.pointwise import Clip
from rheostat.schedules.union import AnyDefinition

library = Library("levanter")

_MOST_CYCLES = 300


class PlainShape(BaseModel):
    """A decay without fields of its own."""

    model_config = STRICT

    type: Literal["constant", "linear", "inv"]


class CosineShape(BaseModel):
    """A cosine, raised to a power."""

    model_config = STRICT

    type: Literal["cosine"] = "cosine"
    exponent: Positive = 1.0


class InvSqrtShape(BaseModel):
    """An inverse square root, and the step from which it falls."""

    model_config = STRICT

    type: Literal["inv_sqrt"] = "inv_sqrt"
    timescale: Positive = 10_000.0


Shape: TypeAlias = PlainShape | CosineShape | InvSqrtShape
Points: TypeAlias = Annotated[list[Length], Field(max_length=_MOST_CYCLES)]
Stage: TypeAlias = tuple[int, AnyDefinition]
"""The step at which a curve begins, and the curve."""


@library.scheduler("lr_scheduler")
def schedule(
    case: Case,
    *,
    learning_rate: NotNegative = 6e-4,
    min_lr_ratio: NotNegative = 0.1,
    warmup: NotNegative = 0.01,
    decay: NotNegative | None = None,
    rewarmup: NotNegative = 0.0,
    cooldown: NotNegative | None = None,
    cycle_length: NotNegative | Points | None = None,
    cycles: Length | Points | None = None,
    haps: Points | None = None,
    lr_schedule: Literal["constant", "cosine", "linear", "inv_sqrt", "inv"]
    | Annotated[Shape, Field(discriminator="type")] = "cosine",
    num_train_steps: Length | None = None,
    override_lr: NotNegative | None = None,
) -> AnyDefinition:
    """
    `warmup` to a decay, or to a constant before it if `decay` says how long it is; so each cycle.

    A stage of at most 1 is a share of its cycle, rounded down, and another a whole number of steps.
    inv_sqrt falls from the step `timescale` on. The schedule power is refused: Levanter counts its
    tokens in 32 bits, which overflow within a training.
    """
    peak = learning_rate if override_lr is None else override_lr
    low, total = peak * min_lr_ratio, int(num_train_steps or case.total)
    cooling = _steps(case, "cooldown", cooldown or 0.0, total)
    points = _minima(case, total - cooling, cycle_length=cycle_length, cycles=cycles, haps=haps)
    stages: list[Stage] = []
    value = 0.0
    for start, stop in pairwise(points):
        name, amount = ("rewarmup", rewarmup) if start else ("warmup", warmup)
        rise = _steps(case, name, amount, stop - start)
        fall = stop - start - rise if decay is None else _steps(case, "decay", decay, stop - start)
        curve = _fall(case, _shape(lr_schedule), (peak, low), (rise, fall))
        if rise:
            stages.append((start, Linear(start=value, end=peak, steps=rise)))
        if fall != stop - start - rise:
            stages.append((start + rise, Constant(value=peak)))
        stages.append((stop - fall, curve))
        value = value_at(curve, max(fall, 0))
    if cooling:
        stages.append((total - cooling, Linear(start=value, end=low, steps=cooling)))
    return _laid_out(case, stages)


def _shape(given: Any) -> Shape:
    if not isinstance(given, str):
        shape: Shape = given
        return shape
    if given == "cosine":
        return CosineShape()
    return InvSqrtShape() if given == "inv_sqrt" else PlainShape.model_validate({"type": given})


def _laid_out(case: Case, stages: list[Stage]) -> AnyDefinition:
    """Return the curves, of which a later one holds from where it begins; a warm-up as such."""
    begins, curves = [begin for begin, _ in stages], [curve for _, curve in stages]
    first = curves[0]
    later = min(begins[1:], default=None)
    if isinstance(first, Linear) and first.start == 0.0 and first.steps == later:
        shifted = [begin - first.steps for begin in begins[2:]]
        return warmed(first.steps, joined(case, curves[1:], shifted), peak=first.end)
    return joined(case, curves, begins[1:])


def _steps(case: Case, name: str, amount: float, whole: int) -> int:
    """Return a length in steps, which is a share of a whole if it is at most 1."""
    if amount <= 1:
        return int(amount * whole)
    if not float(amount).is_integer():
        bound = "a share up to 1, or a whole number of steps"
        raise case.wrong(name, f"must be {bound}", amount, bound)
    return int(amount)


def _minima(
    case: Case,
    total: int,
    *,
    cycle_length: float | list[int] | None,
    cycles: int | list[int] | None,
    haps: list[int] | None,
) -> list[int]:
    """Return where cycles begin, and where the last one ends."""
    given = {"cycle_length": cycle_length, "cycles": cycles, "haps": haps}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        value = given[named[1]]
        raise case.wrong(named[1], f"cannot stand beside {named[0]}", value, "null")
    if total < 1:
        raise case.wrong("cooldown", "leaves nothing of the training", None, "less than all of it")
    if not named:
        return [0, total]
    points = _points(case, named[0], given[named[0]], total)
    points = [0, *points] if points and points[-1] == total else [0, *points, total]
    if any(start >= stop for start, stop in pairwise(points)):
        bound = f"steps that grow, up to {total}"
        raise case.wrong(named[0], f"must be {bound}", given[named[0]], bound)
    return points


def _points(case: Case, name: str, value: Any, total: int) -> list[int]:
    if isinstance(value, list):
        return list(accumulate(value)) if name == "cycle_length" else value
    if name == "cycles":
        count = value
    else:
        length = _steps(case, name, value, total)
        if length == 0:
            raise case.wrong(name, "is a division by zero", value, "at least one step")
        count = total // length
    if count > _MOST_CYCLES:
        bound = f"≤ {_MOST_CYCLES} cycles"
        raise case.wrong(name, "makes too many cycles", value, bound)
    if name == "cycles":
        return [int(total / count * i) for i in range(1, count)]
    return [length * i for i in range(1, count)]


def _fall(
    case: Case, shape: Shape, ends: tuple[float, float], lengths: tuple[int, int]
) -> AnyDefinition:
    """Return a decay, from its own step 0."""
    (peak, low), (warmup, steps) = ends, lengths
    if shape.type == "constant" or (shape.type == "linear" and steps <= 0):
        return Constant(value=peak)
    if isinstance(shape, InvSqrtShape):
        return _inverse_sqrt(shape.timescale, ends, warmup)
    if steps <= 0:
        raise case.wrong("decay", "leaves the decay no step", steps, "≥ 1 step")
    if isinstance(shape, CosineShape):
        alpha = low / peak if peak else 0.0
        return cosine_decay(
            case, init_value=peak, decay_steps=steps, alpha=alpha, exponent=shape.exponent
        )
    if shape.type == "linear":
        return Linear(start=peak, end=low, steps=steps)
    return _inverse(case, ends, steps)


def _inverse_sqrt(timescale: float, ends: tuple[float, float], warmup: int) -> AnyDefinition:
    """Return peak · √(timescale/step), at most the peak; the warm-up counts as steps too."""
    peak, low = ends
    begin = timescale - warmup
    if low >= peak:
        return Constant(value=low)
    fall = InverseSqrt(start=peak, timescale=timescale)
    curve = fall if low == 0 else Clip(of=fall, min=low)
    if begin >= 0:
        return phases(Phase(Constant(value=peak), until=ceil(begin)), Phase(curve, origin=begin))
    return phases(Phase(curve, origin=begin))


def _inverse(case: Case, ends: tuple[float, float], steps: int) -> AnyDefinition:
    """Return a hyperbola; its step 0 has the value of step 1."""
    peak, low = ends
    if low == 0:
        raise case.wrong("min_lr_ratio", "is a division by zero", low, "> 0")
    if low >= peak:
        return Constant(value=low)
    fall = Clip(of=InverseTime(start=peak, rate=peak / low - 1, every=steps), min=low)
    return phases(Phase(Constant(value=value_at(fall, 1)), until=1), Phase(fall))
