"""YAML of torchtune, whose component makes the scheduler, for as long as its recipes train."""

from __future__ import annotations

from random import Random

import torch
from tests.converters.compare.alone import place_of, stand_in, version_of
from tests.converters.compare.draws import Params, among, either, fields, real, whole
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_yaml

VERSION = version_of("torchtune")
_TORCHTUNE = place_of("torchtune")
stand_in("torchtune", _TORCHTUNE)
stand_in("torchtune.utils", _TORCHTUNE / "utils")
stand_in("torchtune.training", _TORCHTUNE / "training")
stand_in("torchtune.training.memory", OptimizerInBackwardWrapper=type(None))
from omegaconf import OmegaConf  # noqa: E402
from torchtune import config  # noqa: E402

_OPTIMIZER = fields(
    {
        "_component_": among("torch.optim.AdamW"),
        "lr": either(among(2e-5, 3e-4), real(1e-6, 1e-2)),
    },
    weight_decay=among(0.01, 0.0),
    fused=among(False),
)
_SCHEDULER = fields(
    {
        "_component_": among("torchtune.training.lr_schedulers.get_cosine_schedule_with_warmup"),
        "num_warmup_steps": either(among(0, 10), whole(0, 60)),
    },
    num_cycles=among(0.5, 1.0, 1.5),
)


def drawn(rng: Random) -> File:
    """Return a file of a recipe."""
    given: Params = {
        "model": {"_component_": "torchtune.models.llama3_1.lora_llama3_1_8b", "lora_rank": 8},
        "optimizer": _OPTIMIZER(rng),
        "epochs": rng.randint(1, 3),
        "max_steps_per_epoch": rng.choice((None, rng.randint(1, 40))),
        "gradient_accumulation_steps": rng.randint(1, 8),
        "batch_size": 2,
    }
    if rng.random() < 0.85:
        given["lr_scheduler"] = _SCHEDULER(rng)
    return File(as_yaml(rng, given), "8B_lora.yaml", {"steps_per_epoch": rng.randint(1, 50)})


def trained(file: File) -> Training | None:
    """Instantiate the components, and step them as the recipes do."""
    given = OmegaConf.create(file.text)
    epoch = file.lengths["steps_per_epoch"]
    if given.max_steps_per_epoch is not None and given.max_steps_per_epoch < epoch:
        epoch = given.max_steps_per_epoch
    steps = epoch * given.epochs
    optimizer = config.instantiate(given.optimizer, [torch.nn.Parameter(torch.ones(1))])
    group, rates = optimizer.param_groups[0], []
    scheduler = None
    if "lr_scheduler" in given:
        scheduler = config.instantiate(
            given.lr_scheduler, optimizer, num_training_steps=steps, last_epoch=-1
        )
    for _ in range(steps):
        rates.append(group["lr"])
        if scheduler is not None:
            scheduler.step()
    values = {"lr": rates}
    if "weight_decay" in given.optimizer:
        values["weight_decay"] = [group["weight_decay"]] * steps
    return Training(values, steps)
