"""kohya's scripts: TOML files and command lines."""

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
    stages,
    times,
    warmed,
    wave,
)

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.converters.configs.documents import document
from rheostat.schedules import evaluate

BARE: dict[str, Any] = {"learning_rate": 1e-4, "max_train_steps": 400}
WARM = {**BARE, "lr_warmup_steps": 40}
CASES: list[tuple[dict[str, Any], Formula]] = [
    (BARE, constant(1.0)),
    ({**BARE, "lr_scheduler": "cosine"}, wave(0, 400)),
    ({**WARM, "lr_scheduler": "cosine"}, wave(40, 400)),
    ({**WARM, "lr_scheduler": "cosine", "lr_warmup_steps": 0.0999}, wave(39, 400)),
    ({**WARM, "lr_scheduler": "linear"}, line(40, 400)),
    ({**WARM, "lr_scheduler": "constant_with_warmup"}, warmed(40, constant(1.0))),
    ({**WARM, "lr_scheduler": "cosine_with_restarts"}, restarted(40, 400, 1)),
    (
        {**WARM, "lr_scheduler": "cosine_with_restarts", "lr_scheduler_num_cycles": 3},
        restarted(40, 400, 3),
    ),
    (
        {**WARM, "lr_scheduler": "polynomial", "lr_scheduler_power": 2.0},
        power(40, 400, 2.0, 1e-7 / 1e-4),
    ),
    (
        {**WARM, "lr_scheduler": "polynomial", "lr_scheduler_args": ["lr_end=1e-5"]},
        power(40, 400, 1.0, 0.1),
    ),
    (
        {**WARM, "lr_scheduler": "cosine_with_min_lr", "lr_scheduler_min_lr_ratio": 0.1},
        wave(40, 400, floor=0.1),
    ),
    (
        {
            **WARM,
            "lr_scheduler": "cosine_with_min_lr",
            "lr_scheduler_min_lr_ratio": 0.1,
            "lr_scheduler_num_cycles": 4,
        },
        wave(40, 400, floor=0.1, cycles=2.0),
    ),
    (
        {
            **WARM,
            "lr_scheduler": "warmup_stable_decay",
            "lr_decay_steps": 0.25,
            "lr_scheduler_min_lr_ratio": 0.1,
        },
        stages(40, 260, 100, floor=0.1),
    ),
    (
        {**WARM, "lr_scheduler": "inverse_sqrt"},
        warmed(40, lambda step: (40 / step) ** 0.5),
    ),
    (
        {**WARM, "lr_scheduler": "inverse_sqrt", "lr_scheduler_timescale": 90},
        warmed(40, lambda step: (90 / (step + 90 - 40)) ** 0.5),
    ),
    (
        {**BARE, "lr_scheduler_type": "StepLR", "lr_scheduler_args": "step_size=100"},
        lambda step: 0.1 ** (step // 100),
    ),
    (
        {
            **BARE,
            "lr_scheduler": "piecewise_constant",
            "lr_scheduler_args": ['step_rules="1:10,0.1:20,0.01"'],
        },
        lambda step: 1.0 if step < 10 else 0.1 if step < 20 else 0.01,
    ),
]


@pytest.mark.parametrize(("config", "curve"), CASES)
def test_arguments_give_the_scripts_values(config: dict[str, Any], curve: Formula) -> None:
    """Each schedule of the scripts, by its own number of cycles, power, floor and stages."""
    check("kohya", config, {"lr": times(1e-4, curve)}, {}, 400)


def test_a_command_line_says_the_same() -> None:
    """Words are numbers; a number below 1, or with %, is a share of the training."""
    line = "--learning_rate=1e-4 --lr_scheduler cosine --max_train_steps 400 --network_dim 8"
    for share in ("0.1", "10%", "40"):
        config = document(f"{line} --lr_warmup_steps {share}")
        check("kohya", config, {"lr": times(1e-4, wave(40, 400))}, {}, 400)
        assert library_of(config).library == "kohya"


def test_sections_are_read_as_one() -> None:
    """A TOML file has sections with names of their own, which the scripts put together."""
    config = {
        "additional_network_arguments": {"network_module": "networks.lora", "unet_lr": 3e-4},
        "optimizer_arguments": {
            "learning_rate": 1e-4,
            "text_encoder_lr": [5e-5, 2e-5],
            "lr_scheduler": "cosine",
            "lr_warmup_steps": 5,
            "optimizer_type": "AdamW8bit",
            "optimizer_args": ["weight_decay=0.1", "betas=0.9,0.99"],
        },
        "training_arguments": {"max_train_epochs": 10, "huber_schedule": "snr"},
    }
    curve = wave(5, 200)
    expected = {
        "lr": times(1e-4, curve),
        "lr/unet": times(3e-4, curve),
        "lr/text_encoder1": times(5e-5, curve),
        "lr/text_encoder2": times(2e-5, curve),
        "weight_decay": constant(0.1),
    }
    check("kohya", config, expected, {"steps_per_epoch": 20}, 200)
    assert library_of(config).library == "kohya"


def test_a_part_that_is_not_trained_has_no_rate() -> None:
    """A rate of 0 leaves a part out; without learning_rate the parts' rates are all."""
    parts = {"unet_lr": 1e-4, "text_encoder_lr": 0.0, "max_train_steps": 10}
    found = config_conversion("kohya", parts).parameters
    assert {name: evaluate(found[name], 5) for name in found} == {"lr/unet": 1e-4}
    assert evaluate(config_conversion("kohya", {}).parameters["lr"], 5) == 2e-6


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lr_scheduler": "constant"}, "config.lr_warmup_steps"),
        ({"lr_scheduler_type": "StepLR"}, "config.lr_warmup_steps"),
        ({"lr_scheduler": "cosine_warmup_with_min_lr"}, "config.lr_scheduler"),
        ({"lr_scheduler": "cosine_with_min_lr"}, "config.lr_scheduler_args.min_lr"),
        ({"lr_warmup_steps": 40.0}, "config.lr_warmup_steps"),
        ({"lr_warmup_steps": -1}, "config.lr_warmup_steps"),
        ({"lr_scheduler_args": ["power"]}, "config.lr_scheduler_args"),
        ({"optimizer_type": "AdamWScheduleFree"}, "config.optimizer_type"),
        ({"optimizer_type": "Adafactor"}, "config.optimizer_type"),
        ({"lr_scheduler": "adafactor:1e-3"}, "config.optimizer_type"),
        ({"network_args": ["loraplus_lr_ratio=16"]}, "config.network_args"),
        ({"network_args": ["network_reg_lrs=x=1e-3"]}, "config.network_args"),
        ({"num_processes": 2}, "config.num_processes"),
        ({"block_lr": "1e-4,1e-5"}, "config.block_lr"),
        ({"lr_scheduler_cycles": 3}, "config.lr_scheduler_cycles"),
        ({"max_train_epochs": 3}, "steps_per_epoch"),
    ],
)
def test_what_would_be_another_curve_is_refused(change: dict[str, Any], field: str) -> None:
    """What the scripts refuse, or set by other means, is refused by its field."""
    assert refused("kohya", {**WARM, "lr_scheduler": "cosine", **change}) == {field}


def test_a_file_beside_the_flags_is_refused() -> None:
    """A TOML file has arguments too; Accelerate's own file is no part of them."""
    flags = "train_network.py --network_dim 8 --learning_rate 1e-4"
    assert refused("kohya", document(f"{flags} --config_file x.toml")) == {"config.config_file"}
    other = document(f"accelerate launch --config_file x.yaml {flags}")
    check("kohya", other, {"lr": constant(1e-4)}, {}, 1600)


def test_adafactor_with_a_rate_of_the_file_s_is_taken() -> None:
    """Adafactor has the schedule's rate if it is told not to choose one."""
    own = {"optimizer_type": "Adafactor", "optimizer_args": ["relative_step=False"]}
    expected = {"lr": times(1e-4, warmed(40, constant(1.0)))}
    check("kohya", {**WARM, **own, "lr_scheduler": "constant_with_warmup"}, expected, {}, 400)
