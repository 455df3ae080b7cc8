"""
Deciding: what armed controllers make of reports, in the transaction that keeps them.

Reports are consumed by rising step, and at each step by the controllers in the order of their
names. So it does not matter how many of them come in one request. Whatever a controller decides is
done by the very operation that does it for an operator, and what that refuses is remembered as
*blocked*: the report stays consumed, and nothing is tried again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from rheostat import wire
from rheostat.controllers import Acting, Plateau, State
from rheostat.errors import Refused, TooLate
from rheostat.limits import CONTROLLER_AUTHOR, MAX_DECISIONS
from rheostat.schedules.references import Lookup
from rheostat.server.runs.changes import Changes
from rheostat.server.runs.control.armed import (
    Armed,
    Consumed,
    Head,
    Made,
    after,
    is_used_up,
)
from rheostat.server.runs.control.gates import every, gates, is_gate
from rheostat.server.runs.edits import ScaleEdit
from rheostat.server.runs.fragments import Verbatim
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.revision import Note
from rheostat.server.runs.timeline import Timelines
from rheostat.server.store.operations.propose import ProposalRequest, propose
from rheostat.server.store.operations.revise import RevisionRequest, revise
from rheostat.server.store.operations.show import upcoming
from rheostat.server.store.operations.stop import StopRequest, stop
from rheostat.server.store.outside import Results
from rheostat.server.store.records import Records, RunRecord, now
from rheostat.server.store.revisions import StoredChanges

Reported = Mapping[int, Mapping[str, Mapping[str, float]]]
"""Values by step, metric and source."""

LOOKED_AT_ONCE = 51_200
"""
Values that one request has controllers look at, before the rest of its reports is put off.

