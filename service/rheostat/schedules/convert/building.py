"""What converters of several libraries build definitions from."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Items
from math import floor, log
from typing import TypeVar

import numpy as np

from rheostat.schedules.convert.case import Case
from rheostat.schedules.fields import MAX_STEP
from rheostat.schedules.kinds.curves import Constant, Linear
from rheostat.schedules.kinds.cycles import Cyclic
from rheostat.schedules.kinds.decays import Exponential
from rheostat.schedules.kinds.points import Piecewise, Table
from rheostat.schedules.kinds.pointwise import Scale
from rheostat.schedules.kinds.presets import Step
from rheostat.schedules.kinds.repeat import Repeat
from rheostat.schedules.kinds.sequence import Part, Sequence
from rheostat.schedules.kinds.timing import Stretch
from rheostat.schedules.union import AnyDefinition

_LARGEST = 1e100
"""Growth ends where it would pass this: a definition has finite values at every step."""
T = TypeVar("T")


def over(steps: float, curve: Callable[[int], AnyDefinition]) -> AnyDefinition:
    """Return a curve of a length that need not be a whole number of steps."""
    if float(steps).is_integer():
        return curve(int(steps))
    return Stretch(of=curve(1), ratio=steps)


def sequence(*parts: tuple[AnyDefinition, int], then: AnyDefinition) -> AnyDefinition:
    """Return definitions one after the other, each with its steps; empty ones are left out."""
    lasting = [Part(schedule=part, steps=steps) for part, steps in parts if steps > 0]
    return Sequence(parts=(*lasting, Part(schedule=then))) if lasting else then


def delayed(steps: int, then: AnyDefinition) -> AnyDefinition:
    """Return a definition that begins later, and until then holds its first value."""
    return sequence((Constant(value=value_at(then, 0)), steps), then=then)


def value_at(definition: AnyDefinition, step: int) -> float:
    """Return one value."""
    return float(definition.values(np.array([step]))[0])


def scaled(factor: float, definition: AnyDefinition) -> AnyDefinition:
    """Return the definition times a factor."""
    return definition if factor == 1 else Scale(factor=factor, of=definition)


def since(step: float, definition: AnyDefinition) -> AnyDefinition:
    """Return the rest of a definition from a place on its axis."""
    return Sequence(parts=(part(definition, start=step),)) if step else definition


def part(definition: AnyDefinition, *, start: float = 0.0, steps: int | None = None) -> Part:
    """Return a part of a sequence that begins inside of its definition's own curve."""
    return Part.model_validate({"schedule": definition, "from": start, "steps": steps})


def table(values: Items[float]) -> AnyDefinition:
    """Return the definition of one value for each step."""
    return Table.model_validate({"values": tuple(values)})


def exponential(
    start: float, factor: float, every: float = 1.0, *, staircase: bool = False
) -> AnyDefinition:
    """Return start · factor^(t/every); what grows holds where it would leave float64's range."""
    curve: AnyDefinition = (
        Step(start=start, every=every, factor=factor)
        if staircase
        else Exponential(start=start, factor=factor, every=every)
    )
    if factor <= 1 or start == 0:
        return curve
    end = floor(log(_LARGEST / abs(start)) / log(factor) * every)
    return Sequence(parts=(Part(schedule=curve, steps=max(0, min(end, MAX_STEP))),))


def triangles(low: float, high: float, up: float, down: float) -> AnyDefinition:
    """Return a triangle wave from low to high and back; without a way down a sawtooth."""
    if float(up).is_integer() and float(down).is_integer() and down > 0:
        return Cyclic(low=low, high=high, up=int(up), down=int(down))
    if down == 0:
        return Repeat(of=over(up, lambda n: Linear(start=low, end=high, steps=n)), every=float(up))
    points = ((0.0, low), (float(up), high), (float(up + down), low))
    return Repeat(of=Piecewise(points=points), every=float(up + down))


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
