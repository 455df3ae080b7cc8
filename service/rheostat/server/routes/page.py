"""
The operator's page: one document for all of its addresses, and the files that it loads.

The document is the same everywhere but for where its files are, which is written relative to the
address: so it works below a proxy's path, of which the service knows nothing. The files' own
address has a digest of all of them, so a browser keeps them for good, and never mixes two versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from typing import Annotated

import anyio.to_thread
from fastapi import Path
from starlette.requests import Request
from starlette.responses import Response

from rheostat.errors import NotFound
from rheostat.server.http.access import needs
from rheostat.server.http.blocks import IMMUTABLE
from rheostat.server.http.route import any_query, router
from rheostat.server.http.web_files import HTML, REVALIDATED, WebFile, folder

page = router("page")

SHELL = "index.html"
STATIC = "{{static}}"
"""What stands in the document for the folder of its files."""

DEEPEST = 16
"""Folders below which the page has no addresses; each depth is a document of its own."""

Rest = Annotated[str, Path(description="Whatever the page makes of it.")]


@page.get("/runs", include_in_schema=False)
@page.get("/runs/{rest:path}", include_in_schema=False)
@page.get("/new", include_in_schema=False)
@needs(None)
@any_query
async def shell(request: Request) -> Response:
    """Return the page."""
    return await shell_for(request)


@page.get("/static/{digest}/{file:path}", include_in_schema=False)
@needs(None)
async def static(request: Request, digest: str, file: str) -> Response:
    """Return a file that the page loads."""
    version, found = await anyio.to_thread.run_sync(_static)
    if digest != version or file not in found:
        raise NotFound(f"there is nothing under {request.url.path}")
    return found[file].answer(request, IMMUTABLE)


async def shell_for(request: Request, vary: str = "") -> Response:
    """Return the page for the address that a request has."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    prefix = request.scope.get("root_path", "").encode()
    depth = raw.removeprefix(prefix).count(b"/") - 1
    if depth > DEEPEST:
        raise NotFound(f"there is nothing under {request.url.path}")
    document = await anyio.to_thread.run_sync(_shell, max(depth, 0))
    return document.answer(request, REVALIDATED, vary)


@cache
def _static() -> tuple[str, dict[str, WebFile]]:
    """Return the digest of all files of the page, and those that it loads, by their path."""
    found = dict(_page())
    together = "\n".join(f"{path} {each.digest}" for path, each in found.items())
    del found[SHELL]
    return sha256(together.encode()).hexdigest()[:16], found


@cache
def _shell(depth: int) -> WebFile:
    """Return the document for addresses of some depth."""
    where = f"{depth * '../' or './'}static/{_static()[0]}"
    return WebFile.of(_page()[SHELL].content.replace(STATIC.encode(), where.encode()), HTML)


def _page() -> Mapping[str, WebFile]:
    return folder(without=("swagger",))
