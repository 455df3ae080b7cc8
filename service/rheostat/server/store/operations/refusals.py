"""What a read is told that is refused at an end, a stop, a pause or a gate: where, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rheostat.errors import AwaitingReport, Finished, NotPending, Paused, Refused, Stopped
from rheostat.server.runs.barriers import Standing, Stop
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.signals import Signal
from rheostat.server.runs.spec import RunSpec
from rheostat.server.store.records import Records, RunRecord

MET = (Finished, Paused, AwaitingReport)
"""What reads are refused with at an end or a barrier."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    A settling read that was refused at a stop, a pause or a gate, with nothing settled.

    It is no exception, since the first read that ends by a stop is recorded: who is told has to
    find that committed.
    """

    error: Refused
    limit: int
    """The first step that is not to be had."""
    spec: RunSpec
    standing: Standing
    untold: tuple[int, ...] = ()
    """Revisions of its signals that can still be taken back: no worker has come to them."""

    @property
    def opens(self) -> bool:
        """Whether it is worth waiting there."""
        return isinstance(self.error, (Paused, AwaitingReport))


def refused(
    records: Records, run: RunRecord, lineage: Lineage, error: Refused, generation: int
) -> Refusal:
    """Return the refusal of a read in a generation, with all that it tells."""
    standing = run.standing
    if isinstance(error, AwaitingReport):
        error.members |= awaited(records, run, error.members["controller"])
        return Refusal(error, error.members["gate"], run.spec, standing)
    end = error.members["end"]
    signals = signals_at(records, run, lineage, end, generation)
    untold = tuple(signal.revision for signal in signals if not signal.told)
    told = explained(records, run, lineage, error, signals)
    return Refusal(told, end, run.spec, standing, untold)


def explained(
    records: Records,
    run: RunRecord,
    lineage: Lineage,
    error: Refused,
    signals: Sequence[Signal] | None = None,
) -> Refused:
    """Return a refusal at an end or a pause with who did it, why, and what to do there."""
    if (number := error.members.get("revision")) is not None:
        row = records.revisions.heads(run.id, [number])[number]
        error.members |= {"author": row.author, "message": row.message}
    if signals is None:
        signals = signals_at(records, run, lineage, error.members["end"])
    error.members["signals"] = [signal.to_json() for signal in signals]
    if run.barriers.has_gate_at(error.members["end"]):
        error.members["at_gate"] = True
    if isinstance(error, Stopped):
        error.members["best"] = best_of(records, run, lineage)
    return error


def standing(records: Records, run_ids: Collection[str]) -> Mapping[str, Standing]:
    """Return up to where runs may be read now, by their ids, of those that are still there."""
    return records.standings(run_ids)


def told_refusal(run: RunRecord, told: Stop, settled: int) -> NotPending:
    """Return the refusal to take back a stop by which workers have ended."""
    to = min(told.effective, settled)  # of a stride's reads, nobody may have come to the stop
    return NotPending(
        f"workers have ended by the stop of revision {told.revision}, at {told.effective}: to go on"
        f" from there, rewind the run: rheostat run rewind {run.spec.name} {to}",
        state="told",
        rewind={"to": to, "from_generation": run.generation},
    )


def awaited(_records: Records, _run: RunRecord, _controller: str) -> dict[str, Any]:
    """Return what else is told at a gate: the newest report, and whose are missing."""
    return {"newest": None}


def signals_at(
    records: Records, run: RunRecord, lineage: Lineage, step: int, generation: int | None = None
) -> list[Signal]:
    """
    Return the signals at a step of a generation, by default the current one.

    No block tells those at which reading ends or holds, so the refusal does that is told there.
    """
    number = run.generation if generation is None else generation
    return records.revisions.signals(lineage.owners(number, step, step + 1))


def best_of(_records: Records, _run: RunRecord, _lineage: Lineage) -> dict[str, Any] | None:
    """Return the best step that a controller knows, and its value."""
    return None
