"""axolotl: the YAML files of `axolotl train`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import ceil, floor
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict

from rheostat.controllers import Controller
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    OR_LENGTHS,
    ConfigConversion,
    Place,
    TrainingLengths,
    controlled,
    converted,
    missing,
    read,
    stated,
)
from rheostat.converters.configs.transformers import check_deepspeed, check_plateau
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.core import refused
from rheostat.converters.parameters import Count, NotNegative, Positive, Share
from rheostat.errors import FieldError
from rheostat.limits import PARAMETER
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_PLACE: Final = Place("config.lr_scheduler", "config.lr_scheduler_kwargs")
_PLATEAU: Final = "reduce_lr_on_plateau"
_UNCOUNTED: Final = ("grpo", "ebft")
"""Where axolotl does not count the steps before it starts the Trainer."""
_USUAL_WARMUP: Final = 0.03
_MOST_WARMUP: Final = 100
"""Steps of the warm-up of a file that says nothing of it."""


class Group(BaseModel):
    """A group of parameters with a rate of its own."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    name: str
    lr: Positive


class Arguments(BaseModel):
    """The fields that describe a schedule, with axolotl's defaults; a text may be a number."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    learning_rate: Positive
    weight_decay: float | None = None
    optimizer: str | None = None
    lr_scheduler: str | None = None
    lr_scheduler_kwargs: dict[str, Any] | None = None
    lr_quadratic_warmup: bool | None = None
    cosine_min_lr_ratio: Share | None = None
    cosine_constant_lr_ratio: Share | None = None
    warmup_steps: Count | None = None
    warmup_ratio: NotNegative | None = None
    max_steps: Count | None = None
    num_epochs: Positive = 1.0
    sample_packing: bool | None = None
    jagged_restart_steps: Count | None = None
    jagged_restart_warmup_steps: Count | None = None
    jagged_restart_anneal_steps: Count | None = None
    embedding_lr: NotNegative | None = None
    embedding_lr_scale: NotNegative | None = None
    lr_groups: list[Group] | None = None
    loraplus_lr_ratio: Positive | None = None
    loraplus_lr_embedding: Positive = 1e-6
    rl: str | None = None
    metric_for_best_model: str | None = None

    @property
    def scheduler(self) -> str:
        """The name of the schedule."""
        return self.lr_scheduler or "cosine"

    @property
    def specific(self) -> dict[str, Any]:
        """The parameters of the schedule that the file gives."""
        return dict(self.lr_scheduler_kwargs or {})


_READ: Final = Read(
    "axolotl",
    tuple(Arguments.model_fields),
    harmless={"lr_div_factor", "max_samples", "num_iterations", "tokens", "total_num_tokens"},
    apart={"accelerator_config", "deepspeed", "diffusion"},
)


class Lengths(NamedTuple):
    """The training's length, and the one that axolotl counts before it, by which it warms up."""

    total: int | None
    counted: int | None


