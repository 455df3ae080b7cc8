"""LLaMA-Factory: the files of `llamafactory-cli train`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from rheostat.converters.configs import transformers
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    ConfigConversion,
    TrainingLengths,
    read,
    stated,
)
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.core import refused
from rheostat.converters.parameters import Length, Positive, Steps
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_WSD: Final = "warmup_stable_decay"
_OTHER_TRAINERS: Final = (
    *("use_mca", "use_megatron_bridge", "tensor_model_parallel_size"),
    *("pipeline_model_parallel_size", "lr_scheduler_config"),
)
"""Fields of its Megatron trainers, and of plugins, which have schedules of their own."""
_OF_VERSION_1: Final = frozenset({"dist_config", "kernel_config", "model_class", "train_dataset"})


class Arguments(transformers.Arguments):
    """The fields of `TrainingArguments`, and those of LLaMA-Factory that set a rate."""

    stage: str = "sft"
    learning_rate: Positive = 5e-5
    loraplus_lr_ratio: Positive | None = None
    loraplus_lr_embedding: Positive = 1e-6


class Version1(BaseModel):
    """The fields of a file of version 1, whose trainer is its own."""

    model_config = LENIENT

    learning_rate: Positive = 1e-4
    max_steps: Steps | None = None
    num_train_epochs: Length = 3
    optim_config: dict[str, Any] | None = None


_READ_OF_VERSION_1: Final = Read("llamafactory", tuple(Version1.model_fields))
_READ: Final = Read(
    "llamafactory",
    tuple(Arguments.model_fields),
    harmless={*transformers.HARMLESS, "profiler_warmup_steps"},
    apart=transformers.APART,
)
_SIGNS: Final = frozenset({"finetuning_type", "lora_target", "plot_loss"})


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate and the weight decay, as from `TrainingArguments`.

    Of warmup_stable_decay it fills in what lr_scheduler_kwargs leaves out: a third of what follows
    the warm-up is stable, and the rest decays. With loraplus_lr_ratio, lr/lora_b and lr/embedding
    are the rates of the matrices B and of the embeddings. In a file of version 1 the rate is
    constant.
    """
    _check_trainer(config)
    if _OF_VERSION_1 & config.keys():
        return _version_1(config, lengths)
    arguments = read(Arguments, config)
    check_unknown(config, _READ)
    _check_stage(arguments)
    groups = {}
    if arguments.loraplus_lr_ratio is not None:
        groups["lr/lora_b"] = arguments.learning_rate * arguments.loraplus_lr_ratio
        groups["lr/embedding"] = arguments.loraplus_lr_embedding
    return transformers.trained(_filled(arguments, lengths), config, lengths, groups)


def _version_1(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """Return the rate of version 1's trainer, and the weight decay of its own optimizer."""
    file = read(Version1, config)
    check_unknown(config, _READ_OF_VERSION_1)
    total, length = lengths.total, lengths.steps_per_epoch
    if file.max_steps is not None and file.max_steps > 0:
        total = stated("max_steps", file.max_steps, total)
    elif length is not None:
        total = stated("num_train_epochs", file.num_train_epochs * length, total)
    rates: dict[str, Definition] = {"lr": Constant(value=file.learning_rate)}
    if file.optim_config is None:
        rates["weight_decay"] = Constant(value=0.01)
    return ConfigConversion(rates, total=total, steps_per_epoch=length)


def _filled(arguments: Arguments, lengths: TrainingLengths) -> Arguments:
    """Return the arguments with the stages of warmup_stable_decay."""
    if arguments.lr_scheduler_type != _WSD:
        return arguments
    total = transformers.total_of(arguments, lengths)
    if total is None:
        raise transformers.no_total()
    rest = total - transformers.warmup_of(arguments, total)
    stages = {"num_stable_steps": rest // 3, "num_decay_steps": rest - rest // 3}
    given = transformers.specific(arguments)
    return arguments.model_copy(update={"lr_scheduler_kwargs": {**stages, **given}})


def _check_trainer(config: Mapping[str, Any]) -> None:
    for name in _OTHER_TRAINERS:
        if config.get(name) not in (None, False):
            message = "chooses a trainer of LLaMA-Factory's whose schedule is another one"
            raise refused(FieldError(f"config.{name}", message, shown(config[name]), "not given"))


def _check_stage(arguments: Arguments) -> None:
    if arguments.stage == "ppo":
        message = "counts the steps of its schedule by itself, in batches of its buffer"
        bound = "pt, sft, rm, dpo or kto"
        raise refused(FieldError("config.stage", message, arguments.stage, bound))


PROJECT = Project(
    "llamafactory",
    conversion,
    signs=_SIGNS,
    flags=_SIGNS,
    embeds=("transformers",),
    checked="trainings of the Trainer with random files, and LLaMA-Factory's stages",
    refused="the stage ppo, the trainers of Megatron, and schedules of plugins",
)
