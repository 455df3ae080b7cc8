"""timm's schedulers of cycles: cosine, polynomial, tanh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from rheostat.converters.building import levels, value_at
from rheostat.converters.case import Case
from rheostat.converters.ignored import InEpochs, Initialize
from rheostat.converters.pieces import Piece, pieces
from rheostat.converters.timm.registry import (
    Count,
    Floor,
    Length,
    Noisy,
    Range,
    Warm,
    finished,
    library,
)
from rheostat.schedules.kinds.curves import Constant, Cosine, Polynomial, Sigmoid
from rheostat.schedules.kinds.cycles import CosineRestarts
from rheostat.schedules.kinds.pointwise import Sum
from rheostat.schedules.kinds.repeat import Repeat
from rheostat.schedules.kinds.timing import Warp
from rheostat.schedules.union import AnyDefinition

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
        return pieces(Piece(curve, origin=min(center, 0.0)))

    falls = Piece(_cycled(case.base, lr_min, cycles, fall), until=cycles.end)
    curve = pieces(falls, Piece(Constant(value=lr_min)))
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
