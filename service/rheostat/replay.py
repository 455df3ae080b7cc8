"""
A run read from a file that `Run.export` wrote: the same values, without a service.

    run = rheostat.Replay("checkpoint/rheostat.json")
    run.value("lr", 0)
"""

from __future__ import annotations

import base64
import json
import os
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rheostat import exports
from rheostat.client.calls import coordinate, invalid
from rheostat.client.revisions import At
from rheostat.client.signals import Signal
from rheostat.errors import FieldError, Finished, Invalid, StaleCheckpoint, StepJump
from rheostat.limits import MAX_STEP
from rheostat.packing import unpack

KEPT = 8
"""Pieces of the ledger that are kept unpacked."""


class Replay:
    """
    A run as it was served, up to where it was when it was exported.

    For running a training again where no service is: `value`, `values` and `steps` answer and raise
    as a `Run` does, and adapters take it in place of one. Nothing is reported or proven, and there
    are no signals. Not for a training that is to go on: import the file into a service.

    Args:
        path: A file that `Run.export` wrote.
        generation: Whose values; by default those of the generation that was current.

    Attributes:
        id: The run's id.
        name: The run's name.
        axis: What the run counts, such as ``step``.
        resolution: The width of a cell: a step is rounded down to a multiple of it.
        generation: The generation whose values these are.
        parameters: The names of the parameters, sorted.
        total: The planned length, if the run states it.
        settled_until: First step of which there is no value.
        ends_at: The step at which the run was finished, else None.
        ended: `Finished` once a step had no value for that, else None.

    Raises:
        Invalid: This is no such file, or not of this version, or it has no such generation.

    """

    def __init__(self, path: str | os.PathLike[str], generation: int | None = None) -> None:
        document = _read(Path(path))
        with _sound(path):
            run = document["run"]
            self.id, self.name, self.axis = (str(run[key]) for key in ("id", "name", "axis"))
            self.resolution = int(run["resolution"])
            self.parameters: tuple[str, ...] = tuple(map(str, run["parameters"]))
            self.total = None if run["total"] is None else int(run["total"])
            self.ends_at = None if run["end"] is None else int(run["end"])
            current = int(run["generation"])
            self.generation = current if generation is None else generation
            known = {int(each["generation"]): each for each in document["generations"]}
            if self.generation not in known:
                raise invalid("generation", generation, f"one of {', '.join(map(str, known))}")
            if self.generation != current:
                self.ends_at = None
            self.settled_until = int(known[self.generation]["settled_until"])
            self._line = _line(known, self.generation)
            self._pieces = _pieces(document["ledger"], self._line, self.resolution)
        self._starts = [piece.start for piece in self._pieces]
        self._known: dict[int, list[array[float]]] = {}
        self.ended: Finished | None = None
        self.job: str | None = None
        """What trains together, as adapters say it; nobody is told."""

    def value(self, name: str, step: int) -> float:
        """
        Return the parameter's value at a step, as it was served.

        Raises:
            Finished: The run has no value from this step on.
            StepJump: The step lies past what was settled when the file was written, or was skipped.
            Invalid: The run has no such parameter, or this is no step.

        """
        if name not in self.parameters:
            raise invalid("name", name, f"one of {', '.join(self.parameters)}")
        return self.values(step)[name]

    def values(self, step: int) -> dict[str, float]:
        """Return all parameters' values at a step; raises as `value` does."""
        at = coordinate(step)
        at -= at % self.resolution
        if self.ends_at is not None and at >= self.ends_at:
            self.ended = Finished(
                f"the run {self.name} is finished at {self.ends_at}", end=self.ends_at
            )
            raise self.ended
        index = bisect_right(self._starts, at) - 1
        if index < 0 or at >= self._pieces[index].stop:
            raise self._beyond(at)
        cell = (at - self._pieces[index].origin) // self.resolution
        columns = self._columns(index)
        return {name: column[cell] for name, column in zip(self.parameters, columns, strict=True)}

    def steps(self, start: int, total: int | None = None, *, by: int = 1) -> Iterator[int]:
        """
        Yield the steps that have values, from ``start`` to before ``total``, by default the run's.

        It ends where the run was finished.

        Raises:
            StepJump: The file ends before the training does.

        """
        if coordinate(by, "by") < 1:
            raise invalid("by", by, "at least 1")
        step, last = coordinate(start, "start"), self.total if total is None else total
        while last is None or step < last:
            try:
                self.values(step)
            except Finished:
                return
            yield step
            step += by

    def at(self, step: int) -> At:
        """Return a step's values; which revision gave them is in the file, and not told here."""
        return At(self.values(step), None, ())

    def checkpoint(self, step: int) -> dict[str, Any]:
        """Return what a checkpoint must hold, as `Run.checkpoint`."""
        return {"id": self.id, "generation": self.generation, "step": step}

    def rejoin(self, checkpoint: Mapping[str, Any] | None = None) -> None:
        """
        Go on from a checkpoint.

        Raises:
            StaleCheckpoint: It is of another run, or of another line than this file's.

        """
        if checkpoint is None:
            return
        step, number = coordinate(checkpoint["step"]), checkpoint["generation"]
        reach = next((stop for owner, _, stop in self._line if owner == number), -1)
        if checkpoint["id"] != self.id or step > (MAX_STEP if number == self.generation else reach):
            raise StaleCheckpoint(
                f"the checkpoint is at step {step} of generation {number} of {checkpoint['id']},"
                f" which is not in the past of generation {self.generation} of {self.id}",
                generation=self.generation,
            )

    def left_open(self, step: int) -> None:
        """Raise `Finished` if the run has no value from a step on; nothing is waited for."""
        self.values(step)

    def begin(self, start: int) -> None:
        """Begin anywhere: what was served is there."""
        coordinate(start, "start")

    def listen(self, step: int) -> None:
        """Hear of nothing: what was said is in the file's history."""
        coordinate(step)

    def signals(self, step: int) -> tuple[Signal, ...]:
        """Return no words: they were acted on when they came."""
        coordinate(step)
        return ()

    def report(self, *_: Any, **__: Any) -> None:
        """Report nothing, to nobody; so do `note`, `outcome`, `saved`, `applied` and `mismatch`."""

    note = outcome = saved = applied = mismatch = report

    def flush(self, timeout: float = 0.0) -> bool:  # noqa: ARG002 - as of a run
        """Return True: there is nothing to send."""
        return True

    def _columns(self, index: int) -> list[array[float]]:
        if index not in self._known:
            piece = self._pieces[index]
            try:
                found = unpack(base64.b64decode(piece.values), len(self.parameters), piece.cells)
            except ValueError as error:
                raise _wrong(f"ledger: the values from {piece.origin} on: {error}") from None
            while len(self._known) >= KEPT:
                del self._known[next(iter(self._known))]
            self._known[index] = found
        return self._known[index]

    def _beyond(self, step: int) -> StepJump:
        where = (
            f"lies past {self.settled_until}, where the run was when it was exported"
            if step >= self.settled_until
            else "was never served: the training began or went on further"
        )
        message = f"step {step} of generation {self.generation} of {self.name} {where}"
        return StepJump(message, settled_until=self.settled_until)


