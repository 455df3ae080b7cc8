"""
The interactive documentation: Swagger UI, from files of our own.

Nothing comes from another place, since whoever could change it there would act with the rights of
everybody who opens the page. All addresses are relative, so that it works below a proxy's path.
"""

from __future__ import annotations

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from rheostat.errors import NotFound
from rheostat.server.http.access import needs
from rheostat.server.http.route import router
from rheostat.server.http.web_files import REVALIDATED, folder

PAGE = "page.html"

swagger = router("documentation")


@swagger.get("/docs", include_in_schema=False)
@needs(None)
async def docs(request: Request) -> Response:
    """Return the page."""
    return await _answer(request, PAGE)


@swagger.get("/docs/{file}", include_in_schema=False)
@needs(None)
async def docs_file(request: Request, file: str) -> Response:
    """Return what the page loads."""
    if file == PAGE:
        raise NotFound(f"there is nothing under {request.url.path}")
    return await _answer(request, file)


async def _answer(request: Request, name: str) -> Response:
    found = await anyio.to_thread.run_sync(folder, "swagger")
    if name not in found:
        raise NotFound(f"there is nothing under {request.url.path}")
    return found[name].answer(request, REVALIDATED)
