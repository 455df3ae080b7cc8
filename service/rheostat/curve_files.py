"""
Curves as files: named columns of float64 over their steps, written in each format.

The service answers with what is written here, and the command line writes it to files. Pictures
are drawn by `rheostat.curve_pictures`, which loads matplotlib: it is loaded for the first picture.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from rheostat import wire
from rheostat.formats import Format
from rheostat.limits import MAX_PICTURE_POINTS

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]
Part = bytes | memoryview

SLICE = 2048
"""Numbers written at a time, a power of two: other threads get their turn in between."""
FEW = 32
"""Numbers that orjson writes without making more room."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at a step, such as a revision's, with a short label."""

    step: int
    label: str


def mark_label(revision: wire.PlanRevision) -> str:
    """Return what stands above the mark of a revision: its number, and why it was made."""
    number, message = revision["revision"], revision["message"]
    return f"revision {number}: {message}" if message else f"revision {number}"


@dataclass(frozen=True, slots=True)
class LeftCurves:
    """Columns of a generation that a rewind left, over their own steps."""

    generation: int
    steps: Steps
    columns: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Annotations:
    """What a picture shows besides curves: title, name of the axis, marks, what is settled."""

    title: str = ""
    axis: str = "step"
    marks: tuple[Mark, ...] = ()
    settled_until: int | None = None
    """Values before it are drawn solid on a shaded ground, later ones dashed; None: all solid."""
    log: bool = False
    """Whether values, all above 0, are drawn on a logarithmic scale however little they span."""
    together: bool = False
    """Whether all curves are drawn in one panel, on one axis of values."""
    left: tuple[LeftCurves, ...] = ()
    """What was served in generations that were left, drawn pale."""


def _refuse(_value: Any) -> Any:
    raise TypeError


@dataclass(frozen=True)
class Curves:
    """Columns of values over their steps, and what some formats need besides."""

    places: Steps | range
    columns: Mapping[str, Floats]
    document: Mapping[str, Any] = field(default_factory=dict)
    """The JSON form, in which arrays may stand anywhere."""
    annotations: Annotations = Annotations()
    most_points: int = MAX_PICTURE_POINTS
    """Points of all curves in a picture."""
    shape: tuple[int, ...] | None = None
    """The shape of the array in an npy file; by default columns × steps."""
    other: Callable[[Any], Any] = _refuse
    """What orjson is to write for what it does not know in the document."""

    @cached_property
    def steps(self) -> Steps:
        """The steps as an array, which is made only for the formats that show them."""
        if isinstance(self.places, range):
            first, stop, stride = self.places.start, self.places.stop, self.places.step
            return np.arange(first, stop, stride, dtype=np.int64)
        return self.places

    @property
    def names(self) -> list[str]:
        """The columns in the order in which every format has them."""
        return sorted(self.columns)


def write(chosen: Format, curves: Curves) -> list[Part]:
    """
    Return curves as a format, in the parts of which its bytes consist.

    Raises:
        TooLarge: if a picture has too many columns.

    """
    return WRITERS[chosen](curves)


def json_parts(document: Mapping[str, Any], other: Callable[[Any], Any]) -> Iterator[bytes]:
    """Yield a document as JSON; floats are the shortest text that reads back the same."""
    # Arrays are left out at first, and their places marked by NUL, which JSON text never has.
    arrays: list[NDArray[Any]] = []

    def leave_out(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return other(value)
        arrays.append(value)
        return orjson.Fragment(b"\0")

    head, *tails = orjson.dumps(document, default=leave_out).split(b"\0")
    yield head
    for array, tail in zip(arrays, tails, strict=True):
        separator = b"["
        for text in _texts(array):
            yield separator + text
            separator = b","
        yield (b"]" if len(array) else b"[]") + tail


def _json(curves: Curves) -> list[Part]:
    return list(json_parts(curves.document, curves.other))


def _f64(curves: Curves) -> list[Part]:
    columns = [curves.columns[name] for name in curves.names]
    return [np.ascontiguousarray(column, "<f8").data.cast("B") for column in columns]


def _npy(curves: Curves) -> list[Part]:
    head = io.BytesIO()
    shape = curves.shape or (len(curves.columns), len(curves.places))
    fields = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, fields)
    return [head.getvalue(), *_f64(curves)]


def _csv(curves: Curves) -> list[Part]:
    return list(_csv_lines(curves))


def _csv_lines(curves: Curves) -> Iterator[bytes]:
    names = curves.names
    yield ",".join(("step", *names)).encode() + b"\r\n"
    columns = [curves.steps, *(curves.columns[name] for name in names)]
    for parts in zip(*map(_texts, columns), strict=True):
        rows = zip(*(part.split(b",") for part in parts), strict=True)
        yield b"\r\n".join(map(b",".join, rows)) + b"\r\n"


def _texts(values: NDArray[Any]) -> Iterator[bytes]:
    # orjson 3.13 makes room for an array once, by 24 bytes a number and from 1024 in doublings, and
    # writes beyond it where numbers take 25. Of powers of two each number has 32.
    values = np.ascontiguousarray(values)
    while count := len(values):
        size = count if count <= FEW else min(SLICE, 1 << count.bit_length() - 1)
        yield orjson.dumps(values[:size], option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
        values = values[size:]


def _picture(curves: Curves, chosen: Format) -> list[Part]:
    from rheostat.curve_pictures import draw  # noqa: PLC0415 - loads matplotlib

    columns = {name: curves.columns[name] for name in curves.names}
    return [draw(chosen, curves.steps, columns, curves.annotations, curves.most_points)]


WRITERS: Mapping[Format, Callable[[Curves], list[Part]]] = {
    Format.JSON: _json,
    Format.F64: _f64,
    Format.NPY: _npy,
    Format.CSV: _csv,
    Format.PNG: lambda curves: _picture(curves, Format.PNG),
    Format.SVG: lambda curves: _picture(curves, Format.SVG),
    Format.PDF: lambda curves: _picture(curves, Format.PDF),
}
"""What writes each format."""
