"""
A model of the protocol: what every operation must answer, and what every value must be.

The definitions of its runs are lines and constants, and their values are fractions, so that the
expected values are mathematics.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from math import inf
from typing import Any, Literal, NamedTuple

from tests.oracle.curves import Env, alone, define
from tests.oracle.edits import Refusal, applied, by_name, in_steps, require_apart
from tests.server.protocol import listening, proposing, stops
from tests.server.protocol.state import GAP, Cause, Generation, Revision, Run, laid_out
from tests.server.protocol.stops import Said

Values = Mapping[str, Fraction]


class Block(NamedTuple):
    """The answer to a read."""

    revisions: list[tuple[int, int]]
    owners: list[tuple[str, int]]
    values: Sequence[Values]
    final: list[bool]
    signals: list[Said]


class Rehearsal(NamedTuple):
    """What a revision would do."""

    effective: int
    before: Env
    after: Env


class Model:
    """All runs, and what was handed out of them."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.deleted: list[Run] = []

    def find(self, ref: str) -> Run:
        """Return a run by its name or its id."""
        for run in self.runs:
            if ref in {run.name, run.id}:
                return run
        raise Refusal("unknown-run")

    def create(self, body: Mapping[str, Any]) -> Run:
        """Make a run; its id is the service's to choose."""
        self._require_free(body["name"])
        run = Run(body["name"], body, planned=body["total"], ears=listening.Ears())
        first = {n: alone(define(d, 0, run.total)) for n, d in body["parameters"].items()}
        run.begin(None, 0, first, 1)
        if body.get("paused"):
            run.revisions.append(Revision(2, 1, "pause", 0))
        self.runs.append(run)
        return run

    def fork(self, name: str, ref: str, number: int | None, step: int | None, changes: Any) -> Run:
        """Make a run that has another one's past."""
        self._require_free(name)
        source = self.find(ref)
        parent = source.generation(number) if number else source.current
        step = parent.settled if step is None else step
        _require(step % source.cell == 0, step <= parent.settled)
        *_, before = parent.in_force(step)
        before = laid_out(before, source.total, step)
        changes = _meant(changes, source, step, before)
        after = applied(changes, step, before, source.history, source.total)
        source.breaks(changes, step, before, after, force=False)
        ears = listening.Ears(controllers=listening.forked(parent, step))
        body = {**source.body, "name": name}
        run = Run(name, body, planned=source.total, ears=ears)
        run.begin(parent, step, after, 1)
        self.runs.append(run)
        return run

    def delete(self, ref: str) -> None:
        """Remove a run that no other one was forked from."""
        run = self.find(ref)
        if any(
            g.parent and g.parent.run is run
            for r in self.runs
            if r is not run
            for g in r.generations
        ):
            raise Refusal("has-forks")
        self.runs.remove(run)
        self.deleted.append(run)

    def settle(self, ref: str, number: int, start: int, count: int) -> Block:
        """Hand out a block: P2, P6, P14."""
        run = self.find(ref)
        stop = _stop(run, start, count)
        past = run.generation(number)
        if stop > past.settled:
            if past is not run.current:
                ended = stops.told(past)
                if ended is not None and stop > ended.effective:
                    raise stops.refusal(past, ended)
                raise Refusal("stale-generation")
            stops.require_way(past, start, stop)
            if run.end is None and stops.told(past) is None:
                listening.require_report(run, stop)
            if run.total is not None and stop - run.body["max_block"] * run.cell > run.ceiling:
                raise Refusal("past-total")
            if start - past.settled > GAP * run.cell or stop - past.settled > run.jump:
                raise Refusal("step-jump")
            past.settled = stop
        return self._block(past, start, stop)

    def preview(self, ref: str, start: int, count: int) -> Block:
        """Show a block, and which of it is final."""
        run = self.find(ref)
        return self._block(run.current, start, _stop(run, start, count))

    def _block(self, past: Generation, start: int, stop: int) -> Block:
        cells = range(start, stop, past.run.cell)
        rulers = [past.in_force(cell) for cell in cells]
        heads = [((owner.run.id, owner.number), revision.number) for owner, revision, _ in rulers]
        revisions = [
            (cell, head[1])
            for cell, head, before in zip(cells, heads, [None, *heads], strict=False)
            if head != before
        ]
        values = [
            {name: curve.value(cell, env) for name, curve in env.items()}
            for cell, (_, _, env) in zip(cells, rulers, strict=True)
        ]
        owners = [owner for owner, _ in heads]
        final = [cell < past.settled for cell in cells]
        said = stops.within_reach(past, start, stop)
        return Block(revisions, owners, values, final, said)

    def revise(
        self,
        ref: str,
        changes: Mapping[str, Any],
        effective: int | Literal["next"],
        *,
        expected_revision: int | None = None,
        force: bool = False,
        cause: Cause | None = None,
    ) -> dict[str, Any]:
        """Accept a revision: P2, P3, and P5, since "next" is the first open step."""
        run = self.find(ref)
        step = _open_step(run, effective, expected_revision)
        *_, (_, before) = run.folded(run.current, (step, inf))
        changes = _meant(changes, run, step, before)
        number = len(run.revisions) + 1
        new = Revision(number, run.current.number, "change", step, changes, force, cause=cause)
        run.revisions.append(new)
        run.draft = new
        try:
            folded = list(run.folded(run.current, check=run.settled))
        except Refusal:
            run.revisions.pop()
            raise
        finally:
            run.draft = None
        place = next(index for index, (revision, _) in enumerate(folded) if revision is new)
        before, after = folded[place - 1][1], folded[place][1]
        new.forced = run.breaks(changes, step, before, after, force=force)
        pending = [revision.number for revision in run.pending()]
        return {"revision": new.number, "effective": step, "pending": pending}

    def extend(
        self,
        ref: str,
        total: int,
        effective: int | Literal["next"],
        *,
        expected_revision: int | None = None,
    ) -> dict[str, Any]:
        """Set the total: what has passed stays, and the words say where the rest ends."""
        run = self.find(ref)
        _require_open(run)
        if expected_revision not in {None, len(run.revisions)}:
            raise Refusal("revision-mismatch")
        step = run.settled if effective == "next" else effective
        if total != run.total:
            _require(step % run.cell == 0)
            if step < run.settled:
                raise Refusal("too-late")
            _require(step <= total)
            number = len(run.revisions) + 1
            new = Revision(number, run.current.number, "total", step, total=total)
            run.revisions.append(new)
            try:
                list(run.folded(run.current, check=run.settled))
            except Refusal:
                run.revisions.pop()
                raise
        else:
            step = run.settled
        pending = [revision.number for revision in run.pending()]
        return {
            "revision": len(run.revisions),
            "effective": step,
            "pending": pending,
            "total": total,
        }

    def rehearse(self, ref: str, changes: Mapping[str, Any], effective: Any) -> Rehearsal:
        """Say what a revision would do, and do nothing."""
        run = self.find(ref)
        answer = self.revise(ref, changes, effective)
        folded = [(revision.number, env) for revision, env in run.folded(run.current)]
        place = [number for number, _ in folded].index(len(run.revisions))
        run.revisions.pop()
        return Rehearsal(answer["effective"], folded[place - 1][1], folded[place][1])

    def cancel(self, ref: str, number: int) -> dict[str, Any]:
        """Take a pending revision back."""
        run = self.find(ref)
        _require_open(run)
        revision = run.revision(number)
        stops.require_retractable(run, revision)
        revision.cancelled = True
        try:
            list(run.folded(run.current, check=run.settled))
        except Refusal:
            revision.cancelled = False
            raise
        self._note(run, revision.effective)
        if revision.cause is not None:
            listening.relieve(run, revision.cause[0], number)
        return {
            "revision": len(run.revisions),
            "cancelled": number,
            "effective": revision.effective,
            "pending": [other.number for other in run.pending()],
        }

    def rewind(
        self,
        ref: str,
        to: int,
        source: int | None,
        expected: int | None,
        changes: Any,
        reset: Collection[str] = (),
    ) -> dict[str, Any]:
        """Begin a generation at a settled step: P6."""
        run = self.find(ref)
        _require_open(run)
        if expected not in {None, run.current.number}:
            raise Refusal("generation-mismatch")
        parent = run.generation(source) if source else run.current
        _require(to % run.cell == 0, to <= parent.settled)
        *_, before = parent.in_force(to)
        before = laid_out(before, run.total, to)
        changes = _meant(changes, run, to, before)
        _require(all(map(run.ears.stands, reset)))
        after = applied(changes, to, before, run.history, run.total)
        run.breaks(changes, to, before, after, force=False)
        ended = run.settled
        carried = listening.carried(run, parent, to, reset)
        proposing.expire(run)
        run.begin(parent, to, after, len(run.revisions) + 1)
        number = len(run.revisions)
        again = listening.carry(self, run, carried, reset)
        return {
            "generation": run.current.number,
            "parent": parent.number,
            "from": to,
            "ended": ended,
            "revision": number,
            "again": again,
            "dropped": [row.dropped() for row in carried.dropped],
        }

    def join(
        self, ref: str, checkpoint: tuple[str, int, int] | None, start: int | None
    ) -> dict[str, Any]:
        """Let a worker in unless its checkpoint lies beyond a branch, or it is far: P6, P14."""
        run = self.find(ref)
        if checkpoint is not None and not _resumable(run.current, *checkpoint):
            raise Refusal("stale-checkpoint")
        settled = run.settled
        begins = start is not None and not run.near(settled, start)
        if start is not None and begins:
            ends = (run.total, run.end, *(r.effective for r in stops.standing(run.current)))
            if not run.unbegun or any(end is not None and start > end for end in ends):
                raise Refusal("step-jump")
            settled = start - start % run.cell
        if checkpoint is not None and not run.near(settled, checkpoint[2]):
            raise Refusal("step-jump")
        if begins:
            run.current.settled = run.begins = settled
        return {
            "id": run.id,
            "generation": run.current.number,
            "revision": len(run.revisions),
            "settled_until": run.settled,
            "begins": run.begins,
            "end": run.end,
            "total": run.total,
            "stop": next(
                (r.effective for r in stops.standing(run.current) if r.kind == "stop"), None
            ),
        }

    def advance(self, ref: str, to: int, expected: int | None) -> dict[str, Any]:
        """Settle what nobody has read: P14."""
        run = self.find(ref)
        _require_open(run)
        if expected not in {None, len(run.revisions)}:
            raise Refusal("revision-mismatch")
        _require(to % run.cell == 0)
        if to <= run.settled:
            raise Refusal("too-late")
        met = next(iter(stops.standing(run.current)), None)
        if met is not None and to > met.effective:
            raise stops.refusal(run.current, met)
        if run.total is not None and to > run.total:
            raise Refusal("past-total")
        listening.move_gates(run, to)
        run.current.settled = to
        self._note(run, to)
        return {
            "revision": len(run.revisions),
            "effective": to,
            "settled_until": to,
            "generation": run.current.number,
        }

    def finish(self, ref: str, end: int | None) -> None:
        """Close a run."""
        run = self.find(ref)
        if run.end is not None:
            if end not in {None, run.end}:
                raise Refusal("finished")
            return
        _require(end is None or end % run.cell == 0)
        if end is not None and end < run.settled:
            raise Refusal("too-late")
        last = run.settled if end is None else end
        ended = stops.told(run.current)
        if ended is not None and last > ended.effective:
            raise stops.refusal(run.current, ended)
        for halt in stops.standing(run.current):
            halt.cancelled = halt.kind == "pause" or not halt.told
        proposing.expire(run)
        run.end = last
        self._note(run, last)

    def halt(
        self,
        ref: str,
        effective: int | Literal["next"],
        *,
        hold: bool = False,
        word: str | None = None,
        expected_revision: int | None = None,
        cause: Cause | None = None,
    ) -> dict[str, Any]:
        """Have the run end or, with ``hold``, wait at a step that is open: P2."""
        run = self.find(ref)
        step = _open_step(run, effective, expected_revision)
        ended = stops.told(run.current)
        if ended is not None and (not hold or step >= ended.effective):
            raise stops.refusal(run.current, ended)
        if word is not None:
            stops.require_sayable(run, word, step)
        made = self._add(run, "pause" if hold else "stop", step, word)
        made.cause = cause
        return {"revision": made.number, "effective": step}

    def resume(
        self, ref: str, until: int | None, *, expected_revision: int | None = None
    ) -> dict[str, Any]:
        """Take back the pauses at which a run holds, and hold it next at another step."""
        run = self.find(ref)
        _open_step(run, "next", expected_revision)
        held = stops.held(run)
        if not held:
            ended = stops.told(run.current)
            raise stops.lifted_by_rewind(run, ended) if ended else Refusal("not-pending")
        if until is not None:
            _require(until % run.cell == 0)
            if until <= run.settled:
                raise Refusal("too-late")
            stops.require_alive(run, until)
        for pause in held:
            pause.cancelled = True
        self._note(run, run.settled)
        lifted = len(run.revisions)
        following = None if until is None else self._add(run, "pause", until).number
        return {
            "revision": lifted,
            "pause": following,
            "cancelled": sorted(pause.number for pause in held),
            "settled_until": run.settled,
        }

    def signal(
        self,
        ref: str,
        word: str,
        effective: int | Literal["next"],
        *,
        expected_revision: int | None = None,
    ) -> dict[str, Any]:
        """Say a word to all ranks at a step that is open: P2."""
        run = self.find(ref)
        step = _open_step(run, effective, expected_revision)
        stops.require_alive(run, step)
        stops.require_sayable(run, word, step)
        return {"revision": self._add(run, "signal", step, word).number, "effective": step}

    def _add(
        self, run: Run, kind: Literal["stop", "pause", "signal"], step: int, word: str | None = None
    ) -> Revision:
        number = len(run.revisions) + 1
        made = Revision(number, run.current.number, kind, step, word=word)
        run.revisions.append(made)
        return made

    def arm(
        self,
        ref: str,
        name: str,
        config: Mapping[str, Any],
        *,
        keep: bool = False,
        force: bool = False,
        expected: int | None = None,
    ) -> bool:
        """Arm a controller; return whether there was none of this name."""
        run = self.find(ref)
        _require_open(run)
        new = not run.ears.stands(name)
        if listening.arm(run, name, config, keep=keep, force=force, expected=expected):
            self._note(run, run.settled)
        return new

    def disarm(self, ref: str, name: str, expected: int | None = None) -> int:
        """Disarm a controller."""
        run = self.find(ref)
        _require_open(run)
        listening.require_armed(run, name, expected)
        run.ears.controllers[name].removed = True
        self._note(run, run.settled)
        return len(run.revisions)

    def reset(self, ref: str, name: str, expected: int | None = None) -> None:
        """Have a controller forget what it remembers."""
        run = self.find(ref)
        _require_open(run)
        listening.require_armed(run, name, expected)
        listening.anew(run, name, len(run.revisions) + 1)
        self._note(run, run.settled)

    def _note(self, run: Run, step: int) -> None:
        run.revisions.append(Revision(len(run.revisions) + 1, run.current.number, "note", step))

    def _require_free(self, name: str) -> None:
        if any(run.name == name for run in self.runs):
            raise Refusal("name-taken")


