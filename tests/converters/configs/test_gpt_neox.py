"""Files of GPT-NeoX."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.converters.configs.compared import assert_refused, assert_same

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.schedules import evaluate

ADAM = {"type": "Adam", "params": {"lr": 0.97e-4, "betas": [0.9, 0.95]}}
FILE: dict[str, Any] = {
    "pipe_parallel_size": 4,
    "optimizer": ADAM,
    "min_lr": 0.97e-5,
    "zero_optimization": {"stage": 1},
    "fp16": {"enabled": True, "loss_scale_window": 1000},
    "train_micro_batch_size_per_gpu": 4,
    "steps_per_print": 2,
    "weight_decay": 0.01,
    "train_iters": 1500,
    "lr_decay_iters": 1200,
    "lr_decay_style": "cosine",
    "warmup": 0.01,
    "eval_iters": 10,
    "extra_save_iters": [0, 1, 2],
    "override_lr_scheduler": False,
    "mmap_warmup": False,
}


def annealed(step: int, style: str, warmup: float, iters: int, low: float = 0.97e-5) -> float:
    """Return what AnnealingLR has when its counter is at a step."""
    lr, rise = 0.97e-4, warmup * iters
    if rise > 0 and step <= rise:
        return lr * max(1, step) / rise
    n, end = step - rise, iters - rise
    if style == "linear":
        value = lr * (end - n) / end
    elif style == "cosine":
        value = low + (lr - low) / 2 * (math.cos(math.pi * n / end) + 1)
    elif style == "exponential":
        value = lr * math.exp(-0.693 * n / end)
    else:
        value = lr
    return max(value, low)


@pytest.mark.parametrize("style", ["constant", "linear", "cosine", "exponential"])
def test_a_file_gives_the_values_of_its_scheduler(style: str) -> None:
    """The rate is AnnealingLR's, whose warm-up is a share of the decay; after it a cosine rises."""
    found = config_conversion("gpt-neox", {**FILE, "lr_decay_style": style, "warmup": 0.02})
    assert_same(found.parameters["lr"], lambda t: annealed(t, style, 0.02, 1200), range(1500))
    assert found.total == 1500
    assert found.parameters["weight_decay"].to_json()["value"] == 0.01


@pytest.mark.parametrize("warmup", [0.0, 0.01, 0.1])
def test_the_first_update_had_no_rate_before_may_2026(warmup: float) -> None:
    """From 2023 to 2026 the warm-up begins at 0, even one of a step, which now begins too high."""
    file = {**FILE, "warmup": warmup, "train_iters": 10, "lr_decay_iters": None}
    found, later = (
        config_conversion(name, file).parameters["lr"] for name in ("gpt_neox_2023", "gpt_neox")
    )
    assert_same(later, lambda t: annealed(t, "cosine", warmup, 10), range(10))
    first = 0.0 if warmup else 0.97e-4
    assert_same(found, lambda t: annealed(t, "cosine", warmup, 10) if t else first, range(10))
    assert evaluate(later, 0) == pytest.approx({0.0: 1, 0.01: 10, 0.1: 1}[warmup] * 0.97e-4)


SMALLEST: dict[str, Any] = {
    "optimizer": {"type": "Adam", "params": {"lr": 0.97e-4}},
    "min_lr": 0.97e-5,
    "train_iters": 150_000,
    "lr_decay_iters": 150_000,
    "lr_decay_style": "cosine",
    "warmup": 0.01,
}


def released(step: int, style: str, warmup: float, iters: int, low: float = 0.97e-5) -> float:
    """Return what AnnealingLR of the releases 1.0 and 2.0 has at a step."""
    lr, rise = 0.97e-4, warmup * iters
    n = min(step, iters - rise)
    if rise > 0 and step <= rise:
        return lr * n / rise
    n -= rise
    if style == "linear":
        value = lr * (iters - n) / iters
    elif style == "cosine":
        value = lr / 2 * (math.cos(math.pi * n / iters) + 1)
    elif style == "exponential":
        value = lr * math.exp(-0.693 * n / iters)
    else:
        value = lr
    return max(value, low)


@pytest.mark.parametrize("style", ["constant", "linear", "cosine", "exponential"])
@pytest.mark.parametrize("warmup", [0.0, 0.0205, 0.4])
def test_the_releases_have_other_values(style: str, warmup: float) -> None:
    """Releases 1.0 and 2.0 stop a longer decay, and step 0 has no rate."""
    file = {**FILE, "lr_decay_style": style, "warmup": warmup}
    found = config_conversion("gpt_neox_v2", file).parameters["lr"]
    assert_same(found, lambda t: released(t, style, warmup, 1200), range(1500))


