"""Several of MMEngine's schedulers for one field, each in its window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from rheostat.schedules.convert.building import part, scaled, since, table, times, value_at
from rheostat.schedules.convert.case import Case, Nested
from rheostat.schedules.convert.mmengine.registry import ENDLESS, library
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.sequence import Sequence
from rheostat.schedules.union import AnyDefinition

_MOST_WAVES = 10
_LONGEST = 300_000
"""How many steps are tabulated at most, times the schedulers that take turns."""


@dataclass(frozen=True)
class Window:
    """A scheduler and the steps in which it acts."""

    case: Case
    spec: Nested
    path: str
    begin: int
    end: int

    @property
    def floor(self) -> float:
        """What it pulls the value towards; 0 for what multiplies it."""
        return float(self.spec.params.get("eta_min") or 0.0)

    @property
    def restarts(self) -> bool:
        """Whether it sets the value at the start of each of its periods."""
        return self.spec.name.startswith("CosineRestart")

    @property
    def sets(self) -> bool:
        """Whether it sets the value, whatever it was."""
        return self.restarts or self.spec.name.startswith("OneCycle")

    @property
    def rises(self) -> list[int]:
        """The first few steps at which a cosine rises from its end, whatever the value was."""
        if not self.spec.name.startswith("CosineAnnealing"):
            return []
        half = int(self.spec.params.get("T_max") or self.end - self.begin)
        steps = (self.begin + half + 1 + 2 * half * i for i in range(_MOST_WAVES))
        return [step for step in steps if step < self.end]

    def curve(self, start: float) -> AnyDefinition:
        """Return its curve from a value, counted from its begin, without an end."""
        params = {**self.spec.params, "begin": 0, "end": self.end - self.begin}
        spec = Nested(name=self.spec.name, params=params)
        curve = self.case.nested(spec, self.path, base_value=start)
        if isinstance(curve, Sequence) and len(curve.parts) == 1:
            return curve.parts[0].schedule
        return curve

    def left(self, step: int) -> float:
        """Return which share of the value above the floor is left at a step; 1 before begin."""
        if step < self.begin:
            return 1.0
        return value_at(self.curve(self.floor + 1), step - self.begin) - self.floor


@library.scheduler("list", hyperparameters=None)
def several(
    case: Case, *, schedulers: Annotated[list[Nested], Field(min_length=1)]
) -> AnyDefinition:
    """
    `sequence` of what the windows leave: a curve, a `product` of overlapping ones, or a constant.

    Each scheduler goes on from the value that it finds, but for a cosine past its T_max, which
    rises towards the base value again. Where one that does not end at 0 overlaps
    with others there is no formula: those steps become a `table`.
    """
    windows = [_window(case, spec, f"schedulers[{i}]") for i, spec in enumerate(schedulers)]
    edges = {edge for window in windows for edge in (window.begin, window.end, *window.rises)}
    steps = [0, *sorted(edge for edge in edges if 0 < edge < ENDLESS)]
    ends = [*steps[1:], None]
    parts, value = [], case.base
    for begin, end in zip(steps, ends, strict=True):
        active = [window for window in windows if window.begin <= begin < window.end]
        schedule = _between(case, active, begin, end, value)
        length = None if end is None else end - begin
        parts.append(part(schedule, steps=length))
        value = value_at(schedule, (length or 1) - 1)
    return Sequence(parts=tuple(parts)) if len(parts) > 1 else parts[0].schedule


def _window(case: Case, spec: Nested, path: str) -> Window:
    """Return a scheduler's window; its floor is absolute from here on."""
    case.nested(spec, path)
    params = dict(spec.params)
    ratio = params.pop("eta_min_ratio", None)
    if ratio is not None:
        params["eta_min"] = case.base * ratio
    begin, end = int(params.get("begin", 0)), int(params.get("end", ENDLESS))
    window = Window(case, Nested(name=spec.name, params=params), path, begin, end)
    return (
        replace(window, end=min(end, begin + sum(params["periods"]))) if window.restarts else window
    )


def _between(
    case: Case, active: list[Window], begin: int, end: int | None, value: float
) -> AnyDefinition:
    """Return what the active schedulers make of a value from one edge to the next."""
    if not active:
        return Constant(value=value)
    last = active[-1]
    if last.sets and not (last.restarts and len(active) > 1):
        return since(begin - last.begin, last.curve(case.base))
    for window in active:
        if window.sets:
            message = "sets the value, which others in the same steps change: there is no formula"
            raise case.wrong(f"{window.path}.name", message, window.spec.name, "alone in its steps")
    if len(active) == 1 and begin in last.rises:
        return since(begin - last.begin, last.curve(case.base))
    if len(active) == 1:
        start = last.floor + (value - last.floor) / last.left(begin - 1)
        return since(begin - last.begin, last.curve(start))
    if any(window.floor for window in active):
        return _table(case, active, begin, end, value)
    rising = max((i for i, window in enumerate(active) if begin in window.rises), default=None)
    whole: AnyDefinition = Constant(value=value if rising is None else case.base)
    for i, window in enumerate(active):
        before = begin if rising is not None and i < rising else begin - 1
        left = 1.0 if i == rising else window.left(before)
        whole = times(whole, scaled(1 / left, since(begin - window.begin, window.curve(1.0))))
    return whole


def _table(
    case: Case, active: list[Window], begin: int, end: int | None, value: float
) -> AnyDefinition:
    """Return the values of schedulers that take turns, step by step."""
    longest = _LONGEST // len(active)
    if end is None or end - begin > longest:
        message = f"overlap for more than {longest} steps with one that has eta_min"
        raise case.wrong("schedulers", message, len(active), "eta_min 0, or an end")
    steps = np.arange(begin, end)
    shares = [_shares(window, steps) for window in active]
    values = []
    for i in range(len(steps)):
        for window, (before, left) in zip(active, shares, strict=True):
            if before[i] == 0:
                value += (case.base - window.floor) * left[i]
            else:
                value = window.floor + (value - window.floor) * left[i] / before[i]
        values.append(float(value))
    return table(values)


def _shares(window: Window, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which share above the floor is left before and at each step."""
    places = np.concatenate([steps[:1] - 1, steps]) - window.begin
    left = window.curve(window.floor + 1).values(places) - window.floor
    left[places < 0] = 1.0
    return left[:-1], left[1:]
