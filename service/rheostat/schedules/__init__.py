"""
Definitions of schedules, and their values.

>>> from rheostat.schedules import evaluate, parse
>>> evaluate({"kind": "linear", "start": 0, "end": 1, "steps": 4}, range(6)).tolist()
[0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rheostat.schedules.definition import Bounds, Definition
from rheostat.schedules.evaluation import evaluate
from rheostat.schedules.parse import parse
from rheostat.schedules.union import KINDS

if TYPE_CHECKING:
    from rheostat.converters import convert, convert_config

__all__ = ["KINDS", "Bounds", "Definition", "convert", "convert_config", "evaluate", "parse"]


def __getattr__(name: str) -> Any:
    # Converters are built on this package; whoever converts asks for them here all the same.
    if name in {"convert", "convert_config"}:
        return getattr(import_module("rheostat.converters"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
