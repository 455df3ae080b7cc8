"""Flags of OpenCLIP, against the formulas of its schedules."""

from __future__ import annotations

from math import cos, pi
from typing import Any

import numpy as np
import pytest

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.errors import Invalid
from rheostat.schedules import evaluate

EPOCH, TOTAL = 10, 320
FLAGS = (
    "srun python -u src/main.py --save-frequency 1 --train-data='/data/{00000..41455}.tar' "
    "--warmup 40 --batch-size=256 --epochs=32 --model ViT-B-32 --local-loss --gather-with-grad "
)


def cosine(t: int) -> float:
    """Return half a wave after a warm-up that is one step ahead."""
    if t < 40:
        return 5e-4 * (t + 1) / 40
    return 0.5 * (1 + cos(pi * (t - 40) / (TOTAL - 40))) * 5e-4


def cooled(t: int) -> float:
    """Return a constant that falls along a square root in the last 4 epochs, to 1e-5."""
    if t < 40:
        return 5e-4 * (t + 1) / 40
    fall = max(0, t - (TOTAL - 40)) / 40
    return float((1 - fall) ** 0.5 * (5e-4 - 1e-5) + 1e-5)


def late(t: int) -> float:
    """Return the same fall after a warm-up of 300 updates, which covers its beginning."""
    return 5e-4 * (t + 1) / 300 if t < 300 else cooled(t)


COOLDOWN = (
    "--lr-scheduler const-cooldown --epochs-cooldown 4 --lr-cooldown-end 1e-5 "
    "--lr-cooldown-power .5"
)


@pytest.mark.parametrize(
    ("flags", "formula"),
    [
        ("", cosine),
        ("--lr-scheduler const", lambda t: min(5e-4 * (t + 1) / 40, 5e-4)),
        (COOLDOWN, cooled),
        (f"{COOLDOWN} --warmup 300", late),
        ("--warmup 400", lambda t: 5e-4 * (t + 1) / 400),
        ("--warmup 0", lambda t: 0.5 * (1 + cos(pi * t / TOTAL)) * 5e-4),
        ("--skip-scheduler --lr 1e-3", lambda _: 1e-3),
    ],
)
def test_every_update_has_openclip_s_rate(flags: str, formula: Any) -> None:
    """Each schedule has the rate of its formula at every update."""
    found = config_conversion("open_clip", FLAGS + flags, steps_per_epoch=EPOCH)
    expected = [formula(t) for t in range(TOTAL)]
    got = evaluate(found.parameters["lr"], np.arange(TOTAL))
    assert got == pytest.approx(expected, rel=1e-10, abs=1e-18)
    assert evaluate(found.parameters["weight_decay"], 5) == 0.2
    assert found.total == TOTAL


@pytest.mark.parametrize(
    ("flags", "field"),
    [
        ("--lr-scheduler linear", "config.lr_scheduler"),
        ("--lr-scheduler const-cooldown", "config.epochs_cooldown"),
        ("--lr-scheduler const-cooldown --epochs-cooldown 33", "config.epochs_cooldown"),
        ("--warmup", "config.warmup"),
        ("--warmup fast", "config.warmup"),
        ("--warmup-steps 100", "config.warmup_steps"),
        ("--image-layer-decay 0.75", "config.image_layer_decay"),
        ("--lr-cooldown-pow 2", "config.lr_cooldown_pow"),
    ],
)
def test_what_is_wrong_is_refused_by_its_flag(flags: str, field: str) -> None:
    """Unknown schedules, wrong values and misspelled flags are refused by their names."""
    with pytest.raises(Invalid) as caught:
        config_conversion("open_clip", FLAGS + flags, steps_per_epoch=EPOCH)
    assert caught.value.errors[0].field == field


def test_the_length_of_an_epoch_is_asked_for() -> None:
    """Epochs need steps_per_epoch."""
    with pytest.raises(Invalid) as caught:
        config_conversion("open_clip", FLAGS)
    assert caught.value.errors[0].field == "steps_per_epoch"


def test_a_command_line_is_told_by_its_flags() -> None:
    """--local-loss and --gather-with-grad are OpenCLIP's own flags."""
    flags = dict.fromkeys(["lr_cooldown_end", "lr"], 0.1)
    assert library_of(flags).library == "open_clip"
