"""The types of the fields of definitions: what they are, their units and their bounds."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

MAX_STEP: Final = 2**53 - 1
"""The largest coordinate: every integer up to it is a float64 of its own."""


def _whole(value: Any) -> Any:
    """Accept ``5e12`` where an integer is meant; anything else is left to be refused."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


_Whole = BeforeValidator(_whole)

Value = Annotated[float, Field(allow_inf_nan=False)]
"""A value of the curve: any finite number."""
Factor = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""What values are multiplied by: finite and not negative."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A finite number above zero."""
Position = Annotated[float, Field(ge=0, le=MAX_STEP, allow_inf_nan=False)]
"""A place on the axis, which may lie between two steps."""
Length = Annotated[int, _Whole, Field(ge=1, le=MAX_STEP)]
"""A number of steps, at least one."""
LengthOrZero = Annotated[int, _Whole, Field(ge=0, le=MAX_STEP)]
"""A number of steps that may be none."""
