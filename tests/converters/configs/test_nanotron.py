"""Files of nanotron."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tests.converters.configs.compared import assert_refused, assert_same, assert_told

from rheostat.converters import config_conversion

SCHEDULER: dict[str, Any] = {
    "learning_rate": 3e-4,
    "lr_decay_starting_step": None,
    "lr_decay_steps": 13,
    "lr_decay_style": "cosine",
    "lr_warmup_steps": 2,
    "lr_warmup_style": "linear",
    "min_decay_lr": 1e-5,
}


def file(**fields: Any) -> dict[str, Any]:
    """Return a file with these fields of the schedule."""
    scheduler = {name: value for name, value in {**SCHEDULER, **fields}.items() if value != "out"}
    return {
        "checkpoints": {"checkpoint_interval": 10},
        "data_stages": [{"name": "Stable", "start_training_step": 1}],
        "model": {"init_method": {"std": 0.025}},
        "optimizer": {"learning_rate_scheduler": scheduler, "weight_decay": 0.01},
        "parallelism": {"dp": 2, "pp": 2},
        "tokens": {
            "train_steps": 100,
            "micro_batch_size": 3,
            "batch_accumulation_per_replica": 4,
            "val_check_interval": -1,
        },
    }


def scheduled(step: int, **fields: Any) -> float:
    """Return the rate of nanotron's scheduler, of a training of 100 steps."""
    given = {**SCHEDULER, **fields}
    peak, low, warmup = 3e-4, given["min_decay_lr"], given["lr_warmup_steps"]
    low = peak if low is None else float(low)
    start = given["lr_decay_starting_step"]
    decay = given["lr_decay_steps"]
    decay = 100 - warmup - (start or 0) if decay is None else decay
    start = warmup if start is None else start
    if step <= warmup:
        return peak * step / max(warmup, 1) if given["lr_warmup_style"] == "linear" else peak
    if step < start:
        return peak
    if step >= start + decay:
        return low
    x = (step - start) / decay
    shape = {"cosine": (1 + math.cos(math.pi * x)) / 2, "linear": 1 - x, "1-sqrt": 1 - x**0.5}
    return low + (peak - low) * float(shape[given["lr_decay_style"] or "linear"])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"lr_decay_style": "linear", "lr_decay_steps": None},
        {"lr_decay_style": "1-sqrt", "lr_decay_starting_step": 70, "lr_decay_steps": 20},
        {"lr_decay_style": None, "lr_decay_starting_step": 50, "lr_decay_steps": None},
        {"lr_warmup_style": "constant", "lr_warmup_steps": 0},
        {"min_decay_lr": None},
    ],
)
def test_a_file_gives_nanotron_s_values(fields: dict[str, Any]) -> None:
    """The rate is that of nanotron's function, with what it makes of a decay that is not given."""
    found = config_conversion("nanotron", file(**fields))
    assert_same(found.parameters["lr"], lambda t: scheduled(t, **fields), range(110))
    values = {name: curve.to_json().get("value") for name, curve in found.parameters.items()}
    assert (values["weight_decay"], values["batch_size"], found.total) == (0.01, 24, 100)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (file(lr_decay_style="wsd"), "config.optimizer.learning_rate_scheduler.lr_decay_style"),
        (file(lr_warmup_style="out"), "config.optimizer.learning_rate_scheduler.lr_warmup_style"),
        (file(warmup=3), "config.optimizer.learning_rate_scheduler.warmup"),
        (file(learning_rate="out"), "config.optimizer.learning_rate_scheduler.learning_rate"),
        ({**file(), "tokens": {}}, "config.tokens.train_steps"),
        ({**file(), "tokens": {"total_steps": 5}}, "config.tokens.total_steps"),
        (
            {**file(), "model": {"init_method": {"use_mup": True}}},
            "config.model.init_method.use_mup",
        ),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(config: dict[str, Any], field: str) -> None:
    """A field that is wrong, missing or misspelled is named."""
    assert_refused("nanotron", config, field)


def test_weights_that_are_left_out_have_no_decay() -> None:
    """What weight_decay_exclude_named_params names is a group without weight decay."""
    given = file()
    given["optimizer"]["weight_decay_exclude_named_params"] = [".*token_embedding.*"]
    found = config_conversion("nanotron", given).parameters
    assert found["weight_decay"].to_json()["value"] == 0.01
    assert found["weight_decay/excluded"].to_json()["value"] == 0.0


def test_a_file_tells_that_it_is_nanotron_s() -> None:
    """The fields tell the project, and another total than the file's is refused."""
    assert_told("nanotron", file())
    assert_refused("nanotron", file(), "total", total=99)
