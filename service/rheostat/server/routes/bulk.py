"""``/v1/revisions``: one change of many runs, each of which is done or refused by itself."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal, TypeVar, cast

from fastapi import Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import FieldError, Forbidden, Invalid, NeedsApproval, Refused, Unavailable
from rheostat.limits import MAX_STEP
from rheostat.server.http import problems
from rheostat.server.http.access import needs, require
from rheostat.server.http.answers import JsonAnswer, either
from rheostat.server.http.approval import free
from rheostat.server.http.auditing import audited
from rheostat.server.http.requests import ActBody, KeyDep, NoteDep, StoreDep, body_examples
from rheostat.server.http.route import refuses, router
from rheostat.server.routes.approving import hold
from rheostat.server.routes.revisions import Changes
from rheostat.server.runs.revision import Note
from rheostat.server.runs.selector import MAX_SELECTOR, Selector
from rheostat.server.store import Store
from rheostat.server.store.acting import acting
from rheostat.server.store.audit import deed
from rheostat.server.store.idempotency import IdempotencyKey, once
from rheostat.server.store.operations import bulk as operations
from rheostat.server.store.operations.revise import RevisionRequest
from rheostat.server.tokens import Role

bulk = router("revisions")

AT_ONCE = 16
"""Runs that one request has under way at a time: others get their turn between them."""

PLAN = "3f6c0e1d" * 8
BODY: dict[str, Any] = {
    "selector": "team=nlp,stage in (pretrain,mid),!frozen",
    "changes": {"lr": {"edit": "scale", "factor": 0.5}},
    "message": "the new data is noisier",
}
MISMATCH: wire.Problem = {
    "type": "urn:rheostat:problem:revision-mismatch",
    "title": "Revision mismatch",
    "status": 409,
    "detail": "the run is at revision 4, and 3 was expected",
    "request_id": "6f1c2a90b7d34e58",
}
RUN_ID, OTHER_ID = "run_1f0c9a3be5d24c77a8e1b20c94", "run_9b20c94a8e1f0c9a3be5d24c77"
REHEARSED = JsonAnswer(
    wire.BulkRehearsal,
    {
        "runs": [
            {
                "id": RUN_ID,
                "name": "gpt-7b",
                "revision": 3,
                "effective": 4096,
                "protected": False,
            }
        ],
        "errors": [{"id": OTHER_ID, "name": "gpt-1b", "status": 409, "problem": MISMATCH}],
        "plan": PLAN,
    },
)
CHANGED = JsonAnswer(
    wire.BulkChanged,
    {
        "items": [
            {"id": OTHER_ID, "name": "gpt-1b", "status": 409, "problem": MISMATCH},
            {"id": RUN_ID, "name": "gpt-7b", "status": 201, "revision": 4, "effective": 4096},
        ],
        "plan": PLAN,
    },
)


class BulkChange(ActBody):
    """A change of many runs as it is asked for."""

    selector: Annotated[str, Field(max_length=MAX_SELECTOR)]
    """Which runs are meant, by their labels; those that are finished never are."""

    changes: Changes
    """What to do to which parameter, as of one run."""

    effective: Literal["next"] | Annotated[int, Field(ge=0, le=MAX_STEP)] = "next"
    """Step from which it holds; `next` is, of each run, the first that no worker was given."""

    message: str = ""
    """Why."""

    force: bool = False
    """Accept it though it breaks a guard."""

    plan: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """`plan` of the rehearsal, which is to be done now; a rehearsal has none."""

    def meant(self) -> Selector:
        """Return which runs are meant; raise `Invalid` for a selector that asks for nothing."""
        selector = Selector.parse(self.selector)
        if not selector.requirements:
            message = "selector must ask for something: all runs together are never meant"
            wrong = [FieldError("selector", message, self.selector, "such as team=nlp")]
            raise Invalid(message, errors=wrong)
        return selector

    def requested_by(self, note: Note) -> RevisionRequest:
        """Return what is asked of each run."""
        why = Note(note.author, self.message)
        return RevisionRequest(self.changes, self.effective, None, self.force, why)

    def proposed(self) -> dict[str, Any]:
        """Return what becomes a proposal for each run that is protected."""
        return {
            "changes": self.changes,
            "effective": self.effective,
            "message": self.message,
            "force": self.force,
        }


@bulk.post(
    "/v1/revisions",
    summary="Change many runs",
    responses={
        200: either(
            REHEARSED, CHANGED, description="A rehearsal (`dry_run`), or what was done to each run."
        )
    },
    openapi_extra=body_examples(rehearse=BODY, done={**BODY, "plan": PLAN}),
)
@needs(Role.OPERATOR)
@audited("change", "revision", "effective")
@free("each run is asked for itself, and one that is protected gets a proposal")
@refuses(Forbidden)
async def change_runs(
    change: BulkChange,
    store: StoreDep,
    note: NoteDep,
    key: KeyDep,
    request: Request,
    *,
    dry_run: Annotated[bool, Query(description="Only show what would happen.")] = False,
) -> Response:
    """
    Change all runs that carry some labels, at most 1,000, each in a transaction of its own.

    First as a rehearsal, whose `plan` the change itself then names. A run that has moved on since
    is refused, as is one for which the change is wrong; the others are done, and `items` says which
    is which. It is atomic for each run, and not for all of them. With an `Idempotency-Key`, nothing
    is done twice however often it is sent; a 503 says that some runs are still to be asked.
    """
    selector, requested = change.meant(), change.requested_by(note)
    if dry_run:
        if change.plan is not None:
            raise _wrong("plan", "a rehearsal makes the plan, and has none", change.plan, "absent")
        return REHEARSED.send(await _rehearsed(request, store, selector, requested))
    if change.plan is None:
        message = "plan is required: that of the same change with dry_run=true"
        raise _wrong("plan", message, None, "`plan` of a rehearsal")
    if change.unapproved:
        require(request, Role.ADMIN)
    done = _Bulk(request, store, change, selector, requested, note.author, key)
    return CHANGED.send(await done.changed(change.plan))


def _wrong(field: str, message: str, value: Any, bound: str) -> Invalid:
    return Invalid(message, errors=[FieldError(field, message, value, bound)])


T = TypeVar("T")
R = TypeVar("R")


async def _each(items: Iterable[T], work: Callable[[T], Awaitable[R]]) -> list[R]:
    """Return what comes of each, some at a time; what fails for one fails for all."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(item: T) -> R:
        async with turns:
            return await work(item)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(item)) for item in items]
    return [task.result() for task in tasks]


