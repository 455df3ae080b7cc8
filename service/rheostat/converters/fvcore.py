"""fvcore: fvcore.common.param_scheduler. Functions of the share of the training: step/total."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from math import ceil, inf
from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.core import Case, Library, Nested
from rheostat.converters.kit import Phase, cosine, levels, phases, polynomial
from rheostat.converters.parameters import Ignored, Length, Positive, Steps
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.decays import Exponential
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.union import AnyDefinition

library = Library("fvcore")
EPSILON = 1e-6
"""fvcore takes this share of the training for rounding, and changes values that much earlier."""
Values = Annotated[list[float], Field(min_length=1)]
UpdateCount = Annotated[Positive, Ignored("is not used by fvcore either: total is the whole")]
Few = Annotated[Steps, Field(gt=0, le=10_000)]


def first_step(near: float, reached: Callable[[int], bool]) -> int:
    """Return the first step at which something is reached, which lies near a place."""
    step = max(ceil(near), 0)
    while step > 0 and reached(step - 1):
        step -= 1
    while not reached(step):
        step += 1
    return step


def first_step_past(share: float, total: float) -> int:
    """Return the first step past a share of the training, as fvcore rounds."""
    return first_step((share - EPSILON) * total, lambda t: t / total + EPSILON > share)


@library.scheduler("ConstantParamScheduler", hyperparameters=None)
def constant(case: Case, *, value: float) -> AnyDefinition:
    """
    `constant`.

    fvcore fails at the end of the training; the definition holds.
    """
    return Constant(value=value)


@library.scheduler("CosineParamScheduler", hyperparameters=None)
def cosine_wave(case: Case, *, start_value: float, end_value: float) -> AnyDefinition:
    """`cosine` over the whole training."""
    return cosine(start_value, end_value, case.total)


@library.scheduler("LinearParamScheduler", hyperparameters=None)
def linear(case: Case, *, start_value: float, end_value: float) -> AnyDefinition:
    """`linear` over the whole training."""
    return polynomial(start_value, end_value, case.total)


@library.scheduler("ExponentialParamScheduler", hyperparameters=None)
def exponential(case: Case, *, start_value: float, decay: float) -> AnyDefinition:
    """`exponential`: decay is the factor of the whole training."""
    return Exponential(start=start_value, factor=decay, every=case.total)


@library.scheduler("PolynomialDecayParamScheduler", hyperparameters=None)
def polynomial_decay(case: Case, *, base_value: float, power: float) -> AnyDefinition:
    """`polynomial` to 0 over the whole training, or `linear` for power 1."""
    return polynomial(base_value, 0.0, case.total, power)


@library.scheduler("MultiStepParamScheduler", hyperparameters=None)
def multistep(
    case: Case,
    *,
    values: Values,
    num_updates: Length | None = None,
    milestones: list[Steps] | None = None,
) -> AnyDefinition:
    """
    `piecewise`: milestones count updates, num_updates of which make the whole training.

    Without milestones all values last for ⌈num_updates / number of values⌉ updates. Without
    num_updates the last milestone is it. Changes come 10⁻⁶ of the training early.
    """
    updates, places = _milestones(case, values, num_updates, milestones)
    if updates < len(values):
        raise case.wrong("num_updates", "must not be below the values", updates, f"≥ {len(values)}")
    for i, (before, place) in enumerate(zip([0, *places], [*places, updates], strict=True)):
        if place <= before:
            bound = f"> {before}, and below {updates} in the end"
            raise case.wrong(f"milestones[{i}]", "must rise and end before the end", place, bound)
    return levels([_reached(case.total, updates, place) for place in places], values)


def _milestones(
    case: Case, values: list[float], num_updates: int | None, milestones: list[int] | None
) -> tuple[int, list[int]]:
    if milestones is None:
        if num_updates is None:
            raise case.wrong("num_updates", "is required unless there are milestones", None, "≥ 1")
        width = ceil(num_updates / len(values))
        return num_updates, [width * i for i in range(1, len(values))]
    expected = len(values) - (num_updates is not None)
    if len(milestones) != expected:
        message = "must fit the values" + (
            ": the last one is the end" if num_updates is None else ""
        )
        raise case.wrong("milestones", message, milestones, f"{expected} milestones")
    return (milestones[-1], milestones[:-1]) if num_updates is None else (num_updates, milestones)


@library.scheduler("StepParamScheduler", hyperparameters=None)
def step(case: Case, *, num_updates: UpdateCount, values: Values) -> AnyDefinition:
    """
    `piecewise` with all values for the same time.

    Changes come 10⁻⁶ of the training early. fvcore fails at the end of the training; the
    definition holds.
    """
    return levels([_reached(case.total, len(values), i) for i in range(1, len(values))], values)


@library.scheduler("StepWithFixedGammaParamScheduler", hyperparameters=None)
def fixed_gamma(
    case: Case, *, base_value: Positive, num_decays: Few, gamma: Positive, num_updates: UpdateCount
) -> AnyDefinition:
    """
    `multistep` with num_decays milestones at equal distances.

    fvcore fails at the end of the training; the definition holds.
    """
    places = [_reached(case.total, num_decays + 1, i) for i in range(1, num_decays + 1)]
    if not isinstance(case.total, int):
        return levels(places, [base_value * gamma**i for i in range(num_decays + 1)])
    return Multistep(start=base_value, milestones=tuple(map(int, places)), factor=gamma)


@library.scheduler("CompositeParamScheduler", hyperparameters=None)
def composite(
    case: Case,
    *,
    schedulers: Annotated[list[Nested], Field(min_length=1)],
    lengths: list[float],
    interval_scaling: list[Literal["rescaled", "fixed"]],
) -> AnyDefinition:
    """
    `sequence`: a rescaled part runs its whole curve, a fixed one the middle that falls to it.

    Changes come 10⁻⁶ of the training early.
    """
    for name, items in (("lengths", lengths), ("interval_scaling", interval_scaling)):
        if len(items) != len(schedulers):
            bound = f"{len(schedulers)} items"
            raise case.wrong(name, "must have an item for each scheduler", items, bound)
    if abs(sum(lengths) - 1) >= 1e-3:
        raise case.wrong("lengths", "must add up to 1", sum(lengths), "1")
    total = case.total
    starts = [0.0, *accumulate(lengths)][:-1]
    begins = [0, *(first_step_past(start, total) for start in starts[1:])]
    parts = []
    for i, (spec, scaling) in enumerate(zip(schedulers, interval_scaling, strict=True)):
        place, last = f"schedulers[{i}]", i == len(lengths) - 1
        until = inf if last else begins[i + 1]
        if scaling == "fixed":
            parts.append(Phase(case.nested(spec, place), until))
            continue
        length = 1 - starts[i] if last else lengths[i]
        inner = case.nested(spec, place, total=length * total)
        # What comes early begins at its own step 0 all the same.
        parts.append(Phase(inner, until, origin=min(starts[i] * total, begins[i])))
    return phases(*parts)


def _reached(total: float, scale: float, i: int) -> float:
    """Return where ⌊(share + ε) · scale⌋ reaches i: a step, or a place if steps are no whole."""
    near = (i / scale - EPSILON) * total
    if not isinstance(total, int):
        return near
    return first_step(near, lambda t: int((t / total + EPSILON) * scale) >= i)
