"""MMEngine's classes, alone and in lists, stepped as its ParamSchedulerHook does."""

from __future__ import annotations

from importlib import import_module
from random import Random
from types import SimpleNamespace
from typing import Any

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
    several,
    whole,
)
from tests.converters.compare.trials import Configuration, nothing_spared

VERSION = version_of("mmengine")
try:
    schedulers = import_module("mmengine.optim.scheduler")
except ImportError:  # the rest of it needs OpenCV and more
    folder = place_of("mmengine")
    stand_in("mmengine", folder)
    stand_in("mmengine.logging", print_log=lambda *_, **__: None)
    registry = SimpleNamespace(register_module=lambda **_: lambda cls: cls)
    stand_in("mmengine.registry", PARAM_SCHEDULERS=registry)
    stand_in("mmengine.optim", folder / "optim", BaseOptimWrapper=type("BaseOptimWrapper", (), {}))
    schedulers = import_module("mmengine.optim.scheduler")

GAMMA = either(among(0.1, 0.5, 0.9, 1.0), real(0.05, 1.1))
FLOOR = either(among(0.0), real(0.0, 1e-3))


def restarting(rng: Random) -> Params:
    """Draw periods, and a weight for each."""
    periods = several(whole(1, 30), 1, 4)(rng)
    weights = [rng.uniform(0.2, 1.5) for _ in periods]
    floor = rng.choice((("eta_min", FLOOR), ("eta_min_ratio", real(0.0, 0.5))))
    return {"periods": periods, "restart_weights": weights, floor[0]: floor[1](rng)}


def annealed(rng: Random) -> Params:
    """Draw a cosine, down to a value or to a share."""
    floor = rng.choice((("eta_min", FLOOR), ("eta_min_ratio", real(0.0, 0.5)), ("eta_min", FLOOR)))
    return {"T_max": rng.randint(1, 60), floor[0]: floor[1](rng)}


STEMS: dict[str, Draw] = {
    "Constant": fields({}, factor=real(0.01, 1.0)),
    "Linear": fields({}, start_factor=real(0.01, 1.0), end_factor=real(0.0, 1.0)),
    "Poly": fields({}, power=either(among(1.0), real(0.3, 3.0)), eta_min=FLOOR),
    "Step": fields({"step_size": whole(1, 40)}, gamma=GAMMA),
    "MultiStep": fields({"milestones": rising(0, 100, 5)}, gamma=GAMMA),
    "Exponential": fields({"gamma": GAMMA}),
    "CosineAnnealing": annealed,
    "CosineRestart": restarting,
}
ONE_CYCLE = fields(
    {"eta_max": RATE, "total_steps": whole(3, 120)},
    pct_start=real(0.1, 0.9),
    anneal_strategy=among("cos", "linear"),
    div_factor=real(1.0, 50.0),
    final_div_factor=real(1.0, 1e5),
    three_phase=FLAG,
    begin=whole(0, 20),
    by_epoch=among(False),
    convert_to_iter_based=FLAG,
)


def cycled(rng: Random) -> Params:
    """Draw a cycle; what counts epochs may count their iterations."""
    params: Params = ONE_CYCLE(rng)
    if not params.get("by_epoch", True):
        params.pop("convert_to_iter_based", None)
    return params


def windowed(draw: Draw, longest: int = 100) -> Draw:
    """Draw when a scheduler acts, beside its own parameters, and by which clock."""

    def parameters(rng: Random) -> Params:
        begin = rng.choice((0, rng.randint(0, 40)))
        window = {"begin": begin, "end": begin + rng.randint(2, longest), "by_epoch": FLAG(rng)}
        if window["by_epoch"]:
            window["convert_to_iter_based"] = FLAG(rng)
        return {**draw(rng), **window}

    return parameters


def listed(rng: Random) -> Configuration:
    """Draw several schedulers that follow or cover each other, some of the momentum."""
    chosen: list[Params] = []
    for _ in range(rng.randint(1, 4)):
        stem = rng.choice(sorted(STEMS))
        suffix = rng.choice(("LR", "LR", "ParamScheduler", "Momentum")) if chosen else "LR"
        params = windowed(STEMS[stem], 60)(rng)
        if suffix == "ParamScheduler":
            params["param_name"] = "lr"
        chosen.append({"name": stem + suffix, "params": params})
    return _configuration("list", {"schedulers": chosen}, rng)


def _configuration(name: str, params: Params, rng: Random) -> Configuration:
    length, steps = rng.choice((1, 3, 7, 20)), 120
    if "total_steps" in params:  # past which MMEngine runs on, and the definition holds
        counts: int = params.get("begin", 0) + params["total_steps"]
        steps = min(steps, counts * (length if params.get("by_epoch", True) else 1))
    return Configuration(name, params, RATE(rng), {"steps_per_epoch": length}, steps)


def _single(name: str, draw: Draw) -> Draw:
    return lambda rng: _configuration(name, draw(rng), rng)


SCHEDULERS: dict[str, Draw] = {
    **{f"{stem}LR": _single(f"{stem}LR", windowed(draw)) for stem, draw in STEMS.items()},
    "OneCycleLR": _single("OneCycleLR", cycled),
    "list": listed,
}


def built(optimizer: Any, name: str, params: Params, length: int) -> Any:
    """Return MMEngine's own scheduler, as its registry builds it."""
    given, cls = dict(params), getattr(schedulers, name)
    if given.pop("convert_to_iter_based", False):
        return cls.build_iter_from_epoch(optimizer=optimizer, epoch_length=length, **given)
    return cls(optimizer, **given)


def values(configuration: Configuration) -> list[float]:
    """Return the rate at each iteration, up to where a scheduler fails."""
    length = configuration.context["steps_per_epoch"]
    weights = [torch.nn.Parameter(torch.ones(1))]
    optimizer = torch.optim.SGD(weights, lr=configuration.base, momentum=0.9)
    alone = [{"name": configuration.name, "params": configuration.params}]
    found: list[float] = []
    try:
        specs = configuration.params.get("schedulers", alone)
        made = [built(optimizer, spec["name"], spec["params"], length) for spec in specs]
        for step in range(configuration.steps):
            found.append(float(optimizer.param_groups[0]["lr"]))
            for one in made:
                if not one.by_epoch:
                    one.step()
            for one in made:
                if one.by_epoch and (step + 1) % length == 0:
                    one.step()
    except (ZeroDivisionError, ValueError, AssertionError, IndexError, TypeError):
        pass
    return found


spared = nothing_spared
