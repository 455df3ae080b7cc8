"""Arming controllers on a run, disarming and resetting them, and what is shown of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from rheostat import wire
from rheostat.controllers import Acting, Controller, json_of_value
from rheostat.errors import PreconditionFailed, Unavailable
from rheostat.limits import MAX_CONTROLLERS, MAX_STEP
from rheostat.schedules.references import Lookup
from rheostat.server.runs.control.armed import (
    Armed,
    Checkpoint,
    Head,
    complete,
    fewer,
    replayed,
)
from rheostat.server.runs.control.fitting import Fitted, Setting, changes_of, require_fitting
from rheostat.server.runs.control.places import lasts, stretches
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.revision import Note, RevisionKind
from rheostat.server.runs.validation import Units, require_at_most
from rheostat.server.store.operations.decide import in_force_at, move_gates
from rheostat.server.store.operations.revise import require_open
from rheostat.server.store.operations.unfolded import add_unfolded
from rheostat.server.store.outside import Results
from rheostat.server.store.records import Records, RunRecord


@dataclass(frozen=True)
class ArmRequest:
    """A controller as somebody arms it; ``expected`` is the revision that armed the one before."""

    controller: Controller
    keep_state: bool = False
    force: bool = False
    expected: int | None = None
    note: Note = field(default_factory=Note)
    cause: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Replay:
    """What a controller remembers of the reports of a line, up to a step."""

    generation: int
    states: tuple[Checkpoint, ...]
    until: int = -1
    """The newest step that was looked at."""
    whole: bool = False
    """Whether there was no later one."""


REPLAYED_AT_ONCE = 20_000
"""Reports that one read takes in: a second's work."""


def replay(
    records: Records, ref: str, controller: Controller, before: Replay | None = None
) -> Replay:
    """
    Return what a controller makes of the reports so far, of which it decides nothing.

    It takes several calls, each with what the one ``before`` returned, until that is `whole`.
    """
    run = records.find(ref)
    if before is None or before.generation != run.generation:
        before = Replay(run.generation, (Checkpoint(None, controller.initial()),))
    return _replay_on(records, run, records.lineage(run), controller, before)


def _replay_on(
    records: Records, run: RunRecord, lineage: Lineage, controller: Controller, before: Replay
) -> Replay:
    """Fold the next reports of the current line."""
    line, between = stretches(lineage, run.generation), (before.until, MAX_STEP)
    rows = records.reports.on_line(
        run.id, controller.metric, line, between=between, limit=REPLAYED_AT_ONCE
    )
    whole = len(rows) < REPLAYED_AT_ONCE
    if not whole:  # the last step may have more
        rows = [row for row in rows if row[0] < rows[-1][0]] or rows
    found = replayed(controller, before.states[-1], list(complete(controller, rows)))
    states = fewer((*before.states[:-1], *found))
    return Replay(run.generation, states, rows[-1][0] if rows else before.until, whole)


def arm(
    records: Records, ref: str, name: str, request: ArmRequest, replay: Replay | None = None
) -> tuple[wire.ArmedController, bool]:
    """
    Arm a controller on a run; return it, and whether there was none of this name.

    One that is armed just so stays as it is, and nothing is made. ``replay`` is what it starts
    with; the reports since are folded in here.

    Raises:
        Finished: The run is.
        PreconditionFailed: Another revision armed the one before.
        Invalid: It does not fit the run, or there are too many.

    """
    run = records.find(ref, lock=True)
    require_open(run)
    records.reports.lock(run.id)  # no report is kept unread from here on
    before = records.controllers.ever(run.id, name)
    there = before is not None and before.removed is None
    _require_expected(request.expected, before if there else None)
    if before is not None and there and before.controller == request.controller:
        return show_one(records, run.id, name), False
    lineage = records.lineage(run)
    require_at_most(records.limits.message, "message", request.note.message, "characters")
    if not there:
        _require_few(records, run)
    changes = fitting(records, run, lineage, request.controller, force=request.force)
    known = _known_before(records, run, lineage, name)
    base = _base(records, run, lineage, request, before if there else None, replay)
    data = {"armed": name, "config": request.controller.document}
    settled = lineage[run.generation].settled_until
    number = run.revision + 1
    armed = Armed(
        name=name,
        controller=request.controller,
        changes=changes,
        since=number,
        epoch=number,
        armed_at=settled,
        base=base,
    )
    _record(records, run, request.note, data, request.cause)
    records.controllers.arm(run.id, armed, new=before is None)
    begin(records, run.id, run.generation, armed, known)
    move_gates(records, run.id)
    return show_one(records, run.id, name), not there


