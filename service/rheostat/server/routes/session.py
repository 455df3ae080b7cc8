"""
``/v1/session``: signing in to the page with a token, who is signed in, and signing out.

The browser gets a cookie that no script can read, without a path: so it sends it to what lies
beside this route alone, which is the API, wherever a proxy has put it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Body
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import Forbidden, Invalid, RateLimited, Unauthenticated
from rheostat.limits import SIGN_INS_PER_SECOND
from rheostat.server.http.access import COOKIE, Authenticator, Caller, needs, session_of
from rheostat.server.http.answers import NO_STORE, JsonAnswer
from rheostat.server.http.auditing import audited, done_by
from rheostat.server.http.browsers import is_loopback, require_own_page
from rheostat.server.http.rates import Rates
from rheostat.server.http.requests import RequestBody, StoreDep, body_examples
from rheostat.server.http.route import refuses, router
from rheostat.server.store.operations import sessions as operations
from rheostat.server.store.operations.sessions import Session
from rheostat.server.tokens import hash_of, new_session

sessions = router("sessions")

SESSION = JsonAnswer(
    wire.Session,
    {
        "required": True,
        "name": "ann",
        "role": "operator",
        "runs": None,
        "limit": None,
        "expires_at": "2026-01-02T00:00:00.000000+00:00",
    },
)
NOBODY: wire.Session = {
    "required": True,
    "name": None,
    "role": None,
    "runs": None,
    "limit": None,
    "expires_at": None,
}


class SignIn(RequestBody):
    """With what somebody signs in."""

    token: Annotated[str, Field(max_length=256)]
    """The secret of a token."""


@sessions.get(
    "/v1/session",
    summary="Say who is signed in",
    responses={200: SESSION.shown()},
)
@needs(None)
async def read_session(request: Request) -> Response:
    """Return who asks, by a session or a token, and whether anybody has to sign in at all."""
    access = _access(request)
    try:
        caller = await access.caller(request.scope)
        session = (await access.session(request.scope))[1] if caller.by_session else None
    except Unauthenticated:
        return SESSION.send(NOBODY)
    return SESSION.send(_shown(access, caller, session))


@sessions.post(
    "/v1/session",
    summary="Sign in",
    status_code=201,
    responses={201: SESSION.shown("Signed in: the answer sets the cookie.")},
    openapi_extra=body_examples(token={"token": "rheo_3f…"}),
)
@needs(None)
@audited("sign-in")
@refuses(Unauthenticated, Forbidden, RateLimited)
async def begin_session(
    request: Request, store: StoreDep, sign_in: Annotated[SignIn, Body()]
) -> Response:
    """
    Begin a session in a browser with a token; only the page itself, over https or locally, may.

    It lasts 12 hours from its last use, and no longer than the token. Where no tokens are required
    there is nothing to sign in to.
    """
    require_own_page(request.headers)
    access = _access(request)
    if not access.required:
        raise Invalid("this server requires no tokens: there is nothing to sign in to")
    caller = await access.holder(sign_in.token)
    done_by(caller.name)
    token_hash = hash_of(sign_in.token)
    rates: Rates = request.app.state.sign_in_rates
    rates.require(token_hash, f"more than {SIGN_INS_PER_SECOND} sign-ins a second with one token")
    rates.count(token_hash)
    before, made = _cookie(request), new_session()
    old_hash = None if before is None else hash_of(before)
    session = await store.write(operations.begin, hash_of(made), token_hash, old_hash)
    if before is not None:
        access.forget(before)
    headers = {**NO_STORE, "Set-Cookie": _set_cookie(request, made)}
    return SESSION.send(_shown(access, caller, session), 201, headers)


@sessions.delete(
    "/v1/session",
    summary="Sign out",
    status_code=204,
)
@needs(None)
@audited("sign-out")
@refuses(Forbidden)
async def end_session(request: Request, store: StoreDep) -> Response:
    """End the session that the browser has, if it has one: other processes forget it in seconds."""
    cookie = _cookie(request)
    if cookie is not None:
        require_own_page(request.headers)
        await _end(request, store, cookie)
    headers = {**NO_STORE, "Set-Cookie": _set_cookie(request, "", "; Max-Age=0")}
    return Response(status_code=204, headers=headers)


async def _end(request: Request, store: StoreDep, cookie: str) -> None:
    """End a session, if there is one: nobody writes anything by sending cookies that mean none."""
    access = _access(request)
    try:
        done_by((await access.session(request.scope))[0].name)
    except Unauthenticated:
        return
    await store.write(operations.end, hash_of(cookie))
    access.forget(cookie)


def _access(request: Request) -> Authenticator:
    access: Authenticator = request.app.state.access
    return access


def _cookie(request: Request) -> str | None:
    """Return what the browser has of a session; what is none of ours is as good as nothing."""
    try:
        return session_of(request.scope)
    except Unauthenticated:
        return None


def _set_cookie(request: Request, value: str, more: str = "") -> str:
    # a proxy may ask for this machine on behalf of another name: the browser says by what scheme
    https = request.headers.get("origin", "").startswith("https://")
    secure = "; Secure" if https or not is_loopback(request.headers.get("host", "")) else ""
    return f"{COOKIE}={value}; HttpOnly; SameSite=Strict{secure}{more}"


def _shown(access: Authenticator, caller: Caller, session: Session | None) -> wire.Session:
    return {
        "required": access.required,
        "name": caller.name,
        "role": caller.role.value,
        "runs": str(caller.runs) if caller.bounded else None,
        "limit": None if caller.limit is None else str(caller.limit),
        "expires_at": None if session is None else session.expires_at,
    }
