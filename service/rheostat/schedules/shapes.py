"""The shapes of warm-ups, decays and ramps, as fields that any model can take."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from rheostat.schedules.fields import Positive
from rheostat.schedules.numeric import Shape, ShapeName

ShapeField = Annotated[
    ShapeName,
    Field(
        description=(
            "how the weight falls from 1 to 0 while y runs from 0 to 1: linear 1 − y; cosine "
            "(1 + cos πy)/2; 1-sqrt 1 − √y; power 1 − y^power; polynomial (1 − y)^power; "
            "exponential (ratio^y − ratio)/(1 − ratio)"
        )
    ),
]
ShapePower = Annotated[
    Positive, Field(description="the exponent of the shapes power and polynomial; no unit")
]
ShapeRatio = Annotated[
    float,
    Field(
        gt=0, lt=1, allow_inf_nan=False, description="the ratio of the shape exponential; no unit"
    ),
]


class Shaped(BaseModel):
    """The exponent and the ratio that some shapes need."""

    power: ShapePower = 1.0
    ratio: ShapeRatio = 0.1

    def shaped_as(self, name: ShapeName) -> Shape:
        """Return the numeric shape of this name with the model's own parameters."""
        return Shape(name, power=self.power, ratio=self.ratio)
