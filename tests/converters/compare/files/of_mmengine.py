"""Python files of MMEngine, which its own Config reads, and its Runner trains."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from tests.converters.compare.alone import version_of
from tests.converters.compare.draws import (
    Draw,
    Params,
    among,
    either,
    fields,
    real,
    rising,
    whole,
)
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_python

VERSION = version_of("mmengine")
_EPOCHS = 6
_FACTOR = either(among(1.0, 0.1, 0.001), real(0.01, 1.0))
_SCHEDULES: dict[str, Draw] = {
    "ConstantLR": fields({}, factor=_FACTOR),
    "LinearLR": fields({"start_factor": _FACTOR}, end_factor=_FACTOR),
    "CosineAnnealingLR": fields(
        {"T_max": whole(1, 6)}, eta_min=either(among(0.0), real(0.0, 1e-3))
    ),
    "ExponentialLR": fields({"gamma": real(0.5, 1.0)}),
    "MultiStepLR": fields({"milestones": rising(1, 6, 3), "gamma": real(0.1, 1.0)}),
    "StepLR": fields({"step_size": whole(1, 4)}, gamma=real(0.1, 1.0)),
    "PolyLR": fields({}, power=among(0.9, 1.0, 2.0), eta_min=among(0.0, 1e-4)),
}
_LENGTHS = ("T_max", "step_size", "milestones")


def _scheduler(rng: Random, begin: int, end: int, epoch: int, *, by_epoch: bool) -> Params:
    """Draw a scheduler of a range, in epochs or in iterations."""
    name = rng.choice([*_SCHEDULES])
    params = _SCHEDULES[name](rng)
    unit = 1 if by_epoch else epoch
    for length in _LENGTHS:
        if length in params:
            value = params[length]
            listed = isinstance(value, list)
            params[length] = [one * unit for one in value] if listed else value * unit
    found = {"type": name, **params, "by_epoch": by_epoch}
    if name == "CosineAnnealingLR" and rng.random() < 0.3:
        del found["T_max"]
    found |= {"begin": begin * unit, "end": end * unit}
    if by_epoch and rng.random() < 0.3:
        found["convert_to_iter_based"] = True
    return found


def drawn(rng: Random) -> File:
    """Return a file with a warm-up and what follows it, and the iterations of an epoch."""
    epoch, epochs = rng.randint(2, 8), rng.randint(2, _EPOCHS)
    by_iterations = rng.random() < 0.3
    mixed = not by_iterations
    change = rng.randint(0, epochs)
    first = _scheduler(rng, 0, max(change, 1), epoch, by_epoch=mixed and rng.random() < 0.5)
    then = _scheduler(rng, change, epochs, epoch, by_epoch=mixed and rng.random() < 0.7)
    optimizer: Params = fields(
        {"type": among("SGD"), "lr": either(among(0.02, 0.1), real(1e-3, 1.0))},
        momentum=real(0.5, 0.95),
        weight_decay=among(1e-4, 0.0),
    )(rng)
    if rng.random() < 0.3:
        optimizer = {"type": "AdamW", "lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 0.05}
    loop: Params = {"type": "EpochBasedTrainLoop", "max_epochs": epochs, "val_interval": 1}
    if by_iterations:
        loop = {"type": "IterBasedTrainLoop", "max_iters": epochs * epoch, "val_interval": 100}
    listed = [first, then] if change and rng.random() < 0.8 else [then]
    given = {
        "param_scheduler": listed,
        "optim_wrapper": {"type": "OptimWrapper", "optimizer": optimizer},
        "train_cfg": loop,
        "default_scope": "mmengine",
    }
    lengths = {} if by_iterations else {"steps_per_epoch": epoch}
    return File(as_python(rng, given), "faster-rcnn_r50.py", lengths, epoch)


class _Model(BaseModel):  # type: ignore[misc]  # without types here
    """A line."""

    def __init__(self) -> None:
        super().__init__()
        self.line = torch.nn.Linear(1, 1)

    def forward(self, inputs: list[Any], mode: str = "loss") -> dict[str, Any]:
        """Return a loss."""
        del mode
        return {"loss": self.line(torch.stack(inputs)).mean()}


class _Watch(Hook):  # type: ignore[misc]  # without types here
    """Writes down what the optimizer has before each iteration."""

    def __init__(self) -> None:
        self.groups: list[Params] = []

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Before an iteration."""
        del batch_idx, data_batch
        self.groups.append(dict(runner.optim_wrapper.optimizer.param_groups[0]))


def trained(file: File) -> Training | None:
    """Train by the Runner, with the Config that it reads from the file."""
    watch = _Watch()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file.name.replace("-", "_")
        path.write_text(file.text)
        given = Config.fromfile(path)
        data = [{"inputs": torch.ones(1)}] * file.data
        loader = {"dataset": data, "batch_size": 1, "num_workers": 0}
        sampler = {"type": "DefaultSampler", "shuffle": False}
        try:
            runner = Runner(
                _Model(),
                folder,
                train_dataloader={**loader, "sampler": sampler},
                train_cfg=dict(given.train_cfg),
                optim_wrapper=given.optim_wrapper,
                param_scheduler=given.param_scheduler,
                default_hooks={"logger": None, "checkpoint": None, "timer": None},
                custom_hooks=[watch],
                log_level="ERROR",
                experiment_name=f"{id(file)}",
            )
            runner.train()
        except (ValueError, TypeError, ZeroDivisionError, AssertionError):
            return None
    values = {"lr": [group["lr"] for group in watch.groups]}
    own = given.optim_wrapper.optimizer
    for name in ("momentum", "weight_decay"):
        if name in own:
            values[name] = [group[name] for group in watch.groups]
    return Training(values, len(watch.groups))
