"""Command lines of nanochat."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
from tests.converters.configs.compared import assert_refused, assert_same, assert_told

from rheostat.converters import config_conversion
from rheostat.converters.configs.documents import document

LINE = (
    "torchrun --nproc_per_node=8 -m scripts.base_train -- --depth=6 --head-dim=64 "
    "--num-iterations=1000 --total-batch-size=131072 --run=dummy --eval-tokens=524288 "
    "--core-metric-every=-1"
)


def multiplier(step: int, total: int, **fields: Any) -> float:
    """Return what nanochat multiplies every rate with."""
    warmup: int = fields.get("warmup_steps", 40)
    down: int = round(fields.get("warmdown_ratio", 0.65) * total)
    if step < warmup:
        return (step + 1) / warmup
    if step <= total - down:
        return 1.0
    progress = (total - step) / down
    return progress + (1 - progress) * float(fields.get("final_lr_frac", 0.05))


def group_rate(peak: float, step: int) -> float:
    """Return the rate of a group, of a training of 1,000 steps."""
    return peak * multiplier(step, 1000)


def momentum(step: int, total: int) -> float:
    """Return Muon's momentum."""
    down = round(0.65 * total)
    if step < 400:
        return 0.85 + 0.12 * step / 400
    if step >= total - down:
        return 0.97 - 0.07 * (step - total + down) / down
    return 0.97


def test_a_command_line_gives_nanochat_s_values() -> None:
    """Every group has the same curve, from a peak that the batch and the width scale."""
    found = config_conversion("nanochat", LINE)
    batch, wide = 0.5, 0.5 / math.sqrt(384 / 768)
    peaks = {
        "lr": 0.02 * batch,
        "lr/unembedding": 0.008 * wide,
        "lr/embedding": 0.3 * wide,
        "lr/value_embeddings": 0.15 * wide,
        "lr/resid_lambdas": 0.005 * batch,
        "lr/x0_lambdas": 0.5 * batch,
        "lr/smear": 0.2,
    }
    for name, peak in peaks.items():
        assert_same(found.parameters[name], partial(group_rate, peak), range(1000))
    assert_same(found.parameters["momentum"], lambda t: momentum(t, 1000), range(1000))
    assert set(found.parameters) == {*peaks, "momentum", "batch_size"}
    assert found.total == 1000


@pytest.mark.parametrize(
    "fields",
    [
        {"warmup_steps": 0, "warmdown_ratio": 0.2, "final_lr_frac": 0.0},
        {"warmup_steps": 200, "warmdown_ratio": 1.0},
        {"warmdown_ratio": 0.0},
    ],
)
def test_each_stage_may_be_another_one(fields: dict[str, Any]) -> None:
    """The same arguments may come as an object, as nanochat saves them."""
    config = {"total_batch_size": 2**19, "num_iterations": 300, **fields}
    found = config_conversion("nanochat", config).parameters["lr"]
    assert_same(found, lambda t: 0.02 * multiplier(t, 300, **fields), range(300))


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (LINE.replace("--total-batch-size=131072", ""), "config.total_batch_size"),
        (LINE.replace("--num-iterations=1000", ""), "config.num_iterations"),
        (LINE.replace("base_train", "chat_sft"), "config.m"),
        (f"{LINE} --warmup-ratio 0.1", "config.warmup_ratio"),
        (f"{LINE} --init-lr-frac 0.8", "config.init_lr_frac"),
        (f"{LINE} --warmdown-ratio 1.5", "config.warmdown_ratio"),
        (f"{LINE} --matrix-lr fast", "config.matrix_lr"),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(line: str, field: str) -> None:
    """What depends on the model's parameters is asked for, and other scripts' flags are named."""
    assert_refused("nanochat", document(line), field)


def test_a_command_line_tells_that_it_is_nanochat_s() -> None:
    """The flags tell the project; the length may be given, but no other one."""
    assert_told("nanochat", document(LINE))
    assert_refused("nanochat", document(LINE), "total", total=99)
    short = LINE.replace("--num-iterations=1000", "")
    assert config_conversion("nanochat", short, total=1000) == config_conversion("nanochat", LINE)
