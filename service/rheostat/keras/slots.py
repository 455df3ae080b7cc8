"""The variables of an optimizer that hold a run's values, and what is written into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from rheostat.adapters import PROVEN
from rheostat.errors import refusal
from rheostat.keras.decay import scheduled_decay

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rheostat.client import Run

Fields = dict[str, str]
"""Which parameter goes into which field of the optimizer."""

OWN: Fields = {"learning_rate": "lr", "weight_decay": "weight_decay"}
"""What is bound by its name."""
COMPILED = {"beta1": "beta_1", "beta2": "beta_2"}
"""What Keras calls some parameters."""


def chain(optimizer: Any) -> Iterator[Any]:
    """Yield an optimizer and what it wraps: the last one makes the updates."""
    yield optimizer
    while (optimizer := getattr(optimizer, "inner_optimizer", None)) is not None:
        yield optimizer


class Slots:
    """
    What of an optimizer follows a run.

    Raises:
        Invalid: The optimizer and the run's parameters do not fit.

    """

    def __init__(self, model: Any, run: Run, fields: Fields | None) -> None:
        self._optimizer = model.optimizer
        *_, inner = chain(model.optimizer)
        self.fields = bound(inner, run, fields)
        self.variables = {
            parameter: _variable(model, inner, field) for field, parameter in self.fields.items()
        }
        self._counter = inner._iterations  # noqa: SLF001 - with what was accumulated, as none else
        kinds = {name: str(variable.dtype) for name, variable in self.variables.items()}
        self.kinds = {name: PROVEN[kind] for name, kind in kinds.items() if kind in PROVEN}
        """Of each parameter that is proven, the type in which it is applied."""
        listed = self._optimizer.variables
        self._places = {name: _place(listed, each) for name, each in self.variables.items()}
        self._counts = _place(listed, self._counter)

    def write(self, values: Mapping[str, float]) -> None:
        """Set the variables."""
        for parameter, variable in self.variables.items():
            variable.assign(values[parameter])

    def written(self, state: Any, values: Mapping[str, float]) -> Any:
        """
        Return a state of JAX's trainer with these values in it.

        In the midst of an epoch the model's variables are behind, and to set one of them would
        bring all of them up to date, which Keras calls a performance bottleneck.
        """
        trainable, others, listed, metrics = state
        listed = list(listed)
        for parameter, place in self._places.items():
            dtype = np.dtype(str(self.variables[parameter].dtype))
            listed[place] = dtype.type(values[parameter])
        return trainable, others, listed, metrics

    def counted(self, state: Any = None) -> int:
        """Return how many batches were taken, of the variables or of a state of JAX's trainer."""
        held = self._counter if state is None else state[2][self._counts]
        return int(keras.ops.convert_to_numpy(held))


def bound(optimizer: Any, run: Run, fields: Fields | None) -> Fields:
    """Return which parameter goes into which field, as is asked for or by their names."""
    if fields is not None:
        for field, parameter in fields.items():
            if field not in OWN:
                raise refusal("fields", f"can name {' and '.join(OWN)}", field)
            if parameter not in run.parameters:
                has = ", ".join(run.parameters)
                raise refusal("fields", f"names {parameter!r}, and the run has {has}", parameter)
        return dict(fields)
    for name in run.parameters:
        if name not in OWN.values():
            _require_none(optimizer, name)
    found = {field: name for field, name in OWN.items() if name in run.parameters}
    if not found:
        message = f"has none of {', '.join(OWN.values())}: fields= says what is meant"
        raise refusal("run", message, list(run.parameters))
    return found


def _require_none(optimizer: Any, name: str) -> None:
    """Refuse a parameter that this optimizer has, and that cannot be changed in it."""
    base, _, group = name.partition("/")
    if group and base in OWN.values():
        message = f"has {name}, and an optimizer of Keras has no groups: fields= says what is meant"
        raise refusal("run", message, name)
    if isinstance(getattr(optimizer, COMPILED.get(name, name), None), int | float):
        message = (
            f"has {name}, which Keras compiles into the update: to leave it as it is, say"
            ' fields={"learning_rate": "lr"}'
        )
        raise refusal("run", message, name)


def _variable(model: Any, optimizer: Any, field: str) -> Any:
    if field == "weight_decay":
        return scheduled_decay(model, list(chain(model.optimizer)))
    held = optimizer._learning_rate  # noqa: SLF001 - its property computes the value of a schedule
    if not isinstance(held, keras.Variable):
        message = (
            f"was made with a {type(held).__name__} as its learning rate: make it with a number,"
            " and let the run have the schedule"
        )
        raise refusal("optimizer", message)
    return held


def _place(listed: list[Any], variable: Any) -> int:
    return next(at for at, each in enumerate(listed) if each is variable)
