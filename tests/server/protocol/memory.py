"""The domain alone: its pure functions, with lists and dictionaries in place of a database."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tests.server.protocol.systems import Checkpoint, Column, raised, seen, word

from rheostat.errors import (
    Finished,
    GenerationMismatch,
    HasForks,
    Invalid,
    NameTaken,
    NotPending,
    RevisionMismatch,
    TooLate,
    UnknownRevision,
    UnknownRun,
)
from rheostat.server.runs.changes import NO_CHANGES, parse_changes
from rheostat.server.runs.folding import before_and_after, fold
from rheostat.server.runs.guards import violations
from rheostat.server.runs.lineage import Generation, GenerationKey, Lineage, OwnedSteps
from rheostat.server.runs.reach import Progress, begun_at, require_advance, require_near
from rheostat.server.runs.revision import Note, Revision, RevisionKind
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


@dataclass
class Stored:
    """A run as a database would have it; revisions stand under their numbers."""

    id: str
    spec: RunSpec
    generations: list[Generation] = field(default_factory=list)
    revisions: dict[int, Revision] = field(default_factory=dict)
    begins: int = 0
    end: int | None = None
    total: int | None = None

    @property
    def current(self) -> Generation:
        """The current generation."""
        return self.generations[-1]

    @property
    def following(self) -> int:
        """The number of the next revision."""
        return len(self.revisions) + 1

    def ruling(self, number: int) -> list[Revision]:
        """Return the revisions of a generation that put something in force, in folding order."""
        mine = (r for r in self.revisions.values() if r.generation == number and r.folds)
        return sorted(mine, key=lambda r: r.folding_order)

    def upcoming(self) -> tuple[Timelines, list[Revision]]:
        """Return what is in force where nothing is settled, and the pending revisions."""
        settled = self.current.settled_until
        pending = [r for r in self.ruling(self.current.key.number) if r.pending(settled)]
        fixed = [r for r in self.ruling(self.current.key.number) if r not in pending]
        return fixed[-1].timelines, pending

    def history(self, number: int) -> Timelines:
        """Return what an earlier revision put in force."""
        revision = self.revision(number)
        waits = revision.pending(self.generations[revision.generation - 1].settled_until)
        if not revision.folds or (waits and not self._kept(revision)):
            raise Invalid("it put nothing in force")
        return revision.timelines

    def _kept(self, revision: Revision) -> bool:
        """Whether the current generation branched from the revision's, at its step or later."""
        child = self.current
        while child.parent is not None and child.parent.run_id == self.id:
            if child.parent.number == revision.generation:
                return revision.effective <= child.start
            child = self.generations[child.parent.number - 1]
        return False

    def revision(self, number: int) -> Revision:
        """Return a revision."""
        if number not in self.revisions:
            raise UnknownRevision("there is none")
        return self.revisions[number]

    def add(self, kind: RevisionKind, effective: int, changes: Any, base: Timelines) -> Revision:
        """Add a revision that is not folded yet."""
        stored = NO_CHANGES if changes is None else self.parsed(changes)
        number, generation = self.following, self.current.key.number
        new = Revision(
            number, generation, kind, effective, stored, Note(), "", base, laid_for=self.total
        )
        self.revisions[number] = new
        return new

    def parsed(self, changes: Any) -> Any:
        """Return a request's changes."""
        return parse_changes(changes, self.spec.names, Units(self.total))


class Memory:
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
        until = settled_end(self._progress(run), request)
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
        names, values = run.spec.names, join_up(segments)
        return Block(
            run.id,
            request.generation,
            request.start,
            grid.resolution,
            names,
            in_force,
            values,
            settled,
            "",
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
        step = _effective(run, effective, expected)
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
            _effective(run, "next", expected_revision)
            return {**word(len(run.revisions), settled, pending), "total": total}
        step = _effective(run, effective, expected_revision)
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
        _require_open(run)
        revision, (base, pending) = run.revision(number), run.upcoming()
        if revision not in pending or revision.kind is RevisionKind.TOTAL:
            raise NotPending("it does not wait", state="fixed")
        left = [r for r in pending if r is not revision]
        folded = fold(base, left, run.spec.guards, run.history)
        run.revisions |= {r.number: r for r in folded}
        run.revisions[number] = replace(revision, cancelled=True)
        note = run.add(RevisionKind.CANCEL, revision.effective, None, base)
        return {
            "revision": note.number,
            "cancelled": number,
            "pending": word(0, 0, folded)["pending"],
        }

    def rewind(
        self, ref: str, to: int, source: int | None, expected: int | None, changes: Any
    ) -> dict[str, Any]:
        """Rewind a run."""
        run = self._find(ref)
        _require_open(run)
        if expected not in {None, run.current.key.number}:
            raise GenerationMismatch("somebody else was first", generation=run.current.key.number)
        parent = self._lineage(run)[source or run.current.key.number]
        base = self._branching(run, parent, to, run.following, changes)
        ended, number = run.current.settled_until, run.current.key.number + 1
        run.generations.append(Generation(GenerationKey(run.id, number), parent.key, to, to))
        new = run.add(RevisionKind.REWIND, to, None, base)
        return {
            "generation": number,
            "parent": parent.key.number,
            "from": to,
            "ended": ended,
            "revision": new.number,
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
        }

    def advance(self, ref: str, to: int, expected: int | None) -> dict[str, Any]:
        """Move a run on."""
        run = self._find(ref)
        _require_open(run)
        if expected not in {None, len(run.revisions)}:
            raise RevisionMismatch("it has moved on")
        require_advance(self._progress(run), to)
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
        run.end = settled if end is None else end
        run.add(RevisionKind.FINISH, run.end, None, Timelines({}))

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
            "pending": [r.to_json(None) for r in run.upcoming()[1]],
            "generations": [g.to_json() for g in run.generations],
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

    def _find(self, ref: str) -> Stored:
        for run in self._runs.values():
            if ref in {run.id, run.spec.name}:
                return run
        raise UnknownRun("there is none")

    def _require_free(self, name: str) -> None:
        if any(run.spec.name == name for run in self._runs.values()):
            raise NameTaken("there is one")

    def _progress(self, run: Stored) -> Progress:
        number, total = run.current.key.number, run.total
        return Progress(run.spec, self._lineage(run), number, total, run.begins, run.end)

    def _lineage(self, run: Stored) -> Lineage:
        return Lineage(run.id, [g for each in self._runs.values() for g in each.generations])


def _effective(run: Stored, wanted: Any, expected: int | None) -> int:
    _require_open(run)
    if expected not in {None, len(run.revisions)}:
        raise RevisionMismatch("it has moved on")
    settled = run.current.settled_until
    step = run.spec.grid.require("effective", settled if wanted == "next" else wanted)
    if step < settled:
        raise TooLate("it is settled")
    return step


def _require_open(run: Stored) -> None:
    if run.end is not None:
        raise Finished("it is", end=run.end)
