"""NVIDIA NeMo: nemo.core.optim.lr_scheduler."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rheostat.converters import torch
from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, phases, warmed
from rheostat.converters.parameters import Count, FirstCycle, LastEpoch, Length
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial, Ramp
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.kinds.pointwise import Clip
from rheostat.schedules.kinds.presets import Wsd
from rheostat.schedules.union import AnyDefinition

library = Library("nemo")
library.metric_driven("ReduceLROnPlateau")

Share = Annotated[float, Field(ge=0)]


def length(case: Case, name: str, steps: int | None, ratio: float | None, total: int | None) -> int:
    """Return the steps of a stage, which are given, or a share of max_steps rounded down."""
    if steps is not None and ratio is not None:
        raise case.wrong(f"{name}_ratio", f"cannot stand beside {name}_steps", ratio, "null")
    if ratio is None:
        return steps or 0
    if total is None:
        raise case.wrong("max_steps", f"is required for {name}_ratio", None, "≥ 1")
    return int(ratio * total)


def after_warmup(case: Case, warmup: int, curve: AnyDefinition) -> AnyDefinition:
    """Return a curve after NeMo's warm-up, which has (t + 1)/(warmup + 1) of the base value."""
    return warmed(warmup, curve, case.base / (warmup + 1))


def ending(curve: AnyDefinition, end: int | None, floor: float) -> AnyDefinition:
    """Return a curve that drops to a floor after its end."""
    if end is None:
        return curve
    return phases(Phase(curve, until=end + 1), Phase(Constant(value=floor)))


def held(case: Case, warmup: int, end: int, floor: float) -> AnyDefinition:
    """Return the warm-up and the base value, up to an end that lies past max_steps."""
    return ending(after_warmup(case, warmup, Constant(value=case.base)), end, floor)


def floored(curve: AnyDefinition, floor: float) -> AnyDefinition:
    """Return a curve of positive values that never falls below a floor."""
    return Clip(of=curve, min=floor) if floor > 0 else curve


Power = Annotated[float, Field(ge=0)]


