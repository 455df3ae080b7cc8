"""The fields of transformers.TrainingArguments."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from math import ceil
from typing import Any

from pydantic import BaseModel

from rheostat.controllers import Controller
from rheostat.converters.configs.project import Project, leaves_out
from rheostat.converters.configs.reading import (
    LENIENT,
    OR_LENGTHS,
    ConfigConversion,
    Place,
    TrainingLengths,
    controlled,
    converted,
    missing,
    read,
    stated,
)
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.core import refused
from rheostat.converters.parameters import NotNegative, Share, Steps
from rheostat.errors import FieldError, Invalid
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_PLACE = Place("config.lr_scheduler_type", "config.lr_scheduler_kwargs")
_PLATEAU = "reduce_lr_on_plateau"
_WITHOUT_TOTAL = {"constant", "constant_with_warmup", "inverse_sqrt"}


class Arguments(BaseModel):
    """The fields that describe a schedule, with the defaults of transformers."""

    model_config = LENIENT

    learning_rate: float = 5e-5
    weight_decay: float = 0.0
    lr_scheduler_type: str = "linear"
    lr_scheduler_kwargs: dict[str, Any] | str | None = None
    warmup_steps: NotNegative = 0
    warmup_ratio: Share | None = None
    metric_for_best_model: str | None = None
    max_steps: Steps = -1
    num_train_epochs: NotNegative = 3.0


HARMLESS = {"max_samples", "max_train_samples"}
"""Fields of the Trainer's scripts that sound like a schedule, and are none."""
APART = {"accelerator_config", "deepspeed"}
_READ = Read(
    "transformers",
    tuple(Arguments.model_fields),
    harmless=HARMLESS,
    apart=APART,
)


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate and the weight decay, and the plateau of reduce_lr_on_plateau.

    warmup_steps below 1 are a ratio, as in version 5; warmup_ratio is that of version 4. Without
    max_steps the training's length is ``total``, or num_train_epochs times ``steps_per_epoch``,
    rounded up. A file of DeepSpeed's that is named by its path is taken to have no scheduler.
    """
    arguments = read(Arguments, config)
    check_unknown(config, _READ)
    return trained(arguments, config, lengths)


def trained(
    arguments: Arguments,
    config: Mapping[str, Any],
    lengths: TrainingLengths,
    groups: Mapping[str, float] | None = None,
) -> ConfigConversion:
    """
    Return what the Trainer makes of its arguments, in whichever project's file they stand.

    ``groups`` are the rates that groups of parameters start from, by the parameters' names.
    """
    check_deepspeed(config.get("deepspeed"))
    decay, total = Constant(value=arguments.weight_decay), total_of(arguments, lengths)
    bases = {"lr": arguments.learning_rate, **(groups or {})}
    if arguments.lr_scheduler_type == _PLATEAU:
        check_plateau("lr_scheduler_type", groups or {})
        rates: dict[str, Definition] = {k: Constant(value=base) for k, base in bases.items()}
        controllers = _plateau(arguments)
    else:
        rates = {name: _rate(arguments, total, base) for name, base in bases.items()}
        controllers = {}
    parameters = {**rates, "weight_decay": decay}
    return ConfigConversion(parameters, controllers, total, lengths.steps_per_epoch)


def check_plateau(field: str, groups: Collection[str]) -> None:
    """Refuse a plateau, whose controller lowers one rate, where groups have their own."""
    if groups:
        message = f"lowers the rates of groups too: {', '.join(groups)}"
        bound = "another schedule, or one rate for all"
        raise refused(FieldError(f"config.{field}", message, _PLATEAU, bound))


def _plateau(arguments: Arguments) -> dict[str, Controller]:
    """Return the plateau, which the trainer gives metric_for_best_model, a loss by default."""
    name = (arguments.metric_for_best_model or "loss").removeprefix("eval_")
    params = specific(arguments)
    found = controlled(_PLACE, "transformers", _PLATEAU, params, metric=f"eval_{name}")
    return {} if found.controller is None else {"plateau": found.controller}


def _rate(arguments: Arguments, total: int | None, base: float) -> Definition:
    name, params = arguments.lr_scheduler_type, specific(arguments)
    if name != "constant":
        params["num_warmup_steps"] = warmup_of(arguments, total)
    if name not in _WITHOUT_TOTAL and total is not None:
        params["num_training_steps"] = total
    if name not in _WITHOUT_TOTAL and total is None and "stable" not in name:
        raise no_total()
    default = arguments.learning_rate
    return converted(_PLACE, "transformers", name, params, base, optimizer_default_lr=default)


def total_of(arguments: Arguments, lengths: TrainingLengths) -> int | None:
    """Return the length of the training, if it is known."""
    if arguments.max_steps > 0:
        return stated("max_steps", arguments.max_steps, lengths.total)
    if lengths.steps_per_epoch is None:
        return lengths.total
    epochs = arguments.num_train_epochs
    if lengths.total is not None and "num_train_epochs" not in arguments.model_fields_set:
        return lengths.total
    return stated("num_train_epochs", ceil(epochs * lengths.steps_per_epoch), lengths.total)


def check_deepspeed(block: Any) -> None:
    """Refuse a DeepSpeed file inside whose scheduler takes the place of the Trainer's."""
    if isinstance(block, Mapping) and block.get("scheduler") is not None:
        message = "sets the rate in place of lr_scheduler_type: convert that file, as deepspeed"
        value = shown(block["scheduler"])
        raise refused(FieldError("config.deepspeed.scheduler", message, value, "not given"))


def warmup_of(arguments: Arguments, total: int | None) -> int:
    """Return the steps of the warm-up, which may be a share of the training."""
    if arguments.warmup_steps >= 1:
        return int(arguments.warmup_steps)
    ratio = arguments.warmup_steps or arguments.warmup_ratio or 0.0
    if ratio > 0 and total is None:
        raise no_total()
    return ceil((total or 0) * ratio)


def no_total() -> Invalid:
    """Return the error for a training whose length must be known."""
    return missing("max_steps", OR_LENGTHS, "≥ 1")


def specific(arguments: Arguments) -> dict[str, Any]:
    """Return the scheduler's own parameters, which may be written as JSON."""
    given: Any = arguments.lr_scheduler_kwargs or {}
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            given = None
    if not isinstance(given, dict):
        message, value = "must be an object", arguments.lr_scheduler_kwargs
        raise refused(FieldError("config.lr_scheduler_kwargs", message, value, "an object"))
    return dict(given)


def doubt(config: Mapping[str, Any]) -> str | None:
    """Return why a file may be of a project with other defaults, as ms-swift, unsloth and TRL."""
    needed = ["learning_rate", "lr_scheduler_type", "weight_decay"]
    if config.get("lr_scheduler_type") not in {"constant", _PLATEAU}:
        needed += ["warmup_steps or warmup_ratio", "max_steps or num_train_epochs"]
    return leaves_out(config, *needed)


PROJECT = Project(
    "transformers",
    conversion,
    signs={"lr_scheduler_type", "lr_scheduler_kwargs"}
    | {"per_device_train_batch_size", "per_device_eval_batch_size"},
    flags={"lr_scheduler_type", "lr_scheduler_kwargs"}
    | {"per_device_train_batch_size", "per_device_eval_batch_size"},
    checked="trainings of the Trainer with random files",
    refused="a DeepSpeed file inside with a scheduler of its own",
    doubt=doubt,
)
