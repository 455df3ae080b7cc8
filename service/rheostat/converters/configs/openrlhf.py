"""OpenRLHF: the command lines of its trainers, or the same arguments as an object."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from rheostat.converters.configs.flags import Flags
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
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
from rheostat.converters.parameters import Count, Length, NotNegative, Positive, Share
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_FLOORED: Final = ("cosine_with_min_lr", "cosine_warmup_with_min_lr")
_WITHOUT_TOTAL: Final = ("constant", "constant_with_warmup", "inverse_sqrt")
_OLD: Final = {
    "freezing_actor_steps": "critic.freezing_steps",
    "learning_rate": "adam.lr",
    "actor_learning_rate": "actor.adam.lr",
    "critic_learning_rate": "critic.adam.lr",
    "l2": "adam.weight_decay",
    "max_epochs": "train.max_epochs",
    "num_episodes": "train.num_episodes",
}
"""The names of versions before 0.10, of which the two agree."""
_SHARED: Final = ("lr_scheduler", "lr_warmup_ratio", "min_lr_ratio")
"""What PPO had once for both models."""


class Model(BaseModel):
    """The arguments of one model's optimizer and schedule, as they follow its prefix."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)

    lr: Positive | None = Field(None, alias="adam.lr")
    weight_decay: NotNegative = Field(0.0, alias="adam.weight_decay")
    muon_lr: Positive = Field(0.02, alias="muon.lr")
    optim: Literal["adam", "muon"] = "adam"
    lr_scheduler: str = "cosine_with_min_lr"
    lr_warmup_ratio: Share = 0.03
    min_lr_ratio: Share = 0.1


class Training(BaseModel):
    """The length of the training: that of one epoch, so many times."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)

    max_epochs: NotNegative | None = Field(None, alias="train.max_epochs")
    num_episodes: Length = Field(1, alias="train.num_episodes")
    freezing_steps: Count = Field(0, alias="critic.freezing_steps")


def _names(model: type[BaseModel]) -> list[str]:
    """Return the names of a model's fields in a file."""
    return [field.alias or name for name, field in model.model_fields.items()]


_PREFIXES: Final = ("", "actor.", "critic.")
_READ: Final = Read(
    "openrlhf",
    [*_names(Training), *(prefix + name for prefix in _PREFIXES for name in _names(Model))],
)
_RATES: Final = {"actor.": 1e-6, "critic.": 9e-6}
"""What PPO's models have by default."""
_PPO: Final = "openrlhf.cli.train_ppo_ray"
_TRAINERS: Final = {
    "openrlhf.cli.train_sft": (5e-6, 2),
    "openrlhf.cli.train_dpo": (1e-5, 1),
    "openrlhf.cli.train_rm": (9e-6, 1),
}
"""The rate and the epochs that other trainers have by default, if the command line names one."""


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate and the weight decay; of PPO those of the actor and the critic.

    The critic's are lr/critic and weight_decay/critic, if the file has any. lr/muon is the rate of
    the matrices where the optimizer is muon. Where the command line does not name the trainer, the
    rate and the epochs must be given, but for PPO.
    """
    fields = _fields(config)
    check_unknown(fields, _READ)
    trainer = str(fields.get("module") or fields.get("m"))
    usual = _TRAINERS.get(trainer)
    training = read(Training, fields)
    if training.freezing_steps:
        message, value = "delays the actor's schedule by so many steps", training.freezing_steps
        raise refused(FieldError("config.critic.freezing_steps", message, value, "0"))
    models = _models(fields, trainer)
    epochs = 1 if models else usual[1] if usual else None
    total = _total(training, lengths, epochs)
    rates: dict[str, Definition] = {}
    for prefix in models or [""]:
        default = usual[0] if usual else None
        rates.update(_rates(prefix, fields, total, _RATES.get(prefix, default)))
    return ConfigConversion(rates, total=total, steps_per_epoch=lengths.steps_per_epoch)


def _models(fields: Mapping[str, Any], trainer: str) -> list[str]:
    """Return the prefixes of PPO's models: that of the critic only if the file sets its rate."""
    own = [prefix for prefix in _RATES if any(prefix + name in fields for name in _names(Model))]
    ppo = own or trainer == _PPO or any(name.startswith("rollout.") for name in fields)
    if not ppo:
        return []
    for name in _names(Model):
        if name in fields:
            message = "is of another trainer than PPO, whose models have flags of their own"
            raise refused(FieldError(f"config.{name}", message, shown(fields[name]), "actor.…"))
    return own if "actor." in own else ["actor.", *own]


