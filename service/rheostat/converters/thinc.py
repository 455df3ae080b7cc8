"""thinc: thinc.schedules. Functions of the step."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rheostat.converters.core import Case, Conversion, Library, Nested
from rheostat.converters.kit import Phase, phases, polynomial, since, triangles, warmed
from rheostat.converters.parameters import Count, Length, NotNegative, Positive, Steps
from rheostat.converters.reactions import metric_of, plateau
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.decays import Exponential, InverseTime
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.pointwise import Clip
from rheostat.schedules.union import AnyDefinition

library = Library("thinc")


@library.scheduler("constant", "constant.v1", hyperparameters=None)
def constant(case: Case, *, rate: float) -> AnyDefinition:
    """`constant`."""
    return Constant(value=rate)


@library.scheduler("constant_then", "constant_then.v1", hyperparameters=None)
def constant_then(case: Case, *, rate: float, steps: Count, schedule: Nested) -> AnyDefinition:
    """
    `sequence` of a `constant` and the rest of the other schedule.

    The other schedule counts from step 0, not from where the constant ends.
    """
    then = case.nested(schedule, "schedule")
    return phases(Phase(Constant(value=rate), until=steps), Phase(then))


@library.scheduler("decaying", "decaying.v1", hyperparameters=None)
def decaying(case: Case, *, base_rate: float, decay: float, t: NotNegative = 0.0) -> AnyDefinition:
    """
    `inverse_time`.

    t is the step that it begins with.
    """
    return since(t, InverseTime(start=base_rate, rate=decay))


@library.scheduler("compounding", "compounding.v1", hyperparameters=None)
def compounding(
    case: Case, *, start: float, stop: float, compound: float, t: NotNegative = 0.0
) -> AnyDefinition:
    """
    `exponential`, clipped at stop.

    t is the step that it begins with.
    """
    curve = Exponential(start=start, factor=compound)
    limited = Clip(of=curve, min=stop) if start > stop else Clip(of=curve, max=stop)
    return since(t, limited)


@library.scheduler("warmup_linear", "warmup_linear.v1", hyperparameters=None)
def warmup_linear(
    case: Case, *, initial_rate: float, warmup_steps: Steps, total_steps: Steps
) -> AnyDefinition:
    """
    `warmup` to a `linear` that ends at total_steps.

    With total_steps up to warmup_steps it is 0 from the end of the warm-up on.
    """
    length = total_steps - max(warmup_steps, 0)
    decay = polynomial(initial_rate, 0.0, length) if length > 0 else Constant(value=0.0)
    return warmed(max(warmup_steps, 0), decay, peak=initial_rate)


@library.scheduler("slanted_triangular", "slanted_triangular.v1", hyperparameters=None)
def slanted_triangular(
    case: Case,
    *,
    max_rate: float,
    num_steps: Steps,
    cut_frac: Annotated[float, Field(gt=0, lt=1)] = 0.1,
    ratio: float = 32,
    t: NotNegative = 0.0,
) -> AnyDefinition:
    """
    `piecewise`, from its second step on.

    thinc counts from 1. Past the end it falls on, below zero; the definition holds.
    """
    cut = int(num_steps * cut_frac)
    if cut < 1:
        message = f"is too short for cut_frac {cut_frac:g}: thinc divides by zero"
        raise case.wrong("num_steps", message, num_steps, f"≥ {1 / cut_frac:g}")
    low = max_rate / ratio
    points = ((0.0, low), (float(cut), max_rate), (cut / cut_frac, low))
    return since(1 + t, Piecewise(points=points))


@library.scheduler("cyclic_triangular", "cyclic_triangular.v1", hyperparameters=None)
def cyclic_triangular(
    case: Case, *, min_lr: float, max_lr: float, period: Positive
) -> AnyDefinition:
    """
    `cyclic`, from its second step on.

    thinc counts from 1; period is half a cycle.
    """
    return since(1, triangles(min_lr, max_lr, period, period))


@library.controller("plateau", "plateau.v1", hyperparameters=None)
def reduce_on_plateau(
    case: Case, *, max_patience: Length, scale: float, schedule: Nested
) -> Conversion:
    """
    `plateau`, reading `paddle`, and what the schedule becomes beside it.

    The score is to be great, and is called `score` in the reports unless `metric` says otherwise.
    A value that is 0 when it is to be scaled stays what it is, and is not scaled later either.
    """
    return plateau(
        case,
        "paddle",
        metric_of(case, "max", "score"),
        "max",
        definition=case.nested(schedule, "schedule"),
        factor=scale,
        patience=max_patience - 1,
        threshold=0.0,
        threshold_mode="abs",
        eps=0.0,
    )
