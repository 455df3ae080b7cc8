"""The libraries that can be converted, under every name that they go by."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from rheostat.converters.core import Library, refused
from rheostat.errors import FieldError, Invalid
from rheostat.schedules.field_errors import shown
from rheostat.suggestions import did_you_mean

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "torch": ("pytorch",),
    "optax": (),
    "flax": (),
    "keras": ("tensorflow", "tf.keras"),
    "transformers": ("huggingface",),
    "lightning": ("pytorch-lightning", "lightning.pytorch"),
    "timm": (),
    "megatron": ("megatron-core", "megatron-lm"),
    "deepspeed": (),
    "fairseq": (),
    "composer": ("mosaicml-composer", "mosaicml"),
    "fvcore": (),
    "detectron2": (),
    "mmengine": ("mmcv",),
    "ignite": ("pytorch-ignite",),
    "paddle": ("paddlepaddle",),
    "nemo": ("nemo-toolkit",),
    "olmo_core": ("ai2-olmo-core",),
    "olmo": ("ai2-olmo",),
    "torchtitan": (),
    "nanotron": (),
    "litgpt": (),
    "llm_foundry": ("llm-foundry", "llmfoundry"),
    "maxtext": (),
    "axolotl": (),
    "diffusers": (),
    "mlx": ("mlx.optimizers",),
    "big_vision": (),
    "dino": ("dinov2", "dinov3", "facebookresearch/dino* (git)"),
    "fastai": (),
    "lightning_bolts": ("lightning-bolts", "pl_bolts"),
    "pytorch_optimizer": (),
    "pytorch_warmup": (),
    "thinc": (),
    "allennlp": (),
    "gpt_neox": ("gpt-neox", "neox"),
    "levanter": (),
    "nanochat": (),
}
"""Each library's file beside this one, and its other names: those of packages and projects."""

FURTHER_FILES: Final[dict[str, tuple[str, ...]]] = {
    "mmengine": ("mmengine_lists",),
    "nemo": ("nemo_lightning",),
}
"""The files, beside their library's own one, that register more of its schedulers."""


def _key(name: str) -> str:
    return name.lower().replace("-", "_")


_MODULES: Final = {
    _key(name): module for module, others in NAMES.items() for name in (module, *others)
}


def files(name: str) -> tuple[str, ...]:
    """Return the files of the library of this import name, its own one first."""
    return (name, *FURTHER_FILES.get(name, ()))


def find(name: str) -> Library | None:
    """Return the library of this name, loading its converters when they are first asked for."""
    module = _MODULES.get(_key(name))
    if module is None:
        return None
    loaded, *_ = [import_module(f"rheostat.converters.{file}") for file in files(module)]
    library: Library = loaded.library
    return library


def unknown_library(name: str) -> Invalid:
    """Return the error about a library that is not known, to be raised."""
    known = list(NAMES)
    message = f"is not a library that can be converted{did_you_mean(name, known)}"
    return refused(FieldError("library", message, shown(name), f"one of {', '.join(known)}"))
