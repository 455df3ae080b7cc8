"""axolotl's files: whose scheduler, by which length, and for which group."""

from __future__ import annotations

from math import cos, pi
from typing import Any

import pytest
from tests.converters.configs.formulas import (
    Formula,
    check,
    constant,
    line,
    refused,
    times,
    wave,
)

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.schedules import evaluate

FILE: dict[str, Any] = {
    "base_model": "NousResearch/Meta-Llama-3-8B",
    "sequence_len": 4096,
    "sample_packing": True,
    "micro_batch_size": 2,
    "num_epochs": 4,
    "lr_scheduler": "cosine",
    "learning_rate": 0.0002,
    "warmup_ratio": 0.1,
    "saves_per_epoch": 1,
    "weight_decay": 0.01,
    "special_tokens": {"pad_token": "<|end_of_text|>"},
}
BARE = {"learning_rate": 1e-3, "lr_scheduler": "cosine", "max_steps": 200}
FLOORED = {**BARE, "cosine_min_lr_ratio": 0.1}
SHORT = {**BARE, "max_steps": 60}


def held(warmup: int, until: int, floor: float) -> Formula:
    """Return a cosine that is over before the training is."""
    curve = wave(warmup, until, floor=floor)
    return lambda step: curve(min(step, until))


def rex(warmup: int, total: int, floor: float) -> Formula:
    """Return RexLR, whose constructor steps it once."""

    def ahead(step: int) -> float:
        if step <= warmup:
            return step / warmup
        if step - warmup >= total - warmup:
            return floor
        left = (total - step) / (total - warmup)
        return floor + (1 - floor) * left / (0.1 + 0.9 * left)

    return lambda step: ahead(step + 1)


def jagged(inner: Formula, every: int, warmup: int, anneal: int, low: float) -> Formula:
    """Return a curve that falls to a share of it and rises again, one step ahead."""

    def ahead(step: int) -> float:
        place = step % every
        if step < every - anneal:
            share = 1.0
        elif place < warmup:
            share = low + (1 - low) * place / warmup
        elif place > every - anneal:
            share = low + (1 - low) * (every - place) / anneal
        else:
            share = 1.0
        return inner(step) * share

    return lambda step: ahead(step + 1)


def squared(warmup: int, total: int) -> Formula:
    """Return a cosine after a parabola."""
    curve = wave(warmup, total)
    return lambda step: (step / warmup) ** 2 if step < warmup else curve(step)


CASES: list[tuple[dict[str, Any], dict[str, int], int, Formula]] = [
    ({**BARE, "warmup_steps": 20}, {}, 200, wave(20, 200)),
    (BARE, {}, 200, wave(6, 200)),
    ({**BARE, "lr_scheduler": None}, {}, 200, wave(6, 200)),
    ({**BARE, "max_steps": 4000}, {}, 4000, wave(100, 4000)),
    ({**BARE, "warmup_ratio": 0.099}, {}, 200, wave(19, 200)),
    ({**BARE, "warmup_steps": 1}, {}, 200, wave(2, 200)),
    ({**BARE, "warmup_steps": 0}, {}, 200, wave(0, 200)),
    ({**BARE, "lr_scheduler": "linear"}, {}, 200, line(6, 200)),
    ({**BARE, "lr_scheduler": "constant"}, {}, 200, constant(1.0)),
    (
        {**BARE, "lr_scheduler_kwargs": {"num_cycles": 1.5}},
        {},
        200,
        wave(6, 200, cycles=1.5),
    ),
    (FLOORED, {}, 200, wave(6, 200, floor=0.1)),
    ({**BARE, "cosine_min_lr_ratio": 0.0}, {}, 200, wave(6, 200)),
    ({**FLOORED, "cosine_constant_lr_ratio": 0.8}, {}, 200, held(6, 160, 0.1)),
    ({**BARE, "cosine_constant_lr_ratio": 0.8}, {}, 200, wave(6, 200)),
    ({**FLOORED, "lr_quadratic_warmup": True, "warmup_steps": 20}, {}, 200, squared(20, 200)),
    ({**FLOORED, "lr_scheduler": "rex"}, {}, 200, rex(6, 200, 0.1)),
    ({**BARE, "lr_scheduler": "rex", "warmup_steps": 9}, {}, 200, rex(9, 200, 0.0)),
    (
        {**SHORT, "jagged_restart_steps": 20},
        {},
        60,
        jagged(wave(2, 60), 20, 10, 1, 0.001),
    ),
    (
        {
            **SHORT,
            "jagged_restart_steps": 20,
            "jagged_restart_warmup_steps": 4,
            "jagged_restart_anneal_steps": 3,
            "cosine_min_lr_ratio": 0.1,
        },
        {},
        60,
        jagged(wave(2, 60, floor=0.1), 20, 4, 3, 0.1),
    ),
    (
        {"learning_rate": 1e-3, "num_epochs": 1.5, "sample_packing": True, "warmup_ratio": 0.5},
        {"steps_per_epoch": 7},
        10,
        wave(5, 10),
    ),
    (
        {"learning_rate": 1e-3, "num_epochs": 1.5, "warmup_ratio": 0.5},
        {"steps_per_epoch": 7},
        11,
        wave(5, 11),
    ),
    ({**BARE, "num_epochs": 1, "warmup_ratio": 0.1}, {"steps_per_epoch": 50}, 200, wave(5, 200)),
    (
        {**BARE, "rl": "dpo", "num_epochs": 2, "warmup_ratio": 0.1},
        {"steps_per_epoch": 300},
        200,
        wave(60, 200),
    ),
    ({**BARE, "rl": "grpo", "warmup_ratio": 0.099}, {}, 200, wave(20, 200)),
]


