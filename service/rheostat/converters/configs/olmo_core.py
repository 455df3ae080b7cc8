"""OLMo-core: the configuration that it saves, as JSON or YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from rheostat.converters.configs.counting import counted_from_one
from rheostat.converters.configs.groups import MOST_GROUPS, group_name
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    OR_LENGTHS,
    AtLeastOne,
    ConfigConversion,
    Place,
    TrainingLengths,
    converted,
    missing,
    stated,
)
from rheostat.converters.configs.sections import section
from rheostat.converters.core import refused
from rheostat.converters.parameters import NotNegative, Positive
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_SCHEDULER = "config.train_module.scheduler"
_OPTIM = "config.train_module.optim"
_NAMES = ("_CLASS_", "type")
"""The fields that tell a class: by its path, or by the name that it is registered by."""
_LENGTHS = {"warmup", "warmup_steps", "decay", "decay_steps", "t_max", "period_lengths"} | {
    "schedulers_max",
    "schedulers_max_steps",
}
_CALLBACKS = {"profiler", "nvtx", "comet", "wandb", "downstream_evaluator", "lm_evaluator"}
_TRAINER = {"callbacks", "checkpointer", "steps_to_skip"}
_NO_SCHEDULE = {"model", "dataset", "load_path", "launch"}


class File(BaseModel):
    """The blocks that matter."""

    model_config = LENIENT

    train_module: Any = None
    data_loader: Any = None
    trainer: Any = None


class TrainModule(BaseModel):
    """What trains the model."""

    model_config = LENIENT

    optim: Any = None
    scheduler: Any = None
    max_grad_norm: float | None = None


class Options(BaseModel):
    """What a group of weights has for itself."""

    model_config = LENIENT

    lr: float | None = None
    weight_decay: NotNegative | None = None


class Group(BaseModel):
    """A group of weights, whose names match one of the patterns."""

    model_config = LENIENT

    params: list[str] = []
    opts: Options = Options()


class Optim(BaseModel):
    """The optimizer; groups may have options of their own."""

    model_config = LENIENT

    lr: Positive
    weight_decay: float | None = None
    group_overrides: Annotated[list[Group], Field(max_length=MOST_GROUPS)] | None = None


class DataLoader(BaseModel):
    """The batch, in tokens."""

    model_config = LENIENT

    global_batch_size: AtLeastOne | None = None


class Duration(BaseModel):
    """A length of the training."""

    model_config = LENIENT

    value: AtLeastOne
    unit: Literal["steps", "epochs", "tokens"]


class Trainer(BaseModel):
    """The length of the training, and where it is stopped before."""

    model_config = LENIENT

    max_duration: Duration | None = None
    hard_stop: Duration | None = None


class Nothing(BaseModel):
    """A block of which nothing is read."""

    model_config = LENIENT


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate, the weight decay, and the batch size in tokens.

    OLMo-core counts a step before it updates: the first update has the rate of step 1.
    """
    file = section("olmo_core", File, config, apart=_NO_SCHEDULE)
    blocks = set(file.train_module) if isinstance(file.train_module, Mapping) else set()
    path = "config.train_module"
    train = section("olmo_core", TrainModule, file.train_module, path, apart=blocks)
    optim = section("olmo_core", Optim, train.optim, _OPTIM, harmless={"adjust_lr"})
    decays = _weight_decays(optim)
    batch = section(
        "olmo_core", DataLoader, file.data_loader, "config.data_loader"
    ).global_batch_size
    trainer = section("olmo_core", Trainer, file.trainer, "config.trainer", apart=_TRAINER)
    _check_callbacks(file.trainer)
    steps = _steps(trainer.max_duration, "max_duration", batch, lengths)
    rate: Definition = Constant(value=optim.lr)
    if train.scheduler is not None:
        unit = _unit(train.scheduler, batch)
        name, params = _scheduler(train.scheduler, _SCHEDULER, unit)
        place = Place(_SCHEDULER, _SCHEDULER)
        whole = _whole(trainer.max_duration, steps, batch, unit)
        rate = converted(place, "olmo_core", name, params, optim.lr, total=whole)
    parameters: dict[str, Definition] = {"lr": counted_from_one(rate, "config")}
    if optim.weight_decay is not None:
        parameters["weight_decay"] = Constant(value=optim.weight_decay)
    parameters.update(decays)
    if batch is not None:
        parameters["batch_size"] = Constant(value=batch)
    total = steps
    if trainer.hard_stop is not None:
        total = min(steps, _steps(trainer.hard_stop, "hard_stop", batch, lengths))
    total = stated("trainer.max_duration", total, lengths.total)
    return ConfigConversion(parameters, total=total, steps_per_epoch=lengths.steps_per_epoch)


