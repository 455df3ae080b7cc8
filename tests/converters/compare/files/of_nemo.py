"""YAML of NeMo, whose `prepare_lr_scheduler` makes the scheduler of the block `optim.sched`."""

from __future__ import annotations

from logging import getLogger
from random import Random

import torch
import yaml
from tests.converters.compare.alone import place_of, stand_in, version_of
from tests.converters.compare.draws import Draw, Params, among, either, fields, real, whole
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_yaml

VERSION = version_of("nemo_toolkit")
_NEMO = place_of("nemo")
stand_in("nemo", _NEMO)
stand_in("nemo.core", _NEMO / "core")
stand_in("nemo.core.optim", _NEMO / "core/optim")
stand_in("nemo.core.config", _NEMO / "core/config")
stand_in("nemo.core.classes")
stand_in("nemo.core.classes.common", safe_instantiate=None)
stand_in("nemo.utils", logging=getLogger("nemo"))
stand_in("nemo.utils.model_utils", maybe_update_config_version=lambda config: config)
from nemo.core.optim.lr_scheduler import prepare_lr_scheduler  # noqa: E402

_WARM: dict[str, Draw] = {
    "warmup_steps": either(among(0, 10), whole(0, 60)),
    "min_lr": either(among(0.0), real(0.0, 1e-4)),
}
_HELD: dict[str, Draw] = {"hold_steps": whole(0, 40)}
_SCHEDULES: dict[str, Draw] = {
    "WarmupPolicy": fields({}, **_WARM),
    "WarmupHoldPolicy": fields({}, **_WARM, **_HELD),
    "SquareAnnealing": fields({}, **_WARM),
    "SquareRootAnnealing": fields({}, **_WARM),
    "CosineAnnealing": fields({}, constant_steps=whole(0, 40), **_WARM),
    "NoamAnnealing": fields(
        {"d_model": among(64, 512), "warmup_steps": whole(1, 60)}, min_lr=real(0.0, 1e-4)
    ),
    "NoamHoldAnnealing": fields({}, decay_rate=real(0.1, 1.0), **_WARM, **_HELD),
    "WarmupAnnealing": fields({}, warmup_ratio=real(0.01, 0.5)),
    "InverseSquareRootAnnealing": fields({}, **_WARM),
    "T5InverseSquareRootAnnealing": fields({}, **_WARM),
    "PolynomialDecayAnnealing": fields({}, power=real(0.5, 3.0), **_WARM),
    "PolynomialHoldDecayAnnealing": fields({}, power=real(0.5, 3.0), **_WARM, **_HELD),
}
_OPTIM = fields(
    {"name": among("adamw", "novograd"), "lr": either(among(3e-4), real(1e-5, 1.0))},
    betas=among([0.9, 0.98]),
    weight_decay=among(0.01, 0.0, 1e-3),
)


def drawn(rng: Random) -> File:
    """Return a file with the length in steps, or in epochs."""
    name = rng.choice([*_SCHEDULES])
    sched = {"name": name, **_SCHEDULES[name](rng)}
    trainer: Params = {"devices": 1, "accelerator": "cpu"}
    lengths = {}
    if rng.random() < 0.5:
        trainer["max_steps"] = rng.randint(1, 120)
    else:
        trainer |= {"max_epochs": rng.randint(1, 6), "max_steps": -1}
        lengths = {"steps_per_epoch": rng.randint(1, 30)}
    model: Params = {"sample_rate": 16000, "optim": {**_OPTIM(rng), "sched": sched}}
    if rng.random() < 0.3:
        model["global_batch_size"] = rng.randint(1, 64)
    given = {"name": "tiny", "model": model, "trainer": trainer, "exp_manager": {"exp_dir": None}}
    return File(as_yaml(rng, given), "conformer_ctc.yaml", lengths)


def trained(file: File) -> Training | None:
    """Step the scheduler with the length that ModelPT hands it."""
    given = yaml.safe_load(file.text)
    trainer, model = given["trainer"], given["model"]
    steps = trainer["max_steps"]
    if steps == -1:
        steps = trainer["max_epochs"] * file.lengths["steps_per_epoch"]
    optim = model["optim"]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=optim["lr"])
    group, rates = optimizer.param_groups[0], []
    try:
        made = prepare_lr_scheduler(optimizer, {**optim["sched"], "max_steps": steps})
        for _ in range(steps):
            rates.append(group["lr"])
            made["scheduler"].step()
    except (ValueError, ZeroDivisionError, TypeError, AssertionError):
        return None
    values = {"lr": rates}
    if "weight_decay" in optim:
        values["weight_decay"] = [optim["weight_decay"]] * steps
    if "global_batch_size" in model:
        values["batch_size"] = [model["global_batch_size"]] * steps
    return Training(values, steps)
