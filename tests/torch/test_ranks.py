"""The ranks of a process group go on together, or stop together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rheostat import Client

pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")

COSINE = {"kind": "cosine", "start": 0.1, "end": 0.001, "steps": 20}
Outcomes = list[dict[str, Any]]


@pytest.fixture(scope="module")
def outcomes(server: str, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """Return what two ranks of one process group saw."""
    with Client(server) as client:
        for run in ("ranks", "others"):
            client.create_run(run, {"lr": COSINE})
        client.create_run("grouped", {"lr": COSINE, "lr/head": COSINE})
    rendezvous = str(tmp_path_factory.mktemp("ranks") / "rendezvous")
    program = [sys.executable, str(Path(__file__).with_name("rank.py"))]
    arguments = [rendezvous, server, "ranks", "others", "grouped"]
    ranks = [
        subprocess.Popen([*program, rank, *arguments], stdout=subprocess.PIPE, text=True)
        for rank in ("0", "1")
    ]
    return [json.loads(rank.communicate(timeout=120)[0]) for rank in ranks]


def test_all_ranks_read_the_same_values(outcomes: Outcomes) -> None:
    """P1: bit for bit."""
    assert len(set(outcomes[0]["values"])) == 20
    assert outcomes[0]["values"] == outcomes[1]["values"]


@pytest.mark.parametrize(
    ("attempt", "kind", "words"),
    [
        ("two runs", "Conflict", "do not agree: rank 0 is at generation 1 of run ranks"),
        ("two steps", "Conflict", "at step 1"),
        ("one stale", "StaleCheckpoint", "saved with the run 'others'"),
        ("a group of none", "Invalid", "no parameter group is named 'head' (there are: body)"),
        ("one misfit", "Invalid", "groups differ"),
        ("one that is no run", "Invalid", "run must be a run that was joined"),
        ("two attached runs", "Conflict", "do not agree: rank 0 is at generation 1 of run ranks"),
        ("two starts", "Conflict", "at step 1"),
        ("two loaded steps", "Conflict", "at step 1"),
        ("one bad argument", "Invalid", "by must be at least 1"),
    ],
)
def test_all_ranks_raise_the_same_error(
    outcomes: Outcomes, attempt: str, kind: str, words: str
) -> None:
    """A rank that cannot join, or joins elsewhere, stops the others: none waits for it."""
    first, second = (outcome[attempt] for outcome in outcomes)
    assert first == second
    assert first[0] == kind
    assert words in first[1]


def test_the_error_says_which_rank_failed(outcomes: Outcomes) -> None:
    """In a job of a thousand ranks one wants to know where to look."""
    assert outcomes[0]["one stale"][-1] == "rank 1 of 2 failed; all ranks stop"


def test_a_group_that_one_rank_has_is_no_misspelling(outcomes: Outcomes) -> None:
    """A stage of a pipeline that has no head takes no part in ``lr/head``, and the run is right."""
    assert [outcome["a group of one rank"] for outcome in outcomes] == [None, None]
    fields = [outcome["its fields"] for outcome in outcomes]
    assert fields == [[{"lr": "lr"}], [{"lr": "lr"}, {"lr": "lr/head"}]]


def test_a_defect_of_one_rank_reaches_the_others(outcomes: Outcomes) -> None:
    """They raise at once what they were told, and do not wait until the group's timeout."""
    first, second = (outcome["one defect"] for outcome in outcomes)
    assert second == ["ZeroDivisionError", "a defect"]
    assert first[0] == "Conflict"
    assert "ZeroDivisionError: a defect" in first[1]


def test_ranks_that_agree_go_on(outcomes: Outcomes) -> None:
    """A checkpoint that all of them load is loaded, after all those failures."""
    assert [(o["agreed"], o["step"]) for o in outcomes] == [(None, 7), (None, 7)]
    assert [(o["loaded alike"], o["its step"]) for o in outcomes] == [(None, 7), (None, 7)]


def test_all_ranks_beat_as_one_job(outcomes: Outcomes) -> None:
    """By its id a new attempt replaces the workers of the older one; each join has its own."""
    first, second = (outcome["jobs"] for outcome in outcomes)
    assert first == second
    assert len(set(first)) == 2
