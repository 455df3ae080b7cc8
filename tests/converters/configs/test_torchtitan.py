"""Files of torchtitan."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tests.converters.configs.compared import assert_refused, assert_same, assert_told

from rheostat.converters import config_conversion

GROUP = {"pattern": ".*", "optimizer_name": "AdamW", "optimizer_kwargs": {"lr": 3e-4}}
DEBUG: dict[str, Any] = {
    "job": {"dump_folder": "./outputs"},
    "metrics": {"log_freq": 10},
    "parallelism": {"pipeline_parallel_schedule": "1F1B"},
    "optimizer": {"name": "AdamW", "lr": 8e-4, "weight_decay": 0.2},
    "lr_scheduler": {"warmup_steps": 2, "decay_ratio": 0.8, "decay_type": "linear"},
    "training": {"steps": 10, "local_batch_size": 8, "global_batch_size": 64},
    "validation": {"steps": 20},
}


def container(step: int, lr: float, total: int, **fields: Any) -> float:
    """Return the factor of torchtitan's LambdaLR, times the optimizer's rate."""
    warmup: int = min(fields.get("warmup_steps", 200), total)
    ratio = fields.get("decay_ratio")
    decay = total - warmup if ratio is None else min(round(total * ratio), total - warmup)
    stable = total + 1 - warmup - decay
    if step < warmup:
        return lr * (step + 1) / warmup
    if step < warmup + stable:
        return lr
    progress = (step + 1 - warmup - stable) / decay
    shape = {
        "linear": 1 - progress,
        "sqrt": 1 - math.sqrt(progress),
        "cosine": 0.5 * (1 + math.cos(math.pi * progress)),
    }[fields.get("decay_type", "linear")]
    least: float = fields.get("min_lr_factor", 0.0)
    return lr * (least + (1 - least) * shape)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"warmup_steps": 2, "decay_ratio": 0.8},
        {"warmup_steps": 30, "decay_type": "cosine", "min_lr_factor": 0.1},
        {"warmup_steps": 10, "decay_ratio": 0.3, "decay_type": "sqrt"},
        {"warmup_steps": 5, "total_steps": 700},
    ],
)
def test_a_file_gives_torchtitan_s_values(fields: dict[str, Any]) -> None:
    """The rate is the optimizer's times the factor of torchtitan's function."""
    config = {"training": {"steps": 500}, "optimizer": {"lr": 3e-4}, "lr_scheduler": fields}
    found = config_conversion("torchtitan", config)
    total = fields.get("total_steps", 500)
    assert_same(found.parameters["lr"], lambda t: container(t, 3e-4, total, **fields), range(500))
    assert found.total == 500


@pytest.mark.parametrize("kind", ["linear", "sqrt"])
def test_a_training_does_not_go_on_after_its_schedule(kind: str) -> None:
    """Below total_steps torchtitan's line and root fall under their end, which no run should do."""
    fields = {"warmup_steps": 5, "total_steps": 63, "decay_type": kind, "min_lr_factor": 0.5}
    config = {"training": {"steps": 84}, "optimizer": {"lr": 3e-4}, "lr_scheduler": fields}
    assert_refused("torchtitan", config, "config.lr_scheduler.total_steps")
    config["training"] = {"steps": 64}
    found = config_conversion("torchtitan", config).parameters["lr"]
    assert_same(found, lambda t: container(t, 3e-4, 63, **fields), range(64))


def test_a_file_is_a_whole_run() -> None:
    """The weight decay and the batch size stand beside the rate; what is left out is as in code."""
    found = config_conversion("torchtitan", DEBUG)
    values = {name: curve.to_json().get("value") for name, curve in found.parameters.items()}
    assert (values["weight_decay"], values["batch_size"], found.total) == (0.2, 64, 10)
    plain = config_conversion("torchtitan", {})
    assert_same(plain.parameters["lr"], lambda t: container(t, 8e-4, 10_000), range(0, 10_000, 37))


def test_the_groups_of_the_new_form_are_read() -> None:
    """A dictionary with param_groups gives their rate."""
    config = {
        "optimizer": {"param_groups": [GROUP, {**GROUP, "pattern": ".*bias"}]},
        "training": {"steps": 50},
        "lr_scheduler": {"warmup_steps": 5, "min_lr_factor": 0.1},
    }
    found = config_conversion("torchtitan", config).parameters["lr"]
    assert_same(
        found, lambda t: container(t, 3e-4, 50, warmup_steps=5, min_lr_factor=0.1), range(50)
    )


@pytest.mark.parametrize(
    ("section", "fields", "field"),
    [
        ("lr_scheduler", {"decay_type": "exponential"}, "config.lr_scheduler.decay_type"),
        ("lr_scheduler", {"warmup_step": 3}, "config.lr_scheduler.warmup_step"),
        ("lr_scheduler", {"min_lr_factor": 0.1, "lr_min": 0.1}, "config.lr_scheduler.lr_min"),
        ("lr_scheduler", {"lr_min": 0.0}, "config.lr_scheduler.lr_min"),
        ("training", {"batch_size": 8}, "config.training.batch_size"),
        ("training", {"warmup_steps": 200}, "config.training.warmup_steps"),
        ("training", {"steps": 0}, "config.training.steps"),
        ("optimizer", {"lr": "fast"}, "config.optimizer.lr"),
        (
            "optimizer",
            {"param_groups": [GROUP, {**GROUP, "optimizer_kwargs": {"lr": 1e-3}}]},
            "config.optimizer.param_groups",
        ),
        ("model", {"lr_multiplier": 2.0}, "config.model.lr_multiplier"),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(
    section: str, fields: dict[str, Any], field: str
) -> None:
    """A field that is wrong, misspelled, not read or of versions with other curves is named."""
    assert_refused("torchtitan", {**DEBUG, section: fields}, field)


def test_a_file_tells_that_it_is_torchtitan_s_and_keeps_its_length() -> None:
    """The fields tell the project, and another total than the file's is refused."""
    assert_told("torchtitan", DEBUG)
    assert_refused("torchtitan", DEBUG, "total", total=11)
