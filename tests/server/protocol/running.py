"""What every state machine here does: runs that workers go through, and that are told to end."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.server.protocol import stops, strategies
from tests.server.protocol.checker import Checker
from tests.server.protocol.state import Run
from tests.server.protocol.systems import System

examples = itertools.count()
exists = precondition(lambda machine: bool(machine.runs))

one = st.integers(0, 1)
few = st.integers(0, 7)
cells = st.integers(1, 8)
numbers = st.sampled_from([None, None, 1, 2, 3])
some_changes = st.none() | strategies.changes


class Running(RuleBasedStateMachine):
    """Two names for runs, their workers and operators, and processes that die."""

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

    def earliest(self, _run: Run) -> int:
        """Return the first step to which a run is rewound here."""
        return 0

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

    @exists
    @rule(run=one, count=cells)
    def go_on(self, run: int, count: int) -> None:
        """Read what comes next."""
        there = self.some(run)
        self.checker.settle(there, there.settled, count)

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
        to = max(parent.settled - back * there.cell, self.earliest(there))
        self.checker.rewind(
            there,
            to,
            source=source and parent.number,
            expected=None if expected is None else there.current.number + expected,
            changes=changes,
        )

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
        effective = "next" if ahead is None else step_near(there, ahead)
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
        until = None if ahead is None else step_near(there, ahead)
        self.checker.resume(there, until, expected_revision=number)

    @exists
    @rule(run=one, name=one, back=few, generation=numbers, changes=some_changes)
    def fork(self, run: int, name: int, back: int, generation: int | None, changes: Any) -> None:
        """Fork a run at one of its last cells, or where it is."""
        source = self.some(run)
        step = None if back == 0 else max(source.settled - (back - 1) * source.cell, 0)
        self.checker.fork(
            self.names[name], source, generation=generation, step=step, changes=changes
        )

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


def step_near(run: Run, ahead: int) -> int:
    """Return a step near the end of what is settled; not always the start of a cell."""
    return max(run.settled + ahead * max(run.cell // 2, 1), 0)
