"""
Planted bugs: each breaks one rule of the service, in a test alone.

A plant is a function that patches the service; its docstring names the mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update
from tests.server.protocol import replicas

from rheostat.schedules.written import Words
from rheostat.server.runs import folding, settling
from rheostat.server.runs.lineage import GenerationKey, Lineage, OwnedSteps
from rheostat.server.runs.reach import Progress, require_reach
from rheostat.server.runs.revision import RevisionKind
from rheostat.server.runs.settling import BlockRequest
from rheostat.server.runs.spec import RunSpec
from rheostat.server.runs.timeline import Timeline, Timelines
from rheostat.server.store import ledger, tables, waiting, writer
from rheostat.server.store.operations import advance, join, revise, rewind, values
from rheostat.server.store.records import Records, RunRecord
from rheostat.server.store.revisions import Revisions


def unchecked_step(patch: pytest.MonkeyPatch) -> None:
    """Do not check the effective step against what is settled."""

    def effective(run: Any, wanted: Any, settled: int) -> int:
        return run.spec.grid.require("effective", settled if wanted == "next" else wanted)  # type: ignore[no-any-return]

    patch.setattr(revise, "effective_step", effective)


def answer_before_commit(patch: pytest.MonkeyPatch) -> None:
    """Send the answer, then commit."""
    run, answer = waiting.Waiting.run, waiting.Waiting.answer

    def early(operation: Any, session: Any) -> None:
        run(operation, session)
        answer(operation)

    patch.setattr(waiting.Waiting, "run", early)
    patch.setattr(waiting.Waiting, "answer", lambda _: None)
    patch.setattr(writer.Writer, "_fail", lambda *_, **_how: None)


def lost_acknowledgement(patch: pytest.MonkeyPatch) -> None:
    """Acknowledge what a failed commit did not keep."""

    def fail(_writer: Any, group: Any, _error: Exception, *, sure: bool) -> None:
        for each in group:
            each.answer()

    patch.setattr(writer.Writer, "_fail", fail)


def stale_revisions(patch: pytest.MonkeyPatch) -> None:
    """Remember the revisions in force of each generation, and never look again."""
    rows = Revisions._rows_in_force
    heads: dict[GenerationKey, int] = {}

    def cached(revisions: Revisions, owned: OwnedSteps, head: int | None) -> Any:
        return rows(revisions, owned, head and heads.setdefault(owned.owner, head))

    patch.setattr(Revisions, "_rows_in_force", cached)


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """Let workers of an older generation go on."""
    fenced = settling.settled_end

    def unfenced(progress: Progress, request: BlockRequest, left: Any = None) -> int | None:
        return fenced(replace(progress, generation=request.generation), request, left)

    patch.setattr(values, "settled_end", unfenced)


def any_checkpoint(patch: pytest.MonkeyPatch) -> None:
    """Accept a checkpoint of any generation on the line, though it lies beyond a branch."""
    require = Lineage.require_resumable

    def at_once(
        lineage: Lineage, current: int, checkpoint: GenerationKey, _step: int, grid: Any
    ) -> None:
        require(lineage, current, checkpoint, 0, grid)

    patch.setattr(Lineage, "require_resumable", at_once)


def two_steps(patch: pytest.MonkeyPatch) -> None:
    """Apply the second parameter of a revision one step later."""
    apply = folding._apply

    def apart(base: Timelines, revision: Any, history: Any) -> Timelines:
        after = apply(base, revision, history)
        late = sorted(revision.changes)[1:]
        at = revision.effective
        mixed = {
            name: Timeline((*base[name].after(at)[:1], *after[name].after(at + 1))) for name in late
        }
        return after.replaced(mixed)

    patch.setattr(folding, "_apply", apart)


def no_ledger(patch: pytest.MonkeyPatch) -> None:
    """Compute again what was handed out, instead of reading it from the ledger."""
    patch.setattr(ledger, "read", lambda *_: iter(()))
    patch.setattr(Records, "append", lambda *_: None)


def rounded_step(patch: pytest.MonkeyPatch) -> None:
    """Round an explicit step up to a block of eight."""
    effective = revise.effective_step

    def rounded(run: Any, wanted: Any, settled: int) -> int:
        step = effective(run, wanted, settled)
        return step if wanted == "next" else -(-step // 8) * 8

    patch.setattr(revise, "effective_step", rounded)


def old_expansion(patch: pytest.MonkeyPatch) -> None:
    """Keep what a pending edit expanded to, though an earlier replacement came after it."""
    patch.setattr(revise, "_update", lambda *_: None)


def old_name(patch: pytest.MonkeyPatch) -> None:
    """Answer for a name from the cache of the run that had it before."""
    preview = values.preview
    known: dict[Any, Any] = {}

    def cached(records: Records, ref: str, ask: Any) -> Any:
        block = preview(records, ref, ask)
        return (
            known.setdefault((ref, ask), block)
            if all(block.final)
            else known.get((ref, ask), block)
        )

    patch.setattr(values, "preview", cached)


def late_next(patch: pytest.MonkeyPatch) -> None:
    """Let "next" land one cell later than it must."""
    effective = revise.effective_step

    def late(run: Any, wanted: Any, settled: int) -> int:
        step = effective(run, wanted, settled)
        return step + run.spec.resolution if wanted == "next" else step

    patch.setattr(revise, "effective_step", late)


def shared_cell(patch: pytest.MonkeyPatch) -> None:
    """Take the cell at which a generation branches from its parent."""

    def owners(lineage: Lineage, number: int, start: int, stop: int) -> list[OwnedSteps]:
        parts: list[OwnedSteps] = []
        for generation in lineage.line(number):
            branch = generation.start + (1 if generation.parent else 0)
            if (first := max(start, branch)) < stop:
                parts.append(OwnedSteps(generation.key, first, stop))
            stop = min(stop, branch)
        return parts[::-1]

    patch.setattr(Lineage, "owners", owners)


def blind_write(patch: pytest.MonkeyPatch) -> None:
    """Ignore the revision that an operator expects."""
    patch.setattr(revise, "require_revision", lambda *_: None)


def blind_advance(patch: pytest.MonkeyPatch) -> None:
    """Ignore the revision that an operator expects who moves a run on."""
    patch.setattr(advance, "require_revision", lambda *_: None)


def two_watchdogs(patch: pytest.MonkeyPatch) -> None:
    """Ignore the generation that a watchdog expects."""
    patch.setattr(rewind, "_require_generation", lambda *_: None)


def repeated_effect(patch: pytest.MonkeyPatch) -> None:
    """Do a request again that is sent again with its key."""
    patch.setattr(replicas, "once", lambda records, _key, operation: operation(records))


def far_jump(patch: pytest.MonkeyPatch) -> None:
    """Let a worker settle as much as it likes."""
    reach = require_reach

    def unlimited(progress: Progress, *asked: int) -> None:
        spec = progress.spec.model_copy(update={"max_jump": 10**9})
        reach(replace(progress, spec=spec), *asked)

    patch.setattr(settling, "require_reach", unlimited)


def no_gap(patch: pytest.MonkeyPatch) -> None:
    """Let a worker begin a read wherever it ends near enough."""
    patch.setattr(RunSpec, "max_gap", 10**9)


def endless(patch: pytest.MonkeyPatch) -> None:
    """Let a worker read on past the total."""
    reach = require_reach
    patch.setattr(
        settling, "require_reach", lambda progress, *s: reach(replace(progress, total=None), *s)
    )


def total_to_the_step(patch: pytest.MonkeyPatch) -> None:
    """Refuse the cells that are read past the last update."""
    reach = require_reach

    def exact(progress: Progress, start: int, stop: int) -> None:
        reach(progress, start, stop + progress.spec.max_block * progress.spec.resolution)

    patch.setattr(settling, "require_reach", exact)


def begun_twice(patch: pytest.MonkeyPatch) -> None:
    """Forget that a training has said where it begins."""
    _let_begin(patch, lambda progress: replace(progress, begins=0))


def begun_late(patch: pytest.MonkeyPatch) -> None:
    """Let a training begin in the middle of a run that has trained."""
    _let_begin(patch, lambda s: replace(s, spec=s.spec.model_copy(update={"max_jump": 10**9})))


def begun_in_fork(patch: pytest.MonkeyPatch) -> None:
    """Let a training begin in the middle of a run that has another one's past."""

    def rootless(progress: Progress) -> Progress:
        orphans = [replace(past, parent=None) for past in progress.lineage]
        return replace(progress, lineage=Lineage(progress.lineage[1].key.run_id, orphans))

    _let_begin(patch, rootless)


