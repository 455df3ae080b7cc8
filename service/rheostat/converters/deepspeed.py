"""DeepSpeed: deepspeed.runtime.lr_schedules, whose first two updates have the same values."""

from __future__ import annotations

from math import ceil, floor
from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, of_group, phases, sequence
from rheostat.converters.parameters import LastEpoch, Length, Steps
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Ramp
from rheostat.schedules.kinds.decays import InverseTime
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.timing import Staircase
from rheostat.schedules.union import AnyDefinition

library = Library("deepspeed")

Values = float | list[float]
Stairs = Annotated[Steps, Field(ge=0, le=10_000)]
_LONG = 1_000_000
"""A line without an end ends after so many of its intervals: a definition has finite values."""


@library.scheduler("WarmupLR")
def warmup(
    case: Case,
    *,
    warmup_min_lr: Values = 0.0,
    warmup_max_lr: Values | None = None,
    warmup_num_steps: Length = 1000,
    warmup_type: str = "log",
    last_batch_iteration: LastEpoch = -1,
) -> AnyDefinition:
    """
    `ramp` to a constant, one update late.

    The ramp is logarithmic unless warmup_type is linear; DeepSpeed takes any other word for log,
    and one step for two. Without warmup_max_lr it ends at the base value.
    """
    low = of_group(case, "warmup_min_lr", warmup_min_lr)
    high = case.base
    if warmup_max_lr is not None:
        high = of_group(case, "warmup_max_lr", warmup_max_lr)
    rise, steps = _rise(low, high, warmup_num_steps, warmup_type)
    return _late(low, sequence((rise, steps), then=Constant(value=high)))


@library.scheduler("WarmupDecayLR")
def decay(
    case: Case,
    *,
    total_num_steps: Steps,
    warmup_min_lr: Values = 0.0,
    warmup_max_lr: Values = 0.001,
    warmup_num_steps: Length = 1000,
    warmup_type: str = "log",
    last_batch_iteration: LastEpoch = -1,
) -> AnyDefinition:
    """
    `ramp` to a `linear` decay back to warmup_min_lr, one update late.

    A warm-up that is as long as the training drops to warmup_min_lr at its end.
    """
    low = of_group(case, "warmup_min_lr", warmup_min_lr)
    high = of_group(case, "warmup_max_lr", warmup_max_lr)
    rise, steps = _rise(low, high, warmup_num_steps, warmup_type)
    left = total_num_steps - steps
    fall = Linear(start=high, end=low, steps=left) if left > 0 else Constant(value=low)
    return _late(low, sequence((rise, steps), then=fall))


@library.scheduler("WarmupCosineLR")
def cosine(
    case: Case,
    *,
    total_num_steps: Steps,
    warmup_min_ratio: float = 0.0,
    warmup_num_steps: Length = 1000,
    cos_min_ratio: float = 0.0001,
    warmup_type: str = "log",
    last_batch_iteration: LastEpoch = -1,
) -> AnyDefinition:
    """
    `ramp` to a `cosine`, one update late.

    The first update has the value 0, whatever warmup_min_ratio is, and a linear warm-up never
    reaches the base value: the cosine takes over one step ahead.
    """
    low, end = case.base * warmup_min_ratio, case.base * cos_min_ratio
    rise, steps = _rise(low, case.base, warmup_num_steps, warmup_type)
    fall = Cosine(start=case.base, end=end, steps=max(1, total_num_steps - steps))
    curve = phases(Phase(rise, until=steps), Phase(fall, origin=steps - 1))
    return _late(0.0, curve)


@library.scheduler("LRRangeTest")
def range_test(
    case: Case,
    *,
    lr_range_test_min_lr: Values = 1e-3,
    lr_range_test_step_size: Length = 2000,
    lr_range_test_step_rate: float = 1.0,
    lr_range_test_staircase: bool = False,
    last_batch_iteration: LastEpoch = -1,
) -> AnyDefinition:
    """
    `linear`, in a `staircase` if asked for.

    It would rise for ever; the definition holds after a million intervals.
    """
    low = of_group(case, "lr_range_test_min_lr", lr_range_test_min_lr)
    line = _endless(low, lr_range_test_step_rate, lr_range_test_step_size)
    return Staircase(of=line, every=lr_range_test_step_size) if lr_range_test_staircase else line


