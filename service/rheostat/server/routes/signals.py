"""``/v1/runs/{run}/signals`` and ``…/surface``: what a training understands, and is told."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import Finished, RevisionMismatch, Stopped, TooLate, UnknownRun
from rheostat.limits import MAX_STEP, WORD
from rheostat.server.http.access import needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.approval import acts
from rheostat.server.http.arrival import ArrivalsDep
from rheostat.server.http.auditing import audited
from rheostat.server.http.requests import ActBody, KeyDep, NoteDep, Run, StoreDep, body_examples
from rheostat.server.http.route import refuses, router
from rheostat.server.routes.revisions import LANDS, Expected
from rheostat.server.runs.revision import Note
from rheostat.server.store.idempotency import once
from rheostat.server.store.operations.signal import SignalRequest, signal
from rheostat.server.store.operations.surface import surface
from rheostat.server.tokens import Role

signals = router("revisions")

SIGNALLED = JsonAnswer(
    wire.Signalled,
    {
        "revision": 9,
        "effective": 4200,
        "beyond": 64,
        "warnings": [],
        "eta": [{**LANDS, "revision": 9, "effective": 4200}],
    },
)
SURFACE = JsonAnswer(
    wire.Surface,
    {
        "id": "run_1f0c9a3be5d24c77a8e1b20c94",
        "name": "gpt-7b",
        "axis": "step",
        "about": "the 7B baseline",
        "goal": {"metric": "val_loss", "target": 2.1},
        "generation": 1,
        "revision": 9,
        "settled_until": 4200,
        "parameters": {
            "lr": {
                "value": 3e-4,
                "definition": {"kind": "constant", "value": 3e-4},
                "guard": {"min": 0, "max": None, "max_ratio": None},
                "description": {"text": "peak rate of AdamW", "takes_effect": "step"},
            }
        },
        "edits": {
            "scale": {
                "usage": "scale FACTOR",
                "text": "multiply",
                "schema": {
                    "type": "object",
                    "properties": {"edit": {"const": "scale"}, "factor": {"type": "number"}},
                    "required": ["edit", "factor"],
                    "additionalProperties": False,
                },
            }
        },
        "signals": {
            "checkpoint": {
                "text": "save all ranks",
                "schema": {
                    "type": "object",
                    "properties": {"tag": {"type": "string", "maxLength": 64}},
                    "required": [],
                    "additionalProperties": False,
                },
            }
        },
        "any_signal": False,
        "metrics": ["val_loss"],
        "controllers": {"plateau": {"kind": "plateau", "metric": "val_loss", "revision": 4}},
    },
)


class SignalBody(ActBody):
    """A signal as it is asked for."""

    signal: Annotated[str, Field(pattern=f"^{WORD}$")]
    """The word."""

    arguments: dict[str, Any] = Field(default_factory=dict)
    """What it is told, as the run has declared."""

    effective: Literal["next"] | Annotated[int, Field(ge=0, le=MAX_STEP)] = "next"
    """Step at which all ranks are told; `next` is the first that no worker has been given."""

    message: str = ""
    """Why."""

    expected_revision: Expected = None
    """Newest revision that the author has seen; another one is refused."""

    def requested_by(self, note: Note) -> SignalRequest:
        """Return what the author in ``note`` asks for."""
        return SignalRequest(
            self.signal,
            self.arguments,
            self.effective,
            self.expected_revision,
            Note(note.author, self.message),
        )


@signals.post(
    "/v1/runs/{run}/signals",
    summary="Send a signal to all ranks",
    status_code=201,
    responses={201: SIGNALLED.shown()},
    openapi_extra=body_examples(
        checkpoint={"signal": "checkpoint", "message": "before the decay"},
        later={"signal": "evaluate", "effective": 95_000},
    ),
)
@needs(Role.OPERATOR)
@audited("signal", "revision", "effective")
@acts("signal")
@refuses(UnknownRun, Finished, Stopped, RevisionMismatch, TooLate)
async def signal_run(
    run: Run, wanted: SignalBody, store: StoreDep, arrivals: ArrivalsDep, note: NoteDep, key: KeyDep
) -> Response:
    """
    Tell all ranks a word at one step, which no worker has been given.

    They act on it before the update of that step. It changes no value; until its step is settled
    it can be cancelled as any revision.
    """
    requested = wanted.requested_by(note)
    made = await store.write(once, key, lambda r: signal(r, run, requested))
    return SIGNALLED.send(await arrivals.with_eta(run, made), 201)


@signals.get(
    "/v1/runs/{run}/surface",
    summary="Read what can be done to a run",
    responses={200: SURFACE.shown()},
)
@needs(Role.VIEWER)
@refuses(UnknownRun)
async def read_surface(run: Run, store: StoreDep) -> Response:
    """Return parameters, edits, signals, metrics and controllers, with the schemas of bodies."""
    return SURFACE.send(await store.read(surface, run))
