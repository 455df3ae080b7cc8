"""
Reports and controllers in the model: what is kept, what is consumed, and what comes of it.

What a controller remembers is not stored: it is folded anew each time from what it has consumed on
the line, so that a service that stores states has to store the right ones.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.oracle.controllers import Memory, heard, mean, reduced
from tests.oracle.edits import Refusal
from tests.server.protocol import proposing
from tests.server.protocol.state import Generation, Revision, Run

if TYPE_CHECKING:
    from tests.server.protocol.model import Model

Point = tuple[int, str, float]
"""A step, a metric, and its value there."""


@dataclass
class Controller:
    """An armed controller: what of its life no report tells."""

    name: str
    config: Mapping[str, Any]
    since: int
    epoch: int
    """The revision with which its state began."""
    armed_at: int
    first: Memory = field(default_factory=Memory)
    known: int | None = None
    """Of a fork's: the newest step that it had consumed in the run that was forked."""
    last: tuple[int, float] | None = None
    decided: int = 0
    """Decisions that counted against its limit when its state began."""
    removed: bool = False


@dataclass
class Consumed:
    """A report as a controller has consumed it, and what that came to."""

    controller: str
    generation: int
    step: int
    epoch: int
    value: float
    decision: str | None = None
    revision: int | None = None
    proposal: int | None = None
    effective: int | None = None

    def dropped(self) -> dict[str, Any]:
        """Return it as the answer to a rewind tells it."""
        names = ("controller", "step", "decision", "revision", "proposal")
        return {name: getattr(self, name) for name in names}

    def shown(self) -> dict[str, Any]:
        """Return it as an answer tells it."""
        names = ("controller", "step", "decision", "revision", "proposal", "effective")
        told = {name: getattr(self, name) for name in names}
        return {**told, "generation": self.generation, "value": written(self.value)}


@dataclass
class Relief:
    """Where a controller began to count anew, since something that it decided was taken back."""

    controller: str
    generation: int
    step: int
    epoch: int


@dataclass
class Ears:
    """What a run has heard."""

    reports: dict[tuple[int, str, int], dict[str, float]] = field(default_factory=dict)
    """By owner, metric and step, and then by source; owners by their place in memory."""
    controllers: dict[str, Controller] = field(default_factory=dict)
    consumed: list[Consumed] = field(default_factory=list)
    reliefs: list[Relief] = field(default_factory=list)

    @property
    def armed(self) -> list[Controller]:
        """The controllers that are armed, by name."""
        return [self.controllers[n] for n in sorted(self.controllers) if self.stands(n)]

    def stands(self, name: str) -> bool:
        """Whether a controller of this name is armed."""
        return name in self.controllers and not self.controllers[name].removed


def written(value: float) -> float | str:
    """Return a value as JSON has it."""
    return value if math.isfinite(value) else {"nan": "NaN", "inf": "Infinity"}[repr(value)]


# what is remembered


def line(past: Generation, to: float = math.inf) -> dict[int, float]:
    """Return up to which report each generation of the run counts on a line."""
    found: dict[int, float] = {}
    for each in past.line:
        if each.run is not past.run:
            break
        found[each.number] = to
        to = min(to, each.start)
    return found


def on_line(past: Generation, name: str) -> Iterator[Consumed]:
    """Yield what a name has consumed on a line, by rising step."""
    counts = line(past)
    there = (r for r in past.run.ears.consumed if r.controller == name)
    yield from sorted(
        (r for r in there if r.step <= counts.get(r.generation, -1)), key=lambda r: r.step
    )


def newest(past: Generation, controller: Controller) -> int | None:
    """Return the newest step that the name of a controller has consumed on a line."""
    steps = [row.step for row in on_line(past, controller.name)]
    return max([*steps, *([] if controller.known is None else [controller.known])], default=None)


def own(past: Generation, controller: Controller) -> list[Consumed]:
    """Return what a controller has consumed on a line since its state began."""
    return [row for row in on_line(past, controller.name) if row.epoch == controller.epoch]


def memory(past: Generation, controller: Controller) -> Memory:
    """Return what a controller remembers at the end of a line: the fold of its reports."""
    counts = line(past)
    reliefs = [
        each.step
        for each in past.run.ears.reliefs
        if (each.controller, each.epoch) == (controller.name, controller.epoch)
        and each.step <= counts.get(each.generation, -1)
    ]
    found = controller.first
    rows = own(past, controller)
    nexts = [*(row.step for row in rows), math.inf]
    if any(step < nexts[0] for step in reliefs):
        found = found.relieved()
    for row, later in zip(rows, nexts[1:], strict=True):
        found, _ = heard(controller.config, found, row.step, row.value)
        if any(row.step <= step < later for step in reliefs):
            found = found.relieved()
    return found


