"""Detectron2: detectron2.solver, whose multipliers are fvcore's."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from rheostat.converters.core import Case, Library, Nested
from rheostat.converters.fvcore import EPSILON, first_step
from rheostat.converters.fvcore import library as fvcore
from rheostat.converters.kit import part, polynomial, scaled
from rheostat.converters.parameters import LastEpoch, Steps
from rheostat.schedules.kinds.curves import Constant, Cosine
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.kinds.pointwise import Product
from rheostat.schedules.kinds.sequence import Sequence
from rheostat.schedules.union import AnyDefinition

library = Library("detectron2", schedulers=list(fvcore.schedulers))

Method = Literal["linear", "constant"]
Milestones = list[Annotated[Steps, Field(ge=0)]]


@library.scheduler("WarmupParamScheduler", hyperparameters=None)
def warmup(
    case: Case,
    *,
    scheduler: Nested,
    warmup_factor: float,
    warmup_length: Annotated[float, Field(ge=0, le=1)],
    warmup_method: Method = "linear",
    rescale_interval: bool = False,
) -> AnyDefinition:
    """
    `sequence` of a line, or a constant, and the rest of the other scheduler's curve.

    The line ends at that curve's own value there, which is not its peak. With rescale_interval the
    whole curve follows.
    """
    total = case.total
    length = total * (1 - warmup_length) if rescale_interval else None
    main = case.nested(scheduler, "scheduler", total=length)
    meeting = 0.0 if rescale_interval else warmup_length * total
    first, end = (float(main.at(np.array([place]))[0]) for place in (0.0, meeting))
    start = warmup_factor * first
    if warmup_length == 0:
        return main
    ramp = (
        polynomial(start, end, warmup_length * total)
        if warmup_method == "linear"
        else Constant(value=start)
    )
    begin = first_step(
        (warmup_length - EPSILON) * total, lambda t: t / total + EPSILON > warmup_length
    )
    place = max(begin - warmup_length * total, 0.0) if rescale_interval else begin
    return Sequence(parts=(part(ramp, steps=begin), part(main, start=place)))


@library.scheduler("LRMultiplier")
def multiplier(
    case: Case,
    *,
    multiplier: Nested,
    max_iter: Annotated[Steps, Field(gt=0)],
    last_iter: LastEpoch = -1,
) -> AnyDefinition:
    """The multiplier's definition, times the base value; max_iter is the whole training."""
    return scaled(case.base, case.nested(multiplier, "multiplier", total=max_iter))


@library.scheduler("WarmupMultiStepLR")
def warmup_multistep(
    case: Case,
    *,
    milestones: Milestones,
    gamma: float = 0.1,
    warmup_factor: float = 0.001,
    warmup_iters: Steps = 1000,
    warmup_method: Method = "linear",
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """`product` of `multistep` and a line from warmup_factor to 1."""
    if milestones != sorted(milestones):
        raise case.wrong("milestones", "must not fall", milestones, "in order")
    steps = Multistep(start=case.base, milestones=tuple(milestones), factor=gamma)
    return _warmed(steps, warmup_factor, warmup_iters, warmup_method)


@library.scheduler("WarmupCosineLR")
def warmup_cosine(
    case: Case,
    *,
    max_iters: Steps,
    warmup_factor: float = 0.001,
    warmup_iters: Steps = 1000,
    warmup_method: Method = "linear",
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """`product` of a `cosine`, periodic, and a line from warmup_factor to 1."""
    wave = Cosine(start=case.base, end=0.0, steps=max_iters, periodic=True)
    return _warmed(wave, warmup_factor, warmup_iters, warmup_method)


def _warmed(main: AnyDefinition, factor: float, steps: int, method: Method) -> AnyDefinition:
    if steps <= 0:
        return main
    if method == "linear":
        return Product(of=(main, polynomial(factor, 1.0, steps)))
    ramp = Sequence(parts=(part(Constant(value=factor), steps=steps), part(Constant(value=1.0))))
    return Product(of=(main, ramp))
