"""Files of MaxText."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
from tests.converters.configs.compared import assert_refused, assert_same, assert_told

from rheostat.converters import config_conversion

FILE: dict[str, Any] = {
    "base_config": "base.yml",
    "base_emb_dim": 64,
    "num_epoch": 1,
    "steps": 100,
    "learning_rate": 1e-3,
    "distill_alpha_schedule": "constant",
}


def cosine(x: float, low: float) -> float:
    """Return half a wave from 1e-3 to a last value."""
    share = (1 + math.cos(math.pi * x)) / 2
    return 1e-3 * share + low * (1 - share)


def scheduled(step: int, **fields: Any) -> float:
    """Return what MaxText's joined schedules have at a step, of a training of 100 steps."""
    whole = fields.get("learning_rate_schedule_steps", -1)
    whole = 100 if whole == -1 else whole
    low = 1e-3 * fields.get("learning_rate_final_fraction", 0.1)
    warmup = int(whole * fields.get("warmup_steps_fraction", 0.1))
    if step < warmup:
        return 1e-3 * step / warmup
    if step >= whole and whole < 100:
        return 0.0
    if fields.get("lr_schedule_type", "cosine") == "cosine":
        return cosine((step - warmup) / (whole - warmup - 1), low)
    decay = int(whole * fields.get("wsd_decay_steps_fraction", 0.1))
    if step < whole - decay:
        return 1e-3
    x = (step - whole + decay) / (decay - 1)
    return cosine(x, low) if fields.get("wsd_decay_style") == "cosine" else 1e-3 + (low - 1e-3) * x


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"warmup_steps_fraction": 0.25, "learning_rate_final_fraction": 0.0},
        {"lr_schedule_type": "wsd", "wsd_decay_steps_fraction": 0.3},
        {
            "lr_schedule_type": "wsd",
            "wsd_decay_style": "cosine",
            "learning_rate_final_fraction": 0.5,
        },
        {"learning_rate_schedule_steps": 80},
        {"learning_rate_schedule_steps": 200},
    ],
)
def test_a_file_gives_maxtext_s_values(fields: dict[str, Any]) -> None:
    """The rate is that of MaxText's function, whose last step has the last value."""
    found = config_conversion("maxtext", {**FILE, **fields})
    assert_same(found.parameters["lr"], lambda t: scheduled(t, **fields), range(100))
    assert found.total == 100
    assert found.parameters["weight_decay"].to_json()["value"] == 0.1


def test_a_field_of_older_versions_tells_their_cosine() -> None:
    """Before 2026 the cosine took one step more, and the field had another name."""
    older = {**FILE, "cosine_learning_rate_final_fraction": 0.3}
    found = config_conversion("maxtext", older).parameters["lr"]
    wave = partial(cosine, low=3e-4)
    assert_same(found, lambda t: 1e-4 * t if t < 10 else wave((t - 10) / 90), range(100))


def test_what_is_left_out_is_as_in_base_yml() -> None:
    """Another length may be given where the file has none."""
    found = config_conversion("maxtext", {"learning_rate": 1e-3}, total=100)
    assert_same(found.parameters["lr"], scheduled, range(100))
    assert config_conversion("maxtext", {"learning_rate": 1.0}).total == 150_001
    inherited = {**FILE, "steps": -1, "learning_rate_schedule_steps": 70}
    assert config_conversion("maxtext", inherited).total == 70


def test_each_optimizer_has_its_weight_decay() -> None:
    """Muon has one of its own beside Adam's, and SGD none."""
    muon = config_conversion("maxtext", {**FILE, "opt_type": "muon", "muon_weight_decay": 0.2})
    assert muon.parameters["weight_decay"].to_json()["value"] == 0.2
    assert muon.parameters["weight_decay/adam"].to_json()["value"] == 0.1
    assert set(config_conversion("maxtext", {**FILE, "opt_type": "sgd"}).parameters) == {"lr"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"lr_schedule_type": "linear"}, "config.lr_schedule_type"),
        ({"warmup_steps_fraction": 1.5}, "config.warmup_steps_fraction"),
        ({"warmup_steps": 100}, "config.warmup_steps"),
        ({"enable_rampup_batch_size": True}, "config.enable_rampup_batch_size"),
        ({"opt_type": "lion"}, "config.opt_type"),
        ({"steps": 0}, "config.steps"),
        (
            {"learning_rate_final_fraction": 0.1, "cosine_learning_rate_final_fraction": 0.1},
            "config.cosine_learning_rate_final_fraction",
        ),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(fields: dict[str, Any], field: str) -> None:
    """A field that is wrong or misspelled is named."""
    assert_refused("maxtext", {**FILE, **fields}, field)


def test_a_file_tells_that_it_is_maxtext_s() -> None:
    """The fields tell the project, and another total than the file's is refused."""
    assert_told("maxtext", FILE)
    assert_refused("maxtext", FILE, "total", total=99)
