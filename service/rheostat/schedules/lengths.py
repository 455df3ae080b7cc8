"""
Lengths in other units than steps: ``"10%"``, ``"3 epochs"``, ``"4.3T"`` and ``"rest"``.

They are resolved to integers in the raw JSON before it is validated. Boundaries are rounded, not
lengths: a part from the exact place a to b becomes round(b) − round(a) steps, ties to even, so that
parts always add up to the whole. A definition that stands inside of
another one begins where its time begins, and ``"rest"`` reaches to where that time ends: the end
of its part, or the run's total.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final, NamedTuple, TypeAlias

from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.fields import MAX_STEP
from rheostat.schedules.shown import shown
from rheostat.schedules.union import KINDS

_TEXT: Final = re.compile(r"(\d{1,30})(?:\.(\d{1,30}))? ?(%|epochs?|[kKMGBT])", re.ASCII)
_MULTIPLES: Final = {"k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
_FORMS: Final = 'an integer, "4.3T", "10%", "3 epochs" or "rest"'
_MOST_ERRORS: Final = 20
"""Wrong lengths that are told; of the others none is noted."""
_Object: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Clock:
    """What lengths are relative to: the run's total and the length of an epoch, in steps."""

    total: int | None = None
    steps_per_epoch: int | None = None
    errors: list[FieldError] = field(default_factory=list)


class Boundary(NamedTuple):
    """A place between two lengths on the run's clock: exactly, and as it is rounded."""

    exact: Fraction
    whole: int

    def after(self, length: Fraction, written: Any) -> Boundary:
        """Return the boundary past a length: rounded if it is text, as many steps on if not."""
        exact = self.exact + length if self.exact else length
        return Boundary(
            exact, round(exact) if isinstance(written, str) else self.whole + round(length)
        )


_NOTHING: Final = Fraction(0)
_ORIGIN: Final = Boundary(_NOTHING, 0)


@dataclass(frozen=True)
class Window:
    """The time of a definition on the run's clock: where it starts, and where it ends if known."""

    clock: Clock
    start: Boundary = _ORIGIN
    end: Fraction | None = None

    def since(self, start: Boundary) -> Window:
        """Return the window from a later start on."""
        return replace(self, start=start)


def resolve(raw: Any, window: Window, path: str) -> Any:
    """Return the raw definition with all lengths resolved; errors go to the clock's list."""
    if not isinstance(raw, dict) or not isinstance(raw.get("kind"), str):
        return raw
    cls = KINDS.get(raw["kind"])
    if cls is None:
        return raw
    return _LAYOUTS.get(raw["kind"], _plain)(cls, raw, window, path)


def _plain(cls: type[Definition], raw: _Object, window: Window, path: str) -> _Object:
    """Lay the length fields out one after the other; what stands inside has the same time."""
    out, _ = _consecutive(raw, cls.lengths, window, path)
    return {key: _inside(value, window, f"{path}.{key}") for key, value in out.items()}


def _inside(value: Any, window: Window, path: str) -> Any:
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
        return [resolve(item, window, f"{path}[{i}]") for i, item in enumerate(value)]
    return resolve(value, window, path)


def _warmup(cls: type[Definition], raw: _Object, window: Window, path: str) -> _Object:
    """Let what follows the warm-up begin where it ends."""
    out, end = _consecutive(raw, cls.lengths, window, path)
    then = resolve(raw.get("then"), window.since(end), f"{path}.then")
    return out if then is None else {**out, "then": then}


def _repeat(cls: type[Definition], raw: _Object, window: Window, path: str) -> _Object:
    """Give what is repeated a clock of its own, which ends with the period."""
    out, end = _consecutive(raw, cls.lengths, window, path)
    period = end.exact - window.start.exact
    inner = Window(window.clock, end=period or None)
    return {**out, "of": resolve(raw["of"], inner, f"{path}.of")} if "of" in raw else out


def _retimed(cls: type[Definition], raw: _Object, window: Window, path: str) -> _Object:
    """Give what runs at another pace a clock of its own, without an end."""
    out, _ = _consecutive(raw, cls.lengths, window, path)
    inner = Window(window.clock)
    return {**out, "of": resolve(raw["of"], inner, f"{path}.of")} if "of" in raw else out


def _sequence(cls: type[Definition], raw: _Object, window: Window, path: str) -> _Object:
    """Let each part begin where the one before it ends."""
    del cls
    parts = raw.get("parts")
    if not isinstance(parts, (list, tuple)):
        return raw
    out, start = [], window.start
    lengths = [part.get("steps") if isinstance(part, dict) else None for part in parts]
    places = [f"{path}.parts[{i}]" for i in range(len(parts))]
    after = _after(lengths, window.clock, [f"{place}.steps" for place in places])
    for part, place, later in zip(parts, places, after, strict=True):
        resolved = part
        if isinstance(part, dict):
            resolved, start = _part(part, later, window, start, place)
        out.append(resolved)
    return {**raw, "parts": out}


def _part(
    part: _Object, later: Fraction, window: Window, start: Boundary, path: str
) -> tuple[_Object, Boundary]:
    """Return a part with its lengths resolved, and where it ends."""
    out, end = dict(part), None
    if part.get("until") is not None:
        end = _end(part["until"], window, f"{path}.until")
        out["until"] = _steps(part["until"], window.start, end)
    elif part.get("steps") is not None:
        end = _end(part["steps"], window.since(start), f"{path}.steps", later)
        out["steps"] = _steps(part["steps"], start, end)
    if "from" in part:
        out["from"] = _place(part["from"], Window(window.clock), f"{path}.from")
    if "schedule" in part:
        inner = Window(window.clock, start, window.end if end is None else end.exact)
        out["schedule"] = resolve(part["schedule"], inner, f"{path}.schedule")
    return out, start if end is None else end