@pytest.mark.parametrize(("config", "lengths", "total", "curve"), CASES)
def test_a_file_gives_axolotl_s_values(
    config: dict[str, Any], lengths: dict[str, int], total: int, curve: Formula
) -> None:
    """Each scheduler, and each way to say how long the training and its warm-up are."""
    expected = {"lr": times(1e-3, curve), "weight_decay": constant(0.0)}
    check("axolotl", config, expected, lengths, total)


def test_an_example_of_axolotl_s() -> None:
    """A whole file gives the run; the file tells whose it is, and texts may be numbers."""
    expected = {"lr": times(2e-4, wave(40, 400)), "weight_decay": constant(0.01)}
    check("axolotl", FILE, expected, {"steps_per_epoch": 100}, 400)
    texts = {**FILE, "learning_rate": "2e-4", "weight_decay": "0.01"}
    check("axolotl", texts, expected, {"steps_per_epoch": 100}, 400)
    assert library_of(FILE).library == "axolotl"


def test_one_cycle_sets_the_momentum_too() -> None:
    """PyTorch's OneCycleLR rises in the warm-up, and its momentum mirrors it."""
    config = {**BARE, "lr_scheduler": "one_cycle", "warmup_steps": 50}
    up = 50 / 200 * 200 - 1

    def cycle(low: float, peak: float, end: float) -> Formula:
        def value(step: int) -> float:
            step = min(step, 199)
            if step <= up:
                return peak + (low - peak) * (1 + cos(pi * step / up)) / 2
            return end + (peak - end) * (1 + cos(pi * (step - up) / (199 - up))) / 2

        return value

    expected = {
        "lr": cycle(1e-3 / 25, 1e-3, 1e-3 / 25 / 1e4),
        "beta1": cycle(0.95, 0.85, 0.95),
        "weight_decay": constant(0.0),
    }
    check("axolotl", config, expected, {}, 200)
    plain = {**config, "lr_scheduler_kwargs": {"cycle_momentum": False}}
    assert "beta1" not in config_conversion("axolotl", plain).parameters


def test_groups_have_rates_of_their_own() -> None:
    """Embeddings, named groups and LoRA+ start from other rates of the same curve."""
    curve = wave(6, 200)

    def rates(**config: Any) -> dict[str, Any]:
        found = config_conversion("axolotl", {**BARE, **config}).parameters
        return {name: evaluate(found[name], 100) / curve(100) for name in sorted(found)[:-1]}

    groups = [{"name": "attention", "modules": ["q_proj"], "lr": 1e-4}]
    assert rates(embedding_lr=1e-5, lr_groups=groups) == pytest.approx(
        {"lr": 1e-3, "lr/attention": 1e-4, "lr/embedding": 1e-5}
    )
    assert rates(embedding_lr_scale=0.5) == pytest.approx({"lr": 1e-3, "lr/embedding": 5e-4})
    assert rates(loraplus_lr_ratio=16) == pytest.approx(
        {"lr": 1e-3, "lr/embedding": 1e-6, "lr/lora_b": 1.6e-2}
    )


def test_a_plateau_is_a_controller() -> None:
    """The Trainer's plateau watches a loss, or the metric that is named, and lowers one rate."""
    config = {**BARE, "lr_scheduler": "reduce_lr_on_plateau"}
    found = config_conversion("axolotl", config)
    assert found.controllers["plateau"].document["metric"] == "eval_loss"
    named = config_conversion("axolotl", {**config, "metric_for_best_model": "f1"})
    assert named.controllers["plateau"].document["metric"] == "eval_f1"
    assert refused("axolotl", {**config, "embedding_lr": 1e-5}) == {"config.lr_scheduler"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"learning_rate": "fast"}, "config.learning_rate"),
        ({"lr_scheduler": "sine"}, "config.lr_scheduler"),
        ({"lr_scheduler_type": "cosine"}, "config.lr_scheduler_type"),
        ({"cosine_min_lr_ration": 0.1}, "config.cosine_min_lr_ration"),
        ({"cosine_min_lr_ratio": 1.1}, "config.cosine_min_lr_ratio"),
        ({"warmup_steps": 5, "warmup_ratio": 0.1}, "config.warmup_ratio"),
        ({"lr_scheduler": "rex", "jagged_restart_steps": 9}, "config.jagged_restart_steps"),
        ({"rl": "dpo", "warmup_ratio": 0.1}, "steps_per_epoch"),
        ({"rl": "dpo", "lr_quadratic_warmup": True}, "config.lr_quadratic_warmup"),
        ({"lr_groups": [{"name": "A b", "modules": [], "lr": 1.0}]}, "config.lr_groups[0].name"),
        ({"dion_lr": 0.1}, "config.dion_lr"),
        ({"deepspeed": {"scheduler": {"type": "WarmupLR"}}}, "config.deepspeed.scheduler"),
        ({"max_steps": None}, "config.max_steps"),
    ],
)
def test_what_would_be_another_curve_is_refused(change: dict[str, Any], field: str) -> None:
    """What axolotl refuses, leaves out or does in another way is refused by its field."""
    assert refused("axolotl", {**BARE, **change}) == {field}


def test_a_length_must_not_contradict_the_file() -> None:
    """A total beside max_steps, or beside epochs and their steps, must be the same."""
    assert refused("axolotl", BARE, total=199) == {"total"}
    assert refused("axolotl", FILE, total=199, steps_per_epoch=100) == {"total"}
