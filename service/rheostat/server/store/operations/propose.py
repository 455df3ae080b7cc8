"""
Proposals: suggesting a change, a stop, or whatever else an operator may do, and deciding on it.

What a proposal asks for is done by the very operation that does it when an operator asks. So this
knows of no kind: whoever calls says how a body is read (`Reader`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

import orjson

from rheostat import wire
from rheostat.errors import FieldError, Forbidden, NotOpen, TooMany
from rheostat.limits import CONTROLLER_AUTHOR, MAX_OPEN_PROPOSALS, MAX_PROPOSAL
from rheostat.schedules.references import Lookup
from rheostat.server.runs.fragments import Verbatim, dumps
from rheostat.server.runs.proposal import Proposal, ProposalState, landed
from rheostat.server.runs.revision import Note
from rheostat.server.runs.validation import require_at_most
from rheostat.server.store.operations.revise import require_open, require_revision
from rheostat.server.store.operations.show import LONGEST_PAGE
from rheostat.server.store.outside import Results
from rheostat.server.store.records import Records, RunRecord, now


@dataclass(frozen=True)
class ProposalRequest:
    """A proposal as somebody makes it; ``cause`` is a controller's, with the report's step."""

    kind: wire.ProposalKind
    body: Mapping[str, Any]
    note: Note = field(default_factory=Note)
    cause: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Decision:
    """Who says yes or no, and why; ``expected_revision`` is the one of the run that they saw."""

    note: Note = field(default_factory=Note)
    expected_revision: int | None = None
    token: str | None = None
    """Name of the token with which they say it; None where none is needed."""
    unapproved: bool = False
    """Whether an admin does without a second person."""


@dataclass(frozen=True, slots=True)
class Done:
    """What accepting a proposal made: a revision (None: the run is gone), and its step."""

    revision: int | None
    effective: int


class Measure(Protocol):
    """What a body asks for, read: it can be tried, and done."""

    def check(self, records: Records, run_id: str) -> None:
        """Raise what `take` would raise now, as far as that can be said without doing it."""

    def take(self, records: Records, run_id: str) -> Done:
        """Do it."""


Reader = Callable[[wire.ProposalKind, Mapping[str, Any], Note, Mapping[str, Any] | None], Measure]
"""Reads the body of a kind, by whom and for what cause; raises `Invalid` if it is wrong."""


def propose(
    records: Records, ref: str, request: ProposalRequest, measure: Measure | None = None
) -> wire.Proposal:
    """
    Keep a proposal, once what it asks for was tried.

    A controller's is not tried: it says what it says, and has one open proposal, the newest.

    Raises:
        TooMany: The author has too many open ones.
        Refused: What doing it would raise now. Nothing has changed then.

    """
    run = records.find(ref, lock=True)
    lineage = records.lineage(run)
    require_open(run)
    require_at_most(records.limits.message, "body.message", request.note.message, "characters")
    body = dumps(request.body).decode()
    require_at_most(MAX_PROPOSAL, "body", body, "characters of JSON")
    earlier = _require_few(records, run, request.note.author)
    if measure is not None:
        measure.check(records, run.id)
    proposal = Proposal(
        number=records.proposals.next_number(run.id),
        generation=run.generation,
        kind=request.kind,
        body=Verbatim(body),
        note=request.note,
        cause=request.cause,
        created_at=now(),
    )
    for number in earlier:
        reason = f"replaced by proposal {proposal.number}"
        records.proposals.expire(run.id, proposal.created_at, reason, number)
    event = run.newest_event(lineage) + 1
    records.proposals.add(run.id, proposal, event)
    records.change(run.id, event=event)
    return proposal.to_json()


def accept(
    records: Records, ref: str, number: int, decision: Decision, read: Reader
) -> wire.Accepted:
    """
    Do what a proposal asks for, under its author's name, and return what that made.

    Raises:
        UnknownProposal: The run has none of this number.
        NotOpen: It was decided, or its generation was left.
        RevisionMismatch: The run has moved on from what the one who decides saw.
        Forbidden: The run is protected, and they have suggested it themselves.
        Refused: What doing it raises: the proposal stays open.

    """
    run, proposal = _find_open(records, ref, number, decision)
    require_revision(run, decision.expected_revision)
    if run.protect is not None and run.protect.holds(proposal.kind):
        _require_other(records, proposal, decision)
    lineage = records.lineage(run)
    settled = lineage[run.generation].settled_until
    body, late_by = landed(_body(records, run, proposal), proposal.cause, run.spec.grid, settled)
    cause = proposal.cause_of_revision(decision.note.author, late_by)
    done = read(proposal.kind, body, proposal.note, cause).take(records, run.id)
    if done.revision is None:  # it went with the run
        accepted = _decided(proposal, decision, ProposalState.ACCEPTED)
    else:
        state = ProposalState.ACCEPTED
        accepted = _settle(records, run.id, proposal, decision, state, done.revision)
    made = {
        **accepted.to_json(),
        "run": run.id,
        "effective": done.effective,
        "late_by": late_by,
    }
    return cast("wire.Accepted", made)


def decline(records: Records, ref: str, number: int, decision: Decision) -> wire.Proposal:
    """
    Say no to a proposal.

    Raises:
        UnknownProposal: The run has none of this number.
        NotOpen: It was decided, or its generation was left.

    """
    run, proposal = _find_open(records, ref, number, decision)
    require_revision(run, decision.expected_revision)
    return _settle(records, run.id, proposal, decision, ProposalState.DECLINED).to_json()


def show(records: Records, ref: str, number: int) -> wire.Proposal:
    """Return one proposal of a run."""
    return records.proposals.one(records.find(ref).id, number).to_json()


def page(
    records: Records, ref: str, state: ProposalState | None, after: int, limit: int
) -> tuple[list[wire.Proposal], int | None]:
    """
    Return the proposals past number ``after``, oldest first, and where to go on.

    A page has at most ``limit`` of them, and fewer if their bodies are long.
    """
    run = records.find(ref)
    items: list[wire.Proposal] = []
    size = 0
    with closing(records.proposals.page(run.id, state, after, limit + 1)) as found:
        for proposal in found:
            if len(items) == limit or size > LONGEST_PAGE:
                return items, items[-1]["proposal"]
            items.append(proposal.to_json())
            size += len(proposal.body.text)
    return items, None


def _require_few(records: Records, run: RunRecord, author: str | None) -> list[int]:
    """Return the open proposals that a new one of this author replaces."""
    found = records.proposals.open_of(run.id, author, MAX_OPEN_PROPOSALS)
    if author is not None and author.startswith(CONTROLLER_AUTHOR):
        return found
    if len(found) == MAX_OPEN_PROPOSALS:
        who = author or "nobody in particular"
        message = f"{who} has {len(found)} open proposals for this run, and may have no more"
        wrong = [FieldError("author", message, author, f"<= {MAX_OPEN_PROPOSALS} open proposals")]
        raise TooMany(message, errors=wrong, limit=MAX_OPEN_PROPOSALS)
    return []


def _find_open(
    records: Records, ref: str, number: int, decision: Decision
) -> tuple[RunRecord, Proposal]:
    run = records.find(ref, lock=True)
    require_at_most(records.limits.message, "message", decision.note.message, "characters")
    proposal = records.proposals.one(run.id, number)
    if proposal.state is not ProposalState.OPEN:
        message = f"proposal {number} is {proposal.state}"
        by = f" by {proposal.decided_by}" if proposal.decided_by else ""
        why = f": {proposal.reason}" if proposal.reason else ""
        raise NotOpen(f"{message}{by}{why}", state=proposal.state.value, revision=proposal.revision)
    return run, proposal


def _require_other(records: Records, proposal: Proposal, decision: Decision) -> None:
    """Raise `Forbidden` unless somebody else accepts, or an admin does without one."""
    if decision.unapproved:
        records.revisions.besides |= {"unapproved": True}
    elif decision.token is None:
        raise Forbidden("the run is protected: who accepts this has to have a token")
    elif decision.token == proposal.note.author:
        raise Forbidden(
            f"the run is protected, and {decision.token} has suggested this: another person has to"
            " accept it",
            author=decision.token,
        )


def _body(records: Records, run: RunRecord, proposal: Proposal) -> Mapping[str, Any]:
    """Return the body of a proposal, read outside of the transaction: it may be large."""
    key = ("proposal", run.id, proposal.number)

    def read(_lookup: Lookup) -> Results:
        return {key: orjson.loads(proposal.body.text)}

    body: Mapping[str, Any] = records.outside(key, read, proposal.body.text, stored=True)
    return body


def _settle(
    records: Records,
    run_id: str,
    proposal: Proposal,
    decision: Decision,
    state: ProposalState,
    revision: int | None = None,
) -> Proposal:
    """Store what was decided, as an event after those of doing it."""
    run = records.find(run_id, lock=True)
    event = run.newest_event(records.lineage(run)) + 1
    settled = _decided(proposal, decision, state, revision)
    records.proposals.decide(run_id, settled, event)
    records.change(run_id, event=event)
    return settled


def _decided(
    proposal: Proposal, decision: Decision, state: ProposalState, revision: int | None = None
) -> Proposal:
    return replace(
        proposal,
        state=state,
        revision=revision,
        decided_by=decision.note.author,
        decided_at=now(),
        reason=decision.note.message,
    )
