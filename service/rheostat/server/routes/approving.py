"""
``/v1/runs/{run}/protect``: which runs need a second person, and what becomes of what they hold.

What somebody asks of a protected run becomes a proposal by their own request, whichever route it
came by: see `http.approval`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Body, Query
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import Finished, Forbidden, Refused, UnknownRun
from rheostat.server.http.access import needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.approval import PROPOSED, Act, free
from rheostat.server.http.auditing import audited
from rheostat.server.http.requests import (
    NoteDep,
    Run,
    StoreDep,
    author_of,
    body_examples,
    key_of,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.routes.measures import Measure, read
from rheostat.server.routes.revisions import POINTS
from rheostat.server.routes.runs import require_tokens_for
from rheostat.server.runs.protection import Protect
from rheostat.server.runs.revision import Note
from rheostat.server.store import Store
from rheostat.server.store.idempotency import IdempotencyKey, once
from rheostat.server.store.operations import propose, revise, total
from rheostat.server.store.operations import protect as operations
from rheostat.server.store.operations.propose import ProposalRequest
from rheostat.server.store.records import Records
from rheostat.server.tokens import Role

protection = router("runs")

PROTECTED: wire.Protected = {
    "id": "run_1f0c9a3be5d24c77a8e1b20c94",
    "name": "gpt-7b",
    "protect": {"except": ["pause", "signal", "stop"]},
    "revision": 9,
}
ANSWER = JsonAnswer(wire.Protected, PROTECTED)

REHEARSED: Mapping[str, Callable[[Records, str, Any, int], Any]] = {
    "change": revise.rehearse,
    "total": total.rehearse_total,
}
"""Kinds of which the curves before and after are shown to whoever has to accept them."""


async def propose_instead(request: Request, act: Act) -> Response:
    """Answer a request that acts on a protected run: it is a proposal from now on."""
    store: Store = request.app.state.store
    run = request.path_params["run"]
    author, key = await author_of(request), await key_of(request)
    held = await hold(store, run, act.kind, act.body(request), author, key)
    return PROPOSED.send(held, 202)


async def hold(
    store: Store,
    run: str,
    kind: wire.ProposalKind,
    body: Mapping[str, Any],
    author: str | None,
    key: IdempotencyKey | None,
) -> wire.Proposed:
    """Keep what somebody asks for as a proposal, once for a request's key, and return it."""
    message = body.get("message", "")
    by = Note(author, message if isinstance(message, str) else "")
    measure = read(kind, body, by)
    asked = ProposalRequest(kind, body, by)
    made = await store.write(once, _own(key), lambda r: propose.propose(r, run, asked, measure))
    effective = body.get("effective", body.get("to", body.get("end")))
    if effective is None and "effective" in EFFECTIVE.get(kind, ()):
        effective = "next"
    found: wire.Proposed = {
        "proposal": made["proposal"],
        "kind": kind,
        "run": run,
        "effective": effective,
    }
    curves = await _curves(store, run, kind, measure)
    return {**found, **curves}


EFFECTIVE: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    ("change", "total", "stop", "pause", "signal"), ("effective",)
)
"""Kinds whose step is the first that no worker has been given, unless they name one."""


async def _curves(store: Store, run: str, kind: str, measure: Measure) -> Any:
    """Return the curves before and after, as they would be if it were accepted now."""
    if kind not in REHEARSED:
        return {}
    try:
        shown = await store.read(REHEARSED[kind], run, measure.request, POINTS)
    except Refused:  # it is kept all the same: who accepts it is told
        return {}
    return {name: shown[name] for name in ("steps", "before", "after")}


def _own(key: IdempotencyKey | None) -> IdempotencyKey | None:
    """Return the key of the proposal that a request with this key becomes."""
    if key is None:
        return None
    return replace(key, key=f"held {hashlib.sha256(key.key.encode()).hexdigest()}")


ProtectBody = Annotated[Protect, Body()]


@protection.put(
    "/v1/runs/{run}/protect",
    summary="Protect a run",
    responses={200: ANSWER.shown()},
    openapi_extra=body_examples(
        usual={"except": ["stop", "pause", "signal"]}, everything={"except": []}
    ),
)
@needs(Role.ADMIN)
@audited("protect")
@free("an admin decides who may do what")
@refuses(UnknownRun, Forbidden, Finished)
async def protect_run(
    run: Run, body: ProtectBody, store: StoreDep, note: NoteDep, request: Request
) -> Response:
    """
    Have all that an operator does to a run wait until another one accepts it, but for some acts.

    The acts are the kinds of proposals. What armed controllers decide is not held: it was approved
    with their arming. The run's history says so by a note.
    """
    require_tokens_for({"protect": body.to_json()}, request)
    return ANSWER.send(await store.write(operations.protect, run, body, note))


@protection.delete(
    "/v1/runs/{run}/protect",
    summary="Protect a run no more",
    responses={200: ANSWER.shown()},
)
@needs(Role.ADMIN)
@audited("unprotect")
@free("an admin decides who may do what")
@refuses(UnknownRun, Forbidden, Finished)
async def unprotect_run(
    run: Run,
    store: StoreDep,
    note: NoteDep,
    message: Annotated[str, Query(description="Why.")] = "",
) -> Response:
    """Let one operator be enough again; proposals that wait go on waiting for a yes or a no."""
    why = Note(note.author, message)
    return ANSWER.send(await store.write(operations.protect, run, None, why))
