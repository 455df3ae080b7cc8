"""verl: the YAML files and command lines of its trainers, with workers of FSDP and Megatron."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from rheostat.converters.configs.flags import Flags
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    OR_TOTAL,
    ConfigConversion,
    Place,
    TrainingLengths,
    converted,
    missing,
    read,
    stated,
)
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.core import refused
from rheostat.converters.parameters import Length, NotNegative, Share, Steps
from rheostat.errors import FieldError, Invalid
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_ACTOR: Final = "actor_rollout_ref.actor"
_MEGATRON: Final = "ppo_megatron_trainer"
"""The file whose defaults are those of Megatron's workers, as Hydra's command line names it."""
_OWN_PATHS: Final = ("config", "./config")
_OWN: Final = ("ppo_trainer", _MEGATRON, "sft_trainer", "sft_trainer_engine")
_OLDER: Final = "verl.trainer.fsdp_sft_trainer"
_STABLE: Final = 0.9
"""The share of what follows the warm-up that is stable in wsd."""


class Optim(BaseModel):
    """A block `optim`, with the defaults of the FSDP workers."""

    model_config = LENIENT

    lr: NotNegative | None = None
    weight_decay: NotNegative = 0.01
    lr_warmup_steps: Steps | None = -1
    lr_warmup_steps_ratio: Share | None = None
    total_training_steps: Steps | None = -1
    lr_scheduler_type: str | None = None
    warmup_style: str | None = None
    lr_scheduler: str | None = None
    min_lr_ratio: Share | None = None
    num_cycles: NotNegative = 0.5
    zero_indexed_step: bool = True
    override_optimizer_config: Any = None


class MegatronOptim(Optim):
    """A block `optim` of the Megatron workers, with their defaults."""

    lr_warmup_steps_ratio: Share | None = 0.0
    lr_decay_steps: Length | None = None
    lr_decay_style: str = "constant"
    lr_warmup_init: NotNegative = 0.0
    min_lr: NotNegative = 0.0
    lr_wsd_decay_style: str = "exponential"
    lr_wsd_decay_steps: Length | None = None


class Trainer(BaseModel):
    """The block `trainer`, which says how long the training is."""

    model_config = LENIENT

    total_epochs: Length | None = None
    total_training_steps: Length | None = None
    critic_warmup: Steps = 0


class Worker(NamedTuple):
    """An optimizer's block, and where it stands in the file."""

    path: str
    optim: Optim

    def wrong(self, name: str, message: str, value: Any, bound: str) -> Invalid:
        """Return the error about a field of the block, to be raised."""
        return refused(FieldError(f"{self.path}.{name}", message, shown(value), bound))


_READ: Final = Read(
    "verl",
    (),
    harmless={"val_max_samples", "train_max_samples"},
    apart={"actor_rollout_ref", "critic", "optim", "trainer", "reward_model", "data"}
    | {"global_profiler"},
)
_BESIDE: Final = ("optimizer", "optimizer_impl", "betas")
_READ_OF_OPTIM: Final = Read("verl", (*_BESIDE, *Optim.model_fields))
_OF_FSDP: Final = {
    "lr_scheduler",
    "lr_scheduler_type",
    "min_lr_ratio",
    "num_cycles",
    "warmup_style",
    "zero_indexed_step",
}
_READ_OF_MEGATRON: Final = Read(
    "verl",
    (*_BESIDE, *(MegatronOptim.model_fields.keys() - _OF_FSDP)),
    harmless={"use_checkpoint_opt_param_scheduler", "weight_decay_incr_style"},
)
_READ_OF_OVERRIDES: Final = Read("verl", ())
_READ_OF_TRAINER: Final = Read("verl", tuple(Trainer.model_fields))


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate and weight decay of the actor, and of the critic where there is one.

    A step is one of the trainer: all updates of its mini-batches have the same rate. Its number is
    trainer.total_training_steps, or total_epochs times the steps of an epoch. A file of SFT has one
    optimizer at its top, and must name its schedule, unless the command line names the older
    trainer: the two have other defaults.
    """
    config = _nested(config)
    check_unknown(config, _READ)
    block = _block(config, "trainer")
    trainer = read(Trainer, block, "config.trainer")
    check_unknown(block, _READ_OF_TRAINER, "config.trainer")
    if trainer.critic_warmup > 1:
        message = "delays the actor's schedule by so many steps"
        value = trainer.critic_warmup
        raise refused(FieldError("config.trainer.critic_warmup", message, value, "≤ 1"))
    workers = _workers(config)
    total = _total(trainer, workers, lengths)
    rates: dict[str, Definition] = {}
    for suffix, (worker, default) in workers.items():
        rates[f"lr{suffix}"] = _rate(worker, default, total)
        rates[f"weight_decay{suffix}"] = Constant(value=worker.optim.weight_decay)
    return ConfigConversion(rates, total=total, steps_per_epoch=lengths.steps_per_epoch)


def _check_base(flags: Flags) -> None:
    """Refuse a command line that overrides another configuration than those of verl's own."""
    for names, own in ((("config_name", "cn"), _OWN), (("config_path", "cp"), _OWN_PATHS)):
        for name in names:
            value = flags.get(name)
            if value is None or str(value).removesuffix(".yaml") in own:
                continue
            message = "names a configuration that is not verl's own, of which this is a part"
            bound = "the whole one, as Hydra writes it to .hydra/config.yaml"
            raise refused(FieldError(f"config.{name}", message, shown(value), bound))


