"""
Rheostat for Keras 3: learning rate and weight decay from a run, on each of its backends.

``model.fit(…, callbacks=[rheostat.keras.RheostatCallback(run)])`` is all of it. Keras is imported
when the callback is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rheostat.keras.callback import RheostatCallback

__all__ = ["RheostatCallback"]


def __getattr__(name: str) -> Any:
    """Import what is made of Keras's classes when it is first asked for."""
    if name == "RheostatCallback":
        from rheostat.adapters import needed  # noqa: PLC0415

        needed("keras", "pip install keras")
        return import_module("rheostat.keras.callback").RheostatCallback
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
