"""
Guards: the bounds of a run's parameters that no change may cross by a slip.

What goes furthest beyond a bound is searched for. Intervals are bounded by interval arithmetic,
which takes what depends on each other for independent (the two curves of a cross-fade, say) and so
promises less than is true. What it cannot rule out is halved, the worst part first, until a part is
short enough to look at all of its values.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rheostat import wire
from rheostat.errors import FieldError, GuardViolated
from rheostat.limits import MAX_STEP
from rheostat.schedules.field_errors import wrong
from rheostat.server.runs.timeline import Timelines, nodes

SHORT = 4_096
"""Steps of a part whose values are all looked at."""

EFFORT = 6_000
"""Parts that one request may bound in all before what is in doubt is taken for what it may be."""

LIGHT = 16
"""Nodes of a light definition; a heavier one counts as several."""

LOOK = 8
"""Parts that are bounded while all values of a short one are computed."""

SLACK = 1e-12
"""Relative to the limit, what no slip makes: bounds are widened, and mixtures rounded."""

Number = Annotated[float, Field(allow_inf_nan=False)]


class Guard(BaseModel):
    """The bounds of one parameter's values, and of its jumps where a change takes effect."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    min: (
        Annotated[
            Number,
            Field(description="the least value allowed; of `lr` and `weight_decay` 0 by default"),
        ]
        | None
    ) = None
    max: Annotated[Number, Field(description="the greatest value allowed")] | None = None
    max_ratio: (
        Annotated[float, Field(ge=1, allow_inf_nan=False, description="the greatest jump allowed")]
        | None
    ) = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise wrong("min", "must not be above max", self.min, f"≤ {self.max!r}")
        return self

    def to_json(self) -> wire.GuardBounds:
        """Return the wire form."""
        return {"min": self.min, "max": self.max, "max_ratio": self.max_ratio}


Guards = Mapping[str, Guard]

NOT_NEGATIVE = frozenset({"lr", "weight_decay"})
"""Parameters that are hardly ever meant to be negative, in any group."""


def with_floors(guards: Guards, names: Iterable[str]) -> dict[str, Guard]:
    """
    Return the guards, with a ``min`` of 0 for what must not be negative by a slip.

    A guard that has a ``min``, be it null, or a ``max`` below 0, says what is meant.
    """
    found = dict(guards)
    for name in names:
        guard = guards.get(name, Guard())
        said = "min" in guard.model_fields_set or (guard.max is not None and guard.max < 0)
        if name.partition("/")[0] in NOT_NEGATIVE and not said:
            found[name] = guard.model_copy(update={"min": 0.0})
    return dict(sorted(found.items()))


def violations(
    guards: Guards,
    before: Timelines,
    after: Timelines,
    step: int,
    effort: Effort | None = None,
) -> Iterator[FieldError]:
    """
    Yield every guard that is broken when ``after`` replaces ``before`` from ``step`` on.

    Jumps are checked at ``step``, where the two part, and at every later boundary of ``after``
    (the end of a hold, say), also those that a parameter inherits from one that it follows.
    """
    effort = effort or Effort()
    for name, guard in guards.items():
        if all(before[other] is after[other] for other in after.sources(name)):
            continue  # what is as it was has been checked, or forced, before
        yield from _outside(f"changes.{name}", name, guard, after, step, effort)
        if guard.max_ratio is not None:
            old, new = before.value(name, step), after.value(name, step)
            yield from _jump(name, guard.max_ratio, step, old, new)
            for boundary in after.boundaries(name, step):
                old, new = after.value(name, boundary - 1), after.value(name, boundary)
                yield from _jump(name, guard.max_ratio, boundary, old, new)


def require_sound_start(guards: Guards, timelines: Timelines) -> None:
    """Raise `GuardViolated` if the definitions that a run begins with break its own bounds."""
    effort = Effort()
    errors = [
        error
        for name, guard in guards.items()
        for error in _outside(f"parameters.{name}", name, guard, timelines, 0, effort)
    ]
    if errors:
        raise GuardViolated(
            "the run would break its own guards; a guard of lr or weight_decay that may be negative"
            ' says so: "min": null',
            errors=errors,
        )


def require_guards(
    guards: Guards,
    before: Timelines,
    after: Timelines,
    step: int,
    revision: int,
    effort: Effort,
) -> None:
    """Raise `GuardViolated` if revision ``revision``, effective at ``step``, breaks a guard."""
    errors = list(violations(guards, before, after, step, effort))
    if errors:
        raise GuardViolated(
            f"revision {revision}, effective at {step}, would break"
            f" {'a guard' if len(errors) == 1 else f'{len(errors)} guards'};"
            ' "force": true overrides, and is recorded',
            errors=errors,
            revision=revision,
            effective=step,
        )


