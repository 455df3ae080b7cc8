"""The shapes of warm-ups, decays and ramps, as fields that any model can take."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from rheostat.schedules.fields import Exponent
from rheostat.schedules.numeric import ShapeName

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
