"""Keras: an optimizer or a schedule as `serialize` and `get_config` write it, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    ConfigConversion,
    Place,
    TrainingLengths,
    converted,
    read,
)
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.keras import library
from rheostat.converters.parameters import NotNegative
from rheostat.schedules.definition import Definition
from rheostat.schedules.kinds.curves import Constant

_DEEPEST: Final = 8
"""Objects inside of each other: a model's compilation, a loss scaler, an optimizer."""


class Serialized(BaseModel):
    """An object of Keras: its class, and what `get_config` says of it."""

    model_config = LENIENT

    class_name: str
    config: dict[str, Any]


class Optimizer(BaseModel):
    """What an optimizer's configuration says of its values."""

    model_config = LENIENT

    learning_rate: float | dict[str, Any]
    weight_decay: NotNegative | None = None
    momentum: NotNegative | None = None


_READ: Final = Read(
    "keras",
    tuple(Optimizer.model_fields),
    harmless={"l2_regularization_strength", "learning_rate_power", "exclude_from_weight_decay"},
    apart={"learning_rate"},
)


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the rate, the weight decay and the momentum of an optimizer, or the rate of a schedule.

    A step is a call of the optimizer: with gradient_accumulation_steps it is a batch.
    """
    found = _definitions(config, "config", _DEEPEST)
    return ConfigConversion(found, total=lengths.total, steps_per_epoch=lengths.steps_per_epoch)


def _definitions(config: Any, path: str, depth: int) -> dict[str, Definition]:
    """Return what an object sets: that of the optimizer inside of it, if it only holds one."""
    if isinstance(config, Mapping) and depth:
        if library.find(str(config.get("class_name"))) is not None:
            return {"lr": _schedule(config, path)}
        for inner in ("optimizer", "inner_optimizer", "config"):
            if isinstance(config.get(inner), Mapping):
                return _definitions(config[inner], f"{path}.{inner}", depth - 1)
        if "learning_rate" not in config and _is_schedule(config):
            place = Place(f"{path}.name", path)
            return {"lr": converted(place, "keras", config["name"], config)}
    return _optimizer(config, path)


def _is_schedule(config: Mapping[str, Any]) -> bool:
    """Return whether this is the configuration of a schedule, whose name is that of its class."""
    name = config.get("name")
    return isinstance(name, str) and library.find(name) is not None


def _optimizer(config: Any, path: str) -> dict[str, Definition]:
    optimizer = read(Optimizer, config, path)
    settings = {name: value for name, value in config.items() if name != "decay" or value}
    check_unknown(settings, _READ, path)
    rate = optimizer.learning_rate
    found: dict[str, Definition] = {
        "lr": Constant(value=rate)
        if isinstance(rate, float)
        else _schedule(rate, f"{path}.learning_rate")
    }
    for name in ("weight_decay", "momentum"):
        value = getattr(optimizer, name)
        if value is not None:
            found[name] = Constant(value=value)
    return found


def _schedule(config: Mapping[str, Any], path: str) -> Definition:
    """Return the rate of a schedule that is an object."""
    given = read(Serialized, config, path)
    place = Place(f"{path}.class_name", f"{path}.config")
    return converted(place, "keras", given.class_name, given.config)


PROJECT: Final = Project(
    "keras",
    conversion,
    signs={
        *("learning_rate.class_name", "config.learning_rate", "optimizer.config.learning_rate"),
        *("ema_overwrite_frequency", "global_clipnorm", "initial_learning_rate"),
        *("config.initial_learning_rate", "config.global_clipnorm", "config.inner_optimizer"),
    },
    checked="the schedules of Keras 3, and random optimizers as it serializes them",
    refused="schedules of the user's own, and the `decay` of old optimizers",
)
