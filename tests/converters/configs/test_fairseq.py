"""fairseq's YAML files and command lines, against the formulas of its schedules."""

from __future__ import annotations

from math import cos, exp, log, pi
from typing import Any

import numpy as np
import pytest

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.errors import Invalid
from rheostat.schedules import evaluate

STEPS = np.arange(1001)


def hydra(schedule: Any, **changes: Any) -> dict[str, Any]:
    """Return a file of fairseq-hydra-train with this schedule."""
    return {
        "common": {"fp16": True, "log_interval": 200},
        "dataset": {"max_tokens": 3584, "num_workers": 6},
        "optimization": {"lr": [0.001], "max_update": 1000, "update_freq": [4]},
        "optimizer": {"_name": "adam", "adam_betas": "(0.9,0.98)", "weight_decay": 0.01},
        "lr_scheduler": schedule,
        "model": {"_name": "wav2vec2", "latent_temp": [2, 0.5, 0.999995], "ema_decay": 0.999},
        **changes,
    }


def inverse_sqrt(t: int) -> float:
    """Return 0.001 · √(100/t) after a warm-up of 100 updates from 1e-7."""
    return 1e-7 + t * (0.001 - 1e-7) / 100 if t < 100 else 0.001 * (100 / t) ** 0.5


def polynomial(t: int) -> float:
    """Return the line to 1e-5 at update 1000, after a warm-up of 100 updates from 0."""
    return 0.001 * t / 100 if t <= 100 else 1e-5 + (0.001 - 1e-5) * (1 - (t - 100) / 900)


def stages(t: int) -> float:
    """Return the three stages of 100, 400 and 500 updates, the last one geometric."""
    if t < 100:
        return 0.001 * (0.01 + 0.99 * t / 100)
    return 0.001 if t < 500 else 0.001 * exp(log(0.05) * (t - 500) / 500)


def wave(t: int) -> float:
    """Return half a wave of the 900 updates after a warm-up, to 1e-5; a tenth of it follows."""
    if t < 100:
        return 1e-5 + t * (0.001 - 1e-5) / 100
    cycle, rest = divmod(t - 100, 900)
    low, high = 1e-5 * 0.1**cycle, 0.001 * 0.1**cycle
    return low + 0.5 * (high - low) * (1 + cos(pi * rest / 900))


FLAGS = "fairseq-train data --arch big --adam-betas '(0.9, 0.98)' --lr 0.001 --max-update 1000 "


@pytest.mark.parametrize(
    ("config", "formula"),
    [
        (
            FLAGS + "--lr-scheduler inverse_sqrt --warmup-updates 100 --warmup-init-lr 1e-07 "
            "--min-lr 1e-9 --max-tokens 3584",
            inverse_sqrt,
        ),
        (
            hydra({"_name": "inverse_sqrt", "warmup_updates": 100, "warmup_init_lr": 1e-7}),
            inverse_sqrt,
        ),
        (
            hydra({"_name": "polynomial_decay", "warmup_updates": 100, "end_learning_rate": 1e-5}),
            polynomial,
        ),
        (
            FLAGS + "--lr-scheduler polynomial_decay --warmup-updates 100 --total-num-update 1000 "
            "--end-learning-rate 1e-5 --power 1",
            polynomial,
        ),
        (
            hydra({"_name": "tri_stage", "phase_ratio": [0.1, 0.4, 0.5], "final_lr_scale": 0.05}),
            stages,
        ),
        (
            FLAGS + "--lr-scheduler=tri_stage --phase-ratio '(0.1, 0.4, 0.5)' --final-lr-scale .05",
            stages,
        ),
        (
            hydra({"_name": "cosine", "warmup_updates": 100, "min_lr": 1e-5}),
            wave,
        ),
    ],
)
def test_every_update_has_fairseq_s_rate(config: Any, formula: Any) -> None:
    """A file and a command line have the rate of the schedule's formula at every update."""
    found = config_conversion("fairseq", config)
    expected = [formula(int(t)) for t in STEPS]
    assert evaluate(found.parameters["lr"], STEPS) == pytest.approx(expected, rel=1e-10)
    assert found.total == 1000


