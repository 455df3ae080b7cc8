"""Curves as answers: named columns of float64 over their steps, in each format."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread
import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rheostat.server.api.formats import Format
from rheostat.server.api.look import Look

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]

SLICE = 8192
"""Numbers written at a time: other threads get their turn in between."""

PIECE = 1024 * 1024
"""Bytes of a body that are sent at a time."""

QUICK = 4096
"""Numbers up to which an answer is computed and written at once, without a thread."""


@dataclass(frozen=True)
class Curves:
    """Columns of values over their steps, and what the formats need besides."""

    steps: Steps
    columns: Mapping[str, Floats]
    document: Mapping[str, Any]
    """The JSON answer, in which arrays may stand anywhere."""
    look: Look = field(default_factory=Look)
    """How a picture of them looks."""

    @property
    def names(self) -> list[str]:
        """The columns in the order in which every format has them."""
        return sorted(self.columns)


class PiecewiseResponse(Response):
    """An answer that is sent in pieces, so that a large one does not fill the socket's buffer."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the answer."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        body, end = memoryview(self.body), len(self.body)
        for begin in range(0, max(end, 1), PIECE):
            piece = bytes(body[begin : begin + PIECE])
            more = begin + PIECE < end
            await send({"type": "http.response.body", "body": piece, "more_body": more})


async def answer(
    request: Request,
    chosen: Format,
    compute: Callable[[], Curves],
    *,
    quick: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """
    Return the curves that ``compute`` returns, in the format that was chosen.

    Both computing and writing happen in a thread, a few at a time, unless the work is ``quick``:
    at most `QUICK` values, and no picture.
    """
    most_points = request.app.state.settings.max_picture_points

    def work() -> tuple[bytes, list[str]]:
        curves = compute()
        return write(chosen, curves, most_points), curves.names

    if quick and not chosen.picture:
        body, names = work()
    else:
        limiter = request.app.state.curve_limiter
        body, names = await anyio.to_thread.run_sync(work, limiter=limiter)
    all_headers = {"Vary": "Accept", **(headers or {})}
    if chosen in {Format.F64, Format.NPY}:
        all_headers["Rheostat-Parameters"] = ",".join(names)
    return PiecewiseResponse(body, headers=all_headers, media_type=chosen.media_type)


def write(chosen: Format, curves: Curves, most_points: int) -> bytes:
    """Return curves as the bytes of a format."""
    match chosen:
        case Format.JSON:
            return write_json(curves.document)
        case Format.F64:
            return _stacked(curves).tobytes()
        case Format.NPY:
            return write_npy(_stacked(curves))
        case Format.CSV:
            return write_csv(curves)
        case Format.PNG | Format.SVG:
            from rheostat.server.api.pictures import draw  # noqa: PLC0415 - loads matplotlib

            columns = {name: curves.columns[name] for name in curves.names}
            return draw(chosen, curves.steps, columns, curves.look, most_points)


def _stacked(curves: Curves) -> Floats:
    columns = [curves.columns[name] for name in curves.names]
    return np.array(columns, dtype="<f8").reshape(len(columns), len(curves.steps))


def write_npy(array: Floats) -> bytes:
    """Return an array in NumPy's file format, version 1.0."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def write_json(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON; floats are the shortest text that reads back the same."""
    return orjson.dumps(document, default=_array)


def _array(value: Any) -> orjson.Fragment:
    if not isinstance(value, np.ndarray):
        raise TypeError
    return orjson.Fragment(b"[" + b",".join(_texts(value)) + b"]")


def _texts(values: NDArray[Any]) -> Iterator[bytes]:
    values = np.ascontiguousarray(values)
    for begin in range(0, len(values), SLICE):
        part = orjson.dumps(values[begin : begin + SLICE], option=orjson.OPT_SERIALIZE_NUMPY)
        yield part[1:-1]


def write_csv(curves: Curves) -> bytes:
    """Return a table with the columns ``step`` and one per parameter, lines ended as RFC 4180."""
    names = curves.names
    lines = [",".join(("step", *names)).encode() + b"\r\n"]
    columns = [curves.steps, *(curves.columns[name] for name in names)]
    for parts in zip(*map(_texts, columns), strict=True):
        rows = zip(*(part.split(b",") for part in parts), strict=True)
        lines.append(b"\r\n".join(map(b",".join, rows)) + b"\r\n")
    return b"".join(lines)
