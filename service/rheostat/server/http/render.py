"""Curves as answers: named columns of float64 over their steps, in each format."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import anyio.to_thread
import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rheostat.digests import names_digest
from rheostat.server.http.budgets import SMALL, Budget, Holding
from rheostat.server.http.formats import Format
from rheostat.server.http.look import Look
from rheostat.server.http.traffic import Part, cut_off, pieces, require_caller
from rheostat.server.runs.fragments import fragment

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]

SLICE = 2048
"""Numbers written at a time: other threads get their turn in between."""

QUICK = 4096
"""Numbers up to which an answer is computed and written at once, without a thread."""


COSTS = {
    Format.F64: 8,
    Format.NPY: 8,
    Format.JSON: 48,
    Format.CSV: 64,
    Format.PNG: 64,
    Format.SVG: 64,
}
"""Bytes of memory that a value takes at most while an answer is made, in each format."""

DRAWING = 16 * 1024 * 1024
"""Bytes of memory that a picture takes besides, while it is drawn."""


@dataclass(frozen=True)
class Curves:
    """Columns of values over their steps, and what the formats need besides."""

    places: Steps | range
    columns: Mapping[str, Floats]
    document: Mapping[str, Any]
    """The JSON answer, in which arrays may stand anywhere."""
    look: Look = field(default_factory=Look)
    """How a picture of them looks."""

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


class PartsResponse(Response):
    """An answer that is sent part by part, so that a large one is never copied as a whole."""

    def __init__(
        self,
        parts: list[Part],
        headers: Mapping[str, str],
        media_type: str,
        holding: Holding | None = None,
    ) -> None:
        length = {"Content-Length": str(sum(map(len, parts)))}
        super().__init__(None, headers={**headers, **length}, media_type=media_type)
        self._parts = parts
        self._holding = holding

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the answer, and give back what was held for it."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        try:
            if self._holding is not None:
                self._holding.expose(cut_off(scope))
            await send({"type": "http.response.start", **start})
            for piece in _pieces(self._parts):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            if self._holding is not None:
                self._holding.release()


def _pieces(parts: list[Part]) -> Iterator[Part]:
    waiting: list[Part] = []
    for part in parts:
        if len(part) > SMALL:
            yield b"".join(waiting)
            yield from pieces(part)
            waiting = []
            continue
        waiting.append(part)
        if sum(map(len, waiting)) > SMALL:
            yield b"".join(waiting)
            waiting = []
    yield b"".join(waiting)


def reserve(request: Request, chosen: Format, count: int) -> Holding | None:
    """
    Hold the memory of an answer with so many values, before it is computed.

    Returns None for a small one, which needs nobody's leave. Raises `Unavailable` if there is no
    room for it now.
    """
    if count <= QUICK and not chosen.picture:
        return None
    sending: Budget = request.app.state.sending
    return sending.take(DRAWING * chosen.picture + COSTS[chosen] * count)


async def answer(
    request: Request,
    chosen: Format,
    compute: Callable[[], Curves],
    *,
    holding: Holding | None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """
    Return the curves that ``compute`` returns, in the format that was chosen.

    Both computing and writing happen in a thread, a few at a time, unless nothing had to be held
    for the answer, as `reserve` said.
    """
    most_points = request.app.state.settings.max_picture_points

    def work() -> tuple[list[Part], list[str]]:
        require_caller(request.scope)
        curves = compute()
        return write(chosen, curves, most_points), curves.names

    if holding is None:
        parts, names = work()
    else:
        limiter = request.app.state.curve_limiter
        try:
            parts, names = await anyio.to_thread.run_sync(work, limiter=limiter)
        except BaseException:
            holding.release()
            raise
        holding.shrink(sum(map(len, parts)))
    all_headers = {"Vary": "Accept", **(headers or {})}
    if chosen in {Format.F64, Format.NPY}:
        all_headers["Rheostat-Parameters"] = names_digest(names)
    return PartsResponse(parts, all_headers, chosen.media_type, holding)


def write(chosen: Format, curves: Curves, most_points: int) -> list[Part]:
    """Return curves as a format, in the parts of which its bytes consist."""
    match chosen:
        case Format.JSON:
            return list(_json(curves.document))
        case Format.F64:
            return _rows(curves)
        case Format.NPY:
            return [_npy_head((len(curves.columns), len(curves.places))), *_rows(curves)]
        case Format.CSV:
            return list(_csv(curves))
        case Format.PNG | Format.SVG:
            from rheostat.server.http.pictures import draw  # noqa: PLC0415 - loads matplotlib

            columns = {name: curves.columns[name] for name in curves.names}
            return [draw(chosen, curves.steps, columns, curves.look, most_points)]


def write_json(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON; floats are the shortest text that reads back the same."""
    return b"".join(_json(document))


def write_npy(array: Floats) -> bytes:
    """Return an array in NumPy's file format, version 1.0."""
    return _npy_head(array.shape) + array.astype("<f8", copy=False).tobytes()


def write_csv(curves: Curves) -> bytes:
    """Return a table with the columns ``step`` and one per parameter, lines ended as RFC 4180."""
    return b"".join(_csv(curves))


def _rows(curves: Curves) -> list[Part]:
    columns = [curves.columns[name] for name in curves.names]
    return [np.ascontiguousarray(column, "<f8").data.cast("B") for column in columns]


def _npy_head(shape: tuple[int, ...]) -> bytes:
    head = io.BytesIO()
    fields = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, fields)
    return head.getvalue()


def _json(document: Mapping[str, Any]) -> Iterator[bytes]:
    # Arrays are left out at first, and their places marked by NUL, which JSON text never has.
    arrays: list[NDArray[Any]] = []

    def leave_out(value: Any) -> orjson.Fragment:
        if not isinstance(value, np.ndarray):
            return fragment(value)
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


def _csv(curves: Curves) -> Iterator[bytes]:
    names = curves.names
    yield ",".join(("step", *names)).encode() + b"\r\n"
    columns = [curves.steps, *(curves.columns[name] for name in names)]
    for parts in zip(*map(_texts, columns), strict=True):
        rows = zip(*(part.split(b",") for part in parts), strict=True)
        yield b"\r\n".join(map(b",".join, rows)) + b"\r\n"


def _texts(values: NDArray[Any]) -> Iterator[bytes]:
    values = np.ascontiguousarray(values)
    for begin in range(0, len(values), SLICE):
        part = orjson.dumps(values[begin : begin + SLICE], option=orjson.OPT_SERIALIZE_NUMPY)
        yield part[1:-1]
