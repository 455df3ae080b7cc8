"""
A weight decay that can change while a model trains.

Keras reads ``optimizer.weight_decay`` when it compiles the update: on JAX and TensorFlow a number
that is set later does nothing. A variable of the optimizer in its place is read at each update.
What is saved stays as it was: neither the optimizer's configuration nor its variables have it, so
that checkpoints with and without it load into each other.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras

from rheostat.errors import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator


def scheduled_decay(model: Any, optimizers: list[Any]) -> Any:
    """
    Return the variable that holds the weight decay of an optimizer, and make it if need be.

    Args:
        model: Whose update is compiled anew then.
        optimizers: The model's, and what it wraps: the last one makes the updates.

    Raises:
        Invalid: The optimizer decays nothing.

    """
    inner = optimizers[-1]
    if inner.weight_decay is None:
        message = (
            "decays no weights, and the run has weight_decay: make it with weight_decay=0.0, or"
            ' say fields={"learning_rate": "lr"}'
        )
        raise refusal("optimizer", message)
    if not isinstance(inner.weight_decay, keras.Variable):
        variable = inner.add_variable(
            shape=(),
            initializer=keras.initializers.Constant(inner.weight_decay),
            dtype=keras.config.floatx(),
            name="weight_decay",
        )
        for optimizer in optimizers:
            Unsaved(optimizer, inner, variable)
        inner.weight_decay = variable
        model.make_train_function(force=True)
    return inner.weight_decay


class Unsaved:
    """Keeps the variable out of what an optimizer saves and loads."""

    def __init__(self, optimizer: Any, inner: Any, variable: Any) -> None:
        self._optimizer, self._inner, self._variable = optimizer, inner, variable
        optimizer.save_own_variables = self.save
        optimizer.load_own_variables = self.load
        if optimizer is inner:
            optimizer.get_config = self.config

    def save(self, store: Any) -> None:
        """Save what it saves without this."""
        with self._hidden():
            type(self._optimizer).save_own_variables(self._optimizer, store)

    def load(self, store: Any) -> None:
        """Load what it loads without this."""
        with self._hidden():
            type(self._optimizer).load_own_variables(self._optimizer, store)

    def config(self) -> dict[str, Any]:
        """Return its configuration, in which the decay is a number."""
        config: dict[str, Any] = type(self._inner).get_config(self._inner)
        config["weight_decay"] = float(keras.ops.convert_to_numpy(self._variable))
        return config

    @contextmanager
    def _hidden(self) -> Iterator[None]:
        listed = self._inner._variables  # noqa: SLF001 - what `variables` returns a copy of
        (at,) = (at for at, each in enumerate(listed) if each is self._variable)
        variable = listed.pop(at)
        try:
            yield
        finally:
            listed.insert(at, variable)
