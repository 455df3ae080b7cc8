"""The state machine: whatever workers and operators may do, in any order."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.server.protocol import strategies
from tests.server.protocol.running import Running, exists, few, one, step_near

FARTHEST = 1 << 14
"""Where no curve is stretched beyond: so far, fractions by halves are exact in float64."""


class Protocol(Running):
    """Values, and everything that may happen to those who have them."""

    @exists
    @rule(run=one, start=st.integers(-8, 20), count=st.integers(1, 17), old=few)
    def read(self, run: int, start: int, count: int, old: int) -> None:
        """Read what is settled, across its end, far beyond, in any generation."""
        there = self.some(run)
        first = max(there.settled + start * there.cell, 0)
        generation = max(there.current.number - old // 4, 0)
        self.checker.settle(there, first, count, generation)

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
        begins = None if start is None else step_near(there, start)
        self.checker.join(there, (left.run.id, left.number, step), begins)

    @exists
    @rule(run=one, ahead=st.integers(-2, 60))
    def begin(self, run: int, ahead: int) -> None:
        """Say that the training begins here, first or again."""
        there = self.some(run)
        self.checker.join(there, start=step_near(there, ahead))

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
        self.checker.revise(there, changes, step_near(there, ahead))

    @exists
    @rule(run=one, ahead=st.integers(-2, 40), expected=st.sampled_from([None, None, 0, -1]))
    def advance(self, run: int, ahead: int, expected: int | None) -> None:
        """Move a run on, past pending revisions maybe."""
        there = self.some(run)
        number = None if expected is None else len(there.revisions) + expected
        self.checker.advance(there, step_near(there, ahead), number)

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
        effective = "next" if ahead is None else step_near(there, ahead)
        self.checker.extend(there, total, effective, expected_revision=number)

    @exists
    @rule(run=one, changes=strategies.changes, ahead=st.integers(-1, 12), start=st.integers(0, 160))
    def look_ahead(self, run: int, changes: Any, ahead: int, start: int) -> None:
        """Ask what a revision would do, and look anywhere."""
        there = self.some(run)
        self.checker.rehearse(there, changes, step_near(there, ahead))
        self.checker.preview(there, start, 8)

    @rule(run=one, what=st.sampled_from(["create", "create", "delete", "again", "finish"]))
    def live(self, run: int, what: str) -> None:
        """Begin or end a run."""
        if what == "create" or not self.runs:
            self.checker.create(self.names[run])
        elif what == "finish":
            self.checker.finish(self.some(run), step_near(self.some(run), run))
        else:
            there = self.some(run)
            self.checker.delete(there)
            if what == "again":
                self.checker.create(there.name)
