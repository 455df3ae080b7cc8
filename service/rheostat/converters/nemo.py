"""NVIDIA NeMo: nemo.core.optim.lr_scheduler."""

from __future__ import annotations

from math import inf
from typing import Annotated

from rheostat.converters import torch
from rheostat.converters.core import Case, Conversion, Library
from rheostat.converters.kit import Phase, phases, warmed
from rheostat.converters.parameters import (
    Count,
    Ignored,
    Length,
    NotNegative,
    Positive,
    Resumed,
    Shared,
)
from rheostat.converters.reactions import PlateauParameters, Printed, StoppingParameters, metric_of
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial, Ramp
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.kinds.pointwise import Clip
from rheostat.schedules.kinds.presets import Wsd
from rheostat.schedules.numeric import ShapeName
from rheostat.schedules.union import AnyDefinition

library = Library("nemo", common=Resumed)

FirstCycle = Annotated[bool, Ignored("would matter after max_steps, where min_lr holds")]


class Warmup(Shared):
    """The warm-up, given in steps or as a share of max_steps, and the lowest value."""

    warmup_steps: Count | None = None
    warmup_ratio: NotNegative | None = None
    max_steps: Length | None = None
    min_lr: float = 0.0

    def length(self, case: Case, name: str, steps: int | None, ratio: float | None) -> int:
        """Return the steps of a stage, which are given, or a share of max_steps rounded down."""
        if steps is not None and ratio is not None:
            raise case.wrong(f"{name}_ratio", f"cannot stand beside {name}_steps", ratio, "null")
        if ratio is None:
            return steps or 0
        if self.max_steps is None:
            raise case.wrong("max_steps", f"is required for {name}_ratio", None, "≥ 1")
        return int(ratio * self.max_steps)

    def warmup(self, case: Case) -> int:
        """Return the steps of the warm-up."""
        return self.length(case, "warmup", self.warmup_steps, self.warmup_ratio)

    def warmed(self, case: Case, curve: AnyDefinition) -> AnyDefinition:
        """Return a curve after the warm-up, which has (t + 1)/(warmup + 1) of the base value."""
        warmup = self.warmup(case)
        return warmed(warmup, curve, case.base / (warmup + 1))

    def followed_by(
        self, case: Case, curve: AnyDefinition, start: int = 0, last: float = inf
    ) -> AnyDefinition:
        """Return the warm-up, the base value until start, and a curve from there to a last step."""
        warmup = self.warmup(case)
        rise = self.warmed(case, Constant(value=case.base))
        until = max(start, warmup + 1 if warmup > 0 else 0)
        return phases(
            Phase(rise, until=until),
            Phase(curve, until=last + 1, origin=start),
            Phase(Constant(value=self.min_lr)),
        )

    def ending(self, curve: AnyDefinition, last: int) -> AnyDefinition:
        """Return a curve that drops to min_lr after its last step."""
        return phases(Phase(curve, until=last + 1), Phase(Constant(value=self.min_lr)))

    def held(self, case: Case, last: int) -> AnyDefinition:
        """Return the warm-up, and the base value up to a last step."""
        return self.ending(self.warmed(case, Constant(value=case.base)), last)


class Annealing(Warmup):
    """The same, where the length of the training is required."""

    max_steps: Length


