"""`lr_config` of old OpenMMLab projects, against the hooks of MMCV in their loop."""

from __future__ import annotations

from math import cos, pi
from typing import Any

import numpy as np
import pytest

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.errors import Invalid
from rheostat.schedules import evaluate

EPOCH, EPOCHS, BASE = 10, 12, 0.02
TOTAL = EPOCH * EPOCHS
WARM = {"warmup": "linear", "warmup_iters": 25, "warmup_ratio": 0.001}
STEP = {"policy": "step", "step": [8, 11]}


def annealed(start: float, end: float, share: float) -> float:
    """Return a place on half a wave."""
    return end + 0.5 * (start - end) * (cos(pi * share) + 1)


def regular(hook: dict[str, Any], progress: int, end: int, base: float) -> float:
    """Return the value of a hook without a warm-up, by its policy."""
    low = hook.get("min_lr", 0.0) if "min_lr_ratio" not in hook else base * hook["min_lr_ratio"]
    match hook["policy"]:
        case "step" if isinstance(hook["step"], int):
            value = base * hook.get("gamma", 0.1) ** (progress // hook["step"])
            return float(max(value, low))
        case "step":
            passed = next(
                (i for i, place in enumerate(hook["step"]) if progress < place), len(hook["step"])
            )
            return float(max(base * hook.get("gamma", 0.1) ** passed, low))
        case "exp":
            return float(base * hook["gamma"] ** progress)
        case "poly":
            return float((base - low) * (1 - progress / end) ** hook["power"] + low)
        case "CosineAnnealing":
            return annealed(base, low, progress / end)
        case "cyclic":
            length = end // hook.get("cyclic_times", 1)
            up, place = int(hook.get("step_ratio_up", 0.4) * length), progress % length
            high, last = (base * ratio for ratio in hook["target_ratio"])
            if place < up:
                return annealed(base, high, place / up)
            return annealed(high, last, (place - up) / (length - up))
    return base


def run(hook: dict[str, Any], base: float = BASE) -> list[float]:
    """Return the value of every iteration, as the hook's calls set it."""
    values = []
    by_epoch = hook.get("by_epoch", hook["policy"] != "cyclic")
    warmup = hook.get("warmup_iters", 0) * (EPOCH if hook.get("warmup_by_epoch") else 1)
    ratio = hook.get("warmup_ratio", 0.1)
    for t in range(TOTAL):
        progress, end = (t // EPOCH, EPOCHS) if by_epoch else (t, TOTAL)
        value = regular(hook, progress, end, base)
        if t < warmup:
            match hook["warmup"]:
                case "constant":
                    value *= ratio
                case "linear":
                    value *= 1 - (1 - t / warmup) * (1 - ratio)
                case "exp":
                    value *= ratio ** (1 - t / warmup)
        values.append(value)
    return values


def config(hook: Any = None, **changes: Any) -> dict[str, Any]:
    """Return a configuration with this hook."""
    optimizer = {"type": "SGD", "lr": BASE, "momentum": 0.9, "weight_decay": 1e-4}
    return {
        "optimizer": optimizer,
        "optimizer_config": {"grad_clip": None},
        "lr_config": hook,
        "runner": {"type": "EpochBasedRunner", "max_epochs": EPOCHS},
        **changes,
    }


@pytest.mark.parametrize(
    "hook",
    [
        {**STEP, **WARM},
        {**STEP, "warmup": "constant", "warmup_iters": 3, "warmup_by_epoch": True, "gamma": 0.5},
        {"policy": "step", "step": 3, "gamma": 0.3, "min_lr": 1e-3},
        {"policy": "poly", "power": 0.9, "min_lr": 1e-4, "by_epoch": False, **WARM},
        {"policy": "poly", "power": 2.0},
        {"policy": "CosineAnnealing", "min_lr": 0.0, **WARM, "warmup": "exp", "by_epoch": False},
        {"policy": "CosineAnnealing", "min_lr_ratio": 0.05, **WARM},
        {"policy": "exp", "gamma": 0.9},
        {"policy": "cyclic", "target_ratio": (10, 1e-4), "cyclic_times": 1, "step_ratio_up": 0.4},
        {"policy": "cyclic", "target_ratio": [5, 0.1], "cyclic_times": 7, "step_ratio_up": 0.3},
        {"policy": "fixed"},
    ],
)
def test_every_iteration_has_the_hook_s_rate(hook: dict[str, Any]) -> None:
    """Each policy has the rate that its hook sets, by epochs or by iterations, warmed up."""
    found = config_conversion("mmcv", config(hook), steps_per_epoch=EPOCH)
    got = evaluate(found.parameters["lr"], np.arange(TOTAL))
    assert got == pytest.approx(run(hook), rel=1e-9, abs=1e-17)
    assert evaluate(found.parameters["momentum"], 7) == 0.9
    assert found.total == TOTAL


def test_the_momentum_may_be_cyclic() -> None:
    """A cyclic momentum is that of SGD, or the first beta of Adam."""
    hook = {"policy": "cyclic", "target_ratio": (0.85 / 0.95, 1), "step_ratio_up": 0.4}
    given = config(STEP, momentum_config=hook, optimizer={"type": "AdamW", "lr": 1e-3})
    found = config_conversion("mmcv", given, steps_per_epoch=EPOCH).parameters
    got = evaluate(found["beta1"], np.arange(TOTAL))
    assert got == pytest.approx(run(hook, 0.9), rel=1e-12)


def test_groups_have_what_multiplies_their_rate_and_decay() -> None:
    """A group is scheduled from its own rate, and only what differs has a parameter."""
    keys = {"backbone": {"lr_mult": 0.1, "decay_mult": 0.9}, "norm": {"decay_mult": 0.0}}
    sgd = {"type": "SGD", "lr": BASE, "weight_decay": 0.5, "paramwise_cfg": {"custom_keys": keys}}
    hook = {**STEP, **WARM, "min_lr": 1e-5}
    found = config_conversion("mmcv", config(hook, optimizer=sgd), steps_per_epoch=EPOCH).parameters
    rate = evaluate(found["lr/backbone"], np.arange(TOTAL))
    assert rate == pytest.approx(run(hook, 0.1 * BASE), rel=1e-9)
    decays = {name: evaluate(found[name], 3) for name in found if name.startswith("weight")}
    assert decays == {
        "weight_decay": 0.5,
        "weight_decay/backbone": pytest.approx(0.45),
        "weight_decay/norm": 0.0,
    }
    assert "lr/norm" not in found


def test_a_runner_of_iterations_states_the_total() -> None:
    """With max_iters no epoch is needed."""
    poly = {"policy": "poly", "power": 0.9, "min_lr": 1e-4, "by_epoch": False}
    given = config(poly, runner={"type": "IterBasedRunner", "max_iters": TOTAL})
    found = config_conversion("mmcv", given)
    assert evaluate(found.parameters["lr"], np.arange(TOTAL)) == pytest.approx(run(poly), rel=1e-9)
    assert found.total == TOTAL


ITERATIONS = {"type": "IterBasedRunner", "max_iters": TOTAL}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (config({"policy": "OneCycle"}), "lr_config.policy"),
        (config({**STEP, "warmup_iter": 3}), "lr_config.warmup_iter"),
        (config({**STEP, "warmup": "linear"}), "lr_config.warmup_iters"),
        (config({"policy": "CosineAnnealing"}), "lr_config.min_lr"),
        (config({"policy": "cyclic", "step_ratio_up": 0.0}), "lr_config.step_ratio_up"),
        (config(STEP, runner=ITERATIONS), "lr_config.by_epoch"),
        (config(STEP, runner={"type": "GANRunner", "max_epochs": 3}), "runner.type"),
        (config(STEP, runner={}), "runner.max_epochs"),
        (config(STEP, optimizer={"type": "SGD"}), "optimizer.lr"),
        (config(STEP, lr_confg=STEP), "lr_confg"),
        (
            config(STEP, optimizer={"type": "SGD", "lr": 1, "constructor": "LayerDecay"}),
            "optimizer.constructor",
        ),
        (config(_base_=["schedule_1x.py"]), "lr_config"),
        (
            config(STEP, momentum_config={"policy": "cyclic", "warmup": "linear"}),
            "momentum_config.warmup",
        ),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(given: dict[str, Any], field: str) -> None:
    """Other policies, wrong and misspelled fields are refused by their paths."""
    with pytest.raises(Invalid) as caught:
        config_conversion("mmcv", given, steps_per_epoch=EPOCH)
    assert caught.value.errors[0].field == f"config.{field}"


def test_a_file_is_told_by_its_fields() -> None:
    """lr_config and optimizer_config are MMCV's own names."""
    assert library_of(config(STEP)).library == "mmcv"
