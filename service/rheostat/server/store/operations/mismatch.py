"""Mismatches: what workers applied and were not given is kept, numbered and told, each once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rheostat import wire
from rheostat.limits import MAX_MISMATCHES, MAX_WORKER_MISMATCHES
from rheostat.server.runs.applied import Mismatch
from rheostat.server.store import clock
from rheostat.server.store.mismatches import Mismatches, Place
from rheostat.server.store.records import Records


def keep(records: Records, run_id: str, found: Iterable[Mismatch]) -> int:
    """
    Keep the mismatches that are new, as events of the run; return how many.

    A finished run keeps them, too, and tells no event then. One worker does not fill the list:
    so many of it are kept of a generation that others have room. Of what was kept before, and of
    what there is no room for, it is noted that the worker was wrong once more.

    Raises:
        UnknownRun: There is none with this id.

    """
    run = records.find(run_id, lock=True)
    kept = Mismatches(records.connection)
    places = kept.places(run.id)
    new, again = _sorted_out(found, places)
    at = clock.text(clock.read(records.connection))  # which `workers.since` is by, too
    event = None if run.end is not None else run.newest_event(records.lineage(run)) + 1
    if new and event is not None:
        records.change(run.id, event=event + len(new) - 1)
    if again:
        kept.touch(run.id, again, at)
    if new:
        kept.add(run.id, _rows(new, len(places) + 1, event, at))
    return len(new)


def _rows(new: list[Mismatch], number: int, event: int | None, at: str) -> list[dict[str, Any]]:
    return [
        {
            "number": number + index,
            "worker": each.worker,
            "generation": each.generation,
            "parameter": each.parameter,
            "step": each.step,
            "expected_bits": each.expected,
            "found_bits": each.found,
            "dtype": each.dtype,
            "at": at,
            "told_at": at,
            "event": None if event is None else event + index,
        }
        for index, each in enumerate(new)
    ]


def _sorted_out(found: Iterable[Mismatch], places: list[Place]) -> tuple[list[Mismatch], set[int]]:
    """Return those that are new, and the numbers of those that are told again."""
    numbers = {place: number for number, place in enumerate(places, start=1)}
    of_worker: dict[tuple[str, int], list[int]] = {}
    for place, number in numbers.items():
        of_worker.setdefault((place.worker, place.generation), []).append(number)
    new: list[Mismatch] = []
    again: set[int] = set()
    for each in found:
        place = Place(each.worker, each.generation, each.step, each.parameter)
        mine = of_worker.setdefault((each.worker, each.generation), [])
        if place in numbers:
            again.add(numbers[place])
        elif len(mine) < MAX_WORKER_MISMATCHES and len(numbers) < MAX_MISMATCHES:
            new.append(each)
            numbers[place] = len(numbers) + 1
            mine.append(numbers[place])
        else:
            again.update(mine[-1:])
    return new, {number for number in again if number <= len(places)}


def page(
    records: Records, ref: str, after: int, limit: int
) -> tuple[list[wire.Mismatch], int | None]:
    """Return the mismatches of a run past a number, and where to go on."""
    run = records.find(ref)
    items = Mismatches(records.connection).page(run.id, after, limit + 1)
    return items[:limit], items[limit - 1]["number"] if len(items) > limit else None
