"""The types of the fields of controllers: what they are, and their bounds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from rheostat.limits import MAX_STEP, METRIC, PARAMETERS

Metric = Annotated[
    str, Field(pattern=f"^{METRIC}$", description="the metric that it reads, as it is reported")
]
Mode = Annotated[
    Literal["min", "max"], Field(description="whether the metric is better low or high")
]
Place = Annotated[int, Field(ge=0, le=MAX_STEP)]
"""A step."""
Reports = Annotated[int, Field(ge=0, le=MAX_STEP)]
"""A number of reports that may be none."""
SomeReports = Annotated[int, Field(ge=1, le=MAX_STEP)]
"""A number of reports, at least one."""
Amount = Annotated[float, Field(ge=0)]
"""A finite number that is not negative."""
Parameter = Annotated[str, Field(pattern=f"^{PARAMETERS}$", max_length=128)]


class Part(BaseModel):
    """Base of controllers and of the objects in them: strict, closed, never changed."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, serialize_by_alias=True
    )


class Choice(Part):
    """An object of which a part is left out, and so is it when it is shown."""

    @model_serializer(mode="wrap")
    def _given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}
