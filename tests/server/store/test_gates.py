"""Gates in the store, on both databases: workers wait for a metric, at one step and at no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rheostat.errors import AwaitingReport, Invalid, Stopped
from rheostat.server.runs.revision import Note
from rheostat.server.store.operations import advance, close, control, show
from rheostat.server.store.operations.advance import AdvanceRequest
from rheostat.server.store.operations.rewind import RewindRequest, rewind
from rheostat.server.store.operations.stop import StopRequest, stop

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

PLATEAU: dict[str, Any] = {"kind": "plateau", "metric": "loss", "patience": 0, "factor": 0.5}
GATED: dict[str, Any] = {**PLATEAU, "gate": {"every": 10}}


def refused(desk: Desk, run: str, start: int, count: int, generation: int = 1) -> dict[str, Any]:
    """Return what a read is told that would pass a gate."""
    with pytest.raises(AwaitingReport) as refusal:
        desk.settle(run, start, count, generation)
    return refusal.value.members


def stopped(desk: Desk, run: str, start: int) -> dict[str, Any]:
    """Return what a read is told that begins at a stop."""
    with pytest.raises(Stopped) as refusal:
        desk.settle(run, start, 1)
    return refusal.value.members


def test_a_decision_lands_at_its_gate(desk: Desk) -> None:
    """100 - step is halved from the very step of the report that was no better."""
    run = desk.create()
    desk.arm("plateau", **GATED)
    desk.settle(run, 0, 10)
    told = refused(desk, run, 10, 1)
    assert told == {"gate": 10, "metric": "loss", "controller": "plateau", "newest": None}
    desk.report(run, (10, 2.0))
    desk.settle(run, 10, 10)
    assert refused(desk, run, 12, 9)["newest"] == 10
    answer = desk.report(run, (20, 2.5))
    assert [each["effective"] for each in answer["decisions"]] == [20]
    assert answer["off_gate"] == []
    assert desk.settle(run, 18, 4)[0] == [82, 81, 40, 39.5]


def test_a_report_at_no_gate_is_consumed_and_says_so(desk: Desk) -> None:
    """The next gate lies above it; the run shows it, too."""
    run = desk.create()
    desk.arm("plateau", **GATED)
    desk.settle(run, 0, 10)
    answer = desk.report(run, (10, 2.0))
    desk.settle(run, 10, 10)
    answer = desk.report(run, (15, 2.0))
    assert answer["off_gate"] == [{"controller": "plateau", "step": 15}]
    shown = desk.read(show.show, "gpt")["attention"]
    assert [each["kind"] for each in shown] == ["off-gate"]
    assert refused(desk, run, 20, 1)["gate"] == 20


def test_a_gate_on_a_run_that_is_under_way_has_to_be_meant(desk: Desk) -> None:
    """It begins above what is settled then: nobody will report from below."""
    run = desk.create()
    desk.settle(run, 0, 15)
    with pytest.raises(Invalid) as refusal:
        desk.arm("plateau", **GATED)
    assert refusal.value.errors[0].field == "gate"
    assert desk.arm("plateau", **GATED, force=True)["gate"] == 20
    desk.settle(run, 15, 5)
    assert refused(desk, run, 20, 1)["gate"] == 20


def test_gates_at_epochs_follow_the_runs_own(desk: Desk) -> None:
    """An epoch of 25 steps."""
    run = desk.create(steps_per_epoch=25)
    assert desk.arm("plateau", **{**PLATEAU, "gate": {"every": "epoch"}})["gate"] == 25
    desk.settle(run, 0, 25)
    refused(desk, run, 25, 1)


def test_a_gate_within_a_cell_is_at_its_end(desk: Desk) -> None:
    """Or a training that reads cells of 8 could never get to the step of the report."""
    run = desk.create(resolution=8)
    desk.arm("plateau", **GATED)
    desk.settle(run, 0, 2)
    assert refused(desk, run, 16, 1)["gate"] == 16
    answer = desk.report(run, (16, 2.0))
    assert answer["off_gate"] == []
    desk.settle(run, 16, 1)
    assert refused(desk, run, 24, 1)["gate"] == 24  # 20, at the end of its cell


def test_there_are_no_gates_below_the_start_of_a_controller(desk: Desk) -> None:
    """Reports there decide nothing."""
    run = desk.create()
    assert desk.arm("plateau", **GATED, start=25)["gate"] == 30
    desk.settle(run, 0, 30)
    refused(desk, run, 30, 1)


def test_a_training_that_begins_in_the_middle_meets_no_gate_before(desk: Desk) -> None:
    """The first lies above where it begins."""
    run = desk.create(total=10_000)
    desk.arm("plateau", **{**PLATEAU, "gate": {"every": 1000}})
    desk.join(start=4500)
    assert desk.read(control.show_one, "gpt", "plateau")["gate"] == 5000
    desk.settle(run, 4500, 500)
    assert refused(desk, run, 5000, 1)["gate"] == 5000


def test_after_a_rewind_the_gates_begin_there(desk: Desk) -> None:
    """What was reported at or below it stays consumed."""
    run = desk.create()
    desk.arm("plateau", **GATED)
    for step in (10, 20, 30):
        desk.settle(run, step - 10, 10)
        desk.report(run, (step, 100.0 - step))
    desk.write(rewind, "gpt", RewindRequest(20))
    desk.settle(run, 20, 10, generation=2)
    assert refused(desk, run, 30, 1, generation=2)["newest"] == 20
    desk.report(run, (30, 70.0), generation=2)
    desk.settle(run, 30, 10, generation=2)


def test_an_operator_who_moves_the_run_on_passes_its_gates(desk: Desk) -> None:
    """Also once more reports have come."""
    run = desk.create()
    desk.arm("plateau", **GATED)
    desk.settle(run, 0, 10)
    desk.report(run, (10, 2.0))
    desk.write(advance.advance, "gpt", AdvanceRequest(35))
    desk.report(run, (20, 2.0))
    desk.settle(run, 35, 5)
    assert refused(desk, run, 40, 1)["gate"] == 40


def test_where_nothing_can_be_decided_there_is_no_gate(desk: Desk) -> None:
    """After the limit is used up, after disarming, and of a finished run."""
    run = desk.create()
    desk.arm("plateau", **GATED, limit=1)
    desk.settle(run, 0, 10)
    desk.report(run, (10, 2.0))
    desk.settle(run, 10, 10)
    desk.report(run, (20, 2.0))
    desk.settle(run, 20, 30)
    desk.arm("other", **GATED, force=True)
    refused(desk, run, 50, 11)
    desk.write(control.disarm, "gpt", "other", None, Note())
    desk.settle(run, 50, 11)
    desk.arm("third", **GATED, force=True)
    desk.write(close.finish, "gpt", 100, Note())
    desk.settle(run, 61, 39)


def test_a_gate_names_the_sources_that_are_missing(desk: Desk) -> None:
    """Those who had reported where the metric was consumed last."""
    run = desk.create()
    desk.arm("plateau", **GATED, sources={"expect": 2, "reduce": "mean"})
    desk.settle(run, 0, 10)
    for source in ("a", "b"):
        desk.report(run, (10, 2.0), source=source)
    desk.settle(run, 10, 10)
    desk.report(run, (20, 2.0), source="b")
    told = refused(desk, run, 20, 1)
    assert (told["newest"], told["reported"], told["missing"]) == (10, ["b"], ["a"])


def test_a_stop_tells_the_best_step(desk: Desk) -> None:
    """That of the controller which decided it, so that a loop can go back to its checkpoint."""
    run = desk.create()
    desk.settle(run, 0, 40)
    desk.arm("a-plateau", **{**PLATEAU, "patience": 9})
    desk.report(run, (5, 1.0))
    desk.arm("stop", kind="stop", metric="loss", patience=1)
    desk.report(run, (10, 2.0), (20, 2.5))
    told = stopped(desk, run, 40)
    assert told["best"] == {"step": 10, "value": 2.0}
    assert told["author"] == "controller:stop"


def test_an_operators_stop_tells_the_best_step_that_is_known(desk: Desk) -> None:
    """None, if nothing was reported."""
    run = desk.create()
    desk.settle(run, 0, 40)
    desk.arm("plateau", **{**PLATEAU, "patience": 9})
    desk.write(stop, "gpt", StopRequest())
    assert stopped(desk, run, 40)["best"] is None
    desk.report(run, (10, 2.0))
    assert stopped(desk, run, 40)["best"] == {"step": 10, "value": 2.0}
