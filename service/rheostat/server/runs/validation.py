"""
Validation: what a request may hold, read as the types of the domain.

`Limits` says how much, `Units` in which units lengths are read, `validate` of which type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from rheostat.errors import FieldError, Invalid
from rheostat.limits import (
    MAX_BLOCK,
    MAX_LABELS,
    MAX_MESSAGE,
    MAX_PARAMETERS,
    MAX_PENDING,
    MAX_TEXTS_IN_ALL,
)
from rheostat.schedules import Definition
from rheostat.schedules.field_errors import field_errors
from rheostat.schedules.lengths import Clock, read
from rheostat.schedules.references import Lookup
from rheostat.schedules.written import Written, write

T = TypeVar("T")


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


@dataclass(frozen=True)
class Units:
    """What lengths such as ``"10%"`` and ``"3 epochs"``, and schedules by name, refer to."""

    total: int | None = None
    steps_per_epoch: int | None = None
    lookup: Lookup | None = None

    def steps(self, value: Any, field: str) -> Any:
        """Return a number of steps, which may be written as text; other values as they are."""
        if not isinstance(value, str):
            return value
        clock = Clock(self.total, self.steps_per_epoch)
        exact = read(value, clock, field)
        if exact is None:
            raise Invalid("The length is refused.", errors=clock.errors)
        return round(exact)

    def parse(self, data: Any, field: str) -> Definition:
        """Return the definition that ``data`` describes, in whole steps, with schedules inlined."""
        return self.write(data, field).definition

    def write(self, data: Any, field: str) -> Written:
        """Return the definition that ``data`` describes, with the words that describe it."""
        return write(
            data,
            total=self.total,
            steps_per_epoch=self.steps_per_epoch,
            field=field,
            lookup=self.lookup,
        )


def validate(adapter: TypeAdapter[T], data: Any, field: str) -> T:
    """
    Return ``data`` as the adapter's type; the paths of errors start with ``field``.

    Raises:
        Invalid: Names each wrong field, its value and its bound.

    """
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        errors = field_errors(error, data, field)
        raise Invalid("The request is refused.", errors=errors) from None


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
