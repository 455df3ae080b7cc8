"""`rheostat run workers` and `mismatches`, against a real server that hears beats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.cli.conftest import Command, Settle

Beat = Callable[..., dict[str, Any]]


@pytest.fixture
def beat(http: httpx.Client, run: str) -> Beat:
    """Return what has a worker say that it is at a step of the run, and whatever else it says."""
    run_id = http.get(f"/v1/runs/{run}").json()["id"]

    def say(worker: str, step: int, **said: Any) -> dict[str, Any]:
        told = {"worker": worker, "session": f"s-{worker}", "step": step, "pace": 10.0, **said}
        body = {"generation": 1, "workers": [told]}
        answer = http.post(f"/v1/runs/{run_id}/beats", json=body).raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    return say


def rows(text: str) -> list[list[str]]:
    """Return the words of each row of the table below the summary."""
    return [line.split() for line in text.partition("\n\n")[2].splitlines()[1:]]


def test_who_trains_is_seen(operator: Command, run: str, beat: Beat) -> None:
    """P14: where all are, at which pace, and when the last of them comes to a change."""
    assert operator(f"run workers {run}").out == f"No worker of {run} has said anything yet.\n"
    operator(f"run change {run} lr scale 0.5 --at 600")
    for rank, step in enumerate((100, 98, 99)):
        beat(f"{rank}", step, host=f"n{rank}")
    beat("n7:12", 100, state="ended")
    shown = operator(f"run workers {run}").out
    assert shown.splitlines()[:6] == [
        "workers     3 alive, 1 ended",
        "first       at step 100",
        "last        at step 98",
        "pace        10 steps a second, the median",
        "proven      nothing yet",
        "revision 2  at step 600: 0 of 3 have come to it, the last is 502 steps, about 50 s away",
    ]
    assert [(row[0], row[1], row[-1]) for row in rows(shown)] == [
        ("0", "training", "n0"),
        ("1", "training", "n1"),
        ("2", "training", "n2"),
        ("n7:12", "ended", "now"),
    ]
    found = operator(f"run workers {run} --state ended --json").json
    assert (found["alive"], [each["worker"] for each in found["items"]]) == (3, ["n7:12"])


def test_who_was_wrong_is_named(operator: Command, run: str, beat: Beat) -> None:
    """P12: the worker, its parameter and step, both values, and the factor between them."""
    beat("0", 60)
    assert "is known to have applied anything else" in operator(f"run mismatches {run}").out
    beat("3", 60, wrong=[{"step": 50, "parameter": "lr", "found": 0.475}])
    [row] = operator(f"run mismatches {run}").out.splitlines()[1:]
    assert row.split()[:8] == ["3", "lr", "50", "0.95", "0.475", "×", "0.5", "1"]
    [wrong] = rows(operator(f"run workers {run} --wrong").out)
    assert wrong[:3] == ["3", "wrong", "60"]
    assert operator(f"run workers {run}").out.startswith("workers  2 alive, 1 wrong\n")
    [listed] = operator(f"run mismatches {run} --json").json
    assert (listed["expected"], listed["found"]) == ("0.95", "0.475")
    assert "attention" in operator(f"run show {run}").out


def test_a_long_list_is_cut(operator: Command, run: str, beat: Beat) -> None:
    """Of many, so many as one wants to see; for a script, all."""
    for rank in range(5):
        beat(f"{rank}", 10)
    shown = operator(f"run workers {run} --limit 2").out
    assert shown.splitlines()[-1] == "… and 3 more: --limit 5 shows all."
    assert len(operator(f"run workers {run} --limit 2 --json").json["items"]) == 5


def test_one_of_two_options(operator: Command, run: str) -> None:
    """Who is wrong is not silent at the same time: that is a mistake of the command."""
    both = operator(f"run workers {run} --wrong --state silent")
    assert (both.code, "not both" in both.err) == (2, True)
    assert operator(f"run workers {run} --wrong --state wrong").code == 0
    assert operator(f"run workers {run} --state asleep").code == 2


def test_a_run_that_is_not_there_is_refused(operator: Command) -> None:
    """A wrong name is 1."""
    for command in ("workers", "mismatches"):
        refused = operator(f"run {command} nobody-knows-it")
        assert refused.code == 1
        assert "[404 unknown-run]" in refused.err


def test_a_watch_tells_of_a_mismatch(
    operator: Command, run: str, beat: Beat, settle: Settle
) -> None:
    """It is an event: a line with the worker, the step and both values."""
    beat("3", 60, wrong=[{"step": 50, "parameter": "lr", "found": "NaN"}])
    operator(f"run finish {run}")
    told = [
        " ".join(line.split()[3:])
        for line in operator(f"run watch {run} --after 0 --changes").out.splitlines()
    ]
    assert told[0] == "mismatch 50 worker 3 applied lr = NaN in place of 0.95"
