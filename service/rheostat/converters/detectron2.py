"""Detectron2: detectron2.solver, whose multipliers are fvcore's."""

from __future__ import annotations

from typing import Literal

import numpy as np

from rheostat.converters.core import Case, Library, Nested
from rheostat.converters.fvcore import first_step_past
from rheostat.converters.fvcore import library as fvcore
from rheostat.converters.kit import Phase, phases, polynomial, scaled
from rheostat.converters.parameters import Count, LastEpoch, Length, Resumed, Share, Steps
from rheostat.schedules.kinds.curves import Constant, Cosine
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.kinds.pointwise import Product
from rheostat.schedules.union import AnyDefinition

library = Library("detectron2", schedulers=list(fvcore.schedulers))

Method = Literal["linear", "constant"]


class Warmup(Resumed):
    """The warm-up before a schedule of Detectron2's own."""

    warmup_factor: float = 0.001
    warmup_iters: Steps = 1000
    warmup_method: Method = "linear"

    def before(self, main: AnyDefinition) -> AnyDefinition:
        """Return a schedule times the factor of the warm-up."""
        if self.warmup_iters <= 0:
            return main
        if self.warmup_method == "linear":
            return Product(of=(main, polynomial(self.warmup_factor, 1.0, self.warmup_iters)))
        reduced = Phase(Constant(value=self.warmup_factor), until=self.warmup_iters)
        return Product(of=(main, phases(reduced, Phase(Constant(value=1.0)))))


@library.scheduler("WarmupParamScheduler", hyperparameters=None)
def warmup(
    case: Case,
    *,
    scheduler: Nested,
    warmup_factor: float,
    warmup_length: Share,
    warmup_method: Method = "linear",
    rescale_interval: bool = False,
) -> AnyDefinition:
    """
    `sequence` of a line, or a constant, and the rest of the other scheduler's curve.

    The line ends at that curve's own value there, which is not its peak. With rescale_interval the
    whole curve follows.
    """
    total = case.total
    rest = 1 - warmup_length
    length = total * rest if rescale_interval and rest > 0 else None
    main = case.nested(scheduler, "scheduler", total=length)
    meeting = 0.0 if rescale_interval else warmup_length * total
    first, end = (float(main.at(np.array([place]))[0]) for place in (0.0, meeting))
    start = warmup_factor * first
    if warmup_length == 0:
        return main
    ramp: AnyDefinition = Constant(value=start)
    if warmup_method == "linear":
        ramp = polynomial(start, end, warmup_length * total)
    begin = first_step_past(warmup_length, total)
    origin = min(warmup_length * total, begin) if rescale_interval else 0
    return phases(Phase(ramp, until=begin), Phase(main, origin=origin))


@library.scheduler("LRMultiplier")
def multiplier(
    case: Case, *, multiplier: Nested, max_iter: Length, last_iter: LastEpoch = -1
) -> AnyDefinition:
    """The multiplier's definition, times the base value; max_iter is the whole training."""
    return scaled(case.base, case.nested(multiplier, "multiplier", total=max_iter))


@library.scheduler("WarmupMultiStepLR")
def warmup_multistep(
    case: Case, warmup: Warmup, *, milestones: list[Count], gamma: float = 0.1
) -> AnyDefinition:
    """`product` of `multistep` and a line from warmup_factor to 1."""
    if milestones != sorted(milestones):
        raise case.wrong("milestones", "must not fall", milestones, "in order")
    steps = Multistep(start=case.base, milestones=tuple(milestones), factor=gamma)
    return warmup.before(steps)


@library.scheduler("WarmupCosineLR")
def warmup_cosine(case: Case, warmup: Warmup, *, max_iters: Steps) -> AnyDefinition:
    """`product` of a `cosine`, periodic, and a line from warmup_factor to 1."""
    wave = Cosine(start=case.base, end=0.0, steps=max_iters, periodic=True)
    return warmup.before(wave)
