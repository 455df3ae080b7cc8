"""
Lengths in other units than steps: ``"10%"``, ``"3 epochs"``, ``"4.3T"`` and ``"rest"``.

They are resolved to integers in the raw JSON before it is validated. Boundaries are rounded, not
lengths: a part from the exact place a to b becomes round(b) − round(a) steps, ties to even, so that
parts always add up to the whole. A definition that stands inside of
another one begins where its time begins, and ``"rest"`` reaches to where that time ends: the end
of its part, or the run's total.

The words can be laid out again for another total, from some step on. Boundaries that are passed by
then are kept where they are, and all others lie where the words put them for the new total: see
``docs/decisions/total.md``. What a kind's own lengths mean, the kind says (`Definition.laid_out`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from rheostat.errors import FieldError
from rheostat.limits import AMOUNT, MAX_STEP, UNITS, whole_number
from rheostat.schedules.field_errors import shown

if TYPE_CHECKING:
    from rheostat.schedules.definition import Definition

_TEXT: Final = re.compile(AMOUNT, re.ASCII)
_FORMS: Final = 'an integer, "4.3T", "10%", "3 epochs" or "rest"'
_MOST_ERRORS: Final = 20
"""Wrong lengths that are told; of the others none is noted."""
Json: TypeAlias = dict[str, Any]

Kept: TypeAlias = float | tuple[float, float] | None
"""
What is kept of a boundary: its place, or None for one that ends with the total and moves with it.

Of what recurs, a step and how many of its turns have passed by then: see `recurring`.
"""


@dataclass(frozen=True)
class Clock:
    """What lengths are relative to: the run's total and the length of an epoch, in steps."""

    total: int | None = None
    steps_per_epoch: int | None = None
    errors: list[FieldError] = field(default_factory=list)
    said: set[str] = field(default_factory=set)
    """Which of ``%``, ``epoch`` and ``rest`` were read."""
    root: int = 0
    """Characters of paths that lead to the definition: what is kept is named by the others."""
    kept: Mapping[str, Kept] | None = None
    """What stays where it was when another total was in force; None in a first layout."""
    noted: dict[str, Kept] | None = None
    """Where what is passed is noted, to be kept in the next layout."""


class Boundary(NamedTuple):
    """A place between two lengths on the run's clock: where the words put it, and where it is."""

    exact: Fraction
    whole: int
    relative: bool = False
    """Whether it depends on the total."""

    def after(self, length: Fraction, written: Any) -> Boundary:
        """Return the boundary past a length: rounded if it is text, as many steps on if not."""
        exact = self.exact + length if self.exact else length
        whole = round(exact) if isinstance(written, str) else self.whole + round(length)
        return Boundary(exact, whole, self.relative or is_relative(written))


_NOTHING: Final = Fraction(0)
_ORIGIN: Final = Boundary(_NOTHING, 0)


