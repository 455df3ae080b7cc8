"""``/v1/audit``: who did what; ``/v1/purge``: what ended long ago is removed. For admins."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Body, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import Forbidden, Invalid
from rheostat.limits import MAX_AUTHOR
from rheostat.server.housekeeping import Purge, purge
from rheostat.server.http.access import caller_of, needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.auditing import audited
from rheostat.server.http.requests import (
    MOMENT,
    Cursor,
    Limit,
    RequestBody,
    StoreDep,
    body_examples,
    cursor_of,
    moment_of,
    number_of,
    place_of,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.routes.runs import forget
from rheostat.server.runs.selector import MAX_SELECTOR
from rheostat.server.store.operations import audits
from rheostat.server.store.operations.audits import WantedDeeds
from rheostat.server.tokens import Role

audit = router("operations")

ROW: wire.Audited = {
    "number": 812,
    "at": "2026-01-01T12:00:00.000000+00:00",
    "who": "ann",
    "address": "10.0.0.7",
    "action": "change",
    "run_id": "run_1f0c9a3be5d24c77a8e1b20c94",
    "run_name": "gpt-7b",
    "subject": None,
    "request_id": "6f1c2a90b7d34e58",
    "outcome": {"revision": 7, "effective": 4096},
}
ROWS = JsonAnswer(wire.AuditPage, {"items": [ROW], "next": None})
PURGED = JsonAnswer(
    wire.Purged,
    {
        "what": "runs",
        "before": "2025-10-03T12:00:00.000000+00:00",
        "dry_run": False,
        "deleted": 1,
        "items": [
            {
                "id": "run_1f0c9a3be5d24c77a8e1b20c94",
                "name": "gpt-7b",
                "at": "2025-09-01T08:00:00.000000+00:00",
                "kept": None,
            }
        ],
        "next": None,
    },
)
PLAIN = r"^[^\x00]+$"


@audit.get(
    "/v1/audit",
    summary="Read who did what",
    responses={200: ROWS.shown()},
)
@needs(Role.ADMIN)
@refuses(Forbidden, Invalid)
async def read_audit(
    store: StoreDep,
    run: Annotated[
        str | None,
        Query(
            max_length=128, pattern=PLAIN, description="A run's id or name, of a deleted one, too."
        ),
    ] = None,
    who: Annotated[
        str | None,
        Query(max_length=MAX_AUTHOR, pattern=PLAIN, description="A token's name, or an author."),
    ] = None,
    action: Annotated[
        list[Annotated[str, Field(max_length=32, pattern="^[a-z-]+$")]] | None,
        Query(max_length=32, description="Such as `delete`; may be repeated."),
    ] = None,
    since: Annotated[
        str | None, Query(max_length=64, description=f"From then on: {MOMENT}.")
    ] = None,
    until: Annotated[
        str | None, Query(max_length=64, description=f"Before then: {MOMENT}.")
    ] = None,
    order: Annotated[
        Literal["oldest", "newest"], Query(description="Which of them come first.")
    ] = "newest",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """
    Return what was done by people and programs, the newest first: it outlives the runs.

    There is one row for each operation that changed something. What was refused has changed
    nothing, and is in the log; what workers settle and report, and what controllers decide, is in
    the history of the run.
    """
    wanted = WantedDeeds(
        run,
        who,
        tuple(action or ()),
        moment_of("since", since),
        moment_of("until", until),
        order == "newest",
    )
    items, after = await store.read(audits.page, wanted, number_of(cursor), limit)
    return ROWS.send({"items": items, "next": None if after is None else cursor_of(str(after))})


class PurgeBody(RequestBody):
    """What is to be removed."""

    what: Literal["runs", "tokens", "audit"]
    """Finished runs, tokens that were revoked or have expired, or rows of the audit."""

    older_than: Annotated[
        str, Field(max_length=16, json_schema_extra={"pattern": "^[0-9]{1,7}[hdw]$"})
    ]
    """How long ago it must have ended: hours, days or weeks such as `36h`, `90d` or `52w`."""

    selector: Annotated[str, Field(max_length=MAX_SELECTOR)] = ""
    """Of runs: only those that it means."""

    dry_run: bool = False
    """Only say what would be removed."""

    cursor: Annotated[str, Field(max_length=1024)] | None = None
    """`next` of the answer before."""


@audit.post(
    "/v1/purge",
    summary="Remove what ended long ago",
    responses={200: PURGED.shown()},
    openapi_extra=body_examples(
        runs={"what": "runs", "older_than": "90d", "selector": "team=nlp", "dry_run": True},
        tokens={"what": "tokens", "older_than": "90d"},
        audit={"what": "audit", "older_than": "104w"},
    ),
)
@needs(Role.ADMIN)
@audited("purge", "what", "count")
@refuses(Forbidden, Invalid)
async def purge_old(
    body: Annotated[PurgeBody, Body()], store: StoreDep, request: Request
) -> Response:
    """
    Remove for good what ended long ago, some of it at a time: ask again while there is a `next`.

    Each run goes in a transaction of its own, which the audit has. One that others were forked from
    stays as long as they do. To ask twice does no harm, so no `Idempotency-Key` is kept.
    """
    place, author = place_of(body.cursor), caller_of(request).name
    asked = Purge(body.what, body.older_than, body.selector, body.dry_run, place, author)
    purged = await purge(store, asked)
    following = purged["next"]
    purged["next"] = None if following is None else cursor_of(following)
    if not body.dry_run:
        for item in purged["items"]:
            if item["id"] and item["kept"] is None:
                forget(request, item["id"])
    return PURGED.send(purged)
