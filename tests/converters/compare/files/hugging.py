"""Trainings of transformers' Trainer, of a model of two weights, whose optimizer is watched."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import torch
import transformers
from tests.converters.compare.draws import Draw, Params, among, either, fields, real, whole
from tests.converters.compare.files.trials import Training

SHAPES = among("linear", "cosine", "1-sqrt")
CYCLES = among(0.5, 1, 1.5, 3)
KWARGS: dict[str, Draw] = {
    "linear": fields({}),
    "constant": fields({}),
    "constant_with_warmup": fields({}),
    "inverse_sqrt": fields({}, timescale=whole(1, 100)),
    "cosine": fields({}, num_cycles=CYCLES),
    "cosine_with_restarts": fields({}, num_cycles=whole(1, 4)),
    "polynomial": fields({}, lr_end=among(1e-7, 0.0), power=real(0.5, 3.0)),
    "cosine_with_min_lr": either(
        fields({"min_lr": among(1e-7, 0.0)}, num_cycles=CYCLES),
        fields({"min_lr_rate": real(0.0, 0.9)}),
    ),
    "cosine_warmup_with_min_lr": fields(
        {"min_lr_rate": real(0.0, 0.9)}, warmup_lr_rate=real(0.0, 0.9)
    ),
    "warmup_stable_decay": fields(
        {"num_decay_steps": whole(1, 8)},
        num_stable_steps=whole(0, 9),
        warmup_type=SHAPES,
        decay_type=SHAPES,
        min_lr_ratio=real(0.0, 0.9),
    ),
}
"""The parameters of each schedule."""
QUIET: Params = {
    "report_to": "none",
    "logging_strategy": "no",
    "save_strategy": "no",
    "disable_tqdm": True,
    "use_cpu": True,
}
"""What lets a training be short and leave nothing behind."""


def arguments(rng: Random, kwargs: dict[str, Draw] = KWARGS) -> Params:
    """Draw the fields of TrainingArguments that have a part in a schedule, and some that do not."""
    given = fields(
        {"per_device_train_batch_size": whole(1, 4)},
        learning_rate=either(among(2e-5, 1e-4), real(1e-6, 1e-2)),
        weight_decay=among(0.0, 0.01, 0.1),
        gradient_accumulation_steps=whole(1, 3),
        max_grad_norm=among(0.5, 1.0),
        seed=whole(0, 99),
        lr_scheduler_type=among(*kwargs),
    )(rng)
    if rng.random() < 0.5:
        given["max_steps"] = rng.randint(1, 25)
    if "max_steps" not in given or rng.random() < 0.3:
        given["num_train_epochs"] = rng.choice((1, 2, 3, 1.0, 0.5, 1.5, 2.25))
    warmup: dict[str, Draw] = {
        "none": fields({}),
        "steps": fields({"warmup_steps": either(whole(0, 10), among(0.1, 0.25))}),
        "ratio": fields({"warmup_ratio": either(among(0.1, 0.03), real(0.0, 1.0))}),
    }
    given |= warmup[rng.choice([*warmup])](rng)
    name = given.get("lr_scheduler_type", "linear")
    if own := kwargs[name](rng):
        given["lr_scheduler_kwargs"] = own
    shuffled = list(given)
    rng.shuffle(shuffled)
    return {**QUIET, **{name: given[name] for name in shuffled}}


def updates(given: Params, samples: int, batch: int = 8) -> int:
    """Return the updates of an epoch, which the user reads off the Trainer's log."""
    batches: int = -(-samples // given.get("per_device_train_batch_size", batch))
    return int(-(-batches // given.get("gradient_accumulation_steps", 1)))


class Model(torch.nn.Module):  # type: ignore[misc] # mypy sees no PyTorch
    """A line, whose weight decays and whose bias does not."""

    def __init__(self) -> None:
        super().__init__()
        self.line = torch.nn.Linear(1, 1)

    def gradient_checkpointing_enable(self, **given: Any) -> None:
        """Do nothing: there is nothing to save."""

    def forward(self, x: Any, labels: Any) -> dict[str, Any]:
        """Return the loss."""
        return {"loss": ((self.line(x[:, None]) - labels) ** 2).mean()}


class Watch(transformers.TrainerCallback):  # type: ignore[misc]  # without types here
    """Write down what the optimizer has just before each update."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.decays: list[float] = []
        self.betas: list[float] = []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Before an update."""
        del args, state, control
        group = given["optimizer"].param_groups[0]
        self.rates.append(float(group["lr"]))
        self.decays.append(float(group["weight_decay"]))
        self.betas.append(float(group["betas"][0]))


def trained(
    arguments: Any,
    samples: int,
    trainer: Callable[..., Any] = transformers.Trainer,
    *,
    beta: bool = False,
) -> Training:
    """Return what the optimizer had at each update of a real training."""
    watch = Watch()
    data = [{"x": 0.5, "labels": 1.0}] * samples
    own = trainer(Model(), arguments, train_dataset=data, callbacks=[watch])
    own.remove_callback(transformers.PrinterCallback)
    own.train()
    values = {"lr": watch.rates, "weight_decay": watch.decays}
    if beta:
        values["beta1"] = watch.betas
    return Training(values, len(watch.rates))
