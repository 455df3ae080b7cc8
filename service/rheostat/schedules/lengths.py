"""
Lengths in other units than steps: ``"10%"``, ``"3 epochs"``, ``"4.3T"`` and ``"rest"``.

They are resolved to integers in the raw JSON before it is validated. Boundaries are rounded, not
lengths: a part that begins at the exact place b and is l long becomes round(b + l) − round(b)
steps, ties to even, so that parts always add up to the whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final

from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.shown import shown
from rheostat.schedules.union import KINDS

_TEXT: Final = re.compile(r"(\d{1,30}(?:\.\d{1,30})?)\s*(%|epochs?|[kKMGBT])")
_MULTIPLES: Final = {"k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
_FORMS: Final = 'an integer, "4.3T", "10%", "3 epochs" or "rest"'


@dataclass(frozen=True)
class Clock:
    """What lengths are relative to: the run's total and the length of an epoch, in steps."""

    total: int | None = None
    steps_per_epoch: int | None = None
    errors: list[FieldError] = field(default_factory=list)


@dataclass(frozen=True)
class Window:
    """Where a definition begins on the run's clock, exactly, and where its time ends if known."""

    clock: Clock
    start: Fraction = Fraction(0)
    end: Fraction | None = None


def resolve(raw: Any, window: Window, path: str) -> Any:
    """Return the raw definition with all lengths resolved; errors go to the clock's list."""
    if not isinstance(raw, dict) or not isinstance(raw.get("kind"), str):
        return raw
    cls = KINDS.get(raw["kind"])
    if cls is None:
        return raw
    return _LAYOUTS.get(raw["kind"], _plain)(cls, raw, window, path)


def _plain(cls: type[Definition], raw: dict[str, Any], window: Window, path: str) -> dict[str, Any]:
    """Lay the length fields out one after the other; children share the window."""
    out, _ = _consecutive(raw, cls.lengths, window, path)
    return {key: _child(value, window, f"{path}.{key}") for key, value in out.items()}


def _child(value: Any, window: Window, path: str) -> Any:
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
        return [resolve(item, window, f"{path}[{i}]") for i, item in enumerate(value)]
    return resolve(value, window, path)


def _warmup(
    cls: type[Definition], raw: dict[str, Any], window: Window, path: str
) -> dict[str, Any]:
    out, after = _consecutive(raw, cls.lengths, window, path)
    if "then" in out:
        out["then"] = resolve(out["then"], replace(window, start=after), f"{path}.then")
    return out


def _sequence(
    cls: type[Definition], raw: dict[str, Any], window: Window, path: str
) -> dict[str, Any]:
    del cls
    parts = raw.get("parts")
    if not isinstance(parts, (list, tuple)):
        return raw
    lengths = [_part_length(part) for part in parts]
    start, out = window.start, []
    for i, part in enumerate(parts):
        if not isinstance(part, dict):
            out.append(part)
            continue
        here, new = f"{path}.parts[{i}]", dict(part)
        end: Fraction | None = window.end
        if isinstance(part.get("until"), (str, int, float)):
            exact = _exact(part["until"], window, f"{here}.until", "")
            end = None if exact is None else window.start + exact
            new["until"] = _steps(part["until"], window.start, end)
        elif isinstance(part.get("steps"), (str, int, float)):
            inner = replace(window, start=start)
            after = _total_of(lengths[i + 1 :], window.clock)
            exact = _exact(part["steps"], inner, f"{here}.steps", "", after)
            end = None if exact is None else start + exact
            new["steps"] = _steps(part["steps"], start, end)
        inner = replace(window, start=start, end=end)
        new["schedule"] = resolve(part.get("schedule"), inner, f"{here}.schedule")
        if "schedule" not in part:
            del new["schedule"]
        start = start if end is None else end
        out.append(new)
    return {**raw, "parts": out}


def _part_length(part: Any) -> Any:
    return part.get("steps") if isinstance(part, dict) else None


