"""The `args.yaml` that timm's train.py writes, stepped by the scheduler of timm's factory."""

from __future__ import annotations

from argparse import Namespace
from importlib import import_module
from random import Random

import torch
import yaml
from tests.converters.compare import of_timm as schedulers
from tests.converters.compare.draws import FLAG, Params, among, either, fields, real, rising, whole
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_yaml

VERSION = schedulers.VERSION
factory = import_module("timm.scheduler.scheduler_factory")
_COMMON = fields(
    {
        "lr": either(among(0.1, 5e-4), real(1e-5, 1.0)),
        "epochs": whole(1, 12),
        "opt": among("sgd", "adamw", "lamb", "momentum", "rmsproptf"),
        "weight_decay": among(2e-5, 0.05, 0.0),
        "momentum": real(0.5, 0.99),
        "sched_on_updates": FLAG,
        "warmup_epochs": either(among(0), whole(0, 5)),
        "warmup_lr": either(among(1e-5, 0.0), real(0.0, 1e-3)),
        "warmup_prefix": FLAG,
        "min_lr": either(among(0.0), real(0.0, 1e-4)),
        "cooldown_epochs": either(among(0), whole(0, 4)),
        "lr_base": among(0.1),
        "lr_base_size": among(256),
        "lr_noise": among(None),
        "model": among("resnet50"),
        "batch_size": whole(1, 256),
        "layer_decay": among(None),
        "eval_metric": among("top1"),
    }
)
_SCHEDULES = {
    "cosine": fields({"lr_k_decay": either(among(1.0), real(0.5, 2.0))}),
    "poly": fields(
        {"lr_k_decay": either(among(1.0), real(0.5, 2.0)), "decay_rate": real(0.1, 2.0)}
    ),
    "tanh": fields({}),
    "step": fields(
        {"decay_epochs": either(whole(1, 6), real(0.5, 6.0)), "decay_rate": real(0.1, 1.0)}
    ),
    "multistep": fields({"decay_milestones": rising(0, 14, 4), "decay_rate": real(0.1, 1.0)}),
}
_CYCLES = fields(
    {
        "lr_cycle_mul": among(1.0, 1.0, 2.0),
        "lr_cycle_decay": either(among(0.5), real(0.1, 1.0)),
        "lr_cycle_limit": whole(1, 3),
    }
)


def drawn(rng: Random) -> File:
    """Return an args.yaml, and the updates of an epoch."""
    sched = rng.choice([*_SCHEDULES])
    given: Params = {**_COMMON(rng), "sched": sched, **_CYCLES(rng), **_SCHEDULES[sched](rng)}
    return File(
        as_yaml(rng, dict(sorted(given.items()))),
        "args.yaml",
        {"steps_per_epoch": rng.randint(1, 8)},
    )


def trained(file: File) -> Training | None:
    """Step the factory's scheduler as the loop of train.py does."""
    args = Namespace(**yaml.safe_load(file.text))
    updates = file.lengths["steps_per_epoch"]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=args.lr)
    group = optimizer.param_groups[0]
    given = factory.scheduler_kwargs(args, decreasing_metric=False)
    try:
        scheduler, epochs = factory.create_scheduler_v2(
            optimizer, **given, updates_per_epoch=updates
        )
    except (ZeroDivisionError, AssertionError, ValueError):
        return None
    rates: list[float] = []
    try:
        for epoch in range(epochs):
            for update in range(updates):
                rates.append(group["lr"])
                scheduler.step_update(num_updates=epoch * updates + update + 1)
            scheduler.step(epoch + 1)
    except (ZeroDivisionError, OverflowError):
        return None
    values = {"lr": rates, "weight_decay": [args.weight_decay] * len(rates)}
    if args.opt in ("sgd", "momentum", "rmsproptf"):
        values["momentum"] = [args.momentum] * len(rates)
    return Training(values, len(rates))
