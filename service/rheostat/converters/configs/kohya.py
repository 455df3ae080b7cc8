"""kohya's sd-scripts: their TOML files, and their command lines."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict

from rheostat.converters.configs.flags import Flags
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
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
from rheostat.converters.parameters import Count, Length, NotNegative
from rheostat.errors import FieldError, Invalid
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_PLACE: Final = Place("config.lr_scheduler", "config.lr_scheduler_args")
_CUSTOM: Final = Place("config.lr_scheduler_type", "config.lr_scheduler_args")
_LONGEST: Final = 10_000
"""Characters of an argument."""


def _words(value: Any) -> Any:
    """Return the words of a flag that may have one or several."""
    return [value] if isinstance(value, str) else value


def _numbers(value: Any) -> Any:
    """Return the numbers of a flag that may have one or several."""
    return value if isinstance(value, list) or value is None else [value]


def _percent(value: Any) -> Any:
    """Return a length as the command line takes it: below 1, or with %, it is a share."""
    if not isinstance(value, str):
        return value
    try:
        if value.endswith("%"):
            return float(value[:-1]) / 100
        return int(value) if float(value) >= 1 else float(value)
    except ValueError:
        return value


Words = Annotated[list[str], BeforeValidator(_words)]
Rates = Annotated[list[NotNegative], BeforeValidator(_numbers)]
Steps = Annotated[int | float, BeforeValidator(_percent)]
"""A number of steps; of a float, a share of the training."""


class Arguments(BaseModel):
    """The arguments that describe a schedule, with the defaults of the scripts."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)

    learning_rate: float = 2e-6
    unet_lr: NotNegative | None = None
    text_encoder_lr: Rates | None = None
    learning_rate_te: NotNegative | None = None
    learning_rate_te1: NotNegative | None = None
    learning_rate_te2: NotNegative | None = None
    learning_rate_te3: NotNegative | None = None
    lr_scheduler: str = "constant"
    lr_scheduler_type: str = ""
    lr_scheduler_args: Words = []
    lr_warmup_steps: Steps = 0
    lr_decay_steps: Steps = 0
    lr_scheduler_num_cycles: Count = 1
    lr_scheduler_power: NotNegative = 1.0
    lr_scheduler_timescale: Length | None = None
    lr_scheduler_min_lr_ratio: NotNegative | None = None
    max_train_steps: Length = 1600
    max_train_epochs: Length | None = None
    optimizer_type: str = ""
    optimizer_args: Words = []
    network_args: Words = []
    num_processes: Length = 1


_READ: Final = Read(
    "kohya",
    tuple(Arguments.model_fields),
    harmless={"force_scheduler_zero_steps_offset", "huber_schedule", "max_token_length"}
    | {"text_encoder", "token_warmup_min", "token_warmup_step"},
)


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate, those of the U-Net and the text encoders, and the weight decay.

    lr_warmup_steps and lr_decay_steps are steps, or shares of the training if they are floats. On
    several processes Accelerate makes so many steps of the schedule at each of the training's, so a
    warm-up in steps is shorter: a command line that has several is refused.
    """
    _check_file(config)
    fields = _flat(config)
    arguments = read(Arguments, fields)
    check_unknown(fields, _READ)
    _check(arguments)
    total = _total(arguments, fields, lengths)
    given = _scheduler(arguments, total)
    default = arguments.learning_rate
    rates: dict[str, Definition] = {
        name: converted(*given, base, optimizer_default_lr=default)
        for name, base in _bases(arguments, fields).items()
    }
    decay = _pairs("optimizer_args", arguments.optimizer_args).get("weight_decay")
    if isinstance(decay, int | float):
        rates["weight_decay"] = Constant(value=float(decay))
    return ConfigConversion(rates, total=total, steps_per_epoch=lengths.steps_per_epoch)


def _check_file(config: Mapping[str, Any]) -> None:
    """Refuse a TOML file beside the flags; one of YAML or JSON is Accelerate's own."""
    value = config.get("config_file")
    file = value[0] if isinstance(value, list) else value  # the script's name may follow
    if not str(file).endswith((".yaml", ".yml", ".json")):
        check_whole(config, "config_file")


