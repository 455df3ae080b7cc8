"""timm: timm.scheduler, in epochs or in updates, whichever the scheduler counts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import inf, nextafter
from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, exponential, levels, phases, scaled, value_at, warmed
from rheostat.converters.parameters import Count, InEpochs, Initialize, Length, Positive
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial, Ramp, Sigmoid
from rheostat.schedules.kinds.cycles import CosineRestarts
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.kinds.pointwise import Clip, Noise, Product, Sum
from rheostat.schedules.kinds.presets import Wsd
from rheostat.schedules.kinds.repeat import Repeat
from rheostat.schedules.kinds.timing import Warp
from rheostat.schedules.numeric import ShapeName
from rheostat.schedules.union import AnyDefinition

library = Library("timm")
library.metric_driven("PlateauLRScheduler")

Floor = Annotated[float, Field(ge=0)]
Range = float | list[float] | None
"""Where there is noise: from a step on, or from one step up to another."""


@dataclass(frozen=True)
class Warm:
    """A linear warm-up, which delays the curve if it is a prefix, and else covers its beginning."""

    steps: int
    start: float
    prefix: bool
    peak: float | None = None
    """Where a prefix ends; None: at the base value."""


@dataclass(frozen=True)
class Noisy:
    """Where there is noise, and which."""

    range: Range
    pct: float
    std: float
    seed: int | None


def finished(case: Case, curve: AnyDefinition, warm: Warm, noisy: Noisy) -> AnyDefinition:
    """Return the curve with its warm-up, its noise and its group's scale."""
    whole = _with_noise(case, _with_warmup(case, curve, warm), noisy)
    scale = case.context.lr_scale
    return whole if scale is None else scaled(scale, whole)


def _with_warmup(case: Case, curve: AnyDefinition, warm: Warm) -> AnyDefinition:
    if warm.steps == 0:
        return curve
    peak = case.base if warm.peak is None else warm.peak
    if warm.prefix and value_at(curve, 0) == peak:
        return warmed(warm.steps, curve, warm.start)
    rise = Linear(start=warm.start, end=peak, steps=warm.steps)
    origin = warm.steps if warm.prefix else 0
    return phases(Phase(rise, until=warm.steps), Phase(curve, origin=origin))


def _with_noise(case: Case, curve: AnyDefinition, noisy: Noisy) -> AnyDefinition:
    if noisy.range is None or noisy.std == 0:
        return curve
    seed = 42 if noisy.seed is None else noisy.seed
    noise = Noise(of=curve, seed=seed, amplitude=noisy.pct, distribution="normal", std=noisy.std)
    bounds = noisy.range if isinstance(noisy.range, list) else [noisy.range]
    if len(bounds) == 1:
        return phases(Phase(curve, until=bounds[0]), Phase(noise))
    if len(bounds) != 2:
        raise case.wrong("noise_range_t", "must be one step or two", bounds, "[from, to]")
    start, stop = bounds
    return phases(Phase(curve, until=start), Phase(noise, until=stop), Phase(curve))


Power = Annotated[float, Field(gt=0)]
PolyPower = Annotated[float, Field(ge=0)]
Mul = Annotated[float, Field(gt=0)]
Curve = Callable[[float, float], AnyDefinition]
"""One cycle, from its start and its end."""


@dataclass(frozen=True)
class Cycles:
    """How many cycles there are, and how much longer and lower each one is."""

    length: int
    mul: float
    decay: float
    limit: int

    @property
    def end(self) -> float:
        """Where the last one ends."""
        if self.mul == 1:
            return self.length * self.limit
        return self.length * (self.mul**self.limit - 1) / (self.mul - 1)


