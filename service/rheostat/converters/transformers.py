"""Hugging Face transformers: transformers.optimization, by function or by `lr_scheduler_type`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from rheostat.converters.core import Case, Library, Nested
from rheostat.converters.kit import Phase, over, phases, share, warmed
from rheostat.converters.parameters import Count, LastEpoch, Steps
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial, Ramp
from rheostat.schedules.kinds.cycles import CosineRestarts
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.kinds.pointwise import Clip
from rheostat.schedules.kinds.presets import Warmup, Wsd
from rheostat.schedules.union import AnyDefinition

library = Library("transformers")
library.metric_driven(
    "get_reduce_on_plateau_schedule",
    "reduce_lr_on_plateau",
    "get_greedy_schedule",
    "greedy",
    "GreedyLR",
)


@library.scheduler("get_constant_schedule", "constant")
def constant(case: Case, *, last_epoch: LastEpoch = -1) -> AnyDefinition:
    """`constant`."""
    return Constant(value=case.base)


@library.scheduler("get_constant_schedule_with_warmup", "constant_with_warmup")
def warm(case: Case, *, num_warmup_steps: Count, last_epoch: LastEpoch = -1) -> AnyDefinition:
    """`warmup` to a constant."""
    return warmed(num_warmup_steps, Constant(value=case.base))


@library.scheduler("get_linear_schedule_with_warmup", "linear")
def linear(
    case: Case, *, num_warmup_steps: Count, num_training_steps: Count, last_epoch: LastEpoch = -1
) -> AnyDefinition:
    """
    `warmup` to a `linear` decay to 0.

    A warm-up that is longer than the training goes on past its end, and then drops to 0.
    """
    steps = num_training_steps - num_warmup_steps
    if steps > 0:
        return warmed(num_warmup_steps, Linear(start=case.base, end=0.0, steps=steps))
    return _ramp_then(case.base, num_warmup_steps, 0.0)


@library.scheduler("get_polynomial_decay_schedule_with_warmup", "polynomial")
def polynomial(
    case: Case,
    *,
    num_warmup_steps: Count,
    num_training_steps: Count,
    lr_end: float = 1e-7,
    power: Annotated[float, Field(ge=0)] = 1.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to a `polynomial` decay.

    lr_end belongs to the optimizer's default learning rate: a group that starts elsewhere ends in
    proportion. Where the warm-up is as long as the training the library divides by zero at its
    end; the definition goes on at lr_end.
    """
    default = case.context.optimizer_default_lr or case.base
    if lr_end >= default:
        raise case.wrong("lr_end", "must be below the learning rate", lr_end, f"< {default}")
    end, steps = case.base * lr_end / default, num_training_steps - num_warmup_steps
    if steps <= 0:
        return _ramp_then(case.base, num_warmup_steps, end)
    if power > 0:
        curve = Polynomial(start=case.base, end=end, steps=steps, power=power)
        return warmed(num_warmup_steps, curve)
    held = Phase(Constant(value=case.base), until=steps + 1)
    return warmed(num_warmup_steps, phases(held, Phase(Constant(value=end))))


