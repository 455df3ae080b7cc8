"""How what is no document, or one that is not taken, is told: by its line."""

from __future__ import annotations

from typing import Any

from rheostat.errors import FieldError, Invalid
from rheostat.schedules.field_errors import shown


class OtherSyntaxError(Exception):
    """The text is not of this syntax: it may be of another one."""


def refused(message: str, bound: str, value: Any = None, *, line: int | None = None) -> Invalid:
    """Return the error about a text whose syntax is known, to be raised."""
    where = "" if line is None else f"line {line}: "
    error = FieldError("config", where + message, shown(value), bound)
    return Invalid("The configuration cannot be read.", errors=[error])