def _milestones(
    cls: type[Definition], raw: dict[str, Any], window: Window, path: str
) -> dict[str, Any]:
    del cls
    items = raw.get("milestones")
    if not isinstance(items, (list, tuple)):
        return raw
    places = [_place(item, window, f"{path}.milestones[{i}]") for i, item in enumerate(items)]
    return {**raw, "milestones": places}


def _points(
    cls: type[Definition], raw: dict[str, Any], window: Window, path: str
) -> dict[str, Any]:
    del cls
    items = raw.get("points")
    if not isinstance(items, (list, tuple)):
        return raw
    points = [
        [_place(item[0], window, f"{path}.points[{i}][0]"), *item[1:]]
        if isinstance(item, (list, tuple)) and item
        else item
        for i, item in enumerate(items)
    ]
    return {**raw, "points": points}


_Layout = Callable[[type[Definition], dict[str, Any], Window, str], dict[str, Any]]
_LAYOUTS: Final[dict[str, _Layout]] = {
    "warmup": _warmup,
    "sequence": _sequence,
    "multistep": _milestones,
    "piecewise": _points,
}


def _place(value: Any, window: Window, path: str) -> Any:
    if not isinstance(value, str):
        return value
    exact = _exact(value, window, path, "")
    return _steps(value, window.start, None if exact is None else window.start + exact)


def _consecutive(
    raw: dict[str, Any], names: tuple[str, ...], window: Window, path: str
) -> tuple[dict[str, Any], Fraction]:
    """Resolve fields that follow each other; return them, and where the last one ends."""
    out, start = dict(raw), window.start
    for i, name in enumerate(names):
        if raw.get(name) is None:
            continue
        after = _total_of([raw.get(later) for later in names[i + 1 :]], window.clock)
        exact = _exact(raw[name], replace(window, start=start), f"{path}.{name}", "", after)
        end = None if exact is None else start + exact
        out[name] = _steps(raw[name], start, end)
        start = start if end is None else end
    return out, start


def _steps(value: Any, start: Fraction, end: Fraction | None) -> Any:
    """Return the whole steps from start to end for a length that was given as text."""
    if not isinstance(value, str) or end is None:
        return value
    return round(end) - round(start)


def _total_of(values: list[Any], clock: Clock) -> Fraction:
    """Return the length of what follows a ``"rest"``, as far as it can be told."""
    quiet = Clock(clock.total, clock.steps_per_epoch)
    exact = (_exact(value, Window(quiet), "", "") for value in values if value != "rest")
    return sum((length for length in exact if length is not None), Fraction(0))


def _exact(
    value: Any, window: Window, path: str, bound: str, after: Fraction = Fraction(0)
) -> Fraction | None:
    """Return a length in exact steps, or None after an error or for what is no length."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if not isinstance(value, str):
        return Fraction(value) if abs(value) < 2**64 else None  # noqa: RET504
    clock = window.clock
    if value == "rest":
        return _rest(window, path, after)
    match = _TEXT.fullmatch(value)
    if match is None:
        return _wrong(clock, path, f"is not a length: write {_FORMS}", value, bound or _FORMS)
    number, unit = Fraction(match[1]), match[2]
    if unit == "%":
        if clock.total is None:
            return _wrong(clock, path, "is a share of the total: give `total`", value)
        return number / 100 * clock.total
    if unit.startswith("epoch"):
        if clock.steps_per_epoch is None:
            return _wrong(clock, path, "counts epochs: give `steps_per_epoch`", value)
        return number * clock.steps_per_epoch
    exact = number * _MULTIPLES[unit]
    if exact.denominator != 1:
        return _wrong(clock, path, "is not a whole number of steps", value)
    return exact


def _rest(window: Window, path: str, after: Fraction) -> Fraction | None:
    if window.end is None:
        return _wrong(window.clock, path, "needs an end: give `total`", "rest")
    left = window.end - window.start - after
    if left < 0:
        message = f"has nothing left: the other lengths are {-left} steps too long"
        return _wrong(window.clock, path, message, "rest")
    return left


def _wrong(clock: Clock, path: str, message: str, value: Any, bound: str | None = None) -> None:
    clock.errors.append(FieldError(path, f"{path} {message}", shown(value), bound))
