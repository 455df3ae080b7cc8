"""The weights of the epoch that reported the best value, as Keras keeps them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rheostat.client import Run

VALIDATION = "val_loss"
"""What Keras watches by default."""


class Best:
    """
    Keeps them, and puts them back.

    Args:
        metric: The metric; True for that of the run's goal, or `VALIDATION`.

    """

    def __init__(self, metric: bool | str) -> None:  # noqa: FBT001 - the argument of users
        self._metric = metric

    def begin(self, model: Any, run: Run) -> None:
        """Begin to watch."""
        goal: Mapping[str, Any] = run.show().get("goal") or {}
        of_goal = goal.get("metric")
        metric = (of_goal or VALIDATION) if self._metric is True else str(self._metric)
        mode = goal.get("direction", "min") if metric == of_goal else "auto"
        self._stopping = keras.callbacks.EarlyStopping(
            monitor=metric, mode=mode, patience=sys.maxsize, restore_best_weights=True
        )
        self._stopping.set_model(model)
        self._stopping.on_train_begin()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Keep the weights, if these logs are the best."""
        self._stopping.on_epoch_end(epoch, logs)

    def restore(self) -> None:
        """Put the best weights back."""
        if self._stopping.best_weights is not None:
            self._stopping.model.set_weights(self._stopping.best_weights)
