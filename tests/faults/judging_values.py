"""Checks of the values that were served."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tests.faults.evidence import Evidence, first_difference
from tests.faults.observations import Read, Values
from tests.faults.plan import FOLLOWER, FOLLOWS, TWIN, TWIN_OF


def written_once(evidence: Evidence) -> Iterator[str]:
    """P1: no two answers differ about a cell, in the generation that owns it."""
    seen: dict[int, Values] = {}
    for read in evidence.served:
        assert read.values is not None
        owners = evidence.history.owners(read.generation, read.start, read.stop)
        for owner, first, last in owners:
            part = read.values[:, first - read.start : last - read.start]
            known = _room(seen, owner, last, len(part))[:, first:last]
            fresh = np.isnan(known)
            known[fresh] = part[fresh]
            where = first_difference(known, part)
            if where is not None:
                yield f"{_cell(evidence, where, first)} of generation {owner} had two values"


def _room(seen: dict[int, Values], owner: int, stop: int, rows: int) -> Values:
    known = seen.get(owner, np.empty((rows, 0)))
    if known.shape[1] < stop:
        more = np.full((rows, max(stop, 2 * known.shape[1]) - known.shape[1]), np.nan)
        known = seen[owner] = np.concatenate([known, more], axis=1)
    return known


def written_down(evidence: Evidence) -> Iterator[str]:
    """P1, P4: every value that was served is in the ledger, bit for bit."""
    history = evidence.history
    for read in evidence.served:
        assert read.values is not None
        kept = history.written(read.generation, read.start, read.stop)
        where = first_difference(read.values, kept)
        if where is not None:
            told = f"{read.values[where]!r} was served, the ledger has {kept[where]!r}"
            yield f"{_cell(evidence, where, read.start)}, {_read(read)}: {told}"
    for look in evidence.log.looks:
        kept = history.written(look.generation, look.start, look.start + look.values.shape[1])
        where = first_difference(look.values, kept)
        if where is not None:
            told = f"a worker held {look.values[where]!r}, the ledger has {kept[where]!r}"
            yield f"{_cell(evidence, where, look.start)} of generation {look.generation}: {told}"


def explained(evidence: Evidence) -> Iterator[str]:
    """P2: every value of the ledger is what the final history makes it."""
    for generation in evidence.history.generations.values():
        kept, start = evidence.history.ledger[generation.number], generation.start
        if kept.shape[1] == 0:
            continue
        due = evidence.explanation.values(generation.number, start, start + kept.shape[1])
        handed_out = ~np.isnan(kept)
        where = first_difference(np.where(handed_out, kept, 0.0), np.where(handed_out, due, 0.0))
        if where is not None:
            told = f"the ledger has {kept[where]!r}, the history makes it {due[where]!r}"
            yield f"{_cell(evidence, where, start)} of generation {generation.number}: {told}"


def reigning(evidence: Evidence) -> Iterator[str]:
    """P2: an answer names the revisions that the final history has in force there."""
    for read in evidence.served:
        due = evidence.explanation.in_force(read.generation, read.start, read.stop)
        if read.in_force != due:
            yield f"{_read(read)} named {read.in_force}, in force are {due}"


def atomic(evidence: Evidence) -> Iterator[str]:
    """P3: parameters that were only ever changed together, or follow, never come apart."""
    names = evidence.history.parameters
    rows = {name: names.index(name) for name in names}
    for read in evidence.served:
        assert read.values is not None
        for name, other, factor in ((TWIN, TWIN_OF, 2.0), (FOLLOWER, FOLLOWS, 0.25)):
            apart = read.values[rows[name]] != factor * read.values[rows[other]]
            if apart.any():
                step = read.start + int(np.argmax(apart))
                yield f"{name} is not {factor} · {other} at step {step}, {_read(read)}"


def settled(evidence: Evidence) -> Iterator[str]:
    """P4: what was served is settled."""
    for read in evidence.served:
        end = evidence.history.generations[read.generation].settled_until
        if read.stop > end:
            yield f"{_read(read)}, and that generation is settled to {end} only"


def _cell(evidence: Evidence, where: tuple[int, int], start: int) -> str:
    return f"{evidence.history.parameters[where[0]]} at step {start + where[1]}"


def _read(read: Read) -> str:
    return f"generation {read.generation} was read from {read.start} to {read.stop}"
