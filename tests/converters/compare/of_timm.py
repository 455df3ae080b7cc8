"""timm's classes, stepped by `step_update(t)`, without noise, which is Rheostat's own."""

from __future__ import annotations

from importlib import import_module
from random import Random

import torch
from tests.converters.compare.alone import place_of, stand_in, version_of
from tests.converters.compare.draws import (
    FLAG,
    RATE,
    Draw,
    Params,
    among,
    either,
    fields,
    real,
    rising,
    whole,
)
from tests.converters.compare.trials import Configuration, begins_at, with_bases

VERSION = version_of("timm")
try:
    scheduler = import_module("timm.scheduler")
except ImportError:  # its models need torchvision, and its schedulers do not
    stand_in("timm", place_of("timm"))
    scheduler = import_module("timm.scheduler")

WARM: dict[str, Draw] = {
    "warmup_t": whole(0, 30),
    "warmup_lr_init": either(among(0.0), real(0.0, 1e-3)),
    "warmup_prefix": FLAG,
}
CYCLES: dict[str, Draw] = {
    "lr_min": either(among(0.0), real(0.0, 1e-3)),
    "cycle_mul": either(among(1.0, 1.0, 2.0), real(1.0, 2.5)),
    "cycle_decay": either(among(1.0), real(0.3, 1.0)),
    "cycle_limit": whole(0, 5),
    **WARM,
}
LENGTH: dict[str, Draw] = {"t_initial": whole(1, 90)}
POWER = either(among(1.0), real(0.5, 2.0))


def stages(rng: Random) -> Params:
    """Draw a plateau with a decay that is no longer than it."""
    params = fields(
        {"t_initial": whole(2, 100), "decay_t": whole(1, 100)},
        lr_min=real(0.0, 1e-3),
        warmup_t=whole(0, 30),
        warmup_lr_init=real(0.0, 1e-3),
        stable_fn=among("constant", "rsqrt", "power"),
        stable_timescale=real(1.0, 100.0),
        stable_power=real(0.1, 2.0),
        decay_fn=among("linear", "1-sqrt", "cosine", "power", "exp"),
        decay_power=real(0.1, 3.0),
        decay_ratio=real(0.01, 0.9),
    )(rng)
    return {**params, "decay_t": min(params["decay_t"], params["t_initial"])}


_SCHEDULERS: dict[str, Draw] = {
    "CosineLRScheduler": fields(LENGTH, k_decay=POWER, **CYCLES),
    "PolyLRScheduler": fields(LENGTH, power=real(0.0, 3.0), k_decay=POWER, **CYCLES),
    "TanhLRScheduler": fields(LENGTH, lb=real(-9.0, -1.0), ub=real(1.0, 6.0), **CYCLES),
    "StepLRScheduler": fields(
        {"decay_t": either(whole(1, 40), real(0.5, 40.0))}, decay_rate=real(0.05, 1.1), **WARM
    ),
    "MultiStepLRScheduler": fields(
        {"decay_t": rising(0, 100, 5)}, decay_rate=real(0.05, 1.1), **WARM
    ),
    "WSDLRScheduler": stages,
}


SCHEDULERS = with_bases(_SCHEDULERS, RATE, steps=160)


def values(configuration: Configuration) -> list[float]:
    """Return the values of a class, up to where it fails."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=configuration.base)
    found: list[float] = []
    try:
        cls = getattr(scheduler, configuration.name)
        own = cls(optimizer, t_in_epochs=False, **configuration.params)
        for step in range(configuration.steps):
            own.step_update(step)
            found.append(float(optimizer.param_groups[0]["lr"]))
    except (ZeroDivisionError, ValueError, AssertionError, OverflowError):
        pass
    return found


def spared(configuration: Configuration, step: int) -> bool:
    """Return whether a cycle, which timm finds by a rounded logarithm, begins at a step."""
    params = configuration.params
    if params.get("cycle_mul", 1.0) == 1.0 or "t_initial" not in params:
        return False
    begin = float(params.get("warmup_t", 0)) if params.get("warmup_prefix") else 0.0
    return begins_at(step, begin, float(params["t_initial"]), params["cycle_mul"])
