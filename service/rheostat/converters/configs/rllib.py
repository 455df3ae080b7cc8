"""
RLlib: the configuration of an algorithm, alone or in the YAML file of an experiment.

A step is a timestep of the environments, which the schedules count.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from pydantic import BaseModel

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
from rheostat.converters.kit import through
from rheostat.converters.parameters import Length
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

Points = list[list[float] | tuple[float, ...]]
"""A schedule: timesteps and the values to reach by them."""


class Algorithm(BaseModel):
    """The settings that can be scheduled; those of old releases stand in fields of their own."""

    model_config = LENIENT

    lr: float | Points
    lr_schedule: Points | None = None
    entropy_coeff: float | Points | None = None
    entropy_coeff_schedule: Points | None = None
    clip_param: float | None = None
    train_batch_size: Length | None = None


class Stop(BaseModel):
    """What ends an experiment, if timesteps do."""

    model_config = LENIENT

    timesteps_total: Length | None = None
    num_env_steps_sampled_lifetime: Length | None = None


_READ: Final = Read(
    "rllib",
    tuple(Algorithm.model_fields),
    harmless={
        *("num_sgd_iter", "num_epochs", "num_samples"),
        *("min_sample_timesteps_per_iteration", "min_train_timesteps_per_iteration"),
    },
    apart={
        *("model", "env_config", "exploration_config", "replay_buffer_config"),
        *("evaluation_config", "env_runners"),
    },
    other_schedules={"multiagent", "policies", "optimizer"},
)


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate, the coefficient of the entropy, the clip and the batch.

    A schedule is a line from each of its points to the next, and its last value holds.
    """
    config, path, total = _experiment(config, lengths)
    check_unknown(config, _READ, path)
    given = read(Algorithm, config, path)
    found = {"lr": _scheduled(given.lr, given.lr_schedule, f"{path}.lr")}
    if given.entropy_coeff is not None or given.entropy_coeff_schedule is not None:
        coefficient = given.entropy_coeff or 0.0
        field = f"{path}.entropy_coeff"
        found["entropy_coeff"] = _scheduled(coefficient, given.entropy_coeff_schedule, field)
    if given.clip_param is not None:
        found["clip_param"] = Constant(value=given.clip_param)
    if given.train_batch_size is not None:
        found["batch_size"] = Constant(value=given.train_batch_size)
    return ConfigConversion(found, total=total, steps_per_epoch=lengths.steps_per_epoch)


def _experiment(
    config: Mapping[str, Any], lengths: TrainingLengths
) -> tuple[Mapping[str, Any], str, int | None]:
    """Return the settings of the one experiment of a file, their path, and the timesteps."""
    named = [name for name, value in config.items() if _is_experiment(value)]
    if not named:
        return config, "config", lengths.total
    if len(named) > 1:
        message = "has several experiments: give the block of one"
        raise refused(FieldError("config", message, shown(named), "one experiment"))
    path, block = f"config.{named[0]}", config[named[0]]
    stop = read(Stop, block.get("stop") or {}, f"{path}.stop")
    total = stop.timesteps_total or stop.num_env_steps_sampled_lifetime
    if total is not None:
        total = stated("stop", total, lengths.total)
    return block["config"], f"{path}.config", total or lengths.total


def _is_experiment(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("config"), Mapping)


def _scheduled(value: float | Points, schedule: Points | None, field: str) -> Definition:
    """Return a setting, which in old releases had a field of its own for its schedule."""
    if isinstance(value, list) and schedule is not None:
        message = "is a schedule too: one of them is to be given"
        raise refused(FieldError(f"{field}_schedule", message, shown(schedule), "null"))
    points, field = (value, field) if schedule is None else (schedule, f"{field}_schedule")
    if not isinstance(points, list):
        return Constant(value=points)
    _check_points(points, field)
    return through([(float(int(place)), float(value)) for place, value in points], "linear")


def _check_points(points: Points, field: str) -> None:
    """Refuse points as RLlib does: they begin at 0 and rise, and there are two at least."""
    bound = "[[0, first value], [timestep, value], …]"
    if len(points) < 2 or any(len(point) != 2 for point in points):
        raise refused(FieldError(field, "must be two points at least", shown(points), bound))
    if points[0][0] != 0:
        raise refused(FieldError(f"{field}[0][0]", "must be 0", points[0][0], "0"))
    for i, (before, after) in enumerate(pairwise(points)):
        if int(after[0]) <= int(before[0]):
            bound = f"> {before[0]:g}"
            raise refused(FieldError(f"{field}[{i + 1}][0]", "must rise", after[0], bound))


def _tells(config: Mapping[str, Any]) -> list[str]:
    """Return the experiments of a file: each names what runs, and its settings."""
    return [str(name) for name, value in config.items() if _is_experiment(value) and "run" in value]


PROJECT: Final = Project(
    "rllib",
    conversion,
    signs={
        *("num_env_runners", "rollout_fragment_length", "sgd_minibatch_size", "num_sgd_iter"),
        *("entropy_coeff_schedule", "num_rollout_workers", "num_envs_per_env_runner"),
        "train_batch_size_per_learner",
    },
    tells=_tells,
    checked="the formula of RLlib's PiecewiseSchedule, at every timestep",
    refused="searches over values, and files of several experiments",
)