@dataclass(frozen=True)
class Timeframe:
    """The time of a definition on the run's clock: where it starts, and where it ends if known."""

    clock: Clock
    start: Boundary = _ORIGIN
    end: Fraction | None = None
    now: Fraction | None = None
    """Up to where boundaries are passed; None where nothing is noted, as in time that recurs."""
    last: bool = True
    """Whether nothing follows what ends here."""
    totals: tuple[Fraction, ...] = ()
    """Where the total lies, as the words count it and as the run does."""

    def since(self, start: Boundary) -> Timeframe:
        """Return the time from a later start on."""
        return replace(self, start=start)

    def followed(self, *, last: bool = False) -> Timeframe:
        """Return the time of something that more follows, unless it is the last."""
        return replace(self, last=self.last and last)

    def measuring(self, start: Boundary) -> Timeframe:
        """Return the time for a length that has no place of its own: nothing of it is kept."""
        if self.clock.kept is not None:
            start = start._replace(whole=round(start.exact))
        return replace(self, start=start, now=None)

    def ahead(self, by: float) -> Timeframe:
        """Return the time of a curve of which the first ``by`` steps are left out."""
        if self.now is None or not by:
            return self
        shift = Fraction(by)
        totals = tuple(total + shift for total in self.totals)
        return replace(self, now=self.now + shift, totals=totals)

    def moved(self, by: int) -> Timeframe:
        """Return the time with all that the words put in it moved; its start stays."""
        start = self.start._replace(exact=self.start.exact + by)
        return replace(self, start=start, end=None if self.end is None else self.end + by)

    def slower(self, ratio: float) -> Timeframe:
        """Return a time of its own without an end, in which all takes ``ratio`` times as long."""
        if self.now is None:
            return Timeframe(self.clock)
        start, scale = self.start.whole, Fraction(ratio)
        totals = tuple((total - start) / scale for total in self.totals)
        now = (self.now - start) / scale
        return Timeframe(self.clock, now=now, last=self.last, totals=totals)

    def passed(self, place: float) -> bool:
        """Whether a place is passed, and to be noted."""
        return self.clock.noted is not None and self.now is not None and place <= self.now

    def note(self, path: str, place: float) -> None:
        """Note a place that is to stay."""
        if self.clock.noted is not None:
            self.clock.noted[path[self.clock.root :]] = place

    def corner(self, since: float, path: str) -> float:
        """Return where a corner is kept that lies between two lengths, counted from the start."""
        kept = (self.clock.kept or {}).get(path[self.clock.root :])
        place = kept if isinstance(kept, (int, float)) else self.start.whole + since
        if self.passed(place):
            self.note(path, place)
        return place - self.start.whole if isinstance(kept, (int, float)) else since

    def placed(self, boundary: Boundary, path: str, *, last: bool) -> Boundary:
        """Return a boundary where it is kept, and note what is to be kept of it."""
        clock, key = self.clock, path[self.clock.root :]
        if clock.kept is not None:
            boundary = self._kept(boundary, key)
        if clock.noted is not None and self.now is not None:
            ends = last and self.last and boundary.relative
            if ends and boundary.whole in self.totals:
                clock.noted[key] = None
            elif boundary.whole <= self.now:
                clock.noted[key] = boundary.whole
            elif ends and clock.kept is not None and clock.kept.get(key, 0) is None:
                clock.noted[key] = None
        return boundary

    def _kept(self, boundary: Boundary, key: str) -> Boundary:
        kept = (self.clock.kept or {}).get(key, boundary.whole)
        whole = int(kept) if isinstance(kept, (int, float)) else round(boundary.exact)
        return boundary._replace(whole=max(whole, self.start.whole))


def resolve(raw: Any, time: Timeframe, path: str) -> Any:
    """Return the raw definition with all lengths resolved; errors go to the clock's list."""
    from rheostat.schedules.recurring import going_on  # noqa: PLC0415 - it looks at the kinds
    from rheostat.schedules.union import KINDS  # noqa: PLC0415 - it is made of the kinds

    if not isinstance(raw, dict) or not isinstance(raw.get("kind"), str):
        return raw
    cls = KINDS.get(raw["kind"])
    if cls is None:
        return raw
    return going_on(cls, cls.laid_out(raw, time, path), time, path)


def inside(value: Any, time: Timeframe, path: str) -> Any:
    """Resolve what a field holds, if that is definitions."""
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
        return [resolve(item, time, f"{path}[{i}]") for i, item in enumerate(value)]
    return resolve(value, time, path)


def consecutive(
    cls: type[Definition], raw: Json, time: Timeframe, path: str
) -> tuple[Json, Boundary]:
    """Resolve a kind's lengths, which follow each other; return them, and where the last ends."""
    out, start, names = dict(raw), time.start, cls.lengths
    measures = names if cls.recurs(raw) else cls.measures
    final = next((name for name in reversed(names) if raw.get(name) is not None), None)
    after = later([raw.get(name) for name in names], time.clock, [f"{path}.{n}" for n in names])
    for name, left in zip(names, after, strict=True):
        measures_only = name in measures
        here = time.measuring(start) if measures_only else time.since(start)
        end = end_of(raw.get(name), here, f"{path}.{name}", left, last=name == final)
        if end is not None:
            out[name] = steps_of(raw[name], here.start, end)
            start = end
    return out, start


