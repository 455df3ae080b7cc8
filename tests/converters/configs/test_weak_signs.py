"""
Fields that several projects share, each with defaults of its own.

A file that is told by such fields alone is told only where it states what the projects fill in
differently; else its library is asked for, and where it is named, its own defaults are right.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.converters.configs.compared import assert_same
from tests.converters.configs.formulas import wave

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.converters.configs.documents import document
from rheostat.errors import Invalid

SWIFT = (
    "swift sft --model Qwen --train_type lora --learning_rate 1e-4 --warmup_ratio 0.05 "
    "--num_train_epochs 1 --per_device_train_batch_size 1"
)
ASKED: dict[str, Any] = {
    "ms-swift, whose schedule is a cosine": SWIFT,
    "ms-swift, built upon TRL": SWIFT.replace("sft", "rlhf") + " --num_generations 8",
    "ms-swift, built upon Megatron": (
        "megatron sft --lr 1e-4 --train_iters 1000 --global_batch_size 16 "
        "--lr_warmup_fraction 0.05 --tensor_model_parallel_size 4"
    ),
    "unsloth, which warms up for 5 steps": (
        "python unsloth-cli.py --model_name x --per_device_train_batch_size 4 --max_steps 400"
    ),
    "TRL, whose trainers have rates of their own": {
        "model_name_or_path": "x",
        "beta": 0.1,
        "loss_type": "sigmoid",
        "per_device_train_batch_size": 4,
        "num_train_epochs": 1,
    },
    "DeepSpeed-Chat, whose schedule is a cosine": (
        "deepspeed main.py --per_device_train_batch_size 4 --learning_rate 1e-5 --weight_decay 0. "
        "--num_train_epochs 1 --num_warmup_steps 0 --deepspeed"
    ),
    "SimpleTuner, whose polynomial has another power and end": (
        "accelerate launch train.py --lr_scheduler=polynomial --lr_warmup_steps=500 "
        "--max_train_steps=10000 --checkpointing_steps=150 --learning_rate=1e-6"
    ),
    "Grad-TTS": {"n_timesteps": 10, "learning_rate": 1e-4},
    "RL of another kind": {"agent": {"n_timesteps": 10, "learning_rate": 1e-4}},
    "a script of PEFT": {"base_model": "x", "val_set_size": 2000, "learning_rate": 1e-4},
    "alpaca-lora, which warms up for 100 steps": (
        "python finetune.py --base_model x --cutoff_len 512 --learning_rate 1e-4 --num_epochs 3"
    ),
    "hyperparameters of YOLOv9": {"lr0": 0.01, "lrf": 0.01, "momentum": 0.9, "warmup_epochs": 3.0},
    "options of YOLOv5": {"hyp": "data/hyp.yaml", "epochs": 100, "batch_size": 16, "cos_lr": True},
    "hooks of an optimizer": {"optimizer": {"lr": 0.1}, "optimizer_config": {"grad_clip": None}},
}
"""Files of other projects, that have what sounds like a sign of one that is read."""


@pytest.mark.parametrize("config", [pytest.param(each, id=name) for name, each in ASKED.items()])
def test_a_file_of_a_project_that_is_like_another_is_not_taken_for_it(config: Any) -> None:
    """The library is asked for, for defaults that differ would be silently wrong."""
    with pytest.raises(Invalid) as caught:
        config_conversion(None, config, total=1000, steps_per_epoch=100)
    (error,) = caught.value.errors
    assert error.field == "library"


def test_the_question_says_what_the_file_leaves_open() -> None:
    """It names the fields that seemed to tell, the project, and the fields that are missing."""
    why = library_of(document(SWIFT)).why
    assert "its per_device_train_batch_size may be of transformers" in why
    assert "it leaves out lr_scheduler_type, weight_decay" in why
    assert "learning_rate" not in why


WHOLE: dict[str, tuple[Any, str]] = {
    "TrainingArguments": (
        SWIFT + " --lr_scheduler_type cosine --weight_decay 0.1",
        "transformers",
    ),
    "TrainingArguments of a constant rate": (
        {"learning_rate": 1e-4, "lr_scheduler_type": "constant", "weight_decay": 0.0},
        "transformers",
    ),
    "TRL's arguments": (
        SWIFT + " --lr_scheduler_type cosine --weight_decay 0.1 --num_generations 8",
        "trl",
    ),
    "a field of TRL alone": ({"dataset_train_split": "train", "learning_rate": 1e-4}, "trl"),
    "timm": (
        "train.py --sched step --epochs 9 --decay-epochs 3 --warmup-epochs 0 --weight-decay 0",
        "timm",
    ),
    "a constant rate in diffusers": (
        "train.py --checkpointing_steps 5 --lr_scheduler constant --learning_rate 1e-4",
        "diffusers",
    ),
    "RL Zoo": ({"a": {"policy": "MlpPolicy", "n_timesteps": 5}}, "stable_baselines3"),
    "mlx-lm, with hyperparameters of an optimizer": (
        {"fine_tune_type": "lora", "optimizer_config": {"adamw": {"weight_decay": 0.1}}},
        "mlx_lm",
    ),
    "Ultralytics": ({"cos_lr": True, "epochs": 9, "batch": 16}, "ultralytics"),
}


@pytest.mark.parametrize(("config", "library"), WHOLE.values(), ids=WHOLE)
def test_a_file_that_states_everything_is_told(config: Any, library: str) -> None:
    """Where nothing is left to a default, or a field is of one project alone, none is asked for."""
    assert library_of(document(config)).library == library


def test_what_is_told_is_right_in_the_projects_that_share_it() -> None:
    """With all that counts in the file, ms-swift's curve is that of TrainingArguments."""
    line = SWIFT + " --lr_scheduler_type cosine --weight_decay 0.1"
    found = config_conversion(None, line, total=1000).parameters
    curve = wave(50, 1000)
    assert_same(found["lr"], lambda step: 1e-4 * curve(step), range(0, 1000, 7))
    assert found["weight_decay"].to_json()["value"] == 0.1


