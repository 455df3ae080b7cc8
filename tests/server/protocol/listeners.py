"""The state machine of a run that listens: reports, controllers, proposals, outcomes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from tests.server.protocol import strategies
from tests.server.protocol.running import Running, cells, exists, few, one, step_near
from tests.server.protocol.state import Run

sources = st.sampled_from(["main", "main", "other"])
names = st.sampled_from(["a", "b"])
values = st.sampled_from([1.0, 1.0, 2.0, 0.5, 0.25, float("nan")])
rare = st.sampled_from([*[None] * 6, 0, -1])
"""Which revision somebody expects: any, the newest one, or the one before."""


class Listening(Running):
    """Reports of two sources to two controllers."""

    @initialize(
        resolution=st.sampled_from([1, 1, 4]),
        config=strategies.controllers,
        gate=st.sampled_from([None, None, 4, 6]),
    )
    def start(self, resolution: int, config: Any, gate: int | None) -> None:
        """Begin with a run that listens."""
        run = self.checker.create(self.names[0], resolution=resolution)
        assert run is not None
        if gate is not None:
            config = {**config, "effective": "next", "gate": {"every": gate}}
        self.checker.arm(run, "a", config)

    def earliest(self, run: Run) -> int:
        """Return where a run begins: a fork remembers its source's reports as they were there."""
        return run.generations[0].start

    @exists
    @rule(run=one, count=cells, value=values, both=st.booleans())
    def train(self, run: int, count: int, value: float, both: bool) -> None:  # noqa: FBT001
        """Go on, and say at the end what came of it."""
        there = self.some(run)
        self.checker.settle(there, there.settled, count)
        self.checker.report(there, (there.settled, value))
        if both:
            self.checker.report(there, (there.settled, value / 2), source="other")

    @exists
    @rule(
        run=one,
        ahead=st.integers(-16, 1),
        found=st.lists(values, min_size=1, max_size=3),
        source=sources,
        old=few,
        metric=st.sampled_from(["loss", "loss", "loss", "accuracy"]),
    )
    def report(
        self, run: int, ahead: int, found: list[float], source: str, old: int, metric: str
    ) -> None:
        """Report again, late, from a generation that was left, or what nobody can have seen."""
        there = self.some(run)
        generation = max(there.current.number - old // 4, 1)
        last = there.generation(generation).settled
        half = max(there.cell // 2, 1)
        steps = [max(last + (ahead + index) * half, 0) for index in range(len(found))]
        points = zip(dict.fromkeys(steps), found, strict=False)
        self.checker.report(there, *points, source=source, generation=generation, metric=metric)

    @exists
    @rule(
        run=one,
        name=names,
        config=strategies.controllers,
        keep=st.booleans(),
        force=st.booleans(),
        expected=st.sampled_from([*[None] * 6, 1]),
    )
    def arm(
        self,
        run: int,
        name: str,
        config: Any,
        keep: bool,  # noqa: FBT001
        force: bool,  # noqa: FBT001
        expected: int | None,
    ) -> None:
        """Arm a controller, or another one in its place."""
        there = self.some(run)
        self.checker.arm(there, name, config, keep=keep, force=force, expected=expected)

    @exists
    @rule(run=one, name=names, what=st.sampled_from(["reset", "disarm"]))
    def forget(self, run: int, name: str, what: str) -> None:
        """Have a controller forget what it remembers, or listen no more."""
        getattr(self.checker, what)(self.some(run), name)

    @exists
    @rule(run=one, back=st.integers(0, 6), reset=names)
    def rewind_anew(self, run: int, back: int, reset: str) -> None:
        """Rewind a run, where one controller begins anew."""
        there = self.some(run)
        to = max(there.settled - back * there.cell, self.earliest(there))
        self.checker.rewind(there, to, reset=[reset])

    @exists
    @rule(run=one, ahead=st.integers(-2, 40))
    def advance(self, run: int, ahead: int) -> None:
        """Move a run on, past a gate maybe."""
        there = self.some(run)
        self.checker.advance(there, step_near(there, ahead))

    @exists
    @rule(
        run=one,
        what=st.sampled_from(["change", "stop", "pause", "signal"]),
        changes=strategies.changes,
        ahead=st.sampled_from([None, None, 0, 4, 8]),
    )
    def propose(self, run: int, what: str, changes: Any, ahead: int | None) -> None:
        """Suggest something."""
        there = self.some(run)
        asked = {"change": changes, "signal": "evaluate"}.get(what)
        effective = "next" if ahead is None else step_near(there, ahead)
        self.checker.propose(there, what, asked, effective)

    @exists
    @rule(run=one, back=few, yes=st.booleans(), expected=rare)
    def decide(self, run: int, back: int, yes: bool, expected: int | None) -> None:  # noqa: FBT001
        """Say yes or no to a proposal, open or not."""
        there = self.some(run)
        number = max(len(there.proposals) - back // 2, 0)
        seen = None if expected is None else len(there.revisions) + expected
        (self.checker.accept if yes else self.checker.decline)(there, number, seen)

    @exists
    @rule(run=one, back=few, word=st.sampled_from(["done", "failed"]), source=sources)
    def say(self, run: int, back: int, word: str, source: str) -> None:
        """Say what became of a signal, or of what is none."""
        there = self.some(run)
        spoken = [each.number for each in there.revisions if each.word]
        number = spoken[-1 - back % len(spoken)] if spoken else len(there.revisions)
        step = max(there.settled + 1 - back, 0)
        self.checker.outcome(there, number, (word, step), source)

    @exists
    @rule(run=one, ahead=st.integers(-1, 2))
    def finish(self, run: int, ahead: int) -> None:
        """Finish a run."""
        there = self.some(run)
        if ahead == 2:
            self.checker.finish(there, step_near(there, ahead))
