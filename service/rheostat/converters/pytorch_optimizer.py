"""pytorch_optimizer: pytorch_optimizer.lr_scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import cos, log2, pi
from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.core import Case, Library, Nested
from rheostat.converters.kit import Phase, over, phases, polynomial, scaled, sequence, table
from rheostat.converters.parameters import (
    Count,
    Ignored,
    LastEpoch,
    Length,
    NotNegative,
    Positive,
    Shared,
    Steps,
)
from rheostat.limits import MAX_STEP
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Ramp
from rheostat.schedules.kinds.pointwise import Follow, Power, Scale, Sum
from rheostat.schedules.kinds.presets import Warmup, Wsd
from rheostat.schedules.kinds.repeat import Repeat
from rheostat.schedules.union import AnyDefinition

library = Library("pytorch_optimizer")

UnusedLength = Annotated[Count, Ignored("is not used by pytorch_optimizer either: it grows on")]


class Warmed(Shared):
    """A warm-up, one step late: the constructor sets min_lr."""

    t_max: Count
    max_lr: NotNegative
    min_lr: NotNegative = 0.0
    init_lr: NotNegative = 0.0
    warmup_steps: Count = 0

    def left(self, case: Case) -> int:
        """Return how many steps the warm-up leaves until t_max."""
        if self.t_max <= self.warmup_steps:
            bound = f"> {self.warmup_steps}"
            raise case.wrong("t_max", "must lie above warmup_steps", self.t_max, bound)
        return self.t_max - self.warmup_steps

    def to(self, then: AnyDefinition) -> AnyDefinition:
        """Return the warm-up and what follows it."""
        steps, peak = self.warmup_steps, self.max_lr
        ramp = polynomial(self.init_lr, peak, steps) if steps else Constant(value=peak)
        return sequence((Constant(value=self.min_lr), 1), (ramp, steps), then=then)


def _set_first(value: float, curve: AnyDefinition) -> AnyDefinition:
    """Return a curve with another value at step 0, which the constructor sets."""
    return phases(Phase(Constant(value=value), until=1), Phase(curve))


@library.scheduler("LinearScheduler")
def linear(case: Case, warmed: Warmed) -> AnyDefinition:
    """
    `sequence` of one step at min_lr, a line to max_lr, and a line to min_lr.

    The constructor sets min_lr, and all else comes one step later. Past t_max it falls on, below
    zero; the definition holds.
    """
    return warmed.to(polynomial(warmed.max_lr, warmed.min_lr, warmed.left(case)))


@library.scheduler("CosineScheduler")
def cosine(case: Case, warmed: Warmed) -> AnyDefinition:
    """
    `sequence` of one step at min_lr, a line to max_lr, and a `cosine`, periodic.

    The constructor sets min_lr, and all else comes one step later.
    """
    start, end = warmed.max_lr, warmed.min_lr
    return warmed.to(Cosine(start=start, end=end, steps=warmed.left(case), periodic=True))


@library.scheduler("PolyScheduler")
def poly(
    case: Case, warmed: Warmed, *, t_max: UnusedLength, poly_order: Positive = 0.5
) -> AnyDefinition:
    """
    `sequence` of one step at min_lr, a line to max_lr, and a `power` of the step.

    It grows without end: min_lr + (max_lr − min_lr) · t^poly_order.
    """
    steps = Linear(start=0.0, end=float(MAX_STEP), steps=MAX_STEP)
    lowest, highest = warmed.min_lr, warmed.max_lr
    growth = Scale(factor=highest - lowest, of=Power(of=steps, exponent=poly_order))
    whole = Sum(of=(Constant(value=lowest), growth))
    return warmed.to(_set_first(highest, whole))


@library.scheduler("REXScheduler")
def rex(
    case: Case, *, total_steps: Length, max_lr: float = 1.0, min_lr: float = 0.0
) -> AnyDefinition:
    """
    `sequence` of one step at min_lr, and a `ramp` of shape `rational`.

    The constructor sets min_lr; the curve's own first value is never used.
    """
    curve = Ramp(start=max_lr, end=min_lr, steps=total_steps, shape="rational", ratio=0.5)
    return _set_first(min_lr, curve)


@library.scheduler("CosineAnnealingWarmupRestarts")
def restarts(
    case: Case,
    *,
    first_cycle_steps: Length,
    cycle_mult: NotNegative = 1.0,
    max_lr: float = 1e-4,
    min_lr: float = 1e-6,
    warmup_steps: Count = 0,
    gamma: float = 0.9,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `repeat` of a `warmup` to a `cosine`, or a `sequence` if cycle_mult is not 1.

    Each cycle begins with its own warm-up, whose length does not grow. Without a warm-up the very
    first step is at min_lr, which the constructor sets.
    """
    if warmup_steps >= first_cycle_steps:
        bound = f"< {first_cycle_steps}"
        raise case.wrong("warmup_steps", "must be below first_cycle_steps", warmup_steps, bound)
    lengths = list(_lengths(case, first_cycle_steps, warmup_steps, cycle_mult))
    parts = [
        (_cycle(max_lr * gamma**i, min_lr, warmup_steps, steps), steps)
        for i, steps in enumerate(lengths[:-1])
    ]
    peak = max_lr * gamma ** len(parts)
    whole = sequence(*parts, then=_waves(peak, min_lr, warmup_steps, lengths[-1], gamma))
    return whole if warmup_steps else _set_first(min_lr, whole)


