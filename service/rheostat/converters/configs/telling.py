"""Which library a configuration file is of: told by fields that no other project has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from rheostat.converters.deepspeed import library as deepspeed

_DEEPSPEED: Final = frozenset(
    {"train_micro_batch_size_per_gpu", "zero_optimization", "zero_allow_untested_optimizer"}
    | {"zero_force_ds_cpu_optimizer", "steps_per_print", "wall_clock_breakdown"}
    | {"prescale_gradients", "gradient_predivide_factor", "communication_data_type"}
    | {"progressive_layer_drop", "data_efficiency", "flops_profiler"}
)
_TRANSFORMERS: Final = frozenset(
    {"lr_scheduler_type", "lr_scheduler_kwargs"}
    | {"per_device_train_batch_size", "per_device_eval_batch_size"}
)
_MEGATRON: Final = frozenset(
    {"lr-decay-style", "lr-decay-iters", "lr-decay-samples", "lr-wsd-decay-style"}
    | {"lr-warmup-fraction", "lr-warmup-iters", "lr-warmup-samples", "lr-warmup-init"}
    | {"train-samples", "train-iters", "rampup-batch-size", "decoupled-lr"}
    | {"tensor-model-parallel-size", "pipeline-model-parallel-size", "start-weight-decay"}
)
ONLY_JSON: Final = (
    "what is read are JSON (a DeepSpeed file, or the fields of TrainingArguments) and the flags of "
    "Megatron's command line; a YAML or TOML file has to be written as JSON first"
)


class Told(NamedTuple):
    """A library, or why none can be told."""

    library: str | None
    why: str = ""


def library_of(config: Any) -> Told:
    """Return the library that a configuration file is of, if its fields are of one alone."""
    if isinstance(config, (str, list)):
        flags = flags_of(config.split() if isinstance(config, str) else config)
        if not flags:
            return Told(None, f"it is no JSON object and has no flags: {ONLY_JSON}")
        return _told({"megatron": sorted(flags & _MEGATRON)}, "flags")
    if not isinstance(config, Mapping):
        return Told(None, f"it is no JSON object: {ONLY_JSON}")
    names = {str(name) for name in config}
    found = {
        "deepspeed": sorted(names & _DEEPSPEED) or _blocks_of_deepspeed(config),
        "transformers": sorted(names & _TRANSFORMERS),
    }
    return _told(found, "fields")


def flags_of(words: list[Any]) -> set[str]:
    """Return the names of the flags of a command line."""
    return {
        word[2:].partition("=")[0].replace("_", "-")
        for word in words
        if isinstance(word, str) and word.startswith("--") and word[2:3].isalpha()
    }


def _told(found: dict[str, list[str]], what: str) -> Told:
    fitting = {library: names for library, names in found.items() if names}
    if len(fitting) == 1:
        return Told(next(iter(fitting)))
    if fitting:
        says = "; ".join(f"{name} has {', '.join(fields)}" for name, fields in fitting.items())
        return Told(None, f"its {what} are of several: {says}")
    return Told(None, f"none of its {what} is of one library alone, and others have them too")


def _blocks_of_deepspeed(config: Mapping[str, Any]) -> list[str]:
    """Return what only DeepSpeed has as an object: a precision, or a scheduler of its own."""
    found = [name for name in ("fp16", "bf16") if isinstance(config.get(name), Mapping)]
    scheduler = config.get("scheduler")
    name = scheduler.get("type") if isinstance(scheduler, Mapping) else None
    if isinstance(name, str) and deepspeed.find(name) is not None:
        found.append("scheduler")
    return found
