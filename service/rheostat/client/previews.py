"""A run's values at a step, for whoever looks on: nothing is settled by them."""

from __future__ import annotations

import math
from typing import Any

from rheostat.client import answers, wire
from rheostat.client.answers import Answer, Broken, Document
from rheostat.client.flow import Flow, exchange
from rheostat.client.settings import Settings
from rheostat.client.wire import invalid


def values_previewed(settings: Settings, run: str, step: Any) -> Flow[Document]:
    """Return the flow that reads all parameters' values at a step."""
    call = wire.get(wire.path("runs", run, "values", wire.coordinate(step)))
    return exchange(call, settings.operator(call), _values)


def value_previewed(settings: Settings, run: str, step: Any, name: Any) -> Flow[float]:
    """Return the flow that reads one parameter's value at a step; the only one's without a name."""
    values = yield from values_previewed(settings, run, step)
    if name is None and len(values) == 1:
        [name] = values
    if name not in list(values):
        raise invalid("name", name, f"one of {', '.join(values)}")
    found: float = values[name]
    return found


def _values(answer: Answer) -> Document:
    values = answers.document(answer).get("parameters")
    if not isinstance(values, dict) or not values or not all(map(_is_number, values.values())):
        raise Broken(f"expected the values of a step, got {answer}")
    return {name: float(value) for name, value in values.items()}


def _is_number(value: Any) -> bool:
    """Whether a value is a float64; a large integer may be none."""
    if type(value) is int:
        return abs(value) < 2**1000
    return type(value) is float and math.isfinite(value)