def _lengths(case: Case, first: int, warmup: int, factor: float) -> Iterator[int]:
    """Yield the lengths of cycles, until they stay the same or the training or the axis ends."""
    end, steps = case.context.total or MAX_STEP, first
    for _ in range(300):
        yield steps
        end -= steps
        following = min(max(1, int((steps - warmup) * factor)) + warmup, MAX_STEP)
        if following == steps or end <= 0:
            return
        steps = following
    message = "makes too many cycles of different lengths"
    raise case.wrong("cycle_mult", message, factor, "at most 300 cycles; total says where to end")


def _cycle(peak: float, least: float, warmup: int, steps: int) -> AnyDefinition:
    wave = Cosine(start=peak, end=least, steps=steps - warmup)
    return Warmup(steps=warmup, start=least, then=wave) if warmup else wave


def _waves(peak: float, least: float, warmup: int, steps: int, gamma: float) -> AnyDefinition:
    """Return equal cycles without end, whose peaks shrink towards 0 and not to the least value."""
    every = float(steps)
    if gamma == 1:
        return Repeat(of=_cycle(peak, least, warmup, steps), every=every)
    falling = Repeat(of=_cycle(peak, 0.0, warmup, steps), every=every, peak_factor=gamma)
    if least == 0:
        return falling
    ground = Wsd(
        peak=0.0,
        warmup=warmup,
        warmup_start=least,
        stable=0,
        decay=steps - warmup,
        decay_shape="cosine",
        end=least,
    )
    return Sum(of=(falling, Repeat(of=ground, every=every)))


@library.scheduler("get_chebyshev_schedule")
def chebyshev(
    case: Case,
    *,
    num_epochs: Annotated[Steps, Field(ge=1, le=100_000)],
    is_warmup: bool = False,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `table` of the permuted Chebyshev steps, times the base value.

    They are as many as the next power of two, and begin with the third step.
    """
    if is_warmup:
        return Constant(value=case.base)
    length = 2 ** (int(log2(num_epochs - 1)) + 1) if num_epochs > 1 else 1
    order = [0]
    while len(order) < length - 2:
        order = [i for pair in ((i, 2 * len(order) - 1 - i) for i in order) for i in pair]
    center, radius = (1.0 + 0.05) / 2, (1.0 - 0.05) / 2
    factors = [1 / (center - radius * cos((i + 0.5) * pi / length)) for i in order if i < length]
    return table([case.base * factor for factor in [factors[0]] * 2 + factors])


_REMEMBERED: dict[str, tuple[str, float]] = {
    "LinearScheduler": ("init_lr", 0.0),
    "CosineScheduler": ("init_lr", 0.0),
    "PolyScheduler": ("init_lr", 0.0),
    "REXScheduler": ("max_lr", 1.0),
}
"""What stands for the rate at step 0 in schedulers that remember one, and its default."""


@library.scheduler("ProportionScheduler", hyperparameters=None)
def proportion(
    case: Case,
    *,
    max_lr: float,
    min_lr: float = 0.0,
    max_value: float = 2.0,
    min_value: float = 2.0,
    lr_scheduler: Nested | None = None,
) -> AnyDefinition:
    """
    `follow`: a line of the learning rate.

    With lr_scheduler, one of this library or of PyTorch, a line of that scheduler's definition;
    at step 0 of what the scheduler remembers, which need not be the rate: its init_lr, or max_lr.
    """
    if max_lr <= min_lr:
        return Constant(value=max_value)
    slope = (max_value - min_value) / (max_lr - min_lr)
    offset = min_value - slope * min_lr
    if lr_scheduler is None:
        return Follow(parameter="lr", scale=slope, offset=offset)
    own = library.find(lr_scheduler.name) is not None
    rate = replace(case, hyperparameter="lr")
    inner = rate.nested(lr_scheduler, "lr_scheduler", library=None if own else "torch")
    line = Sum(of=(Constant(value=offset), scaled(slope, inner)))
    if lr_scheduler.name not in _REMEMBERED:
        return line
    name, default = _REMEMBERED[lr_scheduler.name]
    first = lr_scheduler.params.get(name, default)
    return _set_first(offset + slope * first, line)


@library.scheduler("get_wsd_schedule")
def wsd(
    case: Case,
    *,
    num_warmup_steps: Count,
    num_stable_steps: Count,
    num_decay_steps: Count,
    min_lr_ratio: float = 0.0,
    num_cycles: Positive = 0.5,
    cooldown_type: Literal["cosine", "1-sqrt", "linear", "1-square"] = "1-sqrt",
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `wsd`, or a `sequence` where it jumps at the end.

    Only the cosine honours min_lr_ratio during the decay: the others go to 0, and then jump up.
    """
    peak, end = case.base, case.base * min_lr_ratio
    shape = "power" if cooldown_type == "1-square" else cooldown_type
    jumps = end != 0 if shape != "cosine" else num_cycles != 0.5
    if num_decay_steps and not jumps:
        return Wsd(
            peak=peak,
            warmup=num_warmup_steps,
            stable=num_stable_steps,
            decay=num_decay_steps,
            decay_shape=shape,
            power=2.0 if shape == "power" else 1.0,
            end=end,
        )
    decay: AnyDefinition = Constant(value=peak)
    if num_decay_steps and shape == "cosine":
        wave = num_decay_steps / (2 * num_cycles)
        decay = over(wave, lambda n: Cosine(start=peak, end=end, steps=n, periodic=True))
    elif num_decay_steps:
        decay = Ramp(start=peak, end=0.0, steps=num_decay_steps, shape=shape, power=2.0)
    ramp = polynomial(0.0, peak, num_warmup_steps or 1)
    return sequence(
        (ramp, num_warmup_steps),
        (Constant(value=peak), num_stable_steps),
        (decay, num_decay_steps),
        then=Constant(value=end),
    )
