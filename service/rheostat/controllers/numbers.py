"""
A metric's value: as JSON, as float64, and as the bits that are stored.

JSON has no NaN and no infinity; a metric has, and a controller must hear of it. So they are written
as the texts ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, in reports and in stored states alike.
"""

from __future__ import annotations

import struct
from math import inf, isfinite, isnan, nan
from typing import Any, Final

from rheostat.errors import FieldError, Invalid
from rheostat.schedules.field_errors import shown

TEXTS: Final = {"NaN": nan, "Infinity": inf, "-Infinity": -inf}
"""What is no finite number, as it is written."""

BOUND: Final = 'a number within float64, "NaN", "Infinity" or "-Infinity"'


def value_of_json(value: Any, field: str = "value") -> float:
    """
    Return the value that JSON writes; a whole number is the float64 nearest to it.

    Raises:
        Invalid: for anything but a number of float64 or one of `TEXTS`; it names ``field``.

    """
    if type(value) is float and isfinite(value):
        return value
    if type(value) is str and value in TEXTS:
        return TEXTS[value]
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            pass
    wrong = [FieldError(field, f"must be {BOUND}", shown(value), BOUND)]
    raise Invalid("The value is refused.", errors=wrong)


def json_of_value(value: float) -> float | str:
    """Return the JSON of a value, from which `value_of_json` gives the same one back."""
    if isnan(value):
        return "NaN"
    return value if isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def bits_of_value(value: float) -> int:
    """Return the 64 bits of a value, as a signed integer that databases can keep."""
    (bits,) = struct.unpack("<q", struct.pack("<d", value))
    return int(bits)


def value_of_bits(bits: int) -> float:
    """Return the value of 64 bits, NaN with its payload too."""
    (value,) = struct.unpack("<d", struct.pack("<q", bits))
    return float(value)


def told(value: float | None) -> str:
    """Return a value for a sentence, to six digits."""
    return "nothing" if value is None else f"{value:.6g}"
