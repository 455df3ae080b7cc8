"""NVIDIA NeMo: nemo.lightning.pytorch.optim, the same schedulers with other defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from rheostat.converters import nemo
from rheostat.converters.core import Case
from rheostat.converters.nemo import library
from rheostat.converters.parameters import (
    Count,
    Ignored,
    Length,
    NotNegative,
    Positive,
    Shared,
)
from rheostat.schedules.kinds.timing import Staircase, Stretch
from rheostat.schedules.union import AnyDefinition


class Module(Shared):
    """What all of them take: the length, the last value, and how often they step."""

    max_steps: Length = 10
    min_lr: NotNegative = 0.0
    interval: Literal["step", "epoch"] = "step"
    frequency: Length = 1
    monitor: Annotated[str, Ignored("is for what reacts to a metric")] = "val_loss"

    def of(self, case: Case, name: str, **params: Any) -> AnyDefinition:
        """Return what NeMo's own scheduler becomes, stepped as Lightning does."""
        given = {"max_steps": self.max_steps, "min_lr": self.min_lr, **params}
        curve = case.convert(case, name, given).curve
        if self.interval == "step":
            if self.frequency > 1:
                message = "counts from the start of each epoch: step at each update"
                raise case.wrong("frequency", message, self.frequency, "1")
            return curve
        every = case.every("interval") * self.frequency
        return Staircase(of=Stretch(of=curve, ratio=float(every)), every=float(every))


class WarmModule(Module):
    """The same, with a warm-up."""

    warmup_steps: Count | None = 750
    warmup_ratio: NotNegative | None = None

    def warmed(self, case: Case, name: str, **params: Any) -> AnyDefinition:
        """Return what NeMo's own scheduler becomes, with the warm-up."""
        given = {"warmup_steps": self.warmup_steps, "warmup_ratio": self.warmup_ratio}
        return self.of(case, name, **given, **params)


@library.scheduler("CosineAnnealingScheduler", common=False)
def cosine(
    case: Case,
    module: Module,
    *,
    warmup_steps: Count = 750,
    constant_steps: Count = 80_000,
    min_lr: NotNegative = 6e-5,
) -> AnyDefinition:
    """`warmup` to a `cosine`, as CosineAnnealing: by default nothing is left of the cosine."""
    stages = {"warmup_steps": warmup_steps, "constant_steps": constant_steps}
    return module.of(case, "CosineAnnealing", **stages)


@library.scheduler("WarmupAnnealingScheduler", common=False)
def warmup_annealing(case: Case, module: WarmModule) -> AnyDefinition:
    """`warmup` to a `linear` decay, as WarmupAnnealing."""
    return module.warmed(case, "WarmupAnnealing")


@library.scheduler("WarmupHoldAnnealScheduler", common=False)
def hold_annealing(
    case: Case,
    module: Module,
    *,
    warmup_ratio: NotNegative | None = None,
    hold_ratio: NotNegative | None = None,
    decay_schedule: Literal["one_minus_square_root", "linear"] = "linear",
) -> AnyDefinition:
    """`wsd`, as WarmupHoldAnnealLinear or WarmupHoldAnnealOneMinusSquareRoot."""
    shape = "Linear" if decay_schedule == "linear" else "OneMinusSquareRoot"
    ratios = {"warmup_ratio": warmup_ratio, "hold_ratio": hold_ratio}
    return module.of(case, f"WarmupHoldAnneal{shape}", **ratios)


@library.scheduler("WarmupPolicyScheduler", common=False)
def policy(case: Case, module: WarmModule) -> AnyDefinition:
    """`warmup` to a constant, as WarmupPolicy."""
    return module.warmed(case, "WarmupPolicy")


@library.scheduler("WarmupHoldPolicyScheduler", common=False)
def hold_policy(
    case: Case,
    module: WarmModule,
    *,
    hold_steps: Count | None = None,
    hold_ratio: NotNegative | None = None,
) -> AnyDefinition:
    """`warmup` to a constant, as WarmupHoldPolicy."""
    return module.warmed(case, "WarmupHoldPolicy", hold_steps=hold_steps, hold_ratio=hold_ratio)


@library.scheduler("NoamAnnealingScheduler", common=False)
def noam(case: Case, module: WarmModule, *, d_model: Positive) -> AnyDefinition:
    """`sequence` of a line and an `inverse_sqrt`, as NoamAnnealing."""
    return module.warmed(case, "NoamAnnealing", d_model=d_model)


@library.scheduler("SquareAnnealingScheduler", common=False)
def square(case: Case, module: Module, *, min_lr: NotNegative = 1e-5) -> AnyDefinition:
    """`polynomial` of power 2, as SquareAnnealing."""
    return module.of(case, "SquareAnnealing")


@library.scheduler("SquareRootAnnealingScheduler", common=False)
def square_root(case: Case, module: Module) -> AnyDefinition:
    """`polynomial` of power 0.5, as SquareRootAnnealing."""
    return module.of(case, "SquareRootAnnealing")


@library.scheduler("InverseSquareRootAnnealingScheduler", common=False)
def inverse_sqrt(case: Case, module: Module) -> AnyDefinition:
    """`inverse_sqrt`, as InverseSquareRootAnnealing."""
    return module.of(case, "InverseSquareRootAnnealing")


@library.scheduler("PolynomialDecayAnnealingScheduler", common=False)
def polynomial(
    case: Case, module: Module, *, power: NotNegative = 1.0, cycle: nemo.FirstCycle = False
) -> AnyDefinition:
    """`polynomial`, as PolynomialDecayAnnealing."""
    return module.of(case, "PolynomialDecayAnnealing", power=power)


@library.scheduler("PolynomialHoldDecayAnnealingScheduler", common=False)
def hold_polynomial(
    case: Case, module: Module, *, power: Positive = 1.0, cycle: bool = False
) -> AnyDefinition:
    """`polynomial`, as PolynomialHoldDecayAnnealing."""
    return module.of(case, "PolynomialHoldDecayAnnealing", power=power, cycle=cycle)