@library.scheduler("CosineLRScheduler")
def cosine(
    case: Case,
    *,
    t_initial: Length,
    lr_min: Floor = 0.0,
    cycle_mul: Mul = 1.0,
    cycle_decay: float = 1.0,
    cycle_limit: Count = 1,
    warmup_t: Count = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = False,
    t_in_epochs: InEpochs = True,
    noise_range_t: Range = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    k_decay: Power = 1.0,
    initialize: Initialize = True,
) -> AnyDefinition:
    """
    `cosine`, or `cosine_restarts` if cycle_limit is above 1.

    Without warmup_prefix the warm-up covers the beginning of the cosine, which is below the base
    value where it takes over. With a cycle_mul other than 1 timm finds the cycle by a rounded
    logarithm, and misses some restarts by one step. The noise is Rheostat's own.
    """
    cycles = Cycles(t_initial, cycle_mul, cycle_decay, cycle_limit)

    def wave(start: float, end: float) -> AnyDefinition:
        return _warped(Cosine(start=start, end=end, steps=t_initial), t_initial, k_decay)

    curve = _cycled(case.base, lr_min, cycles, wave)
    if cycle_limit > 1 and k_decay == 1:
        curve = CosineRestarts(
            start=case.base,
            end=lr_min,
            period=t_initial,
            period_factor=cycle_mul,
            peak_factor=cycle_decay,
            cycles=cycle_limit,
        )
    warm = Warm(warmup_t, warmup_lr_init, warmup_prefix)
    return finished(case, curve, warm, Noisy(noise_range_t, noise_pct, noise_std, noise_seed))


@library.scheduler("PolyLRScheduler")
def polynomial(
    case: Case,
    *,
    t_initial: Length,
    power: PolyPower = 0.5,
    lr_min: Floor = 0.0,
    cycle_mul: Mul = 1.0,
    cycle_decay: float = 1.0,
    cycle_limit: Count = 1,
    warmup_t: Count = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = False,
    t_in_epochs: InEpochs = True,
    noise_range_t: Range = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    k_decay: Power = 1.0,
    initialize: Initialize = True,
) -> AnyDefinition:
    """
    `polynomial`, repeated if cycle_limit is above 1.

    k_decay is a `warp` of its time. With power 0 each cycle holds its start. Warm-up, cycles and
    noise are those of CosineLRScheduler.
    """
    cycles = Cycles(t_initial, cycle_mul, cycle_decay, cycle_limit)

    def fall(start: float, end: float) -> AnyDefinition:
        if power == 0:
            return levels([t_initial], [start, end])
        curve = Polynomial(start=start, end=end, steps=t_initial, power=power)
        return _warped(curve, t_initial, k_decay)

    curve = _cycled(case.base, lr_min, cycles, fall)
    warm = Warm(warmup_t, warmup_lr_init, warmup_prefix)
    return finished(case, curve, warm, Noisy(noise_range_t, noise_pct, noise_std, noise_seed))


@library.scheduler("TanhLRScheduler")
def tanh(
    case: Case,
    *,
    t_initial: Length,
    lb: float = -7.0,
    ub: float = 3.0,
    lr_min: Floor = 0.0,
    cycle_mul: Mul = 1.0,
    cycle_decay: float = 1.0,
    cycle_limit: Count = 1,
    warmup_t: Count = 0,
    warmup_lr_init: Floor = 0.0,
    warmup_prefix: bool = False,
    t_in_epochs: InEpochs = True,
    noise_range_t: Range = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    initialize: Initialize = True,
) -> AnyDefinition:
    """
    `sigmoid` up to the end of the cycle, and then lr_min.

    It neither starts quite at the base value nor ends quite at lr_min; a warm-up that is no prefix
    ends where the curve is.
    """
    if lb >= ub:
        raise case.wrong("ub", "must be above lb", ub, f"> {lb}")
    cycles = Cycles(t_initial, cycle_mul, cycle_decay, cycle_limit)
    center, width = -lb / (ub - lb) * t_initial, t_initial / (2 * (ub - lb))

    def fall(start: float, end: float) -> AnyDefinition:
        curve = Sigmoid(start=start, end=end, center=max(center, 0.0), width=width)
        return phases(Phase(curve, origin=min(center, 0.0)))

    falls = Phase(_cycled(case.base, lr_min, cycles, fall), until=cycles.end)
    curve = phases(falls, Phase(Constant(value=lr_min)))
    peak = None if warmup_prefix else value_at(curve, warmup_t)
    warm = Warm(warmup_t, warmup_lr_init, warmup_prefix, peak)
    return finished(case, curve, warm, Noisy(noise_range_t, noise_pct, noise_std, noise_seed))


