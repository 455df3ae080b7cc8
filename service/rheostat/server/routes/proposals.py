"""``/v1/runs/{run}/proposals``: what somebody suggests, and an operator accepts or declines."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import (
    Finished,
    Forbidden,
    GenerationMismatch,
    GuardViolated,
    NotOpen,
    RevisionMismatch,
    Stopped,
    TooLate,
    TooMany,
    UnknownGeneration,
    UnknownProposal,
    UnknownRevision,
    UnknownRun,
    UnknownSchedule,
)
from rheostat.limits import MAX_NUMBER
from rheostat.server.http.access import caller_of, needs, require
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.approval import free
from rheostat.server.http.arrival import ArrivalsDep
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
    body_examples,
    cursor_of,
    number_of,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.routes.measures import read
from rheostat.server.routes.revisions import LANDS, Expected
from rheostat.server.routes.runs import forget
from rheostat.server.runs.proposal import ProposalState
from rheostat.server.runs.revision import Note
from rheostat.server.store.idempotency import once
from rheostat.server.store.operations import propose
from rheostat.server.store.operations.propose import Decision, ProposalRequest
from rheostat.server.tokens import Role

proposals = router("proposals")

OPEN: wire.Proposal = {
    "proposal": 3,
    "generation": 1,
    "kind": "change",
    "body": {"changes": {"lr": {"edit": "scale", "factor": 0.5}}, "message": "loss spike"},
    "author": "agent",
    "message": "loss spike",
    "cause": None,
    "created_at": "2026-01-01T12:00:00.000000+00:00",
    "state": "open",
    "revision": None,
    "decided_by": None,
    "decided_at": None,
    "reason": "",
}
DECIDED = {"decided_by": "ann", "decided_at": "2026-01-01T12:05:00.000000+00:00"}
PROPOSAL = JsonAnswer(wire.Proposal, OPEN)
PROPOSALS = JsonAnswer(wire.ProposalPage, {"items": [OPEN], "next": None})
ACCEPTED = JsonAnswer(
    wire.Accepted,
    {
        **OPEN,
        **DECIDED,
        "state": "accepted",
        "revision": 7,
        "effective": 8200,
        "late_by": None,
        "run": "run_1f0c9a3be5d24c77a8e1b20c94",
        "eta": [{**LANDS, "revision": 7, "effective": 8200}],
    },
)
DECLINED = JsonAnswer(
    wire.Proposal,
    {**OPEN, **DECIDED, "state": "declined", "reason": "it recovers"},
)

Asked = Annotated[int, Path(ge=1, le=MAX_NUMBER, description="A proposal's number.")]
AT_ACCEPTANCE = (
    UnknownGeneration,
    UnknownSchedule,
    UnknownRevision,
    Finished,
    Stopped,
    GenerationMismatch,
    TooLate,
    GuardViolated,
)
"""What doing what a proposal asks for may refuse."""


class NewProposal(RequestBody):
    """What somebody suggests."""

    kind: wire.ProposalKind
    """What is to be done."""

    body: dict[str, Any]
    """The body of the request that does it: of a change, as for `POST …/revisions`."""


class Acceptance(ActBody):
    """A yes."""

    expected_revision: Expected = None
    """Newest revision of the run that the approver has seen; another one is refused."""

    message: str = ""
    """Why."""


class Refusal(RequestBody):
    """A no."""

    expected_revision: Expected = None
    """Newest revision of the run that was seen; another one is refused."""

    message: str = ""
    """Why."""


YES, NO = Acceptance(), Refusal()


@proposals.post(
    "/v1/runs/{run}/proposals",
    summary="Suggest something",
    status_code=201,
    responses={201: PROPOSAL.shown()},
    openapi_extra=body_examples(
        halve={"kind": "change", "body": OPEN["body"]},
        longer={"kind": "total", "body": {"total": 120_000}},
    ),
)
@needs(Role.PROPOSER)
@audited("propose", "kind")
@free("a proposal does nothing by itself")
@refuses(UnknownRun, RevisionMismatch, TooMany, *AT_ACCEPTANCE)
async def propose_to_run(
    run: Run, asked: NewProposal, store: StoreDep, note: NoteDep, key: KeyDep
) -> Response:
    """
    Suggest what an operator may then accept. Until then it does nothing.

    It is tried first, as a rehearsal: what would be refused now is refused at once. An
    `expected_revision` in the body is for now alone; who accepts says which one they have seen.
    """
    message = asked.body.get("message", "")
    by = Note(note.author, message if isinstance(message, str) else "")
    measure = read(asked.kind, asked.body, by)
    request = ProposalRequest(asked.kind, asked.body, by)
    return PROPOSAL.send(
        await store.write(once, key, lambda r: propose.propose(r, run, request, measure)), 201
    )


@proposals.get(
    "/v1/runs/{run}/proposals",
    summary="List a run's proposals",
    responses={200: PROPOSALS.shown()},
)
@needs(Role.VIEWER)
@refuses(UnknownRun)
async def list_proposals(
    run: Run,
    store: StoreDep,
    state: Annotated[
        wire.ProposalState | None, Query(description="Only those in this state.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Return the proposals, oldest first: who suggested what, and what became of it."""
    wanted = None if state is None else ProposalState(state)
    items, after = await store.read(propose.page, run, wanted, number_of(cursor), limit)
    following = None if after is None else cursor_of(str(after))
    return PROPOSALS.send({"items": items, "next": following})


