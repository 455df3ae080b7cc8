"""
Places: whose past a report measures, and whether a run still stands on it.

A report at a step measures the model after the values of all steps below were applied. So it
belongs to the generation that owns the last cell below, on the line of whoever sends it: one point
of history has one key, whichever generation it is reported from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_STEP
from rheostat.server.runs.grid import Grid
from rheostat.server.runs.lineage import Generation, GenerationKey, Lineage
from rheostat.server.runs.settling import stale


class Owner(NamedTuple):
    """A generation by its place on a line: how many forks up its run lies, and its number there."""

    forks: int
    generation: int


class Stretch(NamedTuple):
    """The steps past ``after``, up to and with ``last``, whose reports belong to ``owner``."""

    owner: Owner
    after: int
    last: int


def owner_of(lineage: Lineage, number: int, step: int, grid: Grid) -> Owner:
    """Return which generation a report at ``step``, from generation ``number``, belongs to."""
    cell = grid.floor(step - 1)
    line = _with_forks(lineage, number)
    root, _ = line[-1]  # before the first step, nothing was applied by anybody else
    return next((owner for owner, each in line if each.start <= cell), root)


def stretches(lineage: Lineage, number: int, to: int = MAX_STEP) -> list[Stretch]:
    """Return which reports up to step ``to`` measure the past of a generation, newest first."""
    line = _with_forks(lineage, number)
    found: list[Stretch] = []
    last = to
    for owner, generation in line:
        root = generation is line[-1][1]
        found.append(Stretch(owner, -1 if root else generation.start, last))
        last = min(last, generation.start)
    return [stretch for stretch in found if stretch.after < stretch.last]


def lasts(lineage: Lineage, number: int, to: int = MAX_STEP) -> Mapping[int, int]:
    """
    Return up to which step each generation of the run itself counts for one, newest first.

    What was done in a generation with a report at or below that step still holds.
    """
    found: dict[int, int] = {}
    last = to
    for owner, generation in _with_forks(lineage, number):
        if owner.forks:
            break
        found[owner.generation] = last
        last = min(last, generation.start)
    return found


def require_place(
    lineage: Lineage, current: int, number: int, step: int, field: str = "step"
) -> None:
    """
    Raise unless a report from generation ``number`` at ``step`` measures the run's own past.

    Raises:
        UnknownGeneration: There never was such a generation.
        StaleGeneration: A rewind has left it, at or below the step.
        Invalid: Nobody can have got there.

    """
    sent = lineage[number]
    if not _is_on_line(lineage, current, sent.key, step):
        raise stale(lineage, number, current)
    if step > sent.settled_until:
        message = f"{field} is {step}, and generation {number} is settled up to"
        message = f"{message} {sent.settled_until}: nobody can have got further"
        wrong = [FieldError(field, message, step, f"<= {sent.settled_until}")]
        raise Invalid(message, errors=wrong)


def _is_on_line(lineage: Lineage, current: int, sent: GenerationKey, step: int) -> bool:
    for generation in lineage.line(current):
        if generation.key == sent:
            return True
        if step > generation.start:
            return False
    return False


def _with_forks(lineage: Lineage, number: int) -> list[tuple[Owner, Generation]]:
    """Return the line of a generation, from itself to the root, each with its place."""
    found: list[tuple[Owner, Generation]] = []
    forks, run_id = 0, lineage[number].key.run_id
    for generation in lineage.line(number):
        if generation.key.run_id != run_id:
            forks, run_id = forks + 1, generation.key.run_id
        found.append((Owner(forks, generation.key.number), generation))
    return found
