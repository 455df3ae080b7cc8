"""fairseq: the YAML of `fairseq-hydra-train`, and the flags of `fairseq-train`."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, Field

from rheostat.converters.configs.flags import by_long_names
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    ConfigConversion,
    Model,
    Place,
    TrainingLengths,
    controlled,
    read,
    stated,
)
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.core import Conversion, refused
from rheostat.converters.fairseq import library
from rheostat.converters.kit import since
from rheostat.converters.mmengine import by_counts
from rheostat.converters.parameters import Count, NotNegative
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_MOST_CHARACTERS: Final = 10_000
_BLOCKS: Final = ("lr_scheduler", "optimization", "optimizer", "checkpoint")


def _listed(value: Any) -> Any:
    """Return a list of numbers that is written as a text: ``0.0005``, ``[0.1, 0.4]``, ``1,2``."""
    if isinstance(value, str) and len(value) <= _MOST_CHARACTERS:
        try:
            value = literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, list) or value is None else [value]


Numbers = Annotated[list[float], BeforeValidator(_listed)]


class Schedule(BaseModel):
    """The parameters of all schedules; those that a file leaves out have fairseq's defaults."""

    model_config = LENIENT

    warmup_updates: float | None = None
    warmup_init_lr: float | None = None
    force_anneal: float | None = None
    end_learning_rate: float | None = None
    power: float | None = None
    total_num_update: float | None = None
    min_lr: float | None = None
    max_lr: float | None = None
    t_mult: float | None = None
    lr_period_updates: float | None = None
    lr_shrink: float | None = None
    shrink_min: bool | None = None
    lr_deacy_period: float | None = None
    lr_decay: float | None = None
    warmup_steps: float | None = None
    hold_steps: float | None = None
    decay_steps: float | None = None
    phase_ratio: Numbers | None = None
    init_lr_scale: float | None = None
    final_lr_scale: float | None = None
    epoch2lr: str | dict[str, float] | None = None
    update2lr: str | dict[str, float] | None = None
    lr_threshold: float | None = None
    lr_patience: float | None = None


class Optimization(BaseModel):
    """The rate and the length of the training."""

    model_config = LENIENT

    lr: Annotated[Numbers, Field(min_length=1)] = [0.25]
    max_update: Count = 0
    max_epoch: Count = 0


class Optimizer(BaseModel):
    """What the optimizer holds constant."""

    model_config = LENIENT

    weight_decay: NotNegative = 0.0
    momentum: NotNegative | None = None
    relative_step: bool = False


class Network(BaseModel):
    """How the rate falls by the layer."""

    model_config = LENIENT

    layer_decay: NotNegative | None = None


class Checkpoint(BaseModel):
    """The metric that a plateau watches."""

    model_config = LENIENT

    best_checkpoint_metric: str = "loss"
    maximize_best_checkpoint_metric: bool = False


