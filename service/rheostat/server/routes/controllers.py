"""``/v1/runs/{run}/controllers``: rules that read a metric and may decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Body, Header, Path, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import (
    FieldError,
    Finished,
    Invalid,
    PreconditionFailed,
    UnknownController,
    UnknownRun,
    UnknownSchedule,
)
from rheostat.limits import MAX_NUMBER, NAME
from rheostat.schedules.field_errors import shown
from rheostat.server.http.access import needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.approval import UNAPPROVED, acts, sent
from rheostat.server.http.auditing import audited
from rheostat.server.http.requests import (
    ActBody,
    Cursor,
    KeyDep,
    Limit,
    NoteDep,
    RequestBody,
    Run,
    StoreDep,
    Unapproved,
    body_examples,
    cursor_of,
    number_of,
    refers,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.routes.reports import REDUCED
from rheostat.server.runs.control.fitting import read_controller
from rheostat.server.runs.revision import Note
from rheostat.server.store.idempotency import once
from rheostat.server.store.operations import acts as acts_of
from rheostat.server.store.operations import control, decided
from rheostat.server.store.operations.control import ArmRequest
from rheostat.server.tokens import Role

controllers = router("controllers")

PLATEAU: dict[str, Any] = {
    "kind": "plateau",
    "metric": "val_loss",
    "factor": 0.5,
    "patience": 3,
    "effective": {"after": 200},
}
ARMED: wire.ArmedController = {
    "name": "plateau",
    "revision": 2,
    "config": PLATEAU,
    "state": {"best": 2.3007, "best_step": 7000, "bad": 1, "cool": 0, "count": 0, "mean": 0.0},
    "last": {"step": 8000, "value": 2.3124},
    "decisions": 0,
    "gate": None,
}
CONTROLLER = JsonAnswer(wire.ArmedController, ARMED)
CONTROLLERS = JsonAnswer(wire.ControllerPage, {"items": [ARMED], "next": None})
DECISIONS = JsonAnswer(wire.DecisionPage, {"items": [REDUCED], "next": None})
DISARMED = JsonAnswer(wire.Disarmed, {"name": "plateau", "revision": 9})

Name = Annotated[
    str, Path(pattern=f"^{NAME}$", description="Name of the controller.", examples=["plateau"])
]
IfMatch = Annotated[
    str | None,
    Header(
        pattern=r'^(\*|"[1-9][0-9]{0,9}")$',
        description="The controller's `revision`, in quotation marks: another one is refused."
        " `*`: whichever it is, but one there must be.",
        examples=['"2"'],
    ),
]
Config = Annotated[dict[str, Any], Body(), refers("Arming")]


def _expected(if_match: str | None) -> int | None:
    if if_match == "*":
        return control.ANY
    return None if if_match is None else min(int(if_match.strip('"')), MAX_NUMBER)


def _named(request: Request) -> dict[str, Any]:
    """Return a request about a controller as a proposal says it."""
    return {**sent(request), "name": request.path_params["name"]}


def _resetting(request: Request) -> dict[str, Any]:
    if_match = request.headers.get("if-match")
    match = {} if if_match is None else {"expected": _expected(if_match)}
    return {**_named(request), **match}


def _disarming(request: Request) -> dict[str, Any]:
    return {**_resetting(request), "message": request.query_params.get("message", "")}


class OfController(RequestBody):
    """What is to be done to an armed controller, as a proposal says it."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    """Its name."""

    expected: Annotated[int, Field(ge=control.ANY, le=MAX_NUMBER)] | None = None
    """Revision that armed it, another one is refused; 0: whichever it is."""

    message: str = ""
    """Why."""

    def requested_by(self, note: Note) -> acts_of.OfController:
        """Return what the author in ``note`` asks for."""
        why = Note(note.author, self.message)
        return acts_of.OfController(self.name, self.expected, why)


@controllers.put(
    "/v1/runs/{run}/controllers/{name}",
    summary="Arm a controller",
    responses={
        200: CONTROLLER.shown("It is armed, in place of one that differed, or as it was."),
        201: CONTROLLER.shown("It is armed."),
    },
    openapi_extra=body_examples(
        plateau=PLATEAU,
        stop={"kind": "stop", "metric": "val_loss", "patience": 10, "replay": True},
    ),
)
@needs(Role.OPERATOR)
@audited("arm")
@acts("control", _named)
@refuses(UnknownRun, UnknownSchedule, Finished, PreconditionFailed)
async def arm_controller(
    run: Run,
    name: Name,
    body: Config,
    store: StoreDep,
    note: NoteDep,
    if_match: IfMatch = None,
) -> Response:
    """
    Arm a controller on a run, or arm it otherwise: it decides on the reports from the next one on.

    What differs from the configuration before starts anew, unless `keep_state` carries over what
    it remembers; with `replay` it first takes in the reports so far, without deciding on them.
    The same configuration once more changes nothing, and makes no revision.
    """
    request, replays = arming(body, note, _expected(if_match))
    replay: control.Replay | None = None
    while replays and (replay is None or not replay.whole):
        replay = await store.read(control.replay, run, request.controller, replay)
    shown_, created = await store.write(control.arm, run, name, request, replay)
    return CONTROLLER.send(shown_, 201 if created else 200)


def arming(
    body: Mapping[str, Any], note: Note, expected: int | None = None
) -> tuple[ArmRequest, bool]:
    """Return what a body asks for, and whether the reports so far are to be taken in first."""
    options = {key: _flag(body, key) for key in ("keep_state", "replay", "force", UNAPPROVED)}
    config = {key: value for key, value in body.items() if key not in options}
    controller = read_controller(config, "")
    keep, force = options["keep_state"], options["force"]
    return ArmRequest(controller, keep, force, expected, note), options["replay"]


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if type(value) is not bool:
        wrong = FieldError(name, "must be true or false", shown(value), "true or false")
        raise Invalid("The controller is refused.", errors=[wrong])
    return value


@controllers.get(
    "/v1/runs/{run}/controllers",
    summary="List a run's controllers",
    responses={200: CONTROLLERS.shown()},
)
@needs(Role.VIEWER)
@refuses(UnknownRun)
async def list_controllers(run: Run, store: StoreDep) -> Response:
    """Return the armed controllers by name, all of them: a run has few."""
    return CONTROLLERS.send({"items": await store.read(control.show_all, run), "next": None})


@controllers.get(
    "/v1/runs/{run}/controllers/{name}",
    summary="Read a controller",
    responses={200: CONTROLLER.shown()},
)
@needs(Role.VIEWER)
@refuses(UnknownRun, UnknownController)
async def show_controller(run: Run, name: Name, store: StoreDep) -> Response:
    """Return a controller, and what it remembers."""
    return CONTROLLER.send(await store.read(control.show_one, run, name))


@controllers.get(
    "/v1/runs/{run}/controllers/{name}/decisions",
    summary="List what a controller decided",
    responses={200: DECISIONS.shown()},
)
@needs(Role.VIEWER)
@refuses(UnknownRun, UnknownController)
async def list_decisions(
    run: Run, name: Name, store: StoreDep, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """Return the decisions, oldest first, those of generations that were left among them."""
    items, after = await store.read(decided.decisions, run, name, number_of(cursor), limit)
    return DECISIONS.send(
        {"items": items, "next": None if after is None else cursor_of(str(after))}
    )


@controllers.delete(
    "/v1/runs/{run}/controllers/{name}",
    summary="Disarm a controller",
    responses={200: DISARMED.shown()},
)
@needs(Role.OPERATOR)
@audited("disarm", "revision")
@acts("disarm", _disarming)
@refuses(UnknownRun, UnknownController, Finished, PreconditionFailed)
async def disarm_controller(
    run: Run,
    name: Name,
    store: StoreDep,
    note: NoteDep,
    key: KeyDep,
    if_match: IfMatch = None,
    message: Annotated[str, Query(description="Why.")] = "",
    *,
    unapproved: Unapproved = False,  # noqa: ARG001 - `perform` reads it
) -> Response:
    """Have a controller decide no more; what it has decided stays."""
    why, expected = Note(note.author, message), _expected(if_match)
    return DISARMED.send(
        await store.write(once, key, lambda r: control.disarm(r, run, name, expected, why))
    )


class Reset(ActBody):
    """A reset as it is asked for."""

    message: str = ""
    """Why."""


BARE = Reset()


@controllers.post(
    "/v1/runs/{run}/controllers/{name}/reset",
    summary="Reset a controller",
    responses={200: CONTROLLER.shown()},
    openapi_extra=body_examples(bare={}, why={"message": "another validation set"}),
)
@needs(Role.OPERATOR)
@audited("reset")
@acts("reset", _resetting)
@refuses(UnknownRun, UnknownController, Finished, PreconditionFailed)
async def reset_controller(
    run: Run,
    name: Name,
    store: StoreDep,
    note: NoteDep,
    key: KeyDep,
    body: Annotated[Reset, Body()] = BARE,
    if_match: IfMatch = None,
) -> Response:
    """Have a controller forget its best and its counters, as if it were armed anew."""
    why, expected = Note(note.author, body.message), _expected(if_match)
    return CONTROLLER.send(
        await store.write(once, key, lambda r: control.reset(r, run, name, expected, why))
    )
