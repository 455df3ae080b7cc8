"""YAML of RL Zoo, whose manager reads the schedules, which a PPO of Stable-Baselines3 asks."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace

import yaml
from stable_baselines3.common.base_class import BaseAlgorithm
from tests.converters.compare.alone import version_of, without
from tests.converters.compare.draws import Params, among, either, fields, real, whole
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_yaml

VERSION = version_of("stable_baselines3")
without("huggingface_sb3", "optuna", "sb3_contrib", "tensorboard")
from rl_zoo3.exp_manager import ExperimentManager  # noqa: E402


def _either(rng: Random, number: float) -> float | str:
    return rng.choice((number, f"lin_{number}", number))


def drawn(rng: Random) -> File:
    """Return the hyperparameters of an environment, under its name or alone."""
    given: Params = {
        "n_timesteps": rng.choice((rng.randint(1, 200), 1e2)),
        "policy": "MlpPolicy",
        "n_steps": 32,
        "learning_rate": _either(rng, rng.choice((3e-4, 2.5e-4, 1e-3))),
    }
    if rng.random() < 0.7:
        given["clip_range"] = _either(rng, rng.choice((0.1, 0.2)))
    if rng.random() < 0.4:
        given["clip_range_vf"] = rng.choice((0.2, -1, "lin_0.3"))
    given |= fields(
        {}, batch_size=whole(1, 256), ent_coef=either(among(0.0, 0.01), real(0.0, 0.1))
    )(rng)
    file = {"CartPole-v1": given} if rng.random() < 0.7 else given
    return File(as_yaml(rng, file), "ppo.yml")


def trained(file: File) -> Training | None:
    """Ask the schedules with the progress that the algorithm works out at every timestep."""
    given = yaml.safe_load(file.text)
    given = given.get("CartPole-v1", given)
    steps = int(given["n_timesteps"])
    read = ExperimentManager._preprocess_schedules(dict(given))
    names = {"learning_rate": "lr", "clip_range": "clip_range", "clip_range_vf": "clip_range_vf"}
    values: dict[str, list[float]] = {}
    algorithm = SimpleNamespace()
    for name, parameter in names.items():
        if not callable(read.get(name)):
            continue  # not given, or below 0, which is none
        values[parameter] = []
        for step in range(steps):
            BaseAlgorithm._update_current_progress_remaining(algorithm, step, steps)
            values[parameter].append(read[name](algorithm._current_progress_remaining))
    for name in ("ent_coef", "batch_size"):
        if name in given:
            values[name] = [given[name]] * steps
    return Training(values, steps)
