"""``/v1/runs``: live runs, from their creation to their end."""

from __future__ import annotations

import gzip
from functools import partial
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import Body, Query
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import (
    FieldError,
    Finished,
    GuardViolated,
    HasForks,
    Invalid,
    NameTaken,
    StaleCheckpoint,
    StepJump,
    Stopped,
    TooLate,
    TooMany,
    UnknownGeneration,
    UnknownRun,
    UnknownSchedule,
)
from rheostat.limits import MAX_AUTHOR, MAX_NUMBER, MAX_STEP
from rheostat.server.http.access import caller_of, needs
from rheostat.server.http.answers import NO_STORE, JsonAnswer, either
from rheostat.server.http.approval import acts, free
from rheostat.server.http.arrival import ArrivalsDep
from rheostat.server.http.auditing import audited
from rheostat.server.http.recent import RecentAnswers
from rheostat.server.http.requests import (
    ActBody,
    Author,
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
    moment_of,
    no_cursor,
    place_of,
    refers,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.http.web_files import takes_gzip
from rheostat.server.routes.checkpoints import SAVED, resumable
from rheostat.server.runs.presence import Roster
from rheostat.server.runs.revision import Note
from rheostat.server.runs.selector import MAX_SELECTOR, Selector
from rheostat.server.store import Store
from rheostat.server.store.idempotency import once
from rheostat.server.store.operations import close, create, fork, join, overviews, show, workers
from rheostat.server.store.operations.acts import Closing
from rheostat.server.store.run_lists import WantedRuns
from rheostat.server.tokens import Role

runs = router("runs")

BODY: dict[str, Any] = {
    "name": "gpt-7b",
    "parameters": {"lr": {"kind": "cosine", "start": 3e-4, "end": 3e-5, "steps": 100_000}},
    "total": 100_000,
}
SUMMARY: wire.RunSummary = {
    "id": "run_1f0c9a3be5d24c77a8e1b20c94",
    "name": "gpt-7b",
    "axis": "step",
    "resolution": 1,
    "total": 100_000,
    "steps_per_epoch": None,
    "max_block": 4096,
    "max_gap": 256,
    "max_jump": 4096,
    "guards": {"lr": {"min": 0, "max": None, "max_ratio": None}},
    "labels": {},
    "protect": None,
    "author": "ann",
    "created_at": "2026-01-01T12:00:00.000000+00:00",
    "finished_at": None,
    "end": None,
    "generation": 1,
    "revision": 1,
    "event": 0,
    "begins": 0,
    "settled_until": 0,
    "stops": [],
    "paused": False,
    "state": "live",
    "workers": {"alive": 8, "silent": 0, "wrong": 0},
}
STATE: wire.RunState = {
    **SUMMARY,
    "describe": {"lr": {"text": "peak rate of AdamW", "takes_effect": "step"}},
    "signals": {"checkpoint": {"text": "save all ranks"}},
    "goal": {"metric": "val_loss", "target": 2.1},
    "about": "",
    "controllers": {},
    "attention": [],
    "parameters": BODY["parameters"],
    "words": {},
    "current": {"lr": 3e-4},
    "pending": [],
    "proposals": {"open": 0, "numbers": []},
    "generations": [{"generation": 1, "parent": None, "from": 0, "settled_until": 0}],
}
FINISHED: wire.RunState = {
    **STATE,
    "finished_at": "2026-01-09T12:00:00.000000+00:00",
    "end": 100_000,
}
FORK: wire.Forked = {
    **STATE,
    "name": "gpt-7b-decay",
    "generations": [
        {
            "generation": 1,
            "parent": 1,
            "from": 90_000,
            "settled_until": 90_000,
            "parent_run": "run_1f0c9a3be5d24c77a8e1b20c94",
        }
    ],
    "settled_until": 90_000,
    "checkpoint": {**SAVED, "step": 90_000, "run": "run_1f0c9a3be5d24c77a8e1b20c94"},
    "warnings": [],
}
RUN = JsonAnswer(wire.RunState, STATE)
FORKED = JsonAnswer(wire.Forked, FORK)
FORK_REHEARSED = JsonAnswer(
    wire.ForkRehearsal,
    {
        "name": "gpt-7b-decay",
        "parent_run": "run_1f0c9a3be5d24c77a8e1b20c94",
        "parent": 1,
        "from": 90_000,
        "revisions": {"many": 0, "items": []},
        "controllers": [],
        "checkpoint": {**SAVED, "step": 90_000},
        "warnings": [],
    },
)
OVERVIEW: wire.RunOverview = {
    "id": SUMMARY["id"],
    "name": "gpt-7b",
    "axis": "step",
    "labels": {"team": "nlp"},
    "author": "ann",
    "created_at": SUMMARY["created_at"],
    "finished_at": None,
    "total": 100_000,
    "end": None,
    "generation": 1,
    "revision": 2,
    "begins": 0,
    "settled_until": 8192,
    "state": "live",
    "workers": {"alive": 8, "silent": 0, "wrong": 0},
    "curve": {"parameter": "lr", "steps": [0, 50_000, 99_999], "values": [3e-4, 8.3e-5, 3e-5]},
    "pace": 3.21,
    "ends_in": 28_600.6,
    "newest": {
        "revision": 2,
        "kind": "change",
        "effective": 8192,
        "author": "ann",
        "message": "loss spike",
        "created_at": "2026-01-01T12:30:00.000000+00:00",
        "changes": {"lr": [{"edit": "scale", "factor": 0.5}]},
        "data": None,
    },
    "proposals": 0,
    "attention": [],
}
RUNS = JsonAnswer(wire.RunPage, {"items": [SUMMARY], "next": None})
OVERVIEWS = JsonAnswer(wire.RunOverviewPage, {"items": [OVERVIEW], "next": None})
JOINED = JsonAnswer(
    wire.Joined,
    {
        "id": "run_1f0c9a3be5d24c77a8e1b20c94",
        "name": "gpt-7b",
        "axis": "step",
        "resolution": 1,
        "generation": 1,
        "revision": 1,
        "event": 0,
        "incarnation": "5d1c3b9a8e2f4706",
        "settled_until": 0,
        "begins": 0,
        "parameters": ["lr"],
        "max_block": 4096,
        "max_gap": 256,
        "max_jump": 4096,
        "total": 100_000,
        "end": None,
        "stop": None,
        "watched": ["val_loss"],
        "again": 5.0,
    },
)

PREFIX = r"^[A-Za-z0-9._-]{0,128}$"
When = Annotated[str | None, Query(max_length=64, examples=["2026-01-31T00:00:00Z"])]

SpecData = Annotated[dict[str, Any], Body(), refers("RunAtPath")]
CreationData = Annotated[dict[str, Any], Body(), refers("Run", "Fork")]


@runs.post(
    "/v1/runs",
    summary="Create a run",
    responses={
        200: FORK_REHEARSED.shown("A rehearsal (`dry_run`) of a fork: nothing has changed."),
        201: either(RUN, FORKED),
    },
    openapi_extra=body_examples(
        cosine=BODY,
        fork={
            "name": "gpt-7b-decay",
            "from": {"run": "gpt-7b", "generation": 1, "step": 90_000},
            "changes": {"lr": {"edit": "ramp", "to": 0, "steps": 10_000, "shape": "1-sqrt"}},
        },
    ),
)
@needs(Role.OPERATOR)
@audited("create")
@refuses(NameTaken, TooMany, GuardViolated, UnknownSchedule, UnknownRun, UnknownGeneration)
async def create_run(
    body: CreationData,
    store: StoreDep,
    note: NoteDep,
    key: KeyDep,
    arrivals: ArrivalsDep,
    request: Request,
    *,
    dry_run: Annotated[bool, Query(description="Of a fork: only show what would happen.")] = False,
) -> Response:
    """
    Create a run of a new name; its id is unguessable, and never used again.

    With `from`, it is a fork: it inherits another run's past up to a settled step, and its
    specification, and takes `changes` at that step. The other run goes on undisturbed. `checkpoint`
    is the last one that can be resumed there, as far as workers have said what they saved, and
    `warnings` has a sentence if it is not one of this very step.
    """
    forks = "from" in body
    if dry_run:
        return await _rehearsed(body, store, note)
    require_tokens_for(body, request)
    make = fork.fork if forks else create.create
    made = await store.write(once, key, lambda records: make(records, body, note))
    run = await arrivals.with_workers(made)
    headers = {**NO_STORE, "Location": f"/v1/runs/{run['name']}"}
    if not forks:
        return RUN.send(run, 201, headers)
    saved = await resumable(store, run["id"], run["generations"][0]["from"], 1)
    return FORKED.send({**run, **saved}, 201, headers)


def require_tokens_for(body: dict[str, Any], request: Request) -> None:
    """Raise `Invalid` for a run that is to be protected where nobody has a token."""
    if body.get("protect") is not None and caller_of(request).name is None:
        message = "a run is protected by a second person, and without tokens nobody is another one"
        wrong = [FieldError("protect", message, body["protect"], "a server that requires tokens")]
        raise Invalid("The run cannot be protected here.", errors=wrong)


async def _rehearsed(body: dict[str, Any], store: Store, note: Note) -> Response:
    """Answer what a fork would make."""
    if "from" not in body:
        message = "only a fork is rehearsed: what a run is made with is refused, or made"
        raise Invalid(message, errors=[FieldError("dry_run", message, True, "false")])
    found = await store.read(fork.rehearse_fork, body, note)
    saved = await resumable(store, found["parent_run"], found["from"], found["parent"])
    return FORK_REHEARSED.send({**found, **saved})


@runs.put(
    "/v1/runs/{run}",
    summary="Create a run, unless it is there",
    responses={
        200: RUN.shown("It was there, created with this body, labels aside."),
        201: RUN.shown("It was created."),
    },
    openapi_extra=body_examples(cosine={**BODY, "name": "gpt-7b"}),
)
@needs(Role.WORKER)
@audited("create")
@free("it makes a run, or finds it as it was made")
@refuses(NameTaken, TooMany, GuardViolated, UnknownSchedule)
async def ensure_run(
    run: Run,
    body: SpecData,
    store: StoreDep,
    note: NoteDep,
    request: Request,
    arrivals: ArrivalsDep,
) -> Response:
    """
    Create a run, or answer that it exists: every requeue of a job can send its body again.

    A run of this name that was created with another body is refused, with the differences. What
    the bodies mean is compared, labels aside: the run keeps those that it was created with.
    """
    body = {"name": run, **body}
    if body["name"] != run:
        message = f"the body names {body['name']!r}, and the path {run!r}"
        raise Invalid(message, errors=[FieldError("name", message, body["name"], run)])
    require_tokens_for(body, request)
    shown, created = await store.write(create.ensure, body, note)
    return RUN.send(await arrivals.with_workers(shown), 201 if created else 200)


@runs.get(
    "/v1/runs",
    summary="List runs",
    responses={
        200: either(RUNS, OVERVIEWS),
    },
)
@needs(Role.VIEWER)
async def list_runs(
    request: Request,
    store: StoreDep,
    selector: Annotated[
        str,
        Query(
            max_length=MAX_SELECTOR,
            description="Only those with such labels, as Kubernetes' selectors say it.",
            examples=["team=nlp,stage in (pretrain,mid),!frozen"],
        ),
    ] = "",
    limit: Limit = 100,
    cursor: Cursor = None,
    state: Annotated[
        list[wire.RunStatus] | None,
        Query(max_length=16, description="Only those in this state; may be repeated."),
    ] = None,
    prefix: Annotated[
        str,
        Query(pattern=PREFIX, description="How their names begin.", examples=["gpt"]),
    ] = "",
    name: Annotated[
        str, Query(pattern=PREFIX, description="A part of their names, in whatever case.")
    ] = "",
    author: Annotated[
        str | None, Query(max_length=MAX_AUTHOR, description="Who created them.")
    ] = None,
    created_after: Annotated[When, Query(description="Created then or later; ISO 8601.")] = None,
    created_before: Annotated[When, Query(description="Created before; ISO 8601.")] = None,
    sort: Annotated[wire.RunSort, Query(description="What they are sorted by.")] = "name",
    order: Annotated[
        Literal["asc", "desc"], Query(description="Whether the first or the last comes first.")
    ] = "asc",
    *,
    stuck: Annotated[bool, Query(description="The same as `state=stuck`.")] = False,
    overview: Annotated[
        bool, Query(description="Tell what a table shows of each: its curve, its pace, its news.")
    ] = False,
) -> Response:
    """
    Return runs, by name unless they are to be sorted otherwise.

    A run is stuck if it is neither finished nor stopped, had workers, and all of them have fallen
    silent or ended before any came to its total. A run without a total is, too, when its training
    is over and nobody has finished it. A page of some states may have fewer than `limit`, and a
    `next`. An overview may be a second old, and without some curves that it has the next time.
    """
    stuck_ones: tuple[wire.RunStatus, ...] = ("stuck",) if stuck else ()
    wanted = WantedRuns(
        selector=caller_of(request).runs.also(Selector.parse(selector)),
        states=frozenset((*(state or ()), *stuck_ones)),
        prefix=prefix,
        name=name,
        author=author,
        created_after=moment_of("created_after", created_after),
        created_before=moment_of("created_before", created_before),
        sort=sort,
        descending=order == "desc",
        after=place_of(cursor),
        limit=limit,
    )
    try:
        wanted.last()
    except ValueError:
        raise no_cursor(cursor) from None
    if overview:
        recent: RecentAnswers = request.app.state.recent_answers
        small = takes_gzip(request.headers.get("accept-encoding"))
        make = partial(_overview, store, wanted, small=small)
        body = await recent.get((wanted, small), make)
        headers = {**NO_STORE, "Vary": "Accept-Encoding", **(COMPRESSED if small else {})}
        return Response(body, headers=headers, media_type="application/json")
    items, after = await store.read(workers.runs, wanted)
    return RUNS.send({"items": items, "next": None if after is None else cursor_of(after)})


COMPRESSED = {"Content-Encoding": "gzip"}
QUICKLY = 1
"""Of the levels of gzip: what every page asks for again soon is worth little work."""


async def _overview(store: Store, wanted: WantedRuns, *, small: bool) -> bytes:
    items, after = await store.read(overviews.overviews, wanted)
    next_ = None if after is None else cursor_of(after)
    body = OVERVIEWS.write({"items": items, "next": next_})
    if not small:
        return body
    return await anyio.to_thread.run_sync(partial(gzip.compress, body, QUICKLY, mtime=0))


@runs.get(
    "/v1/runs/{run}",
    summary="Read a run",
    responses={200: RUN.shown()},
)
@needs(Role.VIEWER)
@refuses(UnknownRun)
async def read_run(run: Run, store: StoreDep, arrivals: ArrivalsDep) -> Response:
    """Return a run's state: what is in force where it is settled to, and what is pending."""
    return RUN.send(await arrivals.with_workers(await store.read(show.show, run)))


def _nothing(_request: Request) -> dict[str, Any]:
    return {}


@runs.delete(
    "/v1/runs/{run}",
    summary="Remove a run",
    status_code=204,
)
@needs(Role.OPERATOR)
@audited("delete")
@acts("delete", _nothing)
@refuses(UnknownRun, HasForks)
async def delete_run(
    run: Run,
    store: StoreDep,
    author: Author,
    request: Request,
    *,
    unapproved: Unapproved = False,  # noqa: ARG001 - `perform` reads it
) -> Response:
    """
    Remove a run with its history and its ledger. Workers that have its id get a 404.

    Settled blocks that other processes, or caches in front, have in memory may be read there until
    they make room for others. The id is never used again.
    """
    forget(request, await store.write(close.delete, run, author))
    return Response(status_code=204)


def forget(request: Request, run_id: str) -> None:
    """Let go of what this process has in memory of a run that is gone."""
    request.app.state.block_cache.drop_run(run_id)
    request.app.state.roster.drop([run_id])


class Removal(RequestBody):
    """A removal as a proposal says it."""

    message: str = ""
    """Why."""

    def requested_by(self, note: Note) -> Closing:
        """Return what the author in ``note`` asks for."""
        return Closing(None, Note(note.author, self.message))


class End(ActBody):
    """Where a run ends."""

    end: Annotated[int, Field(ge=0, le=MAX_STEP)] | None = None
    """First step without a value; by default, the end of what is settled."""

    message: str = ""
    """Why; the history keeps it, with the author."""

    def requested_by(self, note: Note) -> Closing:
        """Return what the author in ``note`` asks for."""
        return Closing(self.end, Note(note.author, self.message))


NOW = End()


@runs.post(
    "/v1/runs/{run}/finish",
    summary="Finish a run",
    responses={
        200: JsonAnswer(wire.RunState, FINISHED).shown(),
    },
    openapi_extra=body_examples(now={}, later={"end": 120_000}),
)
@needs(Role.OPERATOR)
@audited("finish", "end", "revision")
@acts("finish")
@refuses(UnknownRun, Finished, Stopped, TooLate)
async def finish_run(
    run: Run,
    store: StoreDep,
    note: NoteDep,
    key: KeyDep,
    arrivals: ArrivalsDep,
    end: Annotated[End, Body()] = NOW,
) -> Response:
    """
    Close a run: reads from its end on are refused, and say where it ended.

    Stops and pauses by which no worker has ended are taken back by it.
    """
    why = Note(note.author, end.message)
    finished = await store.write(once, key, lambda r: close.finish(r, run, end.end, why))
    return RUN.send(await arrivals.with_workers(finished))


ALL_OR_NONE: dict[str, Any] = {
    "anyOf": [
        {"properties": {name: {"type": "null"} for name in ("id", "generation", "step")}},
        {
            "properties": {
                "id": {"type": "string"},
                "generation": {"type": "integer"},
                "step": {"type": "integer"},
            },
            "required": ["id", "generation", "step"],
        },
    ]
}


class Joining(RequestBody):
    """What a worker says when it joins: its checkpoint (all three parts, or none), or its start."""

    model_config = ConfigDict(json_schema_extra=ALL_OR_NONE)

    id: Annotated[str, Field(max_length=128)] | None = None
    """Id of the run, from the checkpoint."""

    generation: Annotated[int, Field(ge=1, le=MAX_NUMBER)] | None = None
    """Generation that the checkpoint was written in."""

    step: Annotated[int, Field(ge=0, le=MAX_STEP)] | None = None
    """First step that the checkpoint has not done."""

    start: Annotated[int, Field(ge=0, le=MAX_STEP)] | None = None
    """Where a training without a checkpoint of this run begins."""

    def arrival(self) -> join.Arrival:
        """Return what was said; raise `Invalid` if a part of the checkpoint is missing."""
        return join.Arrival(self._checkpoint(), self.start)

    def _checkpoint(self) -> join.Checkpoint | None:
        parts = {"id": self.id, "generation": self.generation, "step": self.step}
        missing = [name for name, part in parts.items() if part is None]
        if len(missing) == len(parts):
            return None
        if missing or self.id is None or self.generation is None or self.step is None:
            message = "a checkpoint has id, generation and step"
            raise Invalid(
                message,
                errors=[FieldError(n, f"{n} is required", bound="required") for n in missing],
            )
        return join.Checkpoint(self.id, self.generation, self.step)


FRESH = Joining()


@runs.post(
    "/v1/runs/{run}/join",
    summary="Join a run",
    responses={
        200: JOINED.shown(),
    },
    openapi_extra=body_examples(
        fresh={},
        resuming={"id": STATE["id"], "generation": 1, "step": 3000},
        beginning={"start": 20_000},
    ),
)
@needs(Role.WORKER)
@audited("begin", "begins")
@free("a worker says where it begins")
@refuses(UnknownRun, StaleCheckpoint, StepJump)
async def join_run(
    run: Run,
    store: StoreDep,
    note: NoteDep,
    request: Request,
    joining: Annotated[Joining, Body()] = FRESH,
) -> Response:
    """
    Tell a worker the run's id, generation, grid and parameters; refuse a stale checkpoint.

    A training whose first step lies far past what is settled says so by `start`: once in a run's
    life, before it has trained, this settles the run up to there, and `begins` says so from then
    on. Whoever joins near what is settled, or below it, writes nothing.
    """
    arrival = joining.arrival()
    joined = await store.read(join.join, run, arrival)
    if joined is None:
        begun = await store.write(join.begin, run, arrival, note.author)
        joined = begun
    roster: Roster = request.app.state.roster
    return JOINED.send({**joined, "again": round(roster.expect(), 3)})
