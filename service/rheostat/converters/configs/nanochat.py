"""nanochat: the command line of scripts.base_train, or the same arguments as an object."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, sqrt
from typing import Any

from pydantic import BaseModel

from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    OR_TOTAL,
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
from rheostat.converters.parameters import Count, Positive, Share, Steps
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant

_PLACE = Place("config", "config")
_BATCH = 2**19
"""The tokens of a batch for which the rates are given."""
_WIDTH = 768
"""The width of a model for which Adam's rates are given."""
_SMEAR = 0.2
"""The rate of what mixes a token with the one before, which nothing scales."""


class Arguments(BaseModel):
    """The arguments that describe a schedule, with the defaults of the script."""

    model_config = LENIENT

    depth: AtLeastOne = 20
    aspect_ratio: AtLeastOne = 64
    head_dim: AtLeastOne = 128
    num_iterations: Steps = -1
    total_batch_size: Steps = -1
    embedding_lr: Positive = 0.3
    unembedding_lr: Positive = 0.008
    matrix_lr: Positive = 0.02
    scalar_lr: Positive = 0.5
    warmup_steps: Count = 40
    warmdown_ratio: Share = 0.65
    final_lr_frac: float = 0.05


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate of Muon, those of Adam's groups, and the momentum of Muon.

    Rates grow with the square root of the batch, and Adam's shrink with the width. The weight decay
    is left out: nanochat scales it by numbers of parameters, which are not in the arguments.
    """
    _check_script(config)
    given = section("nanochat", Arguments, config, harmless={"weight_decay", "resume_from_step"})
    total = lengths.total
    if given.num_iterations > 0:
        total = stated("num_iterations", given.num_iterations, lengths.total)
    if total is None:
        message = f"{OR_TOTAL}: nanochat would work it out from the model's parameters"
        raise missing("num_iterations", message, "≥ 1")
    if given.total_batch_size < 1:
        message = "in tokens: without it nanochat works it out from the model's parameters"
        raise missing("total_batch_size", message, "≥ 1")
    warmdown = {"num_iterations": total, "warmdown_ratio": given.warmdown_ratio}
    params = {
        **warmdown,
        "warmup_steps": given.warmup_steps,
        "final_lr_frac": given.final_lr_frac,
    }
    parameters: dict[str, Definition] = {
        name: converted(_PLACE, "nanochat", "get_lr_multiplier", params, rate)
        for name, rate in _rates(given).items()
    }
    parameters["momentum"] = converted(
        _PLACE, "nanochat", "get_muon_momentum", warmdown, hyperparameter="momentum"
    )
    parameters["batch_size"] = Constant(value=given.total_batch_size)
    return ConfigConversion(parameters, total=total, steps_per_epoch=lengths.steps_per_epoch)


def _rates(given: Arguments) -> dict[str, float]:
    """Return the peak of each group's rate."""
    batch = sqrt(given.total_batch_size / _BATCH)
    width = ceil(given.depth * given.aspect_ratio / given.head_dim) * given.head_dim
    wide = batch / sqrt(width / _WIDTH)
    return {
        "lr": given.matrix_lr * batch,
        "lr/unembedding": given.unembedding_lr * wide,
        "lr/embedding": given.embedding_lr * wide,
        "lr/value_embeddings": given.embedding_lr * wide * 0.5,
        "lr/resid_lambdas": given.scalar_lr * batch * 0.01,
        "lr/x0_lambdas": given.scalar_lr * batch,
        "lr/smear": _SMEAR,
    }


def _check_script(config: Mapping[str, Any]) -> None:
    """Refuse the command lines of the other scripts, which have schedules of their own."""
    for name, value in config.items():
        words = value if isinstance(value, list) else [value]
        for word in words:
            if isinstance(word, str) and word.startswith(("scripts.chat_sft", "scripts.chat_rl")):
                message = "has a schedule of its own, which is not read"
                field = f"config.{str(name)[:100]}"
                raise refused(FieldError(field, message, shown(word), "scripts.base_train"))


PROJECT = Project(
    "nanochat",
    conversion,
    signs={"matrix_lr", "unembedding_lr", "warmdown_ratio", "target_param_data_ratio"},
    flags={"matrix_lr", "unembedding_lr", "warmdown_ratio", "target_param_data_ratio"}
    | {"core_metric_every", "window_pattern"},
    checked="the functions of scripts.base_train of July 2026, from their text",
    refused="what follows from numbers of parameters: a batch or a length that is not given, and "
    "the weight decay, which is left out; finetuning",
)
