"""Packages whose schedulers need little of the rest of them, without that rest."""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any


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


def without(*packages: str, parts_of: tuple[str, ...] = ()) -> None:
    """
    Let packages be imported that are not installed, and from which nothing is needed.

    Of ``parts_of`` a version is installed that lacks some modules.
    """
    known = sys.modules.keys()
    absent = {name for name in packages if name not in known and find_spec(name) is None}
    sys.meta_path.append(_Stubs(absent | set(parts_of)))


class _Stub(ModuleType):
    """A module, or anything in one, that can be named, called, inherited from and no more."""

    __version__ = "0.0"
    __path__: list[str] = []  # noqa: RUF012  # what makes a module a package

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (_Thing,), {})


class _Meta(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (_Thing,), {})

    def __or__(cls, other: Any) -> Any:
        return Any

    __ror__ = __or__

    def __getitem__(cls, item: Any) -> Any:
        return cls


class _Thing(metaclass=_Meta):
    def __new__(cls, *given: Any, **named: Any) -> Any:
        """Return a function that it decorates, or a thing."""
        del named
        return given[0] if len(given) == 1 and callable(given[0]) else super().__new__(cls)

    def __init__(self, *given: Any, **named: Any) -> None:
        pass

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Return a function that it decorates, or a thing."""
        del named
        return type(self)(*given)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (_Thing,), {})


class _Stubs(MetaPathFinder, Loader):
    """Finds the modules of packages that are not installed."""

    def __init__(self, packages: set[str]) -> None:
        self.packages = packages

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return how to load a module of them."""
        del path, target
        known = fullname.partition(".")[0] in self.packages
        return ModuleSpec(fullname, self, is_package=True) if known else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return an empty one."""
        return _Stub(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing."""