@proposals.get(
    "/v1/runs/{run}/proposals/{number}",
    summary="Read a proposal",
    responses={200: PROPOSAL.shown()},
)
@needs(Role.VIEWER)
@refuses(UnknownRun, UnknownProposal)
async def read_proposal(run: Run, number: Asked, store: StoreDep) -> Response:
    """Return one proposal."""
    return PROPOSAL.send(await store.read(propose.show, run, number))


@proposals.post(
    "/v1/runs/{run}/proposals/{number}/accept",
    summary="Accept a proposal",
    responses={200: ACCEPTED.shown()},
    openapi_extra=body_examples(seen={"expected_revision": 6}),
)
@needs(Role.OPERATOR)
@audited("accept", "revision")
@free("it is the second person's yes, and asks whose")
@refuses(UnknownRun, UnknownProposal, NotOpen, RevisionMismatch, Forbidden, *AT_ACCEPTANCE)
async def accept_proposal(
    request: Request,
    run: Run,
    number: Asked,
    store: StoreDep,
    arrivals: ArrivalsDep,
    note: NoteDep,
    key: KeyDep,
    yes: Annotated[Acceptance, Body()] = YES,
) -> Response:
    """
    Do what a proposal asks for, now. What is refused leaves it open.

    Of a protected run, another token has to accept it than the one that has suggested it; an admin
    may do so with `unapproved`, which the history records. Where that removes the run, there is no
    `revision`. The revision names its author, and in `cause` the proposal and who accepted it.
    """
    if yes.unapproved:
        require(request, Role.ADMIN)
    by = Note(note.author, yes.message)
    token = caller_of(request).name
    decision = Decision(by, yes.expected_revision, token, yes.unapproved)
    made = await store.write(once, key, lambda r: propose.accept(r, run, number, decision, read))
    if made["kind"] == "delete":
        forget(request, made["run"])
    # after a rewind workers start anew, and come to it by that
    if made["kind"] in {"rewind", "delete"}:
        return ACCEPTED.send(made)
    return ACCEPTED.send(await arrivals.with_eta(run, made))


@proposals.post(
    "/v1/runs/{run}/proposals/{number}/decline",
    summary="Decline a proposal",
    responses={200: DECLINED.shown()},
    openapi_extra=body_examples(why={"message": "it recovers"}),
)
@needs(Role.OPERATOR)
@audited("decline")
@free("a no leaves the run as it is")
@refuses(UnknownRun, UnknownProposal, NotOpen, RevisionMismatch)
async def decline_proposal(
    run: Run,
    number: Asked,
    store: StoreDep,
    note: NoteDep,
    key: KeyDep,
    no: Annotated[Refusal, Body()] = NO,
) -> Response:
    """Say no to a proposal, and why. It stays in the list."""
    decision = Decision(Note(note.author, no.message), no.expected_revision)
    return DECLINED.send(
        await store.write(once, key, lambda r: propose.decline(r, run, number, decision))
    )
