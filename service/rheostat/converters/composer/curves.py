"""Composer's schedulers without a warm-up."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Annotated

from pydantic import Field

from rheostat.converters.building import exponential, over
from rheostat.converters.case import Case
from rheostat.converters.composer.registry import library
from rheostat.converters.composer.time import Clock, Time
from rheostat.converters.pieces import Piece, pieces, share
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial
from rheostat.schedules.kinds.cycles import CosineRestarts
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.union import AnyDefinition

Power = Annotated[float, Field(ge=0)]
_MOST_CYCLES = 500


@library.scheduler("StepScheduler")
def step(case: Case, *, step_size: str, gamma: float = 0.1) -> AnyDefinition:
    """`step`."""
    return exponential(case.base, gamma, _length(case, "step_size", step_size), staircase=True)


@library.scheduler("MultiStepScheduler")
def multistep(case: Case, *, milestones: list[str], gamma: float = 0.1) -> AnyDefinition:
    """
    `multistep`.

    A milestone between two batches counts from the next one; a repeated one counts again.
    """
    clock = Clock.of(case)
    steps = [ceil(clock.batches(f"milestones[{i}]", m)) for i, m in enumerate(milestones)]
    return Multistep(start=case.base, milestones=tuple(steps), factor=gamma)


@library.scheduler("ConstantScheduler")
def constant(case: Case, *, alpha: float = 1.0, t_max: str = "1dur") -> AnyDefinition:
    """`sequence` of two constants: from t_max on the base value holds."""
    reduced, full = Constant(value=case.base * alpha), Constant(value=case.base)
    until = float(Clock.of(case).batches("t_max", t_max))
    return pieces(Piece(reduced, until=until), Piece(full))


@library.scheduler("LinearScheduler")
def linear(
    case: Case, *, alpha_i: float = 1.0, alpha_f: float = 0.0, t_max: str = "1dur"
) -> AnyDefinition:
    """`linear`."""
    start, end = case.base * alpha_i, case.base * alpha_f
    return over(_length(case, "t_max", t_max), lambda n: Linear(start=start, end=end, steps=n))


@library.scheduler("ExponentialScheduler")
def decay(case: Case, *, gamma: float, decay_period: str = "1ep") -> AnyDefinition:
    """
    `exponential`.

    It falls within an epoch too, batch by batch.
    """
    return exponential(case.base, gamma, _length(case, "decay_period", decay_period))


@library.scheduler("CosineAnnealingScheduler")
def cosine(case: Case, *, t_max: str = "1dur", alpha_f: float = 0.0) -> AnyDefinition:
    """`cosine`."""
    end = case.base * alpha_f
    return over(_length(case, "t_max", t_max), lambda n: Cosine(start=case.base, end=end, steps=n))


@library.scheduler("PolynomialScheduler")
def polynomial(
    case: Case, *, power: Power, t_max: str = "1dur", alpha_f: float = 0.0
) -> AnyDefinition:
    """`polynomial`."""
    end, length = case.base * alpha_f, _length(case, "t_max", t_max)
    if power == 0:
        return Constant(value=case.base)
    return over(length, lambda n: Polynomial(start=case.base, end=end, steps=n, power=power))


@library.scheduler("CosineAnnealingWarmRestartsScheduler")
def restarts(
    case: Case, *, t_0: str, t_mult: Annotated[float, Field(ge=1)] = 1.0, alpha_f: float = 0.0
) -> AnyDefinition:
    """
    `cosine_restarts`; if t_mult is not whole, a `sequence` of cosines up to max_duration.

    Composer rounds the length of each cycle down: with t_0 5ba and t_mult 1.5 they have 5, 7, 10,
    15 and 22 batches.
    """
    clock = Clock.of(case)
    first, end = clock.time("t_0", t_0), case.base * alpha_f
    if first.value == 0:
        raise case.wrong("t_0", "must not be zero", t_0, "> 0")
    if t_mult.is_integer():
        period = share(clock.in_batches(first))
        return CosineRestarts(start=case.base, end=end, period=period, period_factor=t_mult)
    return _growing(case, clock, (first, t_mult), end)


def _growing(case: Case, clock: Clock, cycles: tuple[Time, float], end: float) -> AnyDefinition:
    """Return cycles that grow by rounding down, up to one that begins past the training's end."""
    time, factor = cycles
    parts: list[Piece] = []
    begin, last = Fraction(0), clock.batches("t_0", "1dur")
    while (not parts or parts[-1].origin <= last) and len(parts) < _MOST_CYCLES:
        length = clock.in_batches(time)
        longer = Time(Fraction(int(factor * float(time.value))), time.unit)
        if longer == time:
            waves = CosineRestarts(start=case.base, end=end, period=share(length))
            return pieces(*parts, Piece(waves, origin=float(begin)))
        wave = over(float(length), lambda n: Cosine(start=case.base, end=end, steps=n))
        parts.append(Piece(wave, until=float(begin + length), origin=float(begin)))
        begin, time = begin + length, longer
    return pieces(*parts)


def _length(case: Case, parameter: str, text: str) -> float:
    """Return a length in batches, which must not be zero."""
    length = Clock.of(case).batches(parameter, text)
    if length == 0:
        raise case.wrong(parameter, "is a division by zero", text, "> 0")
    return float(length)
