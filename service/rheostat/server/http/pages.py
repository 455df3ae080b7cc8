"""Pages of lists: ``{"items": […], "next": cursor or null}``, with opaque cursors."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

from rheostat.errors import FieldError, Invalid


def cursor_of(place: str) -> str:
    """Return the cursor of a place in a list."""
    return urlsafe_b64encode(place.encode()).decode().rstrip("=")


def place_of(cursor: str | None) -> str:
    """Return the place that a cursor stands for, the empty text for none."""
    if cursor is None:
        return ""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place = urlsafe_b64decode(padded.encode("ascii")).decode()
    except ValueError:
        place = None
    if place is None or "\0" in place or cursor_of(place) != cursor:
        bound = "`next` of an earlier answer"
        wrong = [FieldError("cursor", f"cursor must be {bound}", cursor[:100], bound)]
        raise Invalid("The cursor is refused.", errors=wrong)
    return place


def number_of(cursor: str | None) -> int:
    """Return the number that a cursor stands for, 0 for none."""
    place = place_of(cursor) or "0"
    if not place.isdecimal() or len(place) > 16:
        bound = "`next` of an earlier answer"
        wrong = [FieldError("cursor", f"cursor must be {bound}", cursor, bound)]
        raise Invalid("The cursor is refused.", errors=wrong)
    return int(place)
