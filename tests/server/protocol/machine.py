"""The state machine: whatever workers and operators may do, in any order."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.server.protocol import stops, strategies
from tests.server.protocol.checker import Checker
from tests.server.protocol.state import Run
from tests.server.protocol.systems import System

FARTHEST = 1 << 14
"""Where no curve is stretched beyond: so far, fractions by halves are exact in float64."""

examples = itertools.count()
exists = precondition(lambda machine: bool(machine.runs))

one = st.integers(0, 1)
few = st.integers(0, 7)
cells = st.integers(1, 8)
numbers = st.sampled_from([None, None, 1, 2, 3])
some_changes = st.none() | strategies.changes


class Protocol(RuleBasedStateMachine):
    """Two names for runs, and everything that may happen to those who have them."""

    system: System
    """What is checked; subclasses set it."""

    def __init__(self) -> None:
        super().__init__()
        self.system.begin()
        self.checker = Checker(self.system)
        example = next(examples)
        self.names = [f"{letter}-{example}" for letter in "ab"]

    @property
    def runs(self) -> list[Run]:
        """The runs that exist."""
        return self.checker.model.runs

    def some(self, index: int) -> Run:
        """Return one of the runs."""
        return self.runs[index % len(self.runs)]

    @initialize(
        resolution=st.sampled_from([1, 1, 4]),
        count=st.integers(0, 8),
        total=st.sampled_from([None, 32, 128]),
        paused=st.sampled_from([*[False] * 7, True]),
    )
    def start(self, resolution: int, count: int, total: int | None, paused: bool) -> None:  # noqa: FBT001
        """Begin with a run that has come a little way, or has not begun."""
        run = self.checker.create(self.names[0], resolution=resolution, total=total, paused=paused)
        assert run is not None
        if count:
            self.checker.settle(run, 0, count)

    # workers

    @exists
    @rule(run=one, count=cells)
    def go_on(self, run: int, count: int) -> None:
        """Read what comes next."""
        there = self.some(run)
        self.checker.settle(there, there.settled, count)

    @exists
    @rule(run=one, start=st.integers(-8, 20), count=st.integers(1, 17), old=few)
    def read(self, run: int, start: int, count: int, old: int) -> None:
        """Read what is settled, across its end, far beyond, in any generation."""
        there = self.some(run)
        first = max(there.settled + start * there.cell, 0)
        generation = max(there.current.number - old // 4, 0)
        self.checker.settle(there, first, count, generation)

    @exists
    @rule(run=one, past=st.sampled_from([0, 0, 0, -1, 1]), old=st.sampled_from([0, 0, 0, 1]))
    def come_to_the_end(self, run: int, past: int, old: int) -> None:
        """Read up to where the run ends or holds, and there."""
        there = self.some(run)
        self._go_to_the_end(there)
        generation = there.generations[max(len(there.generations) - 1 - old, 0)]
        halts = [halt.effective for halt in stops.standing(generation)]
        step = max([*halts[:1], there.settled][0] + past * there.cell, 0)
        self.checker.settle(there, step, 1, generation.number)

    def _go_to_the_end(self, run: Run) -> None:
        """Read up to where a run ends or holds, if that is near."""
        ends = [run.end, *(halt.effective for halt in stops.standing(run.current))]
        near = run.settled + run.jump
        end = min((end for end in ends if end is not None and end <= near), default=run.settled)
        if end > run.settled:
            self.checker.settle(run, run.settled, (end - run.settled) // run.cell)

    @exists
    @rule(
        run=one,
        owner=one,
        generation=few,
        beyond=st.integers(-8, 40),
        start=st.none() | st.integers(-2, 40),
    )
    def join(self, run: int, owner: int, generation: int, beyond: int, start: int | None) -> None:
        """Come back with a checkpoint, of this run or of another one, or from beyond both."""
        there, past = self.some(run), self.some(owner).generations
        left = past[generation % len(past)]
        step = max(left.settled + beyond, 0)
        begins = None if start is None else _step(there, start)
        self.checker.join(there, (left.run.id, left.number, step), begins)

    @exists
    @rule(run=one, ahead=st.integers(-2, 60))
    def begin(self, run: int, ahead: int) -> None:
        """Say that the training begins here, first or again."""
        there = self.some(run)
        self.checker.join(there, start=_step(there, ahead))

    # operators

    @exists
    @rule(
        run=one,
        changes=strategies.changes,
        expected=st.sampled_from([None, None, None, 0, -1]),
        force=st.booleans(),
    )
    def revise(self, run: int, changes: Any, expected: int | None, force: bool) -> None:  # noqa: FBT001
        """Revise a run from the next step on."""
        there = self.some(run)
        number = None if expected is None else len(there.revisions) + expected
        self.checker.revise(there, changes, expected_revision=number, force=force)

    @exists
    @rule(run=one, changes=strategies.changes, ahead=st.integers(-2, 12))
    def revise_ahead(self, run: int, changes: Any, ahead: int) -> None:
        """Revise a run from a step on."""
        there = self.some(run)
        self.checker.revise(there, changes, _step(there, ahead))

    @exists
    @rule(run=one, ahead=st.integers(-2, 40), expected=st.sampled_from([None, None, 0, -1]))
    def advance(self, run: int, ahead: int, expected: int | None) -> None:
        """Move a run on, past pending revisions maybe."""
        there = self.some(run)
        number = None if expected is None else len(there.revisions) + expected
        self.checker.advance(there, _step(there, ahead), number)

    @exists
    @rule(run=one, times=st.sampled_from([2, 4]))
    def extend(self, run: int, times: int) -> None:
        """Stretch what remains of the learning rate, while nothing is pending."""
        there = self.some(run)
        *_, env = there.current.in_force(there.settled)
        end = env["lr"].end
        if not there.pending() and end is not None:
            stretched = max(there.settled + times * (end - there.settled), 1)
            assume(stretched <= FARTHEST)
            self.checker.revise(there, {"lr": {"edit": "extend", "end": stretched}})

    @exists
    @rule(
        run=one,
        total=strategies.totals,
        ahead=st.sampled_from([None, None, -1, 0, 2, 6, 12]),
        expected=st.sampled_from([None, None, None, 0, -1]),
    )
    def plan(self, run: int, total: int, ahead: int | None, expected: int | None) -> None:
        """Train longer, or less long, than planned."""
        there = self.some(run)
        number = None if expected is None else len(there.revisions) + expected
        effective = "next" if ahead is None else _step(there, ahead)
        self.checker.extend(there, total, effective, expected_revision=number)

    @exists
    @rule(run=one, back=st.integers(0, 4))
    def cancel(self, run: int, back: int) -> None:
        """Cancel what is pending, or what is not."""
        there = self.some(run)
        pending = stops.pending(there)
        number = pending[back % len(pending)] if pending else len(there.revisions) - back
        self.checker.cancel(there, max(number, 0))

    @exists
    @rule(
        run=one,
        back=st.integers(-1, 10),
        source=numbers,
        expected=st.sampled_from([None, None, 0, -1]),
        changes=some_changes,
    )
    def rewind(
        self, run: int, back: int, source: int | None, expected: int | None, changes: Any
    ) -> None:
        """Rewind a run by a few cells, from any generation."""
        there = self.some(run)
        parent = there.generations[(source or 0) % len(there.generations) if source else -1]
        to = max(parent.settled - back * there.cell, 0)
        self.checker.rewind(
            there,
            to,
            source=source and parent.number,
            expected=None if expected is None else there.current.number + expected,
            changes=changes,
        )

    @exists
    @rule(run=one, changes=strategies.changes, ahead=st.integers(-1, 12), start=st.integers(0, 160))
    def look_ahead(self, run: int, changes: Any, ahead: int, start: int) -> None:
        """Ask what a revision would do, and look anywhere."""
        there = self.some(run)
        self.checker.rehearse(there, changes, _step(there, ahead))
        self.checker.preview(there, start, 8)

    @exists
    @rule(
        run=one,
        what=st.sampled_from(["stop", "pause", "signal"]),
        word=st.sampled_from([None, "checkpoint", "evaluate"]),
        ahead=st.sampled_from([None, None, -1, 0, 2, 4, 8, 16]),
        expected=st.sampled_from([*[None] * 6, 0, -1]),
    )
    def tell(
        self, run: int, what: str, word: str | None, ahead: int | None, expected: int | None
    ) -> None:
        """Have all ranks end, wait, or hear a word, at one step."""
        there = self.some(run)
        number = None if expected is None else len(there.revisions) + expected
        effective = "next" if ahead is None else _step(there, ahead)
        if what == "signal":
            self.checker.signal(there, word or "stop", effective, expected_revision=number)
        else:
            hold = what == "pause"
            self.checker.halt(there, effective, hold=hold, word=word, expected_revision=number)

    @exists
    @rule(
        run=one,
        come=st.booleans(),
        ahead=st.sampled_from([None, None, -1, 1, 2, 4, 8]),
        expected=st.sampled_from([*[None] * 6, 0, -1]),
    )
    def resume(self, run: int, come: bool, ahead: int | None, expected: int | None) -> None:  # noqa: FBT001
        """Let a run go on that waits, or does not."""
        there = self.some(run)
        if come:
            self._go_to_the_end(there)
            self.checker.halt(there, hold=True, word="checkpoint" if run else None)
            self.checker.settle(there, there.settled, 1)
        number = None if expected is None else len(there.revisions) + expected
        until = None if ahead is None else _step(there, ahead)
        self.checker.resume(there, until, expected_revision=number)

    # runs and processes

    @exists
    @rule(run=one, name=one, back=few, generation=numbers, changes=some_changes)
    def fork(self, run: int, name: int, back: int, generation: int | None, changes: Any) -> None:
        """Fork a run at one of its last cells, or where it is."""
        source = self.some(run)
        step = None if back == 0 else max(source.settled - (back - 1) * source.cell, 0)
        self.checker.fork(
            self.names[name], source, generation=generation, step=step, changes=changes
        )

    @rule(run=one, what=st.sampled_from(["create", "create", "delete", "again", "finish"]))
    def live(self, run: int, what: str) -> None:
        """Begin or end a run."""
        if what == "create" or not self.runs:
            self.checker.create(self.names[run])
        elif what == "finish":
            self.checker.finish(self.some(run), _step(self.some(run), run))
        else:
            there = self.some(run)
            self.checker.delete(there)
            if what == "again":
                self.checker.create(there.name)

    @rule(what=st.sampled_from(["replica", "everything", "upgrade"]))
    def restart(self, what: str) -> None:
        """Stop one process or all of them, and start again, maybe with another arithmetic."""
        if what == "upgrade":
            self.checker.upgrade()
        else:
            self.checker.restart(every=what == "everything")

    @rule(index=st.integers(0, 63))
    def repeat(self, index: int) -> None:
        """Send an earlier request again."""
        self.checker.repeat(index)

    @rule(done=st.booleans())
    def lose(self, done: bool) -> None:  # noqa: FBT001
        """Let the next commit fail, done or not: whoever asks sends the same request again."""
        self.system.lose(done=done)

    def teardown(self) -> None:
        """Compare all that was ever handed out with the ledger."""
        if self.checker.sound:
            self.checker.look_back()


def _step(run: Run, ahead: int) -> int:
    """Return a step near the end of what is settled; not always the start of a cell."""
    return max(run.settled + ahead * max(run.cell // 2, 1), 0)
