"""pytorch_warmup: dampens a PyTorch scheduler, which stands in ``inner``; none is a constant."""

from __future__ import annotations

from itertools import count
from math import exp, sqrt
from typing import Annotated

from pydantic import Field

from rheostat.converters.core import Case, Library, Nested
from rheostat.converters.kit import of_group, polynomial, table, times
from rheostat.converters.parameters import LastEpoch, Length, Shared
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.decays import Exponential
from rheostat.schedules.kinds.pointwise import Scale, Sum
from rheostat.schedules.union import AnyDefinition

library = Library("pytorch_warmup")

_LONGEST = 500_000
"""How many factors are tabulated at most."""


class Dampened(Shared):
    """The scheduler that is dampened."""

    inner: Nested | None = None
    last_step: LastEpoch = -1

    def by(self, case: Case, factor: AnyDefinition) -> AnyDefinition:
        """Return what the scheduler becomes, times a factor."""
        if self.inner is None:
            return times(Constant(value=case.base), factor)
        return times(case.nested(self.inner, "inner", library="torch"), factor)


class Untuned(Dampened):
    """The same, with the coefficients of the optimizer, which say how long the warm-up takes."""

    betas: Annotated[tuple[float, Annotated[float, Field(gt=0, lt=1)]], Field(strict=False)] = (
        0.9,
        0.999,
    )


@library.scheduler("LinearWarmup")
def linear(
    case: Case, dampened: Dampened, *, warmup_period: Length | list[Length]
) -> AnyDefinition:
    """
    `product` of the scheduler and a line from 1/warmup_period to 1.

    The line reaches 1 one step before warmup_period.
    """
    return dampened.by(case, _line(of_group(case, "warmup_period", warmup_period)))


@library.scheduler("ExponentialWarmup")
def exponential(
    case: Case, dampened: Dampened, *, warmup_period: Length | list[Length]
) -> AnyDefinition:
    """`product` of the scheduler and 1 − `exponential`."""
    return dampened.by(case, _approach(of_group(case, "warmup_period", warmup_period)))


@library.scheduler("UntunedLinearWarmup")
def untuned_linear(case: Case, untuned: Untuned) -> AnyDefinition:
    """
    As LinearWarmup, with the period ⌊2/(1 − β₂)⌋.

    betas stands for the optimizer's. For 0.999 the period is 1999, for the quotient is rounded.
    """
    return untuned.by(case, _line(int(2 / (1 - untuned.betas[1]))))


@library.scheduler("UntunedExponentialWarmup")
def untuned_exponential(case: Case, untuned: Untuned) -> AnyDefinition:
    """
    As ExponentialWarmup, with the period ⌊1/(1 − β₂)⌋.

    betas stands for the optimizer's. For 0.999 the period is 999, for the quotient is rounded.
    """
    return untuned.by(case, _approach(int(1 / (1 - untuned.betas[1]))))


def _line(period: int) -> AnyDefinition:
    """Return min((t + 1)/period, 1)."""
    return polynomial(1 / period, 1.0, period - 1) if period > 1 else Constant(value=1.0)


def _approach(period: int) -> AnyDefinition:
    """Return 1 − exp(−(t + 1)/period)."""
    missing = Exponential(start=exp(-1 / period), factor=exp(-1), every=float(period))
    return Sum(of=(Constant(value=1.0), Scale(factor=-1.0, of=missing)))


@library.scheduler("RAdamWarmup")
def radam(case: Case, untuned: Untuned) -> AnyDefinition:
    """
    `product` of the scheduler and a `table` of the rectification, until that is 1.

    betas stands for the optimizer's; β₂ must lie above 0.6.
    """
    beta2 = untuned.betas[1]
    if beta2 <= 0.6:
        raise case.wrong("betas", "must have β₂ above 0.6", beta2, "> 0.6")
    if 50 / (1 - beta2) > _LONGEST:
        bound = f"≤ {1 - 50 / _LONGEST}"
        raise case.wrong("betas", "takes too many steps to tabulate", beta2, bound)
    return untuned.by(case, table(_rectifications(beta2)))


def _rectifications(beta2: float) -> list[float]:
    """Return RAdam's factors from the first step at which they are defined, until they rest."""
    limit = 2 / (1 - beta2) - 1

    def rho(t: int) -> float:
        power = beta2**t
        return limit - 2 * t * power / (1 - power)

    offset = next(t for t in count(1) if rho(t) > 4)
    factors: list[float] = []
    for t in count(offset):
        here = rho(t)
        above, below = (here - 4) * (here - 2) * limit, (limit - 4) * (limit - 2) * here
        factors.append(sqrt(above / below))
        if here == limit:
            return factors
    raise AssertionError
