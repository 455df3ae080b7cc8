"""
Planted bugs: each breaks one rule of the service, in a test alone.

A plant is a function that patches the service; its docstring names the mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.server.protocol import replicas

from rheostat.server.runs import folding, settling
from rheostat.server.runs.lineage import Key, Lineage, Stretch
from rheostat.server.runs.revision import RevisionKind
from rheostat.server.runs.timeline import Timeline, Timelines
from rheostat.server.store import ledger, writer
from rheostat.server.store.operations import revise, rewind, values
from rheostat.server.store.records import Records
from rheostat.server.store.revisions import Revisions

Plant = Callable[[pytest.MonkeyPatch], None]


def unchecked_step(patch: pytest.MonkeyPatch) -> None:
    """Do not check the effective step against what is settled."""

    def effective(run: Any, wanted: Any, settled: int) -> int:
        return run.spec.grid.require("effective", settled if wanted == "next" else wanted)  # type: ignore[no-any-return]

    patch.setattr(revise, "_effective", effective)


def answer_before_commit(patch: pytest.MonkeyPatch) -> None:
    """Send the answer, then commit."""
    run, answer = writer._Waiting.run, writer._Waiting.answer

    def early(waiting: Any, session: Any) -> None:
        run(waiting, session)
        answer(waiting)

    patch.setattr(writer._Waiting, "run", early)
    patch.setattr(writer._Waiting, "answer", lambda _waiting: None)
    patch.setattr(writer.Writer, "_fail", lambda *_: None)


def lost_acknowledgement(patch: pytest.MonkeyPatch) -> None:
    """Acknowledge what a failed commit did not keep."""

    def fail(_writer: Any, group: Any, _error: Exception) -> None:
        for waiting in group:
            waiting.answer()

    patch.setattr(writer.Writer, "_fail", fail)


def stale_revisions(patch: pytest.MonkeyPatch) -> None:
    """Remember the revisions in force of each generation, and never look again."""
    rulers = Revisions._rulers
    heads: dict[Key, int] = {}

    def cached(revisions: Revisions, stretch: Stretch, head: int | None) -> Any:
        return rulers(revisions, stretch, head and heads.setdefault(stretch.owner, head))

    patch.setattr(Revisions, "_rulers", cached)


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """Let workers of an older generation go on."""
    patch.setattr(settling, "_raise_stale", lambda *_: None)


def any_checkpoint(patch: pytest.MonkeyPatch) -> None:
    """Accept a checkpoint of any generation on the line, though it lies beyond a branch."""
    require = Lineage.require_resumable

    def at_once(lineage: Lineage, current: int, checkpoint: Key, _step: int, grid: Any) -> None:
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
    effective = revise._effective

    def rounded(run: Any, wanted: Any, settled: int) -> int:
        step = effective(run, wanted, settled)
        return step if wanted == "next" else -(-step // 8) * 8

    patch.setattr(revise, "_effective", rounded)


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
    effective = revise._effective

    def late(run: Any, wanted: Any, settled: int) -> int:
        step = effective(run, wanted, settled)
        return step + run.spec.resolution if wanted == "next" else step

    patch.setattr(revise, "_effective", late)


def shared_cell(patch: pytest.MonkeyPatch) -> None:
    """Take the cell at which a generation branches from its parent."""

    def owners(lineage: Lineage, number: int, start: int, stop: int) -> list[Stretch]:
        stretches: list[Stretch] = []
        for generation in lineage.line(number):
            branch = generation.start + (1 if generation.parent else 0)
            if (first := max(start, branch)) < stop:
                stretches.append(Stretch(generation.key, first, stop))
            stop = min(stop, branch)
        return stretches[::-1]

    patch.setattr(Lineage, "owners", owners)


def blind_write(patch: pytest.MonkeyPatch) -> None:
    """Ignore the revision that an operator expects."""
    patch.setattr(revise, "_require_revision", lambda *_: None)


def two_watchdogs(patch: pytest.MonkeyPatch) -> None:
    """Ignore the generation that a watchdog expects."""
    patch.setattr(rewind, "_require_generation", lambda *_: None)


def repeated_effect(patch: pytest.MonkeyPatch) -> None:
    """Do a request again that is sent again with its key."""
    patch.setattr(replicas, "once", lambda records, _key, operation: operation(records))


def far_jump(patch: pytest.MonkeyPatch) -> None:
    """Let a worker that resumes settle as much as it likes."""
    end = settling.settled_end

    def unlimited(spec: Any, *rest: Any) -> int | None:
        return end(spec.model_copy(update={"max_jump": 10**9}), *rest)

    patch.setattr(values, "settled_end", unlimited)


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

    def below(revisions: Revisions, owner: Key, step: int) -> Any:
        found = at(revisions, owner, step)
        dropped = found.effective == step and found.kind is RevisionKind.CHANGE
        return at(revisions, owner, step - 1) if dropped else found

    patch.setattr(Revisions, "in_force_at", below)
