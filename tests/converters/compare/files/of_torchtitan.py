"""TOML of torchtitan, whose section of the schedule builds torchtitan's own scheduler."""

from __future__ import annotations

import tomllib
from random import Random

import torch
from tests.converters.compare.alone import version_of, without
from tests.converters.compare.draws import among, either, fields, real, whole
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_toml

VERSION = version_of("torchtitan")
without("spmd_types", "tyro")
from torchtitan.components.optimizer.lr_scheduler import LRSchedulersContainer  # noqa: E402

_SECTIONS = {
    "job": fields({"dump_folder": among("./outputs")}, description=among("Llama 3 # debug")),
    "model": fields({"name": among("llama3")}, flavor=among("8B")),
    "optimizer": fields(
        {"lr": either(among(8e-4, 3e-4), real(1e-5, 1e-2))},
        name=among("AdamW"),
        weight_decay=among(0.1, 0.0),
        eps=among(1e-8),
    ),
    "lr_scheduler": fields(
        {},
        warmup_steps=either(whole(0, 60), among(200)),
        decay_ratio=either(among(0.0, 1.0, 0.8), real(0.0, 1.0)),
        decay_type=among("linear", "sqrt", "cosine"),
        min_lr_factor=either(among(0.0, 0.1), real(0.0, 1.0)),
        total_steps=whole(1, 200),
    ),
    "training": fields(
        {"local_batch_size": whole(1, 8), "steps": whole(1, 150)},
        seq_len=among(2048),
        global_batch_size=among(-1, 64),
        max_norm=among(1.0),
    ),
    "parallelism": fields({"data_parallel_shard_degree": among(-1)}),
}


def drawn(rng: Random) -> File:
    """Return a file of sections in any order."""
    names = [*_SECTIONS]
    rng.shuffle(names)
    return File(as_toml(rng, {name: _SECTIONS[name](rng) for name in names}), "llama3.toml")


def trained(file: File) -> Training | None:
    """Build the container, and step it after each update."""
    given = tomllib.loads(file.text)
    optim, steps = given["optimizer"], given["training"]["steps"]
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.AdamW(
        [weight], lr=optim["lr"], weight_decay=optim.get("weight_decay", 0.1)
    )
    config = LRSchedulersContainer.Config(**given["lr_scheduler"])
    group, rates = optimizer.param_groups[0], []
    try:
        scheduler = config.build(optimizers=[optimizer], training_steps=steps)
        for _ in range(steps):
            rates.append(group["lr"])
            scheduler.step()
    except (ValueError, AssertionError, ZeroDivisionError):
        return None
    values = {"lr": rates, "weight_decay": [group["weight_decay"]] * steps}
    if given["training"].get("global_batch_size", -1) > 0:
        values["batch_size"] = [given["training"]["global_batch_size"]] * steps
    return Training(values, steps)
