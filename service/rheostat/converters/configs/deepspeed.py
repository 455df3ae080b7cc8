"""DeepSpeed's JSON file: the blocks `optimizer` and `scheduler`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
)
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.core import refused
from rheostat.converters.deepspeed import library
from rheostat.converters.parameters import Length
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.kinds.curves import Constant

_PLACE = Place("config.scheduler.type", "config.scheduler.params")
_BETAS = ("adam", "lamb", "lion")
"""What is in the names of the optimizers whose momentum OneCycle sets: they have betas."""


class Section(BaseModel):
    """A scheduler, or an optimizer."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    type: str
    params: dict[str, Any] = {}


class OptimizerSection(Section):
    """An optimizer."""

    legacy_fusion: bool = False


class Optimizer(BaseModel):
    """The optimizer's parameters that a run can have."""

    model_config = LENIENT

    lr: float | None = None
    weight_decay: float | None = None


class File(BaseModel):
    """The blocks of the file that matter."""

    model_config = LENIENT

    optimizer: OptimizerSection | None = None
    scheduler: Section | None = None
    train_batch_size: Length | str | None = None


_READ = Read(
    "deepspeed",
    tuple(File.model_fields),
    other_schedules={
        "compression_training",
        "curriculum_learning",
        "data_efficiency",
        "quantize_training",
    },
)
_READ_OF_OPTIMIZER = Read("deepspeed", tuple(Optimizer.model_fields), harmless={"momentum_decay"})


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate, and the weight decay, momentum and batch size that the file sets.

    Without a scheduler the learning rate is the optimizer's. OneCycle sets the momentum of
    optimizers that have betas, as beta1, and their second beta to 0.99.
    """
    file = read(File, config)
    check_unknown(config, _READ)
    _check_written(file)
    optimizer = Optimizer()
    if file.optimizer is not None:
        place = "config.optimizer.params"
        optimizer = read(Optimizer, file.optimizer.params, place)
        check_unknown(file.optimizer.params, _READ_OF_OPTIMIZER, place)
    result: dict[str, Definition] = {}
    if file.scheduler is not None:
        result.update(_scheduled(file.scheduler, file.optimizer, optimizer.lr))
    elif optimizer.lr is not None:
        result["lr"] = Constant(value=optimizer.lr)
    else:
        raise missing("scheduler", "or else an optimizer with a learning rate", "an object")
    if optimizer.weight_decay is not None:
        result["weight_decay"] = Constant(value=optimizer.weight_decay)
    if isinstance(file.train_batch_size, int):  # and not "auto", which is no schedule's
        result["batch_size"] = Constant(value=file.train_batch_size)
    return ConfigConversion(result, total=lengths.total, steps_per_epoch=lengths.steps_per_epoch)


def _scheduled(
    scheduler: Section, optimizer: Section | None, lr: float | None
) -> dict[str, Definition]:
    """Return what the scheduler sets; one that DeepSpeed does not have is PyTorch's."""
    name, params = scheduler.type, scheduler.params
    origin = "deepspeed" if library.find(name) is not None else "torch"
    result = {"lr": converted(_PLACE, origin, name, params, lr)}
    if name == "OneCycle" and params.get("cycle_momentum", True) and _has_betas(optimizer):
        result["beta1"] = converted(_PLACE, origin, name, params, lr, hyperparameter="beta1")
        result["beta2"] = Constant(value=0.99)
    return result


def _has_betas(optimizer: Section | None) -> bool:
    return optimizer is not None and any(name in optimizer.type.lower() for name in _BETAS)


def _check_written(file: File) -> None:
    """Refuse "auto", which the Trainer of transformers fills in."""
    blocks = {"optimizer": file.optimizer, "scheduler": file.scheduler}
    errors = [
        FieldError(
            f"config.{block}.params.{name}",
            'is "auto": give the number that transformers would fill in',
            value,
            "a number",
        )
        for block, content in blocks.items()
        if content is not None
        for name, value in content.params.items()
        if value == "auto" and (block == "scheduler" or name in Optimizer.model_fields)
    ]
    if errors:
        raise refused(*errors)


def _blocks(config: Mapping[str, Any]) -> list[str]:
    """Return what only DeepSpeed has as an object: a precision, or a scheduler of its own."""
    found = [name for name in ("fp16", "bf16") if isinstance(config.get(name), Mapping)]
    scheduler = config.get("scheduler")
    name = scheduler.get("type") if isinstance(scheduler, Mapping) else None
    if isinstance(name, str) and library.find(name) is not None:
        found.append("scheduler.type")
    return found


PROJECT = Project(
    "deepspeed",
    conversion,
    signs={"train_micro_batch_size_per_gpu", "zero_optimization", "zero_allow_untested_optimizer"}
    | {"zero_force_ds_cpu_optimizer", "steps_per_print", "wall_clock_breakdown"}
    | {"prescale_gradients", "gradient_predivide_factor", "communication_data_type"}
    | {"progressive_layer_drop", "data_efficiency", "flops_profiler"},
    tells=_blocks,
    checked="the library's own schedulers, also with random files",
    refused='"auto", which the Trainer of transformers fills in',
)