@library.scheduler("get_inverse_sqrt_schedule", "inverse_sqrt")
def inverse_sqrt(
    case: Case,
    *,
    num_warmup_steps: Count,
    timescale: Annotated[float, Field(gt=0)] | None = None,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to an `inverse_sqrt`.

    The timescale is the warm-up by default, and 10,000 without one.
    """
    scale = timescale or float(num_warmup_steps or 10_000)
    return warmed(num_warmup_steps, InverseSqrt(start=case.base, timescale=scale))


@library.scheduler("get_scheduler")
def by_name(
    case: Case,
    *,
    name: str,
    num_warmup_steps: Count | None = None,
    num_training_steps: Count | None = None,
    scheduler_specific_kwargs: dict[str, Any] | None = None,
) -> AnyDefinition:
    """What the schedule of this name becomes."""
    lengths = {"num_warmup_steps": num_warmup_steps, "num_training_steps": num_training_steps}
    taken = {"constant": 0, "constant_with_warmup": 1, "inverse_sqrt": 1}.get(name, 2)
    given = {key: value for key, value in [*lengths.items()][:taken] if value is not None}
    params = {**given, **(scheduler_specific_kwargs or {})}
    return case.nested(Nested(name=name, params=params), "scheduler_specific_kwargs")


def _ramp_then(peak: float, steps: int, value: float) -> AnyDefinition:
    """Return a warm-up that drops to a value at once."""
    if steps == 0:
        return Constant(value=value)
    ramp = Linear(start=0.0, end=peak, steps=steps)
    return phases(Phase(ramp, until=steps), Phase(Constant(value=value)))


Cycles = Annotated[float, Field(ge=0)]


@library.scheduler("get_cosine_schedule_with_warmup", "cosine")
def cosine(
    case: Case,
    *,
    num_warmup_steps: Count,
    num_training_steps: Count,
    num_cycles: Cycles = 0.5,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to a periodic `cosine`.

    num_cycles counts whole waves: the half one of the default falls to 0. Past num_training_steps
    the wave goes on.
    """
    steps = num_training_steps - num_warmup_steps
    return warmed(num_warmup_steps, wave(case.base, 0.0, steps, num_cycles))


@library.scheduler("get_cosine_with_hard_restarts_schedule_with_warmup", "cosine_with_restarts")
def restarts(
    case: Case,
    *,
    num_warmup_steps: Count,
    num_training_steps: Count,
    num_cycles: Cycles = 1,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to `cosine_restarts`.

    Past num_training_steps it is 0.
    """
    steps = max(1, num_training_steps - num_warmup_steps)
    return warmed(num_warmup_steps, _restarted(case.base, steps, num_cycles))


@library.scheduler("get_cosine_with_min_lr_schedule_with_warmup", "cosine_with_min_lr")
def floored(
    case: Case,
    *,
    num_warmup_steps: Count,
    num_training_steps: Count,
    num_cycles: Cycles = 0.5,
    last_epoch: LastEpoch = -1,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
) -> AnyDefinition:
    """
    `warmup` to a periodic `cosine` that ends above 0.

    min_lr belongs to the optimizer's default learning rate: a group that starts elsewhere has its
    floor in proportion. Past num_training_steps the wave rises again.
    """
    end = case.base * _rate(case, min_lr, min_lr_rate)
    steps = num_training_steps - num_warmup_steps
    return warmed(num_warmup_steps, _not_negative(wave(case.base, end, steps, num_cycles), end))


@library.scheduler(
    "get_cosine_with_min_lr_schedule_with_warmup_lr_rate", "cosine_warmup_with_min_lr"
)
def ahead(
    case: Case,
    *,
    num_warmup_steps: Count,
    num_training_steps: Count,
    num_cycles: Cycles = 0.5,
    last_epoch: LastEpoch = -1,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
    warmup_lr_rate: float | None = None,
) -> AnyDefinition:
    """
    `sequence` of a warm-up and a periodic `cosine`, both one step ahead.

    The first step has base/num_warmup_steps, or base · warmup_lr_rate; the peak is in force at the
    last step of the warm-up, and the floor one step before the end.
    """
    warmup, base = num_warmup_steps, case.base
    end = base * _rate(case, min_lr, min_lr_rate)
    fall = wave(base, end, num_training_steps - warmup, num_cycles)
    if warmup_lr_rate is None:
        rise, origin = Linear(start=0.0, end=base, steps=max(1, warmup)), -1
    else:
        start = base * warmup_lr_rate
        rise, origin = Linear(start=start, end=base, steps=max(1, warmup - 1)), 0
    decay = Phase(_not_negative(fall, end), origin=warmup - 1)
    return phases(Phase(rise, until=warmup, origin=origin), decay)


def wave(start: float, end: float, steps: int, cycles: float) -> AnyDefinition:
    """Return a cosine that makes so many whole waves in the steps, and goes on."""
    if cycles == 0:
        return Constant(value=start)
    half = max(1, steps) / (2 * cycles)
    return over(half, lambda n: Cosine(start=start, end=end, steps=n, periodic=True))


def _restarted(base: float, steps: int, cycles: float) -> AnyDefinition:
    if cycles == 0:
        return phases(Phase(Constant(value=base), until=steps), Phase(Constant(value=0.0)))
    period = share(steps, cycles)
    if float(cycles).is_integer():
        return CosineRestarts(start=base, end=0.0, period=period, cycles=int(cycles))
    cut = Phase(CosineRestarts(start=base, end=0.0, period=period), until=steps)
    return phases(cut, Phase(Constant(value=0.0)))


def _rate(case: Case, min_lr: float | None, min_lr_rate: float | None) -> float:
    """Return the floor as a share of the base value."""
    if min_lr is not None and min_lr_rate is not None:
        raise case.wrong("min_lr_rate", "cannot stand beside min_lr", min_lr_rate, "one of both")
    if min_lr is not None:
        return min_lr / (case.context.optimizer_default_lr or case.base)
    if min_lr_rate is None:
        raise case.wrong("min_lr", "is required, or else min_lr_rate", None, "a number")
    return min_lr_rate


def _not_negative(curve: AnyDefinition, end: float) -> AnyDefinition:
    """Return the curve without what lies below zero: a negative floor is never reached."""
    return Clip(of=curve, min=0.0) if end < 0 else curve


ShapeType = Literal["linear", "cosine", "1-sqrt"]


@library.scheduler("get_wsd_schedule", "warmup_stable_decay")
def stages(
    case: Case,
    *,
    num_warmup_steps: Count,
    num_decay_steps: Count,
    num_training_steps: Steps | None = None,
    num_stable_steps: Steps | None = None,
    warmup_type: ShapeType = "linear",
    decay_type: ShapeType = "cosine",
    min_lr_ratio: float = 0.0,
    num_cycles: Annotated[float, Field(ge=0)] = 0.5,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `wsd`.

    min_lr_ratio lifts the start of the warm-up too. Without num_stable_steps the stable stage is
    what num_training_steps leaves; less than nothing, and the decay begins in its middle.
    """
    stable = num_stable_steps
    if stable is None:
        if num_training_steps is None:
            message = "is required, or else num_training_steps"
            raise case.wrong("num_stable_steps", message, None, "a number of steps")
        stable = num_training_steps - num_warmup_steps - num_decay_steps
    peak, floor = case.base, case.base * min_lr_ratio
    lengths = (num_warmup_steps, stable, num_decay_steps)
    plain = warmup_type == "linear" and (decay_type != "cosine" or num_cycles == 0.5)
    if plain and stable >= 0 and num_decay_steps > 0 and min_lr_ratio >= 0:
        return Wsd(
            peak=peak,
            warmup=num_warmup_steps,
            warmup_start=floor,
            stable=stable,
            decay=num_decay_steps,
            decay_shape=decay_type,
            end=floor,
        )
    decay = _decay(peak, floor, num_decay_steps, decay_type, num_cycles)
    return _laid_out(lengths, (peak, floor), warmup_type, decay)


def _decay(peak: float, floor: float, steps: int, shape: ShapeType, cycles: float) -> AnyDefinition:
    if shape == "cosine":
        return wave(peak, floor, steps, cycles)
    return Ramp(start=peak, end=floor, steps=max(1, steps), shape=shape)


def _laid_out(
    lengths: tuple[int, int, int],
    ends: tuple[float, float],
    warmup_shape: ShapeType,
    decay: AnyDefinition,
) -> AnyDefinition:
    """Return the stages as a sequence; a negative stable stage eats into the decay."""
    (warmup, stable, steps), (peak, floor) = lengths, ends
    after = phases(
        Phase(Constant(value=peak), until=stable),
        Phase(decay, until=stable + steps, origin=stable),
        Phase(Constant(value=floor)),
    )
    curve = after
    if warmup > 0:
        rise = Warmup(steps=warmup, start=floor, shape=warmup_shape, then=Constant(value=peak))
        curve = phases(Phase(rise, until=warmup), Phase(after, origin=warmup))
    return Clip(of=curve, min=0.0) if floor < 0 else curve
