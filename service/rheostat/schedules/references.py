"""
References to schedules of a library, which are replaced by what they refer to.

``{"kind": "schedule", "name": "cosine-7b", "version": 3}`` stands wherever a definition may. It
is looked up before anything is validated, so that what is stored never depends on the library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rheostat.errors import FieldError, Invalid
from rheostat.schedules.definition import Definition
from rheostat.schedules.validation import field_errors

Lookup: TypeAlias = Callable[[str, int | None], Definition | Mapping[str, Any]]
"""Takes a name and a version (None: the newest), returns the definition; raises if unknown."""


class Reference(BaseModel):
    """A schedule of the library by its name: its definition takes the place of the reference."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: Literal["schedule"] = "schedule"
    name: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$", description="the schedule's name"),
    ]
    version: Annotated[
        int | None, Field(ge=1, lt=2**63, description="its version; null for the newest")
    ] = None


def inlined(data: Any, lookup: Lookup | None, field: str) -> Any:
    """
    Return the raw definition with every reference replaced by the JSON that it refers to.

    Raises:
        Invalid: if a reference is wrong, or there is no library to look into.

    """
    if isinstance(data, Mapping):
        if data.get("kind") == "schedule":
            return _looked_up(data, lookup, field)
        if not any(isinstance(value, (Mapping, list, tuple)) for value in data.values()):
            return data
        return {key: inlined(value, lookup, f"{field}.{key}") for key, value in data.items()}
    if isinstance(data, (list, tuple)) and data and isinstance(data[0], Mapping):
        return [inlined(item, lookup, f"{field}[{i}]") for i, item in enumerate(data)]
    return data


def _looked_up(data: Mapping[str, Any], lookup: Lookup | None, field: str) -> Any:
    try:
        reference = Reference.model_validate(data)
    except ValidationError as error:
        errors = field_errors(error, data, field)
        raise Invalid("The definition is refused.", errors=errors) from None
    if lookup is None:
        message = "refers to a library of schedules, and there is none here: give the definition"
        error_ = FieldError(field, message, reference.name, "a definition")
        raise Invalid("The definition is refused.", errors=[error_])
    found = lookup(reference.name, reference.version)
    return found.to_json() if isinstance(found, Definition) else dict(found)
