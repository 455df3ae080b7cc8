"""Packages whose schedulers need little of the rest of them, without that rest."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


def place_of(name: str) -> Path:
    """Return the folder of a package that is installed; raise ImportError if it is not."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ImportError(name)
    return Path(spec.origin).parent


def stand_in(name: str, folder: Path | None = None, **attributes: object) -> None:
    """Put a package, of this folder, where its own `__init__` would ask for more."""
    module = ModuleType(name)
    module.__path__ = [str(folder)] if folder else []
    for key, value in attributes.items():
        setattr(module, key, value)
    sys.modules[name] = module


def version_of(name: str) -> str:
    """Return the version that is installed."""
    try:
        return version(name)
    except PackageNotFoundError as error:
        raise ImportError(name) from error