def _after(lengths: Sequence[Any], clock: Clock, paths: Sequence[str]) -> list[Fraction]:
    """
    Return for each length how long those after it are together: what its ``"rest"`` leaves them.

    Of lengths that follow each other one can be the rest; another one would have nothing.
    """
    rests = [i for i, length in enumerate(lengths) if length == "rest"]
    if not rests:
        return [_NOTHING] * len(lengths)
    for i in rests[1:]:
        message = "is said a second time, and the first one takes all that is left"
        _wrong(clock, paths[i], message, "rest", 'one "rest" among lengths in a row')
    quiet = Window(replace(clock, errors=[]))
    after, total = [], _NOTHING
    for length in reversed(lengths):
        after.append(total)
        total += (None if length == "rest" else _exact(length, quiet, "")) or _NOTHING
    return after[::-1]


def _milestones(cls: type[Definition], raw: _Object, window: Window, path: str) -> _Object:
    del cls
    items = raw.get("milestones")
    if not isinstance(items, (list, tuple)) or str not in {*map(type, items)}:
        return raw
    here = f"{path}.milestones"
    return {**raw, "milestones": [_place(x, window, f"{here}[{i}]") for i, x in enumerate(items)]}


def _points(cls: type[Definition], raw: _Object, window: Window, path: str) -> _Object:
    del cls
    items = raw.get("points")
    if not isinstance(items, (list, tuple)) or not any(_has_text(item) for item in items):
        return raw
    points = [
        [_place(item[0], window, f"{path}.points[{i}][0]"), *item[1:]] if _has_text(item) else item
        for i, item in enumerate(items)
    ]
    return {**raw, "points": points}


def _has_text(item: Any) -> bool:
    return isinstance(item, (list, tuple)) and bool(item) and isinstance(item[0], str)


_Layout: TypeAlias = Callable[[type[Definition], _Object, Window, str], _Object]
_LAYOUTS: Final[dict[str, _Layout]] = {
    "multistep": _milestones,
    "piecewise": _points,
    "repeat": _repeat,
    "sequence": _sequence,
    "stretch": _retimed,
    "warmup": _warmup,
    "warp": _retimed,
}


def _consecutive(
    raw: _Object, names: tuple[str, ...], window: Window, path: str
) -> tuple[_Object, Boundary]:
    """Resolve fields that follow each other; return them, and where the last one ends."""
    out, start = dict(raw), window.start
    after = _after([raw.get(name) for name in names], window.clock, [f"{path}.{n}" for n in names])
    for name, later in zip(names, after, strict=True):
        end = _end(raw.get(name), window.since(start), f"{path}.{name}", later)
        if end is not None:
            out[name] = _steps(raw[name], start, end)
            start = end
    return out, start


def _place(value: Any, window: Window, path: str) -> Any:
    """Return a place that is counted from the definition's own start."""
    return _steps(value, window.start, _end(value, window, path))


def _steps(value: Any, start: Boundary, end: Boundary | None) -> Any:
    """Return the whole steps from start to end for a length that was given as text."""
    return value if end is None or not isinstance(value, str) else end.whole - start.whole


def _end(value: Any, window: Window, path: str, later: Fraction = _NOTHING) -> Boundary | None:
    """Return where a length ends that begins with the window; ``"rest"`` leaves ``later``."""
    length = _exact(value, window, path, later)
    return None if length is None else window.start.after(length, value)


def _exact(value: Any, window: Window, path: str, later: Fraction = _NOTHING) -> Fraction | None:
    """
    Return a length in exact steps, or None for what is none.

    Errors of text are noted; whether numbers are in range is for the kind to say.
    """
    if isinstance(value, str):
        return _rest(window, path, later) if value == "rest" else read(value, window.clock, path)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return Fraction(value) if 0 <= value <= MAX_STEP else None


def read(text: str, clock: Clock, path: str) -> Fraction | None:
    """Return the exact steps of a length that is written as text, but for ``rest``."""
    match = _TEXT.fullmatch(text)
    if match is None:
        _wrong(clock, path, f"must be {_FORMS}", text, _FORMS)
        return None
    whole, decimals, unit = match.groups(default="")
    digits, scale = int(whole + decimals), 10 ** len(decimals)
    if unit == "%":
        if clock.total is None:
            _wrong(clock, path, "is a share of the run: give its `total`", text)
            return None
        return Fraction(digits * clock.total, scale * 100)
    if unit.startswith("epoch"):
        if clock.steps_per_epoch is None:
            _wrong(clock, path, "counts epochs: give `steps_per_epoch`", text)
            return None
        return Fraction(digits * clock.steps_per_epoch, scale)
    length = Fraction(digits * _MULTIPLES[unit], scale)
    if length.denominator != 1:
        _wrong(clock, path, "must be a whole number of steps", text, "an integer")
        return None
    return length


def _rest(window: Window, path: str, later: Fraction) -> Fraction | None:
    if window.end is None:
        message = "needs an end to reach to: give the run's `total`"
        _wrong(window.clock, path, message, "rest")
        return None
    left = window.end - window.start.exact - later
    if left < 0:
        message = f"has nothing left: the other lengths are {float(-left):g} steps too long"
        _wrong(window.clock, path, message, "rest", "other lengths up to the total")
        return None
    return left


def _wrong(clock: Clock, path: str, message: str, value: Any, bound: str | None = None) -> None:
    """Note an error, unless there are enough of them."""
    if len(clock.errors) < _MOST_ERRORS:
        clock.errors.append(FieldError(path, message, shown(value), bound))
