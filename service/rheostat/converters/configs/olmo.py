"""OLMo: its YAML files."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor
from typing import Any, Literal

from pydantic import BaseModel

from rheostat.converters.configs.counting import counted_from_one
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    OR_LENGTHS,
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
from rheostat.converters.parameters import NotNegative, Positive
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_STEP
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_SCHEDULER = "config.scheduler"
_PLACE = Place(f"{_SCHEDULER}.name", _SCHEDULER)
_DURATIONS = '10000, "2e12T" for tokens, or "1ep" for epochs'
_GROUPS = {"no_decay_norm_and_bias", "decay_norm_and_bias", "decay_embeddings"}
_FALLING = {"cosine_with_warmup", "linear_with_warmup", "cosine_linear_envelope", "max_scheduler"}


class File(BaseModel):
    """The fields that matter, with the defaults of TrainConfig."""

    model_config = LENIENT

    model: Any = None
    optimizer: Any = None
    scheduler: Any = None
    max_duration: int | float | str = 10_000
    global_train_batch_size: AtLeastOne = 512
    max_grad_norm: NotNegative | None = None
    stop_at: AtLeastOne | None = None
    stop_after: AtLeastOne | None = None


class Model(BaseModel):
    """How many tokens an instance of a batch has."""

    model_config = LENIENT

    max_sequence_length: AtLeastOne = 1024


class Optimizer(BaseModel):
    """The optimizer."""

    model_config = LENIENT

    learning_rate: Positive = 1e-4
    weight_decay: float = 0.01


class Scheduler(BaseModel):
    """The schedule, whose lengths are steps or tokens."""

    model_config = LENIENT

    name: str = "cosine_with_warmup"
    units: Literal["steps", "tokens"] = "steps"
    t_warmup: NotNegative = 100
    t_max: Positive | None = None
    alpha_f: float = 0.1
    grad_clip_warmup_steps: NotNegative | None = None
    grad_clip_warmup_factor: NotNegative | None = None
    warmup_min_lr: float | None = None


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate, the weight decay, the batch size, and the bound of the gradient norm.

    OLMo counts a step, and its tokens, before it updates: the first update has the rate of step 1.
    """
    file = section("olmo", File, config, harmless={"extra_steps_after_cancel", "epoch"})
    model = section("olmo", Model, file.model, "config.model", apart=set(file.model or {}))
    optimizer = section("olmo", Optimizer, file.optimizer, "config.optimizer", harmless=_GROUPS)
    scheduler = section("olmo", Scheduler, file.scheduler, _SCHEDULER)
    tokens = file.global_train_batch_size * model.max_sequence_length
    whole = _duration(file.max_duration, tokens, lengths)
    steps, unit = ceil(whole / tokens), tokens if scheduler.units == "tokens" else 1
    end = whole if scheduler.units == "tokens" else steps
    parameters: dict[str, Definition] = {
        "lr": _rate(scheduler, optimizer.learning_rate, unit, end),
        "weight_decay": Constant(value=optimizer.weight_decay),
        "batch_size": Constant(value=file.global_train_batch_size),
    }
    if file.max_grad_norm is not None:
        parameters["max_grad_norm"] = _clipping(scheduler, file.max_grad_norm, unit)
    stops = [n for n in (steps, file.stop_at, file.stop_after) if n is not None]
    return ConfigConversion(
        parameters,
        total=stated("max_duration", min(stops), lengths.total),
        steps_per_epoch=lengths.steps_per_epoch,
    )


def _rate(scheduler: Scheduler, peak: float, unit: int, end: int) -> Definition:
    """Return the rate by steps, of which each is so many units of the schedule."""
    params: dict[str, Any] = {}
    if scheduler.name != "constant":
        params = {"t_warmup": int(scheduler.t_warmup) / unit}
        params["warmup_min_lr"] = scheduler.warmup_min_lr
    if scheduler.name in _FALLING:
        t_max = end if scheduler.t_max is None else int(scheduler.t_max)
        params |= {"alpha_f": scheduler.alpha_f, "t_max": t_max / unit}
    return counted_from_one(converted(_PLACE, "olmo", scheduler.name, params, peak), "config")


def _clipping(scheduler: Scheduler, bound: float, unit: int) -> Definition:
    """Return the bound of the gradient norm, which is another one at the beginning."""
    until, factor = scheduler.grad_clip_warmup_steps, scheduler.grad_clip_warmup_factor
    if until is None or factor is None:
        return Constant(value=bound)
    return levels([floor(int(until) / unit)], [bound * factor, bound])


def _duration(text: float | str, tokens: int, lengths: TrainingLengths) -> int:
    """Return the length of the training in tokens, of which a step has so many."""
    given = str(text).strip()
    if given.endswith("ep"):
        epochs = _number(given[:-2])
        if lengths.steps_per_epoch is not None:
            return epochs * lengths.steps_per_epoch * tokens
        if lengths.total is None:
            raise missing("max_duration", f"in steps and not as {given}, {OR_LENGTHS}")
        return lengths.total * tokens
    return _number(given[:-1]) if given.endswith("T") else _number(given) * tokens


def _number(text: str) -> int:
    try:
        value = float(text)
    except ValueError:
        raise _no_duration(text) from None
    if not 1 <= value <= MAX_STEP:
        raise _no_duration(text)
    return int(value)


def _no_duration(text: str) -> Invalid:
    message = f"must be a number of steps up to {MAX_STEP}, or of tokens, or of epochs"
    return refused(FieldError("config.max_duration", message, shown(text), _DURATIONS))


def _tells(config: Mapping[str, Any]) -> list[str]:
    """Return the length of the warm-up, which is a number here, and a text of others."""
    scheduler = config.get("scheduler")
    warmup = scheduler.get("t_warmup") if isinstance(scheduler, Mapping) else None
    return ["scheduler.t_warmup"] if isinstance(warmup, (int, float)) else []


PROJECT = Project(
    "olmo",
    conversion,
    signs={"scheduler.grad_clip_warmup_steps", "scheduler.grad_clip_warmup_factor"}
    | {"model.max_sequence_length", "optimizer.metrics_log_interval", "gen1_gc_interval"}
    | {"save_num_unsharded_checkpoints_to_keep", "softmax_auxiliary_loss"},
    tells=_tells,
    checked="OLMo's own TrainConfig and build_scheduler with random files",
    refused="epochs, unless steps_per_epoch or total is given",
)
