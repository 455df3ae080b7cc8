"""YAML of axolotl, whose builder makes the arguments of its Trainer, which trains."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from math import ceil
from random import Random
from types import SimpleNamespace

import yaml
from tests.converters.compare.alone import version_of, without
from tests.converters.compare.draws import Params, among, either, fields, real, whole
from tests.converters.compare.files import hugging
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_yaml

VERSION = version_of("axolotl")
without(
    *("addict", "art", "evaluate", "fire", "numba", "peft", "posthog", "torchvision"),
    *("triton", "wandb"),
    parts_of=("trl",),
)
from axolotl.core.builders.base import TrainerBuilderBase as Builder  # noqa: E402
from axolotl.core.trainers.mixins.scheduler import SchedulerMixin  # noqa: E402
from axolotl.core.training_args_base import AxolotlTrainingMixins  # noqa: E402
from axolotl.utils.dict import DictDefault  # noqa: E402
from transformers import TrainingArguments  # noqa: E402

_KWARGS = {**hugging.KWARGS, "one_cycle": fields({}, pct_start=real(0.1, 0.9)), "rex": fields({})}
_NAMES = (*(name for name in _KWARGS if name != "warmup_stable_decay"), "cosine", "cosine", "rex")


_HANDED_ON = (
    *("cosine_min_lr_ratio", "cosine_constant_lr_ratio", "lr_quadratic_warmup", "weight_decay"),
    *("gradient_accumulation_steps", "learning_rate", "jagged_restart_steps"),
    "jagged_restart_warmup_steps",
)
"""What the builder hands to the arguments under the same names."""


@dataclass
class Arguments(AxolotlTrainingMixins, TrainingArguments):  # type: ignore[misc]  # no types
    """The arguments of axolotl."""


def drawn(rng: Random) -> File:
    """Return a file, and the updates of an epoch."""
    samples = rng.randint(4, 40)
    given: Params = fields(
        {
            "base_model": among("NousResearch/Meta-Llama-3-8B"),
            "micro_batch_size": whole(1, 3),
            "gradient_accumulation_steps": whole(1, 3),
            "sequence_len": among(2048),
            "learning_rate": either(among(2e-4, 1e-5), real(1e-6, 1e-2)),
            "num_epochs": among(1, 2, 3),
        },
        lr_scheduler=among(*_NAMES),
        weight_decay=among(0.0, 0.01),
        cosine_min_lr_ratio=either(among(0.1, 0.0), real(0.0, 1.0)),
        val_set_size=among(0.05),
    )(rng)
    name = given.get("lr_scheduler", "cosine")
    if own := _KWARGS[name](rng):
        given["lr_scheduler_kwargs"] = own
    if name == "cosine":
        more = fields(
            {}, cosine_constant_lr_ratio=real(0.1, 1.0), lr_quadratic_warmup=among(True, False)
        )
        given |= more(rng) if rng.random() < 0.5 else {}
    if rng.random() < 0.3:
        given["max_steps"] = rng.randint(1, 30)
    if rng.random() < 0.15 and name not in ("rex", "one_cycle"):
        given |= fields(
            {"jagged_restart_steps": whole(5, 12)}, jagged_restart_warmup_steps=whole(1, 4)
        )(rng)
    warmup = (
        fields({}),
        fields({"warmup_steps": whole(0, 10)}),
        fields({"warmup_ratio": real(0.0, 1.0)}),
    )
    given |= rng.choice(warmup)(rng)
    batch = given["micro_batch_size"] * given["gradient_accumulation_steps"]
    samples -= samples % batch or 0
    samples = max(samples, batch)
    return File(as_yaml(rng, given), "lora.yml", {"steps_per_epoch": samples // batch}, samples)


def trained(file: File) -> Training | None:
    """Count the steps as axolotl does, build its arguments, and train with its scheduler."""
    cfg = DictDefault(yaml.safe_load(file.text))
    counted = ceil(file.lengths["steps_per_epoch"] * cfg.num_epochs)
    if cfg.max_steps:
        counted = min(counted, cfg.max_steps)
    holder = SimpleNamespace(cfg=cfg)
    kwargs: Params = {}
    Builder._configure_warmup_and_logging(holder, counted, kwargs)
    Builder._configure_scheduler(holder, kwargs)
    for name in _HANDED_ON:
        if cfg[name] is not None:
            kwargs[name] = cfg[name]
    kwargs |= {"max_steps": cfg.max_steps or counted or -1, "num_train_epochs": cfg.num_epochs}
    kwargs["per_device_train_batch_size"] = cfg.micro_batch_size
    with tempfile.TemporaryDirectory() as folder:
        try:
            arguments = Arguments(output_dir=folder, **{**kwargs, **hugging.QUIET})
            return hugging.trained(
                arguments, file.data, SchedulerMixin, beta=cfg.lr_scheduler == "one_cycle"
            )
        except (ValueError, TypeError, ZeroDivisionError, AssertionError):
            return None
