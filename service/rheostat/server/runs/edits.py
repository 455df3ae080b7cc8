"""
Edits: changes of what is in force, where a definition would replace it.

Each edit is one class with all of its facts: the fields that an operator gives, which of them are
lengths, and what it makes of a curve, by ``apply``. What lies before the effective step is never
looked at again, so ``apply`` returns the pieces from there on. `EDITS` lists them all.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from typing import Annotated, Any, Final, Literal, Self, Union, get_args, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    TypeAdapter,
    WithJsonSchema,
    field_serializer,
    model_validator,
)

from rheostat.errors import FieldError, Invalid
from rheostat.limits import AMOUNT, MAX_STEP
from rheostat.schedules import Definition
from rheostat.schedules.definition import GIVEN
from rheostat.schedules.field_errors import wrong
from rheostat.schedules.field_types import ShapeField, ShapePower, ShapeRatio
from rheostat.schedules.kinds.pointwise import Scale
from rheostat.schedules.parse import composed
from rheostat.schedules.written import Words, Written
from rheostat.server.runs.timeline import Piece, Timeline, Timelines

CountsFrom = Literal["run", "change"]
"""The clock of a definition that takes the place of what was in force."""
CLOCK = '"run" (counts from step 0) or "change" (counts from the effective step)'
"""What a clock may be, for people."""

Revision = Annotated[int, Field(ge=1, le=MAX_STEP, description="the number of a revision")]
Count = Annotated[
    int,
    Field(ge=1, le=MAX_STEP, description="a number of steps"),
    # text such as "10%" or "7T" is read in the run's units before it comes here
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MAX_STEP},
                {"type": "string", "pattern": f"^{AMOUNT}$"},
            ]
        }
    ),
]
Number = Annotated[float, Field(allow_inf_nan=False)]


History = Callable[[int], Timelines]
"""Looks up the timelines of a revision by its number."""


@dataclass(frozen=True)
class Target:
    """Where an edit acts: one parameter of a run, from one step on."""

    parameter: str
    field: str
    """The path of the change in the request, for errors."""
    step: int
    revision: int
    before: Timelines
    """What was in force before the revision."""
    history: History
    total: int | None = None
    """The total that the revision counts by."""

    def value(self, timeline: Timeline, step: int) -> float:
        """Return the value that a timeline of this parameter has at a step."""
        return self.before.replaced({self.parameter: timeline}).value(self.parameter, step)

    def piece(
        self, definition: Definition, words: Words | None = None, *, origin: int | None = None
    ) -> Piece:
        """Return a new piece that begins here, and counts from here unless told otherwise."""
        origin = self.step if origin is None else origin
        return Piece(self.step, origin, definition, self.revision, words)

    def refuse(self, field: str, message: str, value: Any, bound: str) -> Invalid:
        """Return the error about a field of the edit."""
        error = FieldError(f"{self.field}.{field}", message, value, bound)
        return Invalid("The change is refused.", errors=[error])

    def constant(self, value: float) -> Piece:
        """Return a new piece of one value."""
        return self.piece(composed({"kind": "constant", "value": value}))


class Edit(BaseModel):
    """Base of all edits."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        model_title_generator=lambda edit: edit.__name__.removesuffix("Edit"),
    )
    edit: str

    @classmethod
    def lengths(cls) -> frozenset[str]:
        """Return the fields that are lengths, and may be written as text such as ``"10%"``."""
        hints = get_type_hints(cls, include_extras=True)
        return frozenset(name for name, hint in hints.items() if Count in {hint, *get_args(hint)})

    @classmethod
    def called(cls) -> str:
        """Return what it is called in requests."""
        return str(get_args(cls.model_fields["edit"].annotation)[0])

    def laid_out(self, total: int, field: str) -> Self:  # noqa: ARG002 - most have no definition
        """Return the edit with the words of its definition laid out for a total."""
        return self

    @abstractmethod
    def apply(self, timeline: Timeline, target: Target) -> Timeline:
        """Return the pieces in force from ``target.step`` on."""


