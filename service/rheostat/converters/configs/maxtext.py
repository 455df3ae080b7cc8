"""MaxText: its YAML files, whole or as changes of base.yml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel

from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    ConfigConversion,
    Place,
    TrainingLengths,
    converted,
    stated,
)
from rheostat.converters.configs.sections import section
from rheostat.converters.core import refused
from rheostat.converters.parameters import Steps
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_PLACE = Place("config", "config")
_OLDER, _NEWER = "cosine_learning_rate_final_fraction", "learning_rate_final_fraction"
"""Fields of the versions before 2026, and of those since, whose cosines differ by a step."""
_NOT_OF_THE_SCHEDULE = {
    "opt_type",
    "adam_weight_decay",
    "muon_weight_decay",
    "enable_rampup_batch_size",
}
_OTHER_SCHEDULES = {
    "distill_alpha_schedule",
    "distill_beta_schedule",
    "distill_temperature_schedule",
    "enable_model_warmup",
    "use_batch_split_schedule",
    "use_splash_scheduler",
    "local_use_splash_scheduler",
    "global_rampup_samples",
    "num_epoch",
    "diloco_outer_lr",
}


class File(BaseModel):
    """The fields that matter, with the defaults of base.yml where the schedule has none."""

    model_config = LENIENT

    steps: Steps | None = None
    learning_rate: float | None = None
    lr_schedule_type: str | None = None
    learning_rate_final_fraction: float | None = None
    cosine_learning_rate_final_fraction: float | None = None
    wsd_decay_steps_fraction: float | None = None
    wsd_decay_style: str | None = None
    warmup_steps_fraction: float | None = None
    learning_rate_schedule_steps: Steps | None = None
    enable_rampup_batch_size: bool = False
    opt_type: Literal["adamw", "adam_pax", "sgd", "muon"] = "adamw"
    adam_weight_decay: float = 0.1
    muon_weight_decay: float = 0.0


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """Return the learning rate, and the weight decay of the optimizer."""
    file = section("maxtext", File, config, harmless=_OTHER_SCHEDULES)
    if file.enable_rampup_batch_size:
        message = "makes a batch that grows with the number of devices, which is not in the file"
        raise refused(FieldError("config.enable_rampup_batch_size", message, True, "false"))
    params = file.model_dump(exclude_none=True, exclude=_NOT_OF_THE_SCHEDULE)
    if {_OLDER, _NEWER} <= params.keys():
        message, value = f"is of versions that have no {_NEWER}", shown(params[_OLDER])
        raise refused(FieldError(f"config.{_OLDER}", message, value, "not given"))
    if file.steps is None and lengths.total is not None:
        params["steps"] = lengths.total
    rate = converted(_PLACE, "maxtext", "create_learning_rate_schedule", params)
    total = params.get("steps", 150_001)
    if total == -1:
        total = params["learning_rate_schedule_steps"]
    parameters: dict[str, Definition] = {"lr": rate}
    if file.opt_type in {"adamw", "adam_pax"}:
        parameters["weight_decay"] = Constant(value=file.adam_weight_decay)
    if file.opt_type == "muon":
        parameters["weight_decay"] = Constant(value=file.muon_weight_decay)
        parameters["weight_decay/adam"] = Constant(value=file.adam_weight_decay)
    total = stated("steps", total, lengths.total)
    return ConfigConversion(parameters, total=total, steps_per_epoch=lengths.steps_per_epoch)


PROJECT = Project(
    "maxtext",
    conversion,
    signs={"warmup_steps_fraction", "learning_rate_final_fraction", "learning_rate_schedule_steps"}
    | {"cosine_learning_rate_final_fraction", "wsd_decay_steps_fraction", "base_emb_dim"}
    | {"base_output_directory", "per_device_batch_size_start", "ici_fsdp_parallelism"},
    checked="the function of create_learning_rate_schedule, over optax",
    refused="a batch that ramps up; changes on the command line, which are no flags",
)
