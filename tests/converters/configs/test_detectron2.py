"""The block SOLVER of Detectron2, against the formulas of `build_lr_scheduler` and fvcore."""

from __future__ import annotations

from math import cos, pi
from typing import Any

import numpy as np
import pytest

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.errors import Invalid
from rheostat.schedules import evaluate

STAIRS: dict[str, Any] = {"BASE_LR": 0.02, "MAX_ITER": 400, "STEPS": [250, 350], "WARMUP_ITERS": 50}


def factor(step: float, solver: dict[str, Any]) -> float:
    """Return what the schedule multiplies the rate by after the warm-up, as fvcore computes it."""
    total, name = solver["MAX_ITER"], solver.get("LR_SCHEDULER_NAME", "WarmupMultiStepLR")
    where = step / total
    if name == "WarmupMultiStepLR":
        passed = sum(where + 1e-6 >= milestone / total for milestone in solver["STEPS"])
        return float(solver.get("GAMMA", 0.1) ** passed)
    if name == "WarmupCosineLR":
        end = solver.get("BASE_LR_END", 0.0) / solver["BASE_LR"]
        return float(end + (1 - end) * 0.5 * (1 + cos(pi * where)))
    decays = solver.get("NUM_DECAYS", 3)
    return float(solver.get("GAMMA", 0.1) ** int((where + 1e-6) * (decays + 1)))


def rate(step: int, solver: dict[str, Any]) -> float:
    """Return the rate of an iteration, with the warm-up before the schedule."""
    total, length = solver["MAX_ITER"], solver["WARMUP_ITERS"]
    start = solver.get("WARMUP_FACTOR", 0.001) * factor(0, solver)
    if step + 1e-6 * total > length:
        rescaled = solver.get("RESCALE_INTERVAL", False)
        place = (step - length) / (1 - length / total) if rescaled else step
        return float(solver["BASE_LR"] * factor(place, solver))
    if solver.get("WARMUP_METHOD") == "constant":
        return float(solver["BASE_LR"] * start)
    end = factor(0 if solver.get("RESCALE_INTERVAL") else length, solver)
    return float(solver["BASE_LR"] * (start + (end - start) * step / length))


def converted(solver: dict[str, Any], **beside: Any) -> Any:
    """Return what a file with this block becomes."""
    return config_conversion("detectron2", {"VERSION": 2, "SOLVER": solver, **beside})


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"GAMMA": 0.5, "WARMUP_FACTOR": 0.1, "STEPS": [20, 350]},
        {"STEPS": "(250, 350)", "WARMUP_METHOD": "constant"},
        {"LR_SCHEDULER_NAME": "WarmupCosineLR", "BASE_LR_END": 0.001},
        {"LR_SCHEDULER_NAME": "WarmupCosineLR", "RESCALE_INTERVAL": True},
        {"LR_SCHEDULER_NAME": "WarmupStepWithFixedGammaLR", "NUM_DECAYS": 4, "GAMMA": 0.3},
        {"WARMUP_ITERS": 400, "RESCALE_INTERVAL": True},
    ],
)
def test_every_iteration_has_detectron2_s_rate(change: dict[str, Any]) -> None:
    """The three schedules have the rates of fvcore's formulas, warmed up."""
    solver = {**STAIRS, **change}
    found = evaluate(converted(solver).parameters["lr"], np.arange(400))
    written = {**solver, "STEPS": [250, 350]} if solver["STEPS"] == "(250, 350)" else solver
    assert found == pytest.approx([rate(step, written) for step in range(400)], rel=1e-12)


def test_a_whole_run_comes_out() -> None:
    """The file states the length, the batch, the momentum, and the decay of its groups."""
    solver = {**STAIRS, "BIAS_LR_FACTOR": 2.0, "WEIGHT_DECAY_NORM": 0.0, "IMS_PER_BATCH": 8}
    found = converted(solver)
    values = {name: evaluate(found.parameters[name], 100) for name in found.parameters}
    assert values == {
        "lr": 0.02,
        "lr/bias": 0.04,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "weight_decay/norm": 0.0,
        "batch_size": 8,
    }
    assert found.total == 400


