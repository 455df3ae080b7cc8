"""Planted bugs of what ends, holds and listens: each breaks one rule, in a test alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete

from rheostat.controllers import Controller
from rheostat.controllers.sources import Sources
from rheostat.server.runs import settling
from rheostat.server.runs.barriers import Barriers, Stop, require_way
from rheostat.server.runs.control.armed import Head
from rheostat.server.store import tables
from rheostat.server.store.controllers import Controllers
from rheostat.server.store.operations import (
    carry,
    decide,
    propose,
    report,
    revise,
    rewind,
    signal,
    values,
)
from rheostat.server.store.proposals import Proposals
from rheostat.server.store.records import Records, RunRecord
from rheostat.server.store.reports import Reports


def one_more_block(patch: pytest.MonkeyPatch) -> None:
    """Let a block that reaches across a stop pass."""

    def late(barriers: Any, stop: int, **rest: Any) -> None:
        met = barriers.nearest
        if met is None or stop > met.effective + 16:
            require_way(barriers, stop, **rest)

    patch.setattr(settling, "require_way", late)


def told_in_vain(patch: pytest.MonkeyPatch) -> None:
    """Forget whom a stop or a signal was told."""
    patch.setattr(values, "_tell", lambda *asked: asked[-1])


def told_early(patch: pytest.MonkeyPatch) -> None:
    """Take a read that only reaches across a stop for a worker that has ended by it."""
    tell = values._tell

    def at_once(records: Records, run: RunRecord, request: Any, refusal: Any) -> Any:
        return tell(records, run, replace(request, start=refusal.limit), refusal)

    patch.setattr(values, "_tell", at_once)


def fenced_before_told(patch: pytest.MonkeyPatch) -> None:
    """Fence off, as stale, the ranks that have yet to hear of the stop by which others ended."""
    patch.setattr(values, "_left", lambda *_: None)


def stopped_for_ever(patch: pytest.MonkeyPatch) -> None:
    """Keep stops and pauses past a rewind."""
    patch.setattr(rewind, "replace", lambda barriers, **_: barriers)


def stop_resumed(patch: pytest.MonkeyPatch) -> None:
    """Lift stops with the pauses at which a run holds."""

    def held(barriers: Barriers, settled: int) -> tuple[Stop, ...]:
        return tuple(stop for stop in barriers.stops if stop.effective <= settled)

    patch.setattr(Barriers, "held", held)


def pause_before_stop(patch: pytest.MonkeyPatch) -> None:
    """Hold at a step at which the run is stopped as well."""
    patch.setattr(Stop, "place", property(lambda s: (s.effective, not s.hold, s.revision)))


def skipped_word(patch: pytest.MonkeyPatch) -> None:
    """Tell a block the signals of its own cells alone, so that strides miss those between."""

    def own(block: Any, _settled: int, **_how: Any) -> Any:
        return [said for said in block.signals if said.at >= block.start]

    _tell_of_signals(patch, own)


def word_to_the_first(patch: pytest.MonkeyPatch) -> None:
    """Tell a signal to the rank alone whose read settles its step."""

    def new(block: Any, settled: int, *, keep: bool) -> Any:
        stop = block.start + block.count * block.resolution
        return block.signals if not keep or stop > settled else []

    _tell_of_signals(patch, new)


def _tell_of_signals(patch: pytest.MonkeyPatch, of: Callable[..., Any]) -> None:
    make = values._block

    def made(*asked: Any, keep: bool) -> Any:
        block = make(*asked, keep=keep)
        return replace(block, signals=of(block, block.settled_until, keep=keep))

    patch.setattr(values, "_block", made)


def two_words(patch: pytest.MonkeyPatch) -> None:
    """Say a word twice at a step."""
    patch.setattr(signal, "require_sayable", lambda *_: None)


def finished_past_stop(patch: pytest.MonkeyPatch) -> None:
    """Let a run be finished at an end past the stop by which workers have ended."""
    patch.setattr(Barriers, "told", None)


def kept_again(patch: pytest.MonkeyPatch) -> None:
    """Keep a report that comes again in place of the first."""
    there = tables.reports.c

    def forgotten(reports: Reports, run_id: str, source: str, keys: Any) -> Any:
        for key in keys:
            same = (there.run_id == run_id, there.source == source, there.step == key.step)
            reports._transaction.connection.execute(delete(tables.reports).where(*same))
        return {}

    patch.setattr(Reports, "known", forgotten)


def decided_twice(patch: pytest.MonkeyPatch) -> None:
    """Consume the newest report again when it is repeated."""
    patch.setattr(Head, "takes", lambda head, step: head.step is None or step >= head.step)
    consume, there = Controllers.consume, tables.consumed.c

    def anew(controllers: Controllers, run_id: str, armed: Any, rows: Any) -> None:
        for row in rows:
            key = (there.run_id == run_id, there.controller == row.controller)
            same = delete(tables.consumed).where(*key, there.step == row.step)
            controllers._transaction.connection.execute(same)
        consume(controllers, run_id, armed, rows)

    patch.setattr(Controllers, "consume", anew)


def consumed_late(patch: pytest.MonkeyPatch) -> None:
    """Consume a report that comes after a newer one."""
    patch.setattr(Head, "takes", lambda *_: True)


def from_beyond(patch: pytest.MonkeyPatch) -> None:
    """Take reports of steps that a rewind has left."""
    patch.setattr(report, "require_place", lambda *_: None)


def forgotten_state(patch: pytest.MonkeyPatch) -> None:
    """Begin anew in each generation, whatever was consumed before its start."""
    _carry_otherwise(patch, lambda head, armed: replace(head, state=armed.controller.initial()))


def forgotten_place(patch: pytest.MonkeyPatch) -> None:
    """Consume in each generation again what was consumed before its start."""
    _carry_otherwise(patch, lambda head, _: replace(head, step=None))


def _carry_otherwise(patch: pytest.MonkeyPatch, of: Callable[[Head, Any], Head]) -> None:
    remembered = carry.remembered_at

    def otherwise(*asked: Any) -> Head:
        return of(remembered(*asked), asked[4])

    patch.setattr(carry, "remembered_at", otherwise)


def kept_beyond(patch: pytest.MonkeyPatch) -> None:
    """Keep what was decided on a report beyond a rewind."""
    made = Controllers.made

    def all_made(controllers: Controllers, run_id: str, line: Any, past: int) -> Any:
        return made(controllers, run_id, dict.fromkeys(line, 2**53), past)

    patch.setattr(Controllers, "made", all_made)


def lost_at_rewind(patch: pytest.MonkeyPatch) -> None:
    """Drop with a rewind what was decided on a report before it."""
    carried = carry.carried
    patch.setattr(rewind, "carried", lambda *asked: replace(carried(*asked), again=()))


def revived(patch: pytest.MonkeyPatch) -> None:
    """Make a decision again that was taken back."""

    def is_change(revision: Any, to: int) -> bool:
        return revision is not None and revision.effective > to

    patch.setattr(carry, "_is_change", is_change)


def unrelieved(patch: pytest.MonkeyPatch) -> None:
    """Have a controller count on after its decision was taken back."""
    patch.setattr(revise, "relieve", lambda *_: None)


def as_they_came(patch: pytest.MonkeyPatch) -> None:
    """Add the values of several sources up in the order in which they came."""

    def summed(_sources: Sources, values: Any) -> float:
        return float(sum(values.values()) / len(values))

    patch.setattr(Sources, "reduced", summed)


def whoever_comes_first(patch: pytest.MonkeyPatch) -> None:
    """Decide before all sources have reported."""
    patch.setattr(Sources, "complete", lambda *_: True)


def last_name_first(patch: pytest.MonkeyPatch) -> None:
    """Have controllers decide in another order than that of their names."""
    emit = decide.emit

    def backwards(records: Records, run_id: str, armed: Any, *rest: Any) -> Any:
        return emit(records, run_id, armed[::-1], *rest)

    patch.setattr(report, "emit", backwards)


def at_once(patch: pytest.MonkeyPatch) -> None:
    """Let what is to land some steps after its report land as soon as it can."""
    patch.setattr(Controller, "effective_step", lambda *_: None)


def no_gate(patch: pytest.MonkeyPatch) -> None:
    """Let workers pass a gate before the metric was reported."""
    patch.setattr(Barriers, "gate", lambda *_: None)


def endless_limit(patch: pytest.MonkeyPatch) -> None:
    """Let a controller decide more often than it may."""
    patch.setattr(decide, "is_used_up", lambda *_: False)


def accepted_twice(patch: pytest.MonkeyPatch) -> None:
    """Accept a proposal though that was decided."""

    def found(records: Records, ref: str, number: int, _decision: Any) -> Any:
        run = records.find(ref, lock=True)
        return run, records.proposals.one(run.id, number)

    patch.setattr(propose, "_find_open", found)


def open_for_ever(patch: pytest.MonkeyPatch) -> None:
    """Keep proposals open past a rewind."""
    patch.setattr(Proposals, "expire", lambda *_: None)
