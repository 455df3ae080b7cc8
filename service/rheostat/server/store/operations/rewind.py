"""Rewinding: a new generation that branches at an earlier step, and fences the old one off."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rheostat import wire
from rheostat.errors import FieldError, GenerationMismatch, Invalid
from rheostat.server.runs.lineage import Generation, GenerationKey, Lineage
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.runs.validation import require_at_most
from rheostat.server.store import ledger
from rheostat.server.store.operations.carry import Carried, carried, carry
from rheostat.server.store.operations.dropping import cut, left_behind
from rheostat.server.store.operations.refold import history, refold
from rheostat.server.store.operations.revise import changes_if_any, mark_forced, require_open
from rheostat.server.store.records import Records, RunRecord, now


@dataclass(frozen=True)
class RewindRequest:
    """A rewind as an operator asks for it."""

    to: int
    from_generation: int | None = None
    expected_generation: int | None = None
    changes: Any = None
    force: bool = False
    note: Note = field(default_factory=Note)
    reset: Collection[str] = ()
    """Controllers that begin anew."""
    cause: Mapping[str, Any] | None = None


def rewind(records: Records, ref: str, request: RewindRequest) -> wire.Rewound:
    """
    Start a generation that branches from another one, by default the current one.

    Raises:
        GenerationMismatch: Somebody else has rewound the run since the operator looked.
        Invalid: The step lies past what is settled there, or a change is wrong.
        Finished, UnknownGeneration, GuardViolated: Nothing has changed then.

    """
    run = records.find(ref, lock=True)
    records.reports.lock(run.id)  # no report is consumed meanwhile
    branch = _branch(records, run, request)
    lineage, revision, kept = branch.lineage, branch.revision, branch.kept
    records.add_generation(branch.generation)
    event = run.newest_event(lineage) + 1
    reason = f"the run was rewound to step {request.to}"
    records.proposals.expire(run.id, revision.created_at, reason)
    records.revisions.add(run.id, revision, event)
    records.change(
        run.id,
        generation=revision.generation,
        revision=revision.number,
        event=event,
        # nothing settles past a stop, so that each lies at or past any step to rewind to
        barriers=replace(run.barriers, stops=()),
    )
    ended = lineage[run.generation].settled_until
    ledger.pack(records.connection, run.key, run.layout, run.layout.floor(ended), ended)
    again = carry(records, run.id, kept)
    return {
        "generation": revision.generation,
        "parent": branch.source,
        "from": request.to,
        "ended": ended,
        "revision": revision.number,
        "again": again,
        "dropped": list(kept.dropped),
    }


def rehearse_rewind(records: Records, ref: str, request: RewindRequest) -> wire.RewindRehearsal:
    """Return what `rewind` would do, and drop; raise what it would raise."""
    run = records.find(ref)
    branch = _branch(records, run, request)
    lineage, kept = branch.lineage, branch.kept
    new = cut(lineage.reach(branch.source), request.to)
    return {
        "generation": branch.generation.key.number,
        "parent": branch.source,
        "from": request.to,
        "ended": lineage[run.generation].settled_until,
        "revisions": left_behind(records, run, lineage, run.generation, new),
        "again": [_made_again(each) for each in kept.again],
        "dropped": list(kept.dropped),
    }


def _made_again(revision: Revision) -> wire.MadeAgain:
    cause = dict(revision.cause or {})
    return {
        "controller": cause["controller"],
        "step": cause["step"],
        "effective": revision.effective,
    }


@dataclass(frozen=True, slots=True)
class _Branch:
    """What a rewind comes to; nothing of it is written."""

    lineage: Lineage
    source: int
    """Generation that it branches from."""
    generation: Generation
    revision: Revision
    kept: Carried


def _branch(records: Records, run: RunRecord, request: RewindRequest) -> _Branch:
    lineage, source = _allowed(records, run, request)
    (owner,) = lineage.owners(source.key.number, request.to, request.to + 1)
    before = records.revisions.in_force_at(owner.owner, request.to).timelines
    if owner.owner.run_id != run.id:  # revisions there have numbers of their own
        before = before.relabelled(run.revision + 1)
    generation = Generation(
        GenerationKey(run.id, _next(lineage)), source.key, request.to, request.to
    )
    new = Revision(
        number=run.revision + 1,
        generation=generation.key.number,
        kind=RevisionKind.REWIND,
        effective=request.to,
        changes=changes_if_any(records, run, request.changes),
        note=request.note,
        created_at=now(),
        timelines=before,
        forced=request.force,
        laid_for=run.total,
        cause=request.cause,
    )
    kept = carried(records, run, lineage, source.key.number, request.to, request.reset)
    (folded,) = refold(records, run, before, [new], history(records, run), asked=new.number)
    revision = mark_forced(folded, before, run)
    return _Branch(lineage, source.key.number, generation, revision, kept)


def check_rewind(records: Records, ref: str, request: RewindRequest) -> None:
    """Raise what `rewind` would raise now, but for what comes of its changes there."""
    run = records.find(ref)
    _allowed(records, run, request)
    changes_if_any(records, run, request.changes)


def _allowed(
    records: Records, run: RunRecord, request: RewindRequest
) -> tuple[Lineage, Generation]:
    """Return the lineage, and the generation to branch from, if that is allowed."""
    require_open(run)
    _require_generation(run, request)
    require_at_most(records.limits.message, "message", request.note.message, "characters")
    lineage = records.lineage(run)
    source = lineage[request.from_generation or run.generation]
    _require_settled(run, source, request.to)
    return lineage, source


def _require_generation(run: RunRecord, request: RewindRequest) -> None:
    if request.expected_generation not in {None, run.generation}:
        raise GenerationMismatch(
            f"the run is in generation {run.generation}, not {request.expected_generation}",
            generation=run.generation,
        )


def _require_settled(run: RunRecord, source: Generation, to: int) -> None:
    if run.spec.grid.require("to", to) > source.settled_until:
        bound = f"<= {source.settled_until}"
        message = f"generation {source.key.number} is settled up to {source.settled_until} only"
        raise Invalid(message, errors=[FieldError("to", message, to, bound)])


def _next(lineage: Lineage) -> int:
    return max(generation.key.number for generation in lineage) + 1
