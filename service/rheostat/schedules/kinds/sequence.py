"""The combinator of definitions one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from math import inf, nextafter
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from rheostat.schedules.definition import Bounds, Child, Definition, Floats, Followed, Places
from rheostat.schedules.fields import LengthOrZero, Position

if TYPE_CHECKING:
    from rheostat.schedules.union import AnyDefinition


class Part(BaseModel):
    """One part of a sequence: a definition and how long it is in force."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", populate_by_name=True, validate_default=True
    )

    schedule: Annotated["AnyDefinition", Field(description="the definition in force")]
    steps: Annotated[
        LengthOrZero | None, Field(description="how long it is in force, in steps")
    ] = None
    until: Annotated[
        LengthOrZero | None,
        Field(description="instead of steps: the step of the sequence at which it ends"),
    ] = None
    from_: Annotated[
        Position,
        Field(alias="from", description="where inside its own curve the part begins, in steps"),
    ] = 0

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.steps is not None and self.until is not None:
            raise PydanticCustomError("part_end", "steps or until, not both", {"field": "until"})
        return self

    def places(self, t: Places) -> Places:
        """Return the places of the part's own curve for t steps since it began."""
        return t + int(self.from_) if self.from_.is_integer() else t + self.from_


class Sequence(Definition):
    """Definitions one after the other, each counting from its own beginning."""

    kind: Literal["sequence"] = "sequence"
    parts: Annotated[
        tuple[Part, ...],
        Field(strict=False, min_length=1, description="the parts in order; the last may be open"),
    ]

    @model_validator(mode="after")
    def _ends(self) -> Self:
        end = 0
        for i, part in enumerate(self.parts):
            if part.until is not None and part.until < end:
                raise PydanticCustomError(
                    "part_order",
                    "must not lie before the end of the part before it, {bound}",
                    {"field": f"parts[{i}].until", "value": part.until, "bound": f"≥ {end}"},
                )
            if part.until is None and part.steps is None and i < len(self.parts) - 1:
                message = "steps or until is required: only the last part may be open"
                raise PydanticCustomError("part_open", message, {"field": f"parts[{i}].steps"})
            end = part.until if part.until is not None else end + (part.steps or 0)
        return self

    @cached_property
    def ends(self) -> tuple[float, ...]:
        """The steps at which the parts end; infinite for an open one."""
        ends: list[float] = []
        end: float = 0
        for part in self.parts:
            if part.until is not None:
                end = part.until
            else:
                end = inf if part.steps is None else end + part.steps
            ends.append(end)
        return tuple(ends)

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.array([0, *(int(end) for end in self.ends[:-1])], dtype=np.int64)

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return each part's values where it is in force; past the end the last one's end."""
        t = t if self.ends[-1] == inf else np.minimum(t, int(self.ends[-1]))
        index = np.searchsorted(self._starts, t, side="right") - 1
        values = np.empty(t.shape)
        for i in np.unique(index):
            here = index == i
            part = self.parts[i]
            values[here] = part.schedule.at(part.places(t[here] - self._starts[i]), followed)
        return values

    def children(self, start: float = 0.0, stop: float = inf) -> Iterator[Child]:
        """Yield the parts that are in force somewhere from start to stop."""
        last = len(self.parts) - 1
        for i, part in enumerate(self.parts):
            begin, end = float(self._starts[i]), self.ends[i]
            if i == last:
                first, final = max(start, begin), min(stop, end)
                final = max(first, final) if end != inf else stop
                first = min(first, end)
            else:
                first, final = max(start, begin), min(stop, nextafter(end, 0.0))
            if first <= final:
                yield Child(
                    f"parts[{i}].schedule",
                    part.schedule,
                    first - begin + part.from_,
                    final - begin + part.from_,
                )

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the hull of the intervals of the parts in force."""
        inner = [
            child.definition.between(child.start, child.stop, followed)
            for child in self.children(start, stop)
        ]
        return Bounds.around(*(value for bounds in inner for value in bounds))

    @property
    def length(self) -> int | None:
        """The end of the last part, or where the open last part's own curve ends."""
        if self.ends[-1] != inf:
            return int(self.ends[-1])
        last = self.parts[-1]
        inner = last.schedule.length
        if inner is None:
            return None
        return int(self._starts[-1]) + max(0, inner - int(last.from_))
