"""mlx-lm: the YAML files of `mlx_lm.lora`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    ConfigConversion,
    Place,
    TrainingLengths,
    check_whole,
    converted,
    read,
    stated,
)
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.core import refused
from rheostat.converters.mlx import library
from rheostat.converters.parameters import Count, Length, NotNegative, Positive
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_PLACE: Final = Place("config.lr_schedule.name", "config.lr_schedule.arguments")
_DECAYS: Final = {"adamw": 0.01, "muon": 0.01}
"""The weight decay of MLX's optimizers that have one by default."""


class Schedule(BaseModel):
    """The schedule, and its arguments in their order: the first is the rate it starts from."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    name: str
    arguments: list[float] = Field(min_length=1)
    warmup: Count = 0
    warmup_init: NotNegative = 0.0


class File(BaseModel):
    """The fields that matter, with the defaults of the command."""

    model_config = LENIENT

    learning_rate: Positive = 1e-5
    lr_schedule: dict[str, Any] | None = None
    iters: Length = 1000
    grad_accumulation_steps: Length = 1
    optimizer: str = "adam"
    optimizer_config: dict[str, Any] | None = None


_READ: Final = Read(
    "mlx_lm", tuple(File.model_fields), harmless={"steps_per_report", "steps_per_eval"}
)


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate, and the weight decay of optimizers that have one.

    With lr_schedule, learning_rate plays no part. The warm-up reaches its peak at step warmup, and
    the schedule begins at the next one, so that the peak comes twice. The schedule counts updates:
    of grad_accumulation_steps iterations each.
    """
    check_whole(config, "config")
    check_whole(config, "c")
    file = read(File, config)
    check_unknown(config, _READ)
    updates = file.iters // file.grad_accumulation_steps
    if updates < 1:
        message = "is below grad_accumulation_steps: there would be no update"
        bound = f"≥ {file.grad_accumulation_steps}"
        raise refused(FieldError("config.iters", message, file.iters, bound))
    total = stated("iters", updates, lengths.total)
    rates: dict[str, Definition] = {"lr": Constant(value=file.learning_rate)}
    if file.lr_schedule is not None:
        rates["lr"] = _scheduled(read(Schedule, file.lr_schedule, "config.lr_schedule"))
    decay = _decay(file)
    if decay is not None:
        rates["weight_decay"] = Constant(value=decay)
    return ConfigConversion(rates, total=total, steps_per_epoch=lengths.steps_per_epoch)


def _scheduled(schedule: Schedule) -> Definition:
    params = _params(schedule)
    if not schedule.warmup:
        return converted(_PLACE, "mlx", schedule.name, params)
    ends = {"init": schedule.warmup_init, "end": schedule.arguments[0]}
    rise = {"name": "linear_schedule", "params": {**ends, "steps": schedule.warmup}}
    then = {"name": schedule.name, "params": params}
    joined = {"schedules": [rise, then], "boundaries": [schedule.warmup + 1]}
    return converted(_PLACE, "mlx", "join_schedules", joined)


def _params(schedule: Schedule) -> dict[str, Any]:
    """Return the arguments by their names."""
    known = library.find(schedule.name)
    if known is None or schedule.name == "join_schedules":
        names = ", ".join(name for name in library.names() if name != "join_schedules")
        message, bound = "is not a schedule of MLX", f"one of {names}"
        raise refused(FieldError(_PLACE.name, message, shown(schedule.name), bound))
    given = schedule.arguments
    if len(given) > len(known.parameters):
        bound = f"at most {len(known.parameters)}: {', '.join(known.parameters)}"
        message = f"has too many values: {bound}"
        raise refused(FieldError(_PLACE.params, message, shown(given), bound))
    return dict(zip(known.parameters, given, strict=False))


def _decay(file: File) -> float | None:
    """Return the weight decay of the optimizer that is chosen, if it has one."""
    own = (file.optimizer_config or {}).get(file.optimizer)
    given = own.get("weight_decay") if isinstance(own, Mapping) else None
    if given is None:
        return _DECAYS.get(file.optimizer)
    if isinstance(given, bool) or not isinstance(given, int | float):
        field = f"config.optimizer_config.{file.optimizer}.weight_decay"
        raise refused(FieldError(field, "must be a number", shown(given), "≥ 0"))
    return float(given)


_SIGNS: Final = frozenset(
    {"fine_tune_type", "lora_parameters", "steps_per_report", "steps_per_eval"}
    | {"lr_schedule.arguments", "lr_schedule.warmup_init"}
)
PROJECT = Project(
    "mlx_lm",
    conversion,
    signs=_SIGNS,
    flags={"fine_tune_type", "steps_per_report", "steps_per_eval"},
    checked="the schedules that mlx-lm builds of random files, in float32",
    refused="schedules that MLX does not have",
)
