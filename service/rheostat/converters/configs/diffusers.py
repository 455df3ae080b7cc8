"""diffusers: the command lines of its training scripts, or the same arguments as an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from rheostat.converters.configs.project import Project, leaves_out
from rheostat.converters.configs.reading import (
    LENIENT,
    OR_LENGTHS,
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
from rheostat.errors import FieldError, Invalid
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_PLACE: Final = Place("config.lr_scheduler", "config")


class Arguments(BaseModel):
    """The arguments that describe a schedule, with the defaults that all the scripts share."""

    model_config = LENIENT

    learning_rate: Positive
    text_encoder_lr: Positive | None = None
    train_text_encoder: bool = False
    lr_scheduler: str
    lr_warmup_steps: Count = 500
    lr_num_cycles: Count = 1
    lr_power: NotNegative = 1.0
    max_train_steps: Length | None = None
    num_train_epochs: Count | None = None
    adam_weight_decay: NotNegative | None = None
    adam_weight_decay_text_encoder: NotNegative | None = None
    gradient_accumulation_steps: Length = 1
    scale_lr: bool = False


_READ: Final = Read(
    "diffusers",
    tuple(Arguments.model_fields),
    harmless={"ddpm_beta_schedule", "ema_decay", "ema_max_decay"}
    | {"ema_min_decay", "huber_schedule", "max_train_samples", "text_encoder_lora_r"}
    | {"use_ema_warmup", "validation_scheduler"},
)


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate, that of the text encoder, and the weight decay.

    Most scripts multiply the lengths of the schedule by the number of processes, and Accelerate
    makes so many steps of it at each of the training's, so that their number plays no part. Some
    multiply them by gradient_accumulation_steps, and others do not.
    """
    arguments = read(Arguments, config)
    check_unknown(config, _READ)
    _check(arguments)
    total = _total(arguments, lengths)
    params = _params(arguments, total)
    bases = {"lr": arguments.learning_rate}
    if arguments.train_text_encoder and arguments.text_encoder_lr is not None:
        bases["lr/text_encoder"] = arguments.text_encoder_lr
    rates: dict[str, Definition] = {
        name: converted(
            _PLACE,
            "diffusers",
            arguments.lr_scheduler,
            params,
            base,
            optimizer_default_lr=arguments.learning_rate,
        )
        for name, base in bases.items()
    }
    if arguments.adam_weight_decay is not None:
        rates["weight_decay"] = Constant(value=arguments.adam_weight_decay)
    encoder = arguments.adam_weight_decay_text_encoder
    if arguments.train_text_encoder and encoder is not None:
        rates["weight_decay/text_encoder"] = Constant(value=encoder)
    return ConfigConversion(rates, total=total, steps_per_epoch=lengths.steps_per_epoch)


def _total(arguments: Arguments, lengths: TrainingLengths) -> int | None:
    if arguments.max_train_steps is not None:
        return stated("max_train_steps", arguments.max_train_steps, lengths.total)
    if lengths.steps_per_epoch is None or arguments.num_train_epochs is None:
        return lengths.total
    steps = arguments.num_train_epochs * lengths.steps_per_epoch
    return stated("num_train_epochs", steps, lengths.total)


def _params(arguments: Arguments, total: int | None) -> dict[str, Any]:
    """Return what the scripts hand to `get_scheduler`, as its schedule of this name takes it."""
    name = arguments.lr_scheduler
    if name == "constant":
        return {}
    if name == "constant_with_warmup":
        return {"num_warmup_steps": arguments.lr_warmup_steps}
    if total is None:
        raise missing("max_train_steps", OR_LENGTHS, "≥ 1")
    lengths = {"num_warmup_steps": arguments.lr_warmup_steps, "num_training_steps": total}
    if name == "cosine_with_restarts":
        return {**lengths, "num_cycles": arguments.lr_num_cycles}
    if name == "polynomial":
        return {**lengths, "power": arguments.lr_power}
    return lengths


def _check(arguments: Arguments) -> None:
    """Refuse what depends on the script, or on the machines."""
    if arguments.scale_lr:
        message = "multiplies the rate by the number of processes: give the rate that comes out"
        raise _wrong("scale_lr", message, True, "false")
    if arguments.lr_scheduler == "piecewise_constant":
        message = "has no rules in the training scripts: convert the scheduler by its name"
        raise _wrong("lr_scheduler", message, arguments.lr_scheduler, "another schedule")
    steps = arguments.gradient_accumulation_steps
    if steps > 1 and arguments.lr_scheduler != "constant":
        message = "lengthens the schedule in some of the training scripts, and not in others"
        raise _wrong("gradient_accumulation_steps", message, steps, "1, with lengths in updates")


def _wrong(name: str, message: str, value: Any, bound: str) -> Invalid:
    return refused(FieldError(f"config.{name}", message, shown(value), bound))


_OTHER_IN_SIMPLETUNER: Final = ("cosine", "cosine_with_restarts", "polynomial")


def _doubt(config: Mapping[str, Any]) -> str | None:
    """Return why a file may be of SimpleTuner, whose arguments grew out of these scripts."""
    name = config.get("lr_scheduler")
    if name in _OTHER_IN_SIMPLETUNER:
        return f"lr_scheduler {name} is another curve in SimpleTuner"
    needed = () if name == "constant" else ("lr_warmup_steps",)
    return leaves_out(config, "learning_rate", "lr_scheduler", *needed)


_SIGNS: Final = frozenset(
    {"lr_num_cycles", "lr_power", "scale_lr", "checkpointing_steps", "checkpoints_total_limit"}
    | {"instance_data_dir", "instance_prompt", "validation_prompt", "validation_prompts"}
    | {"snr_gamma", "num_validation_images", "controlnet_model_name_or_path"}
)
PROJECT = Project(
    "diffusers",
    conversion,
    signs=_SIGNS,
    flags=_SIGNS,
    checked="the library's own schedulers with random scripts, and its scripts' arithmetic",
    refused="scale_lr, piecewise_constant, and accumulated gradients unless the rate is constant",
    doubt=_doubt,
)
