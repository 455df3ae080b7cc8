"""timm: the flags of `train.py`, and the `args.yaml` that it writes."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, Field

from rheostat.converters.configs.flags import Flags, by_long_names
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    ConfigConversion,
    Place,
    TrainingLengths,
    controlled,
    read,
    stated,
)
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.core import Conversion, refused
from rheostat.converters.kit import Phase, phases, value_at
from rheostat.converters.mmengine import by_counts
from rheostat.converters.parameters import Count, Length, NotNegative, Positive
from rheostat.errors import FieldError
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.union import AnyDefinition

_WITH_MOMENTUM: Final = ("sgd", "momentum", "nesterov", "rmsprop", "lars", "nlars")
_CYCLES: Final = ("cosine", "tanh", "poly")
"""The schedules that say themselves how long the training is."""
_OLDER: Final = {
    "sched": "step",
    "epochs": "200",
    "warmup_epochs": "3",
    "warmup_lr": "1e-4",
    "min_lr": "1e-5 or 1e-6",
    "cooldown_epochs": "10",
    "decay_epochs": "30 or 100",
    "decay_milestones": "30 60",
    "weight_decay": "1e-4",
}
"""Defaults of `train.py` before October 2022, where they differ from those of today."""
_OF_SCHEDULE: Final = {
    **dict.fromkeys(_CYCLES, ("min_lr", "cooldown_epochs")),
    "plateau": ("min_lr",),
    "step": ("decay_epochs",),
    "multistep": ("decay_milestones",),
}
_PLACE: Final = Place("config.sched", "config")


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


class Arguments(BaseModel):
    """The arguments that describe a schedule, with the defaults of `train.py`."""

    model_config = LENIENT

    sched: str = "cosine"
    sched_on_updates: bool = False
    lr: NotNegative | None = None
    lr_base: NotNegative | None = None
    lr_noise: Any = None
    lr_cycle_mul: Positive = 1.0
    lr_cycle_decay: float = 0.5
    lr_cycle_limit: Length = 1
    lr_k_decay: Positive = 1.0
    warmup_lr: float = 1e-5
    min_lr: NotNegative = 0.0
    epochs: Length = 300
    decay_milestones: Annotated[list[Count], BeforeValidator(_listed)] = [90, 180, 270]
    decay_epochs: Positive = 90
    warmup_epochs: Count = 5
    warmup_prefix: bool = False
    cooldown_epochs: Count = 0
    patience_epochs: Count = 10
    decay_rate: Annotated[float, Field(ge=0)] = 0.1
    eval_metric: str = "top1"
    opt: str = "sgd"
    momentum: NotNegative = 0.9
    weight_decay: NotNegative = 2e-5
    layer_decay: NotNegative | None = None


_READ: Final = Read(
    "timm",
    tuple(Arguments.model_fields),
    harmless={
        *("layer_decay_min_scale", "layer_decay_no_opt_scale", "bn_momentum"),
        *("lr_base_size", "lr_base_scale", "lr_noise_pct", "lr_noise_std"),
        *("model_ema_decay", "model_ema_warmup", "train_size_schedule"),
        *("train_size_schedule_spread", "train_batches_per_epoch", "train_steps_per_epoch"),
    },
)


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the rate by updates, the weight decay and the momentum, and a plateau if there is one.

    The rate changes once an epoch unless sched_on_updates. The noise of a rate is refused, for it
    is drawn from PyTorch's generator.
    """
    if "data_path" in config:
        message = "is a flag of DeiT and its kin, whose scripts scale lr by the number of GPUs"
        raise refused(
            FieldError("config.data_path", message, shown(config["data_path"]), "data_dir")
        )
    config = by_long_names(config, {"dr": "decay_rate"})
    check_unknown(config, _READ)
    arguments = read(Arguments, config)
    if isinstance(config, Flags):
        _check_defaults(config, arguments)
    rate = _rate(arguments)
    if lengths.steps_per_epoch is None:
        message = f"is required: sched {arguments.sched} counts epochs"
        raise refused(FieldError("steps_per_epoch", message, None, "≥ 1, in updates"))
    epoch = lengths.steps_per_epoch
    total = stated("epochs", _epochs(arguments, epoch) * epoch, lengths.total)
    found = _scheduled(arguments, rate, epoch)
    parameters = {
        "lr": _by_updates(arguments, found.definition or Constant(value=rate), rate, epoch),
        "weight_decay": Constant(value=arguments.weight_decay),
    }
    if arguments.opt.lower().removeprefix("lookahead_").startswith(_WITH_MOMENTUM):
        parameters["momentum"] = Constant(value=arguments.momentum)
    controllers = {} if found.controller is None else {"plateau": found.controller}
    return ConfigConversion(parameters, controllers, total=total, steps_per_epoch=epoch)


def _check_defaults(flags: Flags, arguments: Arguments) -> None:
    """Refuse a command line that leaves to its version's defaults, which changed, what acts."""
    name = arguments.sched
    acting = {"sched", "epochs", "warmup_epochs", "weight_decay", *_OF_SCHEDULE.get(name, ())}
    if arguments.warmup_epochs:
        acting.add("warmup_lr")
    wrong = [
        FieldError(
            f"config.{flag}",
            f"is required: its default was {_OLDER[flag]} in older versions of timm, and is "
            f"{getattr(arguments, flag)} since",
            None,
            "given; the args.yaml that timm writes has them all",
        )
        for flag in _OLDER
        if flag in acting and flag not in flags
    ]
    if wrong:
        raise refused(*wrong)


