"""
Edits: changes of what is in force, where a definition would replace it.

Each edit is one class with the fields that an operator gives and one method, ``apply``. What lies
before the effective step is never looked at again, so ``apply`` returns the pieces from there on.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rheostat.schedules import Definition, parse
from rheostat.schedules.shapes import ShapeField, ShapePower, ShapeRatio
from rheostat.server.runs.timeline import Piece, Timeline, Timelines

Count = Annotated[int, Field(ge=1, le=2**53 - 1, description="a number of steps")]
Number = Annotated[float, Field(allow_inf_nan=False)]


History = Callable[[int], Timelines]
"""Looks up the timelines of a revision by its number."""


@dataclass(frozen=True)
class Place:
    """Where an edit acts: one parameter of a run, from one step on."""

    parameter: str
    field: str
    """The path of the change in the request, for errors."""
    step: int
    revision: int
    before: Timelines
    """What was in force before the revision."""
    history: History

    def value(self, timeline: Timeline, step: int) -> float:
        """Return the value that a timeline of this parameter has at a step."""
        return self.before.replaced({self.parameter: timeline}).value(self.parameter, step)

    def piece(self, definition: Definition, origin: int | None = None) -> Piece:
        """Return a new piece that begins here, and counts from here unless told otherwise."""
        return Piece(self.step, self.step if origin is None else origin, definition, self.revision)

    def constant(self, value: float) -> Piece:
        """Return a new piece of one value."""
        return self.piece(parse({"kind": "constant", "value": value}))


class Edit(BaseModel):
    """Base of all edits."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    edit: str

    @abstractmethod
    def apply(self, timeline: Timeline, place: Place) -> Timeline:
        """Return the pieces in force from ``place.step`` on."""


class Scale(Edit):
    """Multiply the values from the effective step on by ``factor``."""

    edit: Literal["scale"]
    factor: Number

    def apply(self, timeline: Timeline, place: Place) -> Timeline:
        """Scale each piece; a scaled piece gets the product of the factors instead of a nesting."""
        return Timeline(tuple(self._scaled(piece, place) for piece in timeline.after(place.step)))

    def _scaled(self, piece: Piece, place: Place) -> Piece:
        inner = piece.definition.to_json()
        factor = self.factor
        if inner["kind"] == "scale":
            inner, factor = inner["of"], factor * inner["factor"]
        scaled = parse({"kind": "scale", "of": inner, "factor": factor}, field=place.field)
        return replace(piece, definition=scaled, revision=place.revision)


class Hold(Edit):
    """Hold the value in force at the effective step."""

    edit: Literal["hold"]
    steps: Count | None = None
    then: Literal["rejoin", "shift"] = "rejoin"

    def apply(self, timeline: Timeline, place: Place) -> Timeline:
        """Hold, then go on where the curve is by then (rejoin) or where it was left (shift)."""
        held = place.constant(place.value(timeline, place.step))
        if self.steps is None:
            return Timeline((held,))
        end = place.step + self.steps
        if self.then == "rejoin":
            return Timeline((held, *timeline.after(end)))
        rest = timeline.after(place.step)
        return Timeline((held, *(piece.shifted(self.steps) for piece in rest)))


class Set(Edit):
    """Use a value for ``steps`` steps, then return to the schedule."""

    edit: Literal["set"]
    value: Number
    steps: Count

    def apply(self, timeline: Timeline, place: Place) -> Timeline:
        """Put a constant over the next steps."""
        held = place.constant(self.value)
        return Timeline((held, *timeline.after(place.step + self.steps)))


class Ramp(Edit):
    """Go from the value in force to ``to`` within ``steps`` steps, and stay there."""

    edit: Literal["ramp"]
    to: Number
    steps: Count
    shape: ShapeField = "linear"
    power: ShapePower = 1.0
    ratio: ShapeRatio = 0.1

    def apply(self, timeline: Timeline, place: Place) -> Timeline:
        """Leave the value in force at the effective step, arrive ``steps`` later."""
        start = place.value(timeline, place.step)
        return Timeline((_lead(place, self, start, self.to),))


class Rewarm(Edit):
    """Warm up from ``start`` back onto the schedule."""

    edit: Literal["rewarm"]
    steps: Count
    start: Number = 0.0
    shape: ShapeField = "linear"
    power: ShapePower = 1.0
    ratio: ShapeRatio = 0.1

    def apply(self, timeline: Timeline, place: Place) -> Timeline:
        """Arrive at the value that the schedule has ``steps`` later, and go on with it."""
        end = place.step + self.steps
        target = place.value(timeline, end)
        warmup = _lead(place, self, self.start, target)
        return Timeline((warmup, *timeline.after(end)))


class Revert(Edit):
    """Go back to what revision ``to`` had in force."""

    edit: Literal["revert"]
    to: Count

    def apply(self, _timeline: Timeline, place: Place) -> Timeline:
        """Take the timeline of the earlier revision, on the run's clock."""
        pieces = place.history(self.to)[place.parameter].after(place.step)
        return Timeline(tuple(replace(piece, revision=place.revision) for piece in pieces))


def _lead(place: Place, edit: Ramp | Rewarm, start: float, end: float) -> Piece:
    curve = edit.model_dump(include={"steps", "shape", "power", "ratio"})
    curve |= {"kind": "ramp", "start": start, "end": end}
    return place.piece(parse(curve, field=place.field))
