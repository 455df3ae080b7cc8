"""Files of Stable-Baselines3 and RLlib, whose schedules count timesteps of the environments."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.errors import Invalid
from rheostat.schedules import evaluate

ATARI: dict[str, Any] = {
    "env_wrapper": ["stable_baselines3.common.atari_wrappers.AtariWrapper"],
    "policy": "CnnPolicy",
    "n_envs": 8,
    "n_steps": 128,
    "n_epochs": 4,
    "batch_size": 256,
    "n_timesteps": 1e7,
    "learning_rate": "lin_2.5e-4",
    "clip_range": "lin_0.1",
    "ent_coef": 0.01,
}
PPO: dict[str, Any] = {
    "lr": [[0, 5e-4], [1000, 1e-4], [3000, 5e-5]],
    "entropy_coeff": 0.01,
    "entropy_coeff_schedule": [[0, 0.01], [2000, 0.0]],
    "clip_param": 0.2,
    "train_batch_size": 4000,
    "num_env_runners": 4,
    "num_sgd_iter": 10,
    "model": {"fcnet_hiddens": [64]},
}


def test_a_line_falls_with_the_progress_that_remains() -> None:
    """After a rollout the rate is that of 1 − num_timesteps/n_timesteps, and so is the clip."""
    found = config_conversion("stable_baselines3", {"atari": ATARI})
    rollouts = np.arange(1, 9765) * 128 * 8
    for name, start in (("lr", 2.5e-4), ("clip_range", 0.1)):
        expected = [(1.0 - float(n) / 1e7) * start for n in rollouts]
        assert evaluate(found.parameters[name], rollouts) == pytest.approx(expected, rel=1e-9)
    assert evaluate(found.parameters["ent_coef"], 7) == 0.01
    assert evaluate(found.parameters["batch_size"], 7) == 256
    assert found.total == 10**7


def test_a_number_is_a_constant() -> None:
    """Numbers are constants, a clip range below 0 is none, and an entropy may be learned."""
    config = {"learning_rate": 1e-3, "clip_range_vf": -1, "ent_coef": "auto", "clip_range": 0.2}
    found = config_conversion("stable_baselines3", config)
    assert {name: evaluate(found.parameters[name], 9) for name in found.parameters} == {
        "lr": 1e-3,
        "clip_range": 0.2,
    }


def reached(t: int, points: list[list[float]]) -> float:
    """Return the value of a timestep as RLlib's PiecewiseSchedule interpolates it."""
    for (left, low), (right, high) in pairwise(points):
        if left <= t < right:
            return float(low + (t - left) / (right - left) * (high - low))
    return float(points[-1][1])


def test_points_are_joined_by_lines() -> None:
    """A schedule is a line from point to point, and holds its last value."""
    experiment = {"env": "x", "run": "PPO", "stop": {"timesteps_total": 4000}, "config": PPO}
    for config in (PPO, {"cartpole": experiment}):
        found = config_conversion("rllib", config)
        steps = np.arange(0, 4000, 7)
        for name, points in (("lr", PPO["lr"]), ("entropy_coeff", PPO["entropy_coeff_schedule"])):
            expected = [reached(int(t), points) for t in steps]
            assert evaluate(found.parameters[name], steps) == pytest.approx(expected, rel=1e-12)
        assert evaluate(found.parameters["clip_param"], 3) == 0.2
        assert evaluate(found.parameters["batch_size"], 3) == 4000
    assert found.total == 4000
    old = {"lr": 1.0, "lr_schedule": [[0, 0.1], [10, 0.2]]}
    assert evaluate(config_conversion("rllib", old).parameters["lr"], 5) == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("library", "config", "field"),
    [
        ("stable_baselines3", {**ATARI, "learning_rate": "linear"}, "learning_rate"),
        ("stable_baselines3", {**ATARI, "clip_range": "lin_"}, "clip_range"),
        ("stable_baselines3", {**ATARI, "n_timesteps": 0}, "n_timesteps"),
        ("stable_baselines3", {**ATARI, "n_timesteps": None}, "n_timesteps"),
        ("stable_baselines3", {**ATARI, "learning_rat": 3}, "learning_rat"),
        ("stable_baselines3", {"a": {"n_timesteps": 5}}, "a.learning_rate"),
        ("rllib", {"train_batch_size": 4}, "lr"),
        ("rllib", {**PPO, "lr": {"grid_search": [1, 2]}}, "lr"),
        ("rllib", {**PPO, "lr": [[0, 1.0]]}, "lr"),
        ("rllib", {**PPO, "lr": [[5, 1.0], [9, 2.0]]}, "lr[0][0]"),
        ("rllib", {**PPO, "lr": [[0, 1.0], [9, 2.0], [9, 3.0]]}, "lr[2][0]"),
        ("rllib", {**PPO, "lr_schedule": [[0, 1.0], [9, 2.0]]}, "lr_schedule"),
        ("rllib", {**PPO, "lr_decay": 3}, "lr_decay"),
        (
            "rllib",
            {**PPO, "multiagent": {"policies": {"a": [None, {}, {}, {"lr": 1.0}]}}},
            "multiagent.policies.a[3].lr",
        ),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(
    library: str, config: dict[str, Any], field: str
) -> None:
    """Wrong, missing and unknown fields are refused by their paths."""
    with pytest.raises(Invalid) as caught:
        config_conversion(library, config)
    assert caught.value.errors[0].field == f"config.{field}"


def test_of_several_environments_one_is_asked_for() -> None:
    """A file of several environments or experiments is refused: each is a run."""
    experiments = {name: {"run": "PPO", "config": PPO} for name in "ab"}
    for library, config in (
        ("stable_baselines3", {"a": ATARI, "b": ATARI}),
        ("rllib", experiments),
    ):
        with pytest.raises(Invalid) as caught:
            config_conversion(library, config)
        assert caught.value.errors[0].field == "config"
        assert library_of(config).library == library


def test_a_file_is_told_by_its_fields() -> None:
    """n_timesteps is Stable-Baselines3's own name, num_env_runners RLlib's."""
    assert library_of(ATARI).library == "stable_baselines3"
    assert library_of(PPO).library == "rllib"
