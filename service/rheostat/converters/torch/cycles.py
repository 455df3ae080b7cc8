"""PyTorch's schedulers of cycles, which set the momentum too."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.building import of_group, triangles
from rheostat.converters.case import Case, Function, Steps
from rheostat.converters.ignored import LastEpoch, ScaleMode
from rheostat.converters.onecycle import one_cycle
from rheostat.converters.torch.registry import library
from rheostat.schedules.kinds.cycles import CosineRestarts
from rheostat.schedules.union import AnyDefinition

BOTH = ("lr", "momentum", "beta1", "betas")
Values = float | list[float]
Share = Annotated[float, Field(ge=0, le=1)]


def momentum_wanted(case: Case, *, cycled: bool) -> bool:
    """Return whether the momentum is asked for, and not the learning rate."""
    if case.hyperparameter != "lr" and not cycled:
        message = f"is false: {case.name} leaves the {case.hyperparameter} alone"
        raise case.wrong("cycle_momentum", message, cycled, "true")
    return case.hyperparameter != "lr"


@library.scheduler("CosineAnnealingWarmRestarts")
def restarts(
    case: Case,
    *,
    T_0: Annotated[Steps, Field(gt=0)],
    T_mult: Annotated[Steps, Field(ge=1)] = 1,
    eta_min: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `cosine_restarts`.

    `step(epoch)` finds the cycle by a rounded logarithm, and misses some restarts by one step;
    `step()` and the definition do not.
    """
    return CosineRestarts(start=case.base, end=eta_min, period=T_0, period_factor=T_mult)


@library.scheduler("CyclicLR", hyperparameters=BOTH)
def cyclic(
    case: Case,
    *,
    base_lr: Values,
    max_lr: Values,
    step_size_up: Annotated[float, Field(gt=0)] = 2000,
    step_size_down: Annotated[float, Field(ge=0)] | None = None,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    gamma: float = 1.0,
    scale_fn: Function | None = None,
    scale_mode: ScaleMode = "cycle",
    cycle_momentum: bool = True,
    base_momentum: Values = 0.8,
    max_momentum: Values = 0.9,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `cyclic`.

    The momentum mirrors it, from max_momentum down. The optimizer's own value plays no part.
    exp_range shrinks with every step, not with every cycle. scale_fn cannot be converted.
    """
    low, high = of_group(case, "base_lr", base_lr), of_group(case, "max_lr", max_lr)
    if momentum_wanted(case, cycled=cycle_momentum):
        low = of_group(case, "max_momentum", max_momentum)
        high = of_group(case, "base_momentum", base_momentum)
    down = step_size_up if step_size_down is None else step_size_down
    if mode == "triangular2":
        return triangles(low, high, step_size_up, down, "halving")
    if mode == "exp_range":
        return triangles(low, high, step_size_up, down, "exponential", gamma)
    return triangles(low, high, step_size_up, down)


@library.scheduler("OneCycleLR", hyperparameters=BOTH)
def onecycle(
    case: Case,
    *,
    max_lr: Values,
    total_steps: Annotated[Steps, Field(gt=0)] | None = None,
    epochs: Annotated[Steps, Field(gt=0)] | None = None,
    steps_per_epoch: Annotated[Steps, Field(gt=0)] | None = None,
    pct_start: Share = 0.3,
    anneal_strategy: Literal["cos", "linear"] = "cos",
    cycle_momentum: bool = True,
    base_momentum: Values = 0.85,
    max_momentum: Values = 0.95,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `one_cycle` of total_steps − 1 steps.

    The momentum mirrors it. The optimizer's own value plays no part. At step total_steps, which
    PyTorch still accepts, it runs past the end, a line even below zero; the definition holds.
    """
    total = total_steps
    if total is None and epochs is not None and steps_per_epoch is not None:
        total = epochs * steps_per_epoch
    if total is None:
        message = "is required, or else epochs and steps_per_epoch"
        raise case.wrong("total_steps", message, None, "≥ 1")
    peak = of_group(case, "max_lr", max_lr)
    start = peak / div_factor
    end = start / final_div_factor
    if momentum_wanted(case, cycled=cycle_momentum):
        peak = of_group(case, "base_momentum", base_momentum)
        start = end = of_group(case, "max_momentum", max_momentum)
    shape: Literal["cosine", "linear"] = "cosine" if anneal_strategy == "cos" else "linear"
    values, up = (start, peak, end), ("pct_start", pct_start)
    return one_cycle(case, values, total, up, shape, three_phase=three_phase)
