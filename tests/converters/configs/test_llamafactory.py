"""LLaMA-Factory's files: `TrainingArguments`, and the stages that it fills in."""

from __future__ import annotations

from typing import Any

import pytest
from tests.converters.configs.formulas import check, constant, refused, stages, times, wave

from rheostat.converters.configs import library_of

FILE: dict[str, Any] = {
    "stage": "sft",
    "finetuning_type": "lora",
    "cutoff_len": 2048,
    "max_samples": 1000,
    "learning_rate": 1.0e-4,
    "num_train_epochs": 3.0,
    "lr_scheduler_type": "cosine",
    "warmup_ratio": 0.1,
    "profiler_warmup_steps": 1,
}
STAGES = {
    **FILE,
    "lr_scheduler_type": "warmup_stable_decay",
    "lr_scheduler_kwargs": {"num_cycles": 0.5},
    "warmup_ratio": 0.2,
    "max_steps": 101,
}


def test_a_file_gives_the_trainer_s_values() -> None:
    """The fields are those of the Trainer, and mean the same."""
    expected = {"lr": times(1e-4, wave(4, 33)), "weight_decay": constant(0.0)}
    check("llamafactory", FILE, expected, {"steps_per_epoch": 11}, 33)


@pytest.mark.parametrize(
    ("own", "stable", "decay"),
    [
        ({"num_cycles": 0.5}, 80 // 3, 80 - 80 // 3),
        ({"num_decay_steps": 30}, 80 // 3, 30),
        ({"num_stable_steps": 50}, 50, 80 - 80 // 3),
        (None, 80 // 3, 80 - 80 // 3),
    ],
)
def test_the_stages_are_filled_in(own: Any, stable: int, decay: int) -> None:
    """A third of what follows the warm-up is stable, and the rest decays, unless it is given."""
    expected = {"lr": times(1e-4, stages(21, stable, decay)), "weight_decay": constant(0.0)}
    check("llamafactory", {**STAGES, "lr_scheduler_kwargs": own}, expected, {}, 101)


def test_lora_plus_has_rates_of_its_own() -> None:
    """The matrices B have the rate times a ratio, and the embeddings one of their own."""
    config = {**FILE, "loraplus_lr_ratio": 16.0}
    curve = wave(4, 33)
    expected = {
        "lr": times(1e-4, curve),
        "lr/lora_b": times(1.6e-3, curve),
        "lr/embedding": times(1e-6, curve),
        "weight_decay": constant(0.0),
    }
    check("llamafactory", config, expected, {"steps_per_epoch": 11}, 33)


@pytest.mark.parametrize(
    ("change", "lengths", "total"),
    [
        ({"max_steps": 10}, {}, 10),
        ({}, {"steps_per_epoch": 20}, 60),
        ({"num_train_epochs": 2}, {"steps_per_epoch": 20}, 40),
        ({}, {}, None),
    ],
)
def test_the_rate_of_version_1_is_constant(
    change: dict[str, Any], lengths: dict[str, int], total: int | None
) -> None:
    """Its trainer has a constant rate unless a plugin has another, and PyTorch's own AdamW."""
    file = {"model": "x", "train_dataset": "data.yaml", "cutoff_len": 2048, **change}
    expected = {"lr": constant(1e-4), "weight_decay": constant(0.01)}
    check("llamafactory", file, expected, lengths, total)
    muon = {**file, "learning_rate": 2e-4, "optim_config": {"name": "muon"}}
    check("llamafactory", muon, {"lr": constant(2e-4)}, lengths, total)
    field = "config.lr_scheduler_type"
    assert refused("llamafactory", {**file, "lr_scheduler_type": "cosine"}) == {field}


def test_a_file_is_told_from_others() -> None:
    """Its own fields tell it, beside those of transformers."""
    assert library_of(FILE).library == "llamafactory"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"stage": "ppo"}, "config.stage"),
        ({"use_mca": True}, "config.use_mca"),
        ({"lr_scheduler_config": {"name": "x"}}, "config.lr_scheduler_config"),
        ({"lr_scheduler": "cosine"}, "config.lr_scheduler"),
        ({"loraplus_lr_ratio": 0.0}, "config.loraplus_lr_ratio"),
        (
            {"loraplus_lr_ratio": 16.0, "lr_scheduler_type": "reduce_lr_on_plateau"},
            "config.lr_scheduler_type",
        ),
        ({"warmup_ratios": 0.1}, "config.warmup_ratios"),
    ],
)
def test_what_would_be_another_curve_is_refused(change: dict[str, Any], field: str) -> None:
    """Trainers with schedules of their own, and fields that are not read, are refused."""
    assert refused("llamafactory", {**FILE, **change}, steps_per_epoch=10) == {field}


def test_the_length_is_asked_for() -> None:
    """The stages are shares of a training whose length must be known."""
    rest = {key: value for key, value in STAGES.items() if key != "max_steps"}
    assert refused("llamafactory", rest) == {"config.max_steps"}
