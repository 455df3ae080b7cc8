"""`rheostat run history`, `show` and `explain`: who did what, and what became of it."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from typing import Any

import httpx
import pytest


@pytest.fixture
def run(operator: Any, new_name: Any, settle: Any) -> str:
    """Return the name of a new run that is settled to 20; its learning rate is 1 - step / 1000."""
    name: str = new_name()
    line = f"run create {name} lr linear start=1 end=0 steps=1000 , weight_decay 0.1"
    assert operator(f"{line} --guard lr.max=2 --guard weight_decay.max_ratio=3").code == 0
    settle(name, 20)
    return name


NUMBERS, WORDS = ("REV", "GEN", "STEP"), ("STATE", "BY", "WHEN", "CHANGE", "MESSAGE")


def rows(operator: Any, run: str) -> list[dict[str, str]]:
    """Return the history that people see, each row by the headers above its cells."""
    header, *lines = operator(f"run history {run}").out.splitlines()
    starts = [header.index(name) for name in WORDS]
    found = []
    for line in lines:
        words = [line[start:stop].strip() for start, stop in pairwise([*starts, None])]
        found.append(dict(zip(NUMBERS + WORDS, line.split()[:3] + words, strict=True)))
    return found


def test_what_became_of_each_revision_is_said(operator: Any, run: str, settle: Any) -> None:
    """In force, dropped, dropped before it took effect, cancelled, pending: each is told apart."""
    operator(f"run change {run} lr scale 0.5")
    settle(run, 40)
    operator(f"run change {run} lr scale 0.5")
    settle(run, 60)
    operator(f"run change {run} lr scale 0.5 --at 100")
    operator(f"run rewind {run} 30 weight_decay 0.2 -m diverged")
    operator(f"run change {run} lr 0.1 --at 50")
    operator(f"run cancel {run} 6")
    operator(f"run change {run} lr 0.2 --at 70")
    found = rows(operator, run)
    assert [(row["REV"], row["GEN"], row["STEP"], row["STATE"]) for row in found] == [
        ("1", "1", "0", "in force"),
        ("2", "1", "20", "in force"),
        ("3", "1", "40", "dropped by the rewind to generation 2"),
        ("4", "1", "100", "dropped while pending by the rewind to generation 2"),
        ("5", "2", "30", "in force"),
        ("6", "2", "50", "cancelled by revision 7"),
        ("7", "2", "50", ""),
        ("8", "2", "70", "pending"),
    ]
    assert found[4]["CHANGE"] == "rewind from generation 1 into generation 2: weight_decay 0.2"
    assert found[4]["MESSAGE"] == "diverged"
    assert found[6]["CHANGE"] == "cancel revision 6"


def test_it_says_what_all_workers_are_past(
    operator: Any, run: str, settle: Any, http: httpx.Client
) -> None:
    """In force where some are not there yet; a stop by which workers end is reached there."""
    run_id = http.get(f"/v1/runs/{run}").json()["id"]
    told = operator(f"run change {run} lr scale 0.5 --at 30").out
    assert "workers" not in told  # nobody says where it is
    operator(f"run change {run} lr scale 0.5 --at 40")
    settle(run, 50)
    operator(f"run stop {run} --at 50")
    ended = {"generation": 1, "start": 50, "count": 1}
    assert http.get(f"/v1/runs/{run_id}/values", params=ended).status_code == 409
    for steps, expected in (
        ((41, 35), ["reached by all", "reached by all", "in force", "stopped"]),
        ((50, 50), ["reached by all"] * 3 + ["stopped, reached by all"]),
    ):
        workers = [
            {"worker": str(rank), "session": "s", "step": step} for rank, step in enumerate(steps)
        ]
        beat = {"generation": 1, "workers": workers}
        http.post(f"/v1/runs/{run_id}/beats", json=beat).raise_for_status()
        until = time.monotonic() + 30  # what is known of workers may be a second old
        while [row["STATE"] for row in rows(operator, run)] != expected:
            assert time.monotonic() < until
            time.sleep(0.2)


def test_a_rewind_may_bring_back_what_another_dropped(operator: Any, run: str, settle: Any) -> None:
    """What counts is the line of the current generation, whichever it was before."""
    operator(f"run change {run} lr scale 0.5")
    settle(run, 40)
    operator(f"run rewind {run} 10 -m first")
    operator(f"run rewind {run} 30 --from-generation 1 -m second")
    assert "from step 30 of generation 1" in operator(f"run show {run}").out
    settle(run, 35)
    operator(f"run rewind {run} 32 -m third")
    found = rows(operator, run)
    assert [(row["STATE"], row["MESSAGE"]) for row in found[1:]] == [
        ("in force", ""),
        ("dropped by the rewind to generation 3", "first"),
        ("in force", "second"),
        ("in force", "third"),
    ]
    assert found[3]["CHANGE"] == "rewind from generation 1 into generation 3"
    assert found[4]["CHANGE"] == "rewind from generation 3 into generation 4"


def test_a_forced_guard_is_named(operator: Any, run: str) -> None:
    """Whoever reads the history sees that a change was forced, and which guard stood there."""
    operator(f"run change {run} lr 5 , weight_decay 0.2 --force")
    assert rows(operator, run)[1]["STATE"] == (
        "pending, forced past lr.min=0 or lr.max=2"
        " or weight_decay.min=0 or weight_decay.max_ratio=3"
    )
    assert operator(f"run undo {run}").code == 0
    operator(f"run change {run} lr 5 --force")
    assert rows(operator, run)[3]["STATE"] == "pending, forced past lr.min=0 or lr.max=2"
    assert "lr 5, forced" in operator(f"run show {run}").out


def test_a_fork_says_of_what(operator: Any, run: str, new_name: Any) -> None:
    """The history and the view of a fork name the other run, the step and the generation."""
    name, run_id = new_name(), operator(f"run show {run} --json").json["id"]
    operator(f"run rewind {run} 15")
    operator(f"run fork {run} {name} --step 10 lr 0.3")
    origin = f"{run} ({run_id}) at step 10 of generation 2"
    [row] = rows(operator, name)
    assert (row["GEN"], row["STEP"], row["CHANGE"]) == ("1", "10", f"fork of {origin}: lr 0.3")
    assert re.search(f"forked from +{re.escape(origin)}\n", operator(f"run show {name}").out)
    assert "forked from" not in operator(f"run show {run}").out


def test_an_explanation_needs_no_author(operator: Any, run: str, http: httpx.Client) -> None:
    """A change that nobody signed is explained by its number alone."""
    body = {"changes": {"lr": {"kind": "constant", "value": 0.5}}, "effective": 50}
    http.post(f"/v1/runs/{run}/revisions", json=body).raise_for_status()
    assert "because  revision 2, from step 50 on\n" in operator(f"run explain {run} 60").out


def test_a_finished_run_has_an_end(operator: Any, run: str) -> None:
    """Its last step is explained; later ones have no value, and the end is said (P9)."""
    assert "it ended at step 20" in operator(f"run finish {run}").out
    assert operator(f"run explain {run}").out.startswith("Step 19, settled\n")
    past = operator(f"run explain {run} 350").out
    assert past == "Step 350 has no value: the run ended at step 20.\n"
    assert "ended at step 20" in operator(f"run show {run}").out
