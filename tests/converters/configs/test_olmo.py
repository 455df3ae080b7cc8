"""Files of OLMo."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tests.converters.configs.compared import assert_refused, assert_same, assert_told

from rheostat.converters import config_conversion

TOKENS = 4 * 8
"""The tokens of a batch of `FILE`."""
FILE: dict[str, Any] = {
    "run_name": "small",
    "model": {"d_model": 64, "max_sequence_length": 8, "warmup_like": None},
    "optimizer": {"name": "adamw", "learning_rate": 3e-4, "weight_decay": 0.1},
    "scheduler": {"name": "cosine_with_warmup", "t_warmup": 10, "alpha_f": 0.2},
    "max_duration": 100,
    "global_train_batch_size": 4,
    "device_train_microbatch_size": 2,
    "eval_interval": 1000,
    "max_grad_norm": 1.0,
    "extra_steps_after_cancel": 10,
}


def rate(current: float, end: float, name: str = "cosine_with_warmup", **fields: Any) -> float:
    """Return what a scheduler of OLMo answers."""
    peak, alpha = 3e-4, float(fields.get("alpha_f", 0.1))
    warmup, last = int(fields.get("t_warmup", 100)), fields.get("t_max") or end
    given = fields.get("warmup_min_lr")
    low = peak * 0.1 if given is None else float(given)
    if name == "constant":
        return peak
    if name == "max_scheduler":
        both = ("cosine_with_warmup", "inverse_sqrt_with_warmup")
        return max(rate(current, end, one, **fields) for one in both)
    if current < warmup:
        return low + (peak - low) * min(current, warmup) / warmup
    if name == "constant_with_warmup":
        return peak
    if name == "inverse_sqrt_with_warmup":
        return peak * math.sqrt(warmup / max(warmup, current))
    if current >= last:
        return peak * alpha
    x = (current - warmup) / (last - warmup)
    wave = (1 + math.cos(math.pi * x)) / 2
    shape = {
        "cosine_with_warmup": wave,
        "linear_with_warmup": 1 - x,
        "cosine_linear_envelope": wave * (1 - x),
    }[name]
    return peak * alpha + peak * (1 - alpha) * shape


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": "linear_with_warmup", "t_warmup": 20.9, "alpha_f": 0.0},
        {"name": "cosine_linear_envelope", "warmup_min_lr": 0.0, "t_warmup": 5},
        {"name": "constant_with_warmup", "t_warmup": 30},
        {"name": "inverse_sqrt_with_warmup", "t_warmup": 15},
        {"name": "constant"},
        {"name": "max_scheduler", "t_warmup": 5, "alpha_f": 0.0},
        {"name": "inverse_sqrt_with_warmup", "t_warmup": 0},
        {"t_warmup": 10, "t_max": 60},
    ],
)
def test_a_file_gives_olmo_s_values(fields: dict[str, Any]) -> None:
    """The first update has the rate of step 1, since OLMo counts before it updates."""
    found = config_conversion("olmo", {**FILE, "scheduler": fields})
    assert_same(found.parameters["lr"], lambda t: rate(t + 1, 100, **fields), range(110))
    assert found.total == 100


def test_tokens_become_steps() -> None:
    """A schedule in tokens is one in steps: a batch has as many as the file says."""
    fields: dict[str, Any] = {
        "units": "tokens",
        "t_warmup": 10.5 * TOKENS,
        "alpha_f": 0.1,
        "warmup_min_lr": 0.0,
    }
    config = {**FILE, "scheduler": fields, "max_duration": "3.201e3T"}
    found = config_conversion("olmo", config)
    assert found.total == 101
    assert_same(
        found.parameters["lr"], lambda t: rate((t + 1) * TOKENS, 3201, **fields), range(101)
    )
    steps = config_conversion("olmo", {**config, "scheduler": {"t_warmup": 10}})
    assert_same(steps.parameters["lr"], lambda t: rate(t + 1, 101, t_warmup=10), range(101))


def test_epochs_need_their_length() -> None:
    """A duration in epochs asks for the steps of one, or for the total."""
    config = {**FILE, "max_duration": "2ep"}
    by_epochs = config_conversion("olmo", config, steps_per_epoch=40)
    assert by_epochs.total == 80
    assert by_epochs.parameters == config_conversion("olmo", config, total=80).parameters
    assert_refused("olmo", config, "config.max_duration")
    assert_refused("olmo", config, "total", steps_per_epoch=40, total=81)


def test_the_bound_of_the_gradient_norm_is_a_parameter() -> None:
    """The bound is another one while at most so many steps, or tokens, have been counted."""
    for fields in (
        {"grad_clip_warmup_steps": 20, "grad_clip_warmup_factor": 10.0},
        {"units": "tokens", "grad_clip_warmup_steps": 20 * TOKENS, "grad_clip_warmup_factor": 10.0},
    ):
        found = config_conversion("olmo", {**FILE, "scheduler": {**FILE["scheduler"], **fields}})
        bound = found.parameters["max_grad_norm"]
        assert_same(bound, lambda t: 10.0 if t + 1 <= 20 else 1.0, range(60))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"scheduler": {"name": "wsd"}}, "config.scheduler.name"),
        ({"scheduler": {"warmup": 3}}, "config.scheduler.warmup"),
        ({"scheduler": {"units": "epochs"}}, "config.scheduler.units"),
        ({"scheduler": {"warmup_min_lr": 1.0}}, "config.scheduler.warmup_min_lr"),
        ({"max_duration": "long"}, "config.max_duration"),
        ({"optimizer": {"lr": 1e-3}}, "config.optimizer.lr"),
        ({"lr_scheduler": {}}, "config.lr_scheduler"),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(fields: dict[str, Any], field: str) -> None:
    """A field that is wrong, misspelled or of another project is named."""
    assert_refused("olmo", {**FILE, **fields}, field)


def test_a_file_tells_that_it_is_olmo_s() -> None:
    """The fields tell the project."""
    assert_told("olmo", FILE)
