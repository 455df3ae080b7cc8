"""Judging what workers applied: their windows are held against the ledger of their generation."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from rheostat.controllers import bits_of_value
from rheostat.errors import Conflict, FieldError, Invalid, WentBack
from rheostat.limits import MAX_HELD_AGAINST, MAX_WORKER_MISMATCHES
from rheostat.server.runs.applied import (
    Cells,
    Floats,
    Mismatch,
    Stretch,
    Window,
    Wrong,
    differing,
    digest_of,
    expected,
    require_holds,
    require_parameter,
    require_window,
    rounded,
    steps_of,
)
from rheostat.server.runs.beats import Beat, Said
from rheostat.server.runs.lineage import Lineage, OwnedSteps
from rheostat.server.runs.settling import stale
from rheostat.server.store import ledger
from rheostat.server.store.records import Records, RunRecord


@dataclass(frozen=True, slots=True)
class Judged:
    """
    What is known now of a worker's windows.

    ``until`` is where the last of those ends that are right, if none before it is in doubt, and
    ``doubt`` the first step that is, or that is known to be wrong. ``compare`` has the starts of
    those whose values are to be sent.
    """

    worker: str
    until: int | None
    doubt: int | None
    compare: Sequence[int]
    found: Sequence[Mismatch]


class TakesMuch(Exception):
    """More of the ledger would have to be read than was allowed; what was read is remembered."""


def judge(
    records: Records, run: RunRecord, lineage: Lineage, beat: Beat, most: int | None = None
) -> list[Judged]:
    """
    Hold what workers say that they applied against the ledger, and return what came of each.

    ``most`` values of the ledger are read, by default as many as one beat may take.

    Raises:
        TakesMuch: It would take more than ``most``.
        UnknownGeneration: There is none of this number.
        WentBack: A cell of the current generation was listed that nobody has been given.
        StaleGeneration: Likewise of a generation that a rewind has left.
        Invalid: A window, or a value in it, is not what a run can have, or they take too much of
            the ledger; or the values are right and the digest is not that of them.

    """
    return _Judge(records, run, lineage, beat.generation, most).judge(beat.workers)


class _Judge:
    """Judges the beats of one generation, and reads so much of its ledger at most."""

    def __init__(
        self,
        records: Records,
        run: RunRecord,
        lineage: Lineage,
        generation: int,
        most: int | None,
    ) -> None:
        self._records = records
        self._run = run
        self._spec = run.spec
        self._grid = run.spec.grid
        self._lineage = lineage
        self._generation = generation
        self._settled = lineage[generation].settled_until
        self._owned = lineage.owners(generation, 0, self._settled)
        self._begins = [owned.start for owned in self._owned]
        self._allowed = most
        self._left = MAX_HELD_AGAINST if most is None else most

    def judge(self, workers: Sequence[Said]) -> list[Judged]:
        for index, worker in enumerate(workers):
            self._require_sound(worker, f"workers[{index}]")
        self._require_settled(workers)
        return [self._judged(worker, f"workers[{i}]") for i, worker in enumerate(workers)]

    def _require_sound(self, worker: Said, field: str) -> None:
        for index, window in enumerate(worker.applied):
            require_window(self._spec, window, f"{field}.applied[{index}]")
        for index, wrong in enumerate(worker.wrong):
            self._grid.require(f"{field}.wrong[{index}].step", wrong.step)
            require_parameter(self._spec, wrong.parameter, f"{field}.wrong[{index}].parameter")
            require_holds(wrong.dtype, [wrong.found], f"{field}.wrong[{index}].found")

    def _require_settled(self, workers: Sequence[Said]) -> None:
        end, who = max(((self._end(worker), worker.worker) for worker in workers), default=(0, ""))
        if end > self._settled:
            if self._generation == self._run.generation:
                self._records.ahead.note(self._run.key, end, who)
            raise self._never_served(end - self._grid.resolution)

    def _end(self, worker: Said) -> int:
        windows = [window.stop(self._grid) for window in worker.applied]
        wrong = [each.step + self._grid.resolution for each in worker.wrong]
        return max([*windows, *wrong], default=0)

    def _never_served(self, step: int) -> Conflict:
        """Return the refusal of a cell whose value nobody has been given."""
        if self._generation != self._run.generation:
            return stale(self._lineage, self._generation, self._run.generation)
        return WentBack(
            f"a worker applied a value at step {step}, and this service knows of none that was"
            f" handed out there: generation {self._generation} is settled up to {self._settled}."
            " A backup was restored, or a standby that lagged serves now",
            generation=self._generation,
            settled_until=self._settled,
            step=step,
        )

    def _judged(self, worker: Said, field: str) -> Judged:
        found = list(self._wrong(worker, f"{field}.wrong"))
        right: list[int] = []
        compare: list[int] = []
        for index, window in enumerate(worker.applied):
            if window.digest == self._digest(window, f"{field}.applied[{index}]"):
                right.append(window.stop(self._grid))
            elif window.values is None:
                compare.append(window.start)
            else:
                found += self._compared(worker, window, f"{field}.applied[{index}]")
        found = sorted(set(found))[:MAX_WORKER_MISMATCHES]
        doubt = min([*compare, *(each.step for each in found)], default=None)
        until = max([end for end in right if doubt is None or end <= doubt], default=None)
        return Judged(worker.worker, until, doubt, sorted(set(compare)), found)

    def _digest(self, window: Window, field: str) -> str:
        """Return the digest of what was served in a window, known or made of the ledger."""
        key = window.key(self._generation)
        known = self._records.digests.get(self._run.id, key)
        if known is None:
            steps, must = self._expected(window, field)
            known = digest_of(steps, must)
            self._records.digests.put(self._run.id, key, known)
        return known

    def _compared(self, worker: Said, window: Window, field: str) -> Iterable[Mismatch]:
        steps, must = self._expected(window, field)
        for name, step, served, found in differing(window, steps, must, field):
            yield Mismatch(
                step,
                name,
                bits_of_value(served),
                bits_of_value(found),
                window.parameters[name],
                worker.worker,
                self._generation,
            )

    def _wrong(self, worker: Said, field: str) -> Iterable[Mismatch]:
        """Yield what the worker found by itself, and differs from what was served indeed."""
        for index, each in enumerate(worker.wrong):
            found = bits_of_value(each.found)
            served = self._served_at(each, f"{field}[{index}].step")
            if served != found:
                yield Mismatch(
                    each.step,
                    each.parameter,
                    served,
                    found,
                    each.dtype,
                    worker.worker,
                    self._generation,
                )

    def _served_at(self, wrong: Wrong, field: str) -> int:
        cells = [Stretch(wrong.step, 1, 1)]
        served = self._served(cells, steps_of(cells, self._grid), [wrong.parameter], field)
        return bits_of_value(float(rounded(served[wrong.parameter], wrong.dtype)[0]))

    # what was served

    def _expected(self, window: Window, field: str) -> tuple[Cells, list[Floats]]:
        steps = steps_of(window.cells, self._grid)
        served = self._served(window.cells, steps, window.parameters, f"{field}.cells")
        return steps, expected(window, served)

    def _served(
        self, cells: Sequence[Stretch], steps: Cells, names: Iterable[str], field: str
    ) -> dict[str, Floats]:
        """Return what the ledger holds of some parameters in these cells."""
        rows = {name: self._spec.names.index(name) for name in names}
        self._spend(len(rows) * len(steps), field)
        values = np.empty((len(rows), len(steps)))
        known = np.zeros(len(steps), bool)
        for start, stop in self._spans(cells):
            for owned in self._owners(start, stop):
                self._spend(ledger.PACKED, field)
                with closing(ledger.read(self._records.connection, owned, self._grid)) as segments:
                    for segment in segments:
                        self._spend(segment.values.size, field)
                        first, last = np.searchsorted(steps, [segment.start, segment.stop])
                        places = (steps[first:last] - segment.start) // self._grid.resolution
                        found = segment.values[list(rows.values())][:, places]
                        values[:, first:last] = found
                        known[first:last] = True
        if not known.all():
            raise self._never_served(int(steps[~known][0]))
        return dict(zip(rows, values, strict=True))

    def _owners(self, start: int, stop: int) -> Iterator[OwnedSteps]:
        """Yield who owns these steps, by rising step: of a thousand generations, only those."""
        place = max(bisect_right(self._begins, start) - 1, 0)
        for owned in islice(self._owned, place, None):
            if owned.start >= stop:
                return
            if start < owned.stop:
                yield replace(owned, start=max(start, owned.start), stop=min(stop, owned.stop))

    def _spans(self, cells: Sequence[Stretch]) -> list[tuple[int, int]]:
        """Return from where to where to read: stretches far from each other, each by itself."""
        spans: list[tuple[int, int]] = []
        for stretch in cells:
            start, stop = stretch.start, stretch.last(self._grid) + self._grid.resolution
            if spans and start - spans[-1][1] <= self._run.layout.span:
                spans[-1] = spans[-1][0], stop
            else:
                spans.append((start, stop))
        return spans

    def _spend(self, values: int, field: str) -> None:
        self._left -= values
        if self._left < 0 and self._allowed is not None:
            raise TakesMuch
        if self._left < 0:
            message = (
                "what this beat lists takes more of the ledger than is read for one: send less in"
                " one beat, or in one window"
            )
            bound = f"<= {MAX_HELD_AGAINST} values of the ledger"
            raise Invalid(message, errors=[FieldError(field, message, None, bound)])
