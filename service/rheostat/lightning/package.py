"""Which of the two packages of Lightning a training has: each has all classes of its own."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

PACKAGES = ("lightning.pytorch", "pytorch_lightning")
MISSING = "rheostat.lightning needs Lightning: pip install lightning (or pytorch-lightning)"


def callback_classes() -> tuple[type, ...]:
    """
    Return the classes that a callback derives from: those of each package that is loaded.

    Raises:
        ImportError: None is installed.

    """
    loaded = [name for name in PACKAGES if name in sys.modules]
    return tuple(import_module(name).Callback for name in loaded or [_installed()])


def scheduler_config(trainer: Any) -> Any:
    """Return the class in which this trainer's package keeps a scheduler."""
    modules = [cls.__module__ for cls in type(trainer).__mro__]
    old = any(module.startswith(PACKAGES[1]) for module in modules)
    return import_module(f"{PACKAGES[old]}.utilities.types").LRSchedulerConfig


def _installed() -> str:
    for name in PACKAGES:
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in {name, name.partition(".")[0]}:
                raise
        else:
            return name
    raise ImportError(MISSING)
