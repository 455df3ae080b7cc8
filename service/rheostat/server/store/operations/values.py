"""Reading values: settling blocks, and previews that settle nothing."""

from __future__ import annotations

import time
from dataclasses import replace

from rheostat.server.runs.block import Block
from rheostat.server.runs.lineage import Lineage, Stretch
from rheostat.server.runs.settling import (
    Ask,
    Reign,
    Segment,
    compute,
    holes,
    join_up,
    require_block,
    settled_end,
)
from rheostat.server.runs.sightings import Sighting
from rheostat.server.store import ledger
from rheostat.server.store.records import Records, RunRecord


def settle(records: Records, run_id: str, ask: Ask) -> Block:
    """Answer a settling read: what it hands out is in the ledger once this is committed."""
    run = records.find(run_id, lock=True)
    lineage = records.lineage(run)
    records.lock(lineage.ancestors())  # their ledger may get cells that it lacks
    until = settled_end(run.standing(lineage), ask)
    block = _block(records, run, lineage, ask, keep=True)
    if until is None:
        return block
    settled = lineage[ask.generation]
    # the last event of a run is its end, though what lies before that may settle later
    event = run.newest_event(lineage) + 1 if run.end is None else settled.event
    records.settle(run.key, until, event, Sighting(ask.start, until, time.time()))
    records.pack(run, settled.settled_until, until)
    return replace(block, settled_until=until, event=event if run.end is None else None)


def preview(records: Records, ref: str, ask: Ask, generation: int | None = None) -> Block:
    """Answer a read that settles nothing: settled cells from the ledger, the others computed."""
    run = records.find(ref)
    require_block(run.spec, ask.start, ask.count)
    ask = replace(ask, generation=run.generation if generation is None else generation)
    return _block(records, run, records.lineage(run), ask, keep=False)


def preview_step(records: Records, ref: str, step: int, generation: int | None = None) -> Block:
    """Preview the one cell that holds a step."""
    run = records.find(ref)
    return preview(records, run.id, Ask(0, run.spec.grid.floor(step), 1), generation)


def _block(records: Records, run: RunRecord, lineage: Lineage, ask: Ask, *, keep: bool) -> Block:
    stop = ask.start + ask.count * run.spec.resolution
    settled = lineage[ask.generation].settled_until
    ruling: list[tuple[Stretch, list[Reign]]] = []
    for stretch in lineage.owners(ask.generation, ask.start, stop):
        new = keep and stretch.owner == run.key and stretch.stop > settled
        reigns = records.revisions.reigns(stretch, run.revision if new else None)
        ruling.append((stretch, reigns))
    segments: list[Segment] = []  # may be kept, so everything has been read before
    for stretch, reigns in ruling:
        segments += _segments(records, run, stretch, reigns, settled, keep=keep)
    return Block(
        run_id=run.id,
        generation=ask.generation,
        start=ask.start,
        resolution=run.spec.resolution,
        names=run.spec.names,
        reigns=[reign for _, reigns in ruling for reign in reigns],
        values=join_up(segments),
        settled_until=settled,
        incarnation=records.incarnation,
    )


def _segments(
    records: Records,
    run: RunRecord,
    stretch: Stretch,
    reigns: list[Reign],
    settled: int,
    *,
    keep: bool,
) -> list[Segment]:
    """Return what the ledger holds of a stretch, and compute (and keep) what it lacks."""
    grid = run.spec.grid
    known: list[Segment] = []
    if stretch.start < settled:  # beyond it the ledger is empty
        known = list(ledger.read(records.connection, stretch, grid))
    new = [
        compute(grid, start, stop, reigns)
        for start, stop in holes(stretch.start, stretch.stop, known)
    ]
    if keep:
        records.append(stretch.owner, new)
    return [*known, *new]
