"""The last word before an update of an optimizer: what it sees is what the update uses."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections import OrderedDict
    from collections.abc import Callable

    from torch.optim import Optimizer
    from torch.utils.hooks import RemovableHandle


def outside_of_graphs(call: Callable[..., None]) -> Callable[..., None]:
    """
    Return a hook that calls this also where an update is compiled, and is no part of the graph.

    It looks at things that a graph would take for constants.
    """
    uncompiled = torch.compiler.disable(call)

    def hook(*args: Any) -> None:
        if torch.compiler.is_compiling():
            uncompiled(*args)
        else:
            call(*args)

    return hook


def is_captured() -> bool:
    """Return whether a CUDA graph is being captured, which replays what is done, and no Python."""
    return bool(torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing())


STATE_MAKER = ("torch.distributed.checkpoint.state_dict", "_init_optim_state")
"""Module and name of what steps an optimizer to have its state, and for nothing else."""


def makes_state(optimizer: Optimizer) -> bool:
    """
    Return whether an optimizer is stepped only to have a state that can be saved, or loaded.

    PyTorch's distributed checkpoints, and with them FSDP's and Composer's, do that to an optimizer
    that has none yet, with gradients and rates of zero. It is no update: nothing may be written for
    it, and nothing counted.
    """
    if optimizer.state:
        return False
    frame = sys._getframe(1)  # noqa: SLF001
    while frame := frame.f_back:  # type: ignore[assignment]
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) == STATE_MAKER:
            return True
    return False


class LastHook:
    """
    Calls something before each update of an optimizer, after all other hooks.

    It comes after those too that are registered later, from the second update after that on. An
    update that `GradScaler` skips has no hooks, and a step that is none (`makes_state`) is passed
    over.
    """

    def __init__(self, optimizer: Optimizer, call: Callable[[], None]) -> None:
        self._call = call
        self._handle = optimizer.register_step_pre_hook(outside_of_graphs(self._before))
        self._last: RemovableHandle | None = None

    def remove(self) -> None:
        """Call it no more."""
        self._handle.remove()
        if self._last is not None:
            self._last.remove()

    def _before(self, optimizer: Optimizer, *_: Any) -> None:
        if makes_state(optimizer):
            return
        if self._last is None and next(reversed(_hooks_of(optimizer))) != self._handle.id:
            # Others were registered since. While they are called, their order cannot be changed.
            self._last = optimizer.register_step_post_hook(outside_of_graphs(self._come_last))
        self._call()

    def _come_last(self, optimizer: Optimizer, *_: Any) -> None:
        _hooks_of(optimizer).move_to_end(self._handle.id)


def _hooks_of(optimizer: Optimizer) -> OrderedDict[int, Any]:
    hooks: OrderedDict[int, Any] = optimizer._optimizer_step_pre_hooks  # noqa: SLF001
    return hooks
