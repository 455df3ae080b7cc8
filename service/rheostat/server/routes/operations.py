"""What operators and their machines ask: alive, ready, figures, and where things are."""

from __future__ import annotations

from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rheostat import __version__
from rheostat.errors import Unavailable
from rheostat.server.http import examples
from rheostat.server.http.access import needs
from rheostat.server.http.deps import router
from rheostat.server.http.problems import refuses
from rheostat.server.store.store import sentence
from rheostat.server.tokens import Role

operations = router("operations")


@operations.get(
    "/livez",
    summary="Is the process alive?",
    response_class=JSONResponse,
    responses={200: examples.document({"status": "alive"})},
)
@needs(None)
async def livez() -> Response:
    """Answer 200 as long as the process handles requests at all."""
    return JSONResponse({"status": "alive"}, headers={"Cache-Control": "no-store"})


@operations.get(
    "/readyz",
    summary="Can it serve?",
    response_class=JSONResponse,
    responses={200: examples.document({"status": "ready"}), **refuses(Unavailable)},
)
@needs(None)
async def readyz(request: Request) -> Response:
    """
    Answer 200 if the database can be read and written.

    Otherwise `reasons` lists why not: `disk-full`, `read-only`, `database-away`, `writer-stuck`,
    `schema`, `file-replaced`. The writer itself is asked, behind all that waits for it.
    """
    reasons = await request.app.state.store.reasons()
    if reasons:
        raise Unavailable(sentence(reasons), reason=reasons[0], reasons=reasons)
    return JSONResponse({"status": "ready"}, headers={"Cache-Control": "no-store"})


@operations.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"description": "The figures.", "content": {"text/plain": {}}}},
)
@needs(Role.VIEWER)
async def metrics(request: Request) -> Response:
    """Return the figures of all workers in Prometheus's text format."""
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@operations.get(
    "/",
    summary="Where things are",
    response_class=JSONResponse,
    responses={200: examples.document({"service": "Rheostat", "version": __version__})},
)
@needs(None)
async def index(request: Request) -> Response:
    """Name the service, its version and its documents."""
    links = {"openapi": "/openapi.json", "kinds": "/v1/kinds", "runs": "/v1/runs"}
    links |= {"schedules": "/v1/schedules", "metrics": "/metrics"}
    if request.app.state.settings.docs:
        links = {"docs": "/docs", **links}
    return JSONResponse({"service": "Rheostat", "version": __version__, **links})


# load balancers ask by HEAD, and HAProxy by OPTIONS
_CHECKS: dict[str, Any] = {"/livez": livez, "/readyz": readyz, "/": index}
for _path, _endpoint in _CHECKS.items():
    operations.add_api_route(_path, _endpoint, methods=["HEAD", "OPTIONS"], include_in_schema=False)
