"""Arguments of timm's `train.py`, against its schedulers' formulas as that script steps them."""

from __future__ import annotations

from bisect import bisect_right
from math import cos, pi, tanh
from typing import Any

import numpy as np
import pytest

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.errors import Invalid
from rheostat.schedules import convert, evaluate

EPOCH = 4
"""Updates of an epoch."""
ARGUMENTS: dict[str, Any] = {
    "sched": "cosine",
    "lr": 0.1,
    "epochs": 20,
    "warmup_lr": 1e-4,
    "warmup_epochs": 5,
    "min_lr": 1e-3,
    "sched_on_updates": False,
}


def value(t: int, given: dict[str, Any]) -> float:
    """Return the rate of a count, epoch or update, by the formula of the scheduler."""
    unit = EPOCH if given["sched_on_updates"] else 1
    length, warmup = given["epochs"] * unit, given["warmup_epochs"] * unit
    rate, low = given["lr"], given["min_lr"]
    if t < warmup:
        return float(given["warmup_lr"] + t * (rate - given["warmup_lr"]) / warmup)
    if t == 0:
        return float(rate)
    t -= warmup if given.get("warmup_prefix") else 0
    factor = given.get("decay_rate", 0.1)
    match given["sched"]:
        case "step":
            return float(rate * factor ** (t // (given["decay_epochs"] * unit)))
        case "multistep":
            places = [place * unit for place in given["decay_milestones"]]
            return float(rate * factor ** bisect_right(places, t + 1))
    cycle, t = divmod(t, length)
    if cycle >= given.get("lr_cycle_limit", 1):
        return float(low)
    peak, share = rate * given.get("lr_cycle_decay", 0.5) ** cycle, t / length
    match given["sched"]:
        case "cosine":
            return float(low + 0.5 * (peak - low) * (1 + cos(pi * share)))
        case "tanh":
            return float(low + 0.5 * (peak - low) * (1 - tanh(-7 * (1 - share) + 3 * share)))
    return float(low + (peak - low) * (1 - share) ** factor)


@pytest.mark.parametrize("on_updates", [False, True])
@pytest.mark.parametrize(
    ("change", "epochs"),
    [
        ({}, 20),
        ({"cooldown_epochs": 3, "warmup_prefix": True}, 28),
        ({"lr_cycle_limit": 2, "lr_cycle_decay": 0.3}, 40),
        ({"sched": "tanh", "warmup_epochs": 0}, 20),
        ({"sched": "poly", "decay_rate": 0.9}, 20),
        ({"sched": "step", "decay_epochs": 2.4, "decay_rate": 0.97}, 20),
        ({"sched": "step", "decay_epochs": 3, "warmup_prefix": True, "cooldown_epochs": 9}, 25),
        ({"sched": "multistep", "decay_milestones": [1, 12], "warmup_epochs": 0}, 20),
    ],
)
def test_every_update_has_timm_s_rate(
    change: dict[str, Any], epochs: int, *, on_updates: bool
) -> None:
    """The rate changes by epochs or by updates, and the training has all of its epochs."""
    given = {**ARGUMENTS, **change, "sched_on_updates": on_updates}
    found = config_conversion("timm", given, steps_per_epoch=EPOCH)
    counts = [step if on_updates else step // EPOCH for step in range(epochs * EPOCH)]
    expected = [value(t, given) for t in counts]
    got = evaluate(found.parameters["lr"], np.arange(epochs * EPOCH))
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert found.total == epochs * EPOCH


def test_a_command_line_is_a_whole_run() -> None:
    """The flags give the rate, the momentum, the weight decay and the length."""
    line = (
        "./distributed_train.sh 2 /data --model efficientnet_b2 -b 128 --sched step --epochs 450 "
        "--decay-epochs 2.4 --dr .97 --opt rmsproptf --weight-decay 1e-5 --warmup-lr 1e-6 "
        "--lr .016 --warmup-epochs 5"
    )
    found = config_conversion("timm", line, steps_per_epoch=5004)
    values = {name: evaluate(found.parameters[name], 5004 * 8) for name in found.parameters}
    expected = {"lr": 0.016 * 0.97**3, "momentum": 0.9, "weight_decay": 1e-5}
    assert values == pytest.approx(expected, rel=1e-12)
    assert found.total == 450 * 5004


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        (
            "--sched step --epochs 450 --decay-epochs 2.4 --dr .97 --warmup-lr 1e-6 --lr .016",
            ["warmup_epochs", "weight_decay"],
        ),
        ("--sched multistep --warmup-epochs 0 --lr 0.1", ["epochs", "decay_milestones"]),
        ("--sched plateau --epochs 9 --warmup-epochs 3 --lr 0.1", ["warmup_lr", "min_lr"]),
        (
            "--lr-k-decay 1.0 --epochs 9 --lr 0.1 --warmup-epochs 0",
            ["sched", "min_lr", "cooldown_epochs"],
        ),
    ],
)
def test_a_command_line_says_what_versions_differ_in(line: str, missing: list[str]) -> None:
    """What has another default in older versions is asked for where it acts, and not else."""
    if "weight_decay" not in missing:
        line += " --weight-decay 1e-4"
    with pytest.raises(Invalid) as caught:
        config_conversion("timm", f"python train.py {line}", steps_per_epoch=EPOCH)
    assert [error.field for error in caught.value.errors] == [f"config.{n}" for n in missing]


def test_a_plateau_becomes_a_controller() -> None:
    """--sched plateau is a controller that starts after the warm-up, which stands beside it."""
    given = {**ARGUMENTS, "sched": "plateau", "patience_epochs": 3, "eval_metric": "loss"}
    found = config_conversion("timm", given, steps_per_epoch=EPOCH)
    assert found.controllers["plateau"].document["start"] == 5 * EPOCH + 1
    assert evaluate(found.parameters["lr"], np.array([0, 4 * EPOCH, 30 * EPOCH])) == pytest.approx(
        [1e-4, 1e-4 + 0.8 * (0.1 - 1e-4), 0.1]
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lr": None, "lr_base": 0.1}, "config.lr"),
        ({"lr_noise": [0.4, 0.9]}, "config.lr_noise"),
        ({"layer_decay": 0.75}, "config.layer_decay"),
        ({"sched": "cosin"}, "config.sched"),
        ({"sched": "plateau", "sched_on_updates": True}, "config.sched_on_updates"),
        ({"warmup_epoch": 3}, "config.warmup_epoch"),
        ({"unscale_lr": True}, "config.unscale_lr"),
        ({"data_path": "/imagenet"}, "config.data_path"),
        ({"epochs": 0}, "config.epochs"),
        ({"sched": "step", "decay_epochs": 0}, "config.decay_epochs"),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(change: dict[str, Any], field: str) -> None:
    """Noise, a rate that GPUs scale, as in DeiT, wrong and misspelled arguments are refused."""
    with pytest.raises(Invalid) as caught:
        config_conversion("timm", {**ARGUMENTS, **change}, steps_per_epoch=EPOCH)
    assert caught.value.errors[0].field == field


def test_the_length_of_an_epoch_is_asked_for() -> None:
    """Epochs need steps_per_epoch."""
    with pytest.raises(Invalid) as caught:
        config_conversion("timm", ARGUMENTS, total=80)
    assert caught.value.errors[0].field == "steps_per_epoch"


def test_names_of_the_command_line_are_those_of_the_classes() -> None:
    """A scheduler has the name that --sched takes, with the parameters of its class."""
    params = {"t_initial": 300, "warmup_t": 5, "lr_min": 1e-5}
    assert convert("timm", "cosine", params, 0.1) == convert(
        "timm", "CosineLRScheduler", params, 0.1
    )


def test_a_file_is_told_by_its_fields() -> None:
    """What args.yaml has is told."""
    assert library_of(ARGUMENTS).library == "timm"
