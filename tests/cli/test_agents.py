"""A run in short, waiting for what comes of it, and what tokens with a limit have left."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.cli.conftest import Command, Settle
from tests.cli.running import invoke
from tests.conftest import Guarded

from rheostat import Client


def test_a_brief_is_read_at_a_glance(
    operator: Command, new_name: Callable[[], str], http: httpx.Client, settle: Settle
) -> None:
    """Where the run is, each parameter now and ahead, and the metric before and after a change."""
    name = new_name()
    made = f"run create {name} lr linear start=1 end=0 steps=1000 --total 1000 --about 'a try'"
    assert operator(made).code == 0
    settle(name, 100)
    run = http.get(f"/v1/runs/{name}").json()["id"]
    operator(f"run change {name} lr scale 0.5 -m 'too fast'")
    settle(name, 200)
    points = [{"step": 90, "metrics": {"loss": 3.5}}, {"step": 180, "metrics": {"loss": "NaN"}}]
    body = {"generation": 1, "reports": points}
    http.post(f"/v1/runs/{run}/reports", json=body).raise_for_status()

    said = operator(f"run brief {name}").out

    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert "about a try" in lines
    assert "settled step 200 of 1,000" in lines
    assert "loss NaN" in lines
    assert any(line.startswith("lr 0.4 ") for line in lines)
    assert any(
        line.startswith("2 change 100 settled ann 3.5 NaN lr scale 0.5 too fast") for line in lines
    )
    document = operator(f"run brief {name} --json")
    assert document.json["parameters"][0]["value"] == 0.4
    assert len(document.out.encode()) <= 4096 * 2  # with spaces


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("step 50", 0, "It has come:"),
        ("step 5k --timeout 0", 3, "It has not come in time: no worker says where it is, and 100"),
        ("revision 1", 0, "It has come: revision 1"),
        ("report --timeout 0", 3, "It has not come in time: report 0 is the newest"),
        ("end --timeout 0", 3, "the run is live"),
        ("revision 9", 1, "[404 unknown-revision]"),
        ("proposal 9", 1, "[404 unknown-proposal]"),
        ("step", 1, "number is required: which step to wait for"),
        ("noon", 2, "'noon' is not one of"),
    ],
)
def test_the_exit_code_says_what_became_of_waiting(
    operator: Command, run: str, words: str, code: int, said: str
) -> None:
    """0 has come, 3 has not in time, 1 and 2 are refused or cannot be read."""
    ran = operator(f"run wait {run} {words}")
    assert ran.code == code
    assert said in " ".join((ran.err if code else ran.out).split())


def test_what_cannot_come_any_more_is_said_at_once(operator: Command, run: str) -> None:
    """4: a revision that was taken back, and whatever else of a run that is finished."""
    operator(f"run change {run} lr scale 0.5 --at 500")
    operator(f"run cancel {run} 2")
    ran = operator(f"run wait {run} revision 2")
    assert (ran.code, "It will not come: revision 2" in ran.err) == (4, True)
    operator(f"run finish {run}")
    assert operator(f"run wait {run} end").code == 0
    ran = operator(f"run wait {run} step 900 --json")
    assert (ran.code, ran.json["held"], ran.json["over"]) == (4, False, True)


def test_waiting_ends_when_it_comes(operator: Command, run: str, http: httpx.Client) -> None:
    """The next report, whenever it comes: one that was there before is not waited for."""
    key = http.get(f"/v1/runs/{run}").json()["id"]

    def report(step: int) -> None:
        points = [{"step": step, "metrics": {"loss": 1.0}}]
        body = {"generation": 1, "reports": points}
        http.post(f"/v1/runs/{key}/reports", json=body).raise_for_status()

    report(10)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(operator, f"run wait {run} report --timeout 60 --json")
        step = 11
        while not waiting.done() and step < 40:
            report(step)
            step += 1
    assert waiting.result().code == 0
    assert waiting.result().json["reports"] > 1


def test_allowances_tell_what_was_done_and_refused(
    guarded: Guarded, new_name: Callable[[], str]
) -> None:
    """Of each token with a limit: what it made, what is left, and what it was told at last."""
    name = new_name()
    token = f"tuner-{name[-12:]}"
    with Client(guarded.url, token=guarded.secrets["admin"]) as admin:
        admin.create_run(name, {"lr": 1.0}, total=1000)
        limit = "changes=2/day, gap=500, edits=scale"
        secret = admin.tokens.create(token, "operator", limit=limit)["token"]
    environment = {"RHEOSTAT_URL": guarded.url, "RHEOSTAT_TOKEN": secret, "COLUMNS": "80"}

    def said(line: str) -> str:
        done = invoke(line.split(), env=environment)
        return done.stdout + done.stderr

    assert "Revision 2" in said(f"run change {name} lr scale 0.5 -m flat")
    assert "limit-reached" in said(f"run change {name} lr hold 5 -m flat")
    for _ in range(100):  # what was refused is written down within a second
        told = " ".join(said(f"run allowances {name}").split())
        if f"{token} 1 1 more, from step 500 1" in told:
            break
    assert f"{limit} just now: the token {token} is limited: its edits are scale" in told
    listed = json.loads(said(f"run allowances {name} --json"))
    [item] = [each for each in listed if each["token"] == token]
    assert (item["made"], item["left"], item["from_step"]) == (1, 1, 500)