def decisions(past: Generation, controller: Controller) -> int:
    """Return how many decisions count against the limit of a controller."""
    return controller.decided + sum(row.decision is not None for row in own(past, controller))


def used_up(past: Generation, controller: Controller) -> bool:
    """Whether a controller may decide nothing more on a line."""
    limit = controller.config["limit"]
    return limit is not None and decisions(past, controller) >= limit


def relieve(run: Run, name: str, revision: int) -> None:
    """Have a controller count anew, if it is still the one that decided a revision."""
    if not run.ears.stands(name) or revision < run.ears.controllers[name].epoch:
        return
    controller, past = run.ears.controllers[name], run.current
    steps = [row.step for row in own(past, controller)]
    place = max([*steps, past.start])
    run.ears.reliefs.append(Relief(name, past.number, place, controller.epoch))


def shown(run: Run) -> list[dict[str, Any]]:
    """Return the controllers of a run as it shows them."""
    return [
        {
            "name": each.name,
            "revision": each.since,
            "state": _written(memory(run.current, each)),
            "last": _last(run.current, each),
            "decisions": decisions(run.current, each),
            "gate": gate_of(run, each),
        }
        for each in run.ears.armed
    ]


def _written(found: Memory) -> dict[str, Any]:
    best = None if found.best is None else written(found.best)
    return {"best": best, "best_step": found.best_step, "bad": found.bad, "cool": found.cool}


def _last(past: Generation, controller: Controller) -> dict[str, Any] | None:
    rows = own(past, controller)
    found = (rows[-1].step, rows[-1].value) if rows else controller.last
    return None if found is None else {"step": found[0], "value": written(found[1])}


# gates


