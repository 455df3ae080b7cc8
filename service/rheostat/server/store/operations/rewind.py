"""Rewinding: a new generation that branches at an earlier step, and fences the old one off."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rheostat import wire
from rheostat.errors import FieldError, GenerationMismatch, Invalid
from rheostat.server.runs.limits import require_at_most
from rheostat.server.runs.lineage import Generation, Key, Lineage
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.store import ledger
from rheostat.server.store.operations.refold import history, refold
from rheostat.server.store.operations.revise import honest, read_changes, require_open
from rheostat.server.store.records import Records, RunRecord, now


@dataclass(frozen=True)
class Rewind:
    """A rewind as an operator asks for it."""

    to: int
    from_generation: int | None = None
    expected_generation: int | None = None
    changes: Any = None
    force: bool = False
    note: Note = field(default_factory=Note)


def rewind(records: Records, ref: str, wish: Rewind) -> wire.Rewound:
    """
    Start a generation that branches from another one, by default the current one.

    Raises
    ------
    GenerationMismatch
        Somebody else has rewound the run since the operator looked.
    Invalid
        The step lies past what is settled there, or a change is wrong.
    Finished, UnknownGeneration, GuardViolated
        And nothing has changed.

    """
    run = records.find(ref, lock=True)
    require_open(run)
    _require_generation(run, wish)
    require_at_most(records.limits.message, "message", wish.note.message, "characters")
    lineage = records.lineage(run)
    source = lineage[wish.from_generation or run.generation]
    _require_settled(run, source, wish.to)
    (owner,) = lineage.owners(source.key.number, wish.to, wish.to + 1)
    before = records.revisions.in_force_at(owner.owner, wish.to).timelines
    if owner.owner.run_id != run.id:  # revisions there have numbers of their own
        before = before.relabelled(run.revision + 1)
    changes, written = read_changes(records, run, wish.changes)
    generation = Generation(Key(run.id, _next(lineage)), source.key, wish.to, wish.to)
    new = Revision(
        number=run.revision + 1,
        generation=generation.key.number,
        kind=RevisionKind.REWIND,
        effective=wish.to,
        changes=written,
        note=wish.note,
        created_at=now(),
        timelines=before,
        forced=wish.force,
        edits=changes,
        laid_for=run.total,
    )
    (folded,) = refold(records, run, before, [new], history(records, run), asked=new.number)
    revision = honest(folded, before, run)
    records.add_generation(generation)
    event = run.newest_event(lineage) + 1
    records.revisions.add(run.id, revision, event)
    records.change(run.id, generation=revision.generation, revision=revision.number, event=event)
    ended = lineage[run.generation].settled_until
    ledger.pack(records.connection, run.key, run.shape, run.shape.floor(ended), ended)
    return {
        "generation": revision.generation,
        "parent": source.key.number,
        "from": wish.to,
        "ended": ended,
        "revision": revision.number,
    }


def _require_generation(run: RunRecord, wish: Rewind) -> None:
    if wish.expected_generation not in {None, run.generation}:
        raise GenerationMismatch(
            f"the run is in generation {run.generation}, not {wish.expected_generation}",
            generation=run.generation,
        )


def _require_settled(run: RunRecord, source: Generation, to: int) -> None:
    if run.spec.grid.require("to", to) > source.settled_until:
        bound = f"<= {source.settled_until}"
        message = f"generation {source.key.number} is settled up to {source.settled_until} only"
        raise Invalid(message, errors=[FieldError("to", message, to, bound)])


def _next(lineage: Lineage) -> int:
    return max(generation.key.number for generation in lineage) + 1
