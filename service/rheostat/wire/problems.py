"""Refusals."""

from typing import Annotated, Any, NotRequired, TypedDict


class FieldError(TypedDict):
    """One wrong field of a request."""

    field: str
    """Path in the body, or the parameter's name."""
    message: str
    """What is wrong, as a sentence."""
    value: Any
    """What was sent; a long value is cut short."""
    bound: NotRequired[str]
    """What it should have been."""


class Problem(TypedDict):
    """Every failure (RFC 9457). Some have further members, such as `earliest`."""

    type: str
    """`urn:rheostat:problem:` and a code that never changes."""
    title: str
    """The code as words."""
    status: Annotated[int, ("minimum", 400), ("maximum", 599)]
    detail: str
    """What happened, as a sentence."""
    reason: NotRequired[str]
    """Why the service cannot answer now (503)."""
    errors: NotRequired[list[FieldError]]
    request_id: str
    """Leads to the service's log."""
