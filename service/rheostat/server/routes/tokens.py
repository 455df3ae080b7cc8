"""``/v1/tokens``: who may do what, for admins; ``/v1/access``: who asks, for whoever asks."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import (
    Forbidden,
    Invalid,
    NameTaken,
    UnknownRun,
    UnknownToken,
)
from rheostat.limits import NAME
from rheostat.server.http.access import caller_of, needs, require, require_known
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.auditing import audited
from rheostat.server.http.requests import (
    Cursor,
    Limit,
    StoreDep,
    body_examples,
    cursor_of,
    number_of,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.store.operations import tokens as operations
from rheostat.server.store.operations.tokens import NewToken
from rheostat.server.tokens import Role

tokens = router("tokens")

TOKEN: wire.Token = {
    "name": "ci",
    "role": "operator",
    "created_at": "2026-01-01T12:00:00.000000+00:00",
    "created_by": "ann",
    "expires_at": "2027-01-01T00:00:00.000000+00:00",
    "revoked_at": None,
    "runs": "team=nlp",
    "limit": None,
}
ISSUED = JsonAnswer(wire.IssuedToken, {**TOKEN, "token": "rheo_3f…"})
TOKENS = JsonAnswer(wire.TokenPage, {"items": [TOKEN], "next": None})
ACCESS = JsonAnswer(
    wire.Access,
    {"name": "ci", "role": "worker", "runs": None, "limit": None, "may": ["propose", "note"]},
)
TokenName = Annotated[
    str, Path(pattern=f"^{NAME}$", description="Name of the token.", examples=["ci"])
]


@tokens.post(
    "/v1/tokens",
    summary="Make a token",
    status_code=201,
    responses={
        201: ISSUED.shown(),
    },
    openapi_extra=body_examples(
        forever={"name": "ann", "role": "admin"},
        team={"name": "trainers", "role": "worker", "runs": "team=nlp"},
        agent={
            "name": "tuner",
            "role": "operator",
            "limit": "changes=20/day, gap=500, parameters=lr, edits=scale|hold, ratio=2",
        },
        expiring={"name": "ci", "role": "worker", "expires_at": "2100-01-01T00:00:00Z"},
    ),
)
@needs(Role.ADMIN)
@audited("create-token", "name", "role", "expires_at", "limit")
@refuses(Forbidden, NameTaken)
async def create_token(new: NewToken, store: StoreDep, request: Request) -> Response:
    """
    Make a token. This answer alone has its secret, of which only a hash is kept.

    So the answer is not kept for an `Idempotency-Key` either: a request that is sent again is
    refused, since the name is taken.
    """
    made = await store.write(operations.create, new, caller_of(request).name)
    return ISSUED.send(made, 201)


@tokens.get(
    "/v1/tokens",
    summary="List the tokens",
    responses={
        200: TOKENS.shown(),
    },
)
@needs(Role.ADMIN)
@refuses(Forbidden)
async def list_tokens(store: StoreDep, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Return the tokens, oldest first, those that were revoked or have expired among them."""
    items, after = await store.read(operations.page, number_of(cursor), limit)
    following = None if after is None else cursor_of(str(after))
    return TOKENS.send({"items": [item.to_json() for item in items], "next": following})


@tokens.delete(
    "/v1/tokens/{name}",
    summary="Revoke a token",
    status_code=204,
)
@needs(Role.ADMIN)
@audited("revoke-token")
@refuses(Forbidden, UnknownToken)
async def revoke_token(name: TokenName, store: StoreDep) -> Response:
    """Revoke a token: within three seconds no process accepts it any more."""
    await store.write(operations.revoke, name)
    return Response(status_code=204)


@tokens.get(
    "/v1/access",
    summary="Say who asks",
    responses={
        200: ACCESS.shown(),
    },
)
@needs(Role.VIEWER)
@refuses(Forbidden, Invalid)
async def read_access(
    request: Request,
    role: Annotated[wire.Role, Query(description="Refuse callers without this role.")] = "viewer",
    run: Annotated[
        str | None,
        Query(min_length=1, max_length=128, description="Refuse callers who know of no such run."),
    ] = None,
) -> Response:
    """
    Return the token's name, its role and its runs; without tokens, the name is null.

    A cache in front asks this before it answers: 200 is yes, 401 and 403 are no. Whoever knows of
    all runs is not asked about one: that there is one is not what a yes says.
    """
    require(request, Role(role))
    caller = caller_of(request)
    if run is not None:
        try:
            await require_known(request, run)
        except UnknownRun:
            message = f"the token {caller.name} knows of no run {run!r}"
            raise Forbidden(message, runs=str(caller.runs)) from None
    return ACCESS.send(
        {
            "name": caller.name,
            "role": caller.role.value,
            "runs": str(caller.runs) if caller.bounded else None,
            "limit": None if caller.limit is None else str(caller.limit),
            "may": caller.may,
        }
    )
