"""
What converters build definitions from: curves, and how they are laid one after another.

- `phases` lays them on the scheduler's own axis, as most libraries are written ("from step n on").
- `sequence` is for a list of curves that each begin at their own step 0, with their lengths, and
  `joined` for one with the steps at which they begin.
- `warmed` puts a linear warm-up before a curve, and `warmed_ahead` one of (t + 1)/steps; `since` is
  the rest of a curve from a step on.
- `over` makes a curve whose length is no whole number of steps.
- `scaled` and `times` multiply, `raised` adds.
- `levels` holds values, `through` connects points, `table` lists.
- `polynomial`, `cosine`, `exponential`, `restarts`, `triangles`, `cyclic_by_mode`, `noam` and
  `one_cycle` are the kinds, with the corners that libraries allow and kinds refuse.
- `of_group` reads what is given for each parameter group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Sequence as Items
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, inf, log, nextafter
from typing import Literal, TypeVar

import numpy as np

from rheostat.converters.core import Case
from rheostat.limits import MAX_STEP
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial
from rheostat.schedules.kinds.cycles import CosineRestarts, Cyclic, OneCycle
from rheostat.schedules.kinds.decays import Exponential, InverseSqrt
from rheostat.schedules.kinds.points import Piecewise, Table
from rheostat.schedules.kinds.pointwise import Product, Scale, Sum
from rheostat.schedules.kinds.presets import Step, Warmup
from rheostat.schedules.kinds.repeat import MOST_CYCLES, Repeat, countable, shortest_cycle
from rheostat.schedules.kinds.sequence import Part, Sequence
from rheostat.schedules.kinds.timing import Stretch
from rheostat.schedules.union import AnyDefinition

_LARGEST = 1e100
"""Growth ends where it would pass this: a definition has finite values at every step."""
_MOST_CYCLES = 300
T = TypeVar("T")
Mode = Literal["triangular", "triangular2", "exp_range"]
"""How the triangles of `cyclic_by_mode` shrink: not at all, by halves, or with every step."""
Corner = tuple[float, float]


@dataclass(frozen=True)
class Phase:
    """A curve with its place on the scheduler's axis: where it ends, and where its step 0 lies."""

    curve: AnyDefinition
    until: float = inf
    """The first step that is no longer its own, rounded up if it lies between two."""
    origin: float = 0.0
    """At most where the phase before it ends."""


def phases(*items: Phase) -> AnyDefinition:
    """
    Return curves one after the other, each where it lies on the scheduler's own axis.

    A phase that ends before it begins is left out, and so is what follows one without an end.
    """
    parts, start = [], 0
    for item in items:
        if item.until <= start:
            continue
        until = None if item.until == inf else ceil(item.until)
        place = 0.0 if isinstance(item.curve, Constant) else float(start - item.origin)
        parts.append(Part.model_validate({"schedule": item.curve, "until": until, "from": place}))
        if until is None:
            break
        start = until
    whole = len(parts) == 1 and parts[0].until is None and parts[0].from_ == 0
    return parts[0].schedule if whole else Sequence(parts=tuple(parts))


def sequence(*parts: tuple[AnyDefinition, int], then: AnyDefinition) -> AnyDefinition:
    """Return curves in turn, each from its own step 0, for its steps; empty ones are left out."""
    lasting = [Part(schedule=part, steps=steps) for part, steps in parts if steps > 0]
    return Sequence(parts=(*lasting, Part(schedule=then))) if lasting else then


def joined(case: Case, parts: Items[AnyDefinition], boundaries: Items[int]) -> AnyDefinition:
    """
    Return parts one after the other, each from its own boundary; of overlapping ones the last.

    A part without a boundary is left out.
    """
    if not parts:
        raise case.wrong("schedules", "must have at least one schedule", None, "≥ 1 schedules")
    boundaries = boundaries[: len(parts) - 1]
    return phases(
        *(
            Phase(part, until=min(boundaries[i:], default=inf), origin=origin)
            for i, (part, origin) in enumerate(zip(parts, [0, *boundaries], strict=False))
        )
    )