async def _rehearsed(
    request: Request, store: Store, selector: Selector, requested: RevisionRequest
) -> wire.BulkRehearsal:
    async def tried(
        run: operations.Meant,
    ) -> wire.PlannedRun | wire.RefusedRun | Unavailable:
        try:
            return await store.read(operations.rehearse, run.id, requested)
        except Refused as error:
            if isinstance(error, Unavailable) and _passes(error):
                return error
            problem = _problem(error, request)
            return {"id": run.id, "name": run.name, "status": error.status, "problem": problem}

    found = await _each(await store.read(operations.meant, selector), tried)
    for each in found:
        if isinstance(each, Unavailable):
            raise each
    runs = [cast("wire.PlannedRun", each) for each in found if "problem" not in cast("Any", each)]
    errors = [cast("wire.RefusedRun", each) for each in found if "problem" in cast("Any", each)]
    plan = {run["id"]: run["revision"] for run in runs}
    with deed(None):  # a plan changes no run
        digest = await store.write(operations.keep, plan)
    return {"runs": runs, "errors": errors, "plan": digest}


@dataclass(frozen=True, slots=True)
class _Bulk:
    """A change of many runs that is being done."""

    request: Request
    store: Store
    change: BulkChange
    selector: Selector
    requested: RevisionRequest
    author: str | None
    key: IdempotencyKey | None

    async def changed(self, plan: str) -> wire.BulkChanged:
        """Do it, and say what became of each run; raise `Unavailable` if that is not all known."""
        revisions = await self.store.read(operations.kept, plan)
        names = await self.store.read(operations.names, revisions.keys())
        order = sorted(revisions, key=lambda run_id: (names.get(run_id, ""), run_id))
        work = partial(self._one, revisions, names)
        items = await _each(order, work)
        open_ones = [each for each in items if isinstance(each, Unavailable)]
        if open_ones:
            done = len(items) - len(open_ones)
            raise Unavailable(
                f"{done} of {len(items)} runs are done: send it again with its Idempotency-Key,"
                f" for which nothing is done twice ({open_ones[0].detail})",
                reason=open_ones[0].members.get("reason", "busy"),
            )
        known = [each for each in items if not isinstance(each, Unavailable)]
        return {"items": known, "plan": plan}

    async def _one(
        self, revisions: operations.Plan, names: dict[str, str], run_id: str
    ) -> wire.ChangedRun | Unavailable:
        key = _of_run(self.key, run_id)
        behalf = acting.get()
        acting.set(replace(behalf, act="change", approved=self.change.unapproved))
        args = run_id, revisions[run_id], self.selector, self.requested
        head: wire.ChangedRun = {"id": run_id, "name": names.get(run_id), "status": 201}
        try:
            made = await self.store.write(once, key, lambda r: operations.change(r, *args))
        except NeedsApproval:
            acting.set(behalf)
            return await self._held(head, key)
        except Refused as error:
            return self._refused(head, error)
        return {**head, "revision": made["revision"], "effective": made["effective"]}

    async def _held(
        self, head: wire.ChangedRun, key: IdempotencyKey | None
    ) -> wire.ChangedRun | Unavailable:
        body = self.change.proposed()
        try:
            held = await hold(self.store, head["id"], "change", body, self.author, key)
        except Refused as error:
            return self._refused(head, error)
        return {**head, "status": 202, "proposal": held["proposal"]}

    def _refused(self, head: wire.ChangedRun, error: Refused) -> wire.ChangedRun | Unavailable:
        if isinstance(error, Unavailable) and _passes(error):
            return error
        return {**head, "status": error.status, "problem": _problem(error, self.request)}


def _passes(error: Unavailable) -> bool:
    """Say whether a refusal is about the moment, so that nothing is known of the run yet."""
    return error.members.get("reason") != "schema"


def _problem(error: Refused, request: Request) -> wire.Problem:
    return cast("wire.Problem", problems.document(error, request.scope))


def _of_run(key: IdempotencyKey | None, run_id: str) -> IdempotencyKey | None:
    """Return the key of one run: ``key/<run id>``, of which the first part may have to be short."""
    if key is None:
        return None
    name = f"{key.key}/{run_id}"
    if len(name) > LONGEST_KEY:
        name = f"{hashlib.sha256(key.key.encode()).hexdigest()}/{run_id}"
    return replace(key, key=name)


LONGEST_KEY = 255
"""Characters of a key that are stored."""