_HARMLESS: Final = {
    *("stop_min_lr", "freeze_finetune_updates", "max_tokens", "max_tokens_valid"),
    *("layer_decay", "ema_decay", "encoder_layerdrop", "decoder_layerdrop"),
}
_DECAYING: Final = {"mae_image_classification"}
"""Models with a decay by the layer by default."""
_OF_HYDRA: Final = Read(
    "fairseq",
    _BLOCKS,
    apart=_BLOCKS,
    other_schedules={
        *("common", "criterion", "dataset", "distributed_training", "ema", "model", "task"),
        *("bmuf", "common_eval", "eval_lm", "generation", "interactive", "scoring"),
    },
)
_OF_FLAGS: Final = Read(
    "fairseq",
    (
        "lr_scheduler",
        *Schedule.model_fields,
        *Optimization.model_fields,
        *Optimizer.model_fields,
        *Checkpoint.model_fields,
    ),
    harmless=_HARMLESS,
)
_OF_BLOCK: Final = {
    "lr_scheduler": Read("fairseq", ("_name", "lr", *Schedule.model_fields)),
    "optimization": Read("fairseq", tuple(Optimization.model_fields), harmless=_HARMLESS),
    "optimizer": Read("fairseq", ("_name", "lr", *Optimizer.model_fields), harmless={"decay_rate"}),
}


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the rate by updates, the weight decay and the momentum, and a plateau if there is one.

    Without a name the schedule is `fixed`, as in fairseq.
    """
    config = by_long_names(config, {"fa": "force_anneal"})
    nested = any(isinstance(config.get(name), Mapping) for name in _BLOCKS)
    check_unknown(config, _OF_HYDRA if nested else _OF_FLAGS)
    optimization = _block(Optimization, config, "optimization")
    optimizer = _block(Optimizer, config, "optimizer")
    if optimizer.relative_step:
        message = "lets Adafactor set the rate by itself"
        _, path = _place(config, "optimizer")
        raise refused(FieldError(f"{path}.relative_step", message, True, "false"))
    _check_layers(config)
    rate = _scheduled(config, optimization, lengths)
    given = {"weight_decay": optimizer.weight_decay, "momentum": optimizer.momentum}
    constants = {name: Constant(value=v) for name, v in given.items() if v is not None}
    rates: dict[str, Definition] = {"lr": rate.definition} if rate.definition else {}
    return ConfigConversion(
        {**rates, **constants},
        {"plateau": rate.controller} if rate.controller else {},
        total=_total(optimization, lengths),
        steps_per_epoch=lengths.steps_per_epoch,
    )


def _check_layers(config: Mapping[str, Any]) -> None:
    """Refuse a decay by the layer, which some models have unless the file says that it is 1."""
    block, path = _place(config, "model")
    decay = read(Network, block, path).layer_decay
    named = str(block.get("_name", block.get("arch"))) in _DECAYING
    if decay != 1 and (named or decay is not None):
        message = "gives each layer a rate of its own, by a model that is not in the file"
        raise refused(FieldError(f"{path}.layer_decay", message, decay, "1, or no such model"))


def _place(config: Mapping[str, Any], name: str) -> tuple[Any, str]:
    """Return a block of the YAML with its path, or all of the flags, which have no blocks."""
    block = config.get(name)
    if isinstance(block, Mapping):
        return block, f"config.{name}"
    nested = any(isinstance(config.get(other), Mapping) for other in _BLOCKS)
    return ({} if nested else config), "config"


def _block(model: type[Model], config: Mapping[str, Any], name: str) -> Model:
    block, path = _place(config, name)
    if path != "config" and name in _OF_BLOCK:
        check_unknown(block, _OF_BLOCK[name], path)
    return read(model, block, path)


def _total(optimization: Optimization, lengths: TrainingLengths) -> int | None:
    """Return the updates of the training, which ends with whichever end comes first."""
    ends = {}
    if optimization.max_update:
        ends["max_update"] = optimization.max_update
    if optimization.max_epoch and lengths.steps_per_epoch is not None:
        ends["max_epoch"] = optimization.max_epoch * lengths.steps_per_epoch
    if not ends:
        return lengths.total
    name = min(ends, key=ends.__getitem__)
    return stated(name, ends[name], lengths.total)


def _scheduled(
    config: Mapping[str, Any], optimization: Optimization, lengths: TrainingLengths
) -> Conversion:
    block, path = _place(config, "lr_scheduler")
    named, field = config.get("lr_scheduler"), "lr_scheduler"
    if isinstance(named, Mapping):
        named, field = block.get("_name"), "_name"
    name = named or "fixed"
    if not isinstance(name, str) or library.find(name) is None:
        bound = f"one of {', '.join(item.names[-1] for item in library.schedulers)}"
        message = "is no schedule of fairseq"
        raise refused(FieldError(f"{path}.{field}", message, shown(name), bound))
    schedule = _block(Schedule, config, "lr_scheduler")
    params = schedule.model_dump(exclude_none=True)
    found = library.find(name)
    accepted = set(found.parameters) if found else set()
    if "min_lr" not in accepted:  # where older releases stop, as stop_min_lr says now
        params.pop("min_lr", None)
    beside = {
        "lr": optimization.lr[0] if len(optimization.lr) == 1 else optimization.lr,
        "max_update": optimization.max_update or lengths.total,
        **_block(Checkpoint, config, "checkpoint").model_dump(),
    }
    params.update({key: value for key, value in beside.items() if key in accepted and value})
    place = Place(f"{path}.{field}", path)
    rate = controlled(place, "fairseq", name, params, steps_per_epoch=lengths.steps_per_epoch)
    if not _counts_epochs(name, params) or isinstance(rate.definition, Constant):
        return rate
    if lengths.steps_per_epoch is None:
        message = f"is required: {name} has a rate for each epoch"
        raise refused(FieldError("steps_per_epoch", message, None, "≥ 1, in updates"))
    # fairseq's first epoch is 1
    return replace(rate, definition=by_counts(since(1, rate.curve), lengths.steps_per_epoch))


def _counts_epochs(name: str, params: Mapping[str, Any]) -> bool:
    """Return whether the definition of a schedule counts epochs."""
    if name == "fixed":
        return not params.get("warmup_updates")
    return name == "manual" and params.get("epoch2lr") not in {None, "", "{}"}


PROJECT: Final = Project(
    "fairseq",
    conversion,
    signs={
        *("warmup_updates", "total_num_update", "max_update", "update_freq", "warmup_init_lr"),
        *("lr_scheduler.warmup_updates", "lr_scheduler._name", "optimization.max_update"),
        *("optimization.update_freq", "lr_scheduler.phase_ratio", "optimizer._name"),
        "optimizer.adam_betas",
    },
    flags={
        *("warmup_updates", "total_num_update", "max_update", "update_freq", "warmup_init_lr"),
        *("adam_betas", "best_checkpoint_metric", "end_learning_rate"),
    },
    checked="the schedules of `fairseq.optim.lr_scheduler`, whose formulas are transcribed",
    refused="`force_anneal` of a polynomial decay, and what `pass_through` hands to an optimizer, "
    "and a `layer_decay`",
)
