"""
Where an optax state holds injected numbers, and the state with others in their place.

Only what lies on the way to them is made anew, so that it costs the same for a model of any size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from rheostat.errors import refusal

HYPERPARAMS = "hyperparams"
STATES = "hyperparams_states"
HOW = (
    'make the optimizer as optax.inject_hyperparams(optax.adamw, static_args=("b1", "b2", "eps"))'
    "(learning_rate=0.0)"
)

Step = tuple[str, Any]
"""One step on the way into a state: an attribute, an item or a place, and its name."""


class Place(NamedTuple):
    """A dictionary of injected numbers, and which field each of them is."""

    path: tuple[Step, ...]
    fields: dict[str, str]


def places(state: Any, fields: Iterable[str]) -> list[Place]:
    """
    Return where these fields are.

    ``head/learning_rate`` is the number of that name below the label ``head``. A name without a
    label is every number of that name that no labelled one claims.

    Raises:
        Invalid: The state lacks one of them, or has a schedule of its own there.

    """
    wanted = [(field, *_split(field)) for field in fields]
    wanted.sort(key=lambda each: -len(each[1]))  # labels claim first
    found: list[Place] = []
    every = list(_injected(state, ()))
    for path, holder in every:
        claimed: dict[str, str] = {}
        labels = ["", *(str(key) for _, key in path)]
        for field, label, name in wanted:
            if label in labels and name in getattr(holder, HYPERPARAMS):
                claimed.setdefault(name, field)
        for name, field in claimed.items():
            if name in getattr(holder, STATES, ()):
                message = f"is a schedule of the optimizer's own there: {HOW}"
                raise refusal(field, message, name)
        if claimed:
            found.append(Place(path, claimed))
    _require_all([field for field, _, _ in wanted], found, every)
    return found


def named(state: Any, place: Place) -> Mapping[str, Any] | None:
    """Return the numbers at a place of a state; None if it is not there."""
    try:
        for kind, key in place.path:
            state = getattr(state, key) if kind == "attribute" else state[key]
        numbers: Mapping[str, Any] = getattr(state, HYPERPARAMS)
    except (AttributeError, LookupError, TypeError):
        return None
    return numbers if place.fields.keys() <= numbers.keys() else None


def replaced(state: Any, path: tuple[Step, ...], values: Mapping[str, Any]) -> Any:
    """Return a state with other numbers at the end of a path."""
    if not path:
        old = getattr(state, HYPERPARAMS)
        new = {name: as_leaf(value, old[name]) for name, value in values.items()}
        return _with(state, "attribute", HYPERPARAMS, _merged(old, new))
    (kind, key), *rest = path
    child = getattr(state, key) if kind == "attribute" else state[key]
    return _with(state, kind, key, replaced(child, tuple(rest), values))


def as_leaf(value: Any, old: Any) -> Any:
    """Return a number as the state holds it: of the same type, so that nothing compiles again."""
    dtype = dtype_of(old)
    if hasattr(value, "astype"):  # traced, in a scan
        return value.astype(dtype)
    return dtype.type(value)


def dtype_of(leaf: Any) -> Any:
    """Return the type of a number in a state; float32 of one that has none of its own."""
    import numpy as np  # noqa: PLC0415 - JAX has it

    return np.dtype(getattr(leaf, "dtype", np.float32))


def _injected(state: Any, path: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], Any]]:
    if isinstance(getattr(state, HYPERPARAMS, None), Mapping):
        yield path, state
    for kind, key, child in _children(state):
        yield from _injected(child, (*path, (kind, key)))


def _children(state: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        yield from (("attribute", name, getattr(state, name)) for name in state._fields)
    elif isinstance(state, Mapping):
        yield from (("item", key, child) for key, child in state.items())
    elif isinstance(state, list | tuple):
        yield from (("place", at, child) for at, child in enumerate(state))
    elif dataclasses.is_dataclass(state):
        names = (field.name for field in dataclasses.fields(state))
        yield from (("attribute", name, getattr(state, name)) for name in names)


def _with(state: Any, kind: str, key: Any, child: Any) -> Any:
    if kind == "item":
        return _merged(state, {key: child})
    if kind == "place":
        return type(state)([*state[:key], child, *state[key + 1 :]])
    if hasattr(state, "_replace"):
        return state._replace(**{key: child})
    return dataclasses.replace(state, **{key: child})


def _merged(old: Mapping[Any, Any], new: Mapping[Any, Any]) -> Any:
    merged = {**old, **new}
    return merged if type(old) is dict else type(old)(merged)  # type: ignore[call-arg]


def _split(field: str) -> tuple[str, str]:
    label, _, name = field.rpartition("/")
    return label, name


def _require_all(
    wanted: list[str], found: list[Place], every: list[tuple[tuple[Step, ...], Any]]
) -> None:
    claimed = {field for place in found for field in place.fields.values()}
    for field in wanted:
        if field not in claimed:
            names = sorted({name for _, holder in every for name in getattr(holder, HYPERPARAMS)})
            there = f"which has {', '.join(names)}" if names else "which has none"
            message = f"is no injected number of this optimizer's state, {there}: {HOW}"
            raise refusal(field, message, field)
