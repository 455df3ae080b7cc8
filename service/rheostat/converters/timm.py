"""
timm: timm.scheduler, in epochs or in updates, whichever the scheduler counts.

The short names are those of `--sched`; their parameters are those of the class.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import inf, nextafter
from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.core import Case, Conversion, Library
from rheostat.converters.kit import Phase, exponential, levels, phases, scaled, value_at, warmed
from rheostat.converters.mmengine import by_counts
from rheostat.converters.parameters import Count, Ignored, Length, NotNegative, Positive, Shared
from rheostat.converters.reactions import Mode, metric_of, plateau
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

InEpochs = Annotated[
    bool, Ignored("says whether lengths count epochs or updates; the definition counts the same")
]
Initialize = Annotated[bool, Ignored("notes the base value in the optimizer's groups")]
NoNoise = Ignored("shapes the noise, which is refused beside a plateau")
Curve = Callable[[float, float], AnyDefinition]
"""One cycle, from its start and its end."""


class Unread(Shared):
    """What all schedulers take, and what changes none of their values."""

    t_in_epochs: InEpochs = True
    initialize: Initialize = True


class Common(Shared):
    """What all schedulers take: a linear warm-up, and noise from a step on or between two."""

    warmup_t: Count = 0
    warmup_lr_init: float = 0.0
    noise_range_t: float | list[float] | None = None
    noise_pct: float = 0.67
    noise_std: float = 1.0
    noise_seed: int | None = 42

    def finished(
        self, case: Case, curve: AnyDefinition, *, prefix: bool, peak: float | None = None
    ) -> AnyDefinition:
        """
        Return the curve with its warm-up, its noise and its group's scale.

        The warm-up delays the curve if it is a prefix, and else covers its beginning. It ends at
        the base value, or at another peak.
        """
        steps, start = self.warmup_t, self.warmup_lr_init
        end = case.base if peak is None else peak
        if steps and prefix and value_at(curve, 0) == end:
            curve = warmed(steps, curve, start)
        elif steps:
            rise = Phase(Linear(start=start, end=end, steps=steps), until=steps)
            curve = phases(rise, Phase(curve, origin=steps if prefix else 0))
        return self.noisy(case, curve)

    def noisy(self, case: Case, curve: AnyDefinition) -> AnyDefinition:
        """Return the curve with its noise and its group's scale."""
        scale = 1.0 if case.context.lr_scale is None else case.context.lr_scale
        given = self.noise_range_t
        if given is None or self.noise_std == 0:
            return scaled(scale, curve)
        noise = Noise(
            of=curve,
            seed=42 if self.noise_seed is None else self.noise_seed,
            amplitude=self.noise_pct,
            distribution="normal",
            std=self.noise_std,
        )
        bounds = given if isinstance(given, list) else [given]
        if len(bounds) not in {1, 2}:
            raise case.wrong("noise_range_t", "must be one step or two", bounds, "[from, to]")
        start, stop = (*bounds, inf)[:2]
        parts = Phase(curve, until=start), Phase(noise, until=stop), Phase(curve)
        return scaled(scale, phases(*parts))


class Cycles(Common):
    """How many cycles there are, how much longer and lower each one is, and where they end."""

    t_initial: Length
    lr_min: NotNegative = 0.0
    cycle_mul: Positive = 1.0
    cycle_decay: float = 1.0
    cycle_limit: Count = 1
    warmup_prefix: bool = False

    @property
    def end(self) -> float:
        """Where the last one ends."""
        if self.cycle_mul == 1:
            return self.t_initial * self.cycle_limit
        return self.t_initial * (self.cycle_mul**self.cycle_limit - 1) / (self.cycle_mul - 1)

    def repeated(self, case: Case, curve: Curve) -> AnyDefinition:
        """Return the cycles; if their peaks shrink and lr_min does not, it is a sum of the two."""
        start, end = case.base, self.lr_min
        if self.cycle_limit == 0:
            return Constant(value=end)
        if self.cycle_limit == 1:
            return curve(start, end)
        if self.cycle_decay == 1 or end == 0:
            return self._repeat(curve(start, end), self.cycle_decay)
        peaks = self._repeat(curve(start, 0.0), self.cycle_decay)
        return Sum(of=(peaks, self._repeat(curve(0.0, end), 1.0)))

    def _repeat(self, curve: AnyDefinition, peak_factor: float) -> AnyDefinition:
        return Repeat(
            of=curve,
            every=self.t_initial,
            period_factor=self.cycle_mul,
            peak_factor=peak_factor,
            cycles=self.cycle_limit,
        )


