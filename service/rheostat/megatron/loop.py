"""
The loops of Megatron-LM and Bridge: how they are told to end, and to save.

Neither has a call for it. Both read, in every pass of their loop, which iteration is the last and
each how many they save. All ranks are told so of the same iteration, since they hear of it at one
step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ARGUMENTS = "megatron.training.global_vars"
"""The module of Megatron-LM that keeps the arguments of the training."""


@dataclass
class Loop:
    """
    A loop that is under way.

    Attributes:
        training: Has ``train_iters``.
        checkpoints: Has ``save``, where to, and ``save_interval``.
        iteration: Returns the iterations that were done before this one.

    """

    training: Any
    checkpoints: Any
    iteration: Callable[[], int]
    _interval: list[Any] = field(default_factory=list)
    """The interval that the user has chosen, while another one stands in its place."""

    def end(self, *, before: bool = False) -> None:
        """Make this iteration the last one; ``before`` it begins, the one that was done."""
        self.training.train_iters = self.iteration() + (0 if before else 1)

    @property
    def saves_to(self) -> str | None:
        """Where checkpoints are saved, if they are."""
        return getattr(self.checkpoints, "save", None)

    def save(self) -> None:
        """Have a checkpoint saved when this iteration is done."""
        if not self._interval:
            self._interval = [self.checkpoints.save_interval]
        self.checkpoints.save_interval = self.iteration() + 1

    def go_on(self) -> None:
        """Save again when the user has asked for it."""
        if self._interval:
            self.checkpoints.save_interval = self._interval.pop()


def of_megatron_lm() -> Loop | None:
    """Return the loop of Megatron-LM, if it has read its arguments."""
    try:
        args = sys.modules[ARGUMENTS].get_args()
    except (KeyError, AttributeError, AssertionError):  # it is not used, or not begun
        return None
    return Loop(args, args, lambda: getattr(args, "curr_iteration", args.iteration))


def of_bridge(state: Any) -> Loop:
    """Return the loop of Bridge whose state this is, as its callbacks get it."""
    return Loop(state.cfg.train, state.cfg.checkpoint, lambda: state.train_state.step)
