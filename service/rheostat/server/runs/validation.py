"""Validation of what is not a definition: run specifications and edits."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from rheostat.errors import Invalid
from rheostat.schedules.field_errors import field_errors

T = TypeVar("T")


def validate(adapter: TypeAdapter[T], data: Any, field: str) -> T:
    """
    Return ``data`` as the adapter's type; the paths of errors start with ``field``.

    Raises
    ------
    Invalid
        Names each wrong field, its value and its bound.

    """
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        errors = field_errors(error, data, field)
        raise Invalid("The request is refused.", errors=errors) from None
