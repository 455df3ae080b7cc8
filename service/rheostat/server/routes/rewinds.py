"""``/v1/runs/{run}/rewind``: going back to an earlier step, in a new generation."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import (
    Finished,
    GenerationMismatch,
    GuardViolated,
    UnknownGeneration,
    UnknownRevision,
    UnknownRun,
    UnknownSchedule,
)
from rheostat.limits import MAX_CONTROLLERS, MAX_STEP
from rheostat.server.http.access import needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.approval import acts
from rheostat.server.http.arrival import ArrivalsDep
from rheostat.server.http.auditing import audited
from rheostat.server.http.requests import (
    ActBody,
    KeyDep,
    NoteDep,
    Run,
    StoreDep,
    body_examples,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.routes.checkpoints import SAVED, resumable
from rheostat.server.routes.revisions import Changes, Expected
from rheostat.server.runs.revision import Note
from rheostat.server.store.idempotency import once
from rheostat.server.store.operations import rewind
from rheostat.server.tokens import Role

rewinds = router("revisions")

NOT_THERE = (
    "no checkpoint of step 30500 is known: the nearest before it is 'before-decay', of step 30000"
)
REWOUND = JsonAnswer(
    wire.Rewound,
    {
        "generation": 2,
        "parent": 1,
        "from": 30_500,
        "ended": 31_040,
        "revision": 3,
        "again": [],
        "dropped": [],
        "checkpoint": SAVED,
        "warnings": [NOT_THERE],
    },
)
REWIND_REHEARSED = JsonAnswer(
    wire.RewindRehearsal,
    {
        "generation": 2,
        "parent": 1,
        "from": 30_500,
        "ended": 31_040,
        "revisions": {"many": 0, "items": []},
        "workers": 8,
        "again": [],
        "dropped": [],
        "checkpoint": SAVED,
        "warnings": [NOT_THERE],
    },
)


class RewindBody(ActBody):
    """A rewind as it is asked for."""

    to: Annotated[int, Field(ge=0, le=MAX_STEP)]
    """Step at which the new generation branches: the first that is open again."""

    from_generation: Expected = None
    """Generation to branch from; by default the current one."""

    expected_generation: Expected = None
    """Current generation, as the author has seen it; another one is refused."""

    changes: Changes | None = None
    """What to change at that step."""

    message: str = ""
    """Why."""

    force: bool = False
    """Accept it though it breaks a guard."""

    controllers: (
        Annotated[dict[str, Literal["reset"]], Field(max_length=MAX_CONTROLLERS)] | None
    ) = None
    """Controllers that begin anew, by name: `reset`."""

    def requested_by(self, note: Note) -> rewind.RewindRequest:
        """Return what the author in ``note`` asks for."""
        return rewind.RewindRequest(
            self.to,
            self.from_generation,
            self.expected_generation,
            self.changes,
            self.force,
            Note(note.author, self.message),
            [] if self.controllers is None else list(self.controllers),
        )


@rewinds.post(
    "/v1/runs/{run}/rewind",
    summary="Rewind a run",
    responses={
        200: REWIND_REHEARSED.shown("A rehearsal (`dry_run`): nothing has changed."),
        201: REWOUND.shown(),
    },
    openapi_extra=body_examples(
        checkpoint={"to": 30_500, "message": "loss diverged"},
        halved={"to": 30_500, "changes": {"lr": {"edit": "scale", "factor": 0.5}}},
    ),
)
@needs(Role.OPERATOR, rehearsal=Role.VIEWER)
@audited("rewind", "revision", "generation", "from")
@acts("rewind")
@refuses(
    UnknownRun,
    UnknownGeneration,
    UnknownSchedule,
    UnknownRevision,
    Finished,
    GenerationMismatch,
    GuardViolated,
)
async def rewind_run(
    run: Run,
    wanted: RewindBody,
    store: StoreDep,
    arrivals: ArrivalsDep,
    note: NoteDep,
    key: KeyDep,
    *,
    dry_run: Annotated[bool, Query(description="Only show what would happen.")] = False,
) -> Response:
    """
    Start a new generation from an earlier step; workers of the old one are fenced off.

    `checkpoint` is the last one that can be resumed there, as far as workers have said what they
    saved, and `warnings` has a sentence if it is not one of this very step.
    """
    requested = wanted.requested_by(note)
    if dry_run:
        rehearsed = await store.read(rewind.rehearse_rewind, run, requested)
        saved = await resumable(store, run, wanted.to, rehearsed["parent"])
        alive = await arrivals.alive(run)
        return REWIND_REHEARSED.send({**rehearsed, **saved, "workers": alive})
    done = await store.write(once, key, lambda r: rewind.rewind(r, run, requested))
    saved = await resumable(store, run, wanted.to, done["generation"])
    return REWOUND.send({**done, **saved}, 201)
