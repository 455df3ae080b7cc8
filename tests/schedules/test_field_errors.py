"""What is wrong with a body, in its own words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from rheostat.schedules.field_errors import field_errors


class Body(BaseModel):
    """A body with fields that may be one thing or another."""

    model_config = ConfigDict(strict=True, extra="forbid")
    effective: Literal["next"] | Annotated[int, Field(ge=0)]
    config: dict[str, Any] | list[str] | str | None = None


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"effective": "now"}, "effective", "must be 'next', or must be an integer"),
        ({"effective": -1}, "effective", "must be 'next', or must be at least 0"),
        ({}, "effective", "is required"),
        ({"effective": 1, "dict[str,any]": 2}, "dict[str,any]", "is not a field here"),
        (
            {"effective": 1, "config": 5},
            "config",
            "must be an object, or must be a list, or must be a string",
        ),
    ],
)
def test_what_may_be_several_things_is_one_field(
    body: dict[str, Any], field: str, message: str
) -> None:
    """P10: a field is named as the body writes it, once, with everything that it may be."""
    with pytest.raises(ValidationError) as refusal:
        TypeAdapter(Body).validate_python(body)
    (error,) = field_errors(refusal.value, body, "")
    assert (error.field, error.message) == (field, message)
