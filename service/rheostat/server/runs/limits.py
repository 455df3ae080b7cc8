"""Limits: how much one run may ask for."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass

from rheostat.errors import FieldError, Invalid


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a run may have of each thing; settings of the server."""

    block: int = 65_536
    """Cells in one settling read."""
    jump: int = 65_536
    """Cells that one read may settle at once."""
    parameters: int = 256
    labels: int = 64
    pending: int = 1_000
    """Revisions that wait for their steps."""
    message: int = 4_096
    """Characters of a revision's message."""


def require_at_most(limit: int, field: str, value: int | Sized, what: str) -> None:
    """Raise `Invalid` if a number, or the size of a thing, is over its limit."""
    size = value if isinstance(value, int) else len(value)
    if size > limit:
        message = f"{field} has {size} {what}, and at most {limit} are allowed"
        raise Invalid(message, errors=[FieldError(field, message, size, f"<= {limit}")])
