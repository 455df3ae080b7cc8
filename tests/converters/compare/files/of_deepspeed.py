"""JSON of DeepSpeed, whose block `scheduler` its engine makes of a class of `lr_schedules`."""

from __future__ import annotations

import json
from random import Random

import torch
from tests.converters.compare.alone import version_of, without
from tests.converters.compare.draws import FLAG, Draw, Params, among, either, fields, real, whole
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_json

VERSION = version_of("deepspeed")
without("hjson", "ninja", "cpuinfo", "py-cpuinfo")
from deepspeed.runtime import lr_schedules  # noqa: E402

_WARM: dict[str, Draw] = {
    "warmup_min_lr": either(among(0.0, 1e-7), real(0.0, 1e-3)),
    "warmup_max_lr": either(among(1e-3, 3e-4), real(1e-3, 1e-1)),
    "warmup_num_steps": whole(2, 40),
    "warmup_type": among("log", "linear"),
}
_CYCLE = fields(
    {"cycle_min_lr": real(1e-5, 1e-3), "cycle_max_lr": real(1e-3, 1e-1)},
    decay_lr_rate=among(0.0, 0.001),
    cycle_first_step_size=whole(1, 30),
    cycle_second_step_size=whole(1, 30),
    cycle_first_stair_count=among(0, 3),
    cycle_second_stair_count=among(0, 3),
    decay_step_size=whole(0, 10),
    cycle_momentum=FLAG,
    cycle_min_mom=among(0.85),
    cycle_max_mom=among(0.99, 0.95),
    decay_mom_rate=among(0.0, 0.001),
)
_SCHEDULES: dict[str, Draw] = {
    "WarmupLR": fields({}, **_WARM),
    "WarmupDecayLR": fields({"total_num_steps": whole(41, 120)}, **_WARM),
    "WarmupCosineLR": fields(
        {"total_num_steps": whole(41, 120), "warmup_num_steps": whole(2, 40)},
        warmup_min_ratio=either(among(0.0, 0.01), real(0.0, 1.0)),
        cos_min_ratio=either(among(1e-4, 0.0), real(0.0, 1.0)),
        warmup_type=among("log", "linear"),
    ),
    "LRRangeTest": fields(
        {},
        lr_range_test_min_lr=real(1e-5, 1e-2),
        lr_range_test_step_size=whole(1, 30),
        lr_range_test_step_rate=among(1.0, 5.0),
        lr_range_test_staircase=FLAG,
    ),
    "OneCycle": _CYCLE,
}
_STEPS = 150


def drawn(rng: Random) -> File:
    """Return a file with an optimizer and, mostly, a scheduler."""
    optimizer = {
        "type": rng.choice(("AdamW", "Adam")),
        "params": fields(
            {"lr": either(among(3e-5, 1e-3), real(1e-5, 1e-2))}, weight_decay=among(0.0, 0.01)
        )(rng),
    }
    given: Params = {
        "train_batch_size": 16,
        "gradient_accumulation_steps": 1,
        "optimizer": optimizer,
        "fp16": {"enabled": True, "loss_scale": 0, "initial_scale_power": 16},
        "zero_optimization": {"stage": 2},
    }
    if rng.random() < 0.9:
        name = rng.choice([*_SCHEDULES])
        given["scheduler"] = {"type": name, "params": _SCHEDULES[name](rng)}
    return File(as_json(rng, given), "ds_config.json")


def trained(file: File) -> Training | None:
    """Make the scheduler as the engine does, and step it after each update."""
    given = json.loads(file.text)
    own = given["optimizer"]["params"]
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))], **own)
    group = optimizer.param_groups[0]
    scheduler, block = None, given.get("scheduler")
    rates, betas = [], []
    try:
        if block is not None:
            scheduler = getattr(lr_schedules, block["type"])(optimizer, **block["params"])
        for _ in range(_STEPS):
            rates.append(float(group["lr"]))
            betas.append(group["betas"])
            if scheduler is not None:
                scheduler.step()
    except (ValueError, ZeroDivisionError, TypeError):
        return None
    values = {"lr": rates, "batch_size": [given["train_batch_size"]] * _STEPS}
    if "weight_decay" in own:
        values["weight_decay"] = [group["weight_decay"]] * _STEPS
    if block and block["type"] == "OneCycle" and block["params"].get("cycle_momentum", True):
        values |= {f"beta{i + 1}": [float(pair[i]) for pair in betas] for i in range(2)}
    return Training(values)
