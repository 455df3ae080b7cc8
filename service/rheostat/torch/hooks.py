"""The last word before an update of an optimizer: what it sees is what the update uses."""

from __future__ import annotations

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


class LastHook:
    """
    Calls something before each update of an optimizer, after all other hooks.

    It comes after those too that are registered later, from the second update after that on. An
    update that `GradScaler` skips has no hooks.
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
        if self._last is None and next(reversed(_hooks_of(optimizer))) != self._handle.id:
            # Others were registered since. While they are called, their order cannot be changed.
            self._last = optimizer.register_step_post_hook(outside_of_graphs(self._come_last))
        self._call()

    def _come_last(self, optimizer: Optimizer, *_: Any) -> None:
        _hooks_of(optimizer).move_to_end(self._handle.id)


def _hooks_of(optimizer: Optimizer) -> OrderedDict[int, Any]:
    hooks: OrderedDict[int, Any] = optimizer._optimizer_step_pre_hooks  # noqa: SLF001
    return hooks
