"""Composer's schedulers with a warm-up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from rheostat.converters.building import over
from rheostat.converters.case import Case
from rheostat.converters.composer.curves import multistep
from rheostat.converters.composer.registry import library
from rheostat.converters.composer.time import Clock
from rheostat.converters.pieces import Piece, pieces, warmed
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial
from rheostat.schedules.union import AnyDefinition

Curve = Callable[[int], AnyDefinition]


@dataclass(frozen=True)
class Warm:
    """A warm-up in batches: how long it is in force, and how long its line takes."""

    steps: float
    line: float

    @classmethod
    def of(cls, case: Case, t_warmup: str, *, scale_warmup: bool) -> Warm:
        """Return the warm-up: scaling it changes its line alone, not when it ends."""
        clock = Clock.of(case)
        steps = clock.batches("t_warmup", t_warmup, scaled=False)
        line = clock.batches("t_warmup", t_warmup) if scale_warmup else steps
        if line == 0 and steps > 0:
            raise case.wrong("t_warmup", "is zero once it is scaled", t_warmup, "> 0")
        return cls(float(steps), float(line))

    def before(self, peak: float, curve: AnyDefinition, *, absolute: bool = False) -> AnyDefinition:
        """Return the warm-up to a peak, and a curve, which counts from its end or from step 0."""
        if self.steps == 0:
            return curve
        if self.steps == self.line and self.steps.is_integer() and not absolute:
            return warmed(int(self.steps), curve)
        rise = over(self.line, lambda n: Linear(start=0.0, end=peak, steps=n))
        origin = 0.0 if absolute else self.steps
        return pieces(Piece(rise, until=self.steps), Piece(curve, origin=origin))


@library.scheduler("MultiStepWithWarmupScheduler")
def steps(
    case: Case,
    *,
    t_warmup: str,
    milestones: list[str],
    gamma: float = 0.1,
    scale_warmup: bool = False,
) -> AnyDefinition:
    """
    `sequence` of a line and a `multistep`.

    The warm-up does not shift the milestones; one inside of it takes effect at its end.
    """
    warm = Warm.of(case, t_warmup, scale_warmup=scale_warmup)
    curve = multistep(case, milestones=milestones, gamma=gamma)
    return warm.before(case.base, curve, absolute=True)


@library.scheduler("ConstantWithWarmupScheduler")
def constant(
    case: Case,
    *,
    t_warmup: str,
    alpha: float = 1.0,
    t_max: str = "1dur",
    scale_warmup: bool = False,
) -> AnyDefinition:
    """`warmup` to a constant."""
    value = case.base * alpha
    _after(case, t_warmup, t_max)
    warm = Warm.of(case, t_warmup, scale_warmup=scale_warmup)
    return warm.before(value, Constant(value=value))


@library.scheduler("LinearWithWarmupScheduler")
def linear(
    case: Case,
    *,
    t_warmup: str,
    alpha_i: float = 1.0,
    alpha_f: float = 0.0,
    t_max: str = "1dur",
    scale_warmup: bool = False,
) -> AnyDefinition:
    """`warmup` to a `linear`; t_max counts the warm-up."""
    start, end = case.base * alpha_i, case.base * alpha_f
    warm = Warm.of(case, t_warmup, scale_warmup=scale_warmup)
    length = _after(case, t_warmup, t_max)
    return warm.before(
        start, _falling(start, length, lambda n: Linear(start=start, end=end, steps=n))
    )


@library.scheduler("CosineAnnealingWithWarmupScheduler")
def cosine(
    case: Case,
    *,
    t_warmup: str,
    t_max: str = "1dur",
    alpha_f: float = 0.0,
    scale_warmup: bool = False,
) -> AnyDefinition:
    """
    `warmup` to a `cosine`; t_max counts the warm-up.

    scale_schedule_ratio does not shorten the warm-up; with scale_warmup it is only steeper, and
    then waits at the peak.
    """
    start, end = case.base, case.base * alpha_f
    warm = Warm.of(case, t_warmup, scale_warmup=scale_warmup)
    length = _after(case, t_warmup, t_max)
    return warm.before(
        start, _falling(start, length, lambda n: Cosine(start=start, end=end, steps=n))
    )


@library.scheduler("PolynomialWithWarmupScheduler")
def polynomial(
    case: Case,
    *,
    t_warmup: str,
    power: Annotated[float, Field(ge=0)] = 2.0,
    t_max: str = "1dur",
    alpha_f: float = 0.0,
    scale_warmup: bool = False,
) -> AnyDefinition:
    """`warmup` to a `polynomial`; t_max counts the warm-up."""
    start, end = case.base, case.base * alpha_f
    warm = Warm.of(case, t_warmup, scale_warmup=scale_warmup)
    length = _after(case, t_warmup, t_max)
    if power == 0:
        return warm.before(start, Constant(value=start))
    curve = _falling(
        start, length, lambda n: Polynomial(start=start, end=end, steps=n, power=power)
    )
    return warm.before(start, curve)


def _after(case: Case, t_warmup: str, t_max: str) -> float:
    """Return how many batches t_max leaves after the warm-up."""
    clock = Clock.of(case)
    warmup, whole = clock.time("t_warmup", t_warmup, scaled=False), clock.time("t_max", t_max)
    if warmup.unit != whole.unit:
        bound = f"in the unit of t_max, {whole.unit}"
        raise case.wrong("t_warmup", "is in another unit than t_max", t_warmup, bound)
    clock.check_covers("t_max", whole)
    return float(clock.in_batches(whole) - clock.in_batches(warmup))


def _falling(start: float, length: float, curve: Curve) -> AnyDefinition:
    """Return a curve; a warm-up that leaves nothing is followed by its peak."""
    return over(length, curve) if length > 0 else Constant(value=start)
