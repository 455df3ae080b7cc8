"""Durations as people write them: ``36h``, ``90d``, ``52w``. A leaf: the standard library alone."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from rheostat.errors import FieldError, Invalid

UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}
"""What may follow the number. Neither minutes nor months: ``m`` would be read as either."""

MAX_DAYS: Final = 36_500
"""A hundred years."""

BOUND: Final = f"hours, days or weeks such as 36h, 90d or 52w, at most {MAX_DAYS}d"


def duration(text: str, field: str) -> timedelta:
    """
    Return how long a text says.

    Raises:
        Invalid: It says something else, or longer than a hundred years; ``field`` is named.

    """
    match = re.fullmatch(r"(\d{1,7})([hdw])", text, re.ASCII)
    found = None if match is None else timedelta(**{UNITS[match[2]]: int(match[1])})
    if found is None or found > timedelta(days=MAX_DAYS):
        message = f"{field} is {text[:40]!r}, and must be {BOUND}"
        raise Invalid(message, errors=[FieldError(field, message, text[:40], BOUND)])
    return found
