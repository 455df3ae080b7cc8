"""What the service shows of runs: their state and their revisions."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import cast

import numpy as np

from rheostat import wire
from rheostat.server.runs.fragments import as_json
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.protection import protection_of
from rheostat.server.runs.revision import FIXED, Revision
from rheostat.server.runs.revision_state import NO_TALLY, NOBODY, Fates, Front
from rheostat.server.runs.spec import StoredRun
from rheostat.server.runs.status import status
from rheostat.server.store.operations.attention import attention
from rheostat.server.store.records import Records, RunRecord
from rheostat.server.store.revisions import ALL, Which

LONGEST_PAGE = 4 * 1024 * 1024
"""Bytes of changes after which a page of revisions ends."""

MOST_OUTCOMES = 16
"""Outcomes that a revision shows; the list has all."""

MOST_PROPOSALS = 100
"""Open proposals whose numbers a run shows."""


def show(records: Records, ref: str) -> wire.RunState:
    """Return the state of a run."""
    run = records.find(ref)
    lineage = records.lineage(run)
    settled = lineage[run.generation].settled_until
    armed = records.controllers.armed(run.id)
    _, folding = upcoming(records, run, lineage)
    waiting = records.revisions.waiting(run.key, settled)
    waiting = [each for each in waiting if each.pending(settled)]
    pending = sorted([*folding, *waiting], key=lambda each: each.folding_order)
    timelines = records.revisions.in_force_at(run.key, settled).timelines
    current = timelines.evaluate(np.array([settled], dtype=np.int64))
    pieces = {name: timeline.at(settled) for name, timeline in timelines.items()}
    return {
        **state(run, lineage),
        **declared(run.spec),
        "controllers": {each.name: each.controller.document for each in armed},
        "attention": attention(records, run, lineage, armed),
        "parameters": {name: as_json(piece.definition) for name, piece in pieces.items()},
        "words": {name: dict(piece.words.data) for name, piece in pieces.items() if piece.words},
        "current": {name: float(values[0]) for name, values in current.items()},
        "pending": [revision.to_json(settled) for revision in pending],
        "proposals": _open_proposals(records, run),
        "generations": [generation.to_json() for generation in lineage],
    }


def _open_proposals(records: Records, run: RunRecord) -> wire.OpenProposals:
    count, numbers = records.proposals.open_numbers(run.id, MOST_PROPOSALS)
    return {"open": count, "numbers": numbers}


def state(run: RunRecord, lineage: Lineage) -> wire.RunSummary:
    """Return what a list of runs shows of each."""
    spec, settled = run.spec, lineage[run.generation].settled_until
    summary: wire.RunSummary = {
        "id": run.id,
        "name": spec.name,
        "axis": spec.axis,
        "resolution": spec.resolution,
        "total": run.total,
        "steps_per_epoch": spec.steps_per_epoch,
        "max_block": spec.max_block,
        "max_gap": spec.max_gap,
        "max_jump": spec.max_jump,
        "guards": {name: guard.to_json() for name, guard in spec.guards.items()},
        "labels": spec.labels,
        "protect": protection_of(run.protect),
        "author": run.author,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "end": run.end,
        "generation": run.generation,
        "revision": run.revision,
        "event": run.newest_event(lineage),
        "begins": run.begins,
        "settled_until": settled,
        "stops": [stop.to_json() for stop in sorted(run.barriers.stops, key=lambda s: s.place)],
        "paused": run.barriers.holds(settled),
        "state": "live",
        # nothing here knows of workers: routes say how many there are, and what that means
        "workers": {"alive": 0, "silent": 0, "wrong": 0},
    }
    return {**summary, "state": status(summary)}


def declared(spec: StoredRun) -> wire.Declared:
    """Return what a training says of itself."""
    return {
        "describe": {name: each.to_json() for name, each in spec.describe.items()},
        "signals": {name: each.to_json() for name, each in spec.signals.items()},
        "goal": None if spec.goal is None else spec.goal.to_json(),
        "about": spec.about,
    }


def upcoming(records: Records, run: RunRecord, lineage: Lineage) -> tuple[Revision, list[Revision]]:
    """
    Return the newest revision that is fixed, and the pending ones after it in folding order.

    The first revision of a generation is fixed from the start; the others once they are settled.
    """
    settled = lineage[run.generation].settled_until
    waiting = records.revisions.effective_from(run.key, settled)
    if waiting and waiting[0].kind in FIXED:
        return waiting[0], waiting[1:]
    return records.revisions.in_force_at(run.key, settled - 1), waiting


def revision(records: Records, ref: str, number: int, front: Front = NOBODY) -> wire.ShownRevision:
    """Return one revision of a run; ``front`` is how far its workers are."""
    return watched(records, ref, number, front).revision


@dataclass(frozen=True, slots=True)
class Watched:
    """
    A revision as whoever waits for it reads it; ``event`` is the newest of its run then.

    ``settled_until`` is that of its generation, None if that was left; ``generation`` is the run's
    current one.
    """

    run_id: str
    generation: int
    resolution: int
    event: int
    settled_until: int | None
    revision: wire.ShownRevision


def watched(records: Records, ref: str, number: int, front: Front = NOBODY) -> Watched:
    """Return one revision of a run, with what workers say became of it."""
    run = records.find(ref)
    lineage = records.lineage(run)
    found = records.revisions.one(run.id, number)
    tally = records.outcomes.tallies(run.id, [number]).get(number, NO_TALLY)
    fates = Fates(lineage, run.generation, front)
    shown = fates.to_json(found, tally)
    first = records.outcomes.first(run.id, number, MOST_OUTCOMES) if tally else []
    outcomes: wire.Outcomes = {"done": tally.done, "failed": tally.failed, "items": first}
    whole = cast("wire.ShownRevision", {**shown, "outcomes": outcomes})
    settled, event = fates.settled_for(found), run.newest_event(lineage)
    return Watched(run.id, run.generation, run.spec.resolution, event, settled, whole)


def revisions(
    records: Records,
    ref: str,
    after: int,
    limit: int,
    which: Which = ALL,
    front: Front = NOBODY,
    *,
    newest: bool = False,
) -> tuple[list[wire.Revision], int | None]:
    """
    Return the revisions past number ``after``, all or some, and where to go on.

    They come oldest first, or with ``newest`` the other way. A page has at most ``limit`` of them,
    and fewer if their definitions are long. ``front`` is how far the workers of the run are.
    """
    run = records.find(ref)
    items: list[Revision] = []
    size, following = 0, None
    asked = records.revisions.page(run.id, after, limit + 1, which, newest=newest)
    with closing(asked) as found:
        for revision in found:
            if len(items) == limit or size > LONGEST_PAGE:
                following = items[-1].number
                break
            items.append(revision)
            size += len(revision.changes.document.text)
    tallies = records.outcomes.tallies(run.id, [each.number for each in items if each.data])
    fates = Fates(records.lineage(run), run.generation, front)
    return [fates.to_json(each, tallies.get(each.number, NO_TALLY)) for each in items], following