def _fields(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments by the names of now, with dots between their parts."""
    found: dict[str, Any] = {}
    for name, value in _flat(config).items():
        new = _OLD.get(name, name)
        if new in found:
            message = f"is another name of {new}: give one of them"
            raise refused(FieldError(f"config.{name}", message, shown(value), "not given"))
        if isinstance(config, Flags) and value is True and new in _READ.fields:
            message = "must have a value"
            raise refused(FieldError(f"config.{name}", message, None, "a value after the flag"))
        found[new] = value
    shared = [name for name in _SHARED if name in found]
    if "actor.adam.lr" in found or "critic.adam.lr" in found:
        for name in shared:
            value = found.pop(name)
            for prefix in _RATES:
                found.setdefault(prefix + name, value)
    return Flags(found) if isinstance(config, Flags) else found


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with blocks opened, whose names are joined by dots."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{inner}": one for inner, one in _flat(value).items()}
        else:
            found[name] = value
    return found


def _total(training: Training, lengths: TrainingLengths, usual: int | None) -> int | None:
    if lengths.steps_per_epoch is None:
        return lengths.total
    epochs = usual if training.max_epochs is None else training.max_epochs
    if epochs is None:
        raise missing("train.max_epochs", "since each trainer has another default", "> 0")
    steps = ceil(epochs * training.num_episodes * lengths.steps_per_epoch)
    return stated("train.max_epochs", steps, lengths.total)


def _rates(
    prefix: str, fields: Mapping[str, Any], total: int | None, usual: float | None
) -> dict[str, Definition]:
    """Return what one model's arguments give."""
    own = {
        name.removeprefix(prefix): value
        for name, value in fields.items()
        if name.startswith(prefix)
    }
    field = f"config.{prefix}".rstrip(".")
    model = read(Model, Flags(own) if isinstance(fields, Flags) else own, field)
    suffix = "/critic" if prefix == "critic." else ""
    base = usual if model.lr is None else model.lr
    if base is None:
        raise missing("adam.lr", "since each trainer has another default")
    place = Place(f"{field}.lr_scheduler", field)
    given = (place, "transformers", model.lr_scheduler, _params(model, total))
    rates = {
        f"lr{suffix}": converted(*given, base, optimizer_default_lr=base),
        f"weight_decay{suffix}": Constant(value=model.weight_decay),
    }
    if model.optim == "muon":
        name = "lr/muon" if not suffix else "lr/critic_muon"
        rates[name] = converted(*given, model.muon_lr, optimizer_default_lr=model.muon_lr)
    return rates


def _params(model: Model, total: int | None) -> dict[str, Any]:
    name, ratio = model.lr_scheduler, model.lr_warmup_ratio
    if name == "constant":
        return {}
    if total is None:
        message = "is required: lr_warmup_ratio is a share of the training"
        raise refused(FieldError("total", message, None, "≥ 1, or else steps_per_epoch"))
    params: dict[str, Any] = {"num_warmup_steps": ceil(total * ratio)}
    if name not in _WITHOUT_TOTAL:
        params["num_training_steps"] = total
    if name in _FLOORED:
        params["min_lr_rate"] = model.min_lr_ratio
    return params


_SIGNS: Final = frozenset(
    {"adam.lr", "actor.adam.lr", "critic.adam.lr", "actor_learning_rate", "critic_learning_rate"}
    | {"train.max_epochs", "train.num_episodes", "micro_train_batch_size"}
    | {"rollout.n_samples_per_prompt", "ds.zero_stage", "micro_rollout_batch_size"}
)
PROJECT = Project(
    "openrlhf",
    conversion,
    signs=_SIGNS,
    flags=_SIGNS,
    checked="transformers' own schedulers, and the trainers' arithmetic",
    refused="a file without trainer and rate, and an actor that waits for its critic",
)
