"""The projects whose configuration files are read, under every name that they go by."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Final

from rheostat.converters.configs.project import Project
from rheostat.converters.core import refused
from rheostat.errors import FieldError, Invalid
from rheostat.schedules.field_errors import shown
from rheostat.suggestions import did_you_mean

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "axolotl": (),
    "deepspeed": (),
    "detectron2": (),
    "diffusers": (),
    "fairseq": (),
    "gpt_neox": ("gpt-neox", "neox"),
    "gpt_neox_2023": (),
    "gpt_neox_v2": ("gpt-neox-v1", "gpt-neox-v2.0"),
    "keras": ("tensorflow", "tf.keras"),
    "kohya": ("sd-scripts", "kohya-ss", "kohya sd-scripts"),
    "levanter": (),
    "llamafactory": ("llama-factory",),
    "llm_foundry": ("llm-foundry", "llmfoundry"),
    "maxtext": (),
    "megatron": ("megatron-core", "megatron-lm"),
    "mlx_lm": ("mlx",),
    "mmcv": (),
    "mmengine": (),
    "nanochat": (),
    "nanotron": (),
    "nemo": ("nemo-toolkit",),
    "olmo": ("ai2-olmo",),
    "olmo_core": ("ai2-olmo-core",),
    "open_clip": ("open-clip", "open_clip_torch"),
    "openrlhf": (),
    "ppdet": ("paddledetection",),
    "rllib": ("ray", "ray.rllib"),
    "stable_baselines3": ("stable-baselines3", "sb3", "rl_zoo3"),
    "timm": (),
    "torchtitan": (),
    "torchtune": (),
    "transformers": ("huggingface",),
    "trl": ("alignment-handbook",),
    "ultralytics": ("yolo",),
    "verl": (),
}
"""Each project's file beside this one, and its other names."""


def _key(name: str) -> str:
    return name.lower().replace("-", "_")


_MODULES: Final = {
    _key(name): module for module, others in NAMES.items() for name in (module, *others)
}


def find(name: str) -> Project | None:
    """Return the project of this name."""
    module = _MODULES.get(_key(name))
    return None if module is None else _loaded(module)


def every() -> Iterator[Project]:
    """Yield all projects."""
    return map(_loaded, NAMES)


def unknown_project(name: str) -> Invalid:
    """Return the error about a project that is not known, to be raised."""
    known = list(NAMES)
    message = f"is no library whose configuration files are read{did_you_mean(name, known)}"
    return refused(FieldError("library", message, shown(name), f"one of {', '.join(known)}"))


def _loaded(module: str) -> Project:
    project: Project = import_module(f"rheostat.converters.configs.{module}").PROJECT
    return project
