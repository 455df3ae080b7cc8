"""Levanter: its YAML files, or the optimizer's block alone."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, Field

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
from rheostat.converters.kit import levels
from rheostat.converters.parameters import Count, NotNegative
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.pointwise import Follow

_WEIGHT_DECAYS = {"mini": 0.0, "muon": 0.0, "soap": 0.0} | dict.fromkeys(
    ("adam", "adopt", "cautious", "kron", "lion", "mars", "rmsprop", "sophia-h"), 0.1
)
"""The weight decay of each optimizer, where the file does not say it."""
_OWN = {"type", "weight_decay", "adam_lr", "adamc_weight_decay", "stable"}
"""What the optimizer has beside its schedule."""
_NO_RATES = {"default_weight_decay_mask", "weight_decay_modules", "preconditioner_lr"}


class File(BaseModel):
    """The blocks that matter."""

    model_config = LENIENT

    optimizer: Any = None
    trainer: Any = None


class Optimizer(BaseModel):
    """The optimizer, with what its schedule is made of."""

    model_config = LENIENT

    type: str = "adam"
    weight_decay: NotNegative | None = None
    adam_lr: NotNegative = 6e-4
    adamc_weight_decay: bool = False
    learning_rate: NotNegative = 6e-4
    min_lr_ratio: float | None = None
    warmup: float | None = None
    decay: float | None = None
    rewarmup: float | None = None
    cooldown: float | None = None
    cycle_length: Any = None
    cycles: Any = None
    haps: Any = None
    lr_schedule: Any = None
    stable: NotNegative | None = None


class BatchSize(BaseModel):
    """The batch from a step on."""

    model_config = LENIENT

    start: Count
    value: AtLeastOne


class Trainer(BaseModel):
    """The length of the training, and its batch."""

    model_config = LENIENT

    num_train_steps: AtLeastOne | None = None
    train_batch_size: AtLeastOne | Annotated[list[BatchSize], Field(min_length=1)] | None = None


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """Return the learning rate, the weight decay, and the batch size where it is given."""
    block, path, trainer = _blocks(config)
    optimizer = section("levanter", Optimizer, block, path, harmless=_NO_RATES)
    if optimizer.type not in _WEIGHT_DECAYS:
        bound = f"one of {', '.join(sorted(_WEIGHT_DECAYS))}"
        message = "has a rate that is not the schedule's alone"
        raise refused(FieldError(f"{path}.type", message, shown(optimizer.type), bound))
    if optimizer.stable:
        message = "is of versions before November 2024: say by decay what is not stable"
        raise refused(FieldError(f"{path}.stable", message, optimizer.stable, "not given"))
    total = trainer.num_train_steps or lengths.total
    if total is None and path == "config":
        raise missing("trainer.num_train_steps", OR_TOTAL, "≥ 1")
    total = stated("trainer.num_train_steps", total or 400_000, lengths.total)
    params = optimizer.model_dump(exclude_none=True, exclude=_OWN)
    params["num_train_steps"] = total
    place = Place(path, path)
    parameters = {"lr": converted(place, "levanter", "lr_scheduler", params)}
    if optimizer.type == "muon":
        params["override_lr"] = optimizer.adam_lr
        parameters["lr/adam"] = converted(place, "levanter", "lr_scheduler", params)
    parameters["weight_decay"] = _weight_decay(optimizer)
    if trainer.train_batch_size is not None:
        parameters["batch_size"] = _batch_size(trainer.train_batch_size)
    return ConfigConversion(parameters, total=total, steps_per_epoch=lengths.steps_per_epoch)


def _blocks(config: Mapping[str, Any]) -> tuple[Any, str, Trainer]:
    """Return the optimizer's block, where it stands, and the trainer's."""
    if "optimizer" not in config and ("learning_rate" in config or "lr_schedule" in config):
        return config, "config", Trainer()
    file = section("levanter", File, config, apart={"data", "model"}, harmless={"epoch"})
    inside = set(file.trainer) if isinstance(file.trainer, Mapping) else set()
    trainer = section("levanter", Trainer, file.trainer, "config.trainer", apart=inside)
    return file.optimizer, "config.optimizer", trainer


def _weight_decay(optimizer: Optimizer) -> Definition:
    value = optimizer.weight_decay
    value = _WEIGHT_DECAYS[optimizer.type] if value is None else value
    if optimizer.adamc_weight_decay and optimizer.learning_rate > 0:
        return Follow(parameter="lr", scale=value / optimizer.learning_rate)
    return Constant(value=value)


def _batch_size(given: int | list[BatchSize]) -> Definition:
    """Return the batch size, which may change at steps."""
    if isinstance(given, int):
        return Constant(value=given)
    path = "config.trainer.train_batch_size"
    starts = [item.start for item in given]
    if starts[0] != 0 or any(start >= after for start, after in pairwise(starts)):
        raise refused(FieldError(path, "must start at 0, and grow", shown(starts), "0 < …"))
    return levels(starts[1:], [float(item.value) for item in given])


def _tells(config: Mapping[str, Any]) -> list[str]:
    """Return what an optimizer's block alone has of Levanter's: two of its fields together."""
    own = {"lr_schedule", "min_lr_ratio", "rewarmup", "cycle_length"}
    found = sorted(own & {str(name) for name in config})
    return found if len(found) > 1 else []


PROJECT = Project(
    "levanter",
    conversion,
    signs={"optimizer.lr_schedule", "optimizer.min_lr_ratio", "optimizer.rewarmup"}
    | {"optimizer.cycle_length", "optimizer.weight_decay_modules", "trainer.num_train_steps"}
    | {"trainer.per_device_parallelism", "trainer.tensor_parallel_axes"},
    tells=_tells,
    checked="the function of OptimizerConfig.lr_scheduler, over optax",
    refused="the schedule power; optimizers whose rate is scaled for some weights",
)
