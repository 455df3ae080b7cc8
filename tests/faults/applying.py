"""What a worker of the fault test says that it applied, and the digest of it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from tests.faults.observations import Values


@dataclass(frozen=True)
class Applied:
    """
    The values of consecutive cells as they were given, and what was applied otherwise.

    ``other`` is the place of a parameter, that of a cell, and the value in place of the one there.
    """

    names: tuple[str, ...]
    start: int
    values: Values
    other: tuple[int, int, float] | None = None

    @property
    def stop(self) -> int:
        """The step that comes next."""
        return self.start + int(self.values.shape[1])

    def applied(self) -> Values:
        """Return what was applied."""
        found = np.array(self.values)
        if self.other is not None:
            parameter, cell, value = self.other
            found[parameter, cell] = value
        return found

    def window(self) -> dict[str, Any]:
        """Return it as a beat says it, without the values."""
        return {
            "cells": [[self.start, self.stop - self.start, 1]],
            "parameters": dict.fromkeys(self.names, "f64"),
            "digest": self.digest(),
        }

    def digest(self) -> str:
        """Return BLAKE2b of a record for each cell: its number, and its values by name."""
        record = struct.Struct(f"<Q{len(self.names)}d")
        rows = zip(range(self.start, self.stop), *self.applied(), strict=True)
        told = b"".join(record.pack(*row) for row in rows)
        return blake2b(told, digest_size=16).hexdigest()

    def columns(self) -> dict[str, list[float]]:
        """Return the values by name."""
        return dict(zip(self.names, self.applied().tolist(), strict=True))