def _rate(arguments: Arguments) -> float:
    """Return the rate, if neither the number of GPUs nor a generator has a part in it."""
    if arguments.lr_noise is not None:
        message = "is drawn from the generator of PyTorch, whose numbers are not known"
        raise refused(FieldError("config.lr_noise", message, arguments.lr_noise, "not given"))
    if arguments.layer_decay not in {None, 1}:
        message = "gives each layer a rate of its own, by a model that is not in the file"
        raise refused(FieldError("config.layer_decay", message, arguments.layer_decay, "not given"))
    if arguments.lr is None:
        message = "is required: without it timm scales lr_base by the number of GPUs"
        raise refused(FieldError("config.lr", message, None, "≥ 0"))
    return arguments.lr


def _epochs(arguments: Arguments, epoch: int) -> int:
    """Return the epochs of the training, which cycles, a prefix and a cooldown make longer."""
    unit = epoch if arguments.sched_on_updates else 1
    warmup = arguments.warmup_epochs if arguments.warmup_prefix else 0
    if arguments.sched not in _CYCLES:
        return arguments.epochs + warmup
    growth, cycles, length = (
        arguments.lr_cycle_mul,
        arguments.lr_cycle_limit,
        arguments.epochs * unit,
    )
    whole = length * cycles
    if growth != 1:
        whole = floor(-length * (growth**cycles - 1) / (1 - growth))
    return (whole + (warmup + arguments.cooldown_epochs) * unit) // unit


def _scheduled(arguments: Arguments, rate: float, epoch: int) -> Conversion:
    """Return the schedule in its own counts, as timm's factory makes it of the arguments."""
    unit = epoch if arguments.sched_on_updates else 1
    if arguments.sched == "plateau" and arguments.sched_on_updates:
        message = "must be false for a plateau, as in timm"
        raise refused(FieldError("config.sched_on_updates", message, True, "false"))
    return controlled(
        _PLACE,
        "timm",
        arguments.sched,
        _params(arguments, unit),
        base_value=rate,
        steps_per_epoch=epoch,
    )


def _params(arguments: Arguments, unit: int) -> dict[str, Any]:
    """Return the parameters of a schedule, by its name on the command line."""
    warmup = {
        "warmup_t": arguments.warmup_epochs * unit,
        "warmup_lr_init": arguments.warmup_lr,
    }
    name = arguments.sched
    if name == "plateau":
        return {
            **warmup,
            "decay_rate": arguments.decay_rate,
            "patience_t": arguments.patience_epochs,
            "lr_min": arguments.min_lr,
            "mode": "min" if arguments.eval_metric == "loss" else "max",
        }
    warmup["warmup_prefix"] = arguments.warmup_prefix
    if name == "step":
        every = arguments.decay_epochs * unit
        return {**warmup, "decay_t": every, "decay_rate": arguments.decay_rate}
    if name == "multistep":
        milestones = [epoch * unit for epoch in arguments.decay_milestones]
        return {**warmup, "decay_t": milestones, "decay_rate": arguments.decay_rate}
    cycles = {
        **warmup,
        "t_initial": arguments.epochs * unit,
        "lr_min": arguments.min_lr,
        "cycle_mul": arguments.lr_cycle_mul,
        "cycle_decay": arguments.lr_cycle_decay,
        "cycle_limit": arguments.lr_cycle_limit,
    }
    if name in {"cosine", "poly"}:
        cycles["k_decay"] = arguments.lr_k_decay
    if name == "poly":
        cycles["power"] = arguments.decay_rate
    return cycles


def _by_updates(
    arguments: Arguments, curve: AnyDefinition, rate: float, epoch: int
) -> AnyDefinition:
    """
    Return the rate of every update.

    Until the first epoch or update is over, timm leaves what it has set at first: the rate, or
    that of the warm-up.
    """
    if arguments.sched == "plateau":
        return curve
    first = arguments.warmup_lr if arguments.warmup_epochs else rate
    if value_at(curve, 0) != first:
        curve = phases(Phase(Constant(value=first), until=1), Phase(curve))
    return curve if arguments.sched_on_updates else by_counts(curve, epoch)


PROJECT: Final = Project(
    "timm",
    conversion,
    signs={
        *("sched_on_updates", "lr_cycle_mul", "lr_cycle_limit", "lr_cycle_decay", "lr_k_decay"),
        *("decay_milestones", "warmup_prefix", "lr_base_size", "patience_epochs"),
    },
    flags={
        *("sched", "sched_on_updates", "lr_cycle_mul", "lr_cycle_limit", "lr_cycle_decay"),
        *("lr_k_decay", "decay_milestones", "warmup_prefix", "lr_base_size", "patience_epochs"),
        *("warmup_lr", "decay_epochs", "cooldown_epochs"),
    },
    checked="timm's factory with random `args.yaml`, stepped as `train.py` steps it",
    refused="noise, `layer_decay`, an `lr` that is scaled by the number of GPUs, and command lines "
    "that leave out what has another default in older versions",
)