def begun_after_rewind(patch: pytest.MonkeyPatch) -> None:
    """Let a training begin in the middle in a later generation."""
    _let_begin(patch, lambda progress: replace(progress, generation=1))


def _let_begin(patch: pytest.MonkeyPatch, seen: Callable[[Progress], Progress]) -> None:
    unbegun = Progress.unbegun.fget  # type: ignore[attr-defined]
    patch.setattr(Progress, "unbegun", property(lambda progress: unbegun(seen(progress))))


def begun_in_vain(patch: pytest.MonkeyPatch) -> None:
    """Write down where a training begins, and settle nothing of what it skips."""

    def begin(records: Records, run: Any, _lineage: Any, step: int, _author: Any) -> None:
        records.change(run.id, begins=step)

    patch.setattr(join, "_begin", begin)


def checkpoint_from_nowhere(patch: pytest.MonkeyPatch) -> None:
    """Accept a checkpoint from far beyond what is settled."""
    patch.setattr(join, "require_near", lambda *_: None)


def postponed_change(patch: pytest.MonkeyPatch) -> None:
    """Let a pending change that a run is moved past wait for the new end of what is settled."""
    move = advance.advance
    effective = tables.revisions.c.effective

    def late(records: Records, ref: str, request: Any) -> Any:
        run = records.find(ref)
        since = records.lineage(run)[run.generation].settled_until
        answer = move(records, ref, request)
        waiting = update(tables.revisions).where(effective >= since, effective < request.to)
        records.connection.execute(waiting.values(effective=request.to))
        return answer

    patch.setattr(advance, "advance", late)


