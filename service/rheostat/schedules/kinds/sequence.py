"""The combinator of definitions one after the other."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from math import ceil, inf, nextafter
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rheostat.schedules import numeric
from rheostat.schedules.definition import (
    About,
    AnyKind,
    Array,
    Bounds,
    Child,
    Definition,
    Floats,
    Followed,
    Places,
    Wave,
    array,
    places_within,
)
from rheostat.schedules.field_errors import wrong
from rheostat.schedules.field_types import LengthOrZero, Position
from rheostat.schedules.lengths import (
    Boundary,
    Json,
    Timeframe,
    end_of,
    is_relative,
    later,
    resolve,
    steps_of,
)


class Part(BaseModel):
    """One part of a sequence: a definition and how long it is in force."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    schedule: Annotated[AnyKind, Field(description="the definition in force")]
    steps: Annotated[LengthOrZero | None, Field(description="how long it is in force")] = None
    until: Annotated[
        LengthOrZero | None,
        Field(description="instead of steps: the step of the sequence at which it ends"),
    ] = None
    from_: Annotated[
        Position, Field(alias="from", description="where inside its own curve the part begins")
    ] = 0.0

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.steps is not None and self.until is not None:
            raise wrong("until", "cannot stand beside steps", self.until, "steps or until")
        return self

    def end(self, start: int) -> float:
        """Return where the part ends if it begins at ``start``; infinity if it is open."""
        if self.until is not None:
            return self.until
        return inf if self.steps is None else start + self.steps


