"""Optimizers and schedules of Keras as it writes them, against the formulas of the schedules."""

from __future__ import annotations

from math import cos, pi
from typing import Any

import numpy as np
import pytest

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.errors import Invalid
from rheostat.schedules import evaluate

WAVE: dict[str, Any] = {
    "module": "keras.optimizers.schedules",
    "class_name": "CosineDecay",
    "config": {
        "initial_learning_rate": 0.1,
        "decay_steps": 100,
        "alpha": 0.1,
        "name": "CosineDecay",
        "warmup_target": 0.2,
        "warmup_steps": 5,
    },
    "registered_name": None,
}
SETTINGS: dict[str, Any] = {
    "name": "sgd",
    "learning_rate": WAVE,
    "weight_decay": 0.01,
    "clipnorm": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
    "momentum": 0.9,
    "nesterov": False,
}
SERIALIZED = {"module": "keras.optimizers", "class_name": "SGD", "config": SETTINGS}
SCALED = {"class_name": "LossScaleOptimizer", "config": {"inner_optimizer": SERIALIZED}}


def rate(t: int) -> float:
    """Return the rate of WAVE: five steps from 0.1 to 0.2, and half a wave to 0.02."""
    if t < 5:
        return 0.1 + 0.1 * t / 5
    share = min(t - 5, 100) / 100
    return 0.2 * (0.9 * 0.5 * (1 + cos(pi * share)) + 0.1)


@pytest.mark.parametrize(
    ("config", "others"),
    [
        (SETTINGS, {"weight_decay": 0.01, "momentum": 0.9}),
        (SERIALIZED, {"weight_decay": 0.01, "momentum": 0.9}),
        (SCALED, {"weight_decay": 0.01, "momentum": 0.9}),
        ({"optimizer": SERIALIZED, "loss": "mse"}, {"weight_decay": 0.01, "momentum": 0.9}),
        (WAVE, {}),
        (WAVE["config"], {}),
    ],
)
def test_an_optimizer_and_a_schedule_are_read(config: Any, others: dict[str, float]) -> None:
    """What `serialize`, `get_config` and `get_compile_config` write has the schedule's rate."""
    found = config_conversion("keras", config, total=106).parameters
    steps = np.arange(120)
    assert evaluate(found["lr"], steps) == pytest.approx([rate(int(t)) for t in steps], rel=1e-12)
    assert {name: evaluate(found[name], 0) for name in found if name != "lr"} == others


def test_a_number_is_a_constant_rate() -> None:
    """Without a schedule the rate is constant; a decay of 0, which old optimizers have, is none."""
    found = config_conversion("keras", {**SETTINGS, "learning_rate": 0.5, "decay": 0.0}).parameters
    assert evaluate(found["lr"], 99) == 0.5


OWN = {"class_name": "MyPackage>Noam", "config": {"steps": 10}}


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"name": "sgd"}, "learning_rate"),
        ({**SETTINGS, "learning_rate": "fast"}, "learning_rate"),
        ({**SETTINGS, "learning_rate": OWN}, "learning_rate.class_name"),
        (
            {**SETTINGS, "learning_rate": {**WAVE, "config": {"initial_learning_rate": 1.0}}},
            "learning_rate.config.decay_steps",
        ),
        ({**SETTINGS, "decay": 1e-3}, "decay"),
        ({"class_name": "SGD", "config": {**SETTINGS, "lr_decay": 0.1}}, "config.lr_decay"),
        ({**WAVE["config"], "decay": 3}, "decay"),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(config: Any, field: str) -> None:
    """Schedules of the user's own, wrong and unknown fields are refused by their paths."""
    with pytest.raises(Invalid) as caught:
        config_conversion("keras", config)
    assert caught.value.errors[0].field.startswith(f"config.{field}")


@pytest.mark.parametrize("config", [SETTINGS, SERIALIZED, WAVE, WAVE["config"]])
def test_a_file_is_told_by_its_fields(config: Any) -> None:
    """A schedule that is an object with a class is Keras's."""
    assert library_of(config).library == "keras"
