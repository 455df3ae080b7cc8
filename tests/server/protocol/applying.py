"""What workers applied and saved, in the model: held against what was handed out."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tests.oracle.edits import Refusal
from tests.server.protocol.state import Generation, Run

if TYPE_CHECKING:
    from tests.server.protocol.model import Model

Handed = Mapping[tuple[str, int, int], Mapping[str, float]]
"""What was handed out, by the run and the generation that own a cell, and the cell."""
Slot = Literal["f64", "f32"]
Found = tuple[str, int, int, str, float, float]
"""A mismatch: worker, generation, step and parameter, what was served, and what was applied."""
Saved = tuple[int, int, str]
"""A checkpoint: generation, step and tag."""


@dataclass(frozen=True)
class Listing:
    """Cells that a worker applied: ``other`` has what it applied in place of what it was given."""

    cells: Sequence[tuple[int, int, int]]
    """First coordinate, count, and stride in cells."""
    slots: Mapping[str, Slot]
    other: Mapping[tuple[int, str], float] = field(default_factory=dict)
    """By the place of the cell among them, and the parameter."""
    sends: bool = True
    """Whether its values come with it, as they do once they are asked for."""

    def steps(self, cell: int) -> list[int]:
        """Return the first coordinates of its cells."""
        return [
            start + index * stride * cell
            for start, count, stride in self.cells
            for index in range(count)
        ]


class Told(NamedTuple):
    """What comes of a window: up to where all is right, from where not, what to send, and what."""

    until: int | None
    doubt: int | None
    compare: list[int]
    found: list[Found]


def applied(listing: Listing, rows: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Return what a worker applied that was given these values, as its slots hold it."""
    return {
        name: [
            rounded(listing.other.get((place, name), row[name]), listing.slots[name])
            for place, row in enumerate(rows)
        ]
        for name in sorted(listing.slots)
    }


def rounded(value: float, slot: Slot) -> float:
    """Return a value as a slot holds it."""
    return value if slot == "f64" else float(struct.unpack("<f", struct.pack("<f", value))[0])


def digest(steps: Sequence[int], columns: Mapping[str, Sequence[float]]) -> str:
    """Return what proves the values of cells: a number and a float64 for each parameter."""
    told = b""
    for place, step in enumerate(steps):
        told += struct.pack("<Q", step)
        told += b"".join(struct.pack("<d", columns[name][place]) for name in sorted(columns))
    return blake2b(told, digest_size=16).hexdigest()


def given(run: Run, handed: Handed, number: int, steps: Sequence[int]) -> list[dict[str, float]]:
    """Return what was handed out of cells, on the line of a generation; refuse what was not."""
    past = run.generation(number)
    if any(step % run.cell for step in steps) or list(steps) != sorted(set(steps)):
        raise Refusal("invalid")
    if steps[-1] + run.cell > past.settled:
        raise never_given(run, past)
    rows = []
    for step in steps:
        owner, *_ = past.in_force(step)
        row = handed.get((owner.run.id, owner.number, step))
        if row is None:
            raise never_given(run, past)
        rows.append({**row})
    return rows


def never_given(run: Run, past: Generation) -> Refusal:
    """Return what is answered to whoever applied what nobody has been given."""
    return Refusal("went-back" if past is run.current else "stale-generation")


def judge(
    model: Model, handed: Handed, run_id: str, number: int, worker: str, listing: Listing
) -> Told:
    """Hold a window against what was handed out, and remember the first steps that differ."""
    run = model.find(run_id)
    steps = listing.steps(run.cell)
    rows = given(run, handed, number, steps)
    must = applied(Listing(listing.cells, listing.slots), rows)
    there = applied(listing, rows)
    wrong = {
        name: next(place for place, value in enumerate(there[name]) if value != must[name][place])
        for name in must
        if there[name] != must[name]
    }
    if not wrong:
        return Told(steps[-1] + run.cell, None, [], [])
    if not listing.sends:
        return Told(None, steps[0], [steps[0]], [])
    found = [
        (worker, number, steps[place], name, must[name][place], there[name][place])
        for name, place in wrong.items()
    ]
    for each in found:
        run.mismatches.setdefault(each[:4], each)
    return Told(None, min(each[2] for each in found), [], sorted(found, key=lambda f: f[2:4]))


def save(model: Model, run_id: str, number: int, step: int, tag: str) -> bool:
    """Remember what a worker saved; return whether that is new."""
    run = model.find(run_id)
    if step > run.generation(number).settled:
        raise Refusal("invalid")
    new = (number, step, tag) not in run.saved
    run.saved[number, step, tag] = None
    return new


def saved(run: Run) -> list[tuple[str, int, int, str, bool]]:
    """Return what is known to be saved, of a run's own generations and on its line before them."""
    mine = {(run.id, *each): _resumable(run, run, *each[:2]) for each in run.saved}
    before = {
        (past.run.id, *each): True
        for past in run.current.line
        if past.run is not run
        for each in past.run.saved
        if _resumable(run, past.run, *each[:2])
    }
    return sorted((*key, on_line) for key, on_line in {**mine, **before}.items())


def _resumable(run: Run, owner: Run, number: int, step: int) -> bool:
    """Whether a checkpoint has used no value but those of the current generation's past."""
    for past in run.current.line:
        if past.run is owner and past.number == number:
            return True
        if step > past.start:
            return False
    return False


def stretches(chance: Any, first: int, cell: int) -> Iterator[tuple[int, int, int]]:
    """Yield stretches from drawn numbers: skipped cells, count and stride of each."""
    at = first
    for skipped, count, stride in chance:
        start = at + skipped * cell
        yield start, count, stride
        at = start + ((count - 1) * stride + 1) * cell