def warmed(
    steps: float, then: AnyDefinition, start: float = 0.0, *, peak: float | None = None
) -> AnyDefinition:
    """
    Return a definition after a linear warm-up from start; without steps there is none.

    It rises to the first value of what follows, or to another peak. It need not take a whole number
    of steps, nor a positive one: what follows then begins inside of its own curve.
    """
    if steps <= 0:
        return since(-steps, then)
    if float(steps).is_integer() and (peak is None or value_at(then, 0) == peak):
        return Warmup(steps=int(steps), start=start, then=then)
    rise = polynomial(start, value_at(then, 0) if peak is None else peak, steps)
    return phases(Phase(rise, until=steps), Phase(then, origin=steps))


def warmed_ahead(steps: int, then: AnyDefinition) -> AnyDefinition:
    """Return a definition after a warm-up that is a step ahead: (t + 1)/steps of its start."""
    return Warmup(steps=steps, ahead=1, then=then) if steps > 0 else then


def since(step: float, definition: AnyDefinition) -> AnyDefinition:
    """Return the rest of a definition from a place on its axis."""
    return Sequence(parts=(part(definition, start=step),)) if step else definition


def part(definition: AnyDefinition, *, start: float = 0.0, steps: int | None = None) -> Part:
    """Return a part of a sequence that begins inside of its definition's own curve."""
    return Part.model_validate({"schedule": definition, "from": start, "steps": steps})


def cycles(case: Case, parts: Iterator[tuple[AnyDefinition, int]]) -> AnyDefinition:
    """
    Return cycles one after the other: as many as the training has, or as fit on the axis.

    The lengths must grow; those that do not are for `Repeat`.
    """
    end = case.context.total or MAX_STEP
    taken, length = [], 0
    for part, steps in parts:
        taken.append((part, steps))
        length += steps
        if length >= end:
            break
        if len(taken) == _MOST_CYCLES:
            bound = f"at most {_MOST_CYCLES} cycles; total says when the training ends"
            raise case.wrong(
                "", "would take too many cycles of different lengths", len(taken), bound
            )
    *before, (last, _) = taken
    return sequence(*before, then=last)


def over(steps: float, curve: Callable[[int], AnyDefinition]) -> AnyDefinition:
    """Return a curve of a length that need not be a whole number of steps."""
    if float(steps).is_integer():
        return curve(int(steps))
    return Stretch(of=curve(1), ratio=steps)


def value_at(definition: AnyDefinition, step: int) -> float:
    """Return one value."""
    return float(definition.values(np.array([step]))[0])


def share(whole: float | Fraction, parts: float = 1) -> float:
    """
    Return whole/parts, rounded down.

    A cycle of this length is over at each whole step at which it should be, never just after.
    """
    exact = Fraction(whole) / Fraction(parts)
    nearest = float(exact)
    return nearest if Fraction(nearest) <= exact else nextafter(nearest, 0.0)


def scaled(factor: float, definition: AnyDefinition) -> AnyDefinition:
    """Return the definition times a factor."""
    return definition if factor == 1 else Scale(factor=factor, of=definition)


def raised(height: float, definition: AnyDefinition) -> AnyDefinition:
    """Return the definition plus a height."""
    return Sum(of=(Constant(value=height), definition)) if height else definition


def times(first: AnyDefinition, second: AnyDefinition) -> AnyDefinition:
    """Return the product of two definitions; a constant is a factor."""
    if isinstance(first, Constant):
        return scaled(first.value, second)
    if isinstance(second, Constant):
        return scaled(second.value, first)
    return Product(of=(first, second))


def table(values: Items[float]) -> AnyDefinition:
    """Return the definition of one value for each step."""
    return Table.model_validate({"values": tuple(values)})


