"""What the framework's validation says about a request, in the words of `FieldError`."""

from __future__ import annotations

from typing import cast

from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails

from rheostat.errors import FieldError
from rheostat.schedules.field_errors import field_error, merged

MOST = 50
"""Wrong fields that one answer lists."""


def request_errors(error: RequestValidationError) -> list[FieldError]:
    """
    Return what is wrong with a request.

    A field is named as the request writes it: ``changes.lr.factor`` in a body, and a parameter of
    the path, the query or the headers by its own name.
    """
    found = []
    for item in error.errors()[:MOST]:
        place, *path = item["loc"]
        data = error.body if place == "body" else None
        details = cast("ErrorDetails", {**item, "loc": tuple(path)})
        found.append(field_error(details, data, "" if path else str(place)))
    return merged(found)
