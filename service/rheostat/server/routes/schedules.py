"""``/v1/schedules``: the library of named, versioned definitions."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Query
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.curve_files import Annotations, Curves
from rheostat.errors import (
    PreconditionFailed,
    TooLarge,
    UnknownSchedule,
)
from rheostat.formats import Format
from rheostat.limits import MAX_NUMBER, MAX_STEP
from rheostat.schedules import evaluate
from rheostat.server.http.access import needs, of_all_runs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.auditing import audited
from rheostat.server.http.curves import answer, reserve
from rheostat.server.http.definitions import DefinitionBody, range_of
from rheostat.server.http.negotiation import check_size, offers
from rheostat.server.http.requests import (
    Author,
    Cursor,
    Limit,
    ScheduleName,
    SettingsDep,
    Step,
    StoreDep,
    body_examples,
    cursor_of,
    place_of,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.runs.fragments import as_json
from rheostat.server.store.operations import schedules as operations
from rheostat.server.store.operations.schedules import Check, Entry, Schedule
from rheostat.server.tokens import Role

schedules = router("schedules")

UNENDING = 1_000
"""Steps that are shown of a curve that never ends, when nobody says how many."""

Version = Annotated[
    int | None, Query(ge=1, le=MAX_NUMBER, description="Version; the newest by default.")
]
IfMatch = Annotated[
    str | None,
    Header(
        max_length=1024,
        description="Do it only if the newest version has one of these tags; `*`: if there is any.",
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(max_length=1024, description="`*`: do it only if there is no schedule of this name."),
]
ENTRY: wire.ScheduleVersion = {
    "name": "pretrain",
    "version": 1,
    "content_hash": "9c1d0f…",
    "author": "ann",
    "created_at": "2026-01-01T12:00:00.000+00:00",
}
COSINE = {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 10000}
SCHEDULE = JsonAnswer(wire.Schedule, {**ENTRY, "definition": COSINE})
SCHEDULES = JsonAnswer(wire.SchedulePage, {"items": [ENTRY], "next": None})
CURVE = JsonAnswer(
    wire.ScheduleCurve,
    {
        "name": "pretrain",
        "version": 1,
        "start": 0,
        "stop": 2,
        "stride": 1,
        "values": [0.001, 0.000998],
    },
)
VALUE = JsonAnswer(
    wire.ScheduleStep, {"name": "pretrain", "version": 1, "step": 500, "value": 0.00099}
)


@schedules.put(
    "/v1/schedules/{name}",
    summary="Keep a definition under a name",
    responses={
        200: SCHEDULE.shown("The newest version has this definition."),
        201: SCHEDULE.shown("A new version."),
    },
    openapi_extra=body_examples(cosine={"definition": COSINE}),
)
@needs(Role.OPERATOR)
@audited("put-schedule", "version")
@of_all_runs
@refuses(UnknownSchedule, PreconditionFailed)
async def put_schedule(
    name: ScheduleName,
    new: DefinitionBody,
    store: StoreDep,
    request: Request,
    author: Author,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Make a new version, unless the newest one already has this definition."""
    definition = await new.read(request, store)
    check = _precondition(if_match, if_none_match)
    entry, created = await store.write(operations.put, name, definition, author, check)
    return _answer(Schedule(entry, definition), created=created)


@schedules.get(
    "/v1/schedules/{name}",
    summary="Read a schedule",
    responses={
        200: SCHEDULE.shown(),
    },
)
@needs(Role.VIEWER)
@refuses(UnknownSchedule)
async def get_schedule(name: ScheduleName, store: StoreDep, version: Version = None) -> Response:
    """Return a version, the newest by default; its tag serves `If-Match`."""
    return _answer(await store.read(operations.get, name, version))


