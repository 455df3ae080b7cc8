"""
A line chart out of characters: eight dots in each braille cell, axes, ticks and labels.

Pure: numbers in, rows of (text, style) pieces out. Whoever prints them decides about colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rheostat.cli.views import text
from rheostat.errors import FieldError, Invalid

Segment = tuple[str, str]
"""Characters and their style: ``line 0``, ``line 1`` … of curves, ``axis``, ``label``, ``mark``."""

BLANK = 0x2800
LARGEST, SMALLEST = 1e290, 1e-290
"""Magnitudes beyond which values are drawn at the border, and differences as none."""
MARK_ROWS = 2
"""The most rows of labels of marks: one, and another for those that have no room in it."""
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bit of each dot in a braille cell, by column and row."""


@dataclass(frozen=True)
class Series:
    """A curve: its name, and its points with ``x`` ascending."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True)
class VerticalLine:
    """A vertical line at ``x``, with a label below the axis where there is room for it."""

    x: float
    label: str


@dataclass(frozen=True)
class ValueScale:
    """Maps values from ``low`` to ``high`` onto 0 to 1, in logarithms if asked."""

    low: float
    high: float
    log: bool = False
    only: float | None = None
    """The value of a scale that has no other."""

    def __call__(self, value: float) -> float:
        """Return where a value lies between the ends."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)

    @classmethod
    def of(cls, values: Iterable[float], *, log: bool = False) -> ValueScale:
        """Return the scale that holds all values, with room to draw a constant in its middle."""
        found = list(values)
        low, high = max(min(found), -LARGEST), min(max(found), LARGEST)
        if log:
            _require_above_zero(low)
            return cls(low, high, log=True) if low < high else cls(low / 2, high * 2, log=True)
        if high - low < SMALLEST:
            room = abs(low) / 2 or 1.0
            return cls(low - room, high + room, only=low)
        return cls(low, high)

    def ticks(self, most: int, room: float = 0.0) -> list[float]:
        """
        Return at most ``most`` round values on the scale (two at least fit on most scales).

        Those that are past an end by up to ``room`` of the scale's length stand at that end.
        """
        if self.log:
            return _decades(self.low, self.high, most)
        if self.only is not None:
            return [self.only]
        step = _round_step((self.high - self.low) / max(most - 1, 1))
        past = room * (self.high - self.low) / step + 1e-9
        first, last = math.ceil(self.low / step - past), math.floor(self.high / step + past)
        return [index * step for index in range(first, last + 1)]


def _require_above_zero(low: float) -> None:
    if low <= 0:
        message = "a logarithmic scale needs values above 0"
        raise Invalid("This cannot be drawn.", errors=[FieldError("log", message, low, "> 0")])


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 2.5, 5 × 10ⁿ that is at least ``least``."""
    decade = 10.0 ** math.floor(math.log10(least))
    return next(m * decade for m in (1, 2, 2.5, 5, 10) if m * decade >= least * (1 - 1e-9))


def _decades(low: float, high: float, most: int) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = max(1, math.ceil((last - first + 1) / most))
    powers = [10.0**n for n in range(first, last + 1, every)]
    return powers if len(powers) > 1 else [low, high]


@dataclass
class Canvas:
    """A grid of braille cells; dots are addressed from the lower left."""

    columns: int
    rows: int
    cells: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    """By column and row from above: the dots that are set, and the number of the last curve."""

    def dot(self, x: int, y: int, ink: int) -> None:
        """Set one dot."""
        column, row = x // 2, self.rows - 1 - y // 4
        bit = DOTS[x % 2][3 - y % 4]
        self.cells[column, row] = (self.cells.get((column, row), (0, 0))[0] | bit, ink)

    def line(self, start: tuple[int, int], stop: tuple[int, int], ink: int) -> None:
        """Set the dots between two points."""
        (x0, y0), (x1, y1) = start, stop
        length = max(abs(x1 - x0), abs(y1 - y0), 1)
        for i in range(length + 1):
            self.dot(x0 + round((x1 - x0) * i / length), y0 + round((y1 - y0) * i / length), ink)

    def curve(self, points: Iterable[tuple[float, float]], ink: int) -> None:
        """Draw a curve through points whose coordinates go from 0 to 1."""
        previous: tuple[int, int] | None = None
        for x, y in points:
            here = round(x * (2 * self.columns - 1)), round(y * (4 * self.rows - 1))
            self.line(previous or here, here, ink)
            previous = here

    def row(self, row: int, marks: set[int]) -> Iterator[Segment]:
        """Yield a row's pieces; a mark shows where no curve is."""
        for column in range(self.columns):
            dots, ink = self.cells.get((column, row), (0, 0))
            if dots:
                yield chr(BLANK + dots), f"line {ink}"
            else:
                yield ("┊", "mark") if column in marks else (" ", "")


