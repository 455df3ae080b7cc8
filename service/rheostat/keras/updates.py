"""What stands before a model's compiled update: it writes the values, and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from rheostat.keras.slots import chain

if TYPE_CHECKING:
    from collections.abc import Callable

    from rheostat.adapters import Session
    from rheostat.keras.slots import Slots


class Updates:
    """
    Takes the place of ``model.train_function`` while a model trains.

    So the values are written after all callbacks, just before the update uses them, and an update
    past the run's end is never made.

    Args:
        model: The model.
        session: What gives the values.
        slots: Where they go.

    """

    def __init__(self, model: Any, session: Session, slots: Slots) -> None:
        self._model, self._session, self._slots = model, session, slots
        self._every = getattr(_inner(model), "gradient_accumulation_steps", None) or 1
        self._skips = len(list(chain(model.optimizer))) > 1
        self._jax = keras.backend.backend() == "jax"
        self._logs: Any = {}
        self._batches = slots.counted()
        self.values: dict[str, float] = {}
        """Those of the update that comes next."""
        self.install()

    @property
    def step(self) -> int:
        """How many updates were made."""
        return self._batches // self._every

    @property
    def accumulates(self) -> bool:
        """Whether the next update has begun: gradients were added up for it."""
        return self._batches % self._every > 0

    def install(self) -> None:
        """Stand before the update, if that was compiled anew."""
        if self._model.train_function is not self:
            self._update: Callable[..., Any] = self._model.train_function
            self._model.train_function = self

    def remove(self) -> None:
        """Leave the model as it was."""
        if self._model.train_function is self:
            self._model.train_function = self._update

    def __call__(self, *args: Any) -> Any:
        """Make an update, or add up gradients for one, with the values of its step."""
        if self._session.is_past_end:
            return (self._logs, args[0]) if self._jax else self._logs
        if self._jax:
            state = self._slots.written(args[0], self.values)
            self._logs, state = self._update(state, *args[1:])
            self._count(state)
            return self._logs, state
        self._slots.write(self.values)
        self._logs = self._update(*args)
        self._count()
        return self._logs

    def _count(self, state: Any = None) -> None:
        """Count a batch; whether one was skipped for its scale, only the optimizer knows."""
        before = self.step
        self._batches = self._slots.counted(state) if self._skips else self._batches + 1
        if self.step > before:
            proven = {name: self.values[name] for name in self._slots.kinds}
            self._session.run.applied(before, proven, dtypes=self._slots.kinds)


def _inner(model: Any) -> Any:
    *_, inner = chain(model.optimizer)
    return inner
