"""YAML of mlx-lm, whose `build_schedule` makes the schedule, which its optimizers ask."""

from __future__ import annotations

from random import Random

import yaml
from mlx import optimizers
from mlx_lm.tuner.utils import build_schedule
from tests.converters.compare.alone import version_of
from tests.converters.compare.draws import Params, among, either, fields, real, whole
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_yaml

VERSION = version_of("mlx_lm")
_RATE = either(among(1e-5, 1e-4), real(1e-6, 1e-2))
_ARGUMENTS = {
    "cosine_decay": lambda rng: [_RATE(rng), rng.randint(1, 120), rng.choice((0.0, 1e-7))],
    "exponential_decay": lambda rng: [_RATE(rng), rng.uniform(0.5, 1.0)],
    "linear_schedule": lambda rng: [_RATE(rng), rng.choice((0.0, 1e-7)), rng.randint(1, 120)],
    "step_decay": lambda rng: [_RATE(rng), rng.uniform(0.1, 1.0), rng.randint(1, 40)],
}


def drawn(rng: Random) -> File:
    """Return a file."""
    given: Params = {
        "model": "mlx-community/Llama-3.2-1B",
        "train": True,
        "fine_tune_type": "lora",
        "optimizer": rng.choice(("adam", "adamw", "sgd")),
        "iters": rng.randint(1, 150),
        "learning_rate": _RATE(rng),
        "steps_per_report": 10,
        "lora_parameters": {"rank": 8, "scale": 20.0},
    }
    if rng.random() < 0.3:
        given["grad_accumulation_steps"] = 1
    if rng.random() < 0.4:
        given["optimizer_config"] = {"adamw": {"weight_decay": 0.1}, "adam": {}}
    if rng.random() < 0.8:
        name = rng.choice([*_ARGUMENTS])
        warm = fields({}, warmup=whole(0, 50), warmup_init=among(0.0, 1e-7))
        given["lr_schedule"] = {"name": name, **warm(rng), "arguments": _ARGUMENTS[name](rng)}
    return File(as_yaml(rng, given), "lora_config.yaml")


def trained(file: File) -> Training | None:
    """Ask the schedule as MLX's optimizer does, at the number of updates so far."""
    given = yaml.safe_load(file.text)
    steps = given["iters"]
    rate = (
        build_schedule(given["lr_schedule"]) if "lr_schedule" in given else given["learning_rate"]
    )
    cls = {"adam": optimizers.Adam, "adamw": optimizers.AdamW, "sgd": optimizers.SGD}
    own = given.get("optimizer_config", {}).get(given["optimizer"], {})
    optimizer = cls[given["optimizer"]](learning_rate=rate, **own)
    rates = [float(rate(step)) if callable(rate) else rate for step in range(steps)]
    values = {"lr": rates}
    if given["optimizer"] == "adamw":
        values["weight_decay"] = [optimizer.weight_decay] * steps
    return Training(values, steps, single=True)
