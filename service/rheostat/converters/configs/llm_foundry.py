"""MosaicML LLM Foundry: its YAML files of trainings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import ceil
from typing import Any, Final

from pydantic import BaseModel

from rheostat.converters.composer import TrainerState
from rheostat.converters.configs.interpolation import resolved
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    AtLeastOne,
    ConfigConversion,
    Place,
    TrainingLengths,
    converted,
    missing,
    stated,
)
from rheostat.converters.configs.sections import section
from rheostat.converters.core import refused
from rheostat.converters.parameters import Positive
from rheostat.errors import FieldError, Invalid
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_PLACE: Final = Place("config.scheduler.name", "config.scheduler")
_FIELDS: Final = {
    "context.max_duration": "config.max_duration",
    "context.scale_schedule_ratio": "config.scale_schedule_ratio",
    "context.batch_size": "config.global_train_batch_size",
    "context.tokens_per_sample": "config.max_seq_len",
    "context.dataloader_len": "steps_per_epoch",
}
"""Where in the file stands what the trainer knows; the length of an epoch is not in it."""
_NO_SCHEDULE: Final = (
    {"algorithms", "callbacks", "compile_config", "eval_loader", "eval_loaders", "fsdp_config"}
    | {"icl_tasks", "loggers", "model", "parallelism_config", "profiler", "tokenizer"}
    | {"train_loader", "tp_config", "variables", "deepspeed_config"}
)


class File(BaseModel):
    """The fields that matter."""

    model_config = LENIENT

    scheduler: Any = None
    optimizer: Any = None
    train_loader: Any = None
    max_duration: int | str
    scale_schedule_ratio: Positive = 1.0
    global_train_batch_size: AtLeastOne | None = None
    max_seq_len: AtLeastOne | None = None


class Optimizer(BaseModel):
    """The optimizer."""

    model_config = LENIENT

    lr: Positive
    weight_decay: float | None = None


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate, and the weight decay and the batch size where they are given.

    A whole number as max_duration counts epochs; epochs need steps_per_epoch.
    """
    here = {name: value for name, value in config.items() if name in File.model_fields}
    file = section(
        "llm_foundry", File, {**config, **resolved(config, here, "config")}, apart=_NO_SCHEDULE
    )
    optimizer = section(
        "llm_foundry",
        Optimizer,
        resolved(config, file.optimizer, "config.optimizer"),
        "config.optimizer",
    )
    context = _context(file, lengths)
    name, params = _scheduler(resolved(config, file.scheduler, "config.scheduler"))
    try:
        rate = converted(_PLACE, "llm_foundry", name, params, optimizer.lr, context=context)
        total = _total(context)
    except Invalid as error:
        errors = [replace(item, field=_FIELDS.get(item.field, item.field)) for item in error.errors]
        raise Invalid(error.detail, errors=errors) from None
    parameters: dict[str, Definition] = {"lr": rate}
    if optimizer.weight_decay is not None:
        parameters["weight_decay"] = Constant(value=optimizer.weight_decay)
    if file.global_train_batch_size is not None:
        parameters["batch_size"] = Constant(value=file.global_train_batch_size)
    total = stated("max_duration", total, lengths.total)
    return ConfigConversion(parameters, total=total, steps_per_epoch=lengths.steps_per_epoch)


def _context(file: File, lengths: TrainingLengths) -> dict[str, Any]:
    """Return what the trainer knows; a sample of a dataset of text is of one length."""
    duration = file.max_duration
    known: dict[str, Any] = {
        "max_duration": f"{duration}ep" if isinstance(duration, int) else duration,
        "scale_schedule_ratio": file.scale_schedule_ratio,
        "batch_size": file.global_train_batch_size,
        "dataloader_len": lengths.steps_per_epoch,
    }
    loader = file.train_loader
    if isinstance(loader, Mapping) and loader.get("name") == "text":
        known["tokens_per_sample"] = file.max_seq_len
    return {name: value for name, value in known.items() if value is not None}


def _scheduler(content: Any) -> tuple[str, dict[str, Any]]:
    """Return the scheduler's name, and its parameters."""
    if not isinstance(content, Mapping):
        raise missing("scheduler", "with the name of one", "an object")
    name = content.get("name")
    if not isinstance(name, str):
        message = "is required: the scheduler's name"
        raise refused(FieldError(_PLACE.name, message, shown(name), "cosine_with_warmup, …"))
    return name, {key: value for key, value in content.items() if key != "name"}


def _total(context: Mapping[str, Any]) -> int:
    """Return the length of the training in batches."""
    state = TrainerState.of(context)
    return ceil(state.in_batches(state.whole()))


def _tells(config: Mapping[str, Any]) -> list[str]:
    """Return the length of the warm-up, which is a text here, and a number of others."""
    scheduler = config.get("scheduler")
    warmup = scheduler.get("t_warmup") if isinstance(scheduler, Mapping) else None
    return ["scheduler.t_warmup"] if isinstance(warmup, str) else []


PROJECT = Project(
    "llm_foundry",
    conversion,
    signs={"train_loader", "icl_tasks", "eval_first", "scheduler.alpha_f_decay"},
    tells=_tells,
    checked="Composer's own classes, also with random files",
    refused="times in tokens of samples that are not of one length, and groups of weights with "
    "a rate or a weight decay of their own",
)