def _warped(curve: AnyDefinition, steps: int, k_decay: float) -> AnyDefinition:
    return curve if k_decay == 1 else Warp(of=curve, steps=steps, shape="power", power=k_decay)


def _cycled(start: float, end: float, cycles: Cycles, curve: Curve) -> AnyDefinition:
    """Return the cycles; if only their peaks shrink, the sum of the peaks' part and the floor's."""
    if cycles.limit == 0:
        return Constant(value=end)
    if cycles.limit == 1:
        return curve(start, end)
    if cycles.decay == 1 or end == 0:
        return _repeated(curve(start, end), cycles, cycles.decay)
    return Sum(
        of=(
            _repeated(curve(start, 0.0), cycles, cycles.decay),
            _repeated(curve(0.0, end), cycles, 1.0),
        )
    )


def _repeated(curve: AnyDefinition, cycles: Cycles, peak_factor: float) -> AnyDefinition:
    return Repeat(
        of=curve,
        every=cycles.length,
        period_factor=cycles.mul,
        peak_factor=peak_factor,
        cycles=cycles.limit,
    )


@library.scheduler("StepLRScheduler")
def step(
    case: Case,
    *,
    decay_t: Annotated[float, Field(gt=0)],
    decay_rate: float = 1.0,
    warmup_t: Count = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = True,
    t_in_epochs: InEpochs = True,
    noise_range_t: Range = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    initialize: Initialize = True,
) -> AnyDefinition:
    """
    `step`, or `constant` with a decay_rate of 1, which is timm's default.

    decay_t need not be whole: 3.7 is a little more as float64, so that timm's step 37 is still in
    the tenth interval, and so is the definition's. The warm-up is a prefix, unlike that of the
    other schedulers.
    """
    curve = exponential(case.base, decay_rate, _length(decay_t), staircase=True)
    if decay_rate == 1:
        curve = Constant(value=case.base)
    warm = Warm(warmup_t, warmup_lr_init, warmup_prefix)
    return finished(case, curve, warm, Noisy(noise_range_t, noise_pct, noise_std, noise_seed))


@library.scheduler("MultiStepLRScheduler")
def multistep(
    case: Case,
    *,
    decay_t: list[Count],
    decay_rate: float = 1.0,
    warmup_t: Count = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = True,
    t_in_epochs: InEpochs = True,
    noise_range_t: Range = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    initialize: Initialize = True,
) -> AnyDefinition:
    """
    `multistep`, each milestone one step earlier than it says.

    timm compares them with t + 1, and keeps that. A warm-up is a prefix, which shifts them. Of
    milestones that fall it counts those that its bisection finds, and so does the definition.
    """
    curve = Multistep(start=case.base, milestones=_milestones(decay_t), factor=decay_rate)
    warm = Warm(warmup_t, warmup_lr_init, warmup_prefix, peak=case.base)
    return finished(case, curve, warm, Noisy(noise_range_t, noise_pct, noise_std, noise_seed))


def _length(decay_t: float) -> float:
    """Return a length by which a rounded quotient is rounded down as timm's exact one is."""
    if Fraction(decay_t) <= Fraction(repr(decay_t)):
        return decay_t
    return nextafter(nextafter(decay_t, inf), inf)


