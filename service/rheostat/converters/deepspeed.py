"""DeepSpeed: deepspeed.runtime.lr_schedules, whose first two updates have the same values."""

from __future__ import annotations

from math import ceil, floor
from typing import Annotated

from pydantic import Field

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, of_group, phases
from rheostat.converters.parameters import (
    LastEpoch,
    Length,
    NotNegative,
    PerGroup,
    Positive,
    Shared,
    Steps,
)
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Ramp
from rheostat.schedules.kinds.decays import InverseTime
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.timing import Staircase
from rheostat.schedules.union import AnyDefinition

Stairs = Annotated[Steps, Field(ge=0, le=10_000)]
_LONG = 1_000_000
"""A line without an end ends after so many of its intervals: a definition has finite values."""


class Resumed(Shared):
    """What all schedulers accept, and what changes none of their values."""

    last_batch_iteration: LastEpoch = -1


class Warmup(Shared):
    """The warm-up of three schedulers."""

    warmup_num_steps: Length = 1000
    warmup_type: str = "log"

    @property
    def steps(self) -> int:
        """How long it takes: one step is taken for two."""
        return max(2, self.warmup_num_steps)

    def rise(self, low: float, high: float) -> Phase:
        """Return low + (high − low) · ln(t + 1)/ln(steps), or t/steps if it is linear."""
        steps = self.steps
        curve: AnyDefinition = Linear(start=low, end=high, steps=steps)
        if self.warmup_type != "linear":
            ratio = 1 / steps
            curve = Ramp(start=low, end=high, steps=steps - 1, shape="logarithmic", ratio=ratio)
        return Phase(curve, until=steps)


library = Library("deepspeed", common=Resumed)


@library.scheduler("WarmupLR")
def constant(
    case: Case,
    warmup: Warmup,
    *,
    warmup_min_lr: PerGroup = 0.0,
    warmup_max_lr: PerGroup | None = None,
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
    return late(low, warmup.rise(low, high), Phase(Constant(value=high)))


@library.scheduler("WarmupDecayLR")
def decay(
    case: Case,
    warmup: Warmup,
    *,
    total_num_steps: Steps,
    warmup_min_lr: PerGroup = 0.0,
    warmup_max_lr: PerGroup = 0.001,
) -> AnyDefinition:
    """
    `ramp` to a `linear` decay back to warmup_min_lr, one update late.

    A warm-up that is as long as the training drops to warmup_min_lr at its end.
    """
    low = of_group(case, "warmup_min_lr", warmup_min_lr)
    high = of_group(case, "warmup_max_lr", warmup_max_lr)
    left = total_num_steps - warmup.steps
    fall = Linear(start=high, end=low, steps=left) if left > 0 else Constant(value=low)
    return late(low, warmup.rise(low, high), Phase(fall, origin=warmup.steps))


@library.scheduler("WarmupCosineLR")
def cosine(
    case: Case,
    warmup: Warmup,
    *,
    total_num_steps: Steps,
    warmup_min_ratio: float = 0.0,
    cos_min_ratio: float = 0.0001,
) -> AnyDefinition:
    """
    `ramp` to a `cosine`, one update late.

    The first update has the value 0, whatever warmup_min_ratio is, and a linear warm-up never
    reaches the base value: the cosine takes over one step ahead.
    """
    rise = warmup.rise(case.base * warmup_min_ratio, case.base)
    steps = max(1, total_num_steps - warmup.steps)
    fall = Cosine(start=case.base, end=case.base * cos_min_ratio, steps=steps)
    return late(0.0, rise, Phase(fall, origin=warmup.steps - 1))


@library.scheduler("LRRangeTest")
def range_test(
    case: Case,
    *,
    lr_range_test_min_lr: PerGroup = 1e-3,
    lr_range_test_step_size: Length = 2000,
    lr_range_test_step_rate: float = 1.0,
    lr_range_test_staircase: bool = False,
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
    cycle_min_lr: PerGroup,
    cycle_max_lr: PerGroup,
    decay_lr_rate: float = 0.0,
    cycle_first_step_size: Positive = 2000,
    cycle_second_step_size: NotNegative | None = None,
    cycle_first_stair_count: Stairs = 0,
    cycle_second_stair_count: Stairs | None = None,
    decay_step_size: NotNegative = 0,
    cycle_momentum: bool = True,
    cycle_min_mom: PerGroup = 0.8,
    cycle_max_mom: PerGroup = 0.9,
    decay_mom_rate: float = 0.0,
) -> AnyDefinition:
    """
    `piecewise` up and down in straight lines or stairs, and then an `inverse_time` decay.

    Without a decay_step_size the minimum holds. The momentum mirrors the cycle, but begins at its
    minimum too, and its decay multiplies it: a decay_mom_rate above 0 makes it grow, past 1 in the
    end; the definition holds it after a million intervals.
    """
    up, down, stairs = cycle_first_step_size, cycle_second_step_size, cycle_second_stair_count
    lengths = (up, up if down is None else down)
    counts = (cycle_first_stair_count, cycle_first_stair_count if stairs is None else stairs)
    if case.hyperparameter == "lr":
        low = of_group(case, "cycle_min_lr", cycle_min_lr)
        high = of_group(case, "cycle_max_lr", cycle_max_lr)
        after: AnyDefinition = Constant(value=low)
        if decay_step_size > 0 and decay_lr_rate != 0:
            after = InverseTime(start=low, rate=decay_lr_rate, every=decay_step_size)
        return phases(*_cycle(low, high, lengths, counts), Phase(after, origin=sum(lengths)))
    if not cycle_momentum:
        message = f"is false: OneCycle leaves the {case.hyperparameter} alone"
        raise case.wrong("cycle_momentum", message, cycle_momentum, "true")
    low = of_group(case, "cycle_min_mom", cycle_min_mom)
    high = of_group(case, "cycle_max_mom", cycle_max_mom)
    after = Constant(value=high)
    if decay_step_size > 0 and decay_mom_rate != 0:
        after = _endless(high, decay_mom_rate, decay_step_size)
    first, cycle = Phase(Constant(value=low), until=1), _cycle(high, low, lengths, counts)
    return phases(first, *cycle, Phase(after, origin=sum(lengths)))


def late(first: float, *items: Phase) -> AnyDefinition:
    """Return phases one update later: DeepSpeed counts the updates before the first as −1."""
    later = (Phase(item.curve, item.until + 1, item.origin + 1) for item in items)
    return phases(Phase(Constant(value=first), until=1), *later)


def _endless(start: float, rate: float, every: float) -> AnyDefinition:
    """Return start · (1 + rate · t/every)."""
    return Linear(start=start, end=start * (1 + rate * _LONG), steps=ceil(every) * _LONG)


def _cycle(
    start: float, turn: float, lengths: tuple[float, float], stairs: tuple[int, int]
) -> list[Phase]:
    """Return the way from start to turn and back, each in stairs or not."""
    (up, down), total = lengths, sum(lengths)
    if stairs == (0, 0) and down > 0:
        points = ((0.0, start), (float(up), turn), (float(total), start))
        return [Phase(Piecewise(points=points), until=floor(total) + 1)]
    rise = _stairs_up(start, turn, up, stairs[0])
    fall = _stairs_down(start, turn, lengths, stairs[1])
    return [Phase(rise, until=floor(up) + 1), Phase(fall, until=floor(total) + 1)]


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
