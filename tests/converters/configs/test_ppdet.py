"""Files of PaddleDetection, against the tables of rates that its schedulers make."""

from __future__ import annotations

from math import cos, pi
from typing import Any

import numpy as np
import pytest

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.errors import Invalid
from rheostat.schedules import evaluate

EPOCH = 10
"""Iterations of an epoch."""
BASE = 0.01
LINEAR = {"name": "LinearWarmup", "start_factor": 0.1, "steps": 25}
STAIRS = {"name": "PiecewiseDecay", "gamma": 0.5, "milestones": [8, 11]}
WAVE = {"name": "CosineDecay", "max_epochs": 12}


def warmed(steps: int, factor: Any) -> tuple[list[int], list[float]]:
    """Return the boundaries and the values of a warm-up, by its factor of each step."""
    return list(range(1, steps + 1)), [BASE * factor(i / steps) for i in range(steps + 1)]


def looked_up(step: int, boundaries: list[int], values: list[float]) -> float:
    """Return the rate of a step as Paddle's PiecewiseDecay looks it up."""
    for boundary, value in zip(boundaries, values, strict=False):
        if step < boundary:
            return value
    return values[-1]


def line(share: float) -> float:
    """Return the factor of LINEAR."""
    return 0.1 * (1 - share) + share


def wave(boundaries: list[int], values: list[float], low: float, plateau: int) -> None:
    """Add to the tables what CosineDecay does after a warm-up."""
    warmup, end = len(boundaries), 12 * EPOCH
    for i in range(boundaries[-1], end):
        boundaries.append(i)
        share = (i - warmup) / (end - warmup - plateau)
        values.append(
            low + (BASE - low) * 0.5 * (cos(pi * share) + 1) if i < end - plateau else low
        )


def config(*schedulers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a file with these schedulers."""
    rate = {"base_lr": BASE, "schedulers": list(schedulers)}
    return {"epoch": 12, "LearningRate": rate, "snapshot_epoch": 1, "ema_decay": 0.9998, **changes}


def converted(given: dict[str, Any]) -> Any:
    """Return what a file becomes, with epochs of so many iterations."""
    return config_conversion("ppdet", given, steps_per_epoch=EPOCH)


def rates(*schedulers: dict[str, Any]) -> list[float]:
    """Return the rate of every iteration, and of some past the end."""
    found: list[float] = evaluate(
        converted(config(*schedulers)).parameters["lr"], np.arange(130)
    ).tolist()
    return found


def test_a_gamma_is_divided_by_ten_each_time() -> None:
    """After the warm-up a gamma of 0.5 is 0.5 and then 0.05, as PaddleDetection has it."""
    boundaries, values = warmed(25, line)
    boundaries += [80, 110]
    values += [BASE * 0.5, BASE * 0.05]
    expected = [looked_up(step, boundaries, values) for step in range(130)]
    assert rates(STAIRS, LINEAR) == pytest.approx(expected, rel=1e-12)
    tagged = {"!PiecewiseDecay": {"gamma": [0.5, 0.05], "milestones": [8, 11]}}
    assert rates(tagged, LINEAR) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("low", "plateau"), [(0.0, 0), (0.1, 0), (0.05, 3)])
def test_a_wave_ends_with_its_own_epochs(low: float, plateau: int) -> None:
    """The wave goes from the warm-up to max_epochs, less a plateau; what it reached holds."""
    boundaries, values = warmed(2 * EPOCH, lambda share: share**2)
    wave(boundaries, values, BASE * low, plateau * EPOCH)
    expected = [looked_up(step, boundaries, values) for step in range(130)]
    decay = {**WAVE, "min_lr_ratio": low, "last_plateau_epochs": plateau}
    assert rates(decay, {"name": "ExpWarmup", "epochs": 2}) == pytest.approx(expected, rel=1e-10)


def test_a_decay_may_have_no_warm_up() -> None:
    """Without one the values may be given, and a wave is Paddle's own."""
    found = rates({**STAIRS, "use_warmup": False, "values": [0.3, 0.2, 0.1]})
    assert [found[step] for step in (0, 79, 80, 110)] == [0.3, 0.3, 0.2, 0.1]
    found = rates({**WAVE, "use_warmup": False})
    assert found[:120] == pytest.approx(
        [BASE * 0.5 * (1 + cos(pi * step / 120)) for step in range(120)], rel=1e-10, abs=1e-17
    )


def test_the_optimizer_s_values_are_parameters() -> None:
    """Momentum and weight decay are those of the builder, or its defaults if no base sets them."""
    builder = {
        "optimizer": {"type": "Momentum", "momentum": 0.8},
        "regularizer": {"type": "L2", "factor": 5e-4},
    }
    adam = {"optimizer": {"type": "AdamW", "weight_decay": 0.1}, "regularizer": False}
    for given, expected in (
        ({"OptimizerBuilder": builder}, {"momentum": 0.8, "weight_decay": 5e-4}),
        ({"OptimizerBuilder": adam}, {"weight_decay": 0.1}),
        ({}, {"momentum": 0.9, "weight_decay": 1e-4}),
        ({"_BASE_": ["runtime.yml"]}, {}),
    ):
        found = converted(config(STAIRS, LINEAR, **given)).parameters
        assert {name: evaluate(found[name], 0) for name in found if name != "lr"} == expected


def built(**fields: Any) -> dict[str, Any]:
    """Return a file whose optimizer has these fields."""
    return config(STAIRS, LINEAR, OptimizerBuilder={"optimizer": fields})


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (config(STAIRS), "LearningRate.schedulers[1]"),
        (config(LINEAR, STAIRS), "LearningRate.schedulers[0].name"),
        (config(STAIRS, {"name": "LinearWarmup", "step": 3}), "LearningRate.schedulers[1].step"),
        (config({**STAIRS, "gamma": [0.1]}, LINEAR), "LearningRate.schedulers[0].gamma"),
        (config({**STAIRS, "values": [1.0]}, LINEAR), "LearningRate.schedulers[0].values"),
        (config({**WAVE, "max_epochs": 2}, LINEAR), "LearningRate.schedulers[0].max_epochs"),
        (config(STAIRS, LINEAR, epoch=None), "epoch"),
        (config(LearningRate={"base_lr": 0.1}, _BASE_=["a.yml"]), "LearningRate.schedulers"),
        (config(LearningRate={"lr": 0.1}), "LearningRate.lr"),
        (config(STAIRS, LINEAR, max_iters=10), "max_iters"),
        (built(param_groups=[{"params": ["norm"]}]), "OptimizerBuilder.optimizer.param_groups"),
        (built(momentun=0.5), "OptimizerBuilder.optimizer.momentun"),
        (built(type="AdamWDL", layer_decay=0.8), "OptimizerBuilder.optimizer.type"),
        (config(STAIRS, LINEAR, OptimizerBuilder={"optimiser": {}}), "OptimizerBuilder.optimiser"),
        (config(STAIRS, LINEAR, OptimizerBuilde={}), "OptimizerBuilde"),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(given: dict[str, Any], field: str) -> None:
    """What PaddleDetection fails at, wrong and misspelled fields are refused by their paths."""
    with pytest.raises(Invalid) as caught:
        converted(given)
    assert caught.value.errors[0].field == f"config.{field}"


def test_a_file_is_told_by_its_fields() -> None:
    """LearningRate with base_lr is PaddleDetection's."""
    assert library_of(config(STAIRS)).library == "ppdet"
