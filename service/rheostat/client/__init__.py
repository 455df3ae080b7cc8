"""
The thin client: httpx and the standard library, nothing else.

``_async`` is written by hand, and ``_sync`` is made from it by ``unasync.py``; what both share that
neither sends nor waits is beside them. `AsyncClient` and `AsyncRun` are loaded when they are first
used, so that only who needs asyncio loads it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rheostat.client._sync.client import Client, Schedules
from rheostat.client._sync.control import Control
from rheostat.client._sync.run import Run
from rheostat.client.revisions import At, Revision
from rheostat.client.signals import Signal

if TYPE_CHECKING:
    from rheostat.client._async.client import AsyncClient
    from rheostat.client._async.run import AsyncRun

__all__ = [
    "AsyncClient",
    "AsyncRun",
    "At",
    "Client",
    "Control",
    "Revision",
    "Run",
    "Schedules",
    "Signal",
]

_HOMES = {"AsyncClient": "rheostat.client._async.client", "AsyncRun": "rheostat.client._async.run"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(_HOMES[name]), name)
    return found
