"""From a live scheduler of PyTorch to definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from rheostat.converters.core import refused
from rheostat.errors import FieldError
from rheostat.schedules import Definition, convert

Parameters = dict[str, Any]


def definition_of(
    scheduler: LRScheduler | ReduceLROnPlateau, hyperparameter: str = "lr"
) -> list[Definition]:
    """
    Return the definitions that give the values of a scheduler, one for each parameter group.

    The definitions count from the scheduler's step 0, wherever it is now: with a run, take the
    clock ``run``.

    Args:
        scheduler: One of ``torch.optim.lr_scheduler``, or ``SWALR``; composed ones are read
            through.
        hyperparameter: ``lr``, or ``momentum`` of those that cycle it.

    Raises:
        Invalid: It has no definition, as functions and ``ReduceLROnPlateau``: that is for
            `controller_of`.

    """
    if isinstance(scheduler, ReduceLROnPlateau):
        message = "reacts to a metric: rheostat.torch.controller_of reads it"
        bound = "a schedule of steps"
        raise refused(FieldError("scheduler", message, type(scheduler).__name__, bound))
    groups = range(len(scheduler.optimizer.param_groups))
    return [_of_group(scheduler, group, hyperparameter) for group in groups]


def _of_group(scheduler: Any, group: int, hyperparameter: str) -> Definition:
    return convert(
        "torch",
        type(scheduler).__name__,
        _parameters(scheduler, group),
        _base(scheduler, group),
        hyperparameter=hyperparameter,
        group=group,
    )


def _base(scheduler: Any, group: int) -> float:
    """Return the base value of the first scheduler that was constructed."""
    while hasattr(scheduler, "_schedulers"):
        scheduler = scheduler._schedulers[0]  # noqa: SLF001
    bases = getattr(scheduler, "base_lrs", None)
    return float(bases[group] if bases else scheduler.optimizer.param_groups[group]["lr"])


def _parameters(scheduler: Any, group: int) -> Parameters:
    """Return the arguments of a scheduler's constructor for one group."""
    name = type(scheduler).__name__
    if name in _READERS:
        return _READERS[name](scheduler, group)
    return {key: getattr(scheduler, key) for key in _PLAIN.get(name, ())}


def _composed(scheduler: Any, group: int) -> Parameters:
    inner = [
        {"name": type(each).__name__, "params": _parameters(each, group)}
        for each in scheduler._schedulers  # noqa: SLF001
    ]
    if not hasattr(scheduler, "_milestones"):
        return {"schedulers": inner}
    return {"schedulers": inner, "milestones": list(scheduler._milestones)}  # noqa: SLF001


def _multistep(scheduler: Any, group: int) -> Parameters:
    del group
    return {"milestones": sorted(scheduler.milestones.elements()), "gamma": scheduler.gamma}


def _function(scheduler: Any, group: int) -> Parameters:
    return {"lr_lambda": scheduler.lr_lambdas[group]}


def _averaging(scheduler: Any, group: int) -> Parameters:
    return {
        "swa_lr": scheduler.optimizer.param_groups[group]["swa_lr"],
        "anneal_epochs": scheduler.anneal_epochs,
        "anneal_strategy": scheduler._anneal_strategy,  # noqa: SLF001
    }


def _momentum(scheduler: Any, group: int) -> Parameters:
    if not scheduler.cycle_momentum:
        return {"cycle_momentum": False}
    options = scheduler.optimizer.param_groups[group]
    return {key: options[key] for key in ("base_momentum", "max_momentum")}


def _cyclic(scheduler: Any, group: int) -> Parameters:
    # It keeps the ratio of the two sizes alone, which is rounded.
    up = round(scheduler.total_size * scheduler.step_ratio, 6)
    return {
        "base_lr": float(scheduler.base_lrs[group]),
        "max_lr": float(scheduler.max_lrs[group]),
        "step_size_up": up,
        "step_size_down": scheduler.total_size - up,
        "mode": scheduler.mode,
        "gamma": scheduler.gamma,
        "scale_fn": scheduler._scale_fn_custom,  # noqa: SLF001
        **_momentum(scheduler, group),
    }


def _one_cycle(scheduler: Any, group: int) -> Parameters:
    options = scheduler.optimizer.param_groups[group]
    phases = scheduler._schedule_phases  # noqa: SLF001
    return {
        "max_lr": options["max_lr"],
        "total_steps": scheduler.total_steps,
        "pct_start": (phases[0]["end_step"] + 1) / scheduler.total_steps,
        "anneal_strategy": scheduler._anneal_func_type,  # noqa: SLF001
        "div_factor": options["max_lr"] / options["initial_lr"],
        "final_div_factor": options["initial_lr"] / options["min_lr"],
        "three_phase": len(phases) == 3,
        **_momentum(scheduler, group),
    }


_PLAIN: Final = {
    "ConstantLR": ("factor", "total_iters"),
    "CosineAnnealingLR": ("T_max", "eta_min"),
    "CosineAnnealingWarmRestarts": ("T_0", "T_mult", "eta_min"),
    "ExponentialLR": ("gamma",),
    "LinearLR": ("start_factor", "end_factor", "total_iters"),
    "PolynomialLR": ("total_iters", "power"),
    "StepLR": ("step_size", "gamma"),
}
"""What is an attribute of the same name."""
_READERS: Final[dict[str, Callable[[Any, int], Parameters]]] = {
    "ChainedScheduler": _composed,
    "CyclicLR": _cyclic,
    "LambdaLR": _function,
    "MultiStepLR": _multistep,
    "MultiplicativeLR": _function,
    "OneCycleLR": _one_cycle,
    "SWALR": _averaging,
    "SequentialLR": _composed,
}
"""What has to be read from elsewhere."""