class Scheduler(NamedTuple):
    """A scheduler of a library, and its parameters."""

    library: str
    name: str
    params: dict[str, Any]


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate, those of the groups, and the weight decay.

    A file without a warm-up has one of 3 % of the training, at most 100 steps; a warm-up of one
    step takes two. Shares of the training are rounded down. one_cycle sets beta1 too.
    """
    _check_length(config.get("max_steps"))
    arguments = read(Arguments, config)
    check_unknown(config, _READ)
    check_deepspeed(config.get("deepspeed"))
    _check(arguments)
    known = _lengths(arguments, lengths)
    decay = Constant(value=arguments.weight_decay or 0.0)
    if arguments.scheduler == _PLATEAU:
        check_plateau("lr_scheduler", [name for name, _ in _bases(arguments)][1:])
        parameters: dict[str, Definition] = {"lr": Constant(value=arguments.learning_rate)}
        controllers = _plateau(arguments)
    else:
        scheduler = _jagged(arguments, _scheduler(arguments, known))
        parameters, controllers = _rates(arguments, scheduler), {}
    parameters["weight_decay"] = decay
    return ConfigConversion(parameters, controllers, known.total, lengths.steps_per_epoch)


def _rates(arguments: Arguments, scheduler: Scheduler) -> dict[str, Definition]:
    """Return the rate of each group, and what the scheduler sets beside them."""
    given = (_PLACE, *scheduler)
    default = arguments.learning_rate
    rates = {
        name: converted(*given, base, optimizer_default_lr=default)
        for name, base in _bases(arguments)
    }
    if scheduler.name == "OneCycleLR" and arguments.specific.get("cycle_momentum", True):
        rates["beta1"] = converted(*given, default, hyperparameter="beta1")
    return rates


def _bases(arguments: Arguments) -> Iterator[tuple[str, float]]:
    """Yield the names of the rates, and what they start from."""
    yield "lr", arguments.learning_rate
    if arguments.loraplus_lr_ratio is not None:
        yield "lr/lora_b", arguments.learning_rate * arguments.loraplus_lr_ratio
        yield "lr/embedding", arguments.loraplus_lr_embedding
        return
    if arguments.embedding_lr_scale:
        yield "lr/embedding", arguments.learning_rate * arguments.embedding_lr_scale
    elif arguments.embedding_lr:
        yield "lr/embedding", arguments.embedding_lr
    for group in arguments.lr_groups or ():
        yield f"lr/{group.name}", group.lr


def _plateau(arguments: Arguments) -> dict[str, Controller]:
    """Return the plateau of the Trainer, which watches a loss unless the file says otherwise."""
    name = (arguments.metric_for_best_model or "loss").removeprefix("eval_")
    found = controlled(_PLACE, "transformers", _PLATEAU, arguments.specific, metric=f"eval_{name}")
    return {} if found.controller is None else {"plateau": found.controller}


def _scheduler(arguments: Arguments, known: Lengths) -> Scheduler:
    """Return the scheduler that axolotl makes of the fields: one of three libraries."""
    name, low = arguments.scheduler, arguments.cosine_min_lr_ratio
    if name == "constant":
        return Scheduler("transformers", name, {})
    if name in ("constant_with_warmup", "inverse_sqrt"):
        lengths = {"num_warmup_steps": _warmup(arguments, known)}
        return Scheduler("transformers", name, {**lengths, **arguments.specific})
    if known.total is None:
        raise missing("max_steps", OR_LENGTHS, "≥ 1")
    warmup, total = _warmup(arguments, known), known.total
    lengths = {"num_warmup_steps": warmup, "num_training_steps": total}
    if name == "one_cycle":
        cycle = {"max_lr": arguments.learning_rate, "total_steps": total}
        up = {"pct_start": warmup / total, "anneal_strategy": "cos"}
        return Scheduler("torch", "OneCycleLR", {**up, **arguments.specific, **cycle})
    if name == "rex":
        peak = arguments.learning_rate
        levels = {"max_lr": peak, "min_lr": peak * (low or 0.0)}
        ends = {"total_steps": total, "num_warmup_steps": warmup}
        return Scheduler("axolotl", "RexLR", {**levels, **ends})
    if name == "cosine" and arguments.lr_quadratic_warmup:
        return Scheduler("axolotl", "get_cosine_schedule_with_quadratic_warmup", lengths)
    if name == "cosine" and low and arguments.cosine_constant_lr_ratio:
        held = {"min_lr_ratio": low, "constant_lr_ratio": arguments.cosine_constant_lr_ratio}
        params = {**lengths, **held}
        return Scheduler("axolotl", "get_cosine_schedule_with_warmup_decay_constant", params)
    if name == "cosine" and low:
        params = {**lengths, "min_lr_ratio": low}
        return Scheduler("axolotl", "get_cosine_schedule_with_min_lr", params)
    return Scheduler("transformers", name, {**lengths, **arguments.specific})


def _jagged(arguments: Arguments, inner: Scheduler) -> Scheduler:
    """Return the scheduler with its restarts, if the file has any."""
    if not arguments.jagged_restart_steps:
        return inner
    if arguments.scheduler in ("rex", "one_cycle"):
        message = f"cannot restart {arguments.scheduler}, which counts its steps by itself"
        value = arguments.jagged_restart_steps
        raise refused(FieldError("config.jagged_restart_steps", message, value, "not given"))
    params = {
        "inner_schedule": {"name": inner.name, "params": inner.params},
        "jagged_restart_steps": arguments.jagged_restart_steps,
        "jagged_restart_warmup_steps": arguments.jagged_restart_warmup_steps or 10,
        "jagged_restart_anneal_steps": arguments.jagged_restart_anneal_steps or 1,
        "min_lr_scale": arguments.cosine_min_lr_ratio or 0.001,
    }
    return Scheduler("axolotl", "JaggedLRRestartScheduler", params)


def _lengths(arguments: Arguments, lengths: TrainingLengths) -> Lengths:
    """Return the lengths; axolotl counts a part of an epoch up, and down where it packs."""
    by_epochs = None
    if lengths.steps_per_epoch is not None:
        whole = arguments.num_epochs * lengths.steps_per_epoch
        by_epochs = max(1, floor(whole) if arguments.sample_packing else ceil(whole))
    if arguments.max_steps:
        total = stated("max_steps", arguments.max_steps, lengths.total)
        counted = by_epochs if arguments.rl else min(by_epochs or total, total)
    elif by_epochs is not None and (
        lengths.total is None or "num_epochs" in arguments.model_fields_set
    ):
        total = counted = stated("num_epochs", by_epochs, lengths.total)
    else:
        return Lengths(lengths.total, None if arguments.rl in _UNCOUNTED else lengths.total)
    return Lengths(total, None if arguments.rl in _UNCOUNTED else counted)


def _warmup(arguments: Arguments, known: Lengths) -> int:
    """Return the steps of the warm-up: a given number, or a share, rounded down if counted."""
    steps: float | None = arguments.warmup_steps
    if steps is None:
        steps = _share(arguments, known)
    if steps == 1:
        steps = 2
    return int(steps) if steps >= 1 else ceil((known.total or 0) * steps)


def _share(arguments: Arguments, known: Lengths) -> float:
    ratio, usual = arguments.warmup_ratio, arguments.warmup_ratio is None
    share = _USUAL_WARMUP if ratio is None else ratio
    if known.total is None:
        raise missing("max_steps", OR_LENGTHS, "≥ 1")
    if arguments.rl in _UNCOUNTED:
        return share
    if known.counted is None:
        message = "is required: with rl the warm-up is a share of the epochs, not of max_steps"
        raise refused(FieldError("steps_per_epoch", message, None, "≥ 1"))
    steps = int(share * known.counted)
    return min(steps, _MOST_WARMUP) if usual else steps


def _check_length(steps: Any) -> None:
    if isinstance(steps, int) and steps < 0:
        message = "is no length to axolotl, though -1 is none to transformers: leave it out"
        raise refused(FieldError("config.max_steps", message, shown(steps), "≥ 0"))


def _check(arguments: Arguments) -> None:
    """Refuse what axolotl refuses, and what it would leave out."""
    if arguments.warmup_steps and arguments.warmup_ratio:
        message = "excludes warmup_steps"
        raise refused(FieldError("config.warmup_ratio", message, arguments.warmup_ratio, "one"))
    if arguments.lr_groups and arguments.loraplus_lr_ratio:
        value = arguments.loraplus_lr_ratio
        raise refused(FieldError("config.loraplus_lr_ratio", "excludes lr_groups", value, "one"))
    for i, group in enumerate(arguments.lr_groups or ()):
        if not re.fullmatch(PARAMETER, f"lr/{group.name}"):
            message, bound = "cannot be part of a parameter's name", "a–z, 0–9 and _"
            raise refused(
                FieldError(f"config.lr_groups[{i}].name", message, shown(group.name), bound)
            )
    for name in ("lr_quadratic_warmup", "jagged_restart_steps"):
        if arguments.rl and getattr(arguments, name):
            message = "is left out by axolotl where the file has rl"
            raise refused(FieldError(f"config.{name}", message, True, "not given"))


_SIGNS: Final = frozenset(
    {"cosine_constant_lr_ratio", "cosine_min_lr_ratio", "dataset_prepared_path"}
    | {"jagged_restart_steps", "lora_target_linear", "lr_quadratic_warmup", "pad_to_sequence_len"}
    | {"sample_packing", "saves_per_epoch", "evals_per_epoch", "sequence_len"}
)
PROJECT = Project(
    "axolotl",
    conversion,
    signs=_SIGNS,
    embeds=("transformers", "trl"),
    checked="its own arithmetic, builder and Trainer, with random files",
    refused="jagged restarts of rex and one_cycle, and a DeepSpeed file inside with a scheduler",
)
