"""Values as errors show them: short, and always possible to write as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any


def shown(value: Any) -> Any:
    """Return the value, or a short text for one that JSON or a reader cannot take."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else f"an integer of {value.bit_length()} bits"
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, str):
        return value if len(value) <= 100 else value[:100] + "…"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"an object of {len(value)}"
    return f"a {type(value).__name__}"
