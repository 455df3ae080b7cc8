"""Answers with curves: computed in a thread, held in memory by a budget, sent part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rheostat.curve_files import Curves, Part, json_parts, write
from rheostat.digests import names_digest
from rheostat.formats import Format
from rheostat.server.http.budgets import SMALL, Budget, Holding
from rheostat.server.http.traffic import cut_off, pieces, require_caller
from rheostat.server.runs.fragments import fragment

QUICK = 4096
"""Numbers up to which an answer is computed and written at once, without a thread."""


DRAWING = 16 * 1024 * 1024
"""Bytes of memory that a picture takes besides, while it is drawn."""


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
    return sending.take(DRAWING * chosen.picture + chosen.memory * count)


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
        curves = replace(compute(), most_points=most_points, other=fragment)
        return write(chosen, curves), curves.names

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
    if chosen.content == "binary":
        all_headers["Rheostat-Parameters"] = names_digest(names)
    return PartsResponse(parts, all_headers, chosen.media_type, holding)


def write_json(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON, in which arrays, definitions and stored texts may stand."""
    return b"".join(json_parts(document, fragment))
