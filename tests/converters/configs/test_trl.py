"""TRL's files: `TrainingArguments`, with a learning rate of their own."""

from __future__ import annotations

from typing import Any

import pytest
from tests.converters.configs.formulas import check, constant, refused, times, wave

from rheostat.converters.configs import library_of
from rheostat.converters.configs.documents import document

RECIPE: dict[str, Any] = {
    "model_name_or_path": "mistralai/Mistral-7B-v0.1",
    "dataset_mixture": {"datasets": [{"id": "a", "weight": 1.0}], "test_split_size": 1000},
    "learning_rate": 2.0e-05,
    "lr_scheduler_type": "cosine",
    "max_steps": -1,
    "num_train_epochs": 3,
    "warmup_ratio": 0.1,
    "per_device_train_batch_size": 16,
    "num_iterations": 2,
    "logging_steps": 5,
}


def test_a_recipe_gives_the_trainer_s_values() -> None:
    """A warm-up that is a share is rounded up, of epochs times their steps."""
    expected = {"lr": times(2e-5, wave(31, 303)), "weight_decay": constant(0.0)}
    check("trl", RECIPE, expected, {"steps_per_epoch": 101}, 303)


def test_a_recipe_is_told_from_the_trainer_s_own_arguments() -> None:
    """A field of TRL's alone tells its files, though they have those of transformers too."""
    assert library_of(RECIPE).library == "trl"
    flags = "--learning_rate 1e-6 --lr_scheduler_type cosine --dataset_train_split x --max_steps 10"
    assert library_of(document(flags)).library == "trl"
    plain = {key: value for key, value in RECIPE.items() if key != "dataset_mixture"}
    assert library_of({**plain, "weight_decay": 0.0}).library == "transformers"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"learning_rate": None}, "config.learning_rate"),
        ({"total_episodes": 10_000}, "config.total_episodes"),
        ({"lr_schedular_type": "cosine"}, "config.lr_schedular_type"),
        ({"deepspeed": {"scheduler": {"type": "WarmupLR"}}}, "config.deepspeed.scheduler"),
    ],
)
def test_what_would_be_another_curve_is_refused(change: dict[str, Any], field: str) -> None:
    """What the file leaves to the trainer's class, or says in another way, is refused."""
    assert refused("trl", {**RECIPE, **change}, steps_per_epoch=10) == {field}


def test_a_file_beside_the_flags_is_refused() -> None:
    """A command line that names a file is not the whole configuration."""
    flags = "sft --config recipe.yaml --learning_rate 1e-5 --max_steps 10"
    assert refused("trl", document(flags)) == {"config.config"}


def test_the_default_rate_is_not_guessed() -> None:
    """Each trainer of TRL has another learning rate by default, so there must be one."""
    rest = {key: value for key, value in RECIPE.items() if key != "learning_rate"}
    assert refused("trl", rest, steps_per_epoch=10) == {"config.learning_rate"}
    assert refused("trl", RECIPE) == {"config.max_steps"}
