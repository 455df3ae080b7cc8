"""GPT-NeoX since May 2026: its YAML and JSON files, with hyphens or underscores."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    OR_TOTAL,
    AtLeastOne,
    ConfigConversion,
    Place,
    TrainingLengths,
    controlled,
    missing,
    stated,
)
from rheostat.converters.configs.sections import section
from rheostat.converters.core import refused
from rheostat.converters.kit import Phase, phases
from rheostat.converters.parameters import NotNegative, Positive
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

RELEASED = "AnnealingLR-v2.0"
"""The scheduler of releases 1.0 and 2.0."""
_PLACE = Place("config", "config")
_HARMLESS = {"use_checkpoint_lr_scheduler", "override_lr_scheduler", "mmap_warmup", "num_samples"}
_BLOCKS = {"curriculum_learning", "data_efficiency", "compression_training", "quantize_training"}
"""DeepSpeed's blocks, with schedules of other things."""


class File(BaseModel):
    """The fields that matter, with the defaults of NeoXArgs."""

    model_config = LENIENT

    optimizer: Any = None
    min_lr: NotNegative = 0.0
    lr_decay_style: Literal["constant", "linear", "cosine", "exponential"] = "linear"
    lr_decay_iters: AtLeastOne | None = None
    lr_decay_fraction: Positive | None = None
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.01
    train_iters: AtLeastOne | None = None
    train_batch_size: AtLeastOne | None = None
    weight_decay: float = 0.1
    use_mup: bool = False


class Optimizer(BaseModel):
    """The optimizer."""

    model_config = LENIENT

    type: str = "adam"
    params: Any = None


class Parameters(BaseModel):
    """The parameters of the optimizer."""

    model_config = LENIENT

    lr: NotNegative = 0.001


def conversion(
    config: Mapping[str, Any],
    lengths: TrainingLengths,
    scheduler: str = "AnnealingLR",
    *,
    from_zero: bool = False,
) -> ConfigConversion:
    """
    Return the learning rate and the weight decay, and the batch size where it is given.

    ``from_zero`` is of versions whose first update has no rate if there is a warm-up.
    """
    file = section(
        "gpt_neox",
        File,
        _underscored(config),
        harmless=_HARMLESS,
        other_schedules=_BLOCKS,
    )
    _check(file)
    if scheduler == RELEASED:
        _check_released(file)
    total = lengths.total
    if file.train_iters is not None:
        total = stated("train_iters", file.train_iters, lengths.total)
    if total is None:
        raise missing("train_iters", OR_TOTAL, "≥ 1")
    decay = _decay(file, total)
    params = {
        "start_lr": _optimizer(file),
        "warmup_iter": file.warmup * decay,
        "total_iters": decay,
        "decay_style": file.lr_decay_style,
        "min_lr": file.min_lr,
    }
    rate = controlled(_PLACE, "gpt_neox", scheduler, params).curve
    if from_zero and file.warmup:
        rate = phases(Phase(Constant(value=0.0), until=1), Phase(rate))
    parameters: dict[str, Definition] = {
        "lr": rate,
        "weight_decay": Constant(value=file.weight_decay),
    }
    if file.train_batch_size is not None:
        parameters["batch_size"] = Constant(value=file.train_batch_size)
    return ConfigConversion(parameters, total=total, steps_per_epoch=lengths.steps_per_epoch)


def _underscored(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with underscores; one that comes in both spellings is refused."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        spelled = str(name).replace("-", "_")
        if spelled in found:
            message = "is there with hyphens, and with underscores"
            raise refused(FieldError(f"config.{spelled}", message, shown(value), "given once"))
        found[spelled] = value
    return found


def _check(file: File) -> None:
    """Refuse what makes the rate another one for some groups, and lengths that exclude others."""
    if file.use_mup:
        message = "divides the rate of each group by its width, which is not in the file"
        raise refused(FieldError("config.use_mup", message, True, "false"))
    if file.lr_decay_iters is not None and file.lr_decay_fraction is not None:
        message, value = "excludes lr_decay_iters", shown(file.lr_decay_fraction)
        raise refused(FieldError("config.lr_decay_fraction", message, value, "not given"))


def _check_released(file: File) -> None:
    """Refuse what releases 1.0 and 2.0 do not have."""
    if file.warmup > 0.5:
        message = "takes more than half of the decay"
        raise refused(FieldError("config.warmup", message, file.warmup, "≤ 0.5"))
    if file.lr_decay_fraction is not None:
        message, value = "is a field of later versions", shown(file.lr_decay_fraction)
        raise refused(FieldError("config.lr_decay_fraction", message, value, "not given"))


def _optimizer(file: File) -> float:
    """Return the optimizer's rate."""
    path = "config.optimizer"
    optimizer = section("gpt_neox", Optimizer, file.optimizer, path)
    if optimizer.type.lower() == "onebitadam":
        message = "has its schedule from DeepSpeed: convert that as deepspeed's WarmupDecayLR"
        raise refused(FieldError(f"{path}.type", message, optimizer.type, "another optimizer"))
    return section("gpt_neox", Parameters, optimizer.params, f"{path}.params").lr


def _decay(file: File, total: int) -> int:
    """Return the length of the warm-up and the decay."""
    if file.lr_decay_iters is not None:
        return file.lr_decay_iters
    if file.lr_decay_fraction is not None:
        return max(1, floor(total * file.lr_decay_fraction))
    return total


def tells(config: Mapping[str, Any]) -> list[str]:
    """Return what of Megatron's stands beside an optimizer as DeepSpeed writes it."""
    optimizer = config.get("optimizer")
    if not isinstance(optimizer, Mapping) or "params" not in optimizer:
        return []
    own = {"lr_decay_style", "lr_decay_iters", "train_iters", "model_parallel_size"}
    return [str(name) for name in config if str(name).replace("-", "_") in own]


def tells_an_older_one(config: Mapping[str, Any]) -> list[str]:
    """Return the fields of `gpt_neox`, whose files these are too, so that the version is asked."""
    return tells(config)


PROJECT = Project(
    "gpt_neox",
    conversion,
    signs={"pipe_parallel_size", "pipe-parallel-size", "no_weight_tying", "no-weight-tying"}
    | {"checkpoint_factor", "checkpoint-factor", "gpt_j_residual", "gpt-j-residual"},
    tells=tells,
    embeds={"deepspeed"},
    checked="the function of AnnealingLR, from its text",
    refused="muP, whose groups have rates of their own; epochs in place of iterations; OnebitAdam; "
    "a version that is not said, since the releases have other curves",
)