@schedules.get(
    "/v1/schedules",
    summary="List the schedules",
    responses={
        200: SCHEDULES.shown(),
    },
)
@needs(Role.VIEWER)
async def list_schedules(store: StoreDep, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Return the newest version of each schedule, by name, without its definition."""
    found = await store.read(operations.page, place_of(cursor), limit + 1)
    items = [entry.to_json() for entry in found[:limit]]
    following = cursor_of(found[limit - 1].name) if len(found) > limit else None
    return SCHEDULES.send({"items": items, "next": following}, headers={})


@schedules.delete(
    "/v1/schedules/{name}",
    summary="Remove a schedule",
    status_code=204,
)
@needs(Role.OPERATOR)
@audited("delete-schedule")
@of_all_runs
@refuses(UnknownSchedule, PreconditionFailed)
async def delete_schedule(
    name: ScheduleName, store: StoreDep, if_match: IfMatch = None
) -> Response:
    """Remove all versions. Runs that were made from them have copies of their own."""
    await store.write(operations.delete, name, _precondition(if_match, None))
    return Response(status_code=204)


@schedules.get(
    "/v1/schedules/{name}/values",
    summary="Compute values of a schedule",
    responses={
        200: CURVE.shown("The values.", formats=tuple(Format)),
    },
)
@needs(Role.VIEWER)
@refuses(UnknownSchedule, TooLarge)
async def get_values(
    name: ScheduleName,
    store: StoreDep,
    settings: SettingsDep,
    request: Request,
    chosen: Annotated[Format, offers(*Format)],
    start: Annotated[int, Query(ge=0, le=MAX_STEP, description="First step.")] = 0,
    stop: Annotated[
        int | None,
        Query(ge=1, le=MAX_STEP + 1, description="End, exclusive; by default the curve's own."),
    ] = None,
    stride: Annotated[
        int | None, Query(ge=1, le=MAX_STEP, description="Distance between steps; 1 by default.")
    ] = None,
    version: Version = None,
) -> Response:
    """
    Return values of a schedule, all of its curve by default.

    A curve that never ends is shown to step 1,000 unless `stop` says otherwise. A picture of a
    long curve takes the smallest stride that its limit allows, unless `stride` says otherwise.
    """
    schedule = await store.read(operations.get, name, version)
    if stop is None:
        stop = max(_end(schedule), start + 1)
    if stride is None:
        stride = -(-(stop - start) // settings.max_binary_values) if chosen.picture else 1
    places = range_of(start, stop, stride)
    check_size(chosen, len(places), settings)

    def compute() -> Curves:
        values = evaluate(schedule.definition, places)
        document: wire.ScheduleCurve = {
            "name": name,
            "version": schedule.entry.version,
            "start": places.start,
            "stop": places.stop,
            "stride": places.step,
            "values": as_json(values),
        }
        notes = Annotations(f"{name}, version {schedule.entry.version}")
        return Curves(places, {"value": values}, document, notes)

    holding = reserve(request, chosen, len(places))
    return await answer(request, chosen, compute, holding=holding)


@schedules.get(
    "/v1/schedules/{name}/values/{step}",
    summary="Compute one value of a schedule",
    responses={
        200: VALUE.shown(),
    },
)
@needs(Role.VIEWER)
@refuses(UnknownSchedule)
async def get_value(
    name: ScheduleName, step: Step, store: StoreDep, version: Version = None
) -> Response:
    """Return the value at one step."""
    schedule = await store.read(operations.get, name, version)
    value = evaluate(schedule.definition, step)
    document: wire.ScheduleStep = {
        "name": name,
        "version": schedule.entry.version,
        "step": step,
        "value": value,
    }
    return VALUE.send(document, headers={})


def _end(schedule: Schedule) -> int:
    length = schedule.definition.length
    return UNENDING if length is None else min(length, MAX_STEP) + 1


def _answer(schedule: Schedule, *, created: bool = False) -> Response:
    entry = schedule.entry
    document: wire.Schedule = {
        **entry.to_json(),
        "definition": as_json(schedule.definition),
    }
    headers = {"ETag": entry.tag, "Cache-Control": "no-cache"}
    if created:
        headers["Location"] = f"/v1/schedules/{entry.name}?version={entry.version}"
    return SCHEDULE.send(document, 201 if created else 200, headers)


def _precondition(if_match: str | None, if_none_match: str | None) -> Check:
    def check(newest: Entry | None) -> None:
        tags = {newest.tag, "*"} if newest else set[str]()
        version = newest.version if newest else None
        asked = {tag.strip() for tag in (if_match or "").split(",")}
        if if_match is not None and not tags & asked:
            raise PreconditionFailed("the newest version is another one", version=version)
        if if_none_match is not None and if_none_match.strip() in tags:
            raise PreconditionFailed("there is a schedule of this name", version=version)

    return check
