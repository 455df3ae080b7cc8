"""
Stable-Baselines3: the hyperparameters of one environment, as RL Zoo's YAML files have them.

A step is a step of the environments, which `n_timesteps` counts: the progress is a share of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    OR_TOTAL,
    ConfigConversion,
    TrainingLengths,
    missing,
    read,
    stated,
)
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.core import refused
from rheostat.converters.parameters import Length
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant, Linear

_PREFIX: Final = "lin_"
"""What stands before the first value of a line to 0."""


class Hyperparameters(BaseModel):
    """The fields that can be scheduled, and the length of the training."""

    model_config = LENIENT

    n_timesteps: Length | None = None
    learning_rate: float | str
    clip_range: float | str | None = None
    clip_range_vf: float | str | None = None
    ent_coef: float | str | None = None
    batch_size: Length | None = None


_OF_ZOO: Final = frozenset({"n_timesteps", "policy"})
"""What RL Zoo's files have together; each alone is another project's too."""
_READ: Final = Read(
    "stable_baselines3",
    tuple(Hyperparameters.model_fields),
    harmless={"n_steps", "n_epochs", "gradient_steps", "learning_starts", "num_samples"},
    apart={"policy_kwargs", "env_kwargs", "env_wrapper", "replay_buffer_kwargs", "normalize"},
)


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate and the clip ranges, of which `lin_0.001` falls to 0 by the end.

    A clip range below 0 is none.
    """
    config, path = _environment(config)
    check_unknown(config, _READ, path)
    given = read(Hyperparameters, config, path)
    total = lengths.total
    if given.n_timesteps is not None:
        total = stated("n_timesteps", given.n_timesteps, lengths.total)
    found = {"lr": _scheduled(given.learning_rate, f"{path}.learning_rate", total)}
    for name in ("clip_range", "clip_range_vf"):
        value = getattr(given, name)
        if value is not None and not (isinstance(value, float) and value < 0):
            found[name] = _scheduled(value, f"{path}.{name}", total)
    for name in ("ent_coef", "batch_size"):  # "auto" is an entropy that is learned
        value = getattr(given, name)
        if isinstance(value, (int, float)):
            found[name] = Constant(value=value)
    return ConfigConversion(found, total=total, steps_per_epoch=lengths.steps_per_epoch)


def _environment(config: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return the hyperparameters of the one environment of a file, with their path."""
    named = [name for name, value in config.items() if isinstance(value, Mapping)]
    if "learning_rate" in config or len(named) != len(config):
        return config, "config"
    if len(named) != 1:
        message = "has several environments: give the block of one"
        raise refused(FieldError("config", message, shown(named), "one environment"))
    return config[named[0]], f"config.{named[0]}"


def _scheduled(value: float | str, field: str, total: int | None) -> Definition:
    """Return a constant, or a line to 0 at the end of the training."""
    if isinstance(value, str) and value.startswith(_PREFIX):
        if total is None:
            raise missing("n_timesteps", f"for a line to the end, {OR_TOTAL}", "≥ 1")
        start = _number(value.removeprefix(_PREFIX), value, field)
        return Linear(start=start, end=0.0, steps=total)
    return Constant(value=_number(value, value, field))


def _number(value: float | str, written: Any, field: str) -> float:
    try:
        return float(value)
    except ValueError:
        bound = f"a number, or {_PREFIX} before one"
        raise refused(FieldError(field, f"must be {bound}", shown(written), bound)) from None


def _tells(config: Mapping[str, Any]) -> list[str]:
    """Return what RL Zoo's files have together, or the environments that have it."""
    if config.keys() >= _OF_ZOO:
        return sorted(_OF_ZOO)
    return [
        str(name)
        for name, value in config.items()
        if isinstance(value, Mapping) and value.keys() >= _OF_ZOO
    ]


PROJECT: Final = Project(
    "stable_baselines3",
    conversion,
    signs={"clip_range_vf"},
    tells=_tells,
    checked="RL Zoo's manager with random files, asked at every timestep",
    refused="files of several environments",
)
