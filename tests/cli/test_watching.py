"""`rheostat run watch` against a real server."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"


@pytest.fixture
def run(operator: Any, new_name: Any) -> str:
    """Return the name of a new run, whose learning rate falls by 0.001 with each step."""
    name: str = new_name()
    assert operator(f"run create {name} lr linear start=1 end=0 steps=1000").code == 0
    return name


def settle(http: httpx.Client, name: str, stop: int) -> None:
    """Settle a run up to a step, as a worker."""
    shown = http.get(f"/v1/runs/{name}").json()
    asked = {"generation": shown["generation"], "start": 0, "count": stop}
    http.get(f"/v1/runs/{shown['id']}/values", params=asked).raise_for_status()


@contextmanager
def watching(url: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Watch in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "rheostat.cli", "run", "watch", *words],
        env={**os.environ, "RHEOSTAT_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def shape(lines: str) -> list[str]:
    """Return lines with their times checked and taken off, and their blanks joined."""
    found = [re.fullmatch(rf"{MOMENT}  (.*)", line) for line in lines.splitlines()]
    return [" ".join(match[1].split()) for match in found if match]


def test_a_watch_says_who_did_what_where_and_why(
    operator: Any, run: str, http: httpx.Client
) -> None:
    """Each event is one readable line; the watch of a finished run ends by itself."""
    settle(http, run, 800)
    operator(f"run change {run} lr scale 0.5 --at 900 -m 'loss\nspike'")
    operator(f"run cancel {run} 2 -m 'it was the data' --author bob")
    operator(f"run rewind {run} 400 lr 0.25 -m diverged")
    settle(http, run, 500)
    operator(f"run rewind {run} 450")
    assert operator(f"run finish {run} --end 2k -m enough").code == 0
    watched = operator(f"run watch {run} --after 0")
    assert watched.code == 0
    assert shape(watched.out) == [
        "settled 800",
        "revised 900 revision 2 by ann: lr scale 0.5 – loss spike",
        "cancelled 900 revision 2 is taken back by bob – it was the data",
        "rewound 400 generation 2 by ann, back from 800 into generation 1: lr 0.25 – diverged",
        "settled 500 generation 2",
        "rewound 450 generation 3 by ann, back from 500 into generation 2",
        "finished 2,000 by ann – enough",
    ]


def test_changes_alone_can_be_watched(operator: Any, run: str, http: httpx.Client) -> None:
    """`--changes` leaves out what settles, and a forced guard shows."""
    settle(http, run, 8)
    operator(f"run change {run} lr 0.5")
    assert operator(f"run finish {run}").code == 0
    shown = shape(operator(f"run watch {run} --after 0 --changes").out)
    assert shown == ["revised 8 revision 2 by ann: lr 0.5", "finished 8 by ann"]


def test_a_watch_begins_with_the_newest(operator: Any, run: str) -> None:
    """Without --after the first line is what happened last; the history is for the rest."""
    operator(f"run change {run} lr 0.5")
    assert operator(f"run finish {run}").code == 0
    assert shape(operator(f"run watch {run}").out) == ["finished 0 by ann"]


def test_a_watch_shows_what_happens_as_it_happens(operator: Any, server: str, run: str) -> None:
    """A line is there before the next thing happens, in a pipe too; the end of the run ends it."""
    with watching(server, run, "--json") as process:
        assert process.stdout is not None
        for number in range(1, 4):
            operator(f"run change {run} lr scale 0.5")
            event = json.loads(process.stdout.readline())
            assert (event["kind"], event["number"]) == ("revised", number)
        operator(f"run finish {run}")
        assert json.loads(process.stdout.readline())["kind"] == "finished"
        assert process.stdout.read() == ""
        assert process.wait(60) == 0


def test_ctrl_c_ends_a_watch(operator: Any, server: str, run: str) -> None:
    """It is how one stops looking: exit code 130, and nothing to complain about."""
    operator(f"run change {run} lr scale 0.5 -m half")
    with watching(server, run) as process:
        assert process.stdout is not None
        assert "half" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (130, "", "")


def test_a_run_that_is_not_there_is_refused(operator: Any, rheostat: Any, new_name: Any) -> None:
    """A wrong name is 1, and no service is 3."""
    refused = operator(f"run watch {new_name()} --no-wait")
    assert refused.code == 1
    assert "[404 unknown-run]" in refused.err
    assert rheostat("run watch gpt").code == 3


def test_a_watch_waits_for_a_run_that_is_to_come(operator: Any, server: str, new_name: Any) -> None:
    """It may be started before the training: it says so, and goes on once the run is there."""
    name = new_name()
    with watching(server, name, "--json") as process:
        assert process.stderr is not None
        assert f"there is no run '{name}'" in process.stderr.readline()
        operator(f"run create {name} lr=0.1")
        operator(f"run finish {name}")
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out.splitlines()[-1])["kind"]) == (0, "finished")
