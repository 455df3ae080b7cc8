"""Stops, pauses, signals and notes from the command line, against a real server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.cli.conftest import Command, Settle


def refused(http: httpx.Client, name: str, step: int) -> str:
    """Read one step past the end of what can be read, and return the code of the refusal."""
    shown = http.get(f"/v1/runs/{name}").json()
    asked = {"generation": shown["generation"], "start": step, "count": 1}
    answer = http.get(f"/v1/runs/{shown['id']}/values", params=asked)
    return str(answer.json()["type"]).rpartition(":")[2]


def test_a_stop_ends_every_worker_at_one_step(
    operator: Command, run: str, settle: Settle, http: httpx.Client
) -> None:
    """It says where, by which revision, and how it is taken back; the run and lists show it."""
    ran = operator(f"run stop {run} --at 200 -m diverged")
    assert ran.out.splitlines() == [
        "Revision 2 ends the training at step 200, the same on every worker.",
        f"  until the first has ended there:  rheostat run cancel {run} 2",
    ]
    shown = operator(f"run show {run}").out
    assert (
        f"at step 200, 100 to go, by revision 2; to lift it: rheostat run cancel {run} 2" in shown
    )
    settle(run, 200)
    assert refused(http, run, 200) == "stopped"
    assert "state       stopped" in operator(f"run show {run}").out
    [row] = [line for line in operator("run list").out.splitlines() if line.startswith(run)]
    assert row.split()[1] == "stopped"


def test_a_stop_that_nobody_met_is_taken_back(
    operator: Command, run: str, settle: Settle, http: httpx.Client
) -> None:
    """Where no worker has ended, cancel or resume take it back, and nothing is rewound."""
    operator(f"run stop {run}")
    assert "Revision 2, the stop at step 100, is taken back" in operator(f"run resume {run}").out
    operator(f"run stop {run} --at 150")
    assert operator(f"run cancel {run} 4").out.startswith("Revision 4 is cancelled.")
    settle(run, 200)
    assert http.get(f"/v1/runs/{run}").json()["generation"] == 1


def test_a_stop_that_was_told_is_lifted_by_a_rewind(
    operator: Command, run: str, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the rewind does is shown, a script must say --yes, and with --until it pauses again."""
    operator(f"run stop {run}")
    assert refused(http, run, 100) == "stopped"

    taken_back = operator(f"run cancel {run} 2")
    assert taken_back.code == 1
    assert "[409 not-pending]" in taken_back.err
    assert "rheostat run resume" in taken_back.err
    typed = ["/bin/rheostat", "run", "resume", run, "--until", "120", "--token", "rheo_secret"]
    monkeypatch.setattr("sys.argv", typed)
    asked = operator(f"run resume {run} --until 120")
    assert asked.code == 2
    assert f"Run {run} was stopped at step 100, and workers have ended there." in asked.err
    assert asked.err.splitlines()[-2:] == [
        f"Nobody is here to ask:  Rewind run {run} to step 100?",
        f"  to do it:  rheostat run resume {run} --until 120 --yes",
    ]
    assert "Usage" not in asked.err
    assert http.get(f"/v1/runs/{run}").json()["generation"] == 1

    lifted = operator(f"run resume {run} --yes --until 120")
    assert "The stop is lifted: generation 2 goes on from step 100." in lifted.out
    assert "Revision 4 holds them again at step 120." in lifted.out
    rows = operator(f"run history {run}").out.splitlines()
    assert "lifted by the rewind to generation 2" in rows[2]


def test_a_pause_holds_until_it_is_resumed(
    operator: Command, run: str, settle: Settle, http: httpx.Client
) -> None:
    """A hundred more steps, and the next pause, are one command."""
    assert "Revision 2 holds every worker at step 100." in operator(f"run pause {run}").out
    assert refused(http, run, 100) == "paused"
    assert "state       paused" in operator(f"run show {run}").out
    ran = operator(f"run resume {run} --steps 100")
    assert "Revision 3: the workers go on." in ran.out
    assert "Revision 4 holds them again at step 200." in ran.out
    settle(run, 200)
    assert refused(http, run, 200) == "paused"
    assert operator(f"run resume {run} --json").json["cancelled"] == [4]
    settle(run, 300)
    fates = [row.split()[3:6] for row in operator(f"run history {run}").out.splitlines()[1:]]
    assert fates[1] == ["cancelled", "by", "revision"]


def test_who_is_not_held_is_not_resumed(operator: Command, run: str) -> None:
    """There has to be a pause at which the run holds; one further on is not lifted by mistake."""
    for later in ("", f"run pause {run} --at 500"):
        if later:
            operator(later)
        ran = operator(f"run resume {run}")
        assert ran.code == 1
        assert "[409 not-pending]" in ran.err
    both = operator(f"run resume {run} --until 5 --steps 5")
    assert (both.code, "not both" in both.err) == (2, True)


def test_a_watch_tells_what_was_ordered(operator: Command, run: str) -> None:
    """Stops, pauses and resumes are events, each a line with its revision, author and reason."""
    operator(f"run pause {run} -m 'look at it'")
    operator(f"run resume {run}")
    operator(f"run stop {run} --at 500")
    operator(f"run finish {run}")
    told = [
        " ".join(line.split()[3:])
        for line in operator(f"run watch {run} --after 0 --changes").out.splitlines()
    ]
    assert told == [
        "paused 100 revision 2 by ann – look at it",
        "resumed 100 revision 3 by ann: lifts revision 2",
        "stopped 500 revision 4 by ann",
        "finished 100 by ann",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [("--signal ''", "--signal is empty"), ('--signal "\'"', "No closing quotation")],
)
def test_a_signal_that_cannot_be_read_is_refused(
    operator: Command, run: str, words: str, said: Any
) -> None:
    """P10: what comes with a stop is a word and its arguments."""
    ran = operator(f"run stop {run} {words}")
    assert (ran.code, said in ran.err) == (2, True)
