"""
Carrying controllers over: what a rewind and a fork keep of them.

A decision belongs to its report. Reports at or below the step of a rewind stay consumed, so nobody
will decide on them again; a change that was decided on one of them, and lay beyond that step, is
made again in the new generation. Stops and proposals are not: the rewind answers them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rheostat import wire
from rheostat.errors import FieldError, Invalid, Refused
from rheostat.server.runs.control.armed import (
    Armed,
    Checkpoint,
    Head,
    complete,
    fold,
    relieved,
)
from rheostat.server.runs.control.places import lasts, stretches
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.revision import Revision, RevisionKind
from rheostat.server.store.operations.control import anew
from rheostat.server.store.operations.decide import move_gates
from rheostat.server.store.operations.revise import RevisionRequest, revise
from rheostat.server.store.records import Records, RunRecord


@dataclass(frozen=True)
class Carried:
    """What a rewind keeps of the controllers of a run; it was read before anything was written."""

    armed: Sequence[Armed]
    heads: Mapping[str, Head]
    reset: Collection[str]
    """Those that begin anew."""
    again: Sequence[Revision]
    """The changes to make again, in the order in which they take effect."""
    dropped: Sequence[wire.Dropped]


def carried(
    records: Records,
    run: RunRecord,
    lineage: Lineage,
    source: int,
    to: int,
    reset: Collection[str],
) -> Carried:
    """
    Return what a rewind from a generation to a step keeps of the run's controllers.

    Whoever is going to write it has locked the run's reports.
    """
    armed = records.controllers.armed(run.id)
    _require_known(armed, reset)
    heads = {each.name: remembered_at(records, run, lineage, source, each, to) for each in armed}
    line = lasts(lineage, source, to)
    again: list[Revision] = []
    dropped: list[wire.Dropped] = []
    for row in records.controllers.made(run.id, line, to):
        revision = _newest(records, run, lasts(lineage, source), row)
        if _is_change(revision, to) and row.controller not in reset:
            assert revision is not None  # noqa: S101 - or it were no change
            again.append(revision)
        elif _is_dropped(run, row, revision, to):
            dropped.append(_dropped(row))
            _relieve(armed, heads, row)
    again.sort(key=lambda each: each.folding_order)
    return Carried(armed, heads, reset, records.revisions.read_changes(run.id, again), dropped)


def carry(records: Records, run_id: str, kept: Carried) -> list[wire.Remade]:
    """Give the new generation of a run its controllers, and make their changes again."""
    run = records.find(run_id, lock=True)
    for each in kept.armed:
        if each.name in kept.reset:
            anew(records, run_id, run.generation, each, run.revision, kept.heads[each.name].step)
        else:
            records.controllers.keep_head(run_id, run.generation, each, kept.heads[each.name])
    move_gates(records, run_id)
    return [_remade(records, run_id, each) for each in kept.again]


def _remade(records: Records, run_id: str, revision: Revision) -> wire.Remade:
    cause = dict(revision.cause or {})
    found: wire.Remade = {
        "controller": cause["controller"],
        "step": cause["step"],
        "decision": "change",
        "revision": None,
        "effective": revision.effective,
    }
    request = RevisionRequest(revision.changes, revision.effective, note=revision.note, cause=cause)
    try:
        found["revision"] = revise(records, run_id, request)["revision"]
    except Refused as refusal:
        if refusal.status >= 500:
            raise
        problem = {"type": refusal.code, "detail": str(refusal)}
        return {**found, "decision": "blocked", "problem": problem}
    return found


def fork_controllers(
    records: Records, source: RunRecord, lineage: Lineage, parent: int, step: int
) -> list[tuple[Armed, Head]]:
    """Return the controllers of a run as a fork at a step of a generation of it has them."""
    found: list[tuple[Armed, Head]] = []
    for each in records.controllers.armed(source.id):
        head = remembered_at(records, source, lineage, parent, each, step)
        base = Checkpoint(head.step, head.state, head.decisions, head.value)
        forked = replace(each, since=1, epoch=1, armed_at=step, base=(base,), off_gate=None)
        found.append((forked, replace(head, unkept=0)))
    return found


def remembered_at(
    records: Records, run: RunRecord, lineage: Lineage, number: int, armed: Armed, to: int
) -> Head:
    """Return what a controller remembers of the reports of a generation up to a step."""
    if number == run.generation:
        head = records.controllers.heads(run.id, number, [armed])[armed.name]
        if head.step is None or head.step <= to:  # nothing to forget, a relief included
            return head
    line = lasts(lineage, number, to)
    known = records.controllers.consumed_until(run.id, armed.name, line)
    found = records.controllers.remembered(run.id, armed, line)
    if found is None:
        found = _of_base(records, run, lineage, number, armed, to)
    steps = [step for step in (known, found.step) if step is not None]
    return replace(found, step=max(steps, default=None))


def _of_base(
    records: Records, run: RunRecord, lineage: Lineage, number: int, armed: Armed, to: int
) -> Head:
    """Return what a controller began with, of which what lies past a step was not yet."""
    base = armed.base_at(to)
    state, step, value = base.state, base.step, base.value
    if armed.replays and base is not armed.base[-1]:
        since = -1 if step is None else step
        line = stretches(lineage, number, to)
        rows = records.reports.on_line(run.id, armed.metric, line, between=(since, to))
        reports = list(complete(armed.controller, rows))
        state = fold(armed.controller, state, reports)
        step, value = reports[-1] if reports else (step, value)
    return Head(step=step, state=state, value=value, decisions=base.decisions)


def _require_known(armed: Sequence[Armed], reset: Collection[str]) -> None:
    names = [each.name for each in armed]
    for name in sorted(set(reset) - set(names)):
        message = f"the run has no controller {name!r}"
        bound = f"one of {', '.join(names)}" if names else "no controllers"
        raise Invalid(message, errors=[FieldError(f"controllers.{name}", message, name, bound)])


def _newest(records: Records, run: RunRecord, line: Mapping[int, int], row: Any) -> Revision | None:
    """Return the last revision that a decision made on a line: it may have been made again."""
    if row.revision is None:
        return None
    found = records.revisions.caused(run.id, row.controller, row.step)
    return next((each for each in reversed(found) if each.generation in line), None)


def _is_change(revision: Revision | None, to: int) -> bool:
    """Whether a decision made a change that was not taken back, and lies past a step."""
    if revision is None or revision.kind is not RevisionKind.CHANGE or revision.cancelled:
        return False
    return revision.effective > to


def _is_dropped(run: RunRecord, row: Any, revision: Revision | None, to: int) -> bool:
    """Whether a decision waits that is not made again."""
    if row.decision == "proposal":
        return True
    if revision is None or revision.cancelled or revision.effective < to:
        return False
    if revision.kind is RevisionKind.CHANGE:
        return revision.effective > to
    return revision.kind is RevisionKind.STOP and revision.generation == run.generation


def _dropped(row: Any) -> wire.Dropped:
    return {
        "controller": row.controller,
        "step": row.step,
        "decision": row.decision,
        "revision": row.revision,
        "proposal": row.proposal,
    }


def _relieve(armed: Sequence[Armed], heads: dict[str, Head], row: Any) -> None:
    """Have the controller count anew whose decision is lifted, unless it did so since."""
    for each in armed:
        if each.name == row.controller and each.epoch == row.epoch:
            heads[each.name] = relieved(each, heads[each.name])
