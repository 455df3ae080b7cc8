"""Ignite's schedulers that go in cycles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.building import cycles, most_cycles, restarts, triangles
from rheostat.converters.case import Case, Steps
from rheostat.converters.ignite.registry import library
from rheostat.converters.ignored import GroupIndex, History, ParamName
from rheostat.schedules.kinds.curves import Cosine
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.pointwise import Sum
from rheostat.schedules.kinds.repeat import Repeat
from rheostat.schedules.kinds.sequence import Part, Sequence
from rheostat.schedules.union import AnyDefinition

Size = Annotated[Steps, Field(ge=2)]
Count = Annotated[Steps, Field(ge=0)]
Factor = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class Wave:
    """One cycle from start to end, or there and back, and a line back up to the next start."""

    shape: Literal["triangle", "linear", "cosine"]
    size: int
    warmup: int

    @property
    def length(self) -> int:
        """How many steps it has."""
        return self.size + self.warmup

    def between(self, start: float, end: float, following: float) -> AnyDefinition:
        """Return the cycle from a start to an end; the line leads to the following start."""
        if self.shape == "triangle":
            points = ((0.0, start), (self.size / 2, end), (float(self.size), start))
            return Piecewise(points=points)
        back = ((float(self.length), following),) if self.warmup else ()
        if self.shape == "linear":
            return Piecewise(points=((0.0, start), (float(self.size), end), *back))
        curve = Cosine(start=start, end=end, steps=self.size)
        if not self.warmup:
            return curve
        line = Piecewise(points=((0.0, end), (float(self.warmup), following)))
        return Sequence(parts=(Part(schedule=curve, steps=self.size), Part(schedule=line)))


def endless(
    case: Case,
    wave: Wave,
    ends: tuple[float, float],
    factors: tuple[float, float],
    cycle_mult: float,
) -> AnyDefinition:
    """Return a wave again and again, each time longer, from a start and to an end that change."""
    start, end = ends
    up, down = factors
    if not cycle_mult.is_integer():
        return cycles(case, _cut_down(wave, ends, factors, cycle_mult))

    def repeated(curve: AnyDefinition, factor: float) -> AnyDefinition:
        return Repeat(
            of=curve,
            every=float(wave.length),
            period_factor=cycle_mult,
            peak_factor=factor,
            cycles=most_cycles(max(abs(start), abs(end)), factor),
        )

    if up == down or end == 0:
        return repeated(wave.between(start, end, start * up), up)
    if start == 0:
        return repeated(wave.between(0.0, end, 0.0), down)
    falling = repeated(wave.between(start, 0.0, start * up), up)
    return Sum(of=(falling, repeated(wave.between(0.0, end, 0.0), down)))


def _cut_down(
    wave: Wave, ends: tuple[float, float], factors: tuple[float, float], cycle_mult: float
) -> Iterator[tuple[AnyDefinition, int]]:
    """Yield cycles whose lengths are rounded down."""
    start, end = ends
    up, down = factors
    while wave.size > 0:
        yield wave.between(start, end, start * up), wave.length
        start, end = start * up, end * down
        size, warmup = int(wave.size * cycle_mult), int(wave.warmup * cycle_mult)
        wave = Wave(wave.shape, size, warmup)


@library.scheduler("LinearCyclicalScheduler", hyperparameters=None)
def linear(
    case: Case,
    *,
    start_value: float,
    end_value: float,
    cycle_size: Size,
    cycle_mult: Annotated[float, Field(ge=1)] = 1.0,
    start_value_mult: Factor = 1.0,
    end_value_mult: Factor = 1.0,
    warmup_duration: Count = 0,
    monotonic: bool = False,
    param_name: ParamName = None,
    save_history: History = False,
    param_group_index: GroupIndex = None,
) -> AnyDefinition:
    """
    `cyclic`, or `repeat` of a line if monotonic.

    The warm-up leads from the end of a cycle to the start of the next one. Lengths that
    cycle_mult leaves no whole numbers are rounded down.
    """
    if warmup_duration and not monotonic:
        message = "must be 0 unless monotonic"
        raise case.wrong("warmup_duration", message, warmup_duration, "0")
    if not monotonic and start_value_mult == end_value_mult == cycle_mult == 1:
        return triangles(start_value, end_value, cycle_size / 2, cycle_size / 2)
    wave = Wave("linear" if monotonic else "triangle", cycle_size, warmup_duration)
    ends, factors = (start_value, end_value), (start_value_mult, end_value_mult)
    return endless(case, wave, ends, factors, cycle_mult)


@library.scheduler("CosineAnnealingScheduler", hyperparameters=None)
def cosine(
    case: Case,
    *,
    start_value: float,
    end_value: float,
    cycle_size: Size,
    cycle_mult: Annotated[float, Field(ge=1)] = 1.0,
    start_value_mult: Factor = 1.0,
    end_value_mult: Factor = 1.0,
    warmup_duration: Count = 0,
    param_name: ParamName = None,
    save_history: History = False,
    param_group_index: GroupIndex = None,
) -> AnyDefinition:
    """
    `cosine_restarts`, or a `repeat` if there is a warm-up or the end changes.

    The warm-up leads from the end of a cycle to the start of the next one. Lengths that
    cycle_mult leaves no whole numbers are rounded down.
    """
    if warmup_duration == 0 and end_value_mult == 1 and cycle_mult.is_integer():
        return restarts(start_value, end_value, cycle_size, cycle_mult, start_value_mult)
    wave = Wave("cosine", cycle_size, warmup_duration)
    ends, factors = (start_value, end_value), (start_value_mult, end_value_mult)
    return endless(case, wave, ends, factors, cycle_mult)
