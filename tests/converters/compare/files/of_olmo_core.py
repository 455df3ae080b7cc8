"""JSON that OLMo-core saves, whose scheduler sets the rate as its train module asks it to."""

from __future__ import annotations

import json
from random import Random
from types import SimpleNamespace
from typing import Any

from tests.converters.compare.alone import version_of, without
from tests.converters.compare.draws import Draw, Params, among, either, fields, real, whole
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_json

VERSION = version_of("ai2-olmo-core")
without("bettermap", "boto3", "botocore", "google")
from olmo_core.optim import scheduler as schedulers  # noqa: E402

_FLOOR = either(among(0.1, 0.0), real(0.0, 1.0))
_WARM: dict[str, Draw] = {"warmup_min_lr": among(0.0, 1e-6)}
_SCHEDULES: dict[str, Draw] = {
    "ConstantScheduler": fields({}),
    "ConstantWithWarmup": fields({"warmup": whole(0, 40)}, **_WARM),
    "WSD": fields(
        {"warmup": whole(0, 20), "decay": whole(1, 20), "decay_fraction": among(None)},
        decay_min_lr=among(0.0, 1e-6),
        **_WARM,
    ),
    "LinearWithWarmup": fields(
        {"warmup": whole(0, 40)}, alpha_f=_FLOOR, t_max=whole(45, 120), **_WARM
    ),
    "InvSqrtWithWarmup": fields({"warmup": whole(1, 40)}, alpha_f=_FLOOR, **_WARM),
    "CosWithWarmup": fields(
        {"warmup": whole(0, 40)}, alpha_f=_FLOOR, t_max=whole(45, 120), **_WARM
    ),
    "HalfCosWithWarmup": fields(
        {"warmup": whole(0, 40)}, alpha_f=_FLOOR, t_max=whole(45, 120), **_WARM
    ),
}
_UNITS = ("warmup", "decay", "t_max")


def drawn(rng: Random) -> File:
    """Return a file whose schedule counts steps, or tokens."""
    name, steps = rng.choice([*_SCHEDULES]), rng.randint(45, 130)
    batch, tokens = 1024 * rng.randint(1, 4), rng.random() < 0.3
    params = _SCHEDULES[name](rng)
    if tokens:
        params = {k: v * batch if k in _UNITS else v for k, v in params.items()} | {
            "units": "tokens"
        }
    optim = fields({"lr": either(among(4e-4), real(1e-5, 1e-2))}, weight_decay=among(0.1, 0.033))
    value = {"value": steps * batch, "unit": "tokens"}
    given = {
        "run_name": "tiny",
        "model": {"d_model": 64, "_CLASS_": "olmo_core.nn.transformer.config.TransformerConfig"},
        "data_loader": {"global_batch_size": batch, "seed": 0},
        "train_module": {
            "rank_microbatch_size": 1024,
            "optim": {
                **optim(rng),
                "betas": [0.9, 0.95],
                "_CLASS_": "olmo_core.optim.adamw.AdamWConfig",
            },
            "scheduler": {**params, "_CLASS_": f"olmo_core.optim.scheduler.{name}"},
            "max_grad_norm": 1.0,
        },
        "trainer": {"max_duration": rng.choice((value, {"value": steps, "unit": "steps"}))},
    }
    return File(as_json(rng, given), "config.json")


def trained(file: File) -> Training | None:
    """Count steps and tokens before each update, as the Trainer does."""
    given = json.loads(file.text)
    block = given["train_module"]["scheduler"]
    cls = getattr(schedulers, block["_CLASS_"].rpartition(".")[2])
    batch = given["data_loader"]["global_batch_size"]
    duration = given["trainer"]["max_duration"]
    steps = duration["value"] if duration["unit"] == "steps" else -(-duration["value"] // batch)
    optim, rates = given["train_module"]["optim"], []
    group: dict[str, Any] = {"lr": optim["lr"], "params": []}
    try:
        params: Params = {key: value for key, value in block.items() if key != "_CLASS_"}
        if "units" in params:
            params["units"] = schedulers.SchedulerUnits(params["units"])
        scheduler = cls(**params)
        for step in range(1, steps + 1):
            trainer = SimpleNamespace(
                global_step=step,
                max_steps=steps,
                global_train_tokens_seen=step * batch,
                max_tokens=steps * batch,
            )
            rates.append(float(scheduler.set_lr(group, trainer)))
    except (ValueError, ZeroDivisionError, TypeError, AssertionError):
        return None
    except Exception as error:
        if type(error).__name__ != "OLMoConfigurationError":
            raise
        return None
    values = {"lr": rates, "batch_size": [batch] * steps}
    if "weight_decay" in optim:
        values["weight_decay"] = [optim["weight_decay"]] * steps
    return Training(values, steps)
