"""``/v1/tokens``: who may do what, for admins; ``/v1/access``: who asks, for whoever asks."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import (
    Forbidden,
    Invalid,
    Malformed,
    NameTaken,
    TooLarge,
    Unavailable,
    UnknownToken,
    UnsupportedMediaType,
)
from rheostat.limits import NAME
from rheostat.server.http import examples
from rheostat.server.http.access import caller_of, needs, require
from rheostat.server.http.deps import Cursor, Limit, router
from rheostat.server.http.pages import cursor_of, number_of
from rheostat.server.http.problems import refuses
from rheostat.server.http.run_deps import StoreDep
from rheostat.server.roles import Role
from rheostat.server.routes.runs import document
from rheostat.server.store.operations import tokens as operations
from rheostat.server.tokens import NewToken

tokens = router("tokens")

TOKEN = {
    "name": "ci",
    "role": "operator",
    "created_at": "2026-01-01T12:00:00.000000+00:00",
    "created_by": "ann",
    "expires_at": "2027-01-01T00:00:00.000000+00:00",
    "revoked_at": None,
}
TokenName = Annotated[
    str, Path(pattern=f"^{NAME}$", description="Name of the token.", examples=["ci"])
]


@tokens.post(
    "/v1/tokens",
    summary="Make a token",
    status_code=201,
    response_class=Response,
    responses={
        201: examples.document({**TOKEN, "token": "rheo_3f…"}),
        **refuses(Malformed, Forbidden, NameTaken, TooLarge, UnsupportedMediaType, Invalid),
        **refuses(Unavailable),
    },
    openapi_extra=examples.body(
        forever={"name": "ann", "role": "admin"},
        expiring={"name": "ci", "role": "worker", "expires_at": "2100-01-01T00:00:00Z"},
    ),
)
@needs(Role.ADMIN)
async def create_token(new: NewToken, store: StoreDep, request: Request) -> Response:
    """
    Make a token. This answer alone has its secret, of which only a hash is kept.

    So the answer is not kept for an `Idempotency-Key` either: a request that is sent again is
    refused, since the name is taken.
    """
    made = await store.write(operations.create, new, caller_of(request).name)
    return document(made, 201)


@tokens.get(
    "/v1/tokens",
    summary="List the tokens",
    response_class=Response,
    responses={
        200: examples.document({"items": [TOKEN], "next": None}),
        **refuses(Forbidden, Invalid, Unavailable),
    },
)
@needs(Role.ADMIN)
async def list_tokens(store: StoreDep, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Return the tokens, oldest first, those that were revoked or have expired among them."""
    items, after = await store.read(operations.page, number_of(cursor), limit)
    following = None if after is None else cursor_of(str(after))
    return document({"items": [asdict(item) for item in items], "next": following})


@tokens.delete(
    "/v1/tokens/{name}",
    summary="Revoke a token",
    status_code=204,
    response_class=Response,
    responses=refuses(Forbidden, UnknownToken, Invalid, Unavailable),
)
@needs(Role.ADMIN)
async def revoke_token(name: TokenName, store: StoreDep) -> Response:
    """Revoke a token: within three seconds no process accepts it any more."""
    await store.write(operations.revoke, name)
    return Response(status_code=204)


@tokens.get(
    "/v1/access",
    summary="Say who asks",
    response_class=Response,
    responses={
        200: examples.document(
            {"name": "ci", "role": "worker"}, {"name": None, "role": "operator"}
        ),
        **refuses(Forbidden, Invalid),
    },
)
@needs(Role.VIEWER)
async def read_access(
    request: Request,
    role: Annotated[wire.Role, Query(description="Refuse callers without this role.")] = "viewer",
) -> Response:
    """
    Return the token's name and role; without tokens, the name is null.

    A cache in front asks this before it answers: 200 is yes, 401 and 403 are no.
    """
    require(request, Role(role))
    caller = caller_of(request)
    return document({"name": caller.name, "role": caller.role})
