"""YAML of OLMo, loaded as its TrainConfig, whose scheduler is asked as its Trainer asks it."""

from __future__ import annotations

import tempfile
from math import ceil
from pathlib import Path
from random import Random

from tests.converters.compare.alone import version_of, without
from tests.converters.compare.draws import Params, among, either, fields, real, whole
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_yaml

VERSION = version_of("ai2-olmo")
without("boto3", "botocore", "google", "smart_open")
from olmo.config import SchedulerUnits, TrainConfig  # noqa: E402
from olmo.optim import build_scheduler  # noqa: E402

_NAMES = (
    *("cosine_with_warmup", "linear_with_warmup", "inverse_sqrt_with_warmup", "max_scheduler"),
    *("constant", "cosine_linear_envelope", "constant_with_warmup"),
)
_LENGTH, _BATCH = 16, (4, 8)


def drawn(rng: Random) -> File:
    """Return a file whose schedule counts steps or tokens."""
    batch, steps, tokens = rng.choice(_BATCH), rng.randint(1, 80), rng.random() < 0.4
    unit = batch * _LENGTH if tokens else 1
    scheduler: Params = fields(
        {"name": among(*_NAMES), "t_warmup": either(whole(0, 40 * unit), among(10 * unit))},
        alpha_f=either(among(0.1, 0.0), real(0.0, 1.0)),
        t_max=whole(41 * unit, 120 * unit),
        grad_clip_warmup_steps=whole(1, 20 * unit),
        grad_clip_warmup_factor=among(10.0, 2.0),
        warmup_min_lr=among(0.0, 1e-5),
    )(rng)
    if tokens:
        scheduler["units"] = "tokens"
    given: Params = {
        "run_name": "tiny",
        "model": {"d_model": 64, "max_sequence_length": _LENGTH},
        "optimizer": fields(
            {"learning_rate": either(among(6e-4), real(1e-5, 1e-2))},
            name=among("adamw"),
            weight_decay=among(0.1, 0.0),
            metrics_log_interval=among(10),
        )(rng),
        "scheduler": scheduler,
        "max_duration": rng.choice((steps, f"{steps * batch * _LENGTH}T", f"{steps * 1.0:.1e}T")),
        "global_train_batch_size": batch,
    }
    if str(given["max_duration"]).endswith("T"):
        given["max_duration"] = f"{steps * batch * _LENGTH - rng.randint(0, 3)}T"
    if rng.random() < 0.6:
        given["max_grad_norm"] = rng.choice((1.0, 0.5))
    if rng.random() < 0.2:
        given["stop_at"] = rng.randint(1, 80)
    return File(as_yaml(rng, given), "tiny.yaml")


def trained(file: File) -> Training | None:
    """Count steps and tokens before each update, as the Trainer does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file.name
        path.write_text(file.text)
        config = TrainConfig.load(path)
    scheduler = build_scheduler(config)
    batch = config.global_train_batch_size
    tokens = batch * config.model.max_sequence_length
    duration = config.max_duration
    if isinstance(duration, str):
        most = int(float(duration[:-1]))
        steps = ceil(most / tokens)
    else:
        steps, most = duration, duration * tokens
    total = min(n for n in (steps, config.stop_at, config.stop_after) if n is not None)
    by_tokens = config.scheduler.units == SchedulerUnits.tokens
    end = most if by_tokens else steps
    rates, bounds = [], []
    try:
        for step in range(1, total + 1):
            current = step * tokens if by_tokens else step
            rates.append(scheduler.get_lr(config.optimizer.learning_rate, current, end))
            bounds.append(scheduler.get_max_grad_norm(config.max_grad_norm, current, end))
    except (ZeroDivisionError, AssertionError):
        return None
    values = {"lr": rates, "weight_decay": [config.optimizer.weight_decay] * total}
    values["batch_size"] = [batch] * total
    if config.max_grad_norm is not None:
        values["max_grad_norm"] = bounds
    return Training(values, total)
