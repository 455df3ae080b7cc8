"""The state machine of workers that say what they applied, and what they saved."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.server.protocol.applying import Listing, stretches
from tests.server.protocol.running import Running, exists, few, one
from tests.server.protocol.strategies import changes

workers = st.sampled_from(["0", "0", "1", "n03:17"])
names = st.sampled_from(["lr", "wd/two", "wd"])
drawn = {
    "cells": st.lists(
        st.tuples(st.integers(0, 3), st.integers(1, 8), st.integers(1, 3)), min_size=1, max_size=3
    ),
    "slots": st.dictionaries(names, st.sampled_from(["f64", "f64", "f32"]), min_size=1),
}
right = st.builds(Listing, **drawn)
wrong = st.builds(
    Listing,
    **drawn,
    other=st.dictionaries(
        st.tuples(st.integers(0, 7), names),
        st.sampled_from([0.1, 1.0, 64.0, float("inf")]),
        max_size=2,
    ),
    sends=st.booleans(),
)
"""Windows, each with the cells that are skipped before a stretch in place of where it begins."""


class Proving(Running):
    """Windows of cells, right and wrong, of any generation; and checkpoints."""

    @exists
    @rule(run=one, given=changes)
    def revise(self, run: int, given: Any) -> None:
        """Revise a run, so that generations differ."""
        self.checker.revise(self.some(run), given)

    @exists
    @rule(run=one, back=st.integers(-1, 24), listing=right, worker=workers, old=few)
    def apply(self, run: int, back: int, listing: Listing, worker: str, old: int) -> None:
        """Say truly what was applied, with cells that are skipped and leapt over."""
        self._beat(run, back, listing, worker, old)

    @exists
    @rule(run=one, back=st.integers(0, 12), listing=wrong, worker=workers, old=few)
    def misapply(self, run: int, back: int, listing: Listing, worker: str, old: int) -> None:
        """Say that something else was applied than was given."""
        self._beat(run, back, listing, worker, old)

    def _beat(self, run: int, back: int, listing: Listing, worker: str, old: int) -> None:
        there = self.some(run)
        number = max(there.current.number - old // 4, 1)
        first = max(there.generation(number).settled - back * there.cell, 0)
        cells = [*stretches(listing.cells, first, there.cell)]
        placed = Listing(cells, listing.slots, listing.other, listing.sends)
        self.checker.beat(there, placed, worker=worker, generation=number)

    @exists
    @rule(run=one, back=st.integers(-1, 12), old=few, tag=st.sampled_from(["best", "last"]))
    def save(self, run: int, back: int, old: int, tag: str) -> None:
        """Say that something was saved, of any generation; now and then of a step to come."""
        there = self.some(run)
        number = max(there.current.number - old // 4, 1)
        step = max(there.generation(number).settled - back, 0)
        self.checker.save(there, step, tag, number)
