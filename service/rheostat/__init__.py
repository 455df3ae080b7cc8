"""
Rheostat serves hyperparameter schedules, and changes them at the same step on every worker.

>>> from rheostat import Client, scale
>>> run = Client("http://rheostat:8000").run("gpt-7b")
>>> run.value("lr", 1000)
>>> run.change({"lr": scale(0.5)}, message="loss spike")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rheostat import errors
    from rheostat.changes import extend, hold, ramp, replace, revert, rewarm, scale, set_value
    from rheostat.client import AsyncClient, AsyncRun, Client, Run

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "AsyncRun",
    "Client",
    "Run",
    "errors",
    "extend",
    "hold",
    "ramp",
    "replace",
    "revert",
    "rewarm",
    "scale",
    "set_value",
]

_CHANGES = ("extend", "hold", "ramp", "replace", "revert", "rewarm", "scale", "set_value")

# Loaded when first used: the service and the command line import this package without httpx.
_HOMES = {
    **dict.fromkeys(("AsyncClient", "AsyncRun", "Client", "Run"), "rheostat.client"),
    **dict.fromkeys(_CHANGES, "rheostat.changes"),
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("rheostat.errors")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
