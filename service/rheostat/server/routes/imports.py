"""``POST /v1/runs/import``: a run of an export."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from starlette.responses import Response

from rheostat.errors import NameTaken, TooMany
from rheostat.limits import NAME
from rheostat.server.http.access import needs
from rheostat.server.http.answers import NO_STORE
from rheostat.server.http.arrival import ArrivalsDep
from rheostat.server.http.auditing import audited
from rheostat.server.http.requests import (
    KeyDep,
    NoteDep,
    RequestBody,
    StoreDep,
    body_examples,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.routes.runs import RUN
from rheostat.server.store.idempotency import once
from rheostat.server.store.operations import import_run as operation
from rheostat.server.tokens import Role

imports = router("runs")

EXPORT = {
    "format": "rheostat.run",
    "version": 1,
    "run": {
        "id": "run_1f0c9a3be5d24c77a8e1b20c94",
        "name": "gpt-7b",
        "generation": 1,
        "revision": 1,
        "total": 1000,
    },
    "generations": [{"generation": 1, "parent": None, "from": 0, "settled_until": 2}],
    "revisions": [
        {
            "revision": 1,
            "generation": 1,
            "kind": "create",
            "effective": 0,
            "changes": {"lr": {"kind": "constant", "value": 0.5}},
            "parameters": {
                "lr": [
                    {
                        "from": 0,
                        "origin": 0,
                        "definition": {"kind": "constant", "value": 0.5},
                        "revision": 1,
                    }
                ]
            },
            "author": "ann",
            "message": "",
            "created_at": "2026-01-01T12:00:00.000000+00:00",
        }
    ],
    "reports": [],
    "ledger": [
        {"generation": 1, "start": 0, "count": 2, "values": "eJxjYECABwr2BwAFLgIA"},
    ],
}


class ImportBody(RequestBody):
    """An export, and what to call its run."""

    export: dict[str, Any]
    """What `run.export` has written."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")] | None = None
    """What to call the run; by default as it was called."""


@imports.post(
    "/v1/runs/import",
    summary="Make a run of an export",
    status_code=201,
    responses={201: RUN.shown()},
    openapi_extra=body_examples(constant={"export": EXPORT, "name": "gpt-7b-again"}),
)
@needs(Role.OPERATOR)
@audited("import")
@refuses(NameTaken, TooMany)
async def import_run(
    body: ImportBody, store: StoreDep, note: NoteDep, key: KeyDep, arrivals: ArrivalsDep
) -> Response:
    """
    Make a run of what `run.export` has written: with the same values bit for bit, and a new id.

    Its generations and its history are those of the file, with their authors; a last note says who
    has imported it. Stops, pauses, signals and controllers are notes of the history, and do nothing
    any more. Whatever is not sound is refused by its field.
    """
    made = await store.write(
        once,
        key,
        lambda records: operation.import_run(records, body.export, body.name, note),
    )
    run = await arrivals.with_workers(made)
    return RUN.send(run, 201, {**NO_STORE, "Location": f"/v1/runs/{run['name']}"})
