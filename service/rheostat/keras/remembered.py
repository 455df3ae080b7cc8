"""
The run's generation and step in every checkpoint of a model, whoever saves it.

A callback has no state in Keras. But whatever saves an optimizer (`BackupAndRestore`,
`ModelCheckpoint`, ``model.save``) saves the layers that are its attributes, in the same file, and
nobody who loads it without them misses them.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rheostat.adapters import STATE
from rheostat.errors import refusal

NAME = "rheostat"
"""The optimizer's attribute, and the name in files."""
WORDS = ("run", "id")
"""What of a state is text."""


class Remembered(keras.layers.Layer):  # type: ignore[misc]
    """A layer without weights, which saves and loads where a training stands."""

    def __init__(self) -> None:
        super().__init__(name=NAME)
        self.tells: Callable[[], dict[str, Any] | None] = lambda: None
        self.loaded: dict[str, Any] | None = None
        """What was loaded, until the training has gone on from it."""

    def save_own_variables(self, store: Any) -> None:
        """Save where the training stands."""
        for key, value in (self.tells() or self.loaded or {}).items():
            store[key] = written(value)

    def load_own_variables(self, store: Any) -> None:
        """Keep what was saved, if anything was."""
        self.loaded = read(store)


def remembered(optimizer: Any) -> Remembered:
    """Return what remembers for an optimizer, made if need be."""
    found = getattr(optimizer, NAME, None)
    if not isinstance(found, Remembered):
        found = Remembered()
        setattr(optimizer, NAME, found)
    return found


def state_in(path: Any) -> dict[str, Any]:
    """
    Return the state that a file has beside a model's weights.

    Args:
        path: A ``.keras`` or ``.weights.h5`` file that was saved while the callback was at work.

    Raises:
        Invalid: It has none.

    """
    import h5py  # noqa: PLC0415 - Keras has it

    source: Any = Path(path)
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            source = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(source, "r") as file:
        found = read(file.get(f"optimizer/{NAME}/vars", {}))
    if found is None:
        message = f"has nothing of a run in it: it was not saved by a training with one: {path}"
        raise refusal("resume", message, str(path))
    return found


def written(value: Any) -> Any:
    """Return a word or a number as an array."""
    if isinstance(value, str):
        return np.frombuffer(value.encode(), np.uint8)
    return np.asarray(value, np.int64)


def read(store: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a state that was saved as arrays; None if none was."""
    if any(key not in store for key in STATE):
        return None
    found = {key: np.asarray(store[key]) for key in STATE}
    return {
        key: value.tobytes().decode() if key in WORDS else int(value)
        for key, value in found.items()
    }
