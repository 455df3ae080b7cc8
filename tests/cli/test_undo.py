"""`rheostat run undo` against a real server: the newest change in force, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def run(operator: Any, new_name: Any) -> str:
    """Return the name of a new run, whose learning rate falls by 0.001 with each step."""
    name: str = new_name()
    line = f"run create {name} lr linear start=1 end=0 steps=1000 , weight_decay 0.1"
    assert operator(line).code == 0
    return name


def test_undo_cancels_what_is_pending(operator: Any, run: str) -> None:
    """The newest change, while it is pending, is cancelled; then the one before it is undone."""
    operator(f"run change {run} lr scale 0.5 --at 100")
    operator(f"run change {run} weight_decay 0.2 --at 200")
    assert operator(f"run undo {run} --json").json["cancelled"] == 3
    assert operator(f"run undo {run} --json").json["cancelled"] == 2
    assert operator(f"run show {run} --json").json["pending"] == []
    nothing = operator(f"run undo {run}")
    assert (nothing.code, nothing.err) == (1, "Error: the run has no change that could be undone\n")


def test_undo_reverts_what_is_in_force(operator: Any, run: str, settle: Any) -> None:
    """A change in force is taken back from the next step on, bit for bit; the rest stays."""
    settle(run, 8)
    operator(f"run change {run} weight_decay 0.2")
    operator(f"run change {run} lr scale 0.5")
    settle(run, 16)
    undone = operator(f"run undo {run}")
    assert "Revision 3 is undone by revision 4" in undone.out
    values = settle(run, 24)
    assert values["lr"][16:] == pytest.approx([1 - s / 1000 for s in range(16, 24)], rel=1e-15)
    assert values["weight_decay"][8:] == [0.2] * 16


def test_undoing_an_undo_brings_the_change_back(operator: Any, run: str, settle: Any) -> None:
    """Of two changes in force the newest alone is undone, and an undo is a change like others."""
    for stop in (8, 16):
        settle(run, stop)
        operator(f"run change {run} lr 0.{stop}")
    for stop in (24, 32):
        settle(run, stop)
        assert operator(f"run undo {run}").code == 0
    assert settle(run, 40)["lr"][8:] == [0.8] * 8 + [0.16] * 8 + [0.8] * 8 + [0.16] * 8


def test_undo_does_not_take_back_more_than_the_newest(operator: Any, run: str, settle: Any) -> None:
    """Where a change of the same parameter took effect after the newest one, undo refuses."""
    operator(f"run change {run} lr scale 0.5 --at 20")
    operator(f"run change {run} lr scale 0.9 --at 10")
    settle(run, 30)
    refused = operator(f"run undo {run}")
    assert refused.code == 1
    assert "revision 2 took effect after the newest one, 3" in refused.err


def test_undo_reaches_behind_a_rewind(operator: Any, run: str, settle: Any) -> None:
    """A change that took effect before a rewind is undone; one that it dropped is not there."""
    settle(run, 10)
    operator(f"run change {run} weight_decay 0.2")
    settle(run, 20)
    operator(f"run change {run} weight_decay 0.4")
    settle(run, 30)
    operator(f"run rewind {run} 15")
    assert operator(f"run undo {run} --json").json["undone"] == 2
    values = settle(run, 20)["weight_decay"]
    assert values == [0.1] * 10 + [0.2] * 5 + [0.1] * 5


def test_undo_takes_back_what_came_with_a_rewind(operator: Any, run: str, settle: Any) -> None:
    """The rewind stays: its change is reverted, to what was in force at its step."""
    settle(run, 10)
    operator(f"run change {run} lr 0.25")
    settle(run, 30)
    operator(f"run rewind {run} 20 lr scale 0.5")
    settle(run, 25)
    assert "Revision 3 is undone by revision 4" in operator(f"run undo {run}").out
    assert settle(run, 28)["lr"][10:] == [0.25] * 10 + [0.125] * 5 + [0.25] * 3
    assert operator(f"run show {run} --json").json["generation"] == 2


def test_undo_follows_the_line_through_generations(operator: Any, run: str, settle: Any) -> None:
    """After a rewind out of an older generation, its changes are there again, and others not."""
    settle(run, 10)
    operator(f"run change {run} weight_decay 0.2")
    settle(run, 30)
    operator(f"run rewind {run} 5 weight_decay 0.8")
    settle(run, 8)
    operator(f"run rewind {run} 20 --from-generation 1")
    assert operator(f"run undo {run} --json").json["undone"] == 2
    assert settle(run, 22)["weight_decay"][18:] == [0.2, 0.2, 0.1, 0.1]


def test_undo_cannot_reach_into_another_run(
    operator: Any, run: str, settle: Any, new_name: Any
) -> None:
    """A change that came with a fork is said to be so, and what to do instead; later ones go."""
    name = new_name()
    settle(run, 10)
    operator(f"run fork {run} {name} lr scale 0.5")
    refused = operator(f"run undo {name}")
    assert refused.code == 1
    assert "revision 1, came with the fork" in refused.err
    operator(f"run change {name} weight_decay 0.2")
    settle(name, 12)
    assert operator(f"run undo {name} --json").json["undone"] == 2
    assert settle(name, 14)["weight_decay"] == [0.1] * 10 + [0.2] * 2 + [0.1] * 2