class HoldAnnealing(Annealing):
    """The same with a hold after the warm-up."""

    hold_steps: Count | None = None
    hold_ratio: NotNegative | None = None

    def hold(self, case: Case) -> int:
        """Return the steps of the hold."""
        return self.length(case, "hold", self.hold_steps, self.hold_ratio)

    def begin(self, case: Case) -> int:
        """Return the step at which the decay begins; without a hold NeMo takes it for 0."""
        if self.hold_steps is None and self.hold_ratio is None:
            return 0
        return self.warmup(case) + self.hold(case)

    def start(self, case: Case) -> int:
        """Return the same, where NeMo divides by the length of the decay if it comes to it."""
        start = self.begin(case)
        if start == self.max_steps and start > self.warmup(case):
            message = "is a division by zero: it ends with the hold"
            raise case.wrong("max_steps", message, self.max_steps, f"≠ {start}")
        return start

    def last(self, case: Case) -> int:
        """Return the last step that has the base value."""
        return max(self.begin(case) - 1, self.warmup(case))

    def wsd(self, case: Case, shape: ShapeName, end: float) -> AnyDefinition:
        """Return the warm-up, the hold and a decay that begins after them."""
        warmup, start = self.warmup(case), self.start(case)
        return Wsd(
            peak=case.base,
            warmup=warmup,
            warmup_start=case.base / (warmup + 1),
            stable=start - warmup,
            decay=self.max_steps - start,
            decay_shape=shape,
            end=end,
        )


def floored(curve: AnyDefinition, floor: float) -> AnyDefinition:
    """Return a curve of positive values that never falls below a floor."""
    return Clip(of=curve, min=floor) if floor > 0 else curve


@library.scheduler("CosineAnnealing")
def cosine(
    case: Case,
    common: Annealing,
    *,
    constant_steps: Count | None = None,
    constant_ratio: NotNegative | None = None,
) -> AnyDefinition:
    """
    `warmup` to a `cosine`.

    constant_steps at min_lr come off the end of the cosine, and change the warm-up: with them it
    starts from 0. Where they leave no cosine, min_lr follows the warm-up at once.
    """
    warmup, min_lr, max_steps = common.warmup(case), common.min_lr, common.max_steps
    rest = common.length(case, "constant", constant_steps, constant_ratio)
    if rest == 0 and warmup >= max_steps:
        return common.held(case, warmup)
    if case.base < min_lr or (rest > 0 and case.base == min_lr):
        raise case.wrong("min_lr", "must be below the learning rate", min_lr, f"< {case.base}")
    steps = max_steps - warmup - rest
    if steps > 0:
        curve = Cosine(start=case.base, end=min_lr, steps=steps)
        return warmed(warmup, curve) if rest > 0 else common.warmed(case, curve)
    if warmup == 0 and rest == max_steps:
        message = "is a division by zero: constant_steps leave none of it"
        raise case.wrong("max_steps", message, max_steps, f"≠ {rest}")
    if warmup == 0:
        return Constant(value=min_lr)
    return common.ending(Linear(start=0.0, end=case.base, steps=warmup), warmup)


@library.scheduler("WarmupAnnealing")
def warmup_annealing(case: Case, common: Annealing) -> AnyDefinition:
    """`warmup` to a `linear` decay."""
    warmup = common.warmup(case)
    if warmup >= common.max_steps:
        return common.held(case, warmup)
    curve = Linear(start=case.base, end=common.min_lr, steps=common.max_steps - warmup)
    return common.warmed(case, curve)


@library.scheduler("SquareAnnealing")
def square(case: Case, common: Annealing, *, min_lr: float = 1e-5) -> AnyDefinition:
    """
    `warmup` to a `polynomial` of power 2, clipped at min_lr.

    It is clipped and not rescaled, so that it reaches min_lr before max_steps.
    """
    warmup = common.warmup(case)
    if warmup >= common.max_steps:
        return common.held(case, warmup)
    if min_lr > case.base:
        return common.followed_by(case, Constant(value=min_lr))
    curve = Polynomial(start=case.base, end=0.0, steps=common.max_steps - warmup, power=2.0)
    return common.warmed(case, floored(curve, min_lr))


@library.scheduler("SquareRootAnnealing")
def square_root(case: Case, common: Annealing) -> AnyDefinition:
    """
    `sequence` of a warm-up and a `polynomial` of power 0.5, clipped at min_lr.

    The decay counts from step 0, so that there is a jump after the warm-up.
    """
    curve = Polynomial(start=case.base, end=0.0, steps=common.max_steps, power=0.5)
    return common.followed_by(case, floored(curve, common.min_lr))


