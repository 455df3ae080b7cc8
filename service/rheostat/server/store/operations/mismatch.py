"""Mismatches: what workers applied and were not given is kept, numbered and told, each once."""

from __future__ import annotations

from collections import Counter
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

    A finished run keeps them, too, and tells no event then. Neither one worker nor one generation
    fills the list: see `_Room`. Of what was kept before, and of what there is no room for, it is
    noted that the worker was wrong once more.

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
    room = _Room(places)
    new: list[Mismatch] = []
    again: set[int] = set()
    for each in found:
        place = Place(each.worker, each.generation, each.step, each.parameter)
        if place in numbers:
            again.add(numbers[place])
        elif room.takes(place):
            new.append(each)
            numbers[place] = len(numbers) + 1
            room.add(place, numbers[place])
        else:
            again.update(room.last_of(place))
    return new, {number for number in again if number <= len(places)}


class _Room:
    """
    Which mismatches there is still room for: a few loud ones leave some for the others.

    A generation takes half of what the others have left, so that after a rewind there is room. Once
    half of that is taken, one worker has one: who is wrong, too, is named.
    """

    def __init__(self, places: Iterable[Place]) -> None:
        self._in_generation: Counter[int] = Counter()
        self._of_worker: dict[tuple[str, int], list[int]] = {}
        for number, place in enumerate(places, start=1):
            self.add(place, number)

    def takes(self, place: Place) -> bool:
        """Whether there is room for one more."""
        here = self._in_generation[place.generation]
        others = self._in_generation.total() - here
        room = (MAX_MISMATCHES - others) // 2
        mine = len(self._mine(place))
        return here < room and mine < (MAX_WORKER_MISMATCHES if here < room // 2 else 1)

    def add(self, place: Place, number: int) -> None:
        """Take it in."""
        self._in_generation[place.generation] += 1
        self._of_worker.setdefault((place.worker, place.generation), []).append(number)

    def last_of(self, place: Place) -> list[int]:
        """Return the number of the last one of its worker there, if it has any."""
        return self._mine(place)[-1:]

    def _mine(self, place: Place) -> list[int]:
        return self._of_worker.get((place.worker, place.generation), [])


def page(
    records: Records, ref: str, after: int, limit: int
) -> tuple[list[wire.Mismatch], int | None]:
    """Return the mismatches of a run past a number, and where to go on."""
    run = records.find(ref)
    items = Mismatches(records.connection).page(run.id, after, limit + 1)
    return items[:limit], items[limit - 1]["number"] if len(items) > limit else None
