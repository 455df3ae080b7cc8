"""Planted bugs of what workers applied and saved: each breaks one rule, in a test alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete

from rheostat.errors import StaleGeneration, WentBack
from rheostat.server.runs.applied import Window, differing, steps_of
from rheostat.server.store import tables
from rheostat.server.store.checkpoints import Checkpoints
from rheostat.server.store.mismatches import Mismatches
from rheostat.server.store.operations import applied, checkpoint
from rheostat.server.store.operations.applied import _Judge


def own_ledger(patch: pytest.MonkeyPatch) -> None:
    """Hold a window against the ledger of the current generation, whichever it is of."""
    begin = _Judge.__init__

    def current(
        self: _Judge, records: Any, run: Any, lineage: Any, generation: int, most: Any
    ) -> None:
        begin(self, records, run, lineage, run.generation, most)
        self._generation = generation

    patch.setattr(_Judge, "__init__", current)


def one_generation(patch: pytest.MonkeyPatch) -> None:
    """Remember digests of cells, whichever generation they are of."""
    key = Window.key
    patch.setattr(Window, "key", lambda window, _generation: key(window, 0))


def one_type(patch: pytest.MonkeyPatch) -> None:
    """Take every slot for one of float64."""
    patch.setattr("rheostat.server.runs.applied.rounded", lambda values, _dtype: values)


def unsettled(patch: pytest.MonkeyPatch) -> None:
    """Hear of cells that nobody can have been given as of any others that have no value."""
    patch.setattr(_Judge, "_require_settled", lambda *_: None)
    served = _Judge._served

    def invented(self: _Judge, cells: Any, steps: Any, names: Any, field: str) -> Any:
        try:
            return served(self, cells, steps, names, field)
        except (WentBack, StaleGeneration):
            return {name: np.zeros(len(steps)) for name in names}

    patch.setattr(_Judge, "_served", invented)


def never_stale(patch: pytest.MonkeyPatch) -> None:
    """Say that the service went back to a worker of a generation that was left."""
    never = _Judge._never_served

    def went_back(self: _Judge, step: int) -> Any:
        self._generation = self._run.generation
        return never(self, step)

    patch.setattr(_Judge, "_never_served", went_back)


def last_step(patch: pytest.MonkeyPatch) -> None:
    """Name the last step of a window that differs."""

    def last(
        window: Window, steps: Any, must: Sequence[Any], field: str
    ) -> Iterator[tuple[str, int, float, float]]:
        for name, step, served, found in differing(window, steps, must, field):
            values = np.array((window.values or {})[name], np.float64)
            column = must[[each for each, _ in window.slots].index(name)]
            place = np.nonzero(values != column)[0][-1]
            yield (
                (name, int(steps[place]), float(column[place]), float(values[place]))
                if int(steps[place]) != step
                else (name, step, served, found)
            )

    patch.setattr(applied, "differing", last)


def first_parameter(patch: pytest.MonkeyPatch) -> None:
    """Name one parameter of a window alone."""

    def one(*asked: Any) -> Iterator[tuple[str, int, float, float]]:
        yield next(differing(*asked))

    patch.setattr(applied, "differing", one)


def named_otherwise(patch: pytest.MonkeyPatch) -> None:
    """Keep what was told of a mismatch last."""
    patch.setattr(Mismatches, "places", lambda *_: [])
    add = Mismatches.add

    def anew(self: Mismatches, run_id: str, rows: Any) -> None:
        gone = delete(tables.mismatches).where(tables.mismatches.c.run_id == run_id)
        self._connection.execute(gone)
        add(self, run_id, rows)

    patch.setattr(Mismatches, "add", anew)


def never_compared(patch: pytest.MonkeyPatch) -> None:
    """Believe a digest of which the values do not come."""
    judged = _Judge._judged

    def believed(self: _Judge, worker: Any, field: str) -> Any:
        answer = judged(self, worker, field)
        if not answer.compare:
            return answer
        until = max(window.stop(self._grid) for window in worker.applied)
        return type(answer)(answer.worker, until, None, [], answer.found)

    patch.setattr(_Judge, "_judged", believed)


def strides_filled(patch: pytest.MonkeyPatch) -> None:
    """Read the cells between those of a stride in their place."""

    def filled(cells: Any, grid: Any) -> Any:
        found = steps_of(cells, grid)
        return found[0] + grid.resolution * np.arange(len(found))

    patch.setattr(applied, "steps_of", filled)


def saved_last(patch: pytest.MonkeyPatch) -> None:
    """Take what was said to be saved first for what was said last."""
    patch.setattr(Checkpoints, "one", lambda *_: None)
    add = Checkpoints.add

    def anew(self: Checkpoints, said: Any) -> None:
        table = tables.checkpoints.c
        here = table.run_id == said.generation.run_id, table.step == said.step
        self._connection.execute(delete(tables.checkpoints).where(*here))
        add(self, said)

    patch.setattr(Checkpoints, "add", anew)


def saved_beyond(patch: pytest.MonkeyPatch) -> None:
    """Call all that was saved in a generation of the line resumable."""
    patch.setattr(checkpoint, "_is_past", lambda saved, past: saved.generation in past)
