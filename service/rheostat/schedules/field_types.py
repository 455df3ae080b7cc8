"""The types of the fields of definitions: what they are, their units and their bounds."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import (
    BeforeValidator,
    FailFast,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from rheostat.limits import AMOUNT, MAX_STEP
from rheostat.schedules.numeric import ShapeName

SHORTEST: Final = 1e-6
"""The least length of what need not be a whole number of steps."""
LENGTH_TEXT: Final = f"^({AMOUNT}|rest)$"
"""The other ways to write a length, such as ``"10%"``, ``"3 epochs"``, ``"4.3T"``, ``"rest"``."""


def _whole(value: Any) -> Any:
    """Accept ``5e12`` where an integer is meant; anything else is left to be refused."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _or_text(**schema: Any) -> WithJsonSchema:
    """Tell that a number of steps may be written as text, which is resolved before validation."""
    text = {"type": "string", "pattern": LENGTH_TEXT}
    return WithJsonSchema({"anyOf": [schema, text], "unit": "steps"}, mode="validation")


_VALUE: Final = {"unit": "value"}
_NONE: Final = {"unit": "none"}

Value = Annotated[float, Field(json_schema_extra=_VALUE)]
"""A value of the curve, in the parameter's own unit: any finite number."""
Number = Annotated[float, Field(json_schema_extra=_NONE)]
"""A finite number without a unit."""
Factor = Annotated[float, Field(ge=0, json_schema_extra=_NONE)]
"""What values are multiplied by: finite and not negative."""
Positive = Annotated[float, Field(gt=0, json_schema_extra=_NONE)]
"""A finite number above zero, without a unit."""
Exponent = Annotated[float, Field(ge=1e-3, le=1e3, json_schema_extra=_NONE)]
"""What a share of the way is raised to the power of."""
AnyExponent = Annotated[float, Field(ge=-1e3, le=1e3, json_schema_extra=_NONE)]
"""What values are raised to the power of; below 0, of the inverse."""
Growth = Annotated[float, Field(ge=1e-6, le=1e6, json_schema_extra=_NONE)]
"""What lengths are multiplied by."""
Proportion = Annotated[float, Field(gt=0, lt=1, json_schema_extra=_NONE)]
"""A number between 0 and 1, both excluded."""
Share = Annotated[float, Field(gt=0, le=1, json_schema_extra=_NONE)]
"""A number above 0 and up to 1."""
Count = Annotated[int, Field(ge=1, le=MAX_STEP, json_schema_extra=_NONE), BeforeValidator(_whole)]
"""How many times something happens."""

Position = Annotated[
    float,
    Field(ge=0, le=MAX_STEP),
    _or_text(type="number", minimum=0, maximum=MAX_STEP),
]
"""A place on the axis, which may lie between two steps."""
Duration = Annotated[
    float,
    Field(ge=SHORTEST, le=MAX_STEP),
    _or_text(type="number", minimum=SHORTEST, maximum=MAX_STEP),
]
"""A length that need not be a whole number of steps."""
Length = Annotated[
    int,
    Field(ge=1, le=MAX_STEP),
    BeforeValidator(_whole),
    _or_text(type="integer", minimum=1, maximum=MAX_STEP),
]
"""A number of steps, at least one."""
LengthOrZero = Annotated[
    int,
    Field(ge=0, le=MAX_STEP),
    BeforeValidator(_whole),
    _or_text(type="integer", minimum=0, maximum=MAX_STEP),
]
"""A number of steps that may be none."""


Ahead = Annotated[
    int,
    Field(
        ge=0,
        le=MAX_STEP,
        json_schema_extra=_NONE,
        description="how many steps the warm-up is ahead: 1 for (t + 1)/W",
    ),
    BeforeValidator(_whole),
]
"""By how many steps a ramp runs ahead of the step."""


def _all_whole(values: Any) -> Any:
    """Accept ``5e12`` in a list of integers, as `_whole` does."""
    if isinstance(values, (list, tuple)) and float in {*map(type, values)}:
        return [_whole(value) for value in values]
    return values


_PIECE: Final = 10_000


def _in_pieces(values: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Validate a long list piece by piece: other threads get their turn in between."""
    if not isinstance(values, (list, tuple)) or len(values) <= _PIECE:
        return handler(values)
    begins = range(0, len(values), _PIECE)
    try:
        return tuple(item for begin in begins for item in handler(values[begin : begin + _PIECE]))
    except ValidationError:
        return handler(values)  # which says where in the whole list it is


Values = Annotated[
    tuple[Value, ...],
    Field(strict=False, min_length=1),
    FailFast(),
    WrapValidator(_in_pieces),
]
"""Any number of values, at least one. Of a long list, only the first wrong item is told."""
Steps = Annotated[
    tuple[
        Annotated[
            int,
            Field(ge=0, le=MAX_STEP),
            _or_text(type="integer", minimum=0, maximum=MAX_STEP),
        ],
        ...,
    ],
    Field(strict=False),
    FailFast(),
    BeforeValidator(_all_whole),
    WrapValidator(_in_pieces),
]
"""Any number of steps, each as in `LengthOrZero`."""
Points = Annotated[
    tuple[Annotated[tuple[Position, Value], Field(strict=False)], ...],
    Field(strict=False, min_length=1),
    FailFast(),
    WrapValidator(_in_pieces),
]
"""Any number of pairs of a place and a value, at least one."""

Start = Annotated[Value, Field(description="the value at step 0")]
End = Annotated[Value, Field(description="the value from the end on")]
Corner = Annotated[
    Literal["linear", "cosine"], Field(description="how values run between two corners")
]


SHAPES: Final[dict[ShapeName, str]] = {
    "linear": "1 − y",
    "cosine": "(1 + cos πy)/2",
    "1-sqrt": "1 − √y",
    "power": "1 − y^power",
    "polynomial": "(1 − y)^power",
    "exponential": "(ratio^y − ratio)/(1 − ratio)",
    "rational": "(1 − y)/(1 − (1 − ratio) · y)",
    "logarithmic": "ln(ratio + (1 − ratio) · y)/ln(ratio)",
}
"""What each shape is as c(y), which falls from 1 to 0 while y runs from 0 to 1."""

ShapeField = Annotated[ShapeName, Field(description="the shape c(y): see the table of shapes")]
ShapePower = Annotated[
    Exponent, Field(description="the exponent of the shapes power and polynomial")
]
ShapeRatio = Annotated[
    float,
    Field(
        ge=1e-100,
        lt=1,
        json_schema_extra={"unit": "none"},
        description="the ratio of the shapes exponential, rational and logarithmic",
    ),
]