def _nested(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a command line overrides as the blocks of a file, which remain flags."""
    if not isinstance(config, Flags):
        return config
    _check_base(config)
    found = Flags()
    for path, value in config.items():
        *names, last = path.split(".")
        block = found
        for name in names:
            inner = block.setdefault(name, Flags())
            if not isinstance(inner, Flags):
                field = f"config.{path}"
                raise refused(FieldError(field, "is inside of a value", shown(value), "a block"))
            block = inner
        block[last] = None if value == "null" else value
    return found


def _workers(config: Mapping[str, Any]) -> dict[str, tuple[Worker, float | None]]:
    """Return the optimizers of the file by what their parameters end with, and default rates."""
    if "optim" in config:
        return {"": (_of_sft(_worker(config, "optim"), older=config.get("m") == _OLDER), None)}
    if not isinstance(config.get("actor_rollout_ref"), Mapping):
        raise missing(_ACTOR, "or else optim", "an object")
    found: dict[str, tuple[Worker, float | None]] = {"": (_worker(config, f"{_ACTOR}.optim"), 1e-6)}
    critic = _block(config, "critic")
    enabled = critic.get("enable")
    if isinstance(enabled, str):
        enabled = enabled.lower() == "true"
    if enabled is None:
        enabled = _block(config, "algorithm").get("adv_estimator", "gae") == "gae"
    if enabled:
        found["/critic"] = (_worker(config, "critic.optim"), 1e-5)
    return found


def _of_sft(worker: Worker, *, older: bool) -> Worker:
    """Return the optimizer of SFT, with the defaults of the older trainer if it is that one."""
    optim = worker.optim
    if older:
        usual = {"lr": 1e-5, "lr_scheduler": "cosine", "lr_warmup_steps_ratio": 0.1}
        given = {name: getattr(optim, name) for name in usual}
        kept = {name: value for name, value in given.items() if value is not None}
        return Worker(worker.path, optim.model_copy(update={**usual, **kept}))
    if optim.lr_scheduler is optim.lr_scheduler_type is optim.warmup_style is None:
        bound = "constant or cosine; lr_scheduler is that of the older trainer"
        message = "is required: the older trainer is cosine by default, and the newer constant"
        raise worker.wrong("lr_scheduler_type", message, None, bound)
    return worker


def _worker(config: Mapping[str, Any], path: str) -> Worker:
    """Return an optimizer's block, checked; that of another strategy has other fields."""
    outer = path.rpartition(".")[0]
    named = str(config.get("config_name", config.get("cn")))
    usual = "megatron" if named.startswith(_MEGATRON) else "fsdp"
    strategy = _block(config, outer).get("strategy", usual) if outer else "fsdp"
    if strategy not in ("fsdp", "fsdp2", "megatron"):
        message, bound = "has a schedule of its own", "fsdp, fsdp2 or megatron"
        raise refused(FieldError(f"config.{outer}.strategy", message, shown(strategy), bound))
    block, place = _block(config, path), f"config.{path}"
    overrides = _block(config, f"{path}.override_optimizer_config")
    check_unknown(overrides, _READ_OF_OVERRIDES, f"{place}.override_optimizer_config")
    if strategy == "megatron":
        check_unknown(block, _READ_OF_MEGATRON, place)
        return Worker(place, read(MegatronOptim, block, place))
    check_unknown(block, _READ_OF_OPTIM, place)
    worker = Worker(place, read(Optim, block, place))
    if not worker.optim.zero_indexed_step:
        message = "shifts the schedule by a step"
        raise worker.wrong("zero_indexed_step", message, False, "true")
    return worker


def _block(config: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """Return a block at a path, which may be left out."""
    found: Mapping[str, Any] = config
    for i, name in enumerate(path.split(".")):
        inner = found.get(name)
        if inner is None:
            return {}
        if not isinstance(inner, Mapping):
            field = f"config.{'.'.join(path.split('.')[: i + 1])}"
            raise refused(FieldError(field, "must be an object", shown(inner), "an object"))
        found = inner
    return found


def _total(
    trainer: Trainer, workers: Mapping[str, tuple[Worker, float | None]], lengths: TrainingLengths
) -> int | None:
    """Return the steps of the training, if they are known; the trainer sets those of optim."""
    for worker, _ in workers.values():
        if (worker.optim.total_training_steps or -1) > 0:
            message = "is set by the trainer: give trainer.total_training_steps"
            value = worker.optim.total_training_steps
            raise worker.wrong("total_training_steps", message, value, "not given")
    if trainer.total_training_steps is not None:
        if _is_old(workers):
            value, bound = trainer.total_training_steps, "not given, with optim.lr_scheduler"
            message = "ends the training before the schedule, which lasts total_epochs"
            field = "config.trainer.total_training_steps"
            raise refused(FieldError(field, message, value, bound))
        return stated("trainer.total_training_steps", trainer.total_training_steps, lengths.total)
    if lengths.steps_per_epoch is None:
        return lengths.total
    if trainer.total_epochs is None:
        if lengths.total is None:
            raise missing("trainer.total_epochs", OR_TOTAL, "≥ 1")
        return lengths.total
    steps = trainer.total_epochs * lengths.steps_per_epoch
    return stated("trainer.total_epochs", steps, lengths.total)


def _is_old(workers: Mapping[str, tuple[Worker, float | None]]) -> bool:
    """Return whether the file is of the older SFT trainer, which names its schedule otherwise."""
    return any(worker.optim.lr_scheduler is not None for worker, _ in workers.values())


def _rate(worker: Worker, default: float | None, total: int | None) -> Definition:
    optim = worker.optim
    base = default if optim.lr is None else optim.lr
    if base is None:
        raise worker.wrong("lr", "is required", None, "a number")
    if isinstance(optim, MegatronOptim):
        return _megatron(worker, optim, base, total)
    name, warmup = _name(worker), _warmup(worker, total)
    place = Place(f"{worker.path}.lr_scheduler_type", worker.path)
    if name == "constant":
        params = {"num_warmup_steps": warmup}
        return converted(place, "transformers", "constant_with_warmup", params, base)
    if total is None:
        raise _no_total()
    params = {"num_warmup_steps": warmup, "num_training_steps": total}
    if name == "wsd":
        stable = int(max(0, total - warmup) * _STABLE)
        stages = {"num_stable_steps": stable, "num_decay_steps": max(0, total - warmup) - stable}
        return converted(place, "transformers", "warmup_stable_decay", {**params, **stages}, base)
    waves = {"num_cycles": optim.num_cycles, "min_lr_rate": optim.min_lr_ratio or 0.0}
    return converted(place, "transformers", "cosine_with_min_lr", {**params, **waves}, base)


def _megatron(worker: Worker, optim: MegatronOptim, base: float, total: int | None) -> Definition:
    """Return the rate of Megatron's scheduler, which counts the steps of the trainer."""
    steps = optim.lr_decay_steps or total
    if steps is None:
        raise _no_total()
    warmup = optim.lr_warmup_steps or 0
    if warmup <= 0:
        warmup = int((optim.lr_warmup_steps_ratio or 0.0) * steps)
    params = {
        "init_lr": optim.lr_warmup_init,
        "max_lr": base,
        "min_lr": optim.min_lr,
        "lr_warmup_steps": warmup,
        "lr_decay_steps": steps,
        "lr_decay_style": optim.lr_decay_style,
        "start_wd": optim.weight_decay,
        "end_wd": optim.weight_decay,
        "wd_incr_steps": steps,
        "wd_incr_style": "constant",
        "wsd_decay_steps": optim.lr_wsd_decay_steps,
        "lr_wsd_decay_style": optim.lr_wsd_decay_style,
    }
    place = Place(worker.path, worker.path)
    return converted(place, "megatron", "OptimizerParamScheduler", params)


def _name(worker: Worker) -> str:
    """Return the name of the schedule: warmup_style comes first; the older SFT has lr_scheduler."""
    optim = worker.optim
    if optim.lr_scheduler is not None:
        name, field, known = optim.lr_scheduler, "lr_scheduler", ("cosine", "wsd")
        if optim.min_lr_ratio or optim.num_cycles != 0.5:
            other = "min_lr_ratio" if optim.min_lr_ratio else "num_cycles"
            message, bound = "is not read by the trainer of lr_scheduler", "not given"
            raise worker.wrong(other, message, getattr(optim, other), bound)
    elif optim.warmup_style is not None:
        name, field, known = optim.warmup_style, "warmup_style", ("constant", "cosine")
    else:
        name = optim.lr_scheduler_type or "constant"
        field, known = "lr_scheduler_type", ("constant", "cosine")
    if name not in known:
        bound = " or ".join(known)
        raise worker.wrong(field, f"must be {bound}", name, bound)
    return name


def _warmup(worker: Worker, total: int | None) -> int:
    """Return the steps of the warm-up, or the share of the training, rounded down."""
    optim = worker.optim
    steps, ratio = optim.lr_warmup_steps, optim.lr_warmup_steps_ratio
    if optim.lr_scheduler is not None and ratio is None:
        raise worker.wrong("lr_warmup_steps_ratio", "is required", None, "0 to 1")
    if steps == 0 and ratio:
        message = "is no warm-up to some of verl's workers, and a share to others"
        raise worker.wrong("lr_warmup_steps", message, 0, "> 0, or -1 for the share")
    if steps is not None and steps > 0:
        if optim.lr_scheduler is not None:
            message = "is not read by the trainer of lr_scheduler"
            raise worker.wrong("lr_warmup_steps", message, steps, "not given")
        return steps
    if ratio and total is None:
        raise _no_total()
    return int((ratio or 0.0) * (total or 0))


def _no_total() -> Invalid:
    message = "is required: the schedule counts shares of the training"
    bound = "≥ 1, or else trainer.total_training_steps, or steps_per_epoch"
    return refused(FieldError("total", message, None, bound))


_FLAGS: Final = frozenset(
    {"actor_rollout_ref.actor.optim.lr", "actor_rollout_ref.actor.ppo_mini_batch_size"}
    | {"actor_rollout_ref.model.path", "actor_rollout_ref.rollout.name"}
    | {"model.partial_pretrain", "trainer.default_local_dir"}
)
PROJECT = Project(
    "verl",
    conversion,
    flags=_FLAGS,
    signs={"actor_rollout_ref", "critic.optim", "trainer.critic_warmup"}
    | {"optim.lr_warmup_steps_ratio", "trainer.default_local_dir"},
    checked="transformers' and Megatron's schedules, and the workers' arithmetic",
    refused="the workers of VeOmni, an actor that waits for its critic, a `zero_indexed_step` of "
    "false, and rates in `override_optimizer_config`",
)