library = Library("timm", common=Unread)


@library.scheduler("CosineLRScheduler", "cosine")
def cosine(case: Case, cycles: Cycles, *, k_decay: Positive = 1.0) -> AnyDefinition:
    """
    `cosine`, or `cosine_restarts` if cycle_limit is above 1.

    Without warmup_prefix the warm-up covers the beginning of the cosine, which is below the base
    value where it takes over. With a cycle_mul other than 1 timm finds the cycle by a rounded
    logarithm, and misses some restarts by one step. The noise is Rheostat's own.
    """
    steps = cycles.t_initial

    def wave(start: float, end: float) -> AnyDefinition:
        return _warped(Cosine(start=start, end=end, steps=steps), steps, k_decay)

    curve = cycles.repeated(case, wave)
    if cycles.cycle_limit > 1 and k_decay == 1:
        curve = CosineRestarts(
            start=case.base,
            end=cycles.lr_min,
            period=steps,
            period_factor=cycles.cycle_mul,
            peak_factor=cycles.cycle_decay,
            cycles=cycles.cycle_limit,
        )
    return cycles.finished(case, curve, prefix=cycles.warmup_prefix)


@library.scheduler("PolyLRScheduler", "poly")
def polynomial(
    case: Case, cycles: Cycles, *, power: NotNegative = 0.5, k_decay: Positive = 1.0
) -> AnyDefinition:
    """
    `polynomial`, repeated if cycle_limit is above 1.

    k_decay is a `warp` of its time. With power 0 each cycle holds its start. Warm-up, cycles and
    noise are those of CosineLRScheduler.
    """
    steps = cycles.t_initial

    def fall(start: float, end: float) -> AnyDefinition:
        if power == 0:
            return levels([steps], [start, end])
        curve = Polynomial(start=start, end=end, steps=steps, power=power)
        return _warped(curve, steps, k_decay)

    return cycles.finished(case, cycles.repeated(case, fall), prefix=cycles.warmup_prefix)


@library.scheduler("TanhLRScheduler", "tanh")
def tanh(
    case: Case,
    cycles: Cycles,
    *,
    lb: float = -7.0,
    ub: float = 3.0,
    warmup_lr_init: NotNegative = 0.0,
) -> AnyDefinition:
    """
    `sigmoid` up to the end of the cycle, and then lr_min.

    It neither starts quite at the base value nor ends quite at lr_min; a warm-up that is no prefix
    ends where the curve is.
    """
    if lb >= ub:
        raise case.wrong("ub", "must be above lb", ub, f"> {lb}")
    center, width = -lb / (ub - lb) * cycles.t_initial, cycles.t_initial / (2 * (ub - lb))

    def fall(start: float, end: float) -> AnyDefinition:
        curve = Sigmoid(start=start, end=end, center=max(center, 0.0), width=width)
        return phases(Phase(curve, origin=min(center, 0.0)))

    falls = Phase(cycles.repeated(case, fall), until=cycles.end)
    curve = phases(falls, Phase(Constant(value=cycles.lr_min)))
    prefix = cycles.warmup_prefix
    peak = case.base if prefix else value_at(curve, cycles.warmup_t)
    return cycles.finished(case, curve, prefix=prefix, peak=peak)


def _warped(curve: AnyDefinition, steps: int, k_decay: float) -> AnyDefinition:
    return curve if k_decay == 1 else Warp(of=curve, steps=steps, shape="power", power=k_decay)


@library.scheduler("StepLRScheduler", "step")
def step(
    case: Case,
    common: Common,
    *,
    decay_t: Positive,
    decay_rate: float = 1.0,
    warmup_prefix: bool = True,
) -> AnyDefinition:
    """
    `step`, or `constant` with a decay_rate of 1, which is timm's default.

    decay_t need not be whole: 3.7 is a little more as float64, so that timm's step 37 is still in
    the tenth interval, and so is the definition's. The warm-up is a prefix, unlike that of the
    other schedulers.
    """
    curve = exponential(case.base, decay_rate, _length(decay_t), staircase=True)
    return common.finished(case, curve, prefix=warmup_prefix)