class ScaleEdit(Edit):
    """Multiply the values from the effective step on by ``factor``."""

    edit: Literal["scale"]
    factor: Number

    def apply(self, timeline: Timeline, target: Target) -> Timeline:
        """Scale each piece; a scaled piece gets the product of the factors instead of a nesting."""
        return Timeline(tuple(self._scaled(piece, target) for piece in timeline.after(target.step)))

    def _scaled(self, piece: Piece, target: Target) -> Piece:
        if piece.words is not None:
            words = piece.words.scaled(self.factor)
            definition = words.laid_out(target.field)
            return replace(piece, definition=definition, words=words, revision=target.revision)
        inner: Definition = piece.definition
        factor = self.factor
        if isinstance(inner, Scale):
            factor, inner = factor * inner.factor, inner.of
        scaled = composed({"kind": "scale", "of": inner, "factor": factor}, target.field)
        return replace(piece, definition=scaled, revision=target.revision)


class HoldEdit(Edit):
    """Hold the value in force at the effective step."""

    edit: Literal["hold"]
    steps: Count | None = None
    then: Literal["rejoin", "shift"] = "rejoin"

    def apply(self, timeline: Timeline, target: Target) -> Timeline:
        """Hold, then go on where the curve is by then (rejoin) or where it was left (shift)."""
        held = target.constant(target.value(timeline, target.step))
        if self.steps is None:
            return Timeline((held,))
        end = target.step + self.steps
        if self.then == "rejoin":
            return Timeline((held, *timeline.after(end)))
        rest = timeline.after(target.step)
        return Timeline((held, *(piece.shifted(self.steps) for piece in rest)))


class SetEdit(Edit):
    """Use a value for ``steps`` steps, then return to the schedule."""

    edit: Literal["set"]
    value: Number
    steps: Count

    def apply(self, timeline: Timeline, target: Target) -> Timeline:
        """Put a constant over the next steps."""
        held = target.constant(self.value)
        return Timeline((held, *timeline.after(target.step + self.steps)))


class RampEdit(Edit):
    """Go from the value in force to ``to`` within ``steps`` steps, and stay there."""

    edit: Literal["ramp"]
    to: Number
    steps: Count
    shape: ShapeField = "linear"
    power: ShapePower = 1.0
    ratio: ShapeRatio = 0.1

    def apply(self, timeline: Timeline, target: Target) -> Timeline:
        """Leave the value in force at the effective step, arrive ``steps`` later."""
        start = target.value(timeline, target.step)
        return Timeline((_lead(target, self, start, self.to),))


class RewarmEdit(Edit):
    """Warm up from ``start`` back onto the schedule."""

    edit: Literal["rewarm"]
    steps: Count
    start: Number = 0.0
    shape: ShapeField = "linear"
    power: ShapePower = 1.0
    ratio: ShapeRatio = 0.1

    def apply(self, timeline: Timeline, target: Target) -> Timeline:
        """Arrive at the value that the schedule has ``steps`` later, and go on with it."""
        end = target.step + self.steps
        warmup = _lead(target, self, self.start, target.value(timeline, end))
        return Timeline((warmup, *timeline.after(end)))


class ExtendEdit(Edit):
    """Stretch what remains of the curve so that it ends at step ``end``."""

    edit: Literal["extend"]
    end: Count

    def apply(self, timeline: Timeline, target: Target) -> Timeline:
        """Slow the clock of every piece down, or hurry it, from the effective step on."""
        rest = timeline.after(target.step)
        ratio = self._ratio(rest[-1], target)
        pieces = (_stretched(piece, target.step, ratio) for piece in rest)
        return Timeline(tuple(replace(piece, revision=target.revision) for piece in pieces))

    def _ratio(self, last: Piece, target: Target) -> float:
        length = last.definition.length
        if length is None or last.origin + length <= target.step:
            state = "never ends" if length is None else f"ended at {last.origin + length}"
            raise target.refuse("end", f"the curve in force {state}", self.end, "a curve that ends")
        if self.end <= target.step:
            raise target.refuse("end", "is past already", self.end, f"> {target.step}")
        return (self.end - target.step) / (last.origin + length - target.step)