@library.scheduler("PolynomialDecayAnnealing")
def polynomial(
    case: Case, common: Annealing, *, power: NotNegative = 1.0, cycle: FirstCycle = False
) -> AnyDefinition:
    """
    `warmup` to a `polynomial`.

    cycle has no effect: the first cycle ends at max_steps, and after it min_lr holds.
    """
    warmup, max_steps = common.warmup(case), common.max_steps
    if power == 0 or warmup >= max_steps:
        return common.held(case, max(warmup, max_steps))
    steps = max_steps - warmup
    curve = Polynomial(start=case.base, end=common.min_lr, steps=steps, power=power)
    return common.warmed(case, curve)


@library.scheduler("WarmupHoldAnnealLinear")
def hold_linear(case: Case, common: HoldAnnealing) -> AnyDefinition:
    """
    `wsd`.

    Without hold_steps the decay counts from step 0, underneath the warm-up.
    """
    start, last = common.start(case), common.last(case)
    if last >= common.max_steps:
        return common.held(case, last)
    if start >= common.warmup(case):
        return common.wsd(case, "linear", common.min_lr)
    curve = Linear(start=case.base, end=common.min_lr, steps=common.max_steps - start)
    return common.followed_by(case, curve, start)


@library.scheduler("WarmupHoldAnnealOneMinusSquareRoot")
def one_minus_square_root(case: Case, common: HoldAnnealing) -> AnyDefinition:
    """
    `wsd` of shape 1-sqrt; with a min_lr, clipped there and not rescaled.

    Without hold_steps the decay counts from step 0, underneath the warm-up.
    """
    start, last = common.start(case), common.last(case)
    if last >= common.max_steps:
        return common.held(case, last)
    if start >= common.warmup(case) and common.min_lr <= 0:
        return common.wsd(case, "1-sqrt", 0.0)
    curve = Ramp(start=case.base, end=0.0, steps=common.max_steps - start, shape="1-sqrt")
    return common.followed_by(case, floored(curve, common.min_lr), start)


@library.scheduler("PolynomialHoldDecayAnnealing")
def hold_polynomial(
    case: Case, common: HoldAnnealing, *, power: Positive = 1.0, cycle: bool = False
) -> AnyDefinition:
    """
    `sequence` of a warm-up, a constant and a `polynomial`.

    Without hold_steps the decay counts from step 0, underneath the warm-up, and is over before
    max_steps; with cycle it starts again there.
    """
    start, last = common.start(case), common.last(case)
    if last >= common.max_steps:
        return common.held(case, last)
    steps = common.max_steps - max(common.warmup(case), start)
    curve = Polynomial(start=case.base, end=common.min_lr, steps=steps, power=power, cycle=cycle)
    return common.followed_by(case, curve, start, common.max_steps)


@library.scheduler("NoamHoldAnnealing")
def hold_noam(case: Case, common: HoldAnnealing, *, decay_rate: float = 0.5) -> AnyDefinition:
    """
    `sequence` of a warm-up, a constant and an `inverse_sqrt` of power decay_rate.

    It is clipped at min_lr, and drops to it after max_steps.
    """
    warmup = common.warmup(case)
    start = max(warmup, common.begin(case))
    if start > common.max_steps:
        return common.held(case, common.last(case))
    if warmup == 0:
        raise case.wrong("warmup_steps", "is required: Noam decays by it", warmup, "≥ 1")
    curve: AnyDefinition = Constant(value=case.base)
    if decay_rate > 0:
        curve = InverseSqrt(start=case.base, timescale=warmup, power=decay_rate)
    return common.followed_by(case, floored(curve, common.min_lr), start, common.max_steps)


