"""What is said of a change that nobody will come to, against a real server that hears beats."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.cli.conftest import Command, Settle
from tests.conftest import Names

from rheostat.cli.audience import Audience
from rheostat.cli.waiting import exit_code
from rheostat.server.routes.runs import STATE

Beat = Callable[..., None]
ENDED = "nobody trains any more: the only worker ended at step"


@pytest.fixture
def run(operator: Command, new_name: Names, settle: Settle) -> str:
    """Return the name of a run of 900 steps that is settled up to 832."""
    name = new_name()
    assert operator(f"run create {name} lr linear start=1 end=0 steps=900 --total 900").code == 0
    settle(name, 832)
    return name


@pytest.fixture
def beat(http: httpx.Client, run: str) -> Beat:
    """Return what has a worker say where it is."""

    def say(step: int, *, worker: str = "0", generation: int = 1, state: str = "training") -> None:
        told = {"worker": worker, "session": f"s{worker}", "step": step, "state": state}
        run_id = http.get(f"/v1/runs/{run}").json()["id"]
        body = {"generation": generation, "workers": [told]}
        http.post(f"/v1/runs/{run_id}/beats", json=body).raise_for_status()

    return say


@pytest.mark.parametrize(
    ("line", "goal"),
    [
        ("stop {} --wait", "settled"),
        ("change {} lr 0.1 --wait=reached", "reached"),
        ("signal {} save --wait=done", "done"),
    ],
)
def test_waiting_ends_where_all_have_ended(
    operator: Command, run: str, beat: Beat, line: str, goal: str
) -> None:
    """Exit code 4, at once, with who ended where: nobody is going to settle another step."""
    beat(800, state="ended")
    ran = operator(f"run {line.format(run)}")
    assert ran.code == 4
    assert f"Revision 2 is not {goal}: {ENDED} 800, before 832." in ran.err


def test_waiting_ends_once_the_last_has_ended(operator: Command, run: str, beat: Beat) -> None:
    """Who ends while it is waited for is seen, and told to scripts, too."""
    beat(790)
    beat(700, worker="1", state="ended")
    ending = threading.Timer(2.0, lambda: beat(800, state="ended"))
    ending.start()
    ran = operator(f"run stop {run} --at 850 --wait --json")
    ending.join()
    said = "nobody trains any more: the last of 2 workers ended at step 800, before 850"
    assert (ran.code, ran.json["awaited"]["nobody"]) == (4, said)


def test_who_may_still_come_is_waited_for(operator: Command, run: str) -> None:
    """A worker that has yet to come may come; the line says that none has."""
    ran = operator(f"run stop {run} --at 850 --wait --timeout 1.5")
    assert ran.code == 3
    assert "18 steps to go; no worker has said anything yet" in ran.err


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"alive": 1, "silent": 7}, ""),
        ({"alive": 0, "silent": 1}, "the only worker is silent"),
        ({"alive": 0, "silent": 1024}, "all 1,024 workers are silent"),
    ],
)
def test_silence_is_not_the_end(counts: dict[str, int], said: str) -> None:
    """Who is silent may go on, so that it is waited for; where somebody is alive he is awaited."""
    run: Any = {**STATE, "workers": {**counts, "wrong": 0}}
    found = Audience(run, [])
    assert (found.told(), found.misses(832, "pending")) == (said, False)


def test_who_ended_before_a_rewind_does_not_count(operator: Command, run: str, beat: Beat) -> None:
    """After it, workers start again: those of the generation that was left say nothing of them."""
    beat(800, state="ended")
    assert operator(f"run rewind {run} 500").code == 0
    ran = operator(f"run stop {run} --at 600 --wait --timeout 0")
    assert (ran.code, "nobody trains" in ran.err) == (3, False)


def test_a_change_that_nobody_sees_is_warned_of(
    operator: Command, run: str, beat: Beat, settle: Settle
) -> None:
    """Behind the end of a run: that it ends, and what makes it longer; a longer run is none."""
    settle(run, 900)
    beat(900, state="ended")
    longer = f"`rheostat run extend {run} --total STEPS` makes it longer"
    warned = f"Warning: {ENDED} 900, and the run ends at step 900: nobody will see this; {longer}\n"
    for line in (f"change {run} lr 1e-3", f"signal {run} save", f"undo {run}"):
        assert operator(f"run {line}").err == warned
    ran = operator(f"run extend {run} --total 1200")
    assert "this waits for a training that goes on" in ran.err
    assert "makes it longer" not in ran.err


def test_a_worker_that_ends_does_not_come_to_it(operator: Command, run: str, beat: Beat) -> None:
    """While somebody trains, a change behind the end is warned of; one before it is not."""
    beat(830)
    assert operator(f"run change {run} lr 0.2 --at 850").err == ""
    said = operator(f"run change {run} lr 0.1 --at 900").err
    assert said.startswith("Warning: the run ends at step 900: a worker that ends there does not")


def test_what_waits_for_a_training_says_so(operator: Command, run: str, beat: Beat) -> None:
    """A job that ended early may be started again, and comes to the change then."""
    beat(800, state="ended")
    said = operator(f"run change {run} lr 0.1").err
    assert said == f"Warning: {ENDED} 800, before 832; this waits for a training that goes on\n"


@pytest.mark.parametrize("order", ["stop", "pause"])
def test_nobody_goes_on_by_himself(operator: Command, run: str, beat: Beat, order: str) -> None:
    """Where all have ended, lifting a stop or a pause says that the training is to be started."""
    assert operator(f"run {order} {run}").code == 0
    beat(800, state="ended")
    said = operator(f"run resume {run} -y").out
    assert f"{ENDED} 800; start the training again to go on." in said
    assert "go on by themselves" not in said
    assert "the workers go on" not in said


def test_the_hint_is_left_out_once_it_is_too_late(
    operator: Command, run: str, settle: Settle, http: httpx.Client
) -> None:
    """How a stop is taken back is told while it can be, not above the line that says it cannot."""

    def end() -> None:
        settle(run, 840)
        shown = http.get(f"/v1/runs/{run}").json()
        asked = {"generation": 1, "start": 840, "count": 1}
        http.get(f"/v1/runs/{shown['id']}/values", params=asked)

    late = operator(f"run signal {run} save --at 836 --wait --timeout 0")
    assert late.err.splitlines()[-1] == f"  until then:  rheostat run cancel {run} 2"
    ending = threading.Timer(2.0, end)
    ending.start()
    ran = operator(f"run stop {run} --at 840 --wait --timeout 30")
    ending.join()
    assert (ran.code, "run cancel" in ran.out + ran.err) == (0, False)


def test_the_exit_code_of_nobody_is_4() -> None:
    """It will not come: that is another answer than that it did not come in time."""
    found = {"met": False, "state": "settled", "nobody": "nobody trains any more"}
    assert exit_code(found) == 4  # type: ignore[arg-type]
