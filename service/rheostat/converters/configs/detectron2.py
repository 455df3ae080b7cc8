"""Detectron2: the block `SOLVER` of a YAML file, as `train_net.py` takes it."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, Field

from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    ConfigConversion,
    Place,
    TrainingLengths,
    converted,
    read,
    stated,
)
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.core import refused
from rheostat.converters.parameters import Count, Length, NotNegative, Positive
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_PLACE: Final = Place("config.SOLVER.LR_SCHEDULER_NAME", "config.SOLVER")
_MOST_CHARACTERS: Final = 10_000


def _tuple(value: Any) -> Any:
    """Return a tuple as a list; YAML has no tuples, and leaves ``(60000, 80000)`` a text."""
    if isinstance(value, str) and len(value) <= _MOST_CHARACTERS:
        try:
            value = literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return list(value) if isinstance(value, tuple) else value


class Solver(BaseModel):
    """The fields of the block that describe a schedule, with the defaults of Detectron2."""

    model_config = LENIENT

    LR_SCHEDULER_NAME: str = "WarmupMultiStepLR"
    MAX_ITER: Length = 40_000
    BASE_LR: Positive = 0.001
    BASE_LR_END: NotNegative = 0.0
    GAMMA: Positive = 0.1
    STEPS: Annotated[list[Count], BeforeValidator(_tuple)] = [30_000]
    NUM_DECAYS: Length = 3
    WARMUP_FACTOR: float = 0.001
    WARMUP_ITERS: Count = 1000
    WARMUP_METHOD: str = "linear"
    RESCALE_INTERVAL: bool = False
    MOMENTUM: NotNegative = 0.9
    WEIGHT_DECAY: NotNegative = 0.0001
    WEIGHT_DECAY_NORM: NotNegative | None = 0.0
    WEIGHT_DECAY_BIAS: NotNegative | None = None
    BIAS_LR_FACTOR: NotNegative | None = 1.0
    OPTIMIZER: str = "SGD"
    IMS_PER_BATCH: Length = 16
    REFERENCE_WORLD_SIZE: Count = 0


class File(BaseModel):
    """The parts of the file that matter."""

    model_config = LENIENT

    SOLVER: dict[str, Any] = Field(default_factory=dict)


_READ: Final = Read("detectron2", ("SOLVER",), apart={"SOLVER", "MODEL", "INPUT", "DATALOADER"})
_READ_OF_SOLVER: Final = Read("detectron2", tuple(Solver.model_fields))
_OF_RATE: Final = (
    *("BASE_LR", "MAX_ITER", "WARMUP_FACTOR", "WARMUP_ITERS", "WARMUP_METHOD"),
    *("RESCALE_INTERVAL", "LR_SCHEDULER_NAME"),
)
_OF_NAME: Final = {
    "WarmupMultiStepLR": ("STEPS", "GAMMA"),
    "WarmupCosineLR": ("BASE_LR_END",),
    "WarmupStepWithFixedGammaLR": ("NUM_DECAYS", "GAMMA"),
}
"""The fields that a schedule reads, by its name."""
_CONSTANTS: Final = {
    "MOMENTUM": "momentum",
    "WEIGHT_DECAY": "weight_decay",
    "WEIGHT_DECAY_NORM": "weight_decay/norm",
    "WEIGHT_DECAY_BIAS": "weight_decay/bias",
    "IMS_PER_BATCH": "batch_size",
}


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the rate, the momentum, the weight decay and the batch of a training by iterations.

    Groups have their own rate and decay: those of the biases where the file sets them, and those of
    the normalization layers. Beside _BASE_ what is constant and not in the file is left out.
    """
    _check_kin(config)
    block = read(File, config).SOLVER
    _check_groups(block)
    check_unknown(config, _READ)
    solver = read(Solver, block, "config.SOLVER")
    check_unknown(block, _READ_OF_SOLVER, "config.SOLVER")
    _check(solver)
    _check_base(config, block, solver)
    total = stated("SOLVER.MAX_ITER", solver.MAX_ITER, lengths.total)
    based = config.get("_BASE_") is not None
    constants = {
        name: Constant(value=value)
        for field, name in _CONSTANTS.items()
        if (value := getattr(solver, field)) is not None and (field in block or not based)
    }
    found = {**_rates(solver), **constants}
    return ConfigConversion(found, total=total, steps_per_epoch=lengths.steps_per_epoch)


def _check_kin(config: Mapping[str, Any]) -> None:
    """Refuse a file of maskrcnn-benchmark, whose fields are the same, and its defaults others."""
    model = config.get("MODEL")
    if isinstance(model, Mapping) and "WEIGHT" in model:
        message = "is a field of maskrcnn-benchmark, which Detectron2 calls WEIGHTS"
        value = shown(model["WEIGHT"])
        raise refused(FieldError("config.MODEL.WEIGHT", message, value, "not given"))


def _check_groups(block: Mapping[str, Any]) -> None:
    """Refuse what projects upon Detectron2 add: a rate of its own for a part of the model."""
    for name, value in block.items():
        if str(name).endswith("_MULTIPLIER") and value != 1:
            message = "is no field of Detectron2's own, and gives a part of the model another rate"
            raise refused(FieldError(f"config.SOLVER.{name}", message, shown(value), "1"))