def _resumable(current: Generation, run_id: str, number: int, step: int) -> bool:
    line = list(current.line)
    there = [
        index for index, past in enumerate(line) if (past.run.id, past.number) == (run_id, number)
    ]
    return bool(there) and all(step <= later.start for later in line[: there[0]])


def _stop(run: Run, start: int, count: int) -> int:
    _require(start % run.cell == 0, 1 <= count <= run.body["max_block"])
    return start + count * run.cell


def _open_step(run: Run, effective: int | Literal["next"], expected: int | None) -> int:
    """Return the step of something new, which has to be open."""
    _require_open(run)
    if expected not in {None, len(run.revisions)}:
        raise Refusal("revision-mismatch")
    step = run.settled if effective == "next" else effective
    _require(step % run.cell == 0)
    if step < run.settled:
        raise Refusal("too-late")
    return step


def _require_open(run: Run) -> None:
    if run.end is not None:
        raise Refusal("finished")


def _require(*conditions: bool) -> None:
    if not all(conditions):
        raise Refusal("invalid")


def _meant(changes: Any, run: Run, at: int, before: Env) -> Mapping[str, Any]:
    """Return what changes at a step mean, by parameter, where ``before`` is in force."""
    named, scaled = by_name(changes, run.body["parameters"])
    require_apart(scaled, at, before)
    return in_steps(named, run.total)
