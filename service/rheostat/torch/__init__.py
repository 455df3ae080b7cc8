"""
Rheostat for PyTorch: learning rate, weight decay, momentum and betas from a run.

>>> from rheostat import Client
>>> from rheostat.torch import RheostatLR
>>> scheduler = RheostatLR(optimizer, Client("http://rheostat:8000").run("gpt-7b"))
>>> optimizer.param_groups[0]["lr"]
0.0004

`definition_of` reads a scheduler of PyTorch, and `controller_of` a plateau or an early stopping, of
other libraries too; they need the extra ``local``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rheostat.torch.attached import Attached, attach
from rheostat.torch.decay import decay_groups
from rheostat.torch.scheduler import RheostatLR

if TYPE_CHECKING:
    from rheostat.converters.live import controller_of
    from rheostat.torch.convert import definition_of

__all__ = ["Attached", "RheostatLR", "attach", "controller_of", "decay_groups", "definition_of"]


def __getattr__(name: str) -> Any:
    """Import what needs NumPy and Pydantic when it is first asked for."""
    if name == "definition_of":
        return import_module("rheostat.torch.convert").definition_of
    if name == "controller_of":
        return import_module("rheostat.converters.live").controller_of
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
