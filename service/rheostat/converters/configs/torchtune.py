"""torchtune: the YAML files of its recipes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    ConfigConversion,
    Place,
    TrainingLengths,
    converted,
    missing,
    read,
    stated,
)
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.core import refused
from rheostat.converters.parameters import Count, Length, NotNegative, Positive
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_COSINE: Final = "get_cosine_schedule_with_warmup"
_PLACE: Final = Place("config.lr_scheduler._component_", "config.lr_scheduler")


class Optimizer(BaseModel):
    """The optimizer's parameters that a run can have."""

    model_config = LENIENT

    lr: Positive
    weight_decay: NotNegative | None = None


class Scheduler(BaseModel):
    """The schedule, which is the only one of torchtune."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", populate_by_name=True)

    num_warmup_steps: Count
    num_cycles: NotNegative = 0.5


class File(BaseModel):
    """The blocks of the file that matter."""

    model_config = LENIENT

    optimizer: dict[str, Any]
    lr_scheduler: dict[str, Any] | None = None
    epochs: Length | None = None
    max_steps_per_epoch: Length | None = None


_READ: Final = Read(
    "torchtune", tuple(File.model_fields), harmless={"max_tokens"}, apart={"profiler"}
)
_READ_OF_OPTIMIZER: Final = Read("torchtune", ("_component_", *Optimizer.model_fields))


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate, and the weight decay if the file sets it.

    Without lr_scheduler the rate is constant. An epoch has no more than max_steps_per_epoch steps.
    """
    if config.get("ppo_epochs") is not None:
        message = "counts the steps of its schedule by itself, in batches of its trajectories"
        value = shown(config["ppo_epochs"])
        raise refused(FieldError("config.ppo_epochs", message, value, "another recipe"))
    file = read(File, config)
    check_unknown(config, _READ)
    optimizer = read(Optimizer, file.optimizer, "config.optimizer")
    check_unknown(file.optimizer, _READ_OF_OPTIMIZER, "config.optimizer")
    length, total = _lengths(file, lengths)
    rates: dict[str, Definition] = {"lr": Constant(value=optimizer.lr)}
    if file.lr_scheduler is not None:
        rates["lr"] = _scheduled(file.lr_scheduler, optimizer.lr, total)
    if optimizer.weight_decay is not None:
        rates["weight_decay"] = Constant(value=optimizer.weight_decay)
    return ConfigConversion(rates, total=total, steps_per_epoch=length)


def _scheduled(block: Mapping[str, Any], base: float, total: int | None) -> Definition:
    """Return the schedule of a block; other components do not take torchtune's arguments."""
    path = str(block.get("_component_"))
    if path.rpartition(".")[2] != _COSINE:
        bound = f"torchtune.training.lr_schedulers.{_COSINE}"
        raise refused(FieldError(_PLACE.name, f"must be {bound}", shown(path), bound))
    fields = {name: value for name, value in block.items() if name != "_component_"}
    scheduler = read(Scheduler, fields, "config.lr_scheduler")
    if total is None:
        message = "is required: epochs counts epochs"
        raise refused(FieldError("steps_per_epoch", message, None, "≥ 1, or else total"))
    params = {**scheduler.model_dump(), "num_training_steps": total}
    return converted(_PLACE, "transformers", _COSINE, params, base)


def _lengths(file: File, lengths: TrainingLengths) -> tuple[int | None, int | None]:
    """Return the steps of an epoch and of the training, as far as they are known."""
    length = lengths.steps_per_epoch
    if length is None:
        return None, lengths.total
    if file.epochs is None:
        raise missing("epochs", "to know how long the training is", "≥ 1")
    if file.max_steps_per_epoch is not None:
        length = min(length, file.max_steps_per_epoch)
    return length, stated("epochs", file.epochs * length, lengths.total)


def _tells(config: Mapping[str, Any]) -> list[str]:
    """Return the blocks whose component is torchtune's."""
    return [
        f"{name}._component_"
        for name, block in config.items()
        if isinstance(block, Mapping) and str(block.get("_component_", "")).startswith("torchtune.")
    ]


PROJECT = Project(
    "torchtune",
    conversion,
    signs=(),
    tells=_tells,
    checked="torchtune's components with random files, and the recipes' arithmetic",
    refused="components that are not torchtune's, and its recipe for PPO",
)
