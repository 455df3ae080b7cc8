"""
References to schedules of a library, which are replaced by what they refer to.

``{"kind": "schedule", "name": "cosine-7b", "version": 3}`` stands wherever a definition may. It
is looked up before anything is validated, so that what is stored never depends on the library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_NODES, MAX_POINTS, NAME
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import field_errors, shown
from rheostat.schedules.size_limits import Size, check

Lookup: TypeAlias = Callable[[str, int | None], Definition | Mapping[str, Any]]
"""Takes a name and a version (None: the newest), returns the definition; raises if unknown."""


class Reference(BaseModel):
    """A schedule of the library by its name: its definition takes the place of the reference."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: Literal["schedule"] = "schedule"
    name: Annotated[
        str,
        Field(pattern=f"^{NAME}$", description="the schedule's name"),
    ]
    version: Annotated[
        int | None, Field(ge=1, lt=2**63, description="its version; null for the newest")
    ] = None


def references(data: Any) -> set[tuple[str, int | None]]:
    """Return the names and versions of the schedules that raw JSON rightly refers to."""
    found, waiting = set[tuple[str, int | None]](), [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            if value.get("kind") == "schedule":
                with suppress(ValidationError):  # what is wrong is refused when it is inlined
                    reference = Reference.model_validate(value)
                    found.add((reference.name, reference.version))
            else:
                waiting.extend(value.values())
        elif _may_hold_definitions(value):
            waiting.extend(value)
    return found


def inlined(data: Any, lookup: Lookup | None, field: str) -> Any:
    """
    Return the raw definition with every reference replaced by the JSON that it refers to.

    Raises:
        Invalid: if a reference is wrong, there is no library to look into, or what is referred to
            is too large in all.

    """
    return _Inlining(lookup, field).read(data, field)


class _Inlining:
    """Replaces the references of one definition; each schedule is looked up once."""

    def __init__(self, lookup: Lookup | None, field: str) -> None:
        self._lookup = lookup
        self._field = field
        self._found: dict[tuple[str, int | None], tuple[Any, Size]] = {}
        self._nodes = self._points = 0

    def read(self, data: Any, field: str) -> Any:
        if isinstance(data, Mapping):
            if data.get("kind") == "schedule":
                return self._looked_up(data, field)
            if not any(isinstance(value, (Mapping, list, tuple)) for value in data.values()):
                return data
            return {key: self.read(value, f"{field}.{key}") for key, value in data.items()}
        if _may_hold_definitions(data):
            return [self.read(item, f"{field}[{i}]") for i, item in enumerate(data)]
        return data

    def _looked_up(self, data: Mapping[str, Any], field: str) -> Any:
        try:
            reference = Reference.model_validate(data)
        except ValidationError as error:
            errors = field_errors(error, data, field)
            raise Invalid("The definition is refused.", errors=errors) from None
        if self._lookup is None:
            message = (
                "refers to a library of schedules, and there is none here: give the definition"
            )
            raise _refused(field, message, reference.name, "a definition")
        key = reference.name, reference.version
        if key not in self._found:
            found = self._lookup(*key)
            raw = found.to_json() if isinstance(found, Definition) else dict(found)
            self._found[key] = raw, check(raw, field)
        raw, size = self._found[key]
        self._nodes += size.nodes
        self._points += size.points
        if self._nodes > MAX_NODES or self._points > MAX_POINTS:
            bound = f"≤ {MAX_NODES} definitions and {MAX_POINTS} points in all"
            message = "refers to schedules that are too large together"
            raise _refused(self._field, message, reference.name, bound)
        return raw


def _may_hold_definitions(data: Any) -> bool:
    return isinstance(data, (list, tuple)) and bool(data) and isinstance(data[0], Mapping)


def _refused(field: str, message: str, value: Any, bound: str) -> Invalid:
    error = FieldError(field, message, shown(value), bound)
    return Invalid("The definition is refused.", errors=[error])