def refused(solver: dict[str, Any], **beside: Any) -> str:
    """Return the field for which a file is refused."""
    with pytest.raises(Invalid) as caught:
        converted(solver, **beside)
    return caught.value.errors[0].field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"LR_SCHEDULER_NAME": "WarmupPolyLR"}, "LR_SCHEDULER_NAME"),
        ({"REFERENCE_WORLD_SIZE": 8}, "REFERENCE_WORLD_SIZE"),
        ({"BASE_LR_END": 0.5}, "BASE_LR_END"),
        ({"STEPS": "os.getcwd()"}, "STEPS"),
        ({"MAX_ITER": 0}, "MAX_ITER"),
        (
            {"LR_SCHEDULER_NAME": "WarmupStepWithFixedGammaLR", "WARMUP_ITERS": 400},
            "WARMUP_ITERS",
        ),
        ({"WARMUP_ITER": 10}, "WARMUP_ITER"),
        ({"LR_DECAY": 10}, "LR_DECAY"),
        ({"GAMA": 0.5}, "GAMA"),
        ({"gamma": 0.5}, "gamma"),
        ({"MOMENTUN": 0.5}, "MOMENTUN"),
        ({"IMS_PER_BACH": 8}, "IMS_PER_BACH"),
        ({"OPTIMIZER": "ADAMW"}, "OPTIMIZER"),
        ({"BACKBONE_MULTIPLIER": 0.1}, "BACKBONE_MULTIPLIER"),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(change: dict[str, Any], field: str) -> None:
    """Wrong and misspelled fields, those of kin, and what depends on GPUs are refused."""
    assert refused({**STAIRS, **change}) == f"config.SOLVER.{field}"


def test_what_a_base_file_may_set_is_asked_for() -> None:
    """Beside _BASE_, which is not read, the rate must be whole; other defaults are left out."""
    assert refused(STAIRS, _BASE_="../Base-RCNN-FPN.yaml") == "config.SOLVER.WARMUP_FACTOR"
    others = {"WARMUP_FACTOR": 0.1, "WARMUP_METHOD": "linear", "GAMMA": 0.1}
    solver = {**STAIRS, **others, "RESCALE_INTERVAL": False}
    solver["LR_SCHEDULER_NAME"] = "WarmupMultiStepLR"
    found = converted(solver, _BASE_="../Base-RCNN-FPN.yaml").parameters
    assert found == {"lr": converted(solver).parameters["lr"]}
    given = converted({**solver, "MOMENTUM": 0.8}, _BASE_="../Base-RCNN-FPN.yaml").parameters
    assert set(given) == {"lr", "momentum"}


def test_normalization_layers_have_no_decay_by_default() -> None:
    """WEIGHT_DECAY_NORM is 0 unless the file sets it, and null follows WEIGHT_DECAY."""
    assert evaluate(converted(STAIRS).parameters["weight_decay/norm"], 0) == 0.0
    assert "weight_decay/norm" not in converted({**STAIRS, "WEIGHT_DECAY_NORM": None}).parameters


def test_the_field_that_was_meant_is_named() -> None:
    """The likely spelling is said of fields in upper case too."""
    with pytest.raises(Invalid) as caught:
        converted({**STAIRS, "STEP": [1]})
    assert "did you mean STEPS?" in caught.value.errors[0].message


def test_a_file_is_told_by_what_no_kin_has() -> None:
    """Fields that maskrcnn-benchmark has too, with other defaults, tell of no project."""
    for own in ({"VERSION": 2}, {"MODEL": {"WEIGHTS": "detectron2://ImageNetPretrained/R-50"}}):
        assert library_of({"SOLVER": STAIRS, **own}).library == "detectron2"
    assert library_of({"SOLVER": {"LR_SCHEDULER_NAME": "WarmupCosineLR"}}).library == "detectron2"
    assert library_of({"SOLVER": STAIRS}).library is None


def test_a_file_of_maskrcnn_benchmark_is_refused() -> None:
    """It has other defaults, and calls its weights WEIGHT."""
    assert (
        refused(STAIRS, MODEL={"WEIGHT": "catalog://ImageNetPretrained"}) == "config.MODEL.WEIGHT"
    )
