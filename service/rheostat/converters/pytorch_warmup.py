"""pytorch_warmup: dampens a PyTorch scheduler, which stands in ``inner``; none is a constant."""

from __future__ import annotations

from itertools import count
from math import exp, sqrt
from typing import Annotated

from pydantic import Field

from rheostat.converters.core import Case, Library, Nested
from rheostat.converters.kit import of_group, polynomial, table, times
from rheostat.converters.parameters import LastEpoch, Steps
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.decays import Exponential
from rheostat.schedules.kinds.pointwise import Scale, Sum
from rheostat.schedules.union import AnyDefinition

library = Library("pytorch_warmup")

Period = Annotated[Steps, Field(gt=0)]
Periods = Period | list[Period]
Betas = Annotated[tuple[float, Annotated[float, Field(gt=0, lt=1)]], Field(strict=False)]
_LONGEST = 500_000
"""How many factors are tabulated at most."""


@library.scheduler("LinearWarmup")
def linear(
    case: Case, *, warmup_period: Periods, last_step: LastEpoch = -1, inner: Nested | None = None
) -> AnyDefinition:
    """
    `product` of the scheduler and a line from 1/warmup_period to 1.

    The line reaches 1 one step before warmup_period.
    """
    return _linear(case, of_group(case, "warmup_period", warmup_period), inner)


@library.scheduler("ExponentialWarmup")
def exponential(
    case: Case, *, warmup_period: Periods, last_step: LastEpoch = -1, inner: Nested | None = None
) -> AnyDefinition:
    """`product` of the scheduler and 1 − `exponential`."""
    return _exponential(case, of_group(case, "warmup_period", warmup_period), inner)


@library.scheduler("UntunedLinearWarmup")
def untuned_linear(
    case: Case,
    *,
    last_step: LastEpoch = -1,
    inner: Nested | None = None,
    betas: Betas = (0.9, 0.999),
) -> AnyDefinition:
    """
    As LinearWarmup, with the period ⌊2/(1 − β₂)⌋.

    betas stands for the optimizer's. For 0.999 the period is 1999, for the quotient is rounded.
    """
    return _linear(case, int(2 / (1 - betas[1])), inner)


@library.scheduler("UntunedExponentialWarmup")
def untuned_exponential(
    case: Case,
    *,
    last_step: LastEpoch = -1,
    inner: Nested | None = None,
    betas: Betas = (0.9, 0.999),
) -> AnyDefinition:
    """
    As ExponentialWarmup, with the period ⌊1/(1 − β₂)⌋.

    betas stands for the optimizer's. For 0.999 the period is 999, for the quotient is rounded.
    """
    return _exponential(case, int(1 / (1 - betas[1])), inner)


@library.scheduler("RAdamWarmup")
def radam(
    case: Case,
    *,
    last_step: LastEpoch = -1,
    inner: Nested | None = None,
    betas: Betas = (0.9, 0.999),
) -> AnyDefinition:
    """
    `product` of the scheduler and a `table` of the rectification, until that is 1.

    betas stands for the optimizer's; β₂ must lie above 0.6.
    """
    beta2 = betas[1]
    if beta2 <= 0.6:
        raise case.wrong("betas", "must have β₂ above 0.6", beta2, "> 0.6")
    if 50 / (1 - beta2) > _LONGEST:
        bound = f"≤ {1 - 50 / _LONGEST}"
        raise case.wrong("betas", "takes too many steps to tabulate", beta2, bound)
    return times(_inner(case, inner), table(_rectifications(beta2)))


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


def _linear(case: Case, period: int, inner: Nested | None) -> AnyDefinition:
    factor: AnyDefinition = Constant(value=1.0)
    if period > 1:
        factor = polynomial(1 / period, 1.0, period - 1)
    return times(_inner(case, inner), factor)


def _exponential(case: Case, period: int, inner: Nested | None) -> AnyDefinition:
    missing = Exponential(start=exp(-1 / period), factor=exp(-1), every=float(period))
    factor = Sum(of=(Constant(value=1.0), Scale(factor=-1.0, of=missing)))
    return times(_inner(case, inner), factor)


def _inner(case: Case, inner: Nested | None) -> AnyDefinition:
    if inner is None:
        return Constant(value=case.base)
    return case.nested(inner, "inner", library="torch")
