"""torchtitan: its TOML files, and the dictionary of Trainer.Config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    AtLeastOne,
    ConfigConversion,
    Place,
    TrainingLengths,
    converted,
    stated,
)
from rheostat.converters.configs.sections import section
from rheostat.converters.core import refused
from rheostat.converters.parameters import Count, Steps
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_SCHEDULER = "config.lr_scheduler"
_NO_SCHEDULE = (
    {"activation_checkpoint", "checkpoint", "comm", "compile", "debug", "experimental"}
    | {"fault_tolerance", "metrics", "parallelism", "profiler", "profiling"}
    | {"validation", "validator"}
)


class File(BaseModel):
    """The sections of the file that matter."""

    model_config = LENIENT

    training: Any = None
    optimizer: Any = None
    lr_scheduler: Any = None


class Training(BaseModel):
    """The length of the training, and its batch."""

    model_config = LENIENT

    steps: AtLeastOne = 10_000
    global_batch_size: Steps = -1
    batch_size: Any = None


class Optimizer(BaseModel):
    """The optimizer, and its groups as torchtitan has them since 2026."""

    model_config = LENIENT

    lr: float = 8e-4
    weight_decay: float = 0.1
    param_groups: list[dict[str, Any]] | None = None


class Group(BaseModel):
    """A group of parameters."""

    model_config = LENIENT

    optimizer_kwargs: dict[str, Any] = {}


class Scheduler(BaseModel):
    """The schedule."""

    model_config = LENIENT

    warmup_steps: Count | None = None
    total_steps: AtLeastOne | None = None
    decay_ratio: float | None = None
    decay_type: str | None = None
    min_lr_factor: float | None = None
    lr_min: float | None = None


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """Return the learning rate, the weight decay, and the batch size where it is given."""
    file = section("torchtitan", File, config, apart=_NO_SCHEDULE)
    training = section(
        "torchtitan", Training, file.training, "config.training", harmless={"local_batch_size"}
    )
    if training.batch_size is not None:
        message = (
            "is of versions before June 2025, whose warm-up and decay took a step longer than now"
        )
        bound = "local_batch_size, in a file of later versions"
        raise refused(
            FieldError("config.training.batch_size", message, shown(training.batch_size), bound)
        )
    total = stated("training.steps", training.steps, lengths.total)
    optimizer = _optimizer(file.optimizer)
    params = {"training_steps": total, **_scheduler(file.lr_scheduler)}
    place = Place(_SCHEDULER, _SCHEDULER)
    name = "LRSchedulersContainer"
    parameters: dict[str, Definition] = {
        "lr": converted(place, "torchtitan", name, params, optimizer.lr),
        "weight_decay": Constant(value=optimizer.weight_decay),
    }
    if training.global_batch_size > 0:
        parameters["batch_size"] = Constant(value=training.global_batch_size)
    return ConfigConversion(parameters, total=total, steps_per_epoch=lengths.steps_per_epoch)


def _scheduler(content: Any) -> dict[str, Any]:
    """Return the scheduler's parameters that are given."""
    found = section("torchtitan", Scheduler, content, _SCHEDULER)
    if found.lr_min is not None:
        message = (
            "is of versions before August 2025, and before 11 June 2025 the warm-up and the decay "
            "took a step longer: the file does not say which version it is of"
        )
        bound = "min_lr_factor in its place, if it is of 11 June or later"
        raise refused(FieldError(f"{_SCHEDULER}.lr_min", message, found.lr_min, bound))
    return found.model_dump(exclude_none=True)


def _optimizer(content: Any) -> Optimizer:
    """Return the optimizer, whose groups must have one learning rate and one weight decay."""
    path = "config.optimizer"
    found = section("torchtitan", Optimizer, content, path)
    if not found.param_groups:
        return found
    groups = []
    for i, given in enumerate(found.param_groups):
        inside = f"{path}.param_groups[{i}]"
        group = section("torchtitan", Group, given, inside)
        groups.append(
            section("torchtitan", Optimizer, group.optimizer_kwargs, f"{inside}.optimizer_kwargs")
        )
    if any(group != groups[0] for group in groups):
        message = "differ in what they learn with: convert each for itself"
        rates = shown([[group.lr, group.weight_decay] for group in groups])
        raise refused(FieldError(f"{path}.param_groups", message, rates, "the same lr for all"))
    return groups[0]


PROJECT = Project(
    "torchtitan",
    conversion,
    signs={"lr_scheduler.decay_ratio", "lr_scheduler.decay_type", "lr_scheduler.min_lr_factor"}
    | {"training.local_batch_size", "training.num_tokens_per_microbatch_per_dp_rank"}
    | {"parallelism.data_parallel_shard_degree", "optimizer.early_step_in_backward"}
    | {"job.dump_folder", "optimizer.param_groups"},
    checked="LRSchedulersContainer.Config with random files",
    refused="groups with different rates; files of before August 2025, by `lr_min` and "
    "`batch_size`; a command line, which leaves the rest to a function",
)
