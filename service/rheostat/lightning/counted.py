"""The scheduler that Lightning steps: its position is the trainer's own counter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rheostat.torch import RheostatLR

if TYPE_CHECKING:
    from collections.abc import Callable


class CountedLR(RheostatLR):
    """
    A `RheostatLR` at the number of updates that the trainer has counted.

    An update that the gradient scaler skips is one of them, as for the trainer's end; whatever a
    module's ``lr_scheduler_step`` hands over is not.

    Args:
        optimizer: As `RheostatLR` takes it, and the others likewise.
        run: The run.
        count: Returns the number of updates done.
        **options: What `RheostatLR` takes besides.

    """

    def __init__(self, optimizer: Any, run: Any, count: Callable[[], int], **options: Any) -> None:
        self._count = count
        super().__init__(optimizer, run, at_end="flag", **options)

    def step(self, *_: Any, **__: Any) -> None:
        """Go on to the trainer's step."""
        if self._is_initial:
            super().step()
            return
        # PyTorch would say that the first value was never used, where a scaler skipped that update.
        self.optimizer._opt_called = True  # noqa: SLF001
        super().step(update=self._count())