@library.scheduler("OneCycle", hyperparameters=("lr", "momentum", "betas", "beta1"))
def one_cycle(
    case: Case,
    *,
    cycle_min_lr: Values,
    cycle_max_lr: Values,
    decay_lr_rate: float = 0.0,
    cycle_first_step_size: Annotated[float, Field(gt=0)] = 2000,
    cycle_second_step_size: Annotated[float, Field(ge=0)] | None = None,
    cycle_first_stair_count: Stairs = 0,
    cycle_second_stair_count: Stairs | None = None,
    decay_step_size: Annotated[float, Field(ge=0)] = 0,
    cycle_momentum: bool = True,
    cycle_min_mom: Values = 0.8,
    cycle_max_mom: Values = 0.9,
    decay_mom_rate: float = 0.0,
    last_batch_iteration: LastEpoch = -1,
) -> AnyDefinition:
    """
    `piecewise` up and down in straight lines or stairs, and then an `inverse_time` decay.

    Without a decay_step_size the minimum holds. The momentum mirrors the cycle, but begins at its
    minimum too, and its decay multiplies it: a decay_mom_rate above 0 makes it grow, past 1 in the
    end; the definition holds it after a million intervals.
    """
    up = cycle_first_step_size
    down = up if cycle_second_step_size is None else cycle_second_step_size
    second = cycle_second_stair_count
    stairs = (
        cycle_first_stair_count,
        cycle_first_stair_count if second is None else second,
    )
    if case.hyperparameter == "lr":
        low = of_group(case, "cycle_min_lr", cycle_min_lr)
        high = of_group(case, "cycle_max_lr", cycle_max_lr)
        after: AnyDefinition = Constant(value=low)
        if decay_step_size > 0 and decay_lr_rate != 0:
            after = InverseTime(start=low, rate=decay_lr_rate, every=decay_step_size)
        return _cycle(low, high, (up, down), stairs, after)
    if not cycle_momentum:
        message = f"is false: OneCycle leaves the {case.hyperparameter} alone"
        raise case.wrong("cycle_momentum", message, cycle_momentum, "true")
    low = of_group(case, "cycle_min_mom", cycle_min_mom)
    high = of_group(case, "cycle_max_mom", cycle_max_mom)
    after = Constant(value=high)
    if decay_step_size > 0 and decay_mom_rate != 0:
        after = _endless(high, decay_mom_rate, decay_step_size)
    cycle = _cycle(high, low, (up, down), stairs, after)
    return phases(Phase(Constant(value=low), until=1), Phase(cycle))


def _rise(low: float, high: float, steps: int, kind: str) -> tuple[AnyDefinition, int]:
    """Return the warm-up, ln(i + 1)/ln(steps) or i/steps at i, and its steps, at least two."""
    steps = max(2, steps)
    if kind == "linear":
        return Linear(start=low, end=high, steps=steps), steps
    shape: Literal["logarithmic"] = "logarithmic"
    return Ramp(start=low, end=high, steps=steps - 1, shape=shape, ratio=1 / steps), steps


def _late(first: float, curve: AnyDefinition) -> AnyDefinition:
    """Return the curve one update later: DeepSpeed counts the updates before the first as −1."""
    return sequence((Constant(value=first), 1), then=curve)


def _endless(start: float, rate: float, every: float) -> AnyDefinition:
    """Return start · (1 + rate · t/every)."""
    return Linear(start=start, end=start * (1 + rate * _LONG), steps=ceil(every) * _LONG)


def _cycle(
    start: float,
    turn: float,
    lengths: tuple[float, float],
    stairs: tuple[int, int],
    after: AnyDefinition,
) -> AnyDefinition:
    """Return the way from start to turn and back, each in stairs or not, and what follows."""
    (up, down), total = lengths, sum(lengths)
    if stairs == (0, 0) and down > 0:
        points = ((0.0, start), (float(up), turn), (float(total), start))
        cycle = Phase(Piecewise(points=points), until=floor(total) + 1)
        return phases(cycle, Phase(after, origin=total))
    rise = Phase(_stairs_up(start, turn, up, stairs[0]), until=floor(up) + 1)
    fall = Phase(_stairs_down(start, turn, (up, down), stairs[1]), until=floor(total) + 1)
    return phases(rise, fall, Phase(after, origin=total))


def _stairs_up(start: float, turn: float, length: float, count: int) -> AnyDefinition:
    if count == 0:
        return Piecewise(points=((0.0, start), (float(length), turn)))
    levels = [(ceil(i * length / count), i / count) for i in range(count + 1)]
    return _stairs(levels, start, turn)


def _stairs_down(
    start: float, turn: float, lengths: tuple[float, float], count: int
) -> AnyDefinition:
    (up, down), total = lengths, sum(lengths)
    if count == 0:
        return Piecewise(points=((float(up), turn), (float(total), start)))
    levels = [(floor(up + i * down / count) + 1, 1 - (i + 1) / count) for i in range(count)]
    return _stairs([*levels, (ceil(total), 0.0)], start, turn)


def _stairs(levels: list[tuple[int, float]], start: float, turn: float) -> AnyDefinition:
    """Return levels, each from its step on; of several at one step the last one counts."""
    points = {float(step): start + (turn - start) * level for step, level in levels}
    return Piecewise(points=tuple(points.items()), interpolation="previous")
