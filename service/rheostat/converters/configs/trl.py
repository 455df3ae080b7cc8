"""TRL: the files of its trainers, and the recipes of the alignment handbook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rheostat.converters.configs import transformers
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    ConfigConversion,
    TrainingLengths,
    check_whole,
    missing,
    read,
)
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.core import refused
from rheostat.errors import FieldError
from rheostat.schedules.field_errors import shown

_READ = Read(
    "trl",
    tuple(transformers.Arguments.model_fields),
    harmless={*transformers.HARMLESS, "num_iterations", "stop_token"},
    apart=transformers.APART,
)
SIGNS = frozenset(
    {"assistant_only_loss", "completion_only_loss", "dataset_mixture", "dataset_test_split"}
    | {"dataset_text_field", "dataset_train_split", "max_completion_length", "max_prompt_length"}
    | {"num_generations", "packing_strategy", "precompute_ref_log_probs", "use_peft"}
    | {"use_vllm", "vllm_mode"}
)
_ALONE = frozenset({"assistant_only_loss", "dataset_mixture", "dataset_test_split"}) | {
    "dataset_train_split"
}
"""The signs that no project has which is built upon TRL, as ms-swift is."""


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the learning rate and the weight decay, as from `TrainingArguments`.

    Each trainer has a learning rate of its own by default, so the file must have one.
    """
    check_whole(config, "config")
    arguments = read(transformers.Arguments, config)
    check_unknown(config, _READ)
    if "learning_rate" not in arguments.model_fields_set:
        raise missing("learning_rate", "since each trainer has another default")
    if config.get("total_episodes") is not None:
        message = "sets the length in episodes, which is no number of steps: give max_steps"
        value = shown(config["total_episodes"])
        raise refused(FieldError("config.total_episodes", message, value, "not given"))
    return transformers.trained(arguments, config, lengths)


def _doubt(config: Mapping[str, Any]) -> str | None:
    return None if _ALONE & config.keys() else transformers.doubt(config)


PROJECT = Project(
    "trl",
    conversion,
    signs=SIGNS,
    flags=SIGNS,
    embeds=("transformers",),
    checked="TRL's parser and trainings of the Trainer with random files",
    refused="a file without a learning rate, and a length in episodes",
    doubt=_doubt,
)