A guard looks at its whole window for each report. That many take some ten milliseconds, and other
runs wait meanwhile.
"""

LOOKED_AT_LEAST = 100
"""What a report counts as there that is consumed by a controller with a small window, or none."""

OFF_GATES_TOLD = 16
"""Reports at no gate that one answer names."""

INCOMPLETE_TOLD = 4
"""Skipped steps that one warning names."""


@dataclass
class Emitted:
    """What came of reports: ``again`` is the first step of which nothing was made yet."""

    again: int | None = None
    decisions: int = 0
    warnings: list[str] = field(default_factory=list)
    off_gate: list[tuple[str, int]] = field(default_factory=list)


def emit(
    records: Records, run_id: str, armed: Sequence[Armed], heads: Mapping[str, Head], new: Reported
) -> Emitted:
    """
    Have controllers consume reports, and do what they decide.

    Nothing is written before the first decision has all that it needs.
    """
    course = _Course(records, run_id, armed, heads)
    for step in sorted(new):
        if course.emitted.decisions >= MAX_DECISIONS or course.looked_at >= LOOKED_AT_ONCE:
            course.emitted.again = step
            break
        for each in armed:
            values = new[step].get(each.metric)
            if values is None or not course.heads[each.name].takes(step):
                continue
            if each.controller.sources.complete(values):
                course.consume(each, step, each.controller.sources.reduced(values))
            else:
                course.waiting.setdefault(each.name, []).append(step)
    course.keep()
    return course.emitted


def author(name: str) -> str:
    """Return under which name a controller decides."""
    return f"{CONTROLLER_AUTHOR}{name}"


class _Course:
    """Controllers on their way through reports."""

    def __init__(
        self, records: Records, run_id: str, armed: Sequence[Armed], heads: Mapping[str, Head]
    ) -> None:
        self.records = records
        self._run = records.find(run_id, lock=True)
        self.armed = {each.name: each for each in armed}
        self.heads = dict(heads)
        self.emitted = Emitted()
        self.waiting: dict[str, list[int]] = {}
        """Steps of the request that are not complete, by controller."""
        self.looked_at = 0
        self._consumed: list[Consumed] = []
        self._off_gates: dict[str, int] = {}

    def consume(self, armed: Armed, step: int, value: float) -> None:
        """Have a controller consume the value of a complete step."""
        head, run = self.heads[armed.name], self._run
        self.looked_at += max(armed.controller.looks_at, LOOKED_AT_LEAST)
        self._notice(run, armed, head, step, value)
        state, fires, why = armed.controller.step(head.state, step, value)
        made: Made | None = None
        event: int | None = None
        if fires and not is_used_up(armed, head):
            made = make(self.records, run, armed, step, state, why)
        if made is not None:
            event = _told(self.records, run.id)
            self._run = self.records.find(run.id, lock=True)
            self.emitted.decisions += 1
        if fires:
            state = armed.controller.fired(state, made=made is not None)
        found = after(head, step, value, state, made=made is not None, fired=fires)
        warned = head.warned or armed.controller.warning(value) is not None
        self.heads[armed.name] = replace(found, warned=warned)
        self._consumed.append(
            Consumed(
                controller=armed.name,
                generation=run.generation,
                step=step,
                epoch=armed.epoch,
                value=value,
                made=made,
                event=event,
                at=None if made is None else now(),
                state=None if found.unkept else state,
            )
        )

    def _notice(self, run: RunRecord, armed: Armed, head: Head, step: int, value: float) -> None:
        """Tell what is odd about a report."""
        warning = None if head.warned else armed.controller.warning(value)
        if warning is not None:
            self.emitted.warnings.append(f"{armed.name}: {warning}")
        expected = armed.controller.sources.expect
        if expected > 1:
            self._notice_skipped(armed, head, step)
        if every(armed, run.spec.steps_per_epoch) is None or is_used_up(armed, head):
            return
        if not is_gate(armed, step, run.spec.steps_per_epoch, run.spec.resolution):
            self._off_gates[armed.name] = step
            if len(self.emitted.off_gate) < OFF_GATES_TOLD:
                self.emitted.off_gate.append((armed.name, step))

    def _notice_skipped(self, armed: Armed, head: Head, step: int) -> None:
        since = -1 if head.step is None else head.step
        found = self.records.reports.incomplete(
            self._run.id, armed.metric, since, step, INCOMPLETE_TOLD
        )
        steps = sorted({*found, *self.waiting.pop(armed.name, ())})[-INCOMPLETE_TOLD:]
        if steps:
            these = ", ".join(f"{skipped:,}" for skipped in steps)
            self.emitted.warnings.append(
                f"{armed.name} skips {armed.metric} at {these}: fewer than"
                f" {armed.controller.sources.expect} sources had reported it"
            )

    def keep(self) -> None:
        """Store what was consumed, and move the gates."""
        if not self._consumed:
            return
        run = self._run
        self.records.controllers.consume(run.id, self.armed, self._consumed)
        for name in dict.fromkeys(each.controller for each in self._consumed):
            armed, head = self.armed[name], self.heads[name]
            self.records.controllers.keep_head(run.id, run.generation, armed, head)
        for name, step in self._off_gates.items():
            self.records.controllers.change(run.id, name, off_gate=step)
        if any(each.controller.gate for each in self.armed.values()):
            move_gates(self.records, run.id)


def move_gates(records: Records, run_id: str) -> None:
    """Put the gates of a run where they are by now, and store them if they have moved."""
    run = records.find(run_id, lock=True)
    armed = records.controllers.armed(run.id)
    heads = records.controllers.heads(run.id, run.generation, armed)
    found = gates(
        [(each, heads[each.name]) for each in armed],
        start=records.lineage(run)[run.generation].start,
        begins=run.begins,
        steps_per_epoch=run.spec.steps_per_epoch,
        cell=run.spec.resolution,
    )
    if found != run.barriers.gates:
        records.change(run.id, barriers=replace(run.barriers, gates=found))


def make(
    records: Records, run: RunRecord, armed: Armed, step: int, state: State, why: str
) -> Made | None:
    """
    Do what a controller that fired decides; None if there is nothing to make of it.

    What is refused is a decision, too: a blocked one.
    """
    lineage = records.lineage(run)
    message = armed.controller.said(why)
    firing = _Firing(
        records, run, lineage, armed, step, message, _landing(run, lineage, armed, step)
    )
    try:
        return firing.made(state)
    except Refused as refusal:
        if refusal.status >= 500:
            raise
        problem = {"type": refusal.code, "detail": str(refusal)}
        return Made("blocked", data={"message": message, "problem": problem})


@dataclass(frozen=True, slots=True)
class _Landing:
    """Where a decision takes effect, and how many steps later than it should."""

    effective: int
    late_by: int = 0
    wanted: Literal["next"] | int = "next"


def _landing(run: RunRecord, lineage: Lineage, armed: Armed, step: int) -> _Landing:
    settled = lineage[run.generation].settled_until
    wanted = armed.controller.effective_step(step)
    if wanted is None:
        return _Landing(settled)
    cell = run.spec.resolution
    wanted = -(-wanted // cell) * cell
    return _Landing(max(wanted, settled), max(settled - wanted, 0), max(wanted, settled))


@dataclass(frozen=True, slots=True)
class _Firing:
    """A controller that fired at a step: what it decides, and where that lands."""

    records: Records
    run: RunRecord
    lineage: Lineage
    armed: Armed
    step: int
    message: str
    landing: _Landing

    def made(self, state: State) -> Made | None:
        """Do it, and return what it made."""
        changes = self._changes(state)
        if changes is not None and not changes:
            return None
        effective, data = self.landing.effective, {"message": self.message}
        if self._waits_for_a_yes():
            return Made("proposal", effective, proposal=self._propose(changes), data=data)
        if changes is None:
            return Made("stop", effective, self._stop(), data=data)
        request = RevisionRequest(changes, self.landing.wanted, note=self._note, cause=self._cause)
        revised = revise(self.records, self.run.id, request)
        return Made("change", revised["effective"], revised["revision"], data=data)

    @property
    def _note(self) -> Note:
        return Note(author(self.armed.name), self.message)

    @property
    def _cause(self) -> dict[str, Any]:
        cause: dict[str, Any] = {"controller": self.armed.name, "step": self.step}
        late_by = self.landing.late_by
        return {**cause, "late_by": late_by} if late_by else cause

    def _waits_for_a_yes(self) -> bool:
        """Whether it is proposed; raise `TooLate` if it is to be dropped."""
        wanted = self.armed.controller.effective
        if self.landing.late_by and wanted != "next":
            if wanted.late == "drop":
                message = f"it comes {self.landing.late_by} steps too late, and is dropped"
                raise TooLate(message, earliest=self.landing.effective)
            if wanted.late == "propose":
                return True
        return self.armed.controller.action == "propose"

    def _changes(self, state: State) -> Changes | None:
        """Return what it changes, which may be nothing; None for a stop."""
        controller = self.armed.controller
        if isinstance(controller, Plateau):
            return self._reductions(controller, state)
        if not isinstance(controller, Acting) or self.armed.changes is None:
            return None
        text = self.armed.changes

        def parsed(_lookup: Lookup) -> Results:
            return {key: StoredChanges(text).read()}

        key = ("changes of a controller", self.run.id, self.armed.name, self.armed.since)
        found: Changes = self.records.outside(key, parsed, [Verbatim(text)], stored=True)
        return found

    def _reductions(self, controller: Plateau, state: State) -> Changes:
        """Return by which factor each parameter falls at the step, of those that do."""
        step = self.landing.effective
        timelines = in_force_at(self.records, self.run, self.lineage, step)
        values = timelines.evaluate(np.array([step], dtype=np.int64))
        found: dict[str, tuple[ScaleEdit, ...]] = {}
        for name in sorted(controller.parameters_of(self.run.spec.names)):
            factor = controller.reduction(state, float(values[name][0]))
            if factor is not None:
                found[name] = (ScaleEdit(edit="scale", factor=factor),)
        return Changes(found)

    def _stop(self) -> int:
        """Stop the run, and return the revision."""
        request = StopRequest(self.landing.wanted, note=self._note, cause=self._cause)
        return stop(self.records, self.run.id, request)["revision"]

    def _propose(self, changes: Changes | None) -> int:
        """Propose it, and return the proposal's number."""
        controller = self.armed.controller
        effective = controller.effective
        body: dict[str, Any] = {
            "effective": effective if effective == "next" else {"after": effective.after}
        }
        if changes is not None:  # those of a guard or a rule as they were given: they are read anew
            given = controller.changes if isinstance(controller, Acting) else None
            body["changes"] = given or changes.document
        kind: wire.ProposalKind = "stop" if changes is None else "change"
        cause = {"controller": self.armed.name, "step": self.step}
        request = ProposalRequest(kind, body, self._note, cause)
        return propose(self.records, self.run.id, request)["proposal"]


def in_force_at(records: Records, run: RunRecord, lineage: Lineage, step: int) -> Timelines:
    """Return what is in force at a step past what is settled, by the pending revisions so far."""
    base, pending = upcoming(records, run, lineage)
    before = [each for each in pending if each.effective <= step]
    return (before[-1] if before else base).timelines


def _told(records: Records, run_id: str) -> int:
    """Return the number of a new event of a run."""
    run = records.find(run_id, lock=True)
    event = run.newest_event(records.lineage(run)) + 1
    records.change(run_id, event=event)
    return event
