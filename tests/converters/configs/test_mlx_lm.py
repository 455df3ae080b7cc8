"""mlx-lm's files."""

from __future__ import annotations

from math import cos, pi
from typing import Any

import pytest
from tests.converters.configs.formulas import Formula, check, constant, refused

from rheostat.converters.configs import library_of
from rheostat.converters.configs.documents import document

FILE: dict[str, Any] = {
    "model": "mlx-community/Llama-3.2-1B-Instruct-bf16",
    "fine_tune_type": "lora",
    "optimizer": "adam",
    "iters": 1000,
    "learning_rate": 1e-5,
    "steps_per_report": 10,
    "steps_per_eval": 200,
    "lora_parameters": {"rank": 8, "scale": 20.0, "dropout": 0.0},
}


def schedule(name: str, arguments: list[Any], **warmup: Any) -> dict[str, Any]:
    """Return a file with this schedule."""
    return {**FILE, "lr_schedule": {"name": name, "arguments": arguments, **warmup}}


def decayed(step: int) -> float:
    """Return MLX's cosine decay from 1e-5 to 1e-7 in 600 steps."""
    return 1e-7 + (1e-5 - 1e-7) * 0.5 * (1 + cos(pi * min(step, 600) / 600))


def after(warmup: int, low: float, then: Formula) -> Formula:
    """Return a line to 1e-5, and then another curve, from the step after the line's end."""
    return lambda step: (
        low + step * (1e-5 - low) / warmup if step <= warmup else then(step - warmup - 1)
    )


CASES: list[tuple[dict[str, Any], Formula]] = [
    (FILE, constant(1e-5)),
    (schedule("cosine_decay", [1e-5, 600, 1e-7]), decayed),
    (schedule("cosine_decay", [1e-5, 600, 1e-7], warmup=100), after(100, 0.0, decayed)),
    (
        schedule("cosine_decay", [1e-5, 600.0, 1e-7], warmup=100, warmup_init=1e-7),
        after(100, 1e-7, decayed),
    ),
    (
        schedule("linear_schedule", [1e-5, 0.0, 500], warmup=1),
        after(1, 0.0, lambda step: 1e-5 * (1 - min(step, 500) / 500)),
    ),
    (schedule("exponential_decay", [1e-5, 0.999]), lambda step: 1e-5 * 0.999**step),
    (
        schedule("step_decay", [1e-5, 0.5, 300], warmup=10),
        after(10, 0.0, lambda step: 1e-5 * 0.5 ** (step // 300)),
    ),
]


@pytest.mark.parametrize(("config", "curve"), CASES)
def test_a_file_gives_the_command_s_values(config: dict[str, Any], curve: Formula) -> None:
    """The schedule begins one step after the warm-up's end; without one the rate is constant."""
    check("mlx_lm", config, {"lr": curve}, {}, 1000)


def test_updates_are_counted() -> None:
    """The schedule counts updates, of several iterations each."""
    config = {**schedule("cosine_decay", [1e-5, 600, 1e-7]), "grad_accumulation_steps": 3}
    check("mlx_lm", config, {"lr": decayed}, {}, 333)


@pytest.mark.parametrize(
    ("own", "decay"),
    [
        ({"optimizer": "adamw"}, 0.01),
        ({"optimizer": "adamw", "optimizer_config": {"adamw": {"weight_decay": 0.05}}}, 0.05),
        ({"optimizer": "sgd", "optimizer_config": {"sgd": {"weight_decay": 1}}}, 1.0),
    ],
)
def test_the_weight_decay_is_the_optimizer_s(own: dict[str, Any], decay: float) -> None:
    """The optimizer that is chosen has a weight decay of the file's, or of its own."""
    expected = {"lr": constant(1e-5), "weight_decay": constant(decay)}
    check("mlx_lm", {**FILE, **own}, expected, {}, 1000)


def test_a_file_is_told_from_others() -> None:
    """Its own fields tell it."""
    assert library_of(FILE).library == "mlx_lm"
    assert library_of({"lr_schedule": {"arguments": [1]}}).library == "mlx_lm"


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (schedule("cosine", [1e-5]), "config.lr_schedule.name"),
        (schedule("join_schedules", [1e-5]), "config.lr_schedule.name"),
        (schedule("cosine_decay", []), "config.lr_schedule.arguments"),
        (schedule("cosine_decay", [1, 2, 3, 4]), "config.lr_schedule.arguments"),
        (schedule("cosine_decay", [1e-5]), "config.lr_schedule.arguments.decay_steps"),
        (schedule("cosine_decay", [1e-5, 2.5]), "config.lr_schedule.arguments.decay_steps"),
        (schedule("cosine_decay", [1e-5, 9], warm=3), "config.lr_schedule.warm"),
        ({**FILE, "lr_scheduler": "cosine"}, "config.lr_scheduler"),
        ({**FILE, "iters": 3, "grad_accumulation_steps": 4}, "config.iters"),
        (
            {**FILE, "optimizer_config": {"adam": {"weight_decay": "x"}}},
            "config.optimizer_config.adam.weight_decay",
        ),
    ],
)
def test_what_would_be_another_curve_is_refused(config: dict[str, Any], field: str) -> None:
    """Schedules that MLX has not, and fields that are not read, are refused by their paths."""
    assert refused("mlx_lm", config) == {field}


def test_a_command_line_is_read_without_a_file() -> None:
    """A command line may be all there is, and has no schedule; a file beside it would have one."""
    flags = "mlx_lm.lora --fine-tune-type lora --iters 100 --learning-rate 2e-5"
    check("mlx_lm", document(flags), {"lr": constant(2e-5)}, {}, 100)
    assert refused("mlx_lm", document(f"{flags} --config x.yaml")) == {"config.config"}
    assert refused("mlx_lm", document(f"{flags} -c x.yaml")) == {"config.c"}


def test_a_length_must_not_contradict_the_file() -> None:
    """The iterations say how long the training is."""
    assert refused("mlx_lm", FILE, total=999) == {"total"}
