"""
Changes: what a revision does to each parameter, as it was sent and as it is stored.

A change is an edit (``{"edit": "scale", "factor": 0.5}``) or a definition that replaces what was
in force, with the clock that it counts by; a number is a constant. A parameter may have a list of
them, applied one after the other. What is stored is the validated form, with every length resolved,
and beside it the words of lengths that depend on the run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, cast

from pydantic import Field, TypeAdapter

from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_CHANGES
from rheostat.schedules import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.parse import whole
from rheostat.schedules.written import Written
from rheostat.server.runs.edits import (
    CLOCK,
    LENGTHS,
    Edit,
    Extend,
    Hold,
    Place,
    Ramp,
    Replace,
    Revert,
    Rewarm,
    Scale,
    Set,
)
from rheostat.server.runs.limits import require_few_texts
from rheostat.server.runs.timeline import Timeline
from rheostat.server.runs.units import Units
from rheostat.server.runs.validation import validate

AnyEdit = Annotated[
    Scale | Hold | Set | Ramp | Rewarm | Extend | Replace | Revert,
    Field(discriminator="edit"),
]
EDITS: Final[TypeAdapter[Edit]] = TypeAdapter(AnyEdit)

Clock = Literal["run", "change"]
CLOCKS: Final = ("run", "change")


@dataclass(frozen=True)
class Replacement:
    """A definition in place of what was in force, counted from step 0 or from the change."""

    written: Written
    clock: Clock

    def apply(self, _timeline: Timeline, place: Place) -> Timeline:
        """Return the definition as the only piece."""
        origin = place.step if self.clock == "change" else 0
        return Timeline((place.piece(*self.written, origin=origin),))

    def to_json(self) -> dict[str, Any]:
        """Return the wire form."""
        return {**self.written.to_json(), "clock": self.clock}


Change = Edit | Replacement
Changes = Mapping[str, tuple[Change, ...]]


def parse_changes(data: Any, parameters: Collection[str], units: Units) -> Changes:
    """
    Return the changes of a request's ``changes`` field.

    Raises
    ------
    Invalid
        Names the field: an unknown parameter, a definition without a clock, a wrong value.

    """
    if not isinstance(data, Mapping) or not data:
        raise _refuse("changes", "must name at least one parameter", shown(data), "≥ 1 parameters")
    require_few_texts("changes", data)
    unknown = [name for name in data if name not in parameters]
    if unknown:
        message = f"the run has no parameter {unknown[0]!r}"
        raise _refuse(f"changes.{unknown[0]}", message, None, f"one of {', '.join(parameters)}")
    return {name: _parse_list(data[name], f"changes.{name}", units) for name in sorted(data)}


def changes_to_json(changes: Changes) -> dict[str, Any]:
    """Return the stored form: a list of changes for each parameter."""
    return {name: [_to_json(change) for change in each] for name, each in changes.items()}


def _parse_list(data: Any, field: str, units: Units) -> tuple[Change, ...]:
    if not isinstance(data, list):
        return (_parse(data, field, units),)
    if not 1 <= len(data) <= MAX_CHANGES:
        bound = f"1 to {MAX_CHANGES} changes"
        raise _refuse(field, f"must hold {bound}", shown(data), bound)
    return tuple(_parse(item, f"{field}[{index}]", units) for index, item in enumerate(data))


def _parse(data: Any, field: str, units: Units) -> Change:
    data = whole(data)
    if not isinstance(data, Mapping) or ("edit" in data) == ("kind" in data):
        bound = 'a number, or an object with either "edit" or "kind"'
        raise _refuse(field, f"must be {bound}", shown(data), bound)
    if "edit" in data:
        return validate(EDITS, _resolved(data, field, units), field)
    rest = {key: value for key, value in data.items() if key != "clock"}
    written = units.write(rest, field)
    return Replacement(written, _clock(data, written.definition, field))


def _resolved(data: Mapping[str, Any], field: str, units: Units) -> Mapping[str, Any]:
    """Return an edit with its lengths, and the definition inside it, read in the run's units."""
    read = {"definition": units.write, **dict.fromkeys(LENGTHS, units.steps)}
    return {
        key: read[key](value, f"{field}.{key}") if key in read else value
        for key, value in data.items()
    }


def _clock(data: Mapping[str, Any], definition: Definition, field: str) -> Clock:
    clock = data.get("clock", "run" if definition.length == 0 else None)
    if clock in CLOCKS:
        return cast("Clock", clock)
    message = f"must say what the definition counts from: {CLOCK}"
    raise _refuse(f"{field}.clock", message, clock, CLOCK)


def _to_json(change: Change) -> dict[str, Any]:
    return change.to_json() if isinstance(change, Replacement) else change.model_dump(mode="json")


def _refuse(field: str, message: str, value: Any, bound: str) -> Invalid:
    return Invalid("The change is refused.", errors=[FieldError(field, message, value, bound)])