def chart(
    curves: Sequence[Series],
    *,
    width: int,
    height: int,
    marks: Sequence[VerticalLine] = (),
    log: bool = False,
    span: tuple[float, float] | None = None,
    margin: int = 0,
) -> list[list[Segment]]:
    """
    Draw curves on common axes, ``width`` characters wide and ``height`` rows high without axes.

    With more than one curve, each one's name stands at its right end. All marks share two rows of
    labels at most; the first ones given come first. ``log`` needs values > 0. ``span`` are the
    least ends of the axis of x, and ``margin`` the least room for labels before it, so that charts
    that stand one below the other have one axis.
    """
    x = ValueScale.of([*(span or ()), *(value for curve in curves for value in curve.xs)])
    y = ValueScale.of((value for curve in curves for value in curve.ys), log=log)
    labels = _row_labels(y, height)
    names = _end_names(curves, y, height) if len(curves) > 1 else {}
    left = max(margin, *map(len, labels.values()), 0)
    right = max((len(name) + 1 for name, _ in names.values()), default=0)
    canvas = Canvas(max(width - left - 2 - right, 10), height)
    for ink, curve in enumerate(curves):
        points = zip(curve.xs, curve.ys, strict=True)
        canvas.curve(((x(at), y(value)) for at, value in points), ink)
    column = _columns(x, canvas.columns)
    marked = {column(mark.x) for mark in marks if x.low <= mark.x <= x.high}
    rows = []
    for row in range(height):
        axis = [
            (labels.get(row, "").rjust(left), "label"),
            (" ┤" if row in labels else " │", "axis"),
        ]
        name, ink = names.get(row, ("", 0))
        end = [(" " + name, f"line {ink}")] if name else []
        rows.append([*axis, *canvas.row(row, marked), *end])
    return [*rows, *_below(x, canvas.columns, left, marks)]


def _columns(x: ValueScale, columns: int) -> Callable[[float], int]:
    return lambda value: round(x(value) * (2 * columns - 1)) // 2


def _row_labels(y: ValueScale, height: int) -> dict[int, str]:
    ticks = y.ticks(max(height // 2, 2))
    rows = {height - 1 - round(y(tick) * (4 * height - 1)) // 4: tick for tick in ticks}
    labels = {row: text.short(tick) for row, tick in rows.items()}
    alike = len(set(labels.values())) < len(labels)
    return {row: text.exact(tick) for row, tick in rows.items()} if alike else labels


def _end_names(curves: Sequence[Series], y: ValueScale, height: int) -> dict[int, tuple[str, int]]:
    """Return by row the name of the curve that ends there, moved to the next free row."""
    names: dict[int, tuple[str, int]] = {}
    for ink, curve in enumerate(curves):
        wanted = height - 1 - round(y(curve.ys[-1]) * (4 * height - 1)) // 4
        free = [row for row in range(height) if row not in names]
        if free:
            names[min(free, key=lambda row: abs(row - wanted))] = (curve.name, ink)
    return names


def _below(
    x: ValueScale, columns: int, left: int, marks: Sequence[VerticalLine]
) -> Iterator[list[Segment]]:
    """Yield the axis, the labels of its ticks, and those of the marks, a row each."""
    column, begin, end = _columns(x, columns), left + 2, left + 2 + columns
    labels = {
        column(tick): text.compact(tick) for tick in x.ticks(max(columns // 10, 2), 0.5 / columns)
    }
    line = "".join("┬" if at in labels else "─" for at in range(columns))
    yield [(" " * left + " └" + line, "axis")]
    centred = [(begin + at - len(label) // 2, label) for at, label in labels.items()]
    yield [(_row(centred, end), "label")]
    shown = [mark for mark in marks if x.low <= mark.x <= x.high]
    names = [_pointing(begin + column(mark.x), mark.label, end) for mark in shown]
    for _ in range(MARK_ROWS):
        if names:
            placed = _placed(names, end)
            yield [(_written(placed), "mark")]
            names = [names[at] for at in range(len(names)) if at not in placed]


def _pointing(at: int, label: str, stop: int) -> tuple[int, str]:
    """Return a label with an arrow at its column, before it unless that reaches past ``stop``."""
    named = f"▲ {label}"
    return (at, named) if at + len(named) <= stop else (at - len(label) - 1, f"{label} ▲")


def _row(labels: Sequence[tuple[int, str]], stop: int) -> str:
    """Write labels at their columns, or just before ``stop``; one without room is left out."""
    return _written(_placed(labels, stop))


def _placed(labels: Sequence[tuple[int, str]], stop: int) -> dict[int, tuple[int, str]]:
    """Return where labels stand that have room in a row, by their place among them."""
    placed: dict[int, tuple[int, str]] = {}
    for at, (wanted, label) in enumerate(labels):
        start = max(min(wanted, stop - len(label)), 0)
        others = placed.values()
        if all(start + len(label) + 1 < on or on + len(it) + 1 < start for on, it in others):
            placed[at] = (start, label)
    return placed


def _written(placed: Mapping[int, tuple[int, str]]) -> str:
    row = ""
    for start, label in sorted(placed.values()):
        row = row.ljust(start) + label
    return row