def test_a_project_that_is_named_has_its_own_defaults() -> None:
    """The user who names the library gets what it fills in."""
    found = config_conversion("transformers", "--per_device_train_batch_size 1", total=100)
    assert_same(found.parameters["lr"], lambda step: 5e-5 * (1 - step / 100), range(0, 100, 7))


MESSAGES: dict[str, tuple[str | None, Any, str, str]] = {
    "a number with more behind it": ("megatron", "--lr 1e-4x", "config.lr", "must be a number"),
    "braces, which are not expanded": (
        *("transformers", "--learning_rate '{1,2}e-4'"),
        *("config.learning_rate", "must be a number"),
    ),
    "an item of the wrong kind": (
        *("mmengine", {"param_scheduler": [1], "optim_wrapper": {"optimizer": {"lr": 1.0}}}),
        *("config.param_scheduler[0]", "must be an object"),
    ),
    "a word in a list of pairs": (
        *("rllib", {"lr": [[0, 1e-4], [10, "x"]]}),
        *("config.lr[1][1]", "must be a number"),
    ),
    "no length": (
        *("axolotl", {"learning_rate": 1e-4, "max_steps": -1}),
        *("config.max_steps", "leave it out"),
    ),
    "a misspelled file": (
        *(None, {"learning_rate": 1e-4, "lr_schedular_type": "cosine"}),
        *("library", "lr_schedular_type is nearly lr_scheduler_type, of transformers"),
    ),
    "a batch that ramps up": (
        *("megatron", "--lr 1 --train-iters 9 --global-batch-size 8 --rampup-batch-size 2 2 9"),
        *("config.rampup_batch_size", "excludes train_iters, in Megatron too"),
    ),
    "momentum, in short": ("timm", "--lr 1 --mom 0.5", "config.mom", "did you mean momentum?"),
    "weight decay, in short": (
        *("timm", "--lr 1 --weight 0.3", "config.weight", "did you mean weight_decay?"),
    ),
    "a floor, in short": ("timm", "--lr 1 --min 0.01", "config.min", "did you mean min_lr?"),
}
"""What is wrong in a file, with the field and the words of the one error."""


@pytest.mark.parametrize(("library", "config", "field", "said"), MESSAGES.values(), ids=MESSAGES)
def test_one_error_says_what_is_wrong(
    library: str | None, config: Any, field: str, said: str
) -> None:
    """It is about the innermost field, with a bound; what holds that field has no second one."""
    with pytest.raises(Invalid) as caught:
        config_conversion(library, config, steps_per_epoch=10)
    (error,) = caught.value.errors
    assert error.field == field
    assert said in error.message
    assert error.bound
    assert "Input should" not in error.message


def test_what_a_script_is_given_is_nothing_in_quotes_too() -> None:
    """`"$@"` and `$@` are what the user adds to the script, of which the file says nothing."""
    plain = "train.py --max_steps 9 --learning_rate 1e-4"
    expected = config_conversion("transformers", plain)
    for end in ('"$@"', "$@", '"${@}"'):
        assert config_conversion("transformers", f"{plain} {end}") == expected