def test_the_releases_refuse_what_they_have_not() -> None:
    """A warm-up of more than half, and a field of later versions, are no file of theirs."""
    assert_refused("gpt_neox_v2", {**FILE, "warmup": 0.6}, "config.warmup")
    later = {**SMALLEST, "lr_decay_iters": None, "lr_decay_fraction": 0.9}
    assert_refused("gpt_neox_v2", later, "config.lr_decay_fraction")


@pytest.mark.parametrize(
    ("version", "values"),
    [("gpt_neox", [6.467e-6, 5.404e-5, 9.71e-6]), ("gpt_neox_v2", [6.467e-6, 5.002e-5, 9.7e-6])],
)
def test_a_file_of_few_fields_has_a_version_s_values(version: str, values: list[float]) -> None:
    """The fields that a schedule needs are enough, and the version is said."""
    rate = config_conversion(version, SMALLEST).parameters["lr"]
    found = evaluate(rate, np.array([100, 75_000, 149_000]))
    assert found.tolist() == pytest.approx(values, rel=2e-4)


@pytest.mark.parametrize(
    "leaving", [set(), {"pipe_parallel_size"}, {"train_micro_batch_size_per_gpu"}]
)
def test_a_file_is_of_several_versions(leaving: set[str]) -> None:
    """No version is guessed, nor DeepSpeed, whose fields a file has too: the answer names both."""
    file = {name: FILE[name] for name in FILE.keys() - leaving}
    for given in (file, SMALLEST, {name.replace("_", "-"): file[name] for name in file}):
        told = library_of(given)
        assert told.library is None
        assert "gpt_neox has" in told.why
        assert "gpt_neox_2023 has" in told.why
        assert "gpt_neox_v2 has" in told.why
        assert "deepspeed" not in told.why


def test_lengths_are_the_training_s_unless_the_file_says_otherwise() -> None:
    """Without lr_decay_iters the decay takes all of the training, or a share rounded down."""
    short = {"optimizer": ADAM, "lr_decay_style": "cosine", "min_lr": 0.97e-5}
    whole = config_conversion("gpt_neox", short, total=700).parameters["lr"]
    assert_same(whole, lambda t: annealed(t, "cosine", 0.01, 700), range(700))
    part = {**short, "train_iters": 999, "lr_decay_fraction": 0.5, "train_batch_size": 32}
    found = config_conversion("gpt_neox", part)
    assert_same(found.parameters["lr"], lambda t: annealed(t, "cosine", 0.01, 499), range(999))
    assert found.parameters["batch_size"].to_json()["value"] == 32


def test_hyphens_and_underscores_are_the_same() -> None:
    """A file may spell its fields with hyphens, but none in both ways."""
    hyphens = {name.replace("_", "-"): value for name, value in FILE.items()}
    assert config_conversion("gpt_neox", hyphens) == config_conversion("gpt_neox", FILE)
    assert_refused("gpt_neox", {**FILE, "min-lr": 1e-6}, "config.min_lr")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"lr_decay_style": "polynomial"}, "config.lr_decay_style"),
        ({"warmup": 1.0}, "config.warmup"),
        ({"warmup_iters": 100}, "config.warmup_iters"),
        ({"min_lr": 1.0}, "config.min_lr"),
        ({"lr": 1e-3}, "config.lr"),
        ({"lr_decay_fraction": 0.5}, "config.lr_decay_fraction"),
        ({"use_mup": True}, "config.use_mup"),
        ({"train_iters": None}, "config.train_iters"),
        ({"train_iters": None, "train_epochs": 2}, "config.train_epochs"),
        ({"scheduler": {"type": "WarmupLR"}}, "config.scheduler"),
        ({"optimizer": {"type": "OneBitAdam", "params": {}}}, "config.optimizer.type"),
        ({"optimizer": {"params": {"lr": -1.0}}}, "config.optimizer.params.lr"),
        ({"optimizer": {"params": {"weight_decay": 0.1}}}, "config.optimizer.params.weight_decay"),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(fields: dict[str, Any], field: str) -> None:
    """A field that is wrong, of another project, or makes the curve another one is named."""
    assert_refused("gpt_neox", {**FILE, **fields}, field)