def gate_of(run: Run, controller: Controller) -> int | None:
    """Return the first step at which workers wait for what a controller reads; None for none."""
    gate = controller.config.get("gate")
    if gate is None or used_up(run.current, controller):
        return None
    known = newest(run.current, controller) or 0
    base = max(known, run.current.start, run.begins, controller.armed_at)
    return _whole(run, (base // gate["every"] + 1) * gate["every"])


def require_report(run: Run, stop: int) -> None:
    """Refuse to settle past the first gate."""
    gates = [(gate_of(run, each), each.name) for each in run.ears.armed]
    found = min(((step, name) for step, name in gates if step is not None), default=None)
    if found is None or stop <= found[0]:
        return
    controller = run.ears.controllers[found[1]]
    raise Refusal(
        "awaiting-report",
        gate=found[0],
        controller=controller.name,
        metric=controller.config["metric"],
        newest=newest(run.current, controller),
    )


def move_gates(run: Run, to: int) -> None:
    """Have no gate below a step to which a run was moved on."""
    for each in run.ears.armed:
        if gate_of(run, each) is not None:
            each.armed_at = to


def _is_gate(run: Run, controller: Controller, step: int) -> bool:
    every = controller.config["gate"]["every"]
    multiple = step // every * every
    return multiple > 0 and step in {multiple, _whole(run, multiple)}


def _whole(run: Run, step: int) -> int:
    return -(-step // run.cell) * run.cell


# reports


def report(
    model: Model, run_id: str, number: int, source: str, points: Sequence[Point]
) -> dict[str, Any]:
    """Keep what is new, have controllers consume what they have not, and do what they decide."""
    run = next((each for each in model.runs if each.id == run_id), None)
    if run is None:
        raise Refusal("unknown-run")
    sent = run.generation(number)
    for step, _, _ in points:
        _require_place(run, sent, step)
    ears, kept = run.ears, {"kept": 0, "repeated": 0, "late": 0}
    reading = [each for each in ears.armed if each.config["metric"] in {p[1] for p in points}]
    takes = {each.name: newest(run.current, each) for each in reading}
    differs = []
    for step, metric, value in points:
        there = ears.reports.setdefault((id(_owner(sent, step)), metric, step), {})
        if source not in there:
            there[source] = value
            kept["kept"] += 1
            those = [takes[each.name] for each in reading if each.config["metric"] == metric]
            late = all(known is not None and step <= known for known in those)
            kept["late"] += bool(those) and late and run.end is None
        elif repr(there[source]) == repr(value):
            kept["repeated"] += 1
        else:
            told = {"kept": written(there[source]), "given": written(value)}
            differs.append({"metric": metric, "step": step, **told})
    off_gate = _consume(model, run, sent, reading, points) if run.end is None else []
    steps = {step for step, _, _ in points}
    made = [r for each in reading for r in on_line(run.current, each.name) if r.decision]
    made = sorted((r for r in made if r.step in steps), key=lambda r: (r.step, r.controller))
    watched = sorted({each.config["metric"] for each in ears.armed})
    return {
        **kept,
        "differs": differs,
        "again": False,
        "decisions": [row.shown() for row in made],
        "off_gate": off_gate,
        "watched": watched if run.end is None else [],
        "settled_until": run.settled,
    }


def kept(run: Run, metric: str) -> list[tuple[int, str, float | str]]:
    """Return the reports of a metric along the line of a run, each once."""
    found = []
    last = math.inf
    *_, root = run.current.line
    for past in run.current.line:
        first = -1 if past is root else past.start
        for (owner, name, step), values in run.ears.reports.items():
            if (owner, name) == (id(past), metric) and first < step <= last:
                found += [(step, source, written(value)) for source, value in values.items()]
        last = min(last, past.start)
    return sorted(found, key=lambda report: report[:2])


def decided(run: Run, name: str) -> list[dict[str, Any]]:
    """Return what a controller has decided, on any line, in the order in which it did."""
    return [r.shown() for r in run.ears.consumed if r.controller == name and r.decision]


def _require_place(run: Run, sent: Generation, step: int) -> None:
    """Refuse a report that measures no past of the run."""
    newer = list(run.current.line)
    if sent not in newer or any(step > each.start for each in newer[: newer.index(sent)]):
        raise Refusal("stale-generation")
    if step > sent.settled:
        raise Refusal("invalid")


def _owner(sent: Generation, step: int) -> Generation:
    """Return whose values a report measures: the owner of the last cell below."""
    *_, root = sent.line
    cell = (step - 1) // sent.run.cell * sent.run.cell
    return next((past for past in sent.line if past.start <= cell), root)


def _consume(
    model: Model,
    run: Run,
    sent: Generation,
    reading: Sequence[Controller],
    points: Sequence[Point],
) -> list[dict[str, Any]]:
    off_gate = []
    there = {(step, metric) for step, metric, _ in points}
    for step in sorted({step for step, _ in there}):
        for each in reading:
            metric = each.config["metric"]
            known = newest(run.current, each)
            if (step, metric) not in there or (known is not None and step <= known):
                continue
            values = run.ears.reports[id(_owner(sent, step)), metric, step]
            if len(values) < each.config["sources"]["expect"]:
                continue
            wants = each.config.get("gate") and not used_up(run.current, each)
            if wants and not _is_gate(run, each, step):
                off_gate.append({"controller": each.name, "step": step})
            value = mean(values[name] for name in sorted(values))
            run.ears.consumed.append(_decided(model, run, each, step, value))
    return off_gate


def _decided(model: Model, run: Run, controller: Controller, step: int, value: float) -> Consumed:
    row = Consumed(controller.name, run.current.number, step, controller.epoch, value)
    _, fires = heard(controller.config, memory(run.current, controller), step, value)
    if not fires or used_up(run.current, controller):
        return row
    asked = controller.config["effective"]
    wanted = run.settled if asked == "next" else _whole(run, step + asked["after"])
    late = run.settled - wanted
    effective = max(wanted, run.settled)
    changes = None if controller.config["kind"] == "stop" else _falls(run, controller, effective)
    if changes is not None and not changes:
        return row
    try:
        _require_timely(asked, late)
        row.effective = effective
        cause = (controller.name, step)
        if controller.config["action"] == "propose" or (_late(asked) == "propose" and late > 0):
            kind: proposing.Kind = "stop" if changes is None else "change"
            row.proposal = proposing.suggested(run, kind, changes, asked, cause)
            row.decision = "proposal"
        elif changes is None:
            row.revision = model.halt(run.id, effective, cause=cause)["revision"]
            row.decision = "stop"
        else:
            row.revision = model.revise(run.id, changes, effective, cause=cause)["revision"]
            row.decision = "change"
    except Refusal:
        row.effective, row.decision = None, "blocked"
    return row


def _require_timely(asked: Any, late: int) -> None:
    if late > 0 and _late(asked) == "drop":
        raise Refusal("too-late")


def _late(asked: Any) -> str | None:
    return None if asked == "next" else asked.get("late")


def _falls(run: Run, controller: Controller, effective: int) -> dict[str, Any]:
    """Return by which factors the parameters fall that do."""
    *_, env = run.current.in_force(effective)
    found = {}
    for name in sorted(controller.config["parameters"]):
        factor = reduced(controller.config, float(env[name].value(effective, env)))
        if factor is not None:
            found[name] = {"edit": "scale", "factor": factor}
    return found


# arming


def arm(
    run: Run, name: str, config: Mapping[str, Any], *, keep: bool, force: bool, expected: int | None
) -> int | None:
    """Arm a controller; return the number of the revision that it takes, None if nothing is new."""
    _require_expected(run, name, expected)
    before = run.ears.controllers.get(name)
    stands = run.ears.stands(name)
    if before is not None and stands and before.config == config:
        return None
    if config.get("gate") and run.settled and not force:
        raise Refusal("invalid")
    number = len(run.revisions) + 1
    new = Controller(name, config, number, number, run.settled, known=_known(before))
    if keep and before is not None and stands:
        kept = memory(run.current, before)
        new.first = (
            kept if config["kind"] == "plateau" else Memory(kept.best, kept.best_step, kept.bad)
        )
        new.decided = decisions(run.current, before)
    run.ears.controllers[name] = new
    return number


def anew(run: Run, name: str, epoch: int) -> None:
    """Have a controller forget what it remembers, but not what it has consumed."""
    before = run.ears.controllers[name]
    at, known = before.armed_at, before.known
    new = Controller(name, before.config, before.since, epoch, at, known=known)
    run.ears.controllers[name] = new


def require_armed(run: Run, name: str, expected: int | None) -> None:
    """Refuse what is for an armed controller alone."""
    if not run.ears.stands(name):
        raise Refusal("unknown-controller")
    _require_expected(run, name, expected)


def _known(before: Controller | None) -> int | None:
    return None if before is None else before.known


def _require_expected(run: Run, name: str, expected: int | None) -> None:
    since = run.ears.controllers[name].since if run.ears.stands(name) else None
    if expected not in {None, since}:
        raise Refusal("precondition-failed")


# rewinds and forks


@dataclass
class Carried:
    """What a rewind makes of decisions that wait: the changes are made again, all else is not."""

    again: list[tuple[Consumed, Revision]] = field(default_factory=list)
    dropped: list[Consumed] = field(default_factory=list)


def carried(run: Run, source: Generation, to: int, reset: Collection[str]) -> Carried:
    """Return what was decided on the line up to a step, and waits past it."""
    found = Carried()
    for row in _waiting(run, source, to):
        made = _newest_made(run, source, row)
        if row.decision == "proposal":
            gone = row.proposal is not None and run.proposals[row.proposal - 1].state == "open"
        elif made is None or made.cancelled:
            continue
        elif made.kind == "stop":
            gone = made.generation == run.current.number
        elif row.controller in reset:
            gone = made.effective > to
        elif made.effective > to:
            found.again.append((row, made))
            continue
        else:
            continue
        if gone:
            found.dropped.append(row)
    found.again.sort(key=lambda each: each[1].place)
    return found


def carry(model: Model, run: Run, carried: Carried, reset: Collection[str]) -> list[dict[str, Any]]:
    """Begin a generation with what its past leaves to it; return what was made again."""
    for row in carried.dropped:
        relieve(run, row.controller, row.epoch)
    for name in reset:
        anew(run, name, len(run.revisions))
    return [_remade(model, run, row, made) for row, made in carried.again]


def _remade(model: Model, run: Run, row: Consumed, made: Revision) -> dict[str, Any]:
    told = {"controller": row.controller, "step": row.step, "effective": made.effective}
    try:
        cause = (row.controller, row.step)
        answer = model.revise(run.id, made.changes, made.effective, cause=cause)
    except Refusal:
        return {**told, "decision": "blocked", "revision": None}
    return {**told, "decision": "change", "revision": answer["revision"]}


def _waiting(run: Run, source: Generation, to: int) -> list[Consumed]:
    counts = line(source, to)
    rows = [r for r in run.ears.consumed if r.step <= counts.get(r.generation, -1)]
    rows = [r for r in rows if r.decision == "proposal" or (r.effective or -1) >= to]
    return sorted(rows, key=lambda r: (r.step, r.controller))


def _newest_made(run: Run, source: Generation, row: Consumed) -> Revision | None:
    """Return the last revision that a decision made on a line."""
    if row.revision is None:
        return None
    there = line(source)
    made = [r for r in run.revisions if r.cause == (row.controller, row.step)]
    return next((r for r in reversed(made) if r.generation in there), None)


def forked(source: Generation, step: int) -> dict[str, Controller]:
    """Return the controllers that a fork at a step begins with, and what they remember."""
    found = {}
    at = Generation(source.run, -1, source, step, step, source.base)
    for each in source.run.ears.armed:
        last = _last(at, each)
        found[each.name] = Controller(
            name=each.name,
            config=each.config,
            since=1,
            epoch=1,
            armed_at=step,
            first=memory(at, each),
            known=newest(at, each),
            last=None if last is None else (last["step"], float(last["value"])),
            decided=decisions(at, each),
        )
    return found
