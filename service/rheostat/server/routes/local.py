"""``POST /v1/local/attached``: clients of a local server say that they are there."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.limits import MAX_LINGER
from rheostat.server.http.access import needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.auditing import unaudited
from rheostat.server.http.requests import RequestBody, body_examples
from rheostat.server.http.route import router
from rheostat.server.local import LocalService
from rheostat.server.tokens import Role

local = router("operations")

ATTACHED = JsonAnswer(wire.Attached, {"stays": 75.0})


class AttachedBody(RequestBody):
    """That a client is there."""

    linger: Annotated[float, Field(ge=0, le=MAX_LINGER, allow_inf_nan=False)] = 0
    """Seconds that the server is to stay once the client has gone."""


@local.post(
    "/v1/local/attached",
    summary="Say that a client is there",
    responses={200: ATTACHED.shown()},
    openapi_extra=body_examples(notebook={"linger": 300}),
)
@needs(Role.WORKER)
@unaudited("a client says that it is there")
async def attach(attached: AttachedBody, request: Request) -> Response:
    """
    Say that a client of a local server is there, which `rheostat.local()` does every 10 seconds.

    A client that has said nothing for 15 seconds has gone. A server that was not started so stays
    without it, and answers the same way.
    """
    service: LocalService | None = request.app.state.local
    stays = None if service is None else round(service.hear(attached.linger), 3)
    return ATTACHED.send({"stays": stays})
