"""Reading values: settling blocks, and previews that settle nothing."""

from __future__ import annotations

import time
from dataclasses import replace

from rheostat.errors import Paused, Stopped
from rheostat.server.runs.barriers import Stop
from rheostat.server.runs.lineage import Lineage, OwnedSteps, Sighting
from rheostat.server.runs.settling import (
    Block,
    BlockRequest,
    InForce,
    Segment,
    compute,
    holes,
    join_up,
    require_block,
    settled_end,
)
from rheostat.server.store import ledger
from rheostat.server.store.operations.refusals import MET, Refusal, refused
from rheostat.server.store.records import Records, RunRecord
from rheostat.server.store.revisions import Newest


def settle(records: Records, run_id: str, request: BlockRequest) -> Block | Refusal:
    """
    Answer a settling read: what it hands out is in the ledger once this is committed.

    One that is refused at a stop, a pause or a gate is answered so. If it begins past a stop, the
    worker ends there: the stop is told from then on.
    """
    run = records.find(run_id, lock=True, settled=True)
    lineage = records.lineage(run)
    _require_said(run, lineage, request)
    left = _left(records, run, lineage, request)
    try:
        until = settled_end(run.progress(lineage), request, left)
    except MET as error:
        refusal = refused(records, run, lineage, error, request.generation)
        return _tell(records, run, request, refusal)
    records.lock(lineage.ancestors())  # their ledger may get cells that it lacks
    block = _block(records, run, lineage, request, keep=True)
    if until is None:
        return block
    settled = lineage[request.generation]
    for rule in block.in_force:
        if rule.changed_at is not None and rule.start >= settled.settled_until:
            records.note_landing(rule.changed_at)
    # the last event of a run is its end, though what lies before that may settle later
    event = run.newest_event(lineage) + 1 if run.end is None else settled.event
    records.settle(run.key, until, event, Sighting(request.start, until, time.time()))
    records.pack(run, settled.settled_until, until)
    return replace(block, settled_until=until, event=event if run.end is None else None)


def _require_said(run: RunRecord, lineage: Lineage, request: BlockRequest) -> None:
    """Raise `Unavailable` for steps whose values a newer release alone can say."""
    until = request.start + request.count * run.spec.resolution
    if run.is_newer and until > lineage[request.generation].settled_until:
        run.require_known()


def _left(records: Records, run: RunRecord, lineage: Lineage, request: BlockRequest) -> Stop | None:
    """Return the told stop of the generation that a read is in, if a rewind has left that."""
    if request.generation == run.generation:
        return None
    stop = require_block(run.spec, request.start, request.count)
    if stop <= lineage[request.generation].settled_until:
        return None
    return records.revisions.told(run.id, request.generation)


def _tell(records: Records, run: RunRecord, request: BlockRequest, refusal: Refusal) -> Refusal:
    """
    Record what a worker hears that has come to a stop or a pause, if it is the first one.

    It ends by the stop, which is not taken back then; nor are signals, which all ranks have to hear
    now, those of a pause that is resumed included.
    """
    met = run.barriers.nearest
    here = isinstance(refusal.error, (Stopped, Paused)) and request.generation == run.generation
    if not here or met is None or request.start < met.effective:
        return refusal
    for number in refusal.untold:
        records.revisions.tell(run.id, number)
    if isinstance(refusal.error, Stopped) and not met.told:
        records.revisions.tell(run.id, met.revision)
        records.change(run.id, barriers=run.barriers.telling(met.revision))
    return replace(refusal, untold=())


def preview(
    records: Records, ref: str, request: BlockRequest, generation: int | None = None
) -> Block:
    """Answer a read that settles nothing: settled cells from the ledger, the others computed."""
    run = records.find(ref, settled=True)
    require_block(run.spec, request.start, request.count)
    request = replace(request, generation=run.generation if generation is None else generation)
    lineage = records.lineage(run)
    _require_said(run, lineage, request)
    return _block(records, run, lineage, request, keep=False)


def preview_step(records: Records, ref: str, step: int, generation: int | None = None) -> Block:
    """Preview the one cell that holds a step."""
    run = records.find(ref, settled=True)
    return preview(records, run.id, BlockRequest(0, run.spec.grid.floor(step), 1), generation)


def _block(
    records: Records, run: RunRecord, lineage: Lineage, request: BlockRequest, *, keep: bool
) -> Block:
    stop = request.start + request.count * run.spec.resolution
    settled = lineage[request.generation].settled_until
    parts: list[tuple[OwnedSteps, list[InForce]]] = []
    for owned in lineage.owners(request.generation, request.start, stop):
        new = keep and owned.owner == run.key and owned.stop > settled
        in_force = records.revisions.in_force(owned, run.revision if new else None)
        parts.append((owned, in_force))
    first = max(request.start - run.spec.max_gap * run.spec.resolution, 0)
    newest = None
    if request.generation == run.generation:
        newest = Newest((run.key, run.revision), goes_on=keep and stop > settled)
    signals = records.revisions.signals(lineage.owners(request.generation, first, stop), newest)
    segments: list[Segment] = []  # may be kept, so everything has been read before
    for owned, in_force in parts:
        segments += _segments(records, run, owned, in_force, settled, keep=keep)
    return Block(
        run_id=run.id,
        generation=request.generation,
        start=request.start,
        resolution=run.spec.resolution,
        names=run.spec.names,
        in_force=[rule for _, in_force in parts for rule in in_force],
        values=join_up(segments),
        settled_until=settled,
        incarnation=records.incarnation,
        signals=signals,
    )


def _segments(
    records: Records,
    run: RunRecord,
    owned: OwnedSteps,
    in_force: list[InForce],
    settled: int,
    *,
    keep: bool,
) -> list[Segment]:
    """Return what the ledger holds of these steps, and compute (and keep) what it lacks."""
    grid = run.spec.grid
    known: list[Segment] = []
    if owned.start < settled:  # beyond it the ledger is empty
        known = list(ledger.read(records.connection, owned, grid))
    new = [
        compute(grid, start, stop, in_force)
        for start, stop in holes(owned.start, owned.stop, known)
    ]
    if keep:
        records.append(owned.owner, new)
    return [*known, *new]
