"""The libraries that can be converted, under every name that they go by."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from rheostat.converters.library import Library

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "torch": ("pytorch",),
    "optax": (),
    "keras": ("tensorflow", "tf.keras"),
    "transformers": ("huggingface",),
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
    "olmo_core": ("ai2-olmo-core", "olmo"),
    "torchtitan": (),
    "nanotron": (),
    "litgpt": (),
    "llm_foundry": ("llm-foundry", "llmfoundry"),
    "maxtext": (),
    "axolotl": (),
    "big_vision": (),
    "dino": ("dinov2", "dinov3", "facebookresearch/dino* (git)"),
    "fastai": (),
    "lightning_bolts": ("lightning-bolts", "pl_bolts"),
    "pytorch_optimizer": (),
    "pytorch_warmup": (),
    "thinc": (),
    "allennlp": (),
}
"""Each library's module beside this one, and its other names: those of packages and projects."""


def _key(name: str) -> str:
    return name.lower().replace("-", "_")


_MODULES: Final = {
    _key(name): module for module, others in NAMES.items() for name in (module, *others)
}


def find(name: str) -> Library | None:
    """Return the library of this name, loading its converters when they are first asked for."""
    module = _MODULES.get(_key(name))
    if module is None:
        return None
    library: Library = import_module(f"rheostat.converters.{module}").library
    return library
