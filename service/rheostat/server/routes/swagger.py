"""
The interactive documentation: Swagger UI, from files of our own.

Nothing comes from another place, since whoever could change it there would act with the rights of
everybody who opens the page. All addresses are relative, so that it works below a proxy's path.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from rheostat.errors import NotFound
from rheostat.server.http.access import needs
from rheostat.server.http.route import router

SCRIPT, STYLE = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
KINDS = {"swagger-ui-bundle.js": SCRIPT, "swagger-ui.css": STYLE, "page.js": SCRIPT}
"""The files that the page loads, and their content types."""

swagger = router("documentation")


@swagger.get("/docs", include_in_schema=False)
@needs(None)
async def docs(request: Request) -> Response:
    """Return the page."""
    return _answer(request, "page.html", "text/html; charset=utf-8")


@swagger.get("/docs/{file}", include_in_schema=False)
@needs(None)
async def docs_file(request: Request, file: str) -> Response:
    """Return what the page loads."""
    if file not in KINDS:
        raise NotFound(f"there is nothing under {request.url.path}")
    return _answer(request, file, KINDS[file])


def _answer(request: Request, name: str, kind: str) -> Response:
    content, tag = _file(name)
    headers = {"Cache-Control": "no-cache", "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)


@cache
def _file(name: str) -> tuple[bytes, str]:
    content = files("rheostat.server").joinpath("web", "swagger", name).read_bytes()
    return content, f'"{sha256(content).hexdigest()[:32]}"'
