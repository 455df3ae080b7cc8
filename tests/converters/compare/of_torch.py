"""PyTorch's classes, stepped by `step()`."""

from __future__ import annotations

from random import Random
from typing import Any

import torch
from tests.converters.compare.draws import (
    FLAG,
    RATE,
    Draw,
    Params,
    among,
    either,
    fields,
    real,
    several,
    whole,
)
from tests.converters.compare.trials import Configuration, nothing_spared
from torch.optim.swa_utils import SWALR

VERSION = torch.__version__.split("+")[0]
STEPS, KNOWN = 120, 0.7
"""How long a training is, and how often the converter is told."""
FEW, GAMMA = whole(1, 30), either(among(0.1, 0.5, 0.9, 1.0, 1.1), real(0.0, 1.2))
FACTORS: dict[str, Draw] = {
    "StepLR": fields({"step_size": FEW}, gamma=GAMMA),
    "MultiStepLR": fields({"milestones": several(whole(0, 60), 0, 5)}, gamma=GAMMA),
    "ConstantLR": fields({}, factor=real(0.01, 1.0), total_iters=whole(0, 60)),
    "LinearLR": fields(
        {}, start_factor=real(0.01, 1.0), end_factor=real(0.0, 1.0), total_iters=whole(0, 60)
    ),
    "ExponentialLR": fields({"gamma": GAMMA}),
    "PolynomialLR": fields({}, total_iters=whole(0, 99), power=among(0.5, 1.0, 2.0, 0.9, 3)),
    "CosineAnnealingLR": fields({"T_max": whole(1, 99)}, eta_min=among(0.0, 1e-5, 0.01)),
}
ONE_CYCLE: dict[str, Draw] = {
    "OneCycleLR": fields(
        {"max_lr": RATE, "total_steps": whole(2, 120)},
        pct_start=real(0.0, 1.0),
        anneal_strategy=among("cos", "linear"),
        div_factor=real(1.0, 100.0),
        final_div_factor=real(1.0, 1e5),
        three_phase=FLAG,
    ),
}
CURVES: dict[str, Draw] = {
    **FACTORS,
    "SWALR": fields(
        {"swa_lr": RATE}, anneal_epochs=whole(0, 60), anneal_strategy=among("cos", "linear")
    ),
    "CosineAnnealingWarmRestarts": fields(
        {"T_0": FEW}, T_mult=whole(1, 4), eta_min=among(0.0, 1e-5, 0.01)
    ),
    "CyclicLR": fields(
        {"base_lr": RATE, "max_lr": RATE, "step_size_up": either(FEW, real(0.5, 30))},
        step_size_down=either(whole(0, 30), among(None)),
        mode=among("triangular", "triangular2", "exp_range"),
        gamma=real(0.9, 1.0),
    ),
}


def one(table: dict[str, Draw]) -> Draw:
    """Draw a scheduler of a table, as they nest."""

    def draw(rng: Random) -> Params:
        name = rng.choice(sorted(table))
        return {"name": name, "params": table[name](rng)}

    return draw


def parts(table: dict[str, Draw], least: int, most: int) -> Draw:
    """Draw the parameters of a sequence."""

    def draw(rng: Random) -> Params:
        schedulers = several(one(table), least, most)(rng)
        milestones = sorted(rng.randint(0, 90) for _ in schedulers[1:])
        return {"schedulers": schedulers, "milestones": milestones}

    return draw


def chain(rng: Random) -> Params:
    """Draw the parameters of a chain, which has a sequence in it at times."""
    schedulers = several(one(FACTORS), 1, 3)(rng)
    if rng.random() < 0.25:
        inner = parts(FACTORS, 2, 2)(rng)
        inner["milestones"] = [max(1, inner["milestones"][0])]
        schedulers.insert(
            rng.randint(0, len(schedulers)), {"name": "SequentialLR", "params": inner}
        )
    return {"schedulers": schedulers}


def moved(name: str, draw: Draw) -> Draw:
    """Draw a scheduler of a random base value, or of the momentum that it moves too."""

    def configuration(rng: Random) -> Configuration:
        context: Params = {"total": STEPS} if rng.random() < KNOWN else {}
        optional: dict[str, Draw] = {}
        if name in {"OneCycleLR", "CyclicLR"}:
            optional = {"base_momentum": real(0.7, 0.89), "max_momentum": real(0.9, 0.99)}
            context["hyperparameter"] = rng.choice(("lr", "momentum"))
            if context["hyperparameter"] == "lr":
                optional["cycle_momentum"] = FLAG
        params = {**draw(rng), **fields({}, **optional)(rng)}
        steps = params.get("total_steps", STEPS)
        return Configuration(name, params, RATE(rng), context, steps)

    return configuration


SCHEDULERS: dict[str, Draw] = {
    name: moved(name, draw)
    for name, draw in {
        **CURVES,
        **ONE_CYCLE,
        "SequentialLR": parts(CURVES, 1, 4),
        "ChainedScheduler": chain,
    }.items()
}


def built(optimizer: Any, name: str, params: Params) -> Any:
    """Return PyTorch's own scheduler."""
    given = dict(params)
    if "schedulers" in given:
        given["schedulers"] = [built(optimizer, **inner) for inner in given["schedulers"]]
    cls = SWALR if name == "SWALR" else getattr(torch.optim.lr_scheduler, name)
    return cls(**given) if name == "ChainedScheduler" else cls(optimizer, **given)


def values(configuration: Configuration) -> list[float]:
    """Return PyTorch's values, up to where it fails."""
    weights = [torch.nn.Parameter(torch.ones(1))]
    optimizer = torch.optim.SGD(weights, lr=configuration.base, momentum=0.9)
    field = configuration.context.get("hyperparameter", "lr")
    found: list[float] = []
    try:
        scheduler = built(optimizer, configuration.name, configuration.params)
        for _ in range(configuration.steps):
            found.append(float(optimizer.param_groups[0][field]))
            scheduler.step()
    except (ZeroDivisionError, ValueError, TypeError, IndexError, OverflowError):
        pass
    return found


spared = nothing_spared