class _Piece(NamedTuple):
    """A packed stretch of the ledger, from ``start`` to ``stop`` of which is this line's."""

    start: int
    stop: int
    origin: int
    """Where the stretch itself begins."""
    cells: int
    values: str


_Line = list[tuple[int, int, int]]
"""Owners of steps, by rising step: generation, first step, and the one to end before."""


def _read(path: Path) -> Any:
    try:
        with path.open(encoding="utf-8") as file:
            document = json.load(file)
    except OSError as error:
        raise _wrong(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError):
        raise _wrong(f"{path} is not JSON: `run.export(path)` writes what can be read") from None
    if not isinstance(document, dict) or document.get("format") != exports.FORMAT:
        raise _wrong(f"{path} is no export of a run: `run.export(path)` writes one")
    version = document.get("version")
    if not isinstance(version, int) or version > exports.VERSION:
        raise _wrong(f"{path} has version {version!r}, and this release reads {exports.VERSION}")
    return document


def _line(known: Mapping[int, Mapping[str, Any]], number: int) -> _Line:
    """Return who owns the steps of a generation, by rising step."""
    line: _Line = []
    stop = int(known[number]["settled_until"])
    while True:
        start = int(known[number]["from"])
        if start < stop:
            line.append((number, start, stop))
        stop = min(stop, start)
        parent = known[number]["parent"]
        if parent is None:
            return line[::-1]
        if not int(parent) < number:
            raise ValueError(f"generation {number} has the parent {parent}")
        number = int(parent)


def _pieces(ledger: Sequence[Mapping[str, Any]], line: _Line, resolution: int) -> list[_Piece]:
    """Return the pieces of a line, by rising step."""
    owned = {number: (start, stop) for number, start, stop in line}
    found = []
    for item in ledger:
        if (owns := owned.get(int(item["generation"]))) is None:
            continue
        origin, count = int(item["start"]), int(item["count"])
        start, stop = max(origin, owns[0]), min(origin + count * resolution, owns[1])
        if start < stop:
            found.append(_Piece(start, stop, origin, count, str(item["values"])))
    return sorted(found)


@contextmanager
def _sound(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except Invalid:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        message = f"{os.fspath(path)} is no sound export: {type(error).__name__}: {error}"
        raise _wrong(message) from error


def _wrong(message: str) -> Invalid:
    return Invalid(message, errors=[FieldError("path", message)])