def later(lengths: Sequence[Any], clock: Clock, paths: Sequence[str]) -> list[Fraction]:
    """
    Return for each length the sum of those after it: what its ``"rest"`` has to leave for them.

    Of lengths that follow each other one can be the rest; another one would have nothing.
    """
    rests = [i for i, length in enumerate(lengths) if length == "rest"]
    if not rests:
        return [_NOTHING] * len(lengths)
    for i in rests[1:]:
        message = "is said a second time, and the first one takes all that is left"
        _wrong(clock, paths[i], message, "rest", 'one "rest" among lengths in a row')
    quiet = Timeframe(replace(clock, errors=[]))
    after, total = [], _NOTHING
    for length in reversed(lengths):
        after.append(total)
        total += (None if length == "rest" else _exact(length, quiet, "")) or _NOTHING
    return after[::-1]


def place(value: Any, time: Timeframe, path: str, *, last: bool = False) -> Any:
    """Return a place that is counted from the definition's own start."""
    return steps_of(value, time.start, end_of(value, time, path, last=last))


def steps_of(value: Any, start: Boundary, end: Boundary | None) -> Any:
    """Return the steps from start to end: whole ones for text, a number as it is if it fits."""
    if end is None:
        return value
    whole = end.whole - start.whole
    return whole if isinstance(value, str) or round(value) != whole else value


def end_of(
    value: Any, time: Timeframe, path: str, left: Fraction = _NOTHING, *, last: bool = False
) -> Boundary | None:
    """Return where a length ends that begins with the time; ``"rest"`` leaves ``left``."""
    length = _exact(value, time, path, left)
    if length is None:
        return None
    return time.placed(time.start.after(length, value), path, last=last)


def is_relative(written: Any) -> bool:
    """Whether a length depends on the run's total."""
    return isinstance(written, str) and (written == "rest" or written.endswith("%"))


def is_spoken(written: Any) -> bool:
    """Whether a length depends on the run, not on itself alone as ``"4.3T"`` does."""
    return is_relative(written) or (isinstance(written, str) and written.endswith(_EPOCHS))


_EPOCHS: Final = ("epoch", "epochs")


def _exact(value: Any, time: Timeframe, path: str, left: Fraction = _NOTHING) -> Fraction | None:
    """
    Return a length in exact steps, or None for what is none.

    Errors of text are noted; whether numbers are in range is for the kind to say.
    """
    if isinstance(value, str):
        return _rest(time, path, left) if value == "rest" else read(value, time.clock, path)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return Fraction(value) if 0 <= value <= MAX_STEP else None


def read(text: str, clock: Clock, path: str) -> Fraction | None:
    """Return the exact steps of a length that is written as text, but for ``rest``."""
    match = _TEXT.fullmatch(text)
    if match is None:
        _wrong(clock, path, f"must be {_FORMS}", text, _FORMS)
        return None
    unit = match[2]
    if unit in UNITS:
        return _whole_steps(text, clock, path)
    whole, _, decimals = text[: match.start(2)].rstrip(" ").partition(".")
    digits, scale = int(whole + decimals), 10 ** len(decimals)
    if unit == "%":
        clock.said.add("%")
        if clock.total is None:
            _wrong(clock, path, "is a share of the run: give its `total`", text, "a `total`")
            return None
        return Fraction(digits * clock.total, scale * 100)
    clock.said.add("epoch")
    if clock.steps_per_epoch is None:
        _wrong(clock, path, "counts epochs: give `steps_per_epoch`", text, "`steps_per_epoch`")
        return None
    return Fraction(digits * clock.steps_per_epoch, scale)


def _whole_steps(text: str, clock: Clock, path: str) -> Fraction | None:
    steps = whole_number(text)
    if steps is None:
        _wrong(clock, path, "must be a whole number of steps", text, "an integer")
        return None
    return Fraction(steps)


def _rest(time: Timeframe, path: str, left: Fraction) -> Fraction | None:
    time.clock.said.add("rest")
    if time.end is None:
        message = "needs an end to reach to: give the run's `total`"
        _wrong(time.clock, path, message, "rest", "a `total`")
        return None
    rest = time.end - time.start.exact - left
    if rest < 0:
        message = f"has nothing left: the other lengths are {float(-rest):g} steps too long"
        _wrong(time.clock, path, message, "rest", "other lengths up to the total")
        return None
    return rest


def _wrong(clock: Clock, path: str, message: str, value: Any, bound: str) -> None:
    """Note an error, unless there are enough of them."""
    if len(clock.errors) < _MOST_ERRORS:
        clock.errors.append(FieldError(path, message, shown(value), bound))
