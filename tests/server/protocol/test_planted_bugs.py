"""Planted bugs: the check that finds nothing in the service finds each of them."""

# ruff: noqa: D401 - a story says what happens, not what to do

from __future__ import annotations

import pytest
from tests.server.protocol import plants
from tests.server.protocol.checker import BODY, Checker
from tests.server.protocol.state import GAP, Run
from tests.server.protocol.telling import Plant, Story, Tell, assert_caught, plants_in

HALVE = {"lr": {"edit": "scale", "factor": 0.5}}
BOTH = {**HALVE, "wd": {"kind": "constant", "value": 4.0}}
FLAT = {"lr": {"kind": "constant", "value": 2.0}}
LINE = {"lr": {"kind": "linear", "start": 64.0, "end": 0.0, "steps": 64, "clock": "run"}}
SHARES = {
    share: {"lr": {"kind": "linear", "start": 64.0, "end": 0.0, "steps": share, "clock": "run"}}
    for share in ("25%", "50%")
}


def too_late(checker: Checker, run: Run) -> None:
    """An operator asks for a step that workers have."""
    checker.revise(run, HALVE, 3)


def failing(checker: Checker, run: Run) -> None:
    """The commit of a change fails, and nothing of it is kept."""
    checker.system.lose(done=False)
    checker.revise(run, HALVE)
    checker.restart()


def unheard(checker: Checker, run: Run) -> None:
    """The answer to a change is lost, and the operator sends it again."""
    checker.system.lose(done=True)
    checker.revise(run, HALVE)


def change(checker: Checker, run: Run) -> None:
    """Workers go on after a change."""
    checker.settle(run, 8, 2)
    checker.revise(run, HALVE)
    checker.settle(run, 10, 4)


def fenced(checker: Checker, run: Run) -> None:
    """A worker of before a rewind asks for what comes next."""
    checker.rewind(run, 4)
    checker.settle(run, 8, 4, generation=1)


def resumed(checker: Checker, run: Run) -> None:
    """A worker comes back with a checkpoint from beyond a rewind."""
    checker.rewind(run, 4)
    checker.join(run, (run.id, 1, 6))


def together(checker: Checker, run: Run) -> None:
    """Two parameters change at one step."""
    checker.revise(run, BOTH)


def upgraded(checker: Checker, run: Run) -> None:
    """What was served is read again from a computer with another arithmetic."""
    checker.upgrade()
    checker.settle(run, 0, 8)


def ahead(checker: Checker, run: Run) -> None:
    """An operator names a step."""
    checker.revise(run, HALVE, 13)


def replaced(checker: Checker, run: Run) -> None:
    """A pending edit is preceded by a later replacement."""
    checker.revise(run, HALVE, 14)
    checker.revise(run, LINE, 10)
    checker.settle(run, 8, 8)


def made_again(checker: Checker, run: Run) -> None:
    """A run is deleted, and made again with another body under its name; both are looked at."""
    checker.preview(run, 0, 4)
    checker.delete(run)
    again = checker.create(run.name, parameters={**BODY["parameters"], **FLAT})
    assert again is not None
    checker.preview(again, 0, 4)


def inherited(checker: Checker, run: Run) -> None:
    """A generation with changes reads across its branch."""
    checker.rewind(run, 4, changes=HALVE)
    checker.settle(run, 0, 8)


def raced(checker: Checker, run: Run) -> None:
    """An operator changes what somebody else has changed since."""
    checker.revise(run, HALVE)
    checker.revise(run, HALVE, expected_revision=1)


def watched(checker: Checker, run: Run) -> None:
    """Two watchdogs see the same spike, and both rewind."""
    checker.rewind(run, 4, expected=1)
    checker.rewind(run, 4, expected=1)


def jumped(checker: Checker, run: Run) -> None:
    """A worker asks for more than it may settle at once."""
    checker.settle(run, 10, 16)


def leapt(checker: Checker, run: Run) -> None:
    """A worker begins a read too far past what is settled, and ends it near enough."""
    checker.settle(run, 8 + GAP + 1, 1)


def overran(checker: Checker, run: Run) -> None:
    """A loop reads on past the end of what was planned: one block of it, and no more."""
    short = checker.create(f"{run.name}-short", total=8)
    assert short is not None
    for start in (0, 8, 16, 24):
        checker.settle(short, start, 8)


def begun(checker: Checker, run: Run) -> None:
    """A training begins in the middle, says so again, and another one begins elsewhere."""
    for start in (14, 14, 80):
        checker.join(run, start=start)


def begun_trained(checker: Checker, run: Run) -> None:
    """A training says that it begins in the middle of a run that another one trains."""
    checker.settle(run, 8, 16)
    checker.join(run, start=80)


