"""
Pictures of curves, by matplotlib's object-oriented interface: PNG by Agg, SVG or PDF.

Importing this module loads matplotlib; `rheostat.curve_files` does so for the first picture.
Nothing here touches pyplot. Drawing is serialised, for matplotlib is not thread-safe.
"""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from math import inf
from typing import Any, NamedTuple

import numpy as np

try:
    import matplotlib as mpl
except ValueError:  # it is told of a backend that it has not, as a notebook of others does
    os.environ.pop("MPLBACKEND")
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        del sys.modules[name]  # half of it was loaded
    import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from rheostat.curve_files import Annotations, Mark
from rheostat.errors import FieldError, TooLarge
from rheostat.limits import LARGE_UNITS, MAX_PANELS, MAX_PICTURE_POINTS
from rheostat.schedules.thin import thin
from rheostat.visible import shortened

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]

WIDTH, DPI = 9.0, 160
PANEL, FRAME, PAD = 2.6, 1.0, 0.1
"""Inches: height of a panel, and of what surrounds them all, and the white edge."""
TEXT, CURVE, MARK, GRID = "#26323d", "#1763b6", "#c2410c", "#e3e7ea"
GROUND, GROUND_TEXT = "#e8f0e4", "#5d7a4f"
SETTLED = "settled: workers have it"
FEW = 60
"""Up to this many points each is drawn as a dot."""
INKS = (CURVE, "#c2410c", "#2f855a", "#7c3aed", "#b7791f", "#0e7490", "#be185d", "#4a5568")
"""Colours of curves in one panel."""
LEFT = "#9aa5b1"
"""Colour of what was served in a generation that was left."""
DECADES, LOW, SHARE = 3, 2, 0.2
"""
Positive values that span more than so many decades are drawn on a logarithmic scale, if they spend
a fifth of the steps more than two below the top: a cosine to nearly 0 would be flat, then a cliff.
"""
LARGEST = 1e100
"""Magnitude at which a picture is cut off, saying so: matplotlib needs room for its margins."""
LINES = 250
"""The most marks beside each other that can be told apart."""
LABEL = 40
"""The most characters of what stands above a mark."""
NICE = (1, 2, 2.5, 5, 10)
"""Multiples of a power of ten that ticks stand at."""

STYLE: dict[Any, Any] = {"svg.hashsalt": "rheostat", "font.size": 9, "agg.path.chunksize": 500}
"""
Of a long line 500 points are drawn at a time, so that other threads get their turn in between; a
line that runs up and down is drawn ten times as fast besides.
"""

UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""What leaves the time out of a file, so that the same curves are the same bytes."""

_drawing = threading.Lock()


class _Curve(NamedTuple):
    name: str
    steps: Steps
    values: Floats


def draw(
    kind: str,
    steps: Steps,
    columns: Mapping[str, Floats],
    notes: Annotations,
    max_points: int = MAX_PICTURE_POINTS,
) -> bytes:
    """
    Draw each column as a panel of its own over a common axis of steps, or all in one panel.

    ``kind`` is ``png``, ``svg`` or ``pdf``. A curve of more points than its share of
    ``max_points`` is thinned by `thin`. Raises `TooLarge` for more than `MAX_PANELS` columns.
    """
    if len(columns) > MAX_PANELS:
        detail = f"a picture shows at most {MAX_PANELS} parameters"
        wrong = [FieldError("format", detail, kind, f"≤ {MAX_PANELS} parameters")]
        raise TooLarge(detail, errors=wrong, limit=MAX_PANELS)
    order = np.argsort(steps, kind="stable")
    share = max_points // len(columns)
    with _drawing, mpl.rc_context(STYLE):
        many = 1 if notes.together else len(columns)
        size = (WIDTH, FRAME + (1.5 if notes.together else 1.0) * PANEL * many)
        figure = Figure(figsize=size, dpi=DPI, layout=ConstrainedLayoutEngine(h_pad=PAD, w_pad=PAD))
        panels = list(figure.subplots(many, sharex=True, squeeze=False)[:, 0])
        shown = {
            name: _Curve(name, steps[few := order[thin([values[order]], share)]], values[few])
            for name, values in columns.items()
        }
        if notes.together:
            _together(panels[0], [*shown.values()], notes)
        else:
            for panel, curve in zip(panels, shown.values(), strict=True):
                _alone(panel, curve, notes)
        _frame(figure, panels, steps, notes)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, metadata=UNDATED.get(kind))
    return buffer.getvalue()


def _alone(axes: Axes, curve: _Curve, notes: Annotations) -> None:
    """Draw a curve in a panel of its own, and below it what of it was left by rewinds."""
    for left in notes.left:
        if curve.name in left.columns:
            values = _drawn(left.columns[curve.name])
            axes.plot(left.steps, values, color=LEFT, linewidth=1.4, zorder=1.8)
            _name_end(axes, left.steps, values, f"generation {left.generation}, left", LEFT)
    cut = _line(axes, curve, CURVE, notes)
    label = f"{curve.name} (cut off at {LARGEST:g})" if cut else curve.name
    axes.set_ylabel(label, color=TEXT, parse_math=False)
    _scale(axes, [curve], log=notes.log)


def _together(axes: Axes, curves: Sequence[_Curve], notes: Annotations) -> None:
    """Draw curves on one axis of values, each with its name in its colour beside the panel."""
    inks = [INKS[number % len(INKS)] for number in range(len(curves))]
    cut = [_line(axes, curve, ink, notes) for curve, ink in zip(curves, inks, strict=True)]
    if any(cut):
        axes.set_ylabel(f"cut off at {LARGEST:g}", color=TEXT)
    handles = [Line2D([], [], color=ink, linewidth=1.6) for ink in inks]
    names = [_drawable(curve.name) for curve in curves]
    axes.legend(
        handles, names, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, labelcolor=inks
    )
    _scale(axes, curves, log=notes.log)


def _line(axes: Axes, curve: _Curve, ink: str, notes: Annotations) -> bool:
    """Draw a curve, solid where it is settled; return whether it was cut off."""
    steps, values = curve.steps, _drawn(curve.values)
    split = len(steps) if notes.settled_until is None else int((steps < notes.settled_until).sum())
    style: dict[str, Any] = {
        "color": ink,
        "linewidth": 1.6,
        "marker": "." if len(steps) <= FEW else None,
        "solid_joinstyle": "round",
    }
    axes.plot(steps[:split], values[:split], **style)
    # The future begins where the past ends, so that the line has no gap.
    future = slice(max(split - 1, 0), None)
    if split < len(steps):
        axes.plot(steps[future], values[future], linestyle=(0, (4, 2)), alpha=0.9, **style)
    return bool(np.abs(curve.values).max() > LARGEST)


def _drawn(values: Floats) -> Floats:
    return np.clip(values, -LARGEST, LARGEST)


def _name_end(axes: Axes, steps: Steps, values: Floats, name: str, ink: str) -> None:
    axes.annotate(
        name,
        (float(steps[-1]), float(values[-1])),
        xytext=(4, 3),
        textcoords="offset points",
        color=ink,
        fontsize=8,
        annotation_clip=False,
    )


def _scale(axes: Axes, curves: Sequence[_Curve], *, log: bool) -> None:
    drawn = [_Curve(each.name, each.steps, _drawn(each.values)) for each in curves]
    low = min(float(each.values.min()) for each in drawn)
    high = max(float(each.values.max()) for each in drawn)
    if log or (low > 0 and _spends_long_below(drawn, low, high)):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=8))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        return
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=NICE))
    if high - low > 1e-3 * max(abs(low), abs(high)):
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))
    if low == high:
        margin = abs(low) * 0.1 or 1.0
        axes.set_ylim(low - margin, high + margin)


def _spends_long_below(curves: Sequence[_Curve], low: float, high: float) -> bool:
    """Say whether a logarithmic scale helps: much of some curve lies far below the top."""
    if low <= 1 / LARGEST or high / low <= 10**DECADES:
        return False
    for each in curves:
        evenly = np.linspace(float(each.steps[0]), float(each.steps[-1]), 200)
        values = np.interp(evenly, each.steps, each.values)
        if np.mean(values < high / 10**LOW) >= SHARE:
            return True
    return False


def _number(value: float) -> str:
    """Write a tick as the terminal does: ``5e-5``, ``0.0001``."""
    return re.sub(r"e([+-])0*", lambda found: "e" + found[1].strip("+"), f"{value:.4g}")


def _frame(figure: Figure, panels: Sequence[Axes], steps: Steps, notes: Annotations) -> None:
    low, high = float(steps.min()), float(steps.max())
    margin = max(0.02 * (high - low), 1e-12 * high, 0.5)
    left, right = low - margin, high + margin
    marks = [mark for mark in notes.marks if low <= mark.step <= high]
    for axes in panels:
        axes.set_xlim(left, right)
        axes.grid(visible=True, color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(TEXT)
        axes.tick_params(which="both", color=TEXT, labelcolor=TEXT)
        for step in _apart([mark.step for mark in marks], (right - left) / LINES):
            axes.axvline(step, color=MARK, linewidth=0.7, alpha=0.8, zorder=1.5)
    if notes.settled_until is not None and notes.settled_until > low:
        _shade(panels, left, min(notes.settled_until, right), right)
    panels[-1].set_xlabel(notes.axis, color=TEXT, parse_math=False)
    panels[-1].xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=NICE, min_n_ticks=1))
    panels[-1].xaxis.set_major_formatter(
        FuncFormatter(lambda step, _: coordinate(step, high - low))
    )
    _label(panels[0], marks, left, right)
    figure.suptitle(_drawable(notes.title), color=TEXT, fontsize=11, parse_math=False)


def _apart(steps: Iterable[float], least: float) -> Iterator[float]:
    """Yield steps in rising order, without those that are too close to the one before."""
    free = -inf
    for step in sorted(steps):
        if step >= free:
            yield step
            free = step + least


def _shade(panels: Sequence[Axes], left: float, end: float, right: float) -> None:
    for axes in panels:
        axes.axvspan(left, end, color=GROUND, zorder=0, linewidth=0)
    wide = end - left >= _width(SETTLED, right - left)  # else it stands beside the ground
    panels[-1].annotate(
        SETTLED,
        (end, 0.0),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if wide else 4, 4),
        textcoords="offset points",
        ha="right" if wide else "left",
        color=GROUND_TEXT,
        fontsize=8,
    )


def _label(axes: Axes, marks: list[Mark], left: float, right: float) -> None:
    free = -inf
    for step, at_once in groupby(sorted(marks, key=_step), key=_step):
        labels = [mark.label for mark in at_once]
        names = ", ".join(labels) if len(labels) < 4 else f"{labels[0]} … {labels[-1]}"
        text = shortened(_drawable(names), LABEL)
        width = _width(text, right - left)
        flip = step + width > right
        begin = step - width if flip else step
        if begin < free or not text:
            continue
        axes.annotate(
            text,
            (step, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-3 if flip else 3, 2),
            textcoords="offset points",
            ha="right" if flip else "left",
            color=MARK,
            fontsize=8,
            parse_math=False,
            annotation_clip=False,
        )
        free = begin + width


def _step(mark: Mark) -> int:
    return mark.step


def _width(text: str, span: float) -> float:
    """Return about how much of an axis of that span a small text takes, with room beside it."""
    return (len(text) + 2) * span / 130


def coordinate(step: float, span: float) -> str:
    """Return a coordinate as a reader of an axis of that span likes it: ``12,000``, ``1.5M``."""
    unit, suffix = next((item for item in LARGE_UNITS if span >= item[0] and step), (1, ""))
    return f"{step / unit:,.6g}{suffix}" if suffix else f"{step:,.0f}"


def _drawable(text: str) -> str:
    return "".join(letter if _has_glyph(letter) else "□" for letter in text)


@cache
def _has_glyph(letter: str) -> bool:
    return bool(get_font(findfont("DejaVu Sans")).get_char_index(ord(letter)))