def polynomial(start: float, end: float, steps: float, power: float = 1.0) -> AnyDefinition:
    """Return a line or another power; power 0 never leaves the start."""
    if power == 0:
        return Constant(value=start)
    if power == 1:
        return over(steps, lambda n: Linear(start=start, end=end, steps=n))
    return over(steps, lambda n: Polynomial(start=start, end=end, steps=n, power=power))


def cosine(start: float, end: float, steps: float) -> AnyDefinition:
    """Return half a cosine wave of a length that need not be a whole number of steps."""
    return over(steps, lambda n: Cosine(start=start, end=end, steps=n))


def levels(boundaries: Items[float], values: Items[float]) -> AnyDefinition:
    """
    Return values that hold until a boundary each, the last one for good.

    A boundary that does not lie after the ones before it leaves its value out.
    """
    points, start = [], 0.0
    for boundary, value in zip(boundaries, values, strict=False):
        if boundary > start:
            points.append((start, value))
            start = float(boundary)
    points.append((start, values[-1]))
    if len(points) == 1:
        return Constant(value=values[-1])
    return Piecewise(points=tuple(points), interpolation="previous")


def through(
    points: Items[tuple[float, float]], shape: Literal["linear", "cosine"]
) -> AnyDefinition:
    """Return the curve through points in order, of which it is what lies from step 0 on."""
    places = [place for place, _ in points]
    first = max((i for i, place in enumerate(places) if place <= 0), default=0)
    kept = [
        point
        for point, after in zip(points[first:], [*places[first + 1 :], inf], strict=True)
        if point[0] < after
    ]
    origin = min(kept[0][0], 0.0)
    if len(kept) == 1:
        return Constant(value=kept[0][1])
    shifted = tuple((place - origin, value) for place, value in kept)
    return since(-origin, Piecewise(points=shifted, interpolation=shape))


def noam(peak: float, steps: int) -> AnyDefinition:
    """Return a line from 0 to a peak, and from there an inverse square root of the step."""
    return Warmup(steps=steps, then=InverseSqrt(start=peak, timescale=float(steps)))


def restarts(
    start: float,
    end: float,
    period: float,
    period_factor: float = 1.0,
    peak_factor: float = 1.0,
    *,
    cycles: int | None = None,
) -> AnyDefinition:
    """Return cosine restarts; if they grow, as many as stay in float64's range."""
    most = most_cycles(start, peak_factor)
    return CosineRestarts(
        start=start,
        end=end,
        period=period,
        period_factor=period_factor,
        peak_factor=peak_factor,
        cycles=cycles if most is None or (cycles or inf) < most else most,
    )


def lasting(case: Case, parameter: str, period: float, factor: float) -> int | None:
    """
    Return how many cycles there are that grow shorter, up to the end of the training; None if not.

    The library has no value past all of them.
    """
    if factor < 1:
        over, total = period / (1 - factor), case.context.total
        if total is None or total > over:
            message = f"lets all cycles be over at step {over:g}, and {case.name} has no value then"
            raise case.wrong(parameter, message, factor, f"≥ 1, or a total up to {floor(over)}")
        return shortest_cycle(period, factor)
    if factor > 1 and countable(period, factor) > MOST_CYCLES:
        message = f"makes more than {MOST_CYCLES} cycles up to the last step there is"
        raise case.wrong(parameter, message, factor, "1, or more growth")
    return None


def most_cycles(size: float, factor: float) -> int | None:
    """Return how many cycles that grow stay in float64's range; None for no limit."""
    if factor <= 1:
        return None
    return max(1, floor(log(_LARGEST / max(abs(size), 1e-9)) / log(factor)))


def exponential(
    start: float, factor: float, every: float = 1.0, *, staircase: bool = False
) -> AnyDefinition:
    """Return start · factor^(t/every); what grows holds where it would leave float64's range."""
    if factor == 1:
        return Constant(value=start)
    curve: AnyDefinition = (
        Step(start=start, every=every, factor=factor)
        if staircase
        else Exponential(start=start, factor=factor, every=every)
    )
    if factor <= 1 or start == 0:
        return curve
    end = floor(log(_LARGEST / abs(start)) / log(factor) * every)
    return Sequence(parts=(Part(schedule=curve, steps=max(0, min(end, MAX_STEP))),))