@library.scheduler("InverseSquareRootAnnealing")
def inverse_sqrt(case: Case, common: Annealing) -> AnyDefinition:
    """
    `warmup` to an `inverse_sqrt`.

    After max_steps it drops to min_lr, which is no floor before.
    """
    warmup = common.warmup(case)
    curve = common.warmed(case, InverseSqrt(start=case.base, timescale=warmup + 1))
    return common.ending(curve, max(common.max_steps, warmup))


@library.scheduler("T5InverseSquareRootAnnealing")
def t5(
    case: Case,
    *,
    max_steps: Length,
    constant_steps: Length,
    constant_ratio: None = None,
    min_lr: float = 0.0,
) -> AnyDefinition:
    """
    `sequence` of a constant and an `inverse_sqrt`.

    It is 1/√t, whatever the base value is, and drops to min_lr after max_steps. NeMo fails on
    constant_ratio.
    """
    start = 1 / constant_steps**0.5
    fall = InverseSqrt(start=start, timescale=constant_steps)
    return phases(
        Phase(Constant(value=start), until=constant_steps + 1),
        Phase(fall, until=max_steps + 1, origin=constant_steps),
        Phase(Constant(value=min_lr)),
    )


@library.scheduler("NoamAnnealing")
def noam(case: Case, common: Warmup, *, d_model: Positive) -> AnyDefinition:
    """
    `sequence` of a line and an `inverse_sqrt`, clipped at min_lr.

    The base value is a factor of 1/√d_model. Step 0 has the value of step 1; max_steps ends
    nothing.
    """
    min_lr = common.min_lr
    if case.base < min_lr:
        raise case.wrong("min_lr", "must not be above the base value", min_lr, f"≤ {case.base}")
    warmup = common.warmup(case)
    scale = max(warmup, 1)
    peak = case.base * d_model**-0.5 * scale**-0.5
    first = peak / scale if warmup else max(peak, min_lr)
    fall = floored(InverseSqrt(start=peak, timescale=scale), min_lr)
    return phases(
        Phase(Constant(value=first), until=1),
        Phase(Linear(start=0.0, end=peak, steps=scale), until=warmup + 1),
        Phase(fall, origin=scale),
    )


library.scheduler("StepLR")(torch.step)
library.scheduler("ExponentialLR")(torch.decay)
library.scheduler("CyclicLR", hyperparameters=torch.BOTH)(torch.cyclic)


@library.scheduler("WarmupPolicy")
def policy(case: Case, common: Warmup) -> AnyDefinition:
    """
    `warmup` to a constant.

    After max_steps it drops to min_lr.
    """
    if common.max_steps is None:
        return common.warmed(case, Constant(value=case.base))
    return common.held(case, max(common.max_steps, common.warmup(case)))


@library.scheduler("WarmupHoldPolicy")
def hold_policy(case: Case, common: HoldAnnealing) -> AnyDefinition:
    """
    `warmup` to a constant.

    After max_steps, and after the hold, it drops to min_lr.
    """
    warmup, hold = common.warmup(case), common.hold(case)
    return common.held(case, max(common.max_steps, warmup, warmup + hold - 1))


@library.controller("ReduceLROnPlateau")
def reduce_on_plateau(
    case: Case, plateau: PlateauParameters, *, monitor: str = "val_loss", verbose: Printed = False
) -> Conversion:
    """
    `plateau`, reading `torch`.

    monitor stands beside the scheduler's own parameters in the configuration.
    """
    return plateau.controller(case, metric_of(case, plateau.mode, monitor))


@library.controller("EarlyStoppingParams", "early_stopping_callback_params")
def early_stopping(
    case: Case,
    stopping: StoppingParameters,
    *,
    monitor: str = "val_loss",
    min_delta: NotNegative = 0.001,
    patience: Count = 10,
    verbose: Printed = True,
) -> Conversion:
    """
    `stop`, reading `lightning`.

    It is what the exp_manager is given, with its own defaults.
    """
    return stopping.controller(case, metric_of(case, stopping.mode, monitor))
