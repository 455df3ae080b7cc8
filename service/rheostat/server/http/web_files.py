"""
Files of the package that browsers load: read once, compressed once, named by what is in them.

A file is found by its name in a dictionary of all that there are, so no path leads anywhere else.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

from rheostat.server.http.negotiation import ranges

HTML = "text/html; charset=utf-8"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": HTML,
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What is served, and as what; licences and notes beside it are not."""

REVALIDATED = "no-cache"
"""Of what may change under its address: asked for again each time, and answered 304."""


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file as it is sent: plain and compressed, each with its tag."""

    content: bytes
    compressed: bytes
    media_type: str
    digest: str

    @classmethod
    def of(cls, content: bytes, media_type: str) -> WebFile:
        """Return the file of some bytes."""
        compressed = gzip.compress(content, mtime=0)
        return cls(content, compressed, media_type, sha256(content).hexdigest()[:32])

    def answer(self, request: Request, caching: str, vary: str = "") -> Response:
        """Return the answer to a request: compressed if it takes that, 304 if it has the file."""
        small = takes_gzip(request.headers.get("accept-encoding"))
        tag = f'"{self.digest}-gzip"' if small else f'"{self.digest}"'
        varies = ", ".join(filter(None, (vary, "Accept-Encoding")))
        headers = {"Cache-Control": caching, "ETag": tag, "Vary": varies}
        if _holds(request.headers.get("if-none-match"), tag):
            return Response(status_code=304, headers=headers)
        if small:
            headers["Content-Encoding"] = "gzip"
        content = self.compressed if small else self.content
        return Response(content, media_type=self.media_type, headers=headers)


def takes_gzip(accept_encoding: str | None) -> bool:
    """Say whether an ``Accept-Encoding`` header takes what is compressed by gzip."""
    qualities = {each.media_type: each.quality for each in ranges(accept_encoding or "")}
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def _holds(if_none_match: str | None, tag: str) -> bool:
    sent = (each.strip().removeprefix("W/") for each in (if_none_match or "").split(","))
    return tag in sent


@cache
def folder(name: str = "", without: tuple[str, ...] = ()) -> Mapping[str, WebFile]:
    """Return what is served of a folder below ``web``, but for some in it, by its path there."""
    root = files("rheostat.server").joinpath("web", *filter(None, [name]))
    return {
        path: WebFile.of(each.read_bytes(), TYPES[_end(path)])
        for path, each in _walk(root)
        if path.partition("/")[0] not in without
    }


def _walk(root: Traversable, above: str = "") -> Iterator[tuple[str, Traversable]]:
    for each in sorted(root.iterdir(), key=lambda each: each.name):
        if each.is_dir():
            yield from _walk(each, f"{above}{each.name}/")
        elif _end(each.name) in TYPES:
            yield above + each.name, each


def _end(name: str) -> str:
    return name[name.rfind(".") :]