def _check(solver: Solver) -> None:
    if solver.OPTIMIZER != "SGD":
        field, message = "config.SOLVER.OPTIMIZER", "is none of Detectron2, which has SGD alone"
        raise refused(FieldError(field, message, solver.OPTIMIZER, "SGD"))
    if solver.LR_SCHEDULER_NAME not in _OF_NAME:
        bound = f"one of {', '.join(_OF_NAME)}"
        message = "is no schedule of Detectron2"
        raise refused(FieldError(_PLACE.name, message, solver.LR_SCHEDULER_NAME, bound))
    if solver.REFERENCE_WORLD_SIZE:
        message = "scales the rate and the length by the number of GPUs: give what they become"
        field, value = "config.SOLVER.REFERENCE_WORLD_SIZE", solver.REFERENCE_WORLD_SIZE
        raise refused(FieldError(field, message, value, "0"))
    whole = solver.WARMUP_ITERS >= solver.MAX_ITER and not solver.RESCALE_INTERVAL
    if whole and solver.LR_SCHEDULER_NAME == "WarmupStepWithFixedGammaLR":
        field, message = "config.SOLVER.WARMUP_ITERS", "ends past the schedule, where fvcore fails"
        raise refused(FieldError(field, message, solver.WARMUP_ITERS, f"< {solver.MAX_ITER}"))
    if solver.BASE_LR_END > solver.BASE_LR:
        field, message = "config.SOLVER.BASE_LR_END", "must not be above BASE_LR"
        raise refused(FieldError(field, message, solver.BASE_LR_END, f"≤ {solver.BASE_LR}"))


def _check_base(config: Any, block: dict[str, Any], solver: Solver) -> None:
    """Refuse a file that leaves to its base file, which is not read, what its rate depends on."""
    if config.get("_BASE_") is None:
        return
    for name in (*_OF_RATE, *_OF_NAME[solver.LR_SCHEDULER_NAME]):
        if name not in block:
            message = (
                f"is required beside _BASE_, a file that is not read and may set it; the whole "
                f"configuration is the config.yaml in OUTPUT_DIR, where this would be "
                f"{getattr(solver, name)} by default"
            )
            raise refused(FieldError(f"config.SOLVER.{name}", message, None, "given"))


def _rates(solver: Solver) -> dict[str, Definition]:
    multiplier = {
        "name": "WarmupParamScheduler",
        "params": {
            "scheduler": _schedule(solver),
            "warmup_factor": solver.WARMUP_FACTOR,
            "warmup_length": min(solver.WARMUP_ITERS / solver.MAX_ITER, 1.0),
            "warmup_method": solver.WARMUP_METHOD,
            "rescale_interval": solver.RESCALE_INTERVAL,
        },
    }
    params = {"multiplier": multiplier, "max_iter": solver.MAX_ITER}
    bases = {"lr": solver.BASE_LR}
    if solver.BIAS_LR_FACTOR not in {None, 1}:
        bases["lr/bias"] = solver.BASE_LR * (solver.BIAS_LR_FACTOR or 0.0)
    return {
        name: converted(_PLACE, "detectron2", "LRMultiplier", params, base)
        for name, base in bases.items()
    }


def _schedule(solver: Solver) -> dict[str, Any]:
    """Return the schedule after the warm-up, as a multiplier."""
    end = solver.MAX_ITER
    if solver.LR_SCHEDULER_NAME == "WarmupMultiStepLR":
        steps = [step for step in solver.STEPS if step <= end]
        values = [solver.GAMMA**i for i in range(len(steps) + 1)]
        params: dict[str, Any] = {"values": values, "milestones": steps, "num_updates": end}
        return {"name": "MultiStepParamScheduler", "params": params}
    if solver.LR_SCHEDULER_NAME == "WarmupCosineLR":
        params = {"start_value": 1.0, "end_value": solver.BASE_LR_END / solver.BASE_LR}
        return {"name": "CosineParamScheduler", "params": params}
    params = {"base_value": 1.0, "gamma": solver.GAMMA, "num_decays": solver.NUM_DECAYS}
    return {"name": "StepWithFixedGammaParamScheduler", "params": {**params, "num_updates": end}}


def _tells(config: Mapping[str, Any]) -> list[str]:
    """Return what no kin of Detectron2 has: its version, and weights from its own model zoo."""
    found = ["VERSION"] if config.get("VERSION") == 2 and "SOLVER" in config else []
    model = config.get("MODEL")
    weights = model.get("WEIGHTS") if isinstance(model, Mapping) else None
    if isinstance(weights, str) and weights.startswith("detectron2://"):
        found.append("MODEL.WEIGHTS")
    return found


PROJECT: Final = Project(
    "detectron2",
    conversion,
    signs={
        *("SOLVER.LR_SCHEDULER_NAME", "SOLVER.REFERENCE_WORLD_SIZE", "SOLVER.NUM_DECAYS"),
        *("SOLVER.BASE_LR_END", "SOLVER.RESCALE_INTERVAL"),
    },
    tells=_tells,
    checked="the formula of `build_lr_scheduler`, step by step",
    refused="what a `_BASE_` file sets, a rate that is scaled by the number of GPUs, and what "
    "projects upon it add: other optimizers, and multipliers of a part's rate",
)
