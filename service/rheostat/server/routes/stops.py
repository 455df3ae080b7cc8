"""``/v1/runs/{run}/stop``, ``…/pause`` and ``…/resume``: where a run ends, holds, and goes on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Body
from pydantic import Field
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import (
    Finished,
    NotPending,
    RevisionMismatch,
    Stopped,
    TooLate,
    UnknownRun,
)
from rheostat.limits import MAX_STEP, WORD
from rheostat.server.http.access import needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.approval import acts
from rheostat.server.http.arrival import ArrivalsDep
from rheostat.server.http.auditing import audited
from rheostat.server.http.requests import (
    ActBody,
    KeyDep,
    NoteDep,
    RequestBody,
    Run,
    StoreDep,
    body_examples,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.routes.revisions import LANDS, Cause, Expected
from rheostat.server.runs.revision import Note, RevisionKind
from rheostat.server.store.idempotency import once
from rheostat.server.store.operations import stop as operations
from rheostat.server.tokens import Role

stops = router("revisions")

HALTED = JsonAnswer(
    wire.Halted,
    {"revision": 2, "effective": 4096, "beyond": 64, "warnings": [], "eta": [LANDS]},
)
RESUMED = JsonAnswer(
    wire.Resumed, {"revision": 3, "pause": 4, "cancelled": [2], "settled_until": 4096}
)


class StopSignal(RequestBody):
    """A signal that is sent with a stop or a pause, for the same step."""

    signal: Annotated[str, Field(pattern=f"^{WORD}$")]
    """The word."""

    arguments: dict[str, Any] = Field(default_factory=dict)
    """What the run declares that it takes."""


class Halt(ActBody):
    """A stop or a pause as it is asked for."""

    effective: Literal["next"] | Annotated[int, Field(ge=0, le=MAX_STEP)] = "next"
    """First step that is not to be had; `next` is the first that no worker has been given."""

    message: str = ""
    """Why."""

    signal: StopSignal | None = None
    """What all ranks are to do there, such as to save a checkpoint."""

    expected_revision: Expected = None
    """Newest revision that the author has seen; another one is refused."""

    cause: Cause | None = None
    """The report that a program decided it on: a second one for it answers the first one."""

    def requested_by(self, note: Note, *, hold: bool) -> operations.StopRequest:
        """Return what the author in ``note`` asks for."""
        sent = self.signal
        return operations.StopRequest(
            self.effective,
            hold,
            self.expected_revision,
            sent.signal if sent else None,
            sent.arguments if sent else {},
            Note(note.author, self.message),
            None if self.cause is None else self.cause.model_dump(),
        )


class Resumption(ActBody):
    """An end of pauses as it is asked for."""

    until: Annotated[int, Field(ge=0, le=MAX_STEP)] | None = None
    """Step at which the run holds again."""

    message: str = ""
    """Why."""

    expected_revision: Expected = None
    """Newest revision that the author has seen; another one is refused."""

    def requested_by(self, note: Note) -> operations.ResumeRequest:
        """Return what the author in ``note`` asks for."""
        return operations.ResumeRequest(
            self.until, self.expected_revision, Note(note.author, self.message)
        )


NEXT = Halt()
RIGHT_NOW = Resumption()


@stops.post(
    "/v1/runs/{run}/stop",
    summary="Stop a run",
    status_code=201,
    responses={201: HALTED.shown()},
    openapi_extra=body_examples(
        next={"message": "diverged"},
        saved={"effective": 90_000, "signal": {"signal": "checkpoint"}},
    ),
)
@needs(Role.OPERATOR)
@audited("stop", "revision", "effective")
@acts("stop")
@refuses(UnknownRun, Finished, Stopped, RevisionMismatch, TooLate)
async def stop_run(
    run: Run,
    store: StoreDep,
    arrivals: ArrivalsDep,
    note: NoteDep,
    key: KeyDep,
    halt: Annotated[Halt, Body()] = NEXT,
) -> Response:
    """
    End a training at a step that no worker has been given, the same one for all ranks.

    Reads past it are refused. Until a worker has come there, it can be taken back as a revision
    can; then a rewind lifts it. The run is not finished by it, and can still be changed.
    """
    requested = halt.requested_by(note, hold=False)
    made = await store.write(once, key, lambda r: operations.stop(r, run, requested))
    return HALTED.send(await arrivals.with_eta(run, made, RevisionKind.STOP), 201)


@stops.post(
    "/v1/runs/{run}/pause",
    summary="Pause a run",
    status_code=201,
    responses={201: HALTED.shown()},
    openapi_extra=body_examples(next={}, later={"effective": 90_000, "message": "look at it"}),
)
@needs(Role.OPERATOR)
@audited("pause", "revision", "effective")
@acts("pause")
@refuses(UnknownRun, Finished, Stopped, RevisionMismatch, TooLate)
async def pause_run(
    run: Run,
    store: StoreDep,
    arrivals: ArrivalsDep,
    note: NoteDep,
    key: KeyDep,
    halt: Annotated[Halt, Body()] = NEXT,
) -> Response:
    """
    Hold a training at a step that no worker has been given, the same one for all ranks.

    Reads past it are refused until the run is resumed; meanwhile it can be changed. A worker that
    asks with `Prefer: wait=30` is answered when it goes on.
    """
    requested = halt.requested_by(note, hold=True)
    made = await store.write(once, key, lambda r: operations.stop(r, run, requested))
    return HALTED.send(await arrivals.with_eta(run, made, RevisionKind.PAUSE), 201)


@stops.post(
    "/v1/runs/{run}/resume",
    summary="Let a run go on",
    responses={200: RESUMED.shown()},
    openapi_extra=body_examples(on={}, steps={"until": 4196, "message": "a hundred steps"}),
)
@needs(Role.OPERATOR)
@audited("resume", "revision")
@acts("resume")
@refuses(UnknownRun, Finished, Stopped, NotPending, RevisionMismatch, TooLate)
async def resume_run(
    run: Run,
    store: StoreDep,
    note: NoteDep,
    key: KeyDep,
    resumption: Annotated[Resumption, Body()] = RIGHT_NOW,
) -> Response:
    """
    Take back all pauses at which a run holds; those further on stay.

    With `until`, the run holds there next. A stop that workers have ended by is lifted by a rewind.
    """
    requested = resumption.requested_by(note)
    return RESUMED.send(
        await store.write(once, key, lambda r: operations.resume(r, run, requested))
    )
