"""The arguments of diffusers' training scripts."""

from __future__ import annotations

from typing import Any

import pytest
from tests.converters.configs.formulas import (
    Formula,
    check,
    constant,
    line,
    power,
    refused,
    restarted,
    times,
    warmed,
    wave,
)

from rheostat.converters.configs import library_of
from rheostat.converters.configs.documents import document

BARE: dict[str, Any] = {"learning_rate": 1e-4, "max_train_steps": 300, "lr_warmup_steps": 30}
CASES: list[tuple[dict[str, Any], Formula]] = [
    ({"lr_scheduler": "constant"}, constant(1.0)),
    ({"lr_scheduler": "constant_with_warmup"}, warmed(30, constant(1.0))),
    ({"lr_scheduler": "linear"}, line(30, 300)),
    ({"lr_scheduler": "cosine", "lr_num_cycles": 3}, wave(30, 300)),
    ({"lr_scheduler": "cosine_with_restarts", "lr_num_cycles": 3}, restarted(30, 300, 3)),
    ({"lr_scheduler": "polynomial", "lr_power": 2.0}, power(30, 300, 2.0, 1e-3)),
]


@pytest.mark.parametrize(("own", "curve"), CASES)
def test_arguments_give_the_scripts_values(own: dict[str, Any], curve: Formula) -> None:
    """Each schedule, with what the scripts hand to it: cosine has no number of cycles."""
    check("diffusers", {**BARE, **own}, {"lr": times(1e-4, curve)}, {}, 300)


def test_processes_play_no_part() -> None:
    """So many times longer, and so many steps of it at each of the training's: the same values."""
    processes, warmup, total = 4, 30, 300
    longer = wave(warmup * processes, total * processes)
    config = {**BARE, "lr_scheduler": "cosine"}
    check("diffusers", config, {"lr": lambda step: 1e-4 * longer(processes * step)}, {}, 300)


def test_a_command_line_says_the_same() -> None:
    """The scripts warm up for 500 steps by default; epochs have the steps that are given."""
    line = (
        "--learning_rate=1e-04 --lr_scheduler=cosine --num_train_epochs=10 --snr_gamma 5 "
        "--text_encoder_lr 5e-6 --train_text_encoder --adam_weight_decay 1e-2 "
        "--adam_weight_decay_text_encoder 1e-3"
    )
    curve = wave(500, 1000)
    expected = {
        "lr": times(1e-4, curve),
        "lr/text_encoder": times(5e-6, curve),
        "weight_decay": constant(0.01),
        "weight_decay/text_encoder": constant(0.001),
    }
    check("diffusers", document(line), expected, {"steps_per_epoch": 100}, 1000)
    assert "SimpleTuner" in library_of(document(line)).why
    assert library_of(document(line.replace("cosine", "constant"))).library == "diffusers"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scale_lr": True}, "config.scale_lr"),
        ({"gradient_accumulation_steps": 4}, "config.gradient_accumulation_steps"),
        ({"lr_scheduler": "piecewise_constant"}, "config.lr_scheduler"),
        ({"lr_scheduler": "sine"}, "config.lr_scheduler"),
        ({"lr_warmup_step": 3}, "config.lr_warmup_step"),
        ({"max_train_steps": None}, "config.max_train_steps"),
    ],
)
def test_what_would_be_another_curve_is_refused(change: dict[str, Any], field: str) -> None:
    """What depends on the script, on the machines or on the data is refused by its field."""
    assert refused("diffusers", {**BARE, "lr_scheduler": "cosine", **change}) == {field}
    assert refused("diffusers", {}) == {"config.learning_rate", "config.lr_scheduler"}


def test_a_constant_rate_may_accumulate_gradients() -> None:
    """A constant rate has no length that a script could multiply."""
    config = {"learning_rate": 1e-4, "lr_scheduler": "constant", "gradient_accumulation_steps": 4}
    check("diffusers", config, {"lr": constant(1e-4)}, {"total": 50}, 50)
