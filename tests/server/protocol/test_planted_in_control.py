"""Planted bugs of what ends, holds and listens: the check finds each of them."""

# ruff: noqa: D401 - a story says what happens, not what to do

from __future__ import annotations

from typing import Any

import pytest
from tests.server.protocol import plants_of_control as plants
from tests.server.protocol.checker import Checker
from tests.server.protocol.state import Run
from tests.server.protocol.telling import Plant, Story, Tell, assert_caught, plants_in

HALVE = {"lr": {"edit": "scale", "factor": 0.5}}
PLATEAU: dict[str, Any] = {
    "kind": "plateau",
    "metric": "loss",
    "reading": "torch",
    "factor": 0.5,
    "patience": 0,
    "threshold": 0.25,
    "cooldown": 0,
    "parameters": ["lr"],
    "sources": {"expect": 1},
    "effective": {"after": 8},
    "action": "apply",
    "limit": None,
}
"""Halves lr eight steps after each report that is not better than the best by a quarter."""


def crossed(checker: Checker, run: Run) -> None:
    """A block reaches across a stop; then one ends at it, and the stop is taken back."""
    checker.halt(run, 12)
    checker.settle(run, 8, 8)
    checker.settle(run, 8, 4)
    checker.cancel(run, 2)
    checker.settle(run, 12, 4)


def ended(checker: Checker, run: Run) -> None:
    """A worker ends by a stop, which an operator would take back, and finish later than that."""
    checker.halt(run, 12, word="checkpoint")
    checker.settle(run, 8, 4)
    checker.settle(run, 12, 1)
    checker.cancel(run, 2)
    checker.resume(run)
    checker.halt(run, 16)
    checker.signal(run, "evaluate", 12)
    checker.finish(run, 16)


def lifted(checker: Checker, run: Run) -> None:
    """A stop is lifted by a rewind while some ranks have yet to come to it."""
    checker.halt(run)
    checker.settle(run, 8, 1)
    checker.rewind(run, 8)
    checker.settle(run, 8, 2, generation=1)
    checker.settle(run, 8, 4)


def held(checker: Checker, run: Run) -> None:
    """A run holds where it is stopped as well, and is resumed."""
    checker.halt(run, hold=True)
    checker.halt(run)
    checker.resume(run)
    checker.settle(run, 8, 1)


def heard(checker: Checker, run: Run) -> None:
    """A rank acts on the word of a pause, which is resumed; so the others have to hear it, too."""
    checker.halt(run, hold=True, word="checkpoint")
    checker.settle(run, 8, 1)
    checker.resume(run, 10)
    checker.settle(run, 8, 2)


def strode(checker: Checker, run: Run) -> None:
    """A rank reads one cell in four, and a word lies between; another rank reads all of them."""
    checker.signal(run, "checkpoint", 10)
    checker.signal(run, "checkpoint", 10)
    checker.settle(run, 12, 1)
    checker.settle(run, 8, 4)


def plateau(checker: Checker, run: Run, **fields: Any) -> None:
    """A plateau is armed."""
    checker.arm(run, "a", {**PLATEAU, **fields})


def repeated(checker: Checker, run: Run) -> None:
    """A training repeats its steps, and measures otherwise the second time."""
    plateau(checker, run)
    checker.report(run, (4, 1.0), (8, 1.0))
    checker.report(run, (8, 1.0))
    checker.report(run, (8, 2.0))
    checker.settle(run, 8, 12)


def came_late(checker: Checker, run: Run) -> None:
    """A report comes after a newer one."""
    plateau(checker, run)
    checker.report(run, (4, 1.0))
    checker.report(run, (8, 0.5))
    checker.report(run, (6, 1.0))


def left(checker: Checker, run: Run) -> None:
    """An evaluator of checkpoints is a rewind late."""
    plateau(checker, run)
    checker.rewind(run, 4)
    checker.settle(run, 4, 8)
    for step in (4, 6):
        checker.report(run, (step, 1.0), generation=1)


def went_back(checker: Checker, run: Run) -> None:
    """A rewind goes back to between two reports; both of the steps are trained again."""
    plateau(checker, run, patience=1)
    checker.report(run, (2, 1.0), (4, 1.0), (8, 1.0))
    checker.rewind(run, 4)
    checker.settle(run, 4, 4)
    checker.report(run, (4, 2.0))
    checker.report(run, (8, 2.0))


