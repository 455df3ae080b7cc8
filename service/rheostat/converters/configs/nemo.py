"""NVIDIA NeMo: the YAML files of its models, with `optim.sched`, and those of NeMo 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from rheostat.converters.configs.interpolation import resolved
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    OR_LENGTHS,
    AtLeastOne,
    ConfigConversion,
    Place,
    TrainingLengths,
    controlled,
    converted,
    missing,
    stated,
)
from rheostat.converters.configs.sections import section
from rheostat.converters.core import refused
from rheostat.converters.parameters import Steps
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_WITHOUT_LENGTH = {"StepLR", "ExponentialLR", "CyclicLR", "ReduceLROnPlateau"}
_PLATEAU = "ReduceLROnPlateau"
_NO_SCHEDULE = {"data", "exp_manager", "hydra", "init_from_nemo_model", "log", "resume"}
_NO_PARAMETERS = {"name", "reduce_on_plateau"}


class File(BaseModel):
    """The blocks that matter."""

    model_config = LENIENT

    trainer: Any = None
    model: Any = None
    optim: Any = None


class Trainer(BaseModel):
    """The length of the training."""

    model_config = LENIENT

    max_steps: Steps = -1
    max_epochs: Steps | None = None


class Model(BaseModel):
    """The model, which has the optimizer, and what Megatron's models have beside it."""

    model_config = LENIENT

    optim: Any = None
    global_batch_size: AtLeastOne | None = None
    rampup_batch_size: Any = None
    reset_lr: bool = False
    optim_param_groups: Any = None


class Optimizer(BaseModel):
    """The optimizer."""

    model_config = LENIENT

    lr: float
    weight_decay: float | None = None
    sched: Any = None


class Modules(BaseModel):
    """The optimizer of NeMo 2: Megatron's configuration, and the module of a scheduler."""

    model_config = LENIENT

    config: Any = None
    lr_scheduler: Any = None


class MegatronOptimizer(BaseModel):
    """The optimizer's configuration of Megatron."""

    model_config = LENIENT

    lr: float
    weight_decay: float | None = None


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate, and the weight decay and the batch size where they are given.

    The trainer's max_steps are the scheduler's; without them its own ones, or the epochs.
    """
    file = section("nemo", File, config, apart=_NO_SCHEDULE)
    model, path = _model(file.model), "config.model.optim"
    given = model.optim
    if file.optim is not None:
        given, path = file.optim, "config.optim"
    if given is None:
        raise missing("model.optim", "or else optim", "an object")
    if isinstance(given, Mapping) and "lr_scheduler" in given:
        optimizer, path = _modules(given, path, file.trainer), f"{path}.lr_scheduler"
    else:
        optimizer, path = (
            section("nemo", Optimizer, resolved(config, given, path), path),
            f"{path}.sched",
        )
    sched = resolved(config, optimizer.sched, path)
    total = _total(resolved(config, file.trainer, "config.trainer"), sched, lengths)
    rate, controllers = Constant(value=optimizer.lr), {}
    parameters: dict[str, Definition] = {"lr": rate}
    if optimizer.weight_decay is not None:
        parameters["weight_decay"] = Constant(value=optimizer.weight_decay)
    if model.global_batch_size is not None:
        parameters["batch_size"] = Constant(value=model.global_batch_size)
    if sched is not None:
        name, params = _scheduler(sched, path, total)
        place = Place(f"{path}.name", path)
        if name == _PLATEAU:
            found = controlled(place, "nemo", name, params)
            controllers = {"plateau": found.controller} if found.controller else {}
        else:
            length = lengths.steps_per_epoch
            parameters["lr"] = converted(
                place, "nemo", name, params, optimizer.lr, steps_per_epoch=length
            )
    return ConfigConversion(parameters, controllers, total, lengths.steps_per_epoch)


def _modules(content: Mapping[str, Any], path: str, trainer: Any) -> Optimizer:
    """Return the optimizer of NeMo 2, whose strategy gives the scheduler the trainer's length."""
    strategy = trainer.get("strategy") if isinstance(trainer, Mapping) else None
    target = strategy.get("_target_") if isinstance(strategy, Mapping) else strategy
    if target is not None and not str(target).endswith("MegatronStrategy"):
        message = "does not give the scheduler the length of the training"
        bound = "MegatronStrategy, or not given"
        raise refused(FieldError("config.trainer.strategy", message, shown(target), bound))
    modules = section("nemo", Modules, content, path)
    inside = f"{path}.config"
    optimizer = section("nemo", MegatronOptimizer, modules.config, inside, harmless={"min_lr"})
    sched = modules.lr_scheduler
    if isinstance(sched, Mapping):
        name = str(sched.get("_target_", "")).rpartition(".")[2]
        own = {key: value for key, value in sched.items() if key not in {"_target_", "max_steps"}}
        sched = {"name": name, **own}
    return Optimizer(lr=optimizer.lr, weight_decay=optimizer.weight_decay, sched=sched)


