"""axolotl: axolotl.utils.schedulers."""

from __future__ import annotations

from math import cos, pi
from typing import Annotated

from pydantic import Field

from rheostat.converters.core import Case, Library, Nested
from rheostat.converters.kit import Phase, phases, since, value_at
from rheostat.converters.parameters import (
    Count,
    LastEpoch,
    Length,
    NotNegative,
    Positive,
    Resumed,
    Steps,
)
from rheostat.converters.transformers import Lengths, Waves, wave
from rheostat.converters.transformers import library as transformers
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Ramp
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.pointwise import Product
from rheostat.schedules.kinds.presets import Warmup
from rheostat.schedules.kinds.repeat import Repeat
from rheostat.schedules.union import AnyDefinition

library = Library("axolotl", common=Resumed)


@library.scheduler("get_cosine_schedule_with_quadratic_warmup")
def quadratic(case: Case, waves: Waves) -> AnyDefinition:
    """`warmup` along a parabola to a periodic `cosine`."""
    curve = waves.wave(case.base, 0.0)
    if waves.num_warmup_steps == 0:
        return curve
    return Warmup(steps=waves.num_warmup_steps, shape="polynomial", power=2.0, then=curve)


@library.scheduler("get_cosine_schedule_with_min_lr", common=False)
def floored(case: Case, lengths: Lengths, *, min_lr_ratio: float = 0.0) -> AnyDefinition:
    """`warmup` to a periodic `cosine` that ends above 0."""
    return lengths.warmed(wave(case.base, case.base * min_lr_ratio, lengths.decay, 0.5))


@library.scheduler("get_cosine_schedule_with_warmup_decay_constant")
def decay_constant(
    case: Case, waves: Waves, *, constant_lr_ratio: NotNegative, min_lr_ratio: float
) -> AnyDefinition:
    """`warmup` to a `cosine` that is over at a share of the training, constant_lr_ratio."""
    base, end = case.base, case.base * min_lr_ratio
    steps = int(waves.num_training_steps * constant_lr_ratio) - waves.num_warmup_steps
    if steps <= 0:
        height = 0.5 * (1 + cos(2 * pi * waves.num_cycles * steps))
        return waves.warmed_until(base, (base - end) * height + end)
    if waves.num_cycles == 0.5:
        return waves.warmed(Cosine(start=base, end=end, steps=steps))
    curve = wave(base, end, steps, waves.num_cycles)
    held = Phase(Constant(value=value_at(curve, steps)))
    return waves.warmed(phases(Phase(curve, until=steps), held))


@library.scheduler("RexLR", common=False)
def rex(
    case: Case,
    *,
    max_lr: Positive,
    min_lr: float,
    total_steps: Count = 0,
    num_warmup_steps: Count = 0,
    last_step: LastEpoch = 0,
) -> AnyDefinition:
    """
    `sequence` of a line and a rational `ramp`, one step ahead.

    It starts from the base value, whatever max_lr is, and ends at min_lr.
    """
    if min_lr > max_lr:
        raise case.wrong("min_lr", "must not be above max_lr", min_lr, f"≤ {max_lr}")
    warmup, steps = num_warmup_steps, total_steps - num_warmup_steps
    if steps < 0:
        bound = f"≤ {total_steps}"
        raise case.wrong("num_warmup_steps", "must not be above total_steps", warmup, bound)
    rise = Linear(start=0.0, end=case.base, steps=max(1, warmup))
    end = case.base * min_lr / max_lr
    fall = Ramp(start=case.base, end=end, steps=max(1, steps), shape="rational", ratio=0.1)
    until = total_steps - 1 if steps > 0 else 0
    return phases(
        Phase(rise, until=warmup, origin=-1),
        Phase(fall, until=until, origin=warmup - 1),
        Phase(Constant(value=min_lr)),
    )


@library.scheduler("InterpolatingLogScheduler")
def logarithmic(
    case: Case, *, num_steps: Annotated[Steps, Field(ge=2)], min_lr: Positive, max_lr: Positive
) -> AnyDefinition:
    """`piecewise` geometric, one step late: steps 0 and 1 have the same value."""
    points = ((1.0, min_lr), (float(num_steps), max_lr))
    return Piecewise(points=points, interpolation="geometric")


@library.scheduler("JaggedLRRestartScheduler", common=False)
def jagged(
    case: Case,
    *,
    inner_schedule: Nested | None = None,
    inner: Nested | None = None,
    jagged_restart_steps: Length,
    jagged_restart_warmup_steps: Count,
    jagged_restart_anneal_steps: Count = 1,
    min_lr_scale: float = 0.001,
) -> AnyDefinition:
    """
    `product` of what the inner scheduler becomes and a repeated trapezoid, one step ahead.

    Its constructor steps it once. The first cycle has no warm-up. The inner scheduler is one of
    transformers, of PyTorch, or a cosine of axolotl's.
    """
    spec = inner_schedule or inner
    if spec is None:
        raise case.wrong("inner_schedule", "is required", None, '{"name", "params"}')
    field = "inner_schedule" if inner_schedule else "inner"
    curve = case.nested(spec, field, library=_origin(spec.name))
    steps, warmup = jagged_restart_steps, jagged_restart_warmup_steps
    anneal = max(steps - jagged_restart_anneal_steps, 0)
    rise = Linear(start=min_lr_scale, end=1.0, steps=max(1, warmup))
    fall = Linear(start=1.0, end=min_lr_scale, steps=max(1, jagged_restart_anneal_steps))
    one = Constant(value=1.0)
    cycle = phases(
        Phase(rise, until=min(warmup, steps)), Phase(one, until=anneal), Phase(fall, origin=anneal)
    )
    scale = phases(Phase(one, until=anneal), Phase(Repeat(of=cycle, every=steps)))
    return since(1, Product(of=(curve, scale)))


def _origin(name: str) -> str:
    """Return the library of an inner scheduler, which must be a function of the step alone."""
    if name.startswith("get_cosine_schedule") and library.find(name) is not None:
        return "axolotl"
    return "transformers" if transformers.find(name) is not None else "torch"
