"""The domain alone: its pure functions, with lists and dictionaries in place of a database."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from tests.server.protocol.halting import Halting, open_step, require_open
from tests.server.protocol.stored import Stored
from tests.server.protocol.systems import Checkpoint, Column, raised, seen, word

from rheostat.errors import (
    Finished,
    GenerationMismatch,
    HasForks,
    Invalid,
    NameTaken,
    Paused,
    RevisionMismatch,
    Stopped,
    TooLate,
)
from rheostat.server.runs.barriers import NO_BARRIERS, lifted
from rheostat.server.runs.changes import NO_CHANGES
from rheostat.server.runs.folding import before_and_after, fold
from rheostat.server.runs.guards import violations
from rheostat.server.runs.lineage import Generation, GenerationKey, OwnedSteps
from rheostat.server.runs.reach import Progress, begun_at, require_advance, require_near
from rheostat.server.runs.revision import FOLDING, RETRACTABLE, Note, Revision, RevisionKind
from rheostat.server.runs.settling import (
    Block,
    BlockRequest,
    InForce,
    Segment,
    compute,
    holes,
    join_up,
    require_block,
    settled_end,
)
from rheostat.server.runs.spec import RunSpec, parse_run
from rheostat.server.runs.timeline import Timelines
from rheostat.server.runs.validation import Limits, Units


class Memory(Halting):
    """A service without a database: what the store's operations do, by the domain's functions."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self.begin()

    def begin(self) -> None:
        """Forget everything."""
        self._runs: dict[str, Stored] = {}
        self._ledger: dict[GenerationKey, list[Segment]] = {}
        self._compute = compute

    def create(self, body: Any) -> str:
        """Create a run."""
        self._require_free(body["name"])
        spec, timelines, _ = parse_run(body, Units(), Limits())
        run = self._new(spec)
        run.generations.append(Generation(GenerationKey(run.id, 1), None, 0, 0))
        run.add(RevisionKind.CREATE, 0, None, timelines)
        if body.get("paused"):
            self._halt(run, 0, hold=True, word=None)
        return run.id

    def _new(self, spec: RunSpec) -> Stored:
        run = Stored(f"run_{next(self._ids):026x}", spec, total=spec.total)
        self._runs[run.id] = run
        return run

    def fork(
        self, name: str, ref: str, generation: int | None, step: int | None, changes: Any
    ) -> str:
        """Fork a run."""
        self._require_free(name)
        source = self._find(ref)
        parent = self._lineage(source)[generation or source.current.key.number]
        start = parent.settled_until if step is None else step
        base = self._branching(source, parent, start, 1, changes)
        run = self._new(source.spec.model_copy(update={"name": name, "total": source.total}))
        run.generations.append(Generation(GenerationKey(run.id, 1), parent.key, start, start))
        run.add(RevisionKind.FORK, start, None, base)
        return run.id

    def _branching(
        self, source: Stored, parent: Generation, start: int, number: int, changes: Any
    ) -> Timelines:
        """Return what a branch begins with."""
        if source.spec.grid.require("step", start) > parent.settled_until:
            raise Invalid("the step is open")
        lineage = self._lineage(source)
        (owned,) = lineage.owners(parent.key.number, start, start + 1)
        owner = self._runs[owned.owner.run_id]
        before = [r for r in owner.ruling(owned.owner.number) if r.effective <= start][-1]
        kind, stored = RevisionKind.REWIND, changes and source.parsed(changes)
        new = Revision(
            *(number, 1, kind, start, stored or NO_CHANGES, Note(), "", before.timelines),
            laid_for=source.total,
        )
        (folded,) = fold(
            before.timelines, [new], source.spec.guards, source.history, asked=new.number
        )
        return folded.timelines

    def delete(self, ref: str) -> None:
        """Delete a run."""
        run = self._find(ref)
        others = (o for o in self._runs.values() if o is not run)
        if any(g.parent and g.parent.run_id == run.id for o in others for g in o.generations):
            raise HasForks("it has forks")
        del self._runs[run.id]

    def settle(self, ref: str, generation: int, start: int, count: int) -> Block:
        """Hand out a block."""
        run, request = self._find(ref), BlockRequest(generation, start, count)
        try:
            until = settled_end(self._progress(run), request, self._left(run, generation))
        except (Finished, Paused) as refusal:
            raise self._told(run, request, refusal) from None
        if until is not None:
            run.generations[-1] = replace(run.current, settled_until=until)
        return self._block(run, request, keep=True)

    def preview(self, ref: str, start: int, count: int) -> Block:
        """Show a block."""
        run = self._find(ref)
        require_block(run.spec, start, count)
        return self._block(run, BlockRequest(run.current.key.number, start, count), keep=False)

    def _block(self, run: Stored, request: BlockRequest, *, keep: bool) -> Block:
        lineage, grid = self._lineage(run), run.spec.grid
        stop = request.start + request.count * grid.resolution
        in_force: list[InForce] = []
        segments: list[Segment] = []
        for owned in lineage.owners(request.generation, request.start, stop):
            ruling, kept = self._in_force(owned), self._ledger.setdefault(owned.owner, [])
            there = [s for s in kept if s.start < owned.stop and s.stop > owned.start]
            known = [s.clipped(grid, owned.start, owned.stop) for s in there]
            open_ = holes(owned.start, owned.stop, known)
            new = [self._compute(grid, first, last, ruling) for first, last in open_]
            kept += new if keep else []
            segments += [*known, *new]
            in_force += ruling
        settled = lineage[request.generation].settled_until
        first = max(request.start - run.spec.max_gap * grid.resolution, 0)
        return Block(
            run_id=run.id,
            generation=request.generation,
            start=request.start,
            resolution=grid.resolution,
            names=run.spec.names,
            in_force=in_force,
            values=join_up(segments),
            settled_until=settled,
            incarnation="",
            signals=self._signals(run, request.generation, first, stop),
        )

    def _in_force(self, owned: OwnedSteps) -> list[InForce]:
        run = self._runs[owned.owner.run_id]
        ruling = run.ruling(owned.owner.number)
        stops = [*(r.effective for r in ruling[1:]), owned.stop]
        spans = [
            (max(r.effective, owned.start), min(stop, owned.stop), r)
            for r, stop in zip(ruling, stops, strict=True)
        ]
        return [
            InForce(first, last, run.id, r.number, r.note, r.timelines)
            for first, last, r in spans
            if first < last
        ]

    def revise(
        self,
        ref: str,
        changes: Any,
        effective: Any,
        *,
        expected_revision: int | None = None,
        force: bool = False,
    ) -> dict[str, Any]:
        """Accept a revision."""
        run = self._find(ref)
        folded, _ = self._folded(run, changes, effective, expected_revision, force=force)
        run.revisions |= {r.number: r for r in folded}
        number = len(run.revisions)
        return word(number, run.revisions[number].effective, folded)

    def _folded(
        self, run: Stored, changes: Any, effective: Any, expected: int | None, *, force: bool
    ) -> tuple[list[Revision], Timelines]:
        """Return the pending revisions with a new one, and what was in force before that."""
        step = open_step(run, effective, expected)
        base, pending = run.upcoming()
        stored = run.parsed(changes)
        kind, generation = RevisionKind.CHANGE, run.current.key.number
        new = Revision(
            *(run.following, generation, kind, step, stored, Note(), "", base, force),
            laid_for=run.total,
        )
        folded = fold(base, [*pending, new], run.spec.guards, run.history, asked=new.number)
        index = next(i for i, r in enumerate(folded) if r.number == new.number)
        before = folded[index - 1].timelines if index else base
        broken = any(violations(run.spec.guards, before, folded[index].timelines, step))
        folded[index] = replace(folded[index], forced=force and broken)
        return folded, before

    def extend(
        self, ref: str, total: int, effective: Any, *, expected_revision: int | None = None
    ) -> dict[str, Any]:
        """Set a run's total."""
        run = self._find(ref)
        settled, (base, pending) = run.current.settled_until, run.upcoming()
        if total == run.total:
            open_step(run, "next", expected_revision)
            return {**word(len(run.revisions), settled, pending), "total": total}
        step = open_step(run, effective, expected_revision)
        if total < step:
            raise Invalid("it is past already")
        kind, generation = RevisionKind.TOTAL, run.current.key.number
        new = Revision(
            *(run.following, generation, kind, step, NO_CHANGES, Note(), "", base),
            total=total,
            laid_for=total,
        )
        earlier, later = before_and_after(new, pending)
        both = [*earlier, new, *later]
        folded = fold(base, both, run.spec.guards, run.history, asked=new.number)
        run.revisions |= {r.number: r for r in folded}
        run.total = total
        return {**word(new.number, step, folded), "total": total}

    def rehearse(self, ref: str, changes: Any, effective: Any) -> dict[str, Any]:
        """Return the curves before and after a revision."""
        run = self._find(ref)
        folded, before = self._folded(run, changes, effective, None, force=False)
        new = next(r for r in folded if r.number == run.following)
        steps = run.spec.grid.steps(new.effective, new.effective + 16 * run.spec.resolution)
        after = new.timelines.evaluate(steps)
        return {
            "effective": new.effective,
            "steps": steps,
            "before": before.evaluate(steps),
            "after": after,
        }

    def cancel(self, ref: str, number: int) -> dict[str, Any]:
        """Cancel a revision."""
        run = self._find(ref)
        require_open(run)
        revision, (base, pending) = run.revision(number), run.upcoming()
        if revision not in run.waiting() or revision.kind not in RETRACTABLE:
            ended = run.barriers.told if revision.told else None
            mine = revision.generation == run.current.key.number
            raise self._lifted(run, ended if mine else None)
        if revision.kind not in FOLDING:
            run.barriers, data = lifted(run.barriers, number, run.current.settled_until)
            run.change(number, cancelled=True)
            note = run.note(RevisionKind.CANCEL, revision.effective, data)
            return {
                "revision": note.number,
                "cancelled": number,
                "effective": revision.effective,
                "pending": word(0, 0, pending)["pending"],
            }
        left = [r for r in pending if r is not revision]
        folded = fold(base, left, run.spec.guards, run.history)
        run.revisions |= {r.number: r for r in folded}
        run.revisions[number] = replace(revision, cancelled=True)
        note = run.add(RevisionKind.CANCEL, revision.effective, None, base)
        return {
            "revision": note.number,
            "cancelled": number,
            "effective": revision.effective,
            "pending": word(0, 0, folded)["pending"],
        }

    def rewind(
        self,
        ref: str,
        to: int,
        source: int | None,
        expected: int | None,
        changes: Any,
        _reset: Collection[str] = (),
    ) -> dict[str, Any]:
        """Rewind a run, of which no controller was armed."""
        run = self._find(ref)
        require_open(run)
        if expected not in {None, run.current.key.number}:
            raise GenerationMismatch("somebody else was first", generation=run.current.key.number)
        parent = self._lineage(run)[source or run.current.key.number]
        base = self._branching(run, parent, to, run.following, changes)
        ended, number = run.current.settled_until, run.current.key.number + 1
        run.generations.append(Generation(GenerationKey(run.id, number), parent.key, to, to))
        new = run.add(RevisionKind.REWIND, to, None, base)
        run.barriers = NO_BARRIERS
        return {
            "generation": number,
            "parent": parent.key.number,
            "from": to,
            "ended": ended,
            "revision": new.number,
            "again": [],
            "dropped": [],
        }

    def join(self, ref: str, checkpoint: Checkpoint | None, start: int | None) -> dict[str, Any]:
        """Join a run, and begin it if need be."""
        run = self._find(ref)
        progress = self._progress(run)
        if checkpoint is not None:
            key, step = GenerationKey(*checkpoint[:2]), checkpoint[2]
            progress.lineage.require_resumable(progress.generation, key, step, run.spec.grid)
        begins = None if start is None else begun_at(progress, start)
        if checkpoint is not None:
            require_near(progress, checkpoint[2], begins or progress.settled)
        if begins is not None:
            run.begins = begins
            run.generations[-1] = replace(run.current, settled_until=begins)
        return {
            "id": run.id,
            "generation": run.current.key.number,
            "revision": len(run.revisions),
            "settled_until": run.current.settled_until,
            "begins": run.begins,
            "end": run.end,
            "total": run.total,
            "stop": run.barriers.ends_at,
        }

    def advance(self, ref: str, to: int, expected: int | None) -> dict[str, Any]:
        """Move a run on."""
        run = self._find(ref)
        require_open(run)
        if expected not in {None, len(run.revisions)}:
            raise RevisionMismatch("it has moved on")
        try:
            require_advance(self._progress(run), to)
        except (Stopped, Paused) as refusal:
            raise self._explained(run, refusal) from None
        run.generations[-1] = replace(run.current, settled_until=to)
        new = run.add(RevisionKind.ADVANCE, to, None, Timelines({}))
        return {
            "revision": new.number,
            "effective": to,
            "settled_until": to,
            "generation": run.current.key.number,
        }

    def finish(self, ref: str, end: int | None) -> None:
        """Finish a run."""
        run = self._find(ref)
        settled = run.current.settled_until
        if run.end is not None:
            if end not in {None, run.end}:
                raise Finished("it is")
            return
        if end is not None and run.spec.grid.require("end", end) < settled:
            raise TooLate("it is settled")
        last, told = settled if end is None else end, run.barriers.told
        if told is not None and last > told.effective:
            raise self._explained(run, told.refusal())
        pending = [stop.revision for stop in run.barriers.stops if not stop.told]
        for number in pending:
            run.change(number, cancelled=True)
        run.barriers, run.end = run.barriers.without(pending), last
        run.note(RevisionKind.FINISH, last)

    def look(self, ref: str, start: int, count: int) -> tuple[dict[str, Any], Block]:
        """Return the state of a run, and a block of it."""
        run = self._find(ref)
        shown = {
            "id": run.id,
            "name": run.spec.name,
            "generation": run.current.key.number,
            "revision": len(run.revisions),
            "settled_until": run.current.settled_until,
            "begins": run.begins,
            "end": run.end,
            "total": run.total,
            "pending": [r.to_json(None) for r in run.waiting()],
            "generations": [g.to_json() for g in run.generations],
            "stops": [s.to_json() for s in sorted(run.barriers.stops, key=lambda s: s.place)],
            "paused": run.barriers.holds(run.current.settled_until),
        }
        return seen(shown), self.preview(ref, start, count)

    def ledger(self, ref: str, generation: int) -> Iterator[Column]:
        """Yield what the ledger has."""
        run = self._find(ref)
        lineage = self._lineage(run)
        settled = lineage[generation].settled_until
        for owned in lineage.owners(generation, 0, settled):
            for segment in self._ledger.get(owned.owner, []):
                for index, cell in enumerate(run.spec.grid.steps(segment.start, segment.stop)):
                    if owned.start <= cell < owned.stop:
                        column = map(float, segment.values[:, index])
                        yield int(cell), dict(zip(run.spec.names, column, strict=True))

    def restart(self, *, every: bool) -> None:
        """Nothing is kept elsewhere."""

    def upgrade(self, ulps: int) -> None:
        """Replace the function that computes what the ledger lacks."""
        self._compute = raised(ulps)

    def repeat(self, index: int) -> None:
        """Nothing is remembered: requests are the store's business."""

    def lose(self, *, done: bool) -> None:
        """There is no commit that could fail."""

    def _require_free(self, name: str) -> None:
        if any(run.spec.name == name for run in self._runs.values()):
            raise NameTaken("there is one")

    def _progress(self, run: Stored) -> Progress:
        number, total = run.current.key.number, run.total
        lineage = self._lineage(run)
        return Progress(run.spec, lineage, number, total, run.begins, run.end, run.barriers)
