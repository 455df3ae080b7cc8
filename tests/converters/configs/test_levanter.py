"""Files of Levanter."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.converters.configs.compared import assert_refused, assert_same, assert_told

from rheostat.converters import config_conversion
from rheostat.schedules.kinds.pointwise import Follow

FILE: dict[str, Any] = {
    "data": {"train_weights": [[0, {"a": 1.0}]]},
    "model": {"type": "gpt2", "seq_len": 1024},
    "trainer": {
        "num_train_steps": 200,
        "train_batch_size": 256,
        "checkpointer": {"keep": [{"every": 100}]},
        "model_averaging": {"type": "ema_decay_sqrt", "decay_steps": 10},
    },
    "optimizer": {"learning_rate": 1e-3, "weight_decay": 0.05, "warmup": 0.1},
}


def with_optimizer(**fields: Any) -> dict[str, Any]:
    """Return the file with other fields of the optimizer."""
    return {**FILE, "optimizer": {**FILE["optimizer"], **fields}}


def cosine(x: float, peak: float, low: float) -> float:
    """Return half a wave of a share, which ends at 1."""
    return low + (peak - low) * (1 + math.cos(math.pi * min(x, 1.0))) / 2


def whole(step: int, peak: float = 1e-3) -> float:
    """Return a warm-up of 20 steps to a cosine of 180, to a tenth."""
    return peak * step / 20 if step < 20 else cosine((step - 20) / 180, peak, peak / 10)


def inverse(step: int) -> float:
    """Return four cycles of 50 steps: 5 of warm-up, the first alone, a constant, 20 of `inv`."""
    cycle, place = divmod(step, 50)
    if cycle == 0 and place < 5:
        return 1e-3 * place / 5
    if place < 30:
        return 1e-3
    return 1e-3 / (9 * max(place - 30, 1) / 20 + 1)


def decayed(step: int) -> float:
    """Return a warm-up of 20 steps, a constant, and a line of 50 steps to nothing."""
    if step < 20:
        return 1e-3 * step / 20
    return 1e-3 if step < 150 else 1e-3 * (1 - (step - 150) / 50)


def inverse_root(step: int) -> float:
    """Return a warm-up of 10 steps to an inverse root that falls from step 40 on."""
    return 1e-3 * step / 10 if step < 10 else 1e-3 * min(1.0, math.sqrt(40 / step))


@pytest.mark.parametrize(
    ("fields", "formula"),
    [
        ({}, whole),
        ({"warmup": 20, "lr_schedule": {"type": "cosine", "exponent": 1.0}}, whole),
        ({"lr_schedule": "linear", "decay": 0.25, "min_lr_ratio": 0.0}, decayed),
        (
            {
                "warmup": 10,
                "lr_schedule": {"type": "inv_sqrt", "timescale": 40.0},
                "min_lr_ratio": 0,
            },
            inverse_root,
        ),
        ({"cycle_length": 50, "decay": 20, "lr_schedule": "inv"}, inverse),
    ],
)
def test_a_file_gives_levanter_s_values(fields: dict[str, Any], formula: Any) -> None:
    """The rate is that of Levanter's stages, counted from the update before any step."""
    found = config_conversion("levanter", with_optimizer(**fields))
    assert_same(found.parameters["lr"], formula, range(200))
    values = {name: curve.to_json().get("value") for name, curve in found.parameters.items()}
    assert (values["weight_decay"], values["batch_size"], found.total) == (0.05, 256, 200)


def test_an_optimizer_s_block_alone_is_read() -> None:
    """The block tells the project, and needs the length of the training."""
    block = {"learning_rate": 6e-4, "warmup": 0.1, "min_lr_ratio": 0.1, "lr_schedule": "cosine"}
    assert_told("levanter", block)
    found = config_conversion("levanter", block, total=200)
    assert_same(found.parameters["lr"], lambda t: whole(t, 6e-4), range(200))
    assert_refused("levanter", block, "config.trainer.num_train_steps")


def test_muon_has_a_rate_for_adam() -> None:
    """The weights that Muon leaves to Adam have the same curve from another rate."""
    found = config_conversion("levanter", with_optimizer(type="muon", adam_lr=3e-4))
    assert_same(found.parameters["lr"], whole, range(200))
    assert_same(found.parameters["lr/adam"], lambda t: whole(t, 3e-4), range(200))


def test_a_weight_decay_may_follow_the_rate() -> None:
    """AdamC's weight decay is the rate's share of its peak."""
    found = config_conversion("levanter", with_optimizer(adamc_weight_decay=True))
    decay = found.parameters["weight_decay"]
    assert isinstance(decay, Follow)
    rate = found.parameters["lr"].at(np.array([0.0, 10.0, 20.0]))
    places = np.array([0.0, 10.0, 20.0])
    assert decay.at(places, {"lr": rate}).tolist() == pytest.approx([0.0, 0.025, 0.05])


def test_a_batch_may_change_at_steps() -> None:
    """A batch that is a list holds from each start on."""
    sizes = [{"start": 0, "value": 64}, {"start": 64, "value": 128}, {"start": 100, "value": 32}]
    config = {**FILE, "trainer": {"num_train_steps": 200, "train_batch_size": sizes}}
    found = config_conversion("levanter", config).parameters["batch_size"]
    assert_same(found, lambda t: 64 if t < 64 else 128 if t < 100 else 32, range(200))


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (with_optimizer(lr_schedule="power"), "config.optimizer.lr_schedule"),
        (with_optimizer(warmup=1.5), "config.optimizer.warmup"),
        (with_optimizer(cycles=[50, 40]), "config.optimizer.cycles"),
        (with_optimizer(cycles=2, cycle_length=50), "config.optimizer.cycles"),
        (with_optimizer(type="scion"), "config.optimizer.type"),
        (with_optimizer(stable=0.4), "config.optimizer.stable"),
        (with_optimizer(warmup_ratio=0.1), "config.optimizer.warmup_ratio"),
        (with_optimizer(lr=1e-3), "config.optimizer.lr"),
        (with_optimizer(min_lr=1e-4), "config.optimizer.min_lr"),
        (
            {**FILE, "trainer": {"train_batch_size": [{"start": 5, "value": 1}]}},
            "config.trainer.train_batch_size",
        ),
        ({**FILE, "trainer": {"max_steps": 5}}, "config.trainer.max_steps"),
        ({**FILE, "scheduler": {}}, "config.scheduler"),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(config: dict[str, Any], field: str) -> None:
    """A field that is wrong, misspelled or unknown is named."""
    assert_refused("levanter", config, field)


def test_a_file_tells_that_it_is_levanter_s() -> None:
    """The fields tell the project, and another total than the file's is refused."""
    assert_told("levanter", FILE)
    assert_refused("levanter", FILE, "total", total=99)
