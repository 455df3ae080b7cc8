"""MMEngine: `param_scheduler`, `optim_wrapper` and `train_cfg` of the OpenMMLab projects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from rheostat.controllers import Controller
from rheostat.converters.configs.paramwise import Bases
from rheostat.converters.configs.paramwise import bases as bases_of_groups
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    ConfigConversion,
    Place,
    TrainingLengths,
    by_epochs,
    controlled,
    missing,
    read,
    stated,
)
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.core import Conversion, refused
from rheostat.converters.mmengine import field_of, sets
from rheostat.converters.parameters import Length, NotNegative
from rheostat.errors import FieldError, Invalid
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_LOOPS: Final = {"EpochBasedTrainLoop": "max_epochs", "IterBasedTrainLoop": "max_iters"}
_SCOPES: Final = ("mmengine", "mmdet", "mmpose")
"""The packages whose schedulers are read, before the names of these or of their modules."""
_WITH_BETAS: Final = ("adam", "lamb", "lion")
"""What is in the names of the optimizers whose momentum is their first beta."""
_PLACE: Final = Place("config.param_scheduler", "config.param_scheduler")


class Optimizer(BaseModel):
    """What the optimizer starts from."""

    model_config = LENIENT

    type: str | None = None
    lr: NotNegative
    momentum: NotNegative | None = None
    betas: Annotated[list[float] | tuple[float, ...], Field(min_length=2)] | None = None
    weight_decay: NotNegative | None = None


class Wrapper(BaseModel):
    """What holds the optimizer."""

    model_config = LENIENT

    optimizer: dict[str, Any] | None = None


class Loop(BaseModel):
    """What runs the training."""

    model_config = LENIENT

    type: str | None = None
    by_epoch: bool | None = None
    max_epochs: Length | None = None
    max_iters: Length | None = None


class AutoScale(BaseModel):
    """Whether the rate is scaled by the number of GPUs."""

    model_config = LENIENT

    enable: bool = False


class File(BaseModel):
    """The parts of the file that matter."""

    model_config = LENIENT

    param_scheduler: list[dict[str, Any]] | dict[str, Any] | None = None
    optim_wrapper: dict[str, Any]
    train_cfg: dict[str, Any] = Field(default_factory=dict)
    auto_scale_lr: dict[str, Any] | None = None
    default_hooks: dict[str, Any] | None = None


_READ: Final = Read("mmengine", tuple(File.model_fields))
_READ_OF_WRAPPER: Final = Read(
    "mmengine",
    (*Wrapper.model_fields, "paramwise_cfg", "constructor"),
    apart={"clip_grad"},
)
_READ_OF_OPTIMIZER: Final = Read(
    "mmengine", tuple(Optimizer.model_fields), harmless={"momentum_decay", "decoupled_weight_decay"}
)
_READ_OF_LOOP: Final = Read("mmengine", tuple(Loop.model_fields), harmless={"dynamic_intervals"})


@dataclass(frozen=True)
class Training:
    """How long the training is: in iterations, and in the counts of its loop."""

    total: int
    epoch: int | None
    by_epoch: bool
    ends: Mapping[bool, int]
    """Where schedulers end that do not say it, in epochs (True) and in iterations."""


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return what the schedulers set, by iterations, and what the optimizer holds constant.

    A step is an iteration, whether or not several of them make an update. A momentum that is
    scheduled is that of SGD, or the first beta of Adam.
    """
    _check_base(config)
    file = read(File, config)
    _check(config, file)
    optimizer, groups = _optimizer(file.optim_wrapper)
    training = _training(file, lengths)
    schedulers = _schedulers(file, training)
    found: dict[str, Definition] = {}
    controllers: dict[str, Controller] = {}
    bases = _bases(optimizer, schedulers)
    _check_fields(schedulers, bases)
    for name, base in {**bases, **groups.rates, **groups.weight_decays}.items():
        whole = _scheduled(schedulers, name, base, training)
        found[name] = whole.definition or Constant(value=base)
        if whole.controller is not None:
            if "/" in name:
                message = "has groups whose rates a plateau lowers together, each to the same floor"
                field = "config.optim_wrapper.paramwise_cfg"
                raise refused(FieldError(field, message, name, "not given beside a plateau"))
            controllers[f"plateau/{name}" if controllers else "plateau"] = whole.controller
    return ConfigConversion(
        found, controllers, total=training.total, steps_per_epoch=training.epoch
    )


