"""Megatron-LM's command line, or the same arguments as an object."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from rheostat.converters.configs.project import Project, leaves_out
from rheostat.converters.configs.reading import (
    LENIENT,
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
from rheostat.converters.kit import levels
from rheostat.converters.parameters import Count, Length, NotNegative
from rheostat.errors import FieldError, Invalid
from rheostat.limits import whole_number
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant, Linear
from rheostat.schedules.kinds.pointwise import Quantize, Sum
from rheostat.schedules.parse import sound
from rheostat.schedules.union import AnyDefinition

_PLACE: Final = Place("config", "config")
Ramp = Annotated[list[Count], Field(min_length=3, max_length=3)]


class Arguments(BaseModel):
    """The arguments that describe a schedule, with Megatron's defaults."""

    model_config = LENIENT

    lr: float
    min_lr: float = 0.0
    decoupled_lr: float | None = None
    decoupled_min_lr: float | None = None
    lr_decay_style: str = "linear"
    lr_wsd_decay_style: str = "exponential"
    lr_decay_iters: Length | None = None
    lr_decay_samples: Length | None = None
    lr_wsd_decay_iters: Count | None = None
    lr_wsd_decay_samples: Count | None = None
    lr_warmup_fraction: NotNegative | None = None
    lr_warmup_iters: Count = 0
    lr_warmup_samples: Count = 0
    lr_warmup_init: float = 0.0
    train_iters: Length | None = None
    train_samples: Length | None = None
    global_batch_size: Length | None = None
    rampup_batch_size: Ramp | None = None
    step_batch_size_schedule: str | list[str] | None = None
    seq_length: Length | None = None
    weight_decay: float = 0.01
    start_weight_decay: float | None = None
    end_weight_decay: float | None = None
    weight_decay_incr_style: str = "constant"


_READ: Final = Read(
    "megatron",
    tuple(Arguments.model_fields),
    harmless={
        "cuda_graph_warmup_steps",
        "dino_warmup_teacher_temp",
        "dino_warmup_teacher_temp_epochs",
        "no_weight_decay_cond_type",
        "override_opt_param_scheduler",
        "use_checkpoint_opt_param_scheduler",
    },
)


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate and the weight decay, by samples.

    A command line in iterations needs --global-batch-size, and becomes samples too, as in
    Megatron. That is the batch_size, unless --step-batch-size-schedule gives one, or
    --rampup-batch-size, which releases of 2026 ignore; --decoupled-lr gives an lr/decoupled for
    the input and output layers.
    """
    check_unknown(config, _READ)
    arguments = read(Arguments, config)
    stairs = _stairs(arguments)
    params = _params(arguments, lengths)
    name = "OptimizerParamScheduler"
    result = {
        parameter: converted(_PLACE, "megatron", name, params, hyperparameter=parameter)
        for parameter in ("lr", "weight_decay")
    }
    if arguments.decoupled_lr is not None:
        low = arguments.decoupled_min_lr
        overrides = {
            "max_lr": arguments.decoupled_lr,
            "min_lr": params["min_lr"] if low is None else low,
        }
        result["lr/decoupled"] = converted(
            _PLACE, "megatron", name, params, group_overrides=overrides
        )
    if arguments.rampup_batch_size is not None:
        result["batch_size"] = sound(_ramp(arguments), "config")
    elif arguments.global_batch_size is not None:
        result["batch_size"] = Constant(value=arguments.global_batch_size)
    if stairs is not None:
        result["batch_size"] = sound(stairs, "config")
    return ConfigConversion(result, total=params["wd_incr_steps"], axis="samples")


def _params(arguments: Arguments, lengths: TrainingLengths) -> dict[str, Any]:
    """Return the parameters of the scheduler as Megatron's training script works them out."""
    decay, warmup, whole, end = _lengths(arguments, lengths)
    start_wd, end_wd = _weight_decay(arguments)
    return {
        "init_lr": arguments.lr_warmup_init,
        "max_lr": arguments.lr,
        "min_lr": arguments.min_lr,
        "lr_warmup_steps": warmup,
        "lr_decay_steps": decay,
        "lr_decay_style": arguments.lr_decay_style,
        "start_wd": start_wd,
        "end_wd": end_wd,
        "wd_incr_steps": whole,
        "wd_incr_style": arguments.weight_decay_incr_style,
        "wsd_decay_steps": end,
        "lr_wsd_decay_style": arguments.lr_wsd_decay_style,
    }


