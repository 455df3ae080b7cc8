"""
Rheostat for Lightning: one callback, and all ranks follow a run.

``trainer = L.Trainer(callbacks=[rheostat.lightning.RheostatCallback(run)])`` is all of it. It takes
``lightning`` and ``pytorch_lightning``, whichever the training has imported, and loads it when it
is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rheostat.lightning.callback import RheostatCallback

__all__ = ["RheostatCallback"]


def __getattr__(name: str) -> Any:
    """Import what needs Lightning when it is first asked for."""
    if name == "RheostatCallback":
        return import_module("rheostat.lightning.callback").RheostatCallback
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
