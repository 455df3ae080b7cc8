"""torchtune's recipes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.converters.configs.formulas import check, constant, refused, times, wave

from rheostat.converters.configs import library_of

PLACE = "torchtune.training.lr_schedulers.get_cosine_schedule_with_warmup"
SCHEDULE = {"_component_": PLACE, "num_warmup_steps": 100}
FILE: dict[str, Any] = {
    "tokenizer": {"_component_": "torchtune.models.llama3.llama3_tokenizer"},
    "optimizer": {
        "_component_": "torch.optim.AdamW",
        "fused": True,
        "weight_decay": 0.01,
        "lr": 3e-4,
    },
    "lr_scheduler": SCHEDULE,
    "epochs": 2,
    "max_steps_per_epoch": None,
    "gradient_accumulation_steps": 8,
    "profiler": {"enabled": False, "warmup_steps": 3, "num_cycles": 1},
}


@pytest.mark.parametrize(
    ("change", "length", "total"),
    [({}, 500, 1000), ({"max_steps_per_epoch": 50}, 500, 100), ({"epochs": 1}, 300, 300)],
)
def test_a_recipe_gives_its_values(change: dict[str, Any], length: int, total: int) -> None:
    """The training lasts the epochs times their steps, of which there may be a maximum."""
    expected = {"lr": times(3e-4, wave(100, total)), "weight_decay": constant(0.01)}
    found = check("torchtune", {**FILE, **change}, expected, {"steps_per_epoch": length}, total)
    assert found.steps_per_epoch == total // {**FILE, **change}["epochs"]


def test_waves_and_a_constant_rate() -> None:
    """num_cycles counts whole waves; a file without a schedule has a constant rate."""
    waves = {**FILE, "lr_scheduler": {**SCHEDULE, "num_cycles": 1.5}}
    expected = {"lr": times(3e-4, wave(100, 400, cycles=1.5)), "weight_decay": constant(0.01)}
    check("torchtune", waves, expected, {"total": 400}, 400)
    plain = {key: value for key, value in FILE.items() if key != "lr_scheduler"}
    check("torchtune", plain, {"lr": constant(3e-4), "weight_decay": constant(0.01)}, {}, None)


def test_a_recipe_is_told_by_its_components() -> None:
    """A component of torchtune's tells the file."""
    assert library_of(FILE).library == "torchtune"
    assert library_of({"optimizer": {"lr": 1e-4}, "epochs": 3}).library is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"optimizer": {"lr": 0}}, "config.optimizer.lr"),
        ({"optimizer": {"lr": 0.1, "lr_decay": 0.1}}, "config.optimizer.lr_decay"),
        ({"lr_scheduler": {"_component_": "a.b", "x": 1}}, "config.lr_scheduler._component_"),
        ({"lr_scheduler": {**SCHEDULE, "min_lr": 0}}, "config.lr_scheduler.min_lr"),
        ({"lr_scheduler": {"_component_": PLACE}}, "config.lr_scheduler.num_warmup_steps"),
        ({"epochs": None}, "config.epochs"),
        ({"ppo_epochs": 2}, "config.ppo_epochs"),
        ({"warmup_steps": 5}, "config.warmup_steps"),
    ],
)
def test_what_would_be_another_curve_is_refused(change: dict[str, Any], field: str) -> None:
    """Other components, other recipes and missing fields are refused by their paths."""
    assert refused("torchtune", {**FILE, **change}, steps_per_epoch=10) == {field}


def test_the_length_of_an_epoch_is_asked_for() -> None:
    """A file says how many epochs, and the data how many steps they have."""
    assert refused("torchtune", FILE) == {"steps_per_epoch"}