def _check(config: Mapping[str, Any], file: File) -> None:
    """Refuse what the rate depends on besides the schedulers, and names that are nearly right."""
    blocks = {name: True for name, value in config.items() if isinstance(value, (Mapping, list))}
    check_unknown(blocks, _READ)
    if read(AutoScale, file.auto_scale_lr or {}, "config.auto_scale_lr").enable:
        message = "scales the rate by the number of GPUs: give the rate that it becomes"
        raise refused(FieldError("config.auto_scale_lr.enable", message, True, "False"))
    hook = (file.default_hooks or {}).get("param_scheduler")
    kind = hook.get("type") if isinstance(hook, Mapping) else None
    if str(kind or "ParamSchedulerHook").rpartition(".")[2] != "ParamSchedulerHook":
        field, message = "config.default_hooks.param_scheduler.type", "sets the rate by itself"
        raise refused(FieldError(field, message, shown(kind), "ParamSchedulerHook"))


def _check_base(config: Mapping[str, Any]) -> None:
    """Refuse a file that leaves to its base files, which are not read, what its rate depends on."""
    for name in ("optim_wrapper", "train_cfg", "param_scheduler"):
        if config.get("_base_") and not config.get(name):
            message = (
                "beside _base_, files that are not read and may set it; MMEngine writes the whole "
                "configuration into the work_dir when a training starts"
            )
            raise missing(name, message, "given")


def _optimizer(wrapper: dict[str, Any]) -> tuple[Optimizer, Bases]:
    """Return the optimizer, and what groups of weights start from that differ from it."""
    path = "config.optim_wrapper"
    block = read(Wrapper, wrapper, path).optimizer
    if block is None:
        message = "is required: of a training with several optimizers each is a run of its own"
        raise refused(FieldError(f"{path}.optimizer", message, None, "an optimizer"))
    check_unknown(wrapper, _READ_OF_WRAPPER, path)
    check_unknown(block, _READ_OF_OPTIMIZER, f"{path}.optimizer")
    optimizer = read(Optimizer, block, f"{path}.optimizer")
    return optimizer, bases_of_groups(wrapper, path, optimizer.lr, optimizer.weight_decay)


def _training(file: File, lengths: TrainingLengths) -> Training:
    """Return the lengths of the training, whose loop counts epochs or iterations."""
    path = "config.train_cfg"
    check_unknown(file.train_cfg, _READ_OF_LOOP, path)
    loop = read(Loop, file.train_cfg, path)
    kind = (loop.type or "").rpartition(".")[2]
    if loop.type is not None and kind not in _LOOPS:
        message = "is no loop of MMEngine: it may give the schedulers other turns"
        raise refused(FieldError(f"{path}.type", message, loop.type, f"one of {', '.join(_LOOPS)}"))
    known = "max_iters" if loop.max_epochs is None else "max_epochs"
    wanted = _LOOPS.get(kind, known)
    if loop.by_epoch is not None:
        wanted = "max_epochs" if loop.by_epoch else "max_iters"
    other = "max_epochs" if wanted == "max_iters" else "max_iters"
    if getattr(loop, other) is not None:
        message = f"is nothing that a loop with {wanted} has"
        raise refused(FieldError(f"{path}.{other}", message, getattr(loop, other), "not given"))
    if getattr(loop, wanted) is None:
        raise missing(f"train_cfg.{wanted}", "for it is the training's length", "≥ 1")
    if loop.max_epochs is not None:
        epoch, total = by_epochs("train_cfg.max_epochs", loop.max_epochs, lengths)
        return Training(total, epoch, True, {True: loop.max_epochs, False: total})
    total = stated("train_cfg.max_iters", loop.max_iters or 0, lengths.total)
    return Training(total, lengths.steps_per_epoch, False, {True: 1, False: total})


def _schedulers(file: File, training: Training) -> list[dict[str, Any]]:
    """Return the schedulers as they are converted, with the ends that the loop gives them."""
    given = file.param_scheduler or []
    if isinstance(given, dict):
        if "type" not in given:
            message = "has a list for each of several optimizers, which are runs of their own"
            raise refused(FieldError("config.param_scheduler", message, shown(given), "a list"))
        given = [given]
    return [_scheduler(block, i, training) for i, block in enumerate(given)]


