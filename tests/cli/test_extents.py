"""`rheostat run advance` and `extend` against a real server."""

from __future__ import annotations

from typing import Any

import pytest

WSD = "lr wsd peak=1 warmup=10% stable=rest decay=20% --total 1000"


@pytest.fixture
def run(operator: Any, new_name: Any) -> str:
    """Return the name of a new run: it warms up until 100, and decays from 800 to its total."""
    name: str = new_name()
    operator(f"run create {name} {WSD} --json")
    return name


def value(operator: Any, run: str, step: int) -> float:
    """Return the learning rate at a step."""
    found: float = operator(f"run explain {run} {step} --json").json["parameters"]["lr"]["value"]
    return found


def test_an_advance_settles_up_to_a_step(operator: Any, run: str) -> None:
    """P14: the way on that a refused read names; the history says who took it, and why."""
    done = operator(f"run advance {run} 600 -m restored")
    assert (done.code, done.out.startswith("Revision 2: settled until step 600")) == (0, True)
    assert operator(f"run show {run} --json").json["settled_until"] == 600
    newest = operator(f"run history {run} --json").json[-1]
    assert (newest["kind"], newest["author"], newest["message"]) == ("advance", "ann", "restored")
    assert "advance to step 600" in operator(f"run history {run}").out


@pytest.mark.parametrize(
    ("words", "code"),
    [("500", "too-late"), ("2000", "past-total"), ("700 --expect 1", "revision-mismatch")],
)
def test_an_advance_that_makes_no_sense_is_refused(
    operator: Any, run: str, words: str, code: str
) -> None:
    """P10: back, past the total, or by somebody who has not seen the newest revision."""
    operator(f"run advance {run} 600")
    refused = operator(f"run advance {run} {words}")
    assert (refused.code, f"[409 {code}]" in refused.err) == (1, True), refused.err


def test_a_run_is_made_longer(operator: Any, run: str) -> None:
    """The decay of the last 20 % begins at 1,600 of 2,000 then, and no warm-up comes back."""
    operator(f"run advance {run} 500")
    assert value(operator, run, 900) == 0.5
    done = operator(f"run extend {run} --total 2k -m 'twice the data'")
    assert done.out.startswith("Revision 3: the total is 2,000 steps, laid out from step 500 on.")
    expected = {400: 1.0, 500: 1.0, 900: 1.0, 1600: 1.0, 1800: 0.5}
    assert {step: value(operator, run, step) for step in expected} == expected
    assert operator(f"run show {run} --json").json["total"] == 2000
    assert "total 2,000" in operator(f"run history {run}").out


def test_a_dry_run_shows_both_curves_and_changes_nothing(operator: Any, run: str) -> None:
    """The chart has the curve of before and of after."""
    shown = operator(f"run extend {run} --total 2000 --dry-run")
    assert "Nothing has been changed." in shown.out
    assert ("before" in shown.out, "after" in shown.out) == (True, True)
    assert operator(f"run show {run} --json").json["total"] == 1000


def test_the_total_in_force_makes_no_revision(operator: Any, run: str) -> None:
    """Whoever asks twice asks once."""
    assert operator(f"run extend {run} --total 1000 --json").json["revision"] == 1


def test_what_was_changed_before_an_advance_can_be_undone(operator: Any, run: str) -> None:
    """An advance puts nothing in force that would have to be taken back first."""
    operator(f"run change {run} lr scale 0.5 --at 300")
    operator(f"run advance {run} 600")
    assert operator(f"run undo {run}").code == 0
    assert value(operator, run, 599) == 0.5
    assert value(operator, run, 600) == 1.0