def test_rates_of_epochs_need_the_length_of_one() -> None:
    """Of several rates each is an epoch's, and then each shrinks: fairseq counts from epoch 1."""
    flags = FLAGS + "--lr 0.1,0.2 --fa 4 --lr-shrink 0.5 --lr-scheduler fixed"
    config = hydra({"_name": "fixed", "force_anneal": 4, "lr_shrink": 0.5})
    config["optimization"]["lr"] = [0.1, 0.2]
    for given in (flags, config):
        found = config_conversion("fairseq", given, steps_per_epoch=10).parameters["lr"]
        rates = evaluate(found, np.array([0, 9, 10, 29, 30, 39, 40]))
        assert rates == pytest.approx([0.1, 0.1, 0.2, 0.2, 0.1, 0.1, 0.05], rel=1e-12)
        with pytest.raises(Invalid) as caught:
            config_conversion("fairseq", given)
        assert caught.value.errors[0].field == "steps_per_epoch"
    assert evaluate(config_conversion("fairseq", FLAGS).parameters["lr"], 500) == 0.001


def test_the_first_end_is_the_end() -> None:
    """Of max_update and max_epoch the one that comes first is the total."""
    config = hydra({"_name": "inverse_sqrt"})
    config["optimization"]["max_epoch"] = 3
    assert config_conversion("fairseq", config, steps_per_epoch=100).total == 300
    assert config_conversion("fairseq", config, steps_per_epoch=500).total == 1000
    assert config_conversion("fairseq", config).total == 1000


def test_a_plateau_becomes_a_controller() -> None:
    """reduce_lr_on_plateau is a controller beside its warm-up."""
    schedule = {"_name": "reduce_lr_on_plateau", "lr_patience": 2, "warmup_updates": 10}
    found = config_conversion(
        "fairseq", hydra(schedule, checkpoint={"best_checkpoint_metric": "wer"})
    )
    assert found.controllers["plateau"].document["metric"] == "wer"
    assert evaluate(found.parameters["lr"], np.array([5, 10])) == pytest.approx([0.0005, 0.001])


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (hydra("pass_through"), "lr_scheduler"),
        (hydra({"_name": "polynomial"}), "lr_scheduler._name"),
        (hydra({"_name": "polynomial_decay", "warmup_update": 3}), "lr_scheduler.warmup_update"),
        (hydra({"_name": "polynomial_decay", "force_anneal": 3}), "lr_scheduler.force_anneal"),
        (hydra({"_name": "inverse_sqrt", "power": 2}), "lr_scheduler.power"),
        (hydra({"_name": "inverse_sqrt"}, optimization={"lr": "fast"}), "optimization.lr"),
        (
            hydra({"_name": "inverse_sqrt"}, optimizer={"groups": {"lr_scheduler": {}}}),
            "optimizer.groups.lr_scheduler",
        ),
        (hydra({"_name": "fixed"}, model={"layer_decay": 0.65}), "model.layer_decay"),
        (
            hydra({"_name": "fixed"}, model={"_name": "mae_image_classification"}),
            "model.layer_decay",
        ),
        (FLAGS + "--layer-decay 0.9", "layer_decay"),
        (FLAGS + "--lr-scheduler noam", "lr_scheduler"),
        (FLAGS + "--lr-scheduler cosine --warmup_steps 10", "warmup_steps"),
        (FLAGS + "--warm-up 10", "warm_up"),
        (FLAGS + "--optimizer adafactor --relative-step", "relative_step"),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(config: Any, field: str) -> None:
    """Unknown schedules, and fields that they do not have, are refused by their paths."""
    with pytest.raises(Invalid) as caught:
        config_conversion("fairseq", config)
    assert caught.value.errors[0].field == f"config.{field}"


def test_a_file_is_told_by_its_fields() -> None:
    """warmup_updates and max_update are fairseq's own names."""
    assert library_of(hydra({"_name": "inverse_sqrt"})).library == "fairseq"
