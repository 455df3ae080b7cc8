"""The functions of transformers.optimization, stepped by `step()`."""

from __future__ import annotations

from random import Random

import torch
import transformers
from tests.converters.compare.draws import RATE, Draw, Params, among, either, fields, real, whole
from tests.converters.compare.trials import Configuration, nothing_spared, with_bases
from transformers import optimization

VERSION = transformers.__version__
WARM = {"num_warmup_steps": whole(0, 60)}
LENGTHS = {**WARM, "num_training_steps": whole(1, 120)}
CYCLES = either(among(0.5, 1, 2, 3), real(0.0, 4.0))
SHAPE = among("linear", "cosine", "1-sqrt")


def floored(draw: Draw) -> Draw:
    """Draw a floor beside other parameters: a value, or a share."""

    def parameters(rng: Random) -> Params:
        floor = rng.choice((("min_lr", real(0.0, 1e-5)), ("min_lr_rate", real(0.0, 1.0))))
        return {**draw(rng), floor[0]: floor[1](rng)}

    return parameters


def staged(rng: Random) -> Params:
    """Draw the stages of a warm-up, a plateau and a decay."""
    length = rng.choice((("num_stable_steps", whole(0, 60)), ("num_training_steps", whole(1, 150))))
    given = {**WARM, "num_decay_steps": whole(0, 60), length[0]: length[1]}
    optional = {"warmup_type": SHAPE, "decay_type": SHAPE, "num_cycles": CYCLES}
    return dict(fields(given, **optional, min_lr_ratio=real(0.0, 1.0))(rng))


_SCHEDULERS: dict[str, Draw] = {
    "get_constant_schedule": fields({}),
    "get_constant_schedule_with_warmup": fields(WARM),
    "get_linear_schedule_with_warmup": fields(LENGTHS),
    "get_polynomial_decay_schedule_with_warmup": fields(
        LENGTHS, lr_end=among(1e-7, 0.0, 1e-6), power=either(among(1.0, 0.5, 2.0), real(0.1, 4.0))
    ),
    "get_inverse_sqrt_schedule": fields(WARM, timescale=whole(1, 1000)),
    "get_cosine_schedule_with_warmup": fields(LENGTHS, num_cycles=CYCLES),
    "get_cosine_with_hard_restarts_schedule_with_warmup": fields(
        LENGTHS, num_cycles=either(whole(0, 6), real(0.5, 4.0))
    ),
    "get_cosine_with_min_lr_schedule_with_warmup": floored(fields(LENGTHS, num_cycles=CYCLES)),
    "get_cosine_with_min_lr_schedule_with_warmup_lr_rate": floored(
        fields(LENGTHS, num_cycles=CYCLES, warmup_lr_rate=real(0.0, 1.0))
    ),
    "get_wsd_schedule": staged,
}


SCHEDULERS = with_bases(_SCHEDULERS, RATE, steps=160)


def values(configuration: Configuration) -> list[float]:
    """Return the values of the function's scheduler, up to where it fails."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=configuration.base)
    found: list[float] = []
    try:
        made = getattr(optimization, configuration.name)
        scheduler = made(optimizer, **configuration.params)
        for _ in range(configuration.steps):
            found.append(float(optimizer.param_groups[0]["lr"]))
            scheduler.step()
    except (ZeroDivisionError, ValueError):
        pass
    return found


spared = nothing_spared