def _model(content: Any) -> Model:
    """Return the model, whose blocks are of other things."""
    blocks = set(content) if isinstance(content, Mapping) else set()
    model = section(
        "nemo",
        Model,
        content,
        "config.model",
        apart=blocks,
        harmless={"do_layer_norm_weight_decay", "micro_batch_size", "reset_lr_steps"},
    )
    if model.reset_lr:
        message = "counts from a checkpoint, which is not in the file"
        raise refused(FieldError("config.model.reset_lr", message, True, "false"))
    if model.optim_param_groups:
        message = "gives parts of the model what they learn with: convert each for itself"
        value = shown(model.optim_param_groups)
        raise refused(FieldError("config.model.optim_param_groups", message, value, "not given"))
    if model.rampup_batch_size is not None:
        message = "makes a batch that grows, of samples and not of steps"
        value = shown(model.rampup_batch_size)
        raise refused(FieldError("config.model.rampup_batch_size", message, value, "null"))
    return model


def _total(content: Any, sched: Any, lengths: TrainingLengths) -> int | None:
    """Return the length of the training in steps, if the file or the caller says it."""
    blocks = set(content) if isinstance(content, Mapping) else set()
    trainer = section("nemo", Trainer, content, "config.trainer", apart=blocks)
    if trainer.max_steps > 0:
        return stated("trainer.max_steps", trainer.max_steps, lengths.total)
    own = sched.get("max_steps") if isinstance(sched, Mapping) else None
    if isinstance(own, int) and own > 0:
        return stated("optim.sched.max_steps", own, lengths.total)
    epochs = trainer.max_epochs or -1
    if lengths.steps_per_epoch is None or epochs < 1:
        return lengths.total
    return stated("trainer.max_epochs", epochs * lengths.steps_per_epoch, lengths.total)


def _scheduler(sched: Any, path: str, total: int | None) -> tuple[str, dict[str, Any]]:
    """Return the name of the scheduler, and its parameters with the length of the training."""
    if not isinstance(sched, Mapping):
        raise refused(FieldError(path, "must be an object", shown(sched), "an object"))
    name = sched.get("name")
    if not isinstance(name, str):
        message = "is required: the scheduler's name"
        raise refused(FieldError(f"{path}.name", message, shown(name), "CosineAnnealing, …"))
    params = {key: value for key, value in sched.items() if key not in _NO_PARAMETERS}
    if name != _PLATEAU:
        params.pop("monitor", None)
    if name in _WITHOUT_LENGTH:
        params.pop("max_steps", None)
    elif total is None:
        raise missing("trainer.max_steps", OR_LENGTHS, "≥ 1")
    else:
        params["max_steps"] = total
    return name, params


def _tells(config: Mapping[str, Any]) -> list[str]:
    """Return the scheduler's name, as files of NeMo have it, or what is told to be of NeMo 2."""
    for path, block in (("optim", config), ("model.optim", config.get("model"))):
        optim = block.get("optim") if isinstance(block, Mapping) else None
        if not isinstance(optim, Mapping):
            continue
        sched = optim.get("sched")
        if isinstance(sched, Mapping) and "name" in sched:
            return [f"{path}.sched.name"]
        if str(optim.get("_target_", "")).startswith("nemo."):
            return [f"{path}._target_"]
    return []


PROJECT = Project(
    "nemo",
    conversion,
    signs={"exp_manager", "model.optim.sched", "model.megatron_amp_O2"},
    tells=_tells,
    checked="NeMo's own prepare_lr_scheduler with random files",
    refused="a batch that ramps up; reset_lr; optim_param_groups; NeMo 2 with another strategy "
    "than Megatron's",
)