def _weight_decays(optim: Optim) -> dict[str, Definition]:
    """Return the weight decays of groups that differ; a rate of their own is refused."""
    found: dict[str, Definition] = {}
    names: set[str] = set()
    for i, group in enumerate(optim.group_overrides or []):
        path, own = f"{_OPTIM}.group_overrides[{i}]", group.opts
        if own.lr is not None:
            message = "is the rate of a group alone: convert that with it as the optimizer's"
            raise refused(FieldError(f"{path}.opts.lr", message, own.lr, "not given"))
        if own.weight_decay is not None and own.weight_decay != optim.weight_decay:
            name = group_name("_".join(group.params), names, f"{path}.params")
            names.add(name)
            found[f"weight_decay/{name}"] = Constant(value=own.weight_decay)
    return found


def _check_callbacks(trainer: Any) -> None:
    """Refuse a callback that schedules something."""
    callbacks = trainer.get("callbacks") if isinstance(trainer, Mapping) else None
    section("olmo_core", Nothing, callbacks, "config.trainer.callbacks", apart=_CALLBACKS)


def _steps(
    duration: Duration | None, name: str, batch: int | None, lengths: TrainingLengths
) -> int:
    """Return a duration in steps; an epoch is the default."""
    given = duration or Duration(value=1, unit="epochs")
    if given.unit == "steps":
        return given.value
    if given.unit == "tokens":
        return -(-given.value // _known(batch))
    if lengths.steps_per_epoch is not None:
        return given.value * lengths.steps_per_epoch
    if lengths.total is None:
        raise missing(f"trainer.{name}", f"in steps, {OR_LENGTHS}")
    return lengths.total


def _known(batch: int | None) -> int:
    if batch is None:
        raise missing("data_loader.global_batch_size", "to tell how many tokens a step takes")
    return batch


def _unit(scheduler: Any, batch: int | None) -> int:
    """Return how many units of the schedule a step is: one, or the tokens of a batch."""
    units = scheduler.get("units", "steps") if isinstance(scheduler, Mapping) else "steps"
    return _known(batch) if units == "tokens" else 1


def _whole(duration: Duration | None, steps: int, batch: int | None, unit: int) -> int:
    """Return the length of the training as the schedule is given it, in steps."""
    if unit > 1 and duration is not None and duration.unit == "tokens":
        path = "config.trainer.max_duration.value"
        return int(_in_steps(duration.value, path, _known(batch)))
    return steps


def _in_steps(value: Any, path: str, unit: int) -> Any:
    """Return a length in steps, which must be whole."""
    if isinstance(value, list):
        return [_in_steps(item, f"{path}[{i}]", unit) for i, item in enumerate(value)]
    if not isinstance(value, (int, float)):
        return value  # which the scheduler refuses, unless it is none
    if value % unit:
        bound = f"a multiple of {unit}"
        raise refused(FieldError(path, "must be a whole number of batches", value, bound))
    return value // unit


def _scheduler(content: Any, path: str, unit: int) -> tuple[str, dict[str, Any]]:
    """Return the name of a scheduler, and its parameters by those of the class."""
    if not isinstance(content, Mapping):
        raise refused(FieldError(path, "must be an object", shown(content), "an object"))
    name = str(content.get("_CLASS_", content.get("type", ""))).rpartition(".")[2]
    if not name:
        message = "is required: it names the scheduler"
        raise refused(FieldError(f"{path}._CLASS_", message, None, "a class of OLMo-core"))
    params = {key: value for key, value in content.items() if key not in _NAMES}
    for key in _LENGTHS & params.keys():
        params[key] = _in_steps(params[key], f"{path}.{key}", unit)
    if isinstance(params.get("schedulers"), list):
        params["schedulers"] = [
            _nested(item, f"{path}.schedulers[{i}]", unit)
            for i, item in enumerate(params["schedulers"])
        ]
    if unit > 1 and params.keys() & {"stages", "override_decay"}:
        message = "counts tokens, which are not read here"
        raise refused(FieldError(f"{path}.units", message, "tokens", '"steps"'))
    return name, {key: _plain(value) for key, value in params.items()}


def _nested(content: Any, path: str, unit: int) -> dict[str, Any]:
    name, params = _scheduler(content, path, unit)
    return {"name": name, "params": params}


def _plain(value: Any) -> Any:
    """Return a stage without the name of its class."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: item for key, item in value.items() if key not in _NAMES}
    return value


PROJECT = Project(
    "olmo_core",
    conversion,
    signs={"train_module.scheduler", "train_module.optim", "train_module.rank_microbatch_size"}
    | {"trainer.max_duration.unit", "trainer.hard_stop"},
    checked="the library's own schedulers, also with random files",
    refused="the rate of a group; lengths in tokens that are no whole batches; a batch that grows",
)
