"""TOML as Python's own reader has it; dates and times stay text."""

from __future__ import annotations

import re
import tomllib
from datetime import date, datetime, time
from typing import Any, Final

from rheostat.converters.configs.documents.refusals import OtherSyntaxError, refused
from rheostat.converters.request import check

_MOST_DOTS: Final = 100
"""Dots in one line, but for those of numbers: a key takes the reader the square of its dots."""
_NO_KEY: Final = re.compile(r"(?<![\w.])\d[\d_]*\.\d+(?![\w.])|\.\.+")
"""Dots that are in no key: in numbers, and several in a row."""


def read_toml(text: str) -> dict[str, Any]:
    """Return the data of a TOML text."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MOST_DOTS and _NO_KEY.sub("", line).count(".") > _MOST_DOTS:
            raise OtherSyntaxError(f"line {number}: more than {_MOST_DOTS} dots in one line")
    try:
        found = tomllib.loads(text)
    except RecursionError:
        raise refused("is nested too deep", "TOML that is less deep") from None
    except ValueError as error:
        message = str(error)
        if message.startswith("Cannot "):  # a key that stands twice
            raise refused(message, "each key once") from None
        raise OtherSyntaxError(message) from None
    check(found, "config")  # before it is walked: it may be deep
    return {name: _without_dates(value) for name, value in found.items()}


def _without_dates(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_dates(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_dates(item) for item in value]
    return value.isoformat() if isinstance(value, (date, datetime, time)) else value
