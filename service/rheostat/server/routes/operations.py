"""What operators and their machines ask: alive, ready, figures, and where things are."""

from __future__ import annotations

from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from rheostat import __version__, wire
from rheostat.errors import Unavailable
from rheostat.server.http.access import needs, of_all_runs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.negotiation import quality, ranges
from rheostat.server.http.route import any_query, check_query, refuses, router
from rheostat.server.routes.page import shell_for
from rheostat.server.store.store import sentence
from rheostat.server.tokens import Role

operations = router("operations")

ALIVE = JsonAnswer(wire.Health, {"status": "alive"})
READY = JsonAnswer(wire.Readiness, {"status": "ready"})
INDEX = JsonAnswer(
    wire.Index,
    {
        "service": "Rheostat",
        "version": __version__,
        "openapi": "/openapi.json",
        "kinds": "/v1/kinds",
        "runs": "/v1/runs",
        "schedules": "/v1/schedules",
        "metrics": "/metrics",
    },
)


@operations.get(
    "/livez",
    summary="Is the process alive?",
    responses={200: ALIVE.shown()},
)
@needs(None)
async def livez() -> Response:
    """Answer 200 as long as the process handles requests at all."""
    return ALIVE.send({"status": "alive"})


@operations.get(
    "/readyz",
    summary="Can it serve?",
    responses={200: READY.shown()},
)
@needs(None)
@refuses(Unavailable)
async def readyz(request: Request) -> Response:
    """
    Answer 200 if the database can be read and written.

    Otherwise `reasons` lists why not: `disk-full`, `read-only`, `database-away`, `writer-stuck`,
    `schema`, `file-replaced`. The writer itself is asked, behind all that waits for it.
    """
    reasons = await request.app.state.store.reasons()
    if reasons:
        raise Unavailable(sentence(reasons), reason=reasons[0], reasons=reasons)
    return READY.send({"status": "ready"})


@operations.get(
    "/metrics",
    summary="Figures for Prometheus",
    responses={200: {"description": "The figures.", "content": {"text/plain": {}}}},
)
@needs(Role.VIEWER)
@of_all_runs
async def metrics(request: Request) -> Response:
    """
    Return the figures of all processes in Prometheus's text format.

    Those that come from the database are as old as the last look at it.
    """
    request.app.state.sampler.look()
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@operations.get(
    "/",
    summary="Where things are",
    responses={200: INDEX.shown()},
)
@needs(None)
@any_query
async def index(request: Request) -> Response:
    """
    Name the service, its version and its documents.

    To a browser, which asks for `text/html`, it is the page of all runs.
    """
    if _wants_page(request):
        return await shell_for(request, vary="Accept")
    check_query(request, {})
    links = INDEX.example
    if request.app.state.settings.docs:
        links = {**links, "docs": "/docs"}
    return INDEX.send(links, headers={"Vary": "Accept"})


def _wants_page(request: Request) -> bool:
    """Say whether a request would rather have a page than JSON."""
    asked = list(ranges(",".join(request.headers.getlist("accept"))))
    return quality(asked, "text/html") > quality(asked, "application/json")


# load balancers ask by HEAD, and HAProxy by OPTIONS
_CHECKS: dict[str, Any] = {"/livez": livez, "/readyz": readyz, "/": index}
for _path, _endpoint in _CHECKS.items():
    operations.add_api_route(_path, _endpoint, methods=["HEAD", "OPTIONS"], include_in_schema=False)