@library.scheduler("MultiStepLRScheduler", "multistep")
def multistep(
    case: Case,
    common: Common,
    *,
    decay_t: list[Count],
    decay_rate: float = 1.0,
    warmup_prefix: bool = True,
) -> AnyDefinition:
    """
    `multistep`, each milestone one step earlier than it says.

    timm compares them with t + 1, and keeps that. A warm-up is a prefix, which shifts them. Of
    milestones that fall it counts those that its bisection finds, and so does the definition.
    """
    curve = Multistep(start=case.base, milestones=_milestones(decay_t), factor=decay_rate)
    return common.finished(case, curve, prefix=warmup_prefix)


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
    common: Common,
    *,
    t_initial: Length,
    decay_t: Length,
    lr_min: NotNegative = 0.0,
    stable_fn: Literal["constant", "rsqrt", "power"] = "constant",
    stable_timescale: float | None = None,
    stable_power: Positive = 0.5,
    decay_fn: Literal["linear", "1-sqrt", "cosine", "power", "exp"] = "1-sqrt",
    decay_power: Positive = 0.5,
    decay_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.1,
) -> AnyDefinition:
    """
    `wsd`; with another stable_fn an `inverse_sqrt`, times the decay.

    The warm-up comes before t_initial. A stable_fn that falls goes on falling while it decays.
    """
    if decay_t > t_initial:
        raise case.wrong("decay_t", "must not be above t_initial", decay_t, f"≤ {t_initial}")
    shape, start = _SHAPES[decay_fn], t_initial - decay_t
    power = decay_power if decay_fn == "power" else 1.0
    if stable_fn == "constant" and case.base >= lr_min:
        curve = Wsd(
            peak=case.base,
            warmup=common.warmup_t,
            warmup_start=common.warmup_lr_init,
            stable=start,
            decay=decay_t,
            decay_shape=shape,
            power=power,
            ratio=decay_ratio,
            end=lr_min,
        )
        return common.noisy(case, curve)
    stable: AnyDefinition = Constant(value=case.base)
    if stable_fn != "constant":
        timescale = _timescale(case, stable_timescale, common.warmup_t)
        falls = 0.5 if stable_fn == "rsqrt" else stable_power
        stable = InverseSqrt(start=case.base, timescale=timescale, power=falls)
    fall = Ramp(start=1.0, end=0.0, steps=decay_t, shape=shape, power=power, ratio=decay_ratio)
    return common.finished(case, _decaying(stable, fall, start, lr_min), prefix=True)


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


class Unheard(Shared):
    """What only shapes a noise: with noise_range_t they are refused."""

    noise_type: Annotated[str, NoNoise] = "normal"
    noise_pct: Annotated[float, NoNoise] = 0.67
    noise_std: Annotated[float, NoNoise] = 1.0
    noise_seed: Annotated[int | None, NoNoise] = None
    initialize: Initialize = True


@library.controller("PlateauLRScheduler", "plateau")
def reduce_on_plateau(
    case: Case,
    unheard: Unheard,
    *,
    decay_rate: float = 0.1,
    patience_t: Count = 10,
    threshold: NotNegative = 1e-4,
    cooldown_t: Count = 0,
    warmup_t: Count = 0,
    warmup_lr_init: float = 0.0,
    lr_min: float = 0.0,
    mode: Mode = "max",
    noise_range_t: float | list[float] | None = None,
) -> Conversion:
    """
    `plateau`, reading `torch`, and with warmup_t a `warmup` to a constant beside it.

    The plateau's `start` is the first step after the warm-up, whose own reports timm ignores.
    Lengths count epochs, and a step is one of them unless steps_per_epoch is given. Noise is
    refused.
    """
    if noise_range_t is not None:
        message = "has no definition beside a plateau"
        raise case.wrong("noise_range_t", message, noise_range_t, "null")
    every = case.context.steps_per_epoch or 1
    warmup, start = None, None
    if warmup_t:
        rise = warmed(warmup_t, Constant(value=case.base), warmup_lr_init)
        scale = 1.0 if case.context.lr_scale is None else case.context.lr_scale
        warmup, start = by_counts(scaled(scale, rise), every), warmup_t * every + 1
    return plateau(
        case,
        "torch",
        metric_of(case, mode),
        mode,
        definition=warmup,
        factor=decay_rate,
        patience=patience_t,
        threshold=threshold,
        cooldown=cooldown_t,
        min=lr_min,
        start=start,
    )