class Sequence(Definition):
    """Definitions one after the other, each counting from its own beginning."""

    family = "Combinators in time"
    about = About(
        formula="parts[i].schedule(t − start of part i + from), i the last part with start ≤ t",
        after="the value at the end of the last part's own curve; an open last part goes on",
        example={
            "kind": "sequence",
            "parts": [
                {
                    "schedule": {"kind": "linear", "start": 0, "end": 0.1, "steps": 500},
                    "steps": 500,
                },
                {"schedule": {"kind": "constant", "value": 0.1}, "until": 8000},
                {"schedule": {"kind": "cosine", "start": 0.1, "end": 0, "steps": 2000}},
            ],
        },
        names={
            "fvcore": "CompositeParamScheduler",
            "ignite": "ConcatScheduler",
            "mmengine": "begin, end",
            "olmo_core": "SequentialScheduler",
            "optax": "join_schedules",
            "torch": "SequentialLR",
        },
    )

    kind: Literal["sequence"] = "sequence"
    parts: Annotated[
        tuple[Part, ...],
        Field(strict=False, min_length=1, description="the parts in order; the last may be open"),
    ]

    @classmethod
    def laid_out(cls, raw: Json, time: Timeframe, path: str) -> Json:
        """Let each part begin where the one before it ends."""
        parts = raw.get("parts")
        if not isinstance(parts, (list, tuple)):
            return raw
        out, start = [], time.start
        lengths = [part.get("steps") if isinstance(part, dict) else None for part in parts]
        places = [f"{path}.parts[{i}]" for i in range(len(parts))]
        after = later(lengths, time.clock, [f"{place}.steps" for place in places])
        for i, (part, here, left) in enumerate(zip(parts, places, after, strict=True)):
            resolved = part
            if isinstance(part, dict):
                around = time.followed(last=i == len(parts) - 1)
                resolved, start = _laid_out(part, left, around, start, here)
            out.append(resolved)
        return {**raw, "parts": out}

    @model_validator(mode="after")
    def _parts_follow(self) -> Self:
        for i, (before, part) in enumerate(pairwise(self._ends)):
            if before == inf:
                bound = "steps or until"
                raise wrong(f"parts[{i}].steps", "is required of all but the last", None, bound)
            if part < before:
                message = "must not lie before the end of the part before it"
                raise wrong(f"parts[{i + 1}].until", message, part, f"≥ {before:.0f}")
        return self

    @cached_property
    def _ends(self) -> tuple[float, ...]:
        ends: list[float] = [0]
        for part in self.parts:
            ends.append(part.end(int(ends[-1])) if ends[-1] < inf else inf)
        return tuple(ends[1:])

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.array([0, *self._ends[:-1]], dtype=np.int64)

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return each part's values where it is in force; past the end the last one's end."""
        if isinstance(t, range):
            return self._along(t, followed)
        t = t if self._ends[-1] == inf else np.minimum(t, int(self._ends[-1]))
        index = np.searchsorted(self._starts, t, side="right") - 1
        if (index[1:] >= index[:-1]).all():
            return self._in_order(t, index, followed)
        order = np.argsort(index, kind="stable")
        values = np.empty(t.shape)
        values[order] = self._in_order(t[order], index[order], followed)
        return values

    def _along(self, t: range, followed: Followed | None) -> Floats:
        """Return the values at the steps of a range."""
        values = np.empty(len(t))
        starts = (bisect_left(t, end) for end in self._ends[:-1])
        held = bisect_right(t, self._ends[-1])
        for i, (low, high) in enumerate(pairwise([0, *starts, held])):
            if low < high:
                values[low:high] = self._part_at(i, t[low:high], followed)
        if held < len(t):
            end = int(self._ends[-1])
            values[held:] = self._part_at(len(self.parts) - 1, range(end, end + 1), followed)
        return values

    def _in_order(self, t: Array, index: NDArray[np.intp], followed: Followed | None) -> Floats:
        """Return the values at places whose parts' numbers never fall."""
        edges = [0, *(np.flatnonzero(index[1:] != index[:-1]) + 1), len(t)]
        values = np.empty(t.shape)
        for low, high in pairwise(edges):
            if low < high:
                values[low:high] = self._part_at(index[low], t[low:high], followed)
        return values

    def _part_at(self, i: int, t: Places, followed: Followed | None) -> Floats:
        part = self.parts[i]
        begin = int(self._starts[i])
        if not part.from_.is_integer():
            return part.schedule.at(self._between_steps(part, array(t), begin), followed)
        shift = int(part.from_) - begin
        if isinstance(t, range):
            return part.schedule.at(range(t.start + shift, t.stop + shift, t.step), followed)
        return part.schedule.at(t + shift, followed)

    def _between_steps(self, part: Part, t: Array, begin: int) -> Floats:
        """Return where inside its own curve a part is that begins between two steps of it."""
        wave, shift = part.schedule.wave, part.from_ - begin
        return t + shift if wave is None else wave.places(*numeric.two_sum(t.astype(float), shift))

    @property
    def wave(self) -> Wave | None:
        """That of the last part, if it is open."""
        last, begin = self.parts[-1], int(self._starts[-1])
        if self._ends[-1] < inf or (inner := last.schedule.wave) is None:
            return None
        return inner._replace(start=begin + max(1, ceil(inner.start - last.from_)))

    def children(self, start: float = 0.0, stop: float = inf) -> Iterator[Child]:
        """Yield the parts that are in force somewhere from start to stop."""
        last = len(self.parts) - 1
        for i, (part, end) in enumerate(zip(self.parts, self._ends, strict=True)):
            begin = float(self._starts[i])
            final = min(stop, end if i == last else nextafter(end, -inf))
            first = min(max(start, begin), end if i == last else inf)
            if begin <= first <= final:
                shift = part.from_ - begin
                first, final = first + shift, final + shift
                if not part.from_.is_integer() and (wave := part.schedule.wave) is not None:
                    first, final = wave.stretch(first, final)
                yield Child(f"parts[{i}].schedule", part.schedule, first, final)

    def corners(self, start: float, stop: float, most: int) -> Floats:
        """Return where parts begin, and the corners of those in force."""
        found, share = [places_within(self._starts, start, stop)], max(most // len(self.parts), 1)
        for i, (part, end) in enumerate(zip(self.parts, self._ends, strict=True)):
            begin = float(self._starts[i])
            first, last, shift = max(start, begin), min(stop, end), part.from_ - begin
            if first <= last:
                inner = part.schedule.corners(first + shift, last + shift, share)
                found.append(inner - shift)
        return np.concatenate(found)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the hull of the intervals of the parts in force."""
        parts = [
            child.definition.between(child.start, child.stop, followed)
            for child in self.children(start, stop)
        ]
        return Bounds.around(*(value for bounds in parts for value in bounds))

    @property
    def length(self) -> int | None:
        """The end of the last part, or where an open last part's own curve ends."""
        if self._ends[-1] < inf:
            return int(self._ends[-1])
        inner = self.parts[-1].schedule.length
        if inner is None:
            return None
        return int(self._starts[-1]) + max(0, ceil(inner - self.parts[-1].from_))


def _laid_out(
    part: Json, left: Fraction, time: Timeframe, start: Boundary, path: str
) -> tuple[Json, Boundary]:
    """Return a part with its lengths resolved, and where it ends."""
    out, end = dict(part), None
    if part.get("until") is not None:
        end = end_of(part["until"], time, f"{path}.until", last=True)
        if end is not None and time.clock.kept is not None:
            end = end._replace(whole=max(end.whole, start.whole))
        out["until"] = steps_of(part["until"], time.start, end)
    elif part.get("steps") is not None:
        end = end_of(part["steps"], time.since(start), f"{path}.steps", left, last=True)
        out["steps"] = steps_of(part["steps"], start, end)
    inner = replace(time, start=start, end=time.end if end is None else end.exact)
    if "from" in part:
        out["from"], inner = _skipped(part["from"], inner, f"{path}.from")
    if "schedule" in part:
        out["schedule"] = resolve(part["schedule"], inner, f"{path}.schedule")
    return out, start if end is None else end


def _skipped(given: Any, time: Timeframe, path: str) -> tuple[Any, Timeframe]:
    """Return where inside its own curve a part begins, and the time of what it then uses."""
    begin = end_of(given, Timeframe(time.clock), path)
    skipped = steps_of(given, Boundary(Fraction(0), 0), begin)
    if not is_relative(given) or begin is None:
        return skipped, time.ahead(skipped)
    if time.passed(time.start.whole):
        time.note(path, begin.whole)
    if time.clock.kept is not None:  # what is skipped may be kept, of a curve that is longer
        time = time.moved(begin.whole - round(begin.exact))
    return skipped, time.ahead(begin.whole)
