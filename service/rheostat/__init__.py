"""
Rheostat serves hyperparameter schedules, and changes them at the same step on every worker.

>>> from rheostat import Client, scale
>>> run = Client("http://rheostat:8000").run("gpt-7b")
>>> run.value("lr", 0)
0.0004
>>> change = run.change({"lr": scale(0.5)}, message="loss spike")
>>> run.value("lr", change["effective"])
0.0002
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rheostat.changes import extend, hold, ramp, replace, revert, rewarm, scale, set_value
from rheostat.controls import early_stop, plateau, rule, spike_guard

if TYPE_CHECKING:
    from rheostat import errors
    from rheostat.client import AsyncClient, AsyncRun, At, Client, Revision, Run, Signal
    from rheostat.local_server import local
    from rheostat.loggers import log
    from rheostat.replay import Replay

__version__ = "0.2.0"

__all__ = [
    "AsyncClient",
    "AsyncRun",
    "At",
    "Client",
    "Replay",
    "Revision",
    "Run",
    "Signal",
    "early_stop",
    "errors",
    "extend",
    "hold",
    "local",
    "log",
    "plateau",
    "ramp",
    "replace",
    "revert",
    "rewarm",
    "rule",
    "scale",
    "set_value",
    "spike_guard",
]

# Loaded when first used: the service and the command line import this package without httpx.
_CLIENTS = ("At", "AsyncClient", "AsyncRun", "Client", "Revision", "Run", "Signal")
_HOMES = {
    **dict.fromkeys(_CLIENTS, "rheostat.client"),
    "local": "rheostat.local_server",
    "log": "rheostat.loggers",
    "Replay": "rheostat.replay",
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
