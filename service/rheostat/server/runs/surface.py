"""
The surface of a run: what its training says of itself, so that people and programs can steer it.

A run may be created with words for its parameters (`Description`), with the signals that its
training understands (`SignalForm`), and with a `Goal`. Forms, completion and the tools of agents
are made of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from rheostat import wire
from rheostat.limits import (
    MAX_ARGUMENT,
    MAX_ARGUMENTS,
    MAX_SIGNALS,
    MAX_STEP,
    MAX_TEXT,
    METRIC,
    WORD,
)
from rheostat.schedules.field_errors import wrong

Text = Annotated[str, Field(max_length=MAX_TEXT)]
Word = Annotated[str, Field(pattern=f"^{WORD}$")]
Choice = str | bool | int | float
"""What an argument may be."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


class _Part(BaseModel):
    """A part of the surface, which is stored and shown without what was not said."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    @model_serializer
    def _said(self) -> dict[str, Any]:
        fields = (
            (name, getattr(self, name), info) for name, info in type(self).model_fields.items()
        )
        return {
            name: _whole(value) if isinstance(value, float) else value
            for name, value, info in fields
            if value != info.get_default(call_default_factory=True)
        }


class Description(_Part):
    """What people should know of a parameter."""

    text: Annotated[Text, Field(description="what it is")] = ""
    unit: Annotated[str, Field(max_length=32, description="what it is measured in")] = ""
    takes_effect: Annotated[
        str,
        Field(max_length=32, description="when the training applies it: at each `step`, `epoch` …"),
    ] = ""

    def to_json(self) -> wire.ParameterDescription:
        """Return the wire form."""
        return cast("wire.ParameterDescription", self.model_dump())


class Argument(_Part):
    """An argument of a signal; ``min`` and ``max`` of a string bound its length."""

    type: Literal["string", "integer", "number", "boolean"]
    text: Annotated[Text, Field(description="what it is")] = ""
    enum: (
        Annotated[
            list[Choice], Field(min_length=1, max_length=64, description="what it may be alone")
        ]
        | None
    ) = None
    min: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max: Annotated[float, Field(allow_inf_nan=False)] | None = None
    required: Annotated[bool, Field(description="whether the signal makes no sense without it")] = (
        False
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.type == "boolean" and (self.min, self.max) != (None, None):
            raise wrong("min", "a boolean has no bounds", self.min, "no min and no max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise wrong("min", "must not be above max", self.min, f"≤ {self.max!r}")
        for choice in self.enum or ():
            if (bound := self.refuses(choice, listed=False)) is not None:
                raise wrong("enum", "has what the argument cannot be", choice, bound)
        return self

    def refuses(self, value: Any, *, listed: bool = True) -> str | None:
        """Return what a value should have been, or None if it may be the argument's."""
        fits = isinstance(value, _TYPES[self.type])
        if not fits or (type(value) is bool and self.type != "boolean"):
            return {"integer": "an integer"}.get(self.type, f"a {self.type}")
        if self.enum is not None and listed and value not in self.enum:
            return f"one of {', '.join(map(str, self.enum))}"
        if isinstance(value, str):
            most = MAX_ARGUMENT if self.max is None else min(self.max, MAX_ARGUMENT)
            if not (self.min or 0) <= len(value) <= most:
                return f"{_whole(self.min or 0)} to {_whole(most)} characters"
        elif not isinstance(value, bool):
            return self._beyond(value)
        return None

    def _beyond(self, value: float) -> str | None:
        if not isfinite(value):
            return "a finite number"
        whole = type(value) is int  # JSON has every one of these
        least, most = (-MAX_STEP, MAX_STEP) if whole else (value, value)
        least = least if self.min is None else max(least, self.min)
        most = most if self.max is None else min(most, self.max)
        if value < least:
            return f">= {_whole(least)}"
        return None if value <= most else f"<= {_whole(most)}"

    def schema_of_values(self) -> dict[str, Any]:
        """Return the JSON Schema of what it may be."""
        ends = ("minLength", "maxLength") if self.type == "string" else ("minimum", "maximum")
        most = self.max
        if self.type == "string":
            most = MAX_ARGUMENT if most is None else min(most, MAX_ARGUMENT)
        schema: dict[str, Any] = {"description": self.text or None, "enum": self.enum}
        schema |= {ends[0]: self.min, ends[1]: most}
        said = {key: value for key, value in schema.items() if value is not None}
        return {"type": self.type} | {
            key: _whole(value) if isinstance(value, float) else value for key, value in said.items()
        }


class SignalForm(_Part):
    """A signal that a training understands."""

    text: Annotated[Text, Field(description="what the training does then")] = ""
    arguments: Annotated[
        dict[Word, Argument], Field(max_length=MAX_ARGUMENTS, description="what it may be told")
    ] = Field(default_factory=dict)

    def to_json(self) -> wire.DeclaredSignal:
        """Return the wire form."""
        return cast("wire.DeclaredSignal", self.model_dump())

    def schema_of_arguments(self) -> dict[str, Any]:
        """Return the JSON Schema of the arguments, as one object."""
        each = {name: item.schema_of_values() for name, item in self.arguments.items()}
        return {
            "type": "object",
            "properties": each,
            "required": [name for name, item in self.arguments.items() if item.required],
            "additionalProperties": False,
        }


class Goal(_Part):
    """What a training is after."""

    metric: Annotated[str, Field(pattern=f"^{METRIC}$", description="name of what is reported")]
    direction: Annotated[Literal["min", "max"], Field(description="whether less is better")] = "min"
    target: (
        Annotated[float, Field(allow_inf_nan=False, description="what would be enough")] | None
    ) = None

    def to_json(self) -> wire.RunGoal:
        """Return the wire form."""
        return cast("wire.RunGoal", self.model_dump())


Signals = Annotated[dict[Word, SignalForm], Field(max_length=MAX_SIGNALS)]


def _whole(number: float) -> float:
    """Return a number as it is written: without a point, if it is whole."""
    return int(number) if number == int(number) else number


# --- as rows have them: what is not known here was said by a newer release ------------------------

_TOLERANT = ConfigDict(extra="ignore")


class StoredDescription(Description):
    """A description as a row has it."""

    model_config = _TOLERANT


class StoredArgument(Argument):
    """An argument as a row has it."""

    model_config = _TOLERANT


class StoredSignalForm(SignalForm):
    """A signal's form as a row has it."""

    model_config = _TOLERANT
    arguments: dict[str, StoredArgument] = Field(default_factory=dict)  # type: ignore[assignment]


class StoredGoal(Goal):
    """A goal as a row has it."""

    model_config = _TOLERANT
