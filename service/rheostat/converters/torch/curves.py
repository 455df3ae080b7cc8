"""PyTorch's schedulers of one curve."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.building import exponential, of_group, sequence
from rheostat.converters.case import Case, Function, Steps
from rheostat.converters.ignored import LastEpoch
from rheostat.converters.torch.registry import library
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.union import AnyDefinition

StartFactor = Annotated[float, Field(gt=0, le=1)]
Factor = Annotated[float, Field(ge=0, le=1)]
Milestone = Annotated[Steps, Field(ge=0)]
Epochs = Annotated[Steps, Field(ge=0)]


@library.scheduler("LambdaLR", "MultiplicativeLR")
def function(case: Case, *, lr_lambda: Function, last_epoch: LastEpoch = -1) -> AnyDefinition:
    """Refused: a function is no data. Tabulate its values, and give them as a `table`."""
    raise case.wrong("lr_lambda", "must be a function", lr_lambda, "a function")


@library.scheduler("StepLR")
def step(
    case: Case, *, step_size: Steps, gamma: float = 0.1, last_epoch: LastEpoch = -1
) -> AnyDefinition:
    """
    `step`.

    With gamma above 1 it holds where it would pass 1e100.
    """
    return exponential(case.base, gamma, step_size, staircase=True)


@library.scheduler("MultiStepLR")
def multistep(
    case: Case, *, milestones: list[Milestone], gamma: float = 0.1, last_epoch: LastEpoch = -1
) -> AnyDefinition:
    """
    `multistep`.

    A repeated milestone counts again; milestone 0 counts from the start.
    """
    return Multistep(start=case.base, milestones=tuple(milestones), factor=gamma)


@library.scheduler("ConstantLR")
def constant(
    case: Case, *, factor: Factor = 1 / 3, total_iters: Steps = 5, last_epoch: LastEpoch = -1
) -> AnyDefinition:
    """
    `sequence` of two constants.

    With total_iters 0 PyTorch never leaves the first one, and so does the definition. With factor
    0 PyTorch divides by zero at the end.
    """
    reduced = Constant(value=case.base * factor)
    if total_iters <= 0 or factor == 1:
        return reduced
    return sequence((reduced, total_iters), then=Constant(value=case.base))


@library.scheduler("LinearLR")
def linear(
    case: Case,
    *,
    start_factor: StartFactor = 1 / 3,
    end_factor: Factor = 1.0,
    total_iters: Steps = 5,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `linear`.

    With total_iters 0 PyTorch never leaves the start, and so does the definition.
    """
    start, end = case.base * start_factor, case.base * end_factor
    if total_iters <= 0:
        return Constant(value=start)
    return Linear(start=start, end=end, steps=total_iters)


@library.scheduler("ExponentialLR")
def decay(case: Case, *, gamma: float, last_epoch: LastEpoch = -1) -> AnyDefinition:
    """
    `exponential`.

    With gamma above 1 it holds where it would pass 1e100.
    """
    return exponential(case.base, gamma)


@library.scheduler("PolynomialLR")
def polynomial(
    case: Case, *, total_iters: Steps = 5, power: float = 1.0, last_epoch: LastEpoch = -1
) -> AnyDefinition:
    """
    `polynomial` to 0.

    With total_iters 0, or power 0, the base value holds for ever.
    """
    if total_iters <= 0 or power == 0:
        return Constant(value=case.base)
    return Polynomial(start=case.base, end=0.0, steps=total_iters, power=power)


@library.scheduler("CosineAnnealingLR")
def cosine(
    case: Case, *, T_max: Steps, eta_min: float = 0.0, last_epoch: LastEpoch = -1
) -> AnyDefinition:
    """`cosine`, periodic: past T_max the wave goes on."""
    return Cosine(start=case.base, end=eta_min, steps=T_max, periodic=True)


@library.scheduler("SWALR")
def averaging(
    case: Case,
    *,
    swa_lr: float | list[float],
    anneal_epochs: Epochs = 10,
    anneal_strategy: Literal["cos", "linear"] = "cos",
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `cosine` or `linear` from the base value to swa_lr.

    With anneal_epochs 0 swa_lr holds at once.
    """
    end = of_group(case, "swa_lr", swa_lr)
    if anneal_epochs == 0:
        return Constant(value=end)
    curve = Cosine if anneal_strategy == "cos" else Linear
    return curve(start=case.base, end=end, steps=anneal_epochs)
