"""nanotron: its YAML files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel

from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    OR_TOTAL,
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
from rheostat.converters.parameters import Count, Positive
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.kinds.curves import Constant

_SCHEDULER = "config.optimizer.learning_rate_scheduler"
_PLACE = Place(_SCHEDULER, _SCHEDULER)
_NO_SCHEDULE = {"checkpoints", "data_stages", "general", "lighteval", "logging", "profiler"} | {
    "s3_upload",
    "tokenizer",
}


class File(BaseModel):
    """The sections that matter."""

    model_config = LENIENT

    optimizer: Any = None
    tokens: Any = None
    parallelism: Any = None
    model: Any = None


class Optimizer(BaseModel):
    """The optimizer, with its schedule."""

    model_config = LENIENT

    learning_rate_scheduler: Any = None
    weight_decay: float | None = None
    weight_decay_exclude_named_params: list[str] = []


class Scheduler(BaseModel):
    """The schedule; nanotron insists on the style of the warm-up."""

    model_config = LENIENT

    learning_rate: Positive
    lr_warmup_steps: Count = 0
    lr_warmup_style: Literal["linear", "constant"]
    lr_decay_style: str | None = None
    lr_decay_steps: Count | None = None
    lr_decay_starting_step: Count | None = None
    min_decay_lr: float | None = None


class Tokens(BaseModel):
    """The length of the training, and the parts of its batch."""

    model_config = LENIENT

    train_steps: AtLeastOne | None = None
    micro_batch_size: AtLeastOne | None = None
    batch_accumulation_per_replica: AtLeastOne | None = None


class Parallelism(BaseModel):
    """How many replicas there are."""

    model_config = LENIENT

    dp: AtLeastOne | None = None


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """Return the learning rate, the weight decay, and the batch size where its parts are given."""
    file = section("nanotron", File, config, apart=_NO_SCHEDULE)
    _check_width(file.model)
    optimizer = section(
        "nanotron",
        Optimizer,
        file.optimizer,
        "config.optimizer",
    )
    tokens = section("nanotron", Tokens, file.tokens, "config.tokens")
    scheduler = section("nanotron", Scheduler, optimizer.learning_rate_scheduler, _SCHEDULER)
    total = lengths.total
    if tokens.train_steps is not None:
        total = stated("tokens.train_steps", tokens.train_steps, lengths.total)
    if total is None:
        raise missing("tokens.train_steps", OR_TOTAL, "≥ 1")
    params = {**scheduler.model_dump(exclude_none=True), "total_training_steps": total}
    rate = scheduler.learning_rate
    parameters: dict[str, Definition] = {
        "lr": converted(_PLACE, "nanotron", "lr_scheduler_builder", params, rate)
    }
    if optimizer.weight_decay is not None:
        parameters["weight_decay"] = Constant(value=optimizer.weight_decay)
    if optimizer.weight_decay_exclude_named_params:
        parameters["weight_decay/excluded"] = Constant(value=0.0)
    replicas = section("nanotron", Parallelism, file.parallelism, "config.parallelism").dp
    parts = (replicas, tokens.micro_batch_size, tokens.batch_accumulation_per_replica)
    known = [part for part in parts if part is not None]
    if len(known) == len(parts):
        parameters["batch_size"] = Constant(value=known[0] * known[1] * known[2])
    return ConfigConversion(parameters, total=total, steps_per_epoch=lengths.steps_per_epoch)


def _check_width(model: Any) -> None:
    """Refuse what gives each weight a rate of its own."""
    method = model.get("init_method") if isinstance(model, Mapping) else None
    if isinstance(method, Mapping) and method.get("use_mup"):
        message = "gives each weight a rate by its shape, which is not in the file"
        raise refused(FieldError("config.model.init_method.use_mup", message, True, "false"))


PROJECT = Project(
    "nanotron",
    conversion,
    signs={"optimizer.learning_rate_scheduler", "optimizer.accumulate_grad_in_fp32"}
    | {
        "tokens.batch_accumulation_per_replica",
        "data_stages",
        "parallelism.tp_linear_async_communication",
    },
    checked="the function of lr_scheduler_builder, from its text",
    refused="muP, whose weights have rates of their own",
)