def _lengths(arguments: Arguments, lengths: TrainingLengths) -> tuple[int, float, int, int | None]:
    """Return the decay, the warm-up, the whole training and the decay of WSD in samples."""
    by_samples = arguments.train_iters is None
    size = 1 if by_samples else arguments.global_batch_size
    if size is None:
        raise missing("global_batch_size", "for a training in iterations")
    unit, other = ("samples", "iters") if by_samples else ("iters", "samples")
    for name in ("lr_decay", "lr_warmup", "lr_wsd_decay", "train"):
        if value := getattr(arguments, f"{name}_{other}"):
            message = f"is in {other}, but the training is in {unit}"
            raise refused(FieldError(f"config.{name}_{other}", message, value, "not given"))
    train = getattr(arguments, f"train_{unit}")
    if train is not None:
        train = stated(f"train_{unit}", train, lengths.total)
    elif lengths.total is not None:
        train = lengths.total
    else:
        raise missing("train_samples", "or else train_iters")
    decay = (getattr(arguments, f"lr_decay_{unit}") or train) * size
    warmup = getattr(arguments, f"lr_warmup_{unit}") * size
    if arguments.lr_warmup_fraction is not None:
        if warmup:
            raise _excluded(f"lr_warmup_{unit}", warmup // size, "lr_warmup_fraction")
        warmup = arguments.lr_warmup_fraction * decay
    if arguments.rampup_batch_size and not by_samples:
        other = "train_iters, in Megatron too"
        raise _excluded("rampup_batch_size", arguments.rampup_batch_size, other)
    end = getattr(arguments, f"lr_wsd_decay_{unit}")
    return decay, warmup, train * size, None if end is None else end * size


def _weight_decay(arguments: Arguments) -> tuple[float, float]:
    if arguments.weight_decay_incr_style == "constant":
        return arguments.weight_decay, arguments.weight_decay
    start, end = arguments.start_weight_decay, arguments.end_weight_decay
    if start is None:
        raise missing("start_weight_decay", "unless the weight decay is constant")
    if end is None:
        raise missing("end_weight_decay", "unless the weight decay is constant")
    return start, end


def _ramp(arguments: Arguments) -> AnyDefinition:
    """Return the batch size, which rises by whole increments along a line."""
    start, increment, samples = arguments.rampup_batch_size or [0, 0, 0]
    end = arguments.global_batch_size
    if end is None:
        raise missing("global_batch_size", "for a batch size that ramps up")
    if increment < 1 or end <= start or (end - start) % increment:
        bound = f"an increment that divides {end} − {start}"
        message = "must rise to global_batch_size in whole increments"
        raise refused(FieldError("config.rampup_batch_size", message, increment, bound))
    if samples == 0:
        return Constant(value=end)
    if start % increment == 0:
        line = Linear(start=start, end=end, steps=samples)
        return Quantize(of=line, multiple=increment)
    rise = Linear(start=0.0, end=end - start, steps=samples)
    return Sum(of=(Constant(value=start), Quantize(of=rise, multiple=increment)))


def _stairs(arguments: Arguments) -> AnyDefinition | None:
    """Return the batch size, if it has a level from each of several numbers of tokens on."""
    given, name = arguments.step_batch_size_schedule, "step_batch_size_schedule"
    if given is None:
        return None
    text = given if isinstance(given, str) else " ".join(given)
    for other in ("global_batch_size", "train_iters", "rampup_batch_size"):
        if getattr(arguments, other) is not None:
            raise _excluded(name, text, other)
    if arguments.seq_length is None:
        raise missing("seq_length", f"for the tokens of {name}", "≥ 1")
    points = sorted(_point(entry) for entry in text.upper().replace(",", " ").split())
    starts = [tokens // arguments.seq_length for tokens, _ in points]
    sizes = [size for _, size in points]
    rising = starts[:1] == [0] and all(a < b for a, b in pairwise(starts))
    if not rising or min(sizes) < 1:
        bound = "TOKENS:SIZE …, from 0 on, as 0:768 250B:1536"
        raise refused(FieldError(f"config.{name}", "is no schedule", shown(text), bound))
    return levels(starts[1:], sizes)


def _point(entry: str) -> tuple[int, int]:
    """Return the tokens and the batch size of an entry, as ``250B:1536``; −1 for what is none."""
    first, _, second = entry.partition(":")
    tokens, size = whole_number(first), whole_number(second)
    if tokens is None or size is None or "G" in entry:
        return -1, -1
    return tokens, size


def _excluded(name: str, value: Any, other: str) -> Invalid:
    return refused(FieldError(f"config.{name}", f"excludes {other}", shown(value), "not given"))


def _doubt(config: Mapping[str, Any]) -> str | None:
    """Return why a command line may be of ms-swift, whose schedule is a cosine by default."""
    return leaves_out(config, "lr_decay_style", "weight_decay")


PROJECT = Project(
    "megatron",
    conversion,
    signs=(),
    flags={"lr_decay_style", "lr_decay_iters", "lr_decay_samples", "lr_wsd_decay_style"}
    | {"lr_warmup_fraction", "lr_warmup_iters", "lr_warmup_samples", "lr_warmup_init"}
    | {"train_samples", "train_iters", "rampup_batch_size", "decoupled_lr"}
    | {"tensor_model_parallel_size", "pipeline_model_parallel_size", "start_weight_decay"},
    checked="Megatron Core's scheduler with random scripts, and its script's arithmetic",
    refused="a training in iterations with a batch size that ramps up",
    doubt=_doubt,
)