def check_arming(records: Records, ref: str, name: str, request: ArmRequest) -> None:
    """Raise what `arm` would raise now."""
    run = records.find(ref)
    require_open(run)
    require_at_most(records.limits.message, "message", request.note.message, "characters")
    before = records.controllers.ever(run.id, name)
    if before is None or before.removed is not None:
        _require_few(records, run)
    fitting(records, run, records.lineage(run), request.controller, force=request.force)


def begin(records: Records, run_id: str, generation: int, armed: Armed, known: int | None) -> None:
    """Have a controller begin in a generation, of whose line it has consumed up to ``known``."""
    last = armed.base[-1]
    steps = [step for step in (known, last.step) if step is not None]
    head = Head(step=max(steps, default=None), state=last.state, decisions=last.decisions)
    records.controllers.keep_head(run_id, generation, armed, head)


def disarm(
    records: Records, ref: str, name: str, expected: int | None, note: Note
) -> wire.Disarmed:
    """Disarm a controller; what it has decided stays."""
    run, _ = _find_armed(records, ref, name, expected, note)
    revision = _record(records, run, note, {"disarmed": name})
    records.controllers.change(run.id, name, removed=revision)
    move_gates(records, run.id)
    return {"name": name, "revision": revision}


def reset(
    records: Records, ref: str, name: str, expected: int | None, note: Note
) -> wire.ArmedController:
    """Have a controller forget what it remembers; what it has consumed stays consumed."""
    run, armed = _find_armed(records, ref, name, expected, note)
    known = _known_before(records, run, records.lineage(run), name)
    revision = _record(records, run, note, {"reset": name})
    anew(records, run.id, run.generation, armed, revision, known)
    move_gates(records, run.id)
    return show_one(records, run.id, name)


def check_armed(records: Records, ref: str, name: str, expected: int | None, note: Note) -> None:
    """Raise what `disarm` and `reset` would raise now."""
    run = records.find(ref)
    require_open(run)
    _require_expected(expected, records.controllers.one(run.id, name))
    require_at_most(records.limits.message, "message", note.message, "characters")


def anew(
    records: Records, run_id: str, generation: int, armed: Armed, epoch: int, known: int | None
) -> None:
    """Have a controller begin anew, as of a revision."""
    first = Checkpoint(None, armed.controller.initial())
    fresh = replace(armed, epoch=epoch, base=(first,))
    records.controllers.arm(run_id, fresh, new=False)
    begin(records, run_id, generation, fresh, known)


def _find_armed(
    records: Records, ref: str, name: str, expected: int | None, note: Note
) -> tuple[RunRecord, Armed]:
    """Return a run that nobody else may change or report to, and a controller of it."""
    run = records.find(ref, lock=True)
    require_open(run)
    records.reports.lock(run.id)
    armed = records.controllers.one(run.id, name)
    _require_expected(expected, armed)
    require_at_most(records.limits.message, "message", note.message, "characters")
    return run, armed


def _record(
    records: Records,
    run: RunRecord,
    note: Note,
    data: Mapping[str, Any],
    cause: Mapping[str, Any] | None = None,
) -> int:
    """Store what was done to a controller as a revision, and return its number."""
    lineage = records.lineage(run)
    settled, kind = lineage[run.generation].settled_until, RevisionKind.CONTROL
    return add_unfolded(records, run, lineage, kind, settled, note, cause=cause, data=data).number


ANY: Final = 0
"""The revision to expect if any will do, as long as there is one."""


def _require_expected(expected: int | None, armed: Armed | None) -> None:
    if expected is not None and (armed is None or expected not in {ANY, armed.since}):
        now = "there is none" if armed is None else f"it was armed by revision {armed.since}"
        raise PreconditionFailed(
            f"{now}, and {f'revision {expected}' if expected else 'one'} was expected",
            revision=None if armed is None else armed.since,
        )


def _require_few(records: Records, run: RunRecord) -> None:
    count = len(records.controllers.armed(run.id))
    require_at_most(MAX_CONTROLLERS, "name", count + 1, "controllers with it")