class ReplaceEdit(Edit):
    """Replace what is in force by a definition, eased in over ``blend`` steps."""

    edit: Literal["replace"]
    # parsed before, in the run's units; the OpenAPI document puts its schema in place of the name
    definition: Annotated[InstanceOf[Written], WithJsonSchema(GIVEN)]
    clock: Annotated[CountsFrom | None, Field(description="required unless it is constant")] = None
    blend: Count | None = None

    @model_validator(mode="before")
    @classmethod
    def _clocked(cls, data: dict[str, Any]) -> dict[str, Any]:
        written = data.get("definition")
        if data.get("clock") is not None or not isinstance(written, Written):
            return data
        if written.definition.length == 0:
            return {**data, "clock": "run"}
        raise wrong("clock", "is required unless the definition is constant", None, CLOCK)

    @field_serializer("definition")
    def _to_json(self, written: Written) -> dict[str, Any]:
        return written.to_json()

    def laid_out(self, total: int, field: str) -> Self:
        """Return the edit with the words of its definition laid out for a total."""
        definition = self.definition.laid_out(total, f"{field}.definition")
        return self.model_copy(update={"definition": definition})

    def apply(self, timeline: Timeline, target: Target) -> Timeline:
        """Put the definition in force, after a cross-fade with the old one if that is wanted."""
        origin = target.step if self.clock == "change" else 0
        new = target.piece(*self.definition, origin=origin)
        if self.blend is None:
            return Timeline((new,))
        end = target.step + self.blend
        old = [piece for piece in timeline.after(target.step) if piece.start < end]
        fades = (self._fade(piece, new, self.blend, target) for piece in old)
        return Timeline((*fades, replace(new, start=end)))

    def _fade(self, old: Piece, new: Piece, steps: int, target: Target) -> Piece:
        """Return the mixture of both from the start of a piece of the old timeline."""
        at = old.start
        ramp = {"kind": "ramp", "steps": steps}
        falls = target.piece(composed({**ramp, "start": 1.0, "end": 0.0}))
        rises = target.piece(composed({**ramp, "start": 0.0, "end": 1.0}))
        pairs = ((falls, old), (rises, new))
        products = [{"kind": "product", "of": [_since(at, p) for p in pair]} for pair in pairs]
        return Piece(at, at, composed({"kind": "sum", "of": products}, target.field), new.revision)


class RevertEdit(Edit):
    """Go back to what revision ``to`` had in force."""

    edit: Literal["revert"]
    to: Revision

    def apply(self, _timeline: Timeline, target: Target) -> Timeline:
        """Take the timeline of the earlier revision, on the run's clock, for today's total."""
        line = target.history(self.to)[target.parameter]
        if target.total is not None:
            line = line.laid_out(target.total, target.step, target.revision, target.field)
        pieces = line.after(target.step)
        return Timeline(tuple(replace(piece, revision=target.revision) for piece in pieces))


EDITS: Final[tuple[type[Edit], ...]] = (
    ScaleEdit,
    HoldEdit,
    SetEdit,
    RampEdit,
    RewarmEdit,
    ExtendEdit,
    ReplaceEdit,
    RevertEdit,
)
"""All edits: what is sent is one of these, and so are documents, units and manuals made."""

EDIT: Final[TypeAdapter[Edit]] = TypeAdapter(
    Annotated[Union[EDITS], Field(discriminator="edit")]  # type: ignore[arg-type] # noqa: UP007
)
LENGTHS: Final[frozenset[str]] = frozenset().union(*(edit.lengths() for edit in EDITS))


def _lead(target: Target, edit: RampEdit | RewarmEdit, start: float, end: float) -> Piece:
    curve = edit.model_dump(include={"steps", "shape", "power", "ratio"})
    curve |= {"kind": "ramp", "start": start, "end": end}
    return target.piece(composed(curve, target.field))


def _since(step: int, piece: Piece) -> Definition:
    """
    Return a piece's definition as it goes on from ``step``, counted from there.

    Before its origin, to which a rewind may have gone back, it stands at its first value.
    """
    definition, offset = piece.definition, step - piece.origin
    if offset == 0:
        return definition
    if offset > 0:
        return composed({"kind": "sequence", "parts": [{"schedule": definition, "from": offset}]})
    standing = {"kind": "staircase", "of": definition, "every": -offset}
    parts = [{"schedule": standing, "steps": -offset}, {"schedule": definition}]
    return composed({"kind": "sequence", "parts": parts})


def _stretched(piece: Piece, at: int, ratio: float) -> Piece:
    """Return a piece whose clock, from step ``at`` on, runs ``ratio`` times as slowly."""
    if piece.start == at and piece.origin <= at:
        inner = _since(at, piece)
        origin = at
    else:
        inner = piece.definition
        origin = at + ceil((piece.origin - at) * ratio)
    start = at + ceil((piece.start - at) * ratio)
    stretched = composed({"kind": "stretch", "of": inner, "ratio": ratio})
    return Piece(start, origin, stretched, piece.revision)
