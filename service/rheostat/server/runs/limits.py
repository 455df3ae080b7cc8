"""Limits: how much one run may ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass
from typing import Any

from rheostat.errors import FieldError, Invalid
from rheostat.limits import (
    MAX_BLOCK,
    MAX_LABELS,
    MAX_MESSAGE,
    MAX_PARAMETERS,
    MAX_PENDING,
    MAX_TEXTS_IN_ALL,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a run may have of each thing; settings of the server."""

    block: int = MAX_BLOCK
    """Cells in one settling read."""
    jump: int = MAX_BLOCK
    """Cells that one read may settle at once."""
    parameters: int = MAX_PARAMETERS
    labels: int = MAX_LABELS
    pending: int = MAX_PENDING
    """Revisions that wait for their steps."""
    message: int = MAX_MESSAGE
    """Characters of a revision's message."""


def require_few_texts(field: str, data: Any) -> None:
    """Raise `Invalid` if raw definitions have too many lengths in lists written as text."""
    count, waiting = 0, [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list) and not {*map(type, value)} <= {int, float}:
            texts = sum(isinstance(item, str) for item in value)
            count += texts
            require_at_most(
                MAX_TEXTS_IN_ALL, field, count, "lengths in lists that are written as text"
            )
            if texts < len(value):
                waiting.extend(item for item in value if isinstance(item, (Mapping, list)))


def require_at_most(limit: int, field: str, value: int | Sized, what: str) -> None:
    """Raise `Invalid` if a number, or the size of a thing, is over its limit."""
    size = value if isinstance(value, int) else len(value)
    if size > limit:
        message = f"{field} has {size} {what}, and at most {limit} are allowed"
        raise Invalid(message, errors=[FieldError(field, message, size, f"<= {limit}")])