def _scheduler(block: dict[str, Any], place: int, training: Training) -> dict[str, Any]:
    path = f"config.param_scheduler[{place}]"
    params = {name: list(v) if isinstance(v, tuple) else v for name, v in block.items()}
    kind = params.pop("type", None)
    if not isinstance(kind, str):
        raise refused(
            FieldError(f"{path}.type", "must be a name", shown(kind), "CosineAnnealingLR")
        )
    scope, _, rest = kind.partition(".")
    name = rest.rpartition(".")[2] if scope in _SCOPES else kind
    by_epoch = params.get("by_epoch", True)
    if by_epoch and not training.by_epoch and not params.get("convert_to_iter_based", False):
        message = "counts epochs, of which a loop of iterations has one: it would have no turn"
        bound = "False, or convert_to_iter_based"
        raise refused(FieldError(f"{path}.by_epoch", message, by_epoch, bound))
    if name.endswith("ParamScheduler") and not params.get("param_name"):
        message = "is required: it says what is set"
        raise refused(FieldError(f"{path}.param_name", message, None, "lr, or another field"))
    if not name.startswith("ReduceOnPlateau"):
        params.setdefault("end", training.ends[bool(by_epoch)])
    return {"name": name, "params": params}


def _bases(optimizer: Optimizer, schedulers: list[dict[str, Any]]) -> dict[str, float]:
    """Return the values that the optimizer starts from; a beta if it is scheduled."""
    found = {"lr": optimizer.lr}
    kind = (optimizer.type or "").lower()
    betas = optimizer.betas is not None or any(name in kind for name in _WITH_BETAS)
    scheduled = any(_sets(item, "momentum") for item in schedulers)
    if betas and scheduled:
        found["beta1"] = optimizer.betas[0] if optimizer.betas else 0.9
    elif optimizer.momentum is not None:
        found["momentum"] = optimizer.momentum
    elif scheduled:
        message = "for a scheduler sets the momentum, which is another one by the optimizer"
        raise missing("optim_wrapper.optimizer.momentum", message)
    if optimizer.weight_decay is not None:
        found["weight_decay"] = optimizer.weight_decay
    return found


def _sets(scheduler: dict[str, Any], name: str) -> bool:
    return sets(scheduler["name"], scheduler["params"].get("param_name"), name)


def _check_fields(schedulers: list[dict[str, Any]], bases: Mapping[str, float]) -> None:
    """Refuse a scheduler of what the file has no value for."""
    for i, item in enumerate(schedulers):
        if not any(_sets(item, name) for name in bases):
            field = field_of(item["name"], item["params"].get("param_name"))
            message = f"sets the {field}, for which the optimizer of the file has no value"
            bound = f"one of {', '.join(bases)}"
            raise refused(
                FieldError(f"config.param_scheduler[{i}].type", message, item["name"], bound)
            )


def _scheduled(
    schedulers: list[dict[str, Any]], name: str, base: float, training: Training
) -> Conversion:
    """Return what the schedulers of a field, or a group's, become, if there are any."""
    name = name.partition("/")[0]
    if not any(_sets(item, name) for item in schedulers):
        return Conversion()
    try:
        return controlled(
            _PLACE,
            "mmengine",
            "list",
            {"schedulers": schedulers},
            base_value=base,
            hyperparameter=name,
            steps_per_epoch=training.epoch,
        )
    except Invalid as error:
        errors = [replace(item, field=_path(item.field)) for item in error.errors]
        raise Invalid(error.detail, errors=errors) from None


def _path(field: str) -> str:
    """Return where a field of a converted list stands in the file."""
    head, listed, rest = field.partition(".schedulers[")
    if not listed:
        return field
    place, _, inside = rest.partition("].")
    inside = "type" if inside == "name" else inside.removeprefix("params.")
    return f"{head}[{place}].{inside}"


def _tells(config: Mapping[str, Any]) -> list[str]:
    """Return the field of base files, which MMCV's configurations have too, beside their own."""
    based = isinstance(config.get("_base_"), (str, list))
    return ["_base_"] if based and not {"lr_config", "optimizer_config"} & config.keys() else []


PROJECT: Final = Project(
    "mmengine",
    conversion,
    signs={
        *("param_scheduler", "optim_wrapper", "train_cfg.max_iters", "train_cfg.by_epoch"),
        "default_hooks.param_scheduler",
    },
    tells=_tells,
    checked="trainings of MMEngine's Runner with random files",
    refused="what a `_base_` file sets, several optimizers, schedulers of other packages, and "
    "constructors that decay the rate by the layer",
)