def _known_before(records: Records, run: RunRecord, lineage: Lineage, name: str) -> int | None:
    """Return up to where a controller of this name has consumed reports of the current line."""
    head = records.controllers.newest_step(run.id, name, run.generation)
    line = lasts(lineage, run.generation)
    consumed = records.controllers.consumed_until(run.id, name, line)
    return max((step for step in (head, consumed) if step is not None), default=None)


def _base(
    records: Records,
    run: RunRecord,
    lineage: Lineage,
    request: ArmRequest,
    before: Armed | None,
    replay: Replay | None,
) -> tuple[Checkpoint, ...]:
    """Return what the state of a controller begins with."""
    controller = request.controller
    if replay is not None:
        if replay.generation != run.generation:
            raise Unavailable("the run was rewound meanwhile: try again", reason="busy")
        return _replay_on(records, run, lineage, controller, replay).states
    if request.keep_state and before is not None:
        head = records.controllers.heads(run.id, run.generation, [before])[before.name]
        kept = controller.load_state(before.controller.dump_state(head.state))
        return (Checkpoint(None, kept, head.decisions),)
    return (Checkpoint(None, controller.initial()),)


def begin_all(records: Records, run: RunRecord, armed: Sequence[tuple[Armed, Head]]) -> None:
    """Arm controllers on a run that is new, with what they remember."""
    for each, head in armed:
        records.controllers.arm(run.id, each, new=True)
        records.controllers.keep_head(run.id, run.generation, each, head)
    if any(each.controller.gate for each, _ in armed):
        move_gates(records, run.id)


def armed_at(fitted: Mapping[str, Fitted], step: int) -> list[tuple[Armed, Head]]:
    """Return controllers as the first revision of a run arms them, at its first open step."""
    found: list[tuple[Armed, Head]] = []
    for name, each in fitted.items():
        first = Checkpoint(None, each.controller.initial())
        armed = Armed(name, each.controller, each.changes, 1, 1, step, (first,))
        found.append((armed, Head(None, first.state)))
    return found


def said(controllers: Sequence[Armed]) -> Mapping[str, Any] | None:
    """Return what the first revision of a run says of its controllers."""
    if not controllers:
        return None
    return {"controllers": {each.name: each.controller.document for each in controllers}}


def fitting(
    records: Records, run: RunRecord, lineage: Lineage, controller: Controller, *, force: bool
) -> str | None:
    """
    Return what a controller changes, read against a run, as it is stored; None for nothing.

    Raises:
        Invalid: It names a field that does not fit the run.

    """
    settled = lineage[run.generation].settled_until
    names, units = run.spec.names, run.units(Units())
    sources = in_force_at(records, run, lineage, settled).sources
    setting = Setting(names, sources, run.spec.steps_per_epoch, settled)
    require_fitting(controller, setting, force=force)
    if not isinstance(controller, Acting) or isinstance(controller.changes, str):
        return None
    key = ("changes of a controller", *names, units.total, units.steps_per_epoch)

    def parsed(lookup: Lookup) -> Results:
        return {key: changes_of(controller, setting, replace(units, lookup=lookup))}

    found: str | None = records.outside(key, parsed, controller.changes)
    return found


# --- what is shown --------------------------------------------------------------------------------


def show_one(records: Records, ref: str, name: str) -> wire.ArmedController:
    """Return a controller of a run."""
    run = records.find(ref)
    armed = records.controllers.one(run.id, name)
    return shown(records, run, [armed])[0]


def show_all(records: Records, ref: str) -> list[wire.ArmedController]:
    """Return the controllers of a run, by name."""
    run = records.find(ref)
    return shown(records, run, records.controllers.armed(run.id))


def shown(records: Records, run: RunRecord, armed: Sequence[Armed]) -> list[wire.ArmedController]:
    """Return controllers as they are shown."""
    heads = records.controllers.heads(run.id, run.generation, armed)
    floor = run.progress(records.lineage(run)).floor
    at = {gate.controller: gate.after(floor) for gate in run.barriers.gates}
    found: list[wire.ArmedController] = []
    for each in armed:
        head = heads[each.name]
        found.append(
            {
                "name": each.name,
                "revision": each.since,
                "config": each.controller.document,
                "state": each.controller.dump_state(head.state),
                "last": None
                if head.step is None or head.value is None
                else {"step": head.step, "value": json_of_value(head.value)},
                "decisions": head.decisions,
                "gate": at.get(each.name),
            }
        )
    return found
