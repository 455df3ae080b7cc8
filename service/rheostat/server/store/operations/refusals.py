"""What a read is told that is refused at an end, a stop, a pause or a gate: where, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from rheostat.controllers import json_of_value
from rheostat.errors import AwaitingReport, Finished, NotPending, Paused, Refused, Stopped
from rheostat.limits import MAX_SOURCES
from rheostat.server.runs.barriers import Standing, Stop
from rheostat.server.runs.control.places import owner_of
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.signals import Signal
from rheostat.server.runs.spec import RunSpec
from rheostat.server.store.records import Records, RunRecord
from rheostat.server.store.reports import ReportKey

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

    @property
    def stands(self) -> bool:
        """Whether who comes there next is refused alike, unless the run has changed."""
        told = self.standing.barriers.told
        return self.opens or self.standing.end is not None or told is not None


def refused(
    records: Records, run: RunRecord, lineage: Lineage, error: Refused, generation: int
) -> Refusal:
    """Return the refusal of a read in a generation, with all that it tells."""
    standing = run.standing
    if isinstance(error, AwaitingReport):
        controller, gate = error.members["controller"], error.members["gate"]
        error.members |= awaited(records, run, controller, gate)
        return Refusal(error, gate, run.spec, standing)
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
    by = None
    if (number := error.members.get("revision")) is not None:
        row = records.revisions.heads(run.id, [number])[number]
        error.members |= {"author": row.author, "message": row.message}
        by = row.cause and orjson.loads(row.cause).get("controller")
    if signals is None:
        signals = signals_at(records, run, lineage, error.members["end"])
    error.members["signals"] = [signal.to_json() for signal in signals]
    if run.barriers.has_gate_at(error.members["end"]):
        error.members["at_gate"] = True
    if isinstance(error, Stopped):
        error.members["best"] = best_of(records, run, by)
    return error


def told_refusal(run: RunRecord, told: Stop, settled: int) -> NotPending:
    """Return the refusal to take back a stop by which workers have ended."""
    to = min(told.effective, settled)  # of a stride's reads, nobody may have come to the stop
    return NotPending(
        f"workers have ended by the stop of revision {told.revision}, at {told.effective}: to go on"
        f" from there, rewind the run: rheostat run rewind {run.spec.name} {to}",
        state="told",
        rewind={"to": to, "from_generation": run.generation},
    )


def awaited(records: Records, run: RunRecord, controller: str, gate: int) -> dict[str, Any]:
    """
    Return what else is told at a gate: the newest report that was consumed.

    Of several sources, also who has reported there, and who did where it was consumed, and not yet.
    """
    armed = records.controllers.one(run.id, controller)
    head = records.controllers.heads(run.id, run.generation, [armed])[controller]
    expected = armed.controller.sources.expect
    if expected == 1:
        return {"newest": head.step}
    lineage = records.lineage(run)
    steps = [gate] if head.step is None else [gate, head.step]
    keys = [
        ReportKey(owner_of(lineage, run.generation, step, run.spec.grid), armed.metric, step)
        for step in steps
    ]
    there = records.reports.by_source(run.id, keys, 2 * MAX_SOURCES)
    reported, before = (set(there.get(key, {})) for key in (keys[0], keys[-1]))
    return {
        "newest": head.step,
        "expect": expected,
        "reported": sorted(reported),
        "missing": sorted(before - reported),
    }


def signals_at(
    records: Records, run: RunRecord, lineage: Lineage, step: int, generation: int | None = None
) -> list[Signal]:
    """
    Return the signals at a step of a generation, by default the current one.

    No block tells those at which reading ends or holds, so the refusal does that is told there.
    """
    number = run.generation if generation is None else generation
    return records.revisions.signals(lineage.owners(number, step, step + 1))


def best_of(records: Records, run: RunRecord, by: str | None) -> dict[str, Any] | None:
    """
    Return the best step that a controller knows, and its value; None if nobody knows one.

    It is the controller's that decided the stop, ``by``; else that of one that stops, or reduces.
    """
    armed = records.controllers.armed(run.id)
    heads = records.controllers.heads(run.id, run.generation, armed)
    known = [each for each in armed if heads[each.name].state.best_step is not None]
    first = ["stop", "plateau", "guard", "rule"]
    known.sort(key=lambda each: (each.name != by, first.index(each.controller.kind), each.name))
    if not known:
        return None
    state = heads[known[0].name].state
    assert state.best is not None  # noqa: S101 - where there is a step
    return {"step": state.best_step, "value": json_of_value(state.best)}
