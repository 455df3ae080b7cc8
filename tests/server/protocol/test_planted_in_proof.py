"""Planted bugs of what workers applied and saved: the check finds each of them."""

# ruff: noqa: D401 - a story says what happens, not what to do

from __future__ import annotations

from typing import Any

import pytest
from tests.server.protocol import plants_of_proof as plants
from tests.server.protocol.applying import Listing
from tests.server.protocol.checker import Checker
from tests.server.protocol.state import Run
from tests.server.protocol.telling import Plant, Story, Tell, assert_caught, plants_in

HALVE = {"lr": {"edit": "scale", "factor": 0.5}}
BOTH: dict[str, Any] = {"lr": "f64", "wd": "f64"}


def listed(checker: Checker, run: Run, *cells: tuple[int, int, int], **rest: Any) -> None:
    """A worker lists what it applied, as it was given."""
    checker.beat(run, Listing(cells, BOTH), **rest)


def trained(checker: Checker, run: Run) -> None:
    """Workers list what they applied before and after a rewind that halves the rate."""
    for worker in ("0", "1"):
        listed(checker, run, (0, 8, 1), worker=worker)
    checker.rewind(run, 4, changes=HALVE)
    checker.settle(run, 4, 8)
    for worker in ("0", "1"):
        listed(checker, run, (0, 8, 1), worker=worker)
        listed(checker, run, (1, 7, 1), worker=worker, generation=1)


def strode(checker: Checker, run: Run) -> None:
    """A worker applies every third cell, and skips some."""
    listed(checker, run, (0, 2, 3), (5, 1, 1), (7, 1, 1))


def halved(checker: Checker, run: Run) -> None:
    """A worker keeps its rate in float32, where a tenth is another number."""
    checker.revise(run, {"lr": {"edit": "scale", "factor": 0.1}})
    checker.settle(run, 8, 4)
    checker.beat(run, Listing([(8, 4, 1)], {"lr": "f32"}))


def ran_ahead(checker: Checker, run: Run) -> None:
    """A worker lists cells that nobody was given, in this generation and in one that was left."""
    listed(checker, run, (6, 4, 1))
    checker.rewind(run, 4)
    listed(checker, run, (6, 4, 1), generation=1)


def departed(checker: Checker, run: Run) -> None:
    """Both numbers of a worker are others, for two steps, and it says so twice, then otherwise."""
    other = {(2, "lr"): 1.0, (3, "lr"): 1.0, (4, "wd"): 0.5}
    for sends in (False, True, True):
        checker.beat(run, Listing([(0, 8, 1)], BOTH, other, sends))
    checker.beat(run, Listing([(0, 8, 1)], BOTH, {(2, "lr"): 2.0}))


def saved(checker: Checker, run: Run) -> None:
    """What was saved before a rewind, at it, and after it; and again."""
    for step in (2, 4, 6, 2):
        checker.save(run, step)
    checker.rewind(run, 4)
    checker.save(run, 4, "best", 1)
    checker.save(run, 9, "best", 1)


BUGS: list[tuple[Plant, Story]] = [
    (plants.own_ledger, trained),
    (plants.one_generation, trained),
    (plants.strides_filled, strode),
    (plants.one_type, halved),
    (plants.unsettled, ran_ahead),
    (plants.never_stale, ran_ahead),
    (plants.last_step, departed),
    (plants.first_parameter, departed),
    (plants.named_otherwise, departed),
    (plants.never_compared, departed),
    (plants.saved_last, saved),
    (plants.saved_beyond, saved),
]

ids = [f"{plant.__name__}-{story.__name__}" for plant, story in BUGS]


@pytest.mark.parametrize(("plant", "story"), BUGS, ids=ids)
def test_a_planted_bug_is_caught(
    plant: Plant, story: Story, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P12: the check finds no fault with a history, and finds one with the bug planted."""
    assert_caught(plant, story, tell, monkeypatch)


def test_every_bug_is_planted() -> None:
    """None of them is forgotten here."""
    assert {plant for plant, _ in BUGS} == plants_in(plants)