def _outside(
    field: str, name: str, guard: Guard, after: Timelines, step: int, effort: Effort
) -> Iterator[FieldError]:
    if guard.min is not None and (least := below(after, name, step, guard.min, effort)):
        message = f"{_reach(name, 'fall', least)}, below its guard of {guard.min!r}"
        yield FieldError(field, message, least.value, f">= {guard.min!r}")
    if guard.max is not None and (most := above(after, name, step, guard.max, effort)):
        message = f"{_reach(name, 'rise', most)}, above its guard of {guard.max!r}"
        yield FieldError(field, message, most.value, f"<= {guard.max!r}")


def _reach(name: str, way: str, to: Extreme) -> str:
    if to.step is None:
        return f"{name} may {way} as far as {to.value!r}"
    when = "in the end" if to.step == MAX_STEP else f"at step {to.step}"
    return f"{name} would {way} to {to.value!r} {when}"


def _jump(name: str, limit: float, step: int, old: float, new: float) -> Iterator[FieldError]:
    if factor(old, new) > limit * (1 + SLACK):
        yield too_far(name, repr(limit), step, old, new)


def too_far(name: str, limit: str, step: int, old: float, new: float) -> FieldError:
    """Return what is wrong with a jump that is by more than a factor, as that is written."""
    message = f"{name} would jump from {old!r} to {new!r} at step {step}, by more than ×{limit}"
    return FieldError(f"changes.{name}", message, new, f"a jump of at most ×{limit}")


def factor(old: float, new: float) -> float:
    """Return by which factor a value becomes another one, up or down; infinite across 0."""
    if old == new:
        return 1.0
    if old == 0 or new == 0 or (old < 0) != (new < 0):
        return math.inf
    return max(old / new, new / old)


class Extreme(NamedTuple):
    """A value beyond a limit: at a step, or (if none is known) one that could not be ruled out."""

    value: float
    step: int | None


class Effort:
    """
    What the searches of one request may still do, all together.

    A search that its first bounds decide takes nothing of it, however much else there is. It is
    counted and not timed, so that what is accepted is the same on every machine.
    """

    def __init__(self) -> None:
        self._left = EFFORT

    def spend(self, work: int) -> bool:
        """Take so much of it; return whether there was enough."""
        self._left -= work
        return self._left >= 0


def weight_of(name: str, start: int, stop: int, *lines: Timelines) -> int:
    """Return how many light definitions a parameter's pieces, and what they follow, are there."""
    count = sum(
        nodes(piece.definition)
        for line in lines
        for other in line.sources(name)
        for piece in line[other].between(start, stop)
    )
    return -(-count // LIGHT)


def above(
    timelines: Timelines, name: str, step: int, limit: float, effort: Effort
) -> Extreme | None:
    """Return the greatest value above ``limit`` from ``step`` on, or None if there is none."""
    return _Search(timelines, name, 1, limit, effort).run(step)


def below(
    timelines: Timelines, name: str, step: int, limit: float, effort: Effort
) -> Extreme | None:
    """Return the least value below ``limit`` from ``step`` on, or None if there is none."""
    return _Search(timelines, name, -1, limit, effort).run(step)


class _Search:
    """The search in one direction: upwards, or with ``sign`` −1 downwards."""

    def __init__(
        self, timelines: Timelines, name: str, sign: int, limit: float, effort: Effort
    ) -> None:
        self._timelines = timelines
        self._name = name
        self._sign = sign
        self._most = sign * limit + abs(limit) * SLACK
        self._step: int | None = None
        self._effort = effort

    def run(self, step: int) -> Extreme | None:
        """Return what goes furthest beyond the limit from a step on."""
        end = max(self._timelines.end(self._name), step)
        parts = [(step, end), (end + 1, MAX_STEP)]
        waiting = sorted(self._rated(start, stop) for start, stop in parts if start <= stop)
        while waiting:
            rating, start, stop = heapq.heappop(waiting)
            if -rating <= self._most:
                break
            short = stop - start < SHORT
            weight = weight_of(self._name, start, stop, self._timelines)
            if not self._effort.spend(weight * (LOOK if short else 2)):
                return self._found() or Extreme(-self._sign * rating, None)
            if short:
                self._look_at(np.arange(start, stop + 1))
                continue
            middle = (start + stop) // 2
            heapq.heappush(waiting, self._rated(start, middle))
            heapq.heappush(waiting, self._rated(middle + 1, stop))
        return self._found()

    def _found(self) -> Extreme | None:
        return None if self._step is None else Extreme(self._sign * self._most, self._step)

    def _rated(self, start: int, stop: int) -> tuple[float, int, int]:
        """Return how far a part may go, as what is least for the worst, and where it lies."""
        bounds = self._timelines.bounds(start, stop)[self._name]
        return -(bounds.max if self._sign > 0 else -bounds.min), start, stop

    def _look_at(self, steps: np.ndarray) -> None:
        values = self._sign * self._timelines.evaluate(steps)[self._name]
        best = int(np.argmax(values))
        if values[best] > self._most:
            self._most, self._step = float(values[best]), int(steps[best])