def _milestones(decay_t: list[int]) -> tuple[int, ...]:
    """Return the steps of the changes: timm counts the milestones up to t + 1 by bisection."""
    steps = sorted(set(decay_t))
    counts = [0, *(bisect_right(decay_t, step) for step in steps)]
    return tuple(
        max(0, step - 1)
        for step, (before, after) in zip(steps, pairwise(counts), strict=True)
        for _ in range(after - before)
    )


_SHAPES: dict[str, ShapeName] = {
    "linear": "linear",
    "1-sqrt": "1-sqrt",
    "cosine": "cosine",
    "power": "power",
    "exp": "exponential",
}


@library.scheduler("WSDLRScheduler")
def stages(
    case: Case,
    *,
    t_initial: Length,
    decay_t: Length,
    lr_min: Floor = 0.0,
    stable_fn: Literal["constant", "rsqrt", "power"] = "constant",
    stable_timescale: float | None = None,
    stable_power: Positive = 0.5,
    decay_fn: Literal["linear", "1-sqrt", "cosine", "power", "exp"] = "1-sqrt",
    decay_power: Positive = 0.5,
    decay_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.1,
    warmup_t: Count = 0,
    warmup_lr_init: float = 0.0,
    t_in_epochs: InEpochs = True,
    noise_range_t: Range = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    initialize: Initialize = True,
) -> AnyDefinition:
    """
    `wsd`; with another stable_fn an `inverse_sqrt`, times the decay.

    The warm-up comes before t_initial. A stable_fn that falls goes on falling while it decays.
    """
    if decay_t > t_initial:
        raise case.wrong("decay_t", "must not be above t_initial", decay_t, f"≤ {t_initial}")
    shape = Ramp(
        start=1.0,
        end=0.0,
        steps=decay_t,
        shape=_SHAPES[decay_fn],
        power=decay_power if decay_fn == "power" else 1.0,
        ratio=decay_ratio,
    )
    noisy = Noisy(noise_range_t, noise_pct, noise_std, noise_seed)
    if stable_fn == "constant" and case.base >= lr_min:
        curve = _wsd(case, shape, (warmup_t, t_initial - decay_t), (warmup_lr_init, lr_min))
        return finished(case, curve, Warm(0, 0.0, prefix=True), noisy)
    stable: AnyDefinition = Constant(value=case.base)
    if stable_fn != "constant":
        power = 0.5 if stable_fn == "rsqrt" else stable_power
        timescale = _timescale(case, stable_timescale, warmup_t)
        stable = InverseSqrt(start=case.base, timescale=timescale, power=power)
    curve = _decaying(stable, shape, t_initial - decay_t, lr_min)
    return finished(case, curve, Warm(warmup_t, warmup_lr_init, prefix=True), noisy)


def _wsd(
    case: Case, shape: Ramp, lengths: tuple[int, int], ends: tuple[float, float]
) -> AnyDefinition:
    return Wsd(
        peak=case.base,
        warmup=lengths[0],
        warmup_start=ends[0],
        stable=lengths[1],
        decay=shape.steps,
        decay_shape=shape.shape,
        power=shape.power,
        ratio=shape.ratio,
        end=ends[1],
    )


def _timescale(case: Case, given: float | None, warmup: int) -> float:
    timescale = float(warmup) if given is None else given
    if timescale <= 0:
        message = "must be above 0; it is warmup_t unless it is given"
        raise case.wrong("stable_timescale", message, timescale, "> 0")
    return timescale


def _decaying(stable: AnyDefinition, fall: Ramp, start: int, floor: float) -> AnyDefinition:
    """Return floor + (stable − floor) · c, c falling from 1 to 0 from start on."""
    one = Phase(Constant(value=1.0), until=start)
    weight = phases(one, Phase(fall, origin=start))
    if floor == 0:
        return Product(of=(stable, weight))
    rise = fall.model_copy(update={"start": 0.0, "end": floor})
    rest = phases(Phase(Constant(value=0.0), until=start), Phase(rise, origin=start))
    return Sum(of=(Product(of=(Clip(of=stable, min=floor), weight)), rest))