def unsettled_advance(patch: pytest.MonkeyPatch) -> None:
    """Move a run on in words alone."""
    settle = Records.settle

    def only_read(
        records: Records, owner: GenerationKey, until: int, event: int, read: Any
    ) -> None:
        if read is not None and read.stop == until:
            settle(records, owner, until, event, read)

    patch.setattr(Records, "settle", only_read)


def preview_settles(patch: pytest.MonkeyPatch) -> None:
    """Call final in a preview what is open."""
    preview = values.preview

    def final(*args: Any, **rest: Any) -> Any:
        block = preview(*args, **rest)
        return replace(block, settled_until=block.start + block.count * block.resolution)

    patch.setattr(values, "preview", final)


def dropped_revision(patch: pytest.MonkeyPatch) -> None:
    """Drop a revision that is effective at the very step of a rewind."""
    at = Revisions.in_force_at

    def below(revisions: Revisions, owner: GenerationKey, step: int) -> Any:
        found = at(revisions, owner, step)
        dropped = found.effective == step and found.kind is RevisionKind.CHANGE
        return at(revisions, owner, step - 1) if dropped else found

    patch.setattr(Revisions, "in_force_at", below)


def moved_boundary(patch: pytest.MonkeyPatch) -> None:
    """Lay words out anew for a new total, what has passed with the rest."""
    moved = Words.moved

    def anew(words: Words, total: int, now: int, origin: int) -> Words:
        return replace(moved(words, total, now, origin), kept=None)

    patch.setattr(Words, "moved", anew)


def total_lost(patch: pytest.MonkeyPatch) -> None:
    """Go back to the total of the creation with a rewind."""
    change = Records.change

    def back(records: Records, run_id: str, **values: Any) -> None:
        lost = {"total": records.find(run_id).spec.total} if "generation" in values else {}
        change(records, run_id, **values, **lost)

    patch.setattr(Records, "change", back)


def old_layout(patch: pytest.MonkeyPatch) -> None:
    """Keep a pending definition laid out for the total of before."""
    around = folding.before_and_after

    def unchanged(new: Any, pending: Any) -> Any:
        earlier, later = around(new, pending)
        return earlier, pending[len(pending) - len(later) :]

    patch.setattr(revise, "before_and_after", unchanged)


def old_future(patch: pytest.MonkeyPatch) -> None:
    """Bring back with a rewind what an older total had laid out, though the newer one stays."""
    patch.setattr(folding, "LAYING_OUT", frozenset({RevisionKind.TOTAL}))


def late_total(patch: pytest.MonkeyPatch) -> None:
    """Read shares of the total in later changes by the total of the creation."""

    def units(run: RunRecord, given: Any) -> Any:
        return run.spec.units(given, run.spec.total)

    patch.setattr(RunRecord, "units", units)


def total_cancelled(patch: pytest.MonkeyPatch) -> None:
    """Let a pending total be cancelled, as if it were a change."""
    patch.setattr(revise, "_require_pending", lambda *_: None)
