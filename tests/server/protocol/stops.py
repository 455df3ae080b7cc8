"""
Stops, pauses and signals in the model: where reading ends or holds, and which words a block tells.

Nothing is kept besides the revisions: what stands is found in them again each time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.oracle.edits import Refusal
from tests.server.protocol.state import GAP, HALTING, Generation, Revision, Run


class Said(NamedTuple):
    """A signal as a block or a refusal tells it."""

    at: int
    revision: int
    word: str


def standing(past: Generation) -> list[Revision]:
    """Return the stops and pauses of a generation, the one that reading comes to first in front."""
    live = (r for r in past.run.revisions if r.generation == past.number and not r.cancelled)
    return sorted(
        (r for r in live if r.kind in HALTING),
        key=lambda r: (r.effective, r.kind == "pause", r.number),
    )


def told(past: Generation) -> Revision | None:
    """Return the first stop of a generation by which a worker has ended."""
    return next((r for r in standing(past) if r.kind == "stop" and r.told), None)


def signals(past: Generation, first: int, stop: int) -> list[Said]:
    """Return what is said at steps on the line of a generation."""
    found: list[Said] = []
    for owner in past.line:
        there = (r for r in owner.run.revisions if r.generation == owner.number and r.word)
        found += [
            Said(r.effective, r.number, str(r.word))
            for r in there
            if (not r.cancelled or r.told) and max(first, owner.start) <= r.effective < stop
        ]
        stop = min(stop, owner.start)
    return sorted(found)


def within_reach(past: Generation, start: int, stop: int) -> list[Said]:
    """Return what a block tells: what strides of the widest gap could miss besides its own."""
    return signals(past, start - GAP * past.run.cell, stop)


def require_way(past: Generation, start: int, stop: int) -> None:
    """Refuse a read past an end, a stop or a pause; who comes to one is told for good."""
    run = past.run
    met = next(iter(standing(past)), None)
    if run.end is not None and stop > run.end and (met is None or run.end < met.effective):
        raise Refusal("finished", end=run.end, signals=signals(past, run.end, run.end + 1))
    if met is None or stop <= met.effective:
        return
    if start >= met.effective:
        met.told = met.told or met.kind == "stop"
        for said in signals(past, met.effective, met.effective + 1):
            run.revision(said.revision).told = True
    raise refusal(past, met)


def refusal(past: Generation, met: Revision) -> Refusal:
    """Return what is answered at a stop or a pause."""
    return Refusal(
        "stopped" if met.kind == "stop" else "paused",
        end=met.effective,
        revision=met.number,
        signals=signals(past, met.effective, met.effective + 1),
    )


def require_alive(run: Run, step: int) -> None:
    """Refuse what could only happen once workers have ended."""
    ended = told(run.current)
    if ended is not None and step >= ended.effective:
        raise refusal(run.current, ended)


def require_retractable(run: Run, revision: Revision) -> None:
    """Refuse to take back what is settled, or told."""
    mine = revision.generation == run.current.number and not revision.cancelled
    heard = revision.told and revision.kind != "pause"
    waits = revision.kind in {"change", "signal", *HALTING} and revision.effective >= run.settled
    if mine and waits and not heard:
        return
    ended = told(run.current)
    if revision.told and ended is not None and revision.generation == run.current.number:
        raise lifted_by_rewind(run, ended)
    raise Refusal("not-pending")


def lifted_by_rewind(run: Run, ended: Revision) -> Refusal:
    """Return the refusal to take back a stop by which workers have ended."""
    to = min(ended.effective, run.settled)
    return Refusal(
        "not-pending", state="told", rewind={"to": to, "from_generation": run.current.number}
    )


def held(run: Run) -> list[Revision]:
    """Return the pauses at which a run holds."""
    return [r for r in standing(run.current) if r.kind == "pause" and r.effective <= run.settled]


def require_sayable(run: Run, word: str, step: int) -> None:
    """Refuse a word that is said at a step already."""
    if any((said.at, said.word) == (step, word) for said in signals(run.current, step, step + 1)):
        raise Refusal("invalid")


def pending(run: Run) -> list[int]:
    """Return the numbers of all that waits for its step, in its order."""
    halts = [r for r in run.revisions if r.kind in {"signal", *HALTING} and not r.cancelled]
    waiting = [
        r
        for r in halts
        if r.generation == run.current.number
        and r.effective >= run.settled
        and (r.kind == "pause" or not r.told)
    ]
    return [r.number for r in sorted([*run.pending(), *waiting], key=lambda r: r.place)]


def shown(run: Run) -> dict[str, Any]:
    """Return what a run shows of its stops and pauses."""
    there = standing(run.current)
    nearest, ended = next(iter(there), None), told(run.current)
    return {
        "stops": [
            {
                "revision": r.number,
                "effective": r.effective,
                "hold": r.kind == "pause",
                "told": r is ended,  # of another one there, at most its word was heard
            }
            for r in there
        ],
        "paused": nearest is not None and nearest.kind == "pause" and nearest in held(run),
    }