def begun_fork(checker: Checker, run: Run) -> None:
    """A training says that it begins in the middle of a fork."""
    fork = checker.fork(f"{run.name}-fork", run)
    assert fork is not None
    checker.join(fork, start=80)


def begun_again(checker: Checker, run: Run) -> None:
    """A training says that it begins in the middle of what was rewound."""
    checker.rewind(run, 4)
    checker.join(run, start=80)


def forgotten(checker: Checker, run: Run) -> None:
    """A worker comes back with a checkpoint of which the service knows nothing."""
    checker.join(run, (run.id, 1, 80))


def moved_on(checker: Checker, run: Run) -> None:
    """An operator moves a run on past a pending change, and another one takes that back."""
    checker.revise(run, HALVE, 14)
    checker.advance(run, 20)
    checker.cancel(run, 2)
    checker.settle(run, 12, 10)


def moved_on_late(checker: Checker, run: Run) -> None:
    """An operator moves a run on that somebody else has changed since."""
    checker.revise(run, HALVE)
    checker.advance(run, 20, expected=1)


def looked(checker: Checker, run: Run) -> None:
    """A viewer looks beyond what is settled."""
    checker.preview(run, 4, 8)


def kept(checker: Checker, run: Run) -> None:
    """A rewind goes to the very step at which a change took effect."""
    checker.revise(run, HALVE)
    checker.settle(run, 8, 4)
    checker.rewind(run, 8)


def extended(checker: Checker, run: Run) -> None:
    """A line that ended before the total came is over; and it stays so."""
    checker.revise(run, SHARES["25%"])
    for _ in range(2):
        checker.settle(run, run.settled, 16)
    checker.extend(run, 256)
    checker.settle(run, run.settled, 16)


def rewound(checker: Checker, run: Run) -> None:
    """A rewind goes back to before a new total, which stays."""
    checker.extend(run, 256)
    checker.settle(run, 8, 4)
    checker.rewind(run, 4)
    checker.settle(run, 4, 8)


def planned(checker: Checker, run: Run) -> None:
    """A new total comes before a pending definition."""
    checker.revise(run, SHARES["50%"], 14)
    checker.extend(run, 256, 10)
    checker.settle(run, 8, 16)


def counted(checker: Checker, run: Run) -> None:
    """A share of the total is named after a new one, for a step before that takes effect."""
    checker.extend(run, 256, 14)
    checker.revise(run, {"lr": {"edit": "ramp", "to": 0.0, "steps": "25%"}}, 10)
    checker.settle(run, 8, 16)


def regretted(checker: Checker, run: Run) -> None:
    """An operator would take a new total back."""
    checker.extend(run, 256, 14)
    checker.cancel(run, 2)


BUGS: list[tuple[Plant, Story]] = [
    (plants.unchecked_step, too_late),
    (plants.answer_before_commit, failing),
    (plants.lost_acknowledgement, failing),
    (plants.stale_revisions, change),
    (plants.no_fence, fenced),
    (plants.any_checkpoint, resumed),
    (plants.two_steps, together),
    (plants.no_ledger, upgraded),
    (plants.rounded_step, ahead),
    (plants.old_expansion, replaced),
    (plants.old_name, made_again),
    (plants.late_next, together),
    (plants.shared_cell, inherited),
    (plants.blind_write, raced),
    (plants.two_watchdogs, watched),
    (plants.repeated_effect, unheard),
    (plants.far_jump, jumped),
    (plants.no_gap, leapt),
    (plants.endless, overran),
    (plants.total_to_the_step, overran),
    (plants.begun_twice, begun),
    (plants.begun_late, begun_trained),
    (plants.begun_in_fork, begun_fork),
    (plants.begun_after_rewind, begun_again),
    (plants.begun_in_vain, begun),
    (plants.checkpoint_from_nowhere, forgotten),
    (plants.postponed_change, moved_on),
    (plants.unsettled_advance, moved_on),
    (plants.blind_advance, moved_on_late),
    (plants.preview_settles, looked),
    (plants.dropped_revision, kept),
    (plants.moved_boundary, extended),
    (plants.total_lost, rewound),
    (plants.old_layout, planned),
    (plants.old_future, rewound),
    (plants.late_total, counted),
    (plants.total_cancelled, regretted),
]


named = pytest.mark.parametrize(("plant", "story"), BUGS, ids=[plant.__name__ for plant, _ in BUGS])


@named
def test_a_planted_bug_is_caught(
    plant: Plant, story: Story, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1 to P7: the check finds no fault with a history, and finds one once the bug is planted."""
    assert_caught(plant, story, tell, monkeypatch)


def test_every_bug_is_planted() -> None:
    """None of them is forgotten here."""
    assert {plant for plant, _ in BUGS} == plants_in(plants)