def between(checker: Checker, run: Run) -> None:
    """A rewind goes back to before what was decided on one report, and to before another report."""
    plateau(checker, run)
    checker.report(run, (4, 1.0), (6, 1.0))
    checker.settle(run, 8, 4)
    checker.report(run, (12, 1.0))
    checker.rewind(run, 10)
    checker.settle(run, 10, 12)


def taken_back(checker: Checker, run: Run) -> None:
    """An operator takes a decision back, while the next report is bad, too; then rewinds."""
    plateau(checker, run, patience=1)
    checker.report(run, (2, 1.0), (4, 1.0), (6, 1.0), (7, 1.0))
    checker.cancel(run, 3)
    checker.report(run, (8, 1.0))
    checker.rewind(run, 8)


def parted(checker: Checker, run: Run) -> None:
    """Three sources report their share, of which the sum is lost if it is not exact."""
    plateau(checker, run, sources={"expect": 3})
    for source, value in (("c", 1e16), ("a", 3.0), ("b", -1e16)):
        checker.report(run, (8, value), source=source)


def at_one_step(checker: Checker, run: Run) -> None:
    """Two controllers decide on one report."""
    checker.arm(run, "b", {**PLATEAU, "factor": 0.25})
    plateau(checker, run)
    checker.report(run, (4, 1.0), (8, 1.0))


def gated(checker: Checker, run: Run) -> None:
    """Workers wait for a metric, until the controller has decided as often as it may."""
    gate = {"effective": "next", "gate": {"every": 4}, "limit": 1}
    checker.arm(run, "a", {**PLATEAU, **gate}, force=True)
    checker.settle(run, 8, 8)
    checker.settle(run, 8, 4)
    checker.report(run, (12, 1.0))
    checker.settle(run, 12, 4)
    checker.report(run, (16, 1.0))
    checker.settle(run, 16, 8)
    checker.report(run, (20, 1.0))


def agreed(checker: Checker, run: Run) -> None:
    """Two operators say yes to one proposal."""
    plateau(checker, run, action="propose")
    checker.report(run, (4, 1.0), (8, 1.0))
    checker.accept(run, 1)
    checker.accept(run, 1)


def lapsed(checker: Checker, run: Run) -> None:
    """Somebody says yes to what was proposed before a rewind."""
    checker.propose(run, "change", HALVE)
    checker.rewind(run, 4)
    checker.accept(run, 1)


BUGS: list[tuple[Plant, Story]] = [
    (plants.one_more_block, crossed),
    (plants.told_early, crossed),
    (plants.told_in_vain, ended),
    (plants.told_in_vain, heard),
    (plants.finished_past_stop, ended),
    (plants.fenced_before_told, lifted),
    (plants.stopped_for_ever, lifted),
    (plants.stop_resumed, held),
    (plants.pause_before_stop, held),
    (plants.skipped_word, strode),
    (plants.word_to_the_first, strode),
    (plants.two_words, strode),
    (plants.kept_again, repeated),
    (plants.decided_twice, repeated),
    (plants.at_once, repeated),
    (plants.consumed_late, came_late),
    (plants.from_beyond, left),
    (plants.forgotten_state, went_back),
    (plants.forgotten_place, went_back),
    (plants.kept_beyond, between),
    (plants.lost_at_rewind, between),
    (plants.revived, taken_back),
    (plants.unrelieved, taken_back),
    (plants.as_they_came, parted),
    (plants.whoever_comes_first, parted),
    (plants.last_name_first, at_one_step),
    (plants.no_gate, gated),
    (plants.endless_limit, gated),
    (plants.accepted_twice, agreed),
    (plants.open_for_ever, lapsed),
]

ids = [f"{plant.__name__}-{story.__name__}" for plant, story in BUGS]


@pytest.mark.parametrize(("plant", "story"), BUGS, ids=ids)
def test_a_planted_bug_is_caught(
    plant: Plant, story: Story, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P2, P4, P11: the check finds no fault with a history, and finds one with the bug planted."""
    assert_caught(plant, story, tell, monkeypatch)


def test_every_bug_is_planted() -> None:
    """None of them is forgotten here."""
    assert {plant for plant, _ in BUGS} == plants_in(plants)