def _flat(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of all sections together, as the scripts read them."""
    if isinstance(config, Flags):
        return config
    found: dict[str, Any] = {}
    for name, value in config.items():
        found.update(value if isinstance(value, Mapping) else {name: value})
    return found


def _bases(arguments: Arguments, fields: Mapping[str, Any]) -> dict[str, float]:
    """Return what each rate starts from; a part whose rate is 0 is not trained."""
    found: dict[str, float | None] = {"lr/unet": arguments.unet_lr}
    encoders = arguments.text_encoder_lr or []
    if len(encoders) == 1:
        found["lr/text_encoder"] = encoders[0]
    else:
        found |= {f"lr/text_encoder{i}": rate for i, rate in enumerate(encoders, 1)}
    for suffix in ("", "1", "2", "3"):
        rate = getattr(arguments, f"learning_rate_te{suffix}")
        if rate is not None:
            found[f"lr/text_encoder{suffix}"] = rate
    parts = {name: rate for name, rate in found.items() if rate}
    if parts and "learning_rate" not in fields:
        return parts
    return {"lr": arguments.learning_rate, **parts}


def _total(arguments: Arguments, fields: Mapping[str, Any], lengths: TrainingLengths) -> int:
    """Return the length of the training: the epochs come first, and 1600 steps if none is given."""
    if arguments.max_train_epochs is None:
        if "max_train_steps" not in fields and lengths.total is not None:
            return lengths.total
        return stated("max_train_steps", arguments.max_train_steps, lengths.total)
    if lengths.steps_per_epoch is not None:
        steps = arguments.max_train_epochs * lengths.steps_per_epoch
        return stated("max_train_epochs", steps, lengths.total)
    if lengths.total is None:
        message = "is required: max_train_epochs counts epochs"
        raise refused(FieldError("steps_per_epoch", message, None, "≥ 1, or else total"))
    return lengths.total


def _scheduler(arguments: Arguments, total: int) -> tuple[Place, str, str, dict[str, Any]]:
    """Return where the scheduler stands, and whose it is, with its parameters."""
    own = _pairs("lr_scheduler_args", arguments.lr_scheduler_args)
    warmup, decay = (
        _steps(name, getattr(arguments, name), total)
        for name in ("lr_warmup_steps", "lr_decay_steps")
    )
    name = arguments.lr_scheduler
    if arguments.lr_scheduler_type or name in ("constant", "piecewise_constant"):
        if warmup and name != "piecewise_constant":
            message = "is refused by the scripts, for this schedule has no warm-up"
            raise _wrong("lr_warmup_steps", message, arguments.lr_warmup_steps, "0")
        if arguments.lr_scheduler_type:
            return _custom(arguments.lr_scheduler_type, own)
        return _PLACE, "diffusers", name, own
    low = arguments.lr_scheduler_min_lr_ratio
    lengths = {"num_warmup_steps": warmup, "num_training_steps": total}
    taken: dict[str, dict[str, Any]] = {
        "linear": lengths,
        "cosine": lengths,
        "cosine_with_restarts": {**lengths, "num_cycles": arguments.lr_scheduler_num_cycles},
        "polynomial": {**lengths, "power": arguments.lr_scheduler_power},
        "constant_with_warmup": {"num_warmup_steps": warmup},
        "inverse_sqrt": {
            "num_warmup_steps": warmup,
            "timescale": arguments.lr_scheduler_timescale,
        },
        "cosine_with_min_lr": {
            **lengths,
            "num_cycles": arguments.lr_scheduler_num_cycles / 2,
            "min_lr_rate": low,
        },
        "warmup_stable_decay": {
            "num_warmup_steps": warmup,
            "num_stable_steps": total - warmup - decay,
            "num_decay_steps": decay,
            "num_cycles": arguments.lr_scheduler_num_cycles / 2,
            "min_lr_ratio": low or 0.0,
        },
    }
    if name not in taken:
        bound = f"one of constant, piecewise_constant, {', '.join(taken)}"
        raise _wrong("lr_scheduler", "is not a schedule of the scripts", name, bound)
    params = {key: value for key, value in taken[name].items() if value is not None}
    if name == "inverse_sqrt" and "timescale" in params:
        params["timescale"] = float(params["timescale"])
    return _PLACE, "transformers", name, {**params, **own}


def _custom(path: str, own: dict[str, Any]) -> tuple[Place, str, str, dict[str, Any]]:
    """Return the scheduler of PyTorch that lr_scheduler_type names."""
    module, _, name = path.rpartition(".")
    if module not in ("", "torch.optim.lr_scheduler"):
        raise _wrong("lr_scheduler_type", "is of no library that is known", path, "PyTorch's")
    return _CUSTOM, "torch", name, own


def _steps(name: str, value: Any, total: int) -> int:
    """Return a length in steps: an integer as it is, of a float the share of the training."""
    if value < 0 or (isinstance(value, float) and value >= 1):
        message = "is a share of the training, since it is no integer"
        raise _wrong(name, message, value, "0 ≤ share < 1, or an integer")
    return int(value * total) if isinstance(value, float) else int(value)


def _pairs(name: str, words: list[str]) -> dict[str, Any]:
    """Return arguments that are given as ``name=value``, with values as Python's literals."""
    found = {}
    for word in words:
        key, equals, text = word.partition("=")
        try:
            found[key] = ast.literal_eval(text) if len(text) <= _LONGEST else None
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            found[key] = text
        if not equals or len(text) > _LONGEST:
            bound = f"name=value, of at most {_LONGEST} characters"
            raise _wrong(name, "has an argument that cannot be read", word, bound)
    return found


def _check(arguments: Arguments) -> None:
    """Refuse what sets the rate by other means."""
    kind = arguments.optimizer_type.lower()
    own = _pairs("optimizer_args", arguments.optimizer_args)
    if kind.endswith("schedulefree"):
        message = "has no schedule: the optimizer averages its weights instead"
        raise _wrong("optimizer_type", message, arguments.optimizer_type, "another optimizer")
    by_itself = kind == "adafactor" and own.get("relative_step", True)
    if by_itself or arguments.lr_scheduler.startswith("adafactor"):
        message = "lets Adafactor choose the rate: give relative_step=False in optimizer_args"
        raise _wrong("optimizer_type", message, arguments.optimizer_type, "another optimizer")
    for word in arguments.network_args:
        if {"lr", "lrs"} & set(word.partition("=")[0].split("_")):
            message = "sets rates of parts of the network, which are not read"
            raise _wrong("network_args", message, word, "not given")
    if arguments.num_processes > 1:
        message = "makes a warm-up in steps shorter: give shares, and leave num_processes out"
        raise _wrong("num_processes", message, arguments.num_processes, "1")


def _wrong(name: str, message: str, value: Any, bound: str) -> Invalid:
    return refused(FieldError(f"config.{name}", message, shown(value), bound))


_OWN: Final = frozenset(
    {"lr_scheduler_min_lr_ratio", "lr_scheduler_num_cycles", "lr_scheduler_power"}
    | {"lr_scheduler_timescale", "network_alpha", "network_dim", "network_module"}
    | {"save_model_as", "unet_lr", "clip_skip", "min_snr_gamma", "bucket_no_upscale"}
)


def _tells(config: Mapping[str, Any]) -> list[str]:
    """Return the fields that only the scripts have, in whatever section."""
    return sorted(_OWN & _flat(config).keys())


PROJECT = Project(
    "kohya",
    conversion,
    signs=(),
    flags=_OWN,
    tells=_tells,
    embeds=("transformers",),
    checked="the schedulers of transformers, diffusers and PyTorch that the scripts call",
    refused="Adafactor's own rate, schedule-free optimizers, rates of blocks, several processes",
)
