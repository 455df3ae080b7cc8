"""
Limits in the model: an agent whose token lets it do so much, so far apart, and take back its own.

Nothing is counted as it is done: what is left is found in the revisions again each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tests.oracle.edits import Refusal
from tests.server.protocol import stops
from tests.server.protocol.state import Revision, Run

if TYPE_CHECKING:
    from tests.server.protocol.model import Model

COUNT = 3
"""Changes, stops and signals that it may make."""
DISTANCE = 6
"""Steps from one change to the next."""
NAMES = ("lr", "wd")
"""Parameters that it may change."""
LIMIT = f"changes={COUNT}/week, gap={DISTANCE}, parameters={'|'.join(NAMES)}"
COUNTED = frozenset({"change", "stop", "signal"})


class Left(NamedTuple):
    """What is left to it: how many changes, and from which step on the next one."""

    left: int
    from_step: int


def left(run: Run) -> Left:
    """Return what an agent may still do to a run."""
    wanted = max((place + DISTANCE for place in _places(run)), default=0)
    wanted = -(-wanted // run.cell) * run.cell
    return Left(max(COUNT - len(_deeds(run)), 0), max(wanted, run.settled))


def revise(
    model: Model, ref: str, changes: Mapping[str, Any], effective: int | Literal["next"]
) -> dict[str, Any]:
    """Change a run, if that is within the limit."""
    run = model.find(ref)
    step = _open_step(run, effective)
    free = _takes_back(run, changes, step)
    if not free:
        near = [place for place in _places(run) if abs(place - step) < DISTANCE]
        if changes.keys() - {*NAMES} or not left(run).left or near:
            raise Refusal("limit-reached")
    answer = model.revise(ref, changes, effective)
    made = run.revisions[-1]
    made.by_agent, made.takes_back = True, free
    return answer


def halt(
    model: Model, ref: str, effective: int | Literal["next"], *, hold: bool, word: str | None
) -> dict[str, Any]:
    """Stop a run, which counts, or hold it, which does not, and says no word."""
    run = model.find(ref)
    _open_step(run, effective)
    if (hold and word is not None) or not (hold or left(run).left):
        raise Refusal("limit-reached")
    answer = model.halt(ref, effective, hold=hold, word=word)
    run.revisions[-1].by_agent = True
    return answer


def signal(model: Model, ref: str, word: str, effective: int | Literal["next"]) -> dict[str, Any]:
    """Say a word, which counts."""
    run = model.find(ref)
    _open_step(run, effective)
    if not left(run).left:
        raise Refusal("limit-reached")
    answer = model.signal(ref, word, effective)
    run.revisions[-1].by_agent = True
    return answer


def cancel(model: Model, ref: str, number: int) -> dict[str, Any]:
    """Take back what waits, if it is the agent's own."""
    run = model.find(ref)
    if run.end is not None:
        raise Refusal("finished")
    revision = run.revision(number)
    stops.require_retractable(run, revision)
    if not revision.by_agent:
        raise Refusal("forbidden")
    answer = model.cancel(ref, number)
    run.revisions[-1].by_agent = True
    return answer


def resume(model: Model, ref: str) -> dict[str, Any]:
    """Let a run go on that nobody else holds."""
    run = model.find(ref)
    _open_step(run, "next")
    if not all(pause.by_agent for pause in stops.held(run)):
        raise Refusal("forbidden")
    answer = model.resume(ref, None)
    run.revisions[-1].by_agent = True
    return answer


def _open_step(run: Run, effective: int | Literal["next"]) -> int:
    if run.end is not None:
        raise Refusal("finished")
    step = run.settled if effective == "next" else effective
    if step % run.cell:
        raise Refusal("invalid")
    if step < run.settled:
        raise Refusal("too-late")
    return step


def _deeds(run: Run) -> list[Revision]:
    """Return what counts: cancelled or rewound, it was done."""
    return [r for r in run.revisions if r.by_agent and r.kind in COUNTED and not r.takes_back]


def _places(run: Run) -> list[int]:
    """Return where its changes hold, or wait to."""
    there = [r for r in _deeds(run) if r.kind == "change" and not r.cancelled]
    reach = dict(_line(run))
    return [r.effective for r in there if r.effective <= reach.get(r.generation, -1)]


def _line(run: Run) -> Iterator[tuple[int, float]]:
    """Yield the generations of a run that its present has gone through, and how far each counts."""
    last = inf
    for past in run.current.line:
        if past.run is not run:
            return
        yield past.number, last
        last = min(last, past.start)


def _takes_back(run: Run, changes: Mapping[str, Any], step: int) -> bool:
    """Whether changes do nothing but to go back to before what the agent itself has changed."""
    found = [_taken_back(run, name, change, step) for name, change in changes.items()]
    return None not in found and any(found)


def _taken_back(run: Run, name: str, change: Any, step: int) -> set[int] | None:
    """Return which changes of a parameter one takes back; None if it is no mere taking back."""
    if not isinstance(change, Mapping) or change.get("edit") != "revert":
        return None
    reach = dict(_line(run))
    line = {
        r.number: r
        for r in run.revisions
        if r.kind in {"first", "change", "total"}
        and not r.cancelled
        and r.effective <= min(reach.get(r.generation, -1), step)
    }
    if change["to"] not in line:
        return None
    start = line[change["to"]].place
    found: set[int] = set()
    for each in sorted(line.values(), key=lambda r: r.place):
        if each.place <= start or (each.kind == "change" and name not in each.changes):
            continue
        if not each.by_agent:
            return None
        if not each.takes_back:
            found.add(each.number)
            continue
        back = line.get(each.changes[name][0]["to"])
        if back is None or back.place < start:
            return None
        found = {number for number in found if line[number].place <= back.place}
    return found
