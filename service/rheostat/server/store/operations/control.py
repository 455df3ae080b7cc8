"""Arming controllers on a run, disarming and resetting them, and what is shown of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import orjson
from sqlalchemy import Row

from rheostat import wire
from rheostat.controllers import (
    Acting,
    Controller,
    Plateau,
    json_of_value,
    parse_controller,
    value_of_bits,
)
from rheostat.errors import FieldError, Invalid, PreconditionFailed
from rheostat.limits import MAX_CONTROLLERS
from rheostat.schedules.references import Lookup
from rheostat.server.runs.changes import Changes, parse_changes
from rheostat.server.runs.control.armed import (
    Armed,
    Checkpoint,
    Head,
    complete,
    replayed,
)
from rheostat.server.runs.control.gates import every
from rheostat.server.runs.control.places import lasts, stretches
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.revision import Note, RevisionKind
from rheostat.server.runs.validation import Units, require_at_most
from rheostat.server.store.operations.decide import in_force_at, move_gates
from rheostat.server.store.operations.revise import require_open
from rheostat.server.store.operations.unfolded import add_unfolded
from rheostat.server.store.outside import Results
from rheostat.server.store.records import Records, RunRecord
from rheostat.server.store.reports import MOST_READ


@dataclass(frozen=True)
class ArmRequest:
    """A controller as somebody arms it; ``expected`` is the revision that armed the one before."""

    controller: Controller
    keep_state: bool = False
    force: bool = False
    expected: int | None = None
    note: Note = field(default_factory=Note)


@dataclass(frozen=True)
class Replay:
    """What a controller remembers of the reports of a line, up to those of a number."""

    generation: int
    states: tuple[Checkpoint, ...]

    @property
    def step(self) -> int | None:
        """The newest step of it."""
        return self.states[-1].step


def replay(records: Records, ref: str, controller: Controller) -> Replay:
    """Return what a controller makes of the reports so far, of which it decides nothing."""
    run = records.find(ref)
    first = Checkpoint(None, controller.initial())
    return _replay_on(records, run, records.lineage(run), controller, first)


def _replay_on(
    records: Records, run: RunRecord, lineage: Lineage, controller: Controller, first: Checkpoint
) -> Replay:
    """Fold the reports of the current line past a checkpoint."""
    line = stretches(lineage, run.generation)
    since = -1 if first.step is None else first.step
    rows = records.reports.on_line(
        run.id, controller.metric, line, between=(since, 2**62), limit=MOST_READ
    )
    found = list(complete(controller, ((row.step, row.source, row.value) for row in rows)))
    return Replay(run.generation, replayed(controller, first, found))


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
    changes = fitting(records, run, lineage, request.controller, "", force=request.force)
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
    add_unfolded(records, run, lineage, RevisionKind.CONTROL, settled, request.note, data=data)
    records.controllers.arm(run.id, armed, new=before is None)
    begin(records, run.id, run.generation, armed, known)
    move_gates(records, run.id)
    return show_one(records, run.id, name), not there


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
    run = records.find(ref, lock=True)
    require_open(run)
    records.reports.lock(run.id)
    armed = records.controllers.one(run.id, name)
    _require_expected(expected, armed)
    require_at_most(records.limits.message, "message", note.message, "characters")
    revision = _record(records, run, note, {"disarmed": name})
    records.controllers.change(run.id, name, removed=revision)
    move_gates(records, run.id)
    return {"name": name, "revision": revision}


def reset(
    records: Records, ref: str, name: str, expected: int | None, note: Note
) -> wire.ArmedController:
    """Have a controller forget what it remembers; what it has consumed stays consumed."""
    run = records.find(ref, lock=True)
    require_open(run)
    records.reports.lock(run.id)
    armed = records.controllers.one(run.id, name)
    _require_expected(expected, armed)
    require_at_most(records.limits.message, "message", note.message, "characters")
    known = _known_before(records, run, records.lineage(run), name)
    revision = _record(records, run, note, {"reset": name})
    anew(records, run.id, run.generation, armed, revision, known)
    move_gates(records, run.id)
    return show_one(records, run.id, name)


def anew(
    records: Records, run_id: str, generation: int, armed: Armed, epoch: int, known: int | None
) -> None:
    """Have a controller begin anew, as of a revision."""
    first = Checkpoint(None, armed.controller.initial())
    fresh = replace(armed, epoch=epoch, base=(first,))
    records.controllers.arm(run_id, fresh, new=False)
    begin(records, run_id, generation, fresh, known)


def _record(records: Records, run: RunRecord, note: Note, data: Mapping[str, Any]) -> int:
    lineage = records.lineage(run)
    settled = lineage[run.generation].settled_until
    revision = add_unfolded(records, run, lineage, RevisionKind.CONTROL, settled, note, data=data)
    return revision.number


def _require_expected(expected: int | None, armed: Armed | None) -> None:
    if expected is not None and (armed is None or armed.since != expected):
        now = "there is none" if armed is None else f"it was armed by revision {armed.since}"
        raise PreconditionFailed(
            f"{now}, and revision {expected} was expected",
            revision=None if armed is None else armed.since,
        )


def _require_few(records: Records, run: RunRecord) -> None:
    count = len(records.controllers.armed(run.id))
    require_at_most(MAX_CONTROLLERS - 1, "name", count, "controllers before it")


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
        states = replay.states if replay.generation == run.generation else ()
        first = states[-1] if states else Checkpoint(None, controller.initial())
        later = _replay_on(records, run, lineage, controller, first)
        return (*states[:-1], *later.states)
    if request.keep_state and before is not None:
        head = records.controllers.heads(run.id, run.generation, [before])[before.name]
        kept = controller.load_state(before.controller.dump_state(head.state))
        return (Checkpoint(None, kept, head.decisions),)
    return (Checkpoint(None, controller.initial()),)


# --- what fits a run ------------------------------------------------------------------------------


def fitting(
    records: Records,
    run: RunRecord,
    lineage: Lineage,
    controller: Controller,
    path: str,
    *,
    force: bool,
) -> str | None:
    """
    Return what a controller changes, read against a run, as it is stored; None for nothing.

    Raises:
        Invalid: It names a field that does not fit the run; ``path`` is where the controller is.

    """
    settled = lineage[run.generation].settled_until
    require_gate(controller, run.spec.steps_per_epoch, settled, path, force=force)
    if isinstance(controller, Plateau):
        names = parameters_of(controller, run.spec.names, path)
        sources = in_force_at(records, run, lineage, settled).sources
        require_apart(names, sources, path)
        return None
    return read_changes(records, controller, run.spec.names, run.units(Units()), path)


def require_gate(
    controller: Controller, steps_per_epoch: int | None, settled: int, path: str, *, force: bool
) -> None:
    """Raise `Invalid` if gates cannot be had, or would hold a run that is under way."""
    gate = controller.gate
    if gate is None:
        return
    if gate.every == "epoch" and steps_per_epoch is None:
        message = "gates are at epochs, and the run does not say how long one is"
        raise _refused(f"{path}gate.every", message, "epoch", "steps_per_epoch of the run")
    if settled and not force:
        message = (
            f"the run is settled up to {settled}: workers would wait at the next gate, whether they"
            ' report there or not; if they do, say so by "force": true'
        )
        raise _refused(f"{path}gate", message, gate.every, '"force": true')


def read_controller(document: Any, path: str) -> Controller:
    """Return the controller that JSON describes; the paths of errors begin with ``path``."""
    try:
        return parse_controller(document, "controller")
    except Invalid as refusal:
        raise _moved(refusal, path) from None


def parameters_of(controller: Plateau, names: Sequence[str], path: str) -> tuple[str, ...]:
    """Return which of these parameters it reduces; raise `Invalid` if it names another one."""
    try:
        return controller.parameters_of(names)
    except Invalid as refusal:
        raise _moved(refusal, path) from None


def _moved(refusal: Invalid, path: str) -> Invalid:
    """Return an error about a controller that stands at ``path``."""
    errors = [
        replace(each, field=path + each.field.removeprefix("controller").removeprefix("."))
        for each in refusal.errors
    ]
    return Invalid(refusal.detail, errors=errors)


def require_apart(names: Sequence[str], sources: Callable[[str], set[str]], path: str) -> None:
    """Raise `Invalid` if one of these parameters follows another one of them."""
    for name in names:
        followed = sorted((sources(name) - {name}) & set(names))
        if followed:
            message = f"{name} follows {followed[0]}, so that it would be reduced twice"
            raise _refused(f"{path}parameters", message, name, f"{name} or {followed[0]}")


def read_changes(
    records: Records, controller: Controller, names: Sequence[str], units: Units, path: str
) -> str | None:
    """Return what a guard or a rule changes, read aside of the transaction; None for a stop."""
    if not isinstance(controller, Acting) or isinstance(controller.changes, str):
        return None
    given = controller.changes
    key = ("changes of a controller", path, *names, units.total, units.steps_per_epoch)

    def parsed(lookup: Lookup) -> Results:
        try:
            changes = parse_changes(given, names, replace(units, lookup=lookup))
        except Invalid as refusal:
            errors = [replace(each, field=f"{path}{each.field}") for each in refusal.errors]
            raise Invalid(refusal.detail, errors=errors) from None
        changes.document  # noqa: B018 - what is to be stored is made here, too
        return {key: changes}

    found: Changes = records.outside(key, parsed, given)
    return found.document.text


def _refused(field: str, message: str, value: Any, bound: str) -> Invalid:
    return Invalid("The controller is refused.", errors=[FieldError(field, message, value, bound)])


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
    bases = {gate.controller: gate.base for gate in run.barriers.gates}
    found: list[wire.ArmedController] = []
    for each in armed:
        head = heads[each.name]
        steps, base = every(each, run.spec.steps_per_epoch), bases.get(each.name)
        gate = None if steps is None or base is None else steps * (base // steps + 1)
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
                "gate": gate,
            }
        )
    return found


def decisions(
    records: Records, ref: str, name: str, after: int, limit: int
) -> tuple[list[wire.Decision], int | None]:
    """Return the decisions of a controller past an event, oldest first, and where to go on."""
    run = records.find(ref)
    if records.controllers.ever(run.id, name) is None:
        records.controllers.one(run.id, name)
    rows = records.controllers.decisions(run.id, name, after, limit + 1)
    items = [decision_json(row) for row in rows[:limit]]
    return items, rows[limit - 1].event if len(rows) > limit else None


def decision_json(row: Row[Any]) -> wire.Decision:
    """Return a decision as it is shown."""
    data = {} if row.data is None else orjson.loads(row.data)
    decision: wire.Decision = {
        "controller": row.controller,
        "step": row.step,
        "value": json_of_value(value_of_bits(row.bits)),
        "decision": cast("wire.DecisionKind", row.decision),
        "revision": row.revision,
        "proposal": row.proposal,
        "effective": row.effective,
        "generation": row.generation,
        "message": data.get("message", ""),
        "created_at": row.at,
        "event": row.event,
    }
    if "problem" in data:
        decision["problem"] = data["problem"]
    return decision