def triangles(
    low: float,
    high: float,
    up: float,
    down: float,
    amplitude: Literal["constant", "halving", "exponential"] = "constant",
    gamma: float = 1.0,
) -> AnyDefinition:
    """Return the kind `cyclic`, whose ways up and down need be no whole numbers, or down be 0."""
    if float(up).is_integer() and float(down).is_integer() and down > 0:
        return Cyclic(
            low=low, high=high, up=int(up), down=int(down), amplitude=amplitude, gamma=gamma
        )
    if amplitude == "constant":
        return _triangle(low, high, up, down)
    if amplitude == "halving":
        wave: AnyDefinition = _triangle(0.0, high - low, up, down, peak_factor=0.5)
    else:
        shrinking = Exponential(start=1.0, factor=gamma)
        wave = Product(of=(_triangle(0.0, high - low, up, down), shrinking))
    return raised(low, wave)


def cyclic_by_mode(
    low: float, high: float, up: float, down: float | None, mode: Mode, gamma: float
) -> AnyDefinition:
    """Return what PyTorch and Paddle name `CyclicLR`; the way down is as long as up by default."""
    down = up if down is None else down
    if mode == "exp_range":
        return triangles(low, high, up, down, "exponential", gamma)
    return triangles(low, high, up, down, "halving" if mode == "triangular2" else "constant")


def _triangle(low: float, high: float, up: float, down: float, peak_factor: float = 1.0) -> Repeat:
    points = [(0.0, low), (float(up), high)] + ([(float(up + down), low)] if down else [])
    wave = Piecewise(points=tuple(points))
    return Repeat(of=wave, every=float(up + down), peak_factor=peak_factor)


def of_group(case: Case, parameter: str, value: T | list[T]) -> T:
    """Return what a parameter is for the group that is asked for; one for all if they agree."""
    if not isinstance(value, list):
        return value
    group = case.context.group
    if isinstance(group, int) and 0 <= group < len(value):
        return value[group]
    if group is None and len(value) > 0 and _all_equal(value):
        return value[0]
    bound = f"group: a number from 0 to {len(value) - 1}"
    raise case.wrong(parameter, "has a value for each group: say which one", value, bound)


def _all_equal(values: Items[object]) -> bool:
    return all(value == values[0] for value in values)


def one_cycle(
    case: Case,
    values: tuple[float, float, float],
    total: int,
    up: tuple[str, float],
    shape: Literal["linear", "cosine"],
    *,
    three_phase: bool,
) -> AnyDefinition:
    """
    Return the cycle from start to peak to end, the last of ``total`` values being the end.

    The turn lies at up · total − 1, and with three phases the return to start at twice that.
    """
    start, peak, end = values
    last, turn = total - 1, up[1] * total - 1
    if turn == 0:
        message = f"puts the turn on step 0, where {case.name} divides by zero"
        raise case.wrong(up[0], message, up[1], f"not 1/{total}")
    if 0 < turn < last and not (three_phase and 2 * turn >= last):
        return OneCycle(
            peak=peak,
            steps=last,
            start=start,
            end=end,
            up=turn / last,
            shape=shape,
            three_phase=three_phase,
        )
    back = [(2 * turn, start)] if three_phase else []
    return _cut([(0, start), (turn, peak), *back, (last, end)], total, shape)


def _cut(corners: list[Corner], total: int, shape: Literal["linear", "cosine"]) -> AnyDefinition:
    """Return what lies between steps 0 and ``total`` of a cycle whose corners lie outside."""
    while len(corners) > 2 and corners[1][0] < 0:
        corners = corners[1:]
    if corners[-2][0] >= corners[-1][0]:
        corners = corners[:-1]
    origin = corners[0][0]
    points = tuple((place - origin, value) for place, value in corners)
    curve = Piecewise(points=points, interpolation=shape)
    return Sequence(parts=(part(curve, start=-origin, steps=total),))
