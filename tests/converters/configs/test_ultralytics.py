"""Arguments of Ultralytics, against the loop of its trainer, batch by batch."""

from __future__ import annotations

from math import cos, pi
from typing import Any

import numpy as np
import pytest

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.errors import Invalid
from rheostat.schedules import evaluate

EPOCH = 60
"""Batches of an epoch."""
PLAIN: dict[str, Any] = {"epochs": 12, "optimizer": "SGD", "lr0": 0.02, "lrf": 0.1, "batch": 64}


def trained(config: dict[str, Any]) -> dict[str, list[float]]:
    """Return what the trainer's loop sets before each batch, for weights and for biases."""
    found: dict[str, list[float]] = {"lr": [], "lr/bias": [], "momentum": []}
    epochs, lr0, lrf = config["epochs"], config["lr0"], config["lrf"]
    momentum, start = config.get("momentum", 0.937), config.get("warmup_momentum", 0.8)
    warmup = round(min(config.get("warmup_epochs", 3.0), epochs - 1) * EPOCH)
    now = {"momentum": momentum}
    for epoch in range(epochs):
        factor = (1 - epoch / epochs) * (1 - lrf) + lrf
        if config.get("cos_lr"):
            factor = (1 - cos(epoch * pi / epochs)) / 2 * (lrf - 1) + 1
        rate = lr0 * factor
        now |= {"lr": rate, "lr/bias": rate}
        for i in range(EPOCH):
            ends = {
                "lr": (0.0, rate),
                "lr/bias": (config.get("warmup_bias_lr", 0.1), rate),
                "momentum": (start, momentum),
            }
            batch = i + EPOCH * epoch
            if batch <= warmup > 0:
                now = {n: float(np.interp(batch, [0, warmup], ends[n])) for n in ends}
            for name, values in found.items():
                values.append(now[name])
    return found


def converted(config: dict[str, Any], **lengths: Any) -> Any:
    """Return what the arguments become, with epochs of so many batches."""
    lengths = lengths or {"steps_per_epoch": EPOCH}
    return config_conversion("ultralytics", config, **lengths)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"cos_lr": True},
        {"warmup_epochs": 2},
        {"warmup_epochs": 11, "momentum": 0.9, "warmup_momentum": 0.5},
        {"cos_lr": True, "warmup_epochs": 2.001, "warmup_bias_lr": 0.05},
    ],
)
def test_every_batch_has_the_trainer_s_values(change: dict[str, Any]) -> None:
    """Rates and momentum are those of the trainer's loop."""
    config = {**PLAIN, **change}
    found, expected = converted(config), trained(config)
    for name, values in expected.items():
        got = evaluate(found.parameters[name], np.arange(12 * EPOCH))
        assert got == pytest.approx(values, rel=1e-12, abs=1e-16), name
    assert (found.total, found.steps_per_epoch) == (12 * EPOCH, EPOCH)


def test_without_a_warm_up_there_is_one_rate() -> None:
    """Without a warm-up the biases have no rate of their own, and the momentum stays."""
    found = converted({**PLAIN, "warmup_epochs": 0}).parameters
    assert set(found) == {"lr", "momentum", "weight_decay", "batch_size"}
    assert evaluate(found["lr"], 0) == 0.02
    assert set(converted({**PLAIN, "warmup_bias_lr": 0}).parameters) == set(found)


def test_the_momentum_of_adam_is_its_beta() -> None:
    """An optimizer with betas has no momentum to warm up: its first beta is constant."""
    found = converted({**PLAIN, "optimizer": "AdamW"}).parameters
    assert evaluate(found["beta1"], 3) == 0.937
    assert "momentum" not in found


@pytest.mark.parametrize(
    ("batch", "decay"), [(64, 5e-4), (16, 5e-4), (128, 1e-3), (24, 5e-4 * 24 * 3 / 64)]
)
def test_the_weight_decay_grows_with_the_batch(batch: int, decay: float) -> None:
    """It is scaled by the batch of an update over nbs: that of ⌊64/24⌉ = 3 batches is 72."""
    found = converted({**PLAIN, "batch": batch}).parameters
    assert evaluate(found["weight_decay"], 0) == pytest.approx(decay, rel=1e-15)


def test_auto_takes_a_known_rate_in_a_long_training() -> None:
    """
    `optimizer: auto` ignores lr0: 0.01 above 10,000 updates, and else by the classes.

    It starts from a momentum of 0.9, but a warm-up takes it to that of the file.
    """
    config = {"epochs": 300, "batch": 16, "lr0": 0.5}
    found = converted(config, steps_per_epoch=1000).parameters
    assert evaluate(found["lr"], 3000) == pytest.approx(0.01 * (0.99 * (1 - 3 / 300) + 0.01))
    assert evaluate(found["momentum"], 2999) == pytest.approx(0.8 + 0.137 * 2999 / 3000)
    assert evaluate(found["momentum"], 3000) == 0.937
    assert "lr/bias" not in found
    found = converted({**config, "warmup_epochs": 0}, steps_per_epoch=1000).parameters
    assert evaluate(found["momentum"], 0) == 0.9
    assert refused(config, steps_per_epoch=100) == "config.optimizer"
    # 106 batches of 20, the last one a part, are 33 or 34 updates of 64: 9,900 or 10,200 in all
    assert refused({**config, "batch": 20}, steps_per_epoch=106) == "config.optimizer"


def refused(config: dict[str, Any], **lengths: Any) -> str:
    """Return the field for which a file is refused."""
    with pytest.raises(Invalid) as caught:
        config_conversion("ultralytics", config, **lengths)
    return caught.value.errors[0].field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"time": 2.5}, "config.time"),
        ({"batch": -1}, "config.batch"),
        ({"batch": 0.7}, "config.batch"),
        ({"optimizer": "Lion"}, "config.optimizer"),
        ({"anchor_t": 4.0}, "config.anchor_t"),
        ({"epochs": 0}, "config.epochs"),
        ({"lr0": "fast"}, "config.lr0"),
        ({"warmup_epoch": 3}, "config.warmup_epoch"),
        ({"lr_final": 0.1}, "config.lr_final"),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(change: dict[str, Any], field: str) -> None:
    """A length in hours, AutoBatch, YOLOv5's fields, wrong and misspelled ones are refused."""
    assert refused({**PLAIN, **change}, steps_per_epoch=EPOCH) == field


@pytest.mark.parametrize(
    ("warmup_epochs", "epochs", "batches"), [(3, 12, 33), (2.5, 12, 60), (12, 12, 60), (3, 1, 60)]
)
def test_a_warm_up_that_versions_count_otherwise_is_refused(
    warmup_epochs: float, epochs: int, batches: int
) -> None:
    """Before 8.4.103 it had 100 batches at least, ended in an epoch, and took the last one too."""
    config = {**PLAIN, "epochs": epochs, "warmup_epochs": warmup_epochs}
    assert refused(config, steps_per_epoch=batches) == "config.warmup_epochs"


def test_the_length_of_an_epoch_is_asked_for() -> None:
    """Epochs need steps_per_epoch, or a total that they divide, which must not contradict."""
    assert refused(PLAIN) == "steps_per_epoch"
    assert refused(PLAIN, total=85) == "steps_per_epoch"
    assert refused(PLAIN, total=85, steps_per_epoch=EPOCH) == "total"
    assert converted(PLAIN, total=12 * EPOCH) == converted(PLAIN)


def test_a_file_is_told_by_its_fields() -> None:
    """lr0 and lrf are Ultralytics' own names."""
    assert library_of(PLAIN).library == "ultralytics"