@library.scheduler("CosineAnnealing")
def cosine(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    constant_steps: Count | None = None,
    constant_ratio: Share | None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to a `cosine`.

    constant_steps at min_lr come off the end of the cosine, and change the warm-up: with them it
    starts from 0. Where they leave no cosine, min_lr follows the warm-up at once.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    rest = length(case, "constant", constant_steps, constant_ratio, max_steps)
    if case.base < min_lr or (rest > 0 and case.base == min_lr):
        raise case.wrong("min_lr", "must be below the learning rate", min_lr, f"< {case.base}")
    if rest == 0 and warmup >= max_steps:
        return held(case, warmup, warmup, min_lr)
    if warmup + rest >= max_steps:
        return _constant_after(case, warmup, rest, max_steps, min_lr)
    curve = Cosine(start=case.base, end=min_lr, steps=max_steps - warmup - rest)
    return warmed(warmup, curve) if rest > 0 else after_warmup(case, warmup, curve)


def _constant_after(
    case: Case, warmup: int, rest: int, max_steps: int, min_lr: float
) -> AnyDefinition:
    """Return a warm-up from 0 that is followed by the constant steps."""
    if warmup == 0 and rest == max_steps:
        message = "is a division by zero: constant_steps leave none of it"
        raise case.wrong("max_steps", message, max_steps, f"≠ {rest}")
    rise = Linear(start=0.0, end=case.base, steps=max(1, warmup))
    until = warmup + 1 if warmup > 0 else 0
    return phases(Phase(rise, until=until), Phase(Constant(value=min_lr)))


@library.scheduler("WarmupAnnealing")
def warmup_annealing(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """`warmup` to a `linear` decay."""
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    if warmup >= max_steps:
        return held(case, warmup, warmup, min_lr)
    curve = Linear(start=case.base, end=min_lr, steps=max_steps - warmup)
    return after_warmup(case, warmup, curve)


@library.scheduler("SquareAnnealing")
def square(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    min_lr: float = 1e-5,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to a `polynomial` of power 2, clipped at min_lr.

    It is clipped and not rescaled, so that it reaches min_lr before max_steps.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    if warmup >= max_steps:
        return held(case, warmup, warmup, min_lr)
    curve = Polynomial(start=case.base, end=0.0, steps=max_steps - warmup, power=2.0)
    if min_lr <= case.base:
        return after_warmup(case, warmup, floored(curve, min_lr))
    rise = after_warmup(case, warmup, Constant(value=case.base))
    floor = Phase(Constant(value=min_lr))
    return phases(Phase(rise, until=warmup + 1 if warmup > 0 else 0), floor)


@library.scheduler("SquareRootAnnealing")
def square_root(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `sequence` of a warm-up and a `polynomial` of power 0.5, clipped at min_lr.

    The decay counts from step 0, so that there is a jump after the warm-up.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    curve = Polynomial(start=case.base, end=0.0, steps=max_steps, power=0.5)
    rise = after_warmup(case, warmup, Constant(value=case.base))
    until = warmup + 1 if warmup > 0 else 0
    return phases(Phase(rise, until=until), Phase(floored(curve, min_lr)))


@library.scheduler("PolynomialDecayAnnealing")
def polynomial(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    min_lr: float = 0.0,
    power: Power = 1.0,
    cycle: FirstCycle = False,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to a `polynomial`.

    cycle has no effect: the first cycle ends at max_steps, and after it min_lr holds.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    if power == 0 or warmup >= max_steps:
        return held(case, warmup, max(warmup, max_steps), min_lr)
    curve = Polynomial(start=case.base, end=min_lr, steps=max_steps - warmup, power=power)
    return after_warmup(case, warmup, curve)


@library.scheduler("WarmupHoldAnnealLinear")
def hold_linear(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    hold_steps: Count | None = None,
    hold_ratio: Share | None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `wsd`.

    Without hold_steps the decay counts from step 0, underneath the warm-up.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    start = _held_until(case, warmup, hold_steps, hold_ratio, max_steps)
    if max(start - 1, warmup) >= max_steps:
        return held(case, warmup, max(start - 1, warmup), min_lr)
    steps = max_steps - start
    if start >= warmup:
        return Wsd(
            peak=case.base,
            warmup=warmup,
            warmup_start=case.base / (warmup + 1),
            stable=start - warmup,
            decay=steps,
            end=min_lr,
        )
    return _laid_out(case, warmup, start, Linear(start=case.base, end=min_lr, steps=steps))


@library.scheduler("WarmupHoldAnnealOneMinusSquareRoot")
def one_minus_square_root(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    hold_steps: Count | None = None,
    hold_ratio: Share | None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `wsd` of shape 1-sqrt; with a min_lr, clipped there and not rescaled.

    Without hold_steps the decay counts from step 0, underneath the warm-up.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    start = _held_until(case, warmup, hold_steps, hold_ratio, max_steps)
    if max(start - 1, warmup) >= max_steps:
        return held(case, warmup, max(start - 1, warmup), min_lr)
    steps = max_steps - start
    if start >= warmup and min_lr <= 0:
        return Wsd(
            peak=case.base,
            warmup=warmup,
            warmup_start=case.base / (warmup + 1),
            stable=start - warmup,
            decay=steps,
            decay_shape="1-sqrt",
        )
    curve = Ramp(start=case.base, end=0.0, steps=steps, shape="1-sqrt")
    return _laid_out(case, warmup, start, floored(curve, min_lr))


@library.scheduler("PolynomialHoldDecayAnnealing")
def hold_polynomial(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    hold_steps: Count | None = None,
    hold_ratio: Share | None = None,
    min_lr: float = 0.0,
    power: Annotated[float, Field(gt=0)] = 1.0,
    cycle: bool = False,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `sequence` of a warm-up, a constant and a `polynomial`.

    Without hold_steps the decay counts from step 0, underneath the warm-up, and is over before
    max_steps; with cycle it starts again there.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    start = _held_until(case, warmup, hold_steps, hold_ratio, max_steps)
    if max(start - 1, warmup) >= max_steps:
        return held(case, warmup, max(start - 1, warmup), min_lr)
    steps = max_steps - max(warmup, start)
    curve = Polynomial(start=case.base, end=min_lr, steps=steps, power=power, cycle=cycle)
    return ending(_laid_out(case, warmup, start, curve), max_steps, min_lr)


@library.scheduler("NoamHoldAnnealing")
def hold_noam(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    hold_steps: Count | None = None,
    hold_ratio: Share | None = None,
    decay_rate: float = 0.5,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `sequence` of a warm-up, a constant and an `inverse_sqrt` of power decay_rate.

    It is clipped at min_lr, and drops to it after max_steps.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    if warmup == 0:
        raise case.wrong("warmup_steps", "is required: Noam decays by it", warmup, "≥ 1")
    start = max(warmup, _held_until(case, warmup, hold_steps, hold_ratio, max_steps))
    if start >= max_steps:
        return held(case, warmup, max(start - 1, warmup), min_lr)
    curve: AnyDefinition = Constant(value=case.base)
    if decay_rate > 0:
        curve = InverseSqrt(start=case.base, timescale=warmup, power=decay_rate)
    return ending(_laid_out(case, warmup, start, floored(curve, min_lr)), max_steps, min_lr)


def _held_until(case: Case, warmup: int, steps: int | None, ratio: float | None, total: int) -> int:
    """Return the step at which the hold is over; without a hold NeMo takes it for 0."""
    hold = length(case, "hold", steps, ratio, total)
    start = warmup + hold if steps is not None or ratio is not None else 0
    if start == total:
        message = "is a division by zero: it ends with the hold"
        raise case.wrong("max_steps", message, total, f"≠ {start}")
    return start


def _laid_out(case: Case, warmup: int, start: int, curve: AnyDefinition) -> AnyDefinition:
    """Return the warm-up, the hold and a decay that begins at start."""
    rise = after_warmup(case, warmup, Constant(value=case.base))
    until = warmup + 1 if warmup > 0 else 0
    return phases(Phase(rise, until=max(until, start)), Phase(curve, origin=start))


@library.scheduler("InverseSquareRootAnnealing")
def inverse_sqrt(
    case: Case,
    *,
    max_steps: Length,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to an `inverse_sqrt`.

    After max_steps it drops to min_lr, which is no floor before.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    curve = InverseSqrt(start=case.base, timescale=warmup + 1)
    return ending(after_warmup(case, warmup, curve), max(max_steps, warmup), min_lr)


@library.scheduler("T5InverseSquareRootAnnealing")
def t5(
    case: Case,
    *,
    max_steps: Length,
    constant_steps: Length,
    constant_ratio: None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `sequence` of a constant and an `inverse_sqrt`.

    It is 1/√t, whatever the base value is, and drops to min_lr after max_steps. NeMo fails on
    constant_ratio.
    """
    start = 1 / constant_steps**0.5
    held = Phase(Constant(value=start), until=constant_steps + 1)
    fall = Phase(InverseSqrt(start=start, timescale=constant_steps), origin=constant_steps)
    if constant_steps >= max_steps:
        return phases(held, Phase(Constant(value=min_lr)))
    return ending(phases(held, fall), max_steps, min_lr)


@library.scheduler("NoamAnnealing")
def noam(
    case: Case,
    *,
    d_model: Annotated[float, Field(gt=0)],
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    max_steps: Length | None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `sequence` of a line and an `inverse_sqrt`, clipped at min_lr.

    The base value is a factor of 1/√d_model. Step 0 has the value of step 1; max_steps ends
    nothing.
    """
    if case.base < min_lr:
        raise case.wrong("min_lr", "must not be above the base value", min_lr, f"≤ {case.base}")
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    scale = max(warmup, 1)
    peak = case.base * d_model**-0.5 * scale**-0.5
    first = peak / scale if warmup else max(peak, min_lr)
    rise = Phase(Linear(start=0.0, end=peak, steps=scale), until=warmup + 1)
    fall = floored(InverseSqrt(start=peak, timescale=scale), min_lr)
    held = Phase(Constant(value=first), until=1)
    return phases(held, rise, Phase(fall, origin=scale))


library.scheduler("StepLR")(torch.step)
library.scheduler("ExponentialLR")(torch.decay)
library.scheduler("CyclicLR", hyperparameters=torch.BOTH)(torch.cyclic)


@library.scheduler("WarmupPolicy")
def warm(
    case: Case,
    *,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    max_steps: Length | None = None,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to a constant.

    After max_steps it drops to min_lr.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    if max_steps is None:
        return after_warmup(case, warmup, Constant(value=case.base))
    return held(case, warmup, max(max_steps, warmup), min_lr)


@library.scheduler("WarmupHoldPolicy")
def holding(
    case: Case,
    *,
    warmup_steps: Count | None = None,
    warmup_ratio: Share | None = None,
    hold_steps: Count | None = None,
    hold_ratio: Share | None = None,
    max_steps: Length,
    min_lr: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `warmup` to a constant.

    After max_steps, and after the hold, it drops to min_lr.
    """
    warmup = length(case, "warmup", warmup_steps, warmup_ratio, max_steps)
    hold = length(case, "hold", hold_steps, hold_ratio, max_steps)
    return held(case, warmup, max(max_steps, warmup, warmup + hold - 1), min_lr)
