"""Mismatches: what workers applied and were not given is kept, numbered and told, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rheostat import wire
from rheostat.limits import MAX_MISMATCHES, MAX_WORKER_MISMATCHES
from rheostat.server.runs.applied import Mismatch
from rheostat.server.store.mismatches import Mismatches, Place
from rheostat.server.store.records import Records, now


def keep(records: Records, run_id: str, found: Iterable[Mismatch]) -> int:
    """
    Keep the mismatches that are new, as events of the run; return how many.

    A finished run keeps them, too, and tells no event then. One worker does not fill the list:
    so many of it are kept of a generation that others have room.

    Raises:
        UnknownRun: There is none with this id.

    """
    run = records.find(run_id, lock=True)
    kept = Mismatches(records.connection)
    places = kept.places(run.id)
    new = _new(found, places)
    if not new:
        return 0
    first = records.lineage(run)
    events = None if run.end is not None else run.newest_event(first) + 1
    if events is not None:
        records.change(run.id, event=events + len(new) - 1)
    at = now()
    rows = [
        {
            "number": len(places) + 1 + index,
            "worker": each.worker,
            "generation": each.generation,
            "parameter": each.parameter,
            "step": each.step,
            "expected_bits": each.expected,
            "found_bits": each.found,
            "dtype": each.dtype,
            "at": at,
            "event": None if events is None else events + index,
        }
        for index, each in enumerate(new)
    ]
    kept.add(run.id, rows)
    return len(rows)


def _new(found: Iterable[Mismatch], places: list[Place]) -> list[Mismatch]:
    """Return those that are not kept yet, and for which there is room."""
    known = set(places)
    of_worker = Counter((place.worker, place.generation) for place in places)
    new: list[Mismatch] = []
    for each in found:
        place = Place(each.worker, each.generation, each.step, each.parameter)
        whose = each.worker, each.generation
        if place in known or of_worker[whose] >= MAX_WORKER_MISMATCHES:
            continue
        if len(places) + len(new) >= MAX_MISMATCHES:
            break
        known.add(place)
        of_worker[whose] += 1
        new.append(each)
    return new


def page(
    records: Records, ref: str, after: int, limit: int
) -> tuple[list[wire.Mismatch], int | None]:
    """Return the mismatches of a run past a number, and where to go on."""
    run = records.find(ref)
    items = Mismatches(records.connection).page(run.id, after, limit + 1)
    return items[:limit], items[limit - 1]["number"] if len(items) > limit else None
