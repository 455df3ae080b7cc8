"""`--wait`: how far a revision came, told in words and by the exit code."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.cli.conftest import NOWHERE, Command, Ran
from tests.cli.running import invoke
from tests.conftest import Names

from rheostat.cli import connecting
from rheostat.cli.pace import Pace
from rheostat.cli.views.outcomes import Awaited, awaited
from rheostat.cli.views.screen import Screen
from rheostat.cli.waiting import exit_code
from rheostat.client import Client
from rheostat.server.routes.revisions import REVISION
from rheostat.server.routes.runs import STATE

EFFECTIVE = 5000
RUN = {"parameters": {"lr": {"kind": "constant", "value": 0.5}}}
FAILED = {"source": "rank0", "outcome": "failed", "step": 5000, "data": None, "error": "disk full"}
DONE = {"source": "rank0", "outcome": "done", "step": 5000, "data": {"path": "/ckpt"}, "error": ""}
Wait = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Return a command whose revision comes as far as is said, one state after the other."""

    def command(
        line: str,
        *states: str,
        outcomes: Sequence[dict[str, Any]] = (),
        eta: dict[str, Any] | None = None,
    ) -> Ran:
        etas = {"eta": [eta]} if eta else {}
        left = list(states)

        def answer(request: httpx.Request) -> httpx.Response:
            path = request.url.path
            if request.method == "POST":
                made = {"revision": 7, "effective": EFFECTIVE, "pending": [], "warnings": []}
                return httpx.Response(201, json={**made, "beyond": None, **etas})
            if "/revisions/" in path:
                state = left.pop(0) if len(left) > 1 else left[0]
                kind = "signal" if "signal" in line else "change"
                item = {**REVISION.example, "revision": 7, "kind": kind, "effective": EFFECTIVE}
                if not etas:
                    del item["eta"]
                return httpx.Response(
                    200,
                    json={
                        **item,
                        **etas,
                        "state": state,
                        "waited": _waited(str(request.url.params["wait"]), state),
                        "outcomes": {"done": 0, "failed": 0, "items": list(outcomes)},
                    },
                )
            return httpx.Response(200, json={**STATE, "settled_until": 4096})

        def connect(*_: str | None) -> Client:
            return Client(NOWHERE, retries=0, transport=httpx.MockTransport(answer))

        monkeypatch.setattr(connecting, "connect", connect)
        done = invoke(line.split())
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Ran(done.exit_code, done.stdout, done.stderr)

    return command


def _waited(goal: str, state: str) -> dict[str, Any]:
    """Return what the service says of a revision that was waited for."""
    order = ("pending", "settled", "reached", "proven")
    met = state == goal
    if state in order and goal in order:
        met = order.index(state) >= order.index(goal)
    return {"for": goal, "met": met, "detail": f"the revision is {state}, so it is"}


@pytest.mark.parametrize(
    ("words", "states", "code", "said"),
    [
        ("--wait", ["settled"], 0, "is settled: nobody can take it back"),
        ("--wait=settled", ["proven"], 0, "is settled"),
        ("--wait=reached", ["reached"], 0, "is reached: every live worker is past it"),
        ("--wait=proven", ["proven"], 0, "is proven: the values of all workers agree"),
        ("--wait --timeout 0", ["pending"], 3, "is still pending after 0 s"),
        ("--wait=reached", ["settled"], 3, "is not reached: the revision is settled, so it is."),
        ("--wait", ["dropped"], 4, "was dropped by a rewind."),
        ("--wait=reached", ["cancelled"], 4, "was taken back."),
    ],
)
def test_the_exit_code_says_how_far_it_came(
    run: Wait, words: str, states: list[str], code: int, said: str
) -> None:
    """0: as far as was wanted; 3: not in time; 4: it never will; what failed is on stderr."""
    ran = run(f"run change gpt lr 0.5 {words}", *states)
    assert ran.code == code
    assert ran.out.startswith("Revision 7 takes effect at step 5,000 on every worker.")
    assert f"Revision 7 {said}" in (ran.err if code else ran.out)


def test_it_is_asked_again_until_it_has_come(run: Wait, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the answer comes in its time, the revision may still come further."""
    monkeypatch.setattr("rheostat.cli.waiting.SOON", 0.0)
    ran = run("run change gpt lr 0.5 --wait=reached", "pending", "settled", "reached")
    assert (ran.code, "is reached" in ran.out) == (0, True)


ETA = {
    "revision": 7,
    "effective": EFFECTIVE,
    "steps": 8192,
    "seconds": 2510.0,
    "reached_by": 3,
    "workers": 8,
}


@pytest.mark.parametrize(
    ("eta", "said"),
    [
        (ETA, "The last of 8 workers has it in 8,192 steps, about 42 min."),
        (
            {**ETA, "steps": 1, "seconds": 0.31},
            "The last of 8 workers has it in 1 step, less than 1 s.",
        ),
        ({**ETA, "seconds": None}, "The last of 8 workers has it in 8,192 steps."),
        ({**ETA, "workers": 1}, "The only worker has it in 8,192 steps, about 42 min."),
        ({**ETA, "steps": 0, "seconds": 0.0}, "The last of 8 workers is there already."),
    ],
)
def test_an_answer_says_when_the_last_worker_has_it(
    run: Wait, eta: dict[str, Any], said: str
) -> None:
    """In steps and, where a pace is known, in time; below the step from which it holds."""
    ran = run("run change gpt lr 0.5", "pending", eta=eta)
    assert ran.out.splitlines() == [
        "Revision 7 takes effect at step 5,000 on every worker.",
        f"  {said}",
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run stop gpt", "The last of 8 workers is there in 8,192 steps, about 42 min."),
        ("run pause gpt", "The last of 8 workers is there in 8,192 steps, about 42 min."),
        ("run signal gpt save", "The last of 8 workers hears it in 8,192 steps, about 42 min."),
    ],
)
def test_an_order_says_when_the_last_worker_is_there(run: Wait, line: str, said: str) -> None:
    """What a worker does at the step is another word, and the same sentence."""
    assert run(line, "pending", eta=ETA).out.splitlines()[1] == f"  {said}"


def test_a_pipe_gets_a_line_now_and_then(run: Wait, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no terminal is, the countdown is a line at once and one a minute, on stderr."""
    monkeypatch.setattr("rheostat.cli.waiting.SOON", 0.0)
    states = ["pending", "settled", "settled", "reached"]
    line = "run change gpt lr 0.5 --wait=reached"
    told = "waiting until revision 7 is reached: 8,192 steps, about 42 min to go for the last of 8"
    assert run(line, *states, eta=ETA).err.splitlines() == [told]
    monkeypatch.setattr("rheostat.cli.waiting.SELDOM", 0.0)
    assert run(line, *states, eta=ETA).err.splitlines() == [told] * 3
    there = {**ETA, "steps": 0, "seconds": 0.0}
    assert run(line, *states, eta=there).err.splitlines()[-1] == (
        "waiting until revision 7 is reached: 3 of 8 have come to it"
    )


def test_scripts_are_told_when_the_last_worker_comes(run: Wait) -> None:
    """The answer has it, and what became of waiting, too."""
    found = json.loads(run("run change gpt lr 0.5 --wait --json", "settled", eta=ETA).out)
    assert (found["eta"], found["awaited"]["eta"]) == ([ETA], [ETA])
    assert (
        json.loads(run("run change gpt lr 0.5 --wait --json", "settled").out)["awaited"]["eta"]
        == []
    )


def test_what_is_missing_is_said_in_steps(run: Wait) -> None:
    """Who waited in vain is told how far workers have read."""
    ran = run("run change gpt lr 0.5 --wait --timeout 0", "pending")
    assert "workers have read up to step 4,096, 904 short of 5,000" in ran.err


@pytest.mark.parametrize(
    ("state", "outcomes", "code", "said"),
    [
        ("done", [DONE], 0, 'done  rank0 at step 5,000  {"path": "/ckpt"}'),
        ("failed", [DONE, FAILED], 1, "failed  rank0 at step 5,000: disk full"),
        ("settled", [], 3, "Revision 7 is not done"),
    ],
)
def test_a_signal_is_done_when_a_worker_says_so(
    run: Wait, state: str, outcomes: list[dict[str, Any]], code: int, said: str
) -> None:
    """A save that failed is no success: the exit code is 1, and the reason is shown."""
    ran = run("run signal gpt checkpoint --wait=done --timeout 0", state, outcomes=outcomes)
    assert (ran.code, said in (ran.err if code else ran.out)) == (code, True)


def test_scripts_get_one_document(run: Wait) -> None:
    """With --json the answer comes once, with what became of it."""
    found = json.loads(run("run change gpt lr 0.5 --wait --json", "settled").out)
    assert (found["revision"], found["effective"]) == (7, EFFECTIVE)
    assert (found["awaited"]["met"], found["awaited"]["state"]) == (True, "settled")
    late = run("run change gpt lr 0.5 --wait --timeout 0 --json", "pending")
    assert (late.code, json.loads(late.out)["awaited"]["state"]) == (3, "pending")


def test_what_workers_say_cannot_act(run: Wait) -> None:
    """An outcome is other people's text."""
    hostile = {**FAILED, "source": "\x1b[2J", "error": "a\nb\x1b[31m"}
    ran = run("run signal gpt checkpoint --wait=done", "failed", outcomes=[hostile])
    assert "\x1b" not in ran.err
    assert r"\x1b[2J at step 5,000: a\nb\x1b[31m" in ran.err


@pytest.mark.parametrize("words", ["--wait=never", "--timeout -1", "--wait settled"])
def test_what_cannot_be_waited_for_is_refused(run: Wait, words: str) -> None:
    """P10: a state is one of four, behind an equals sign, and a time is not negative."""
    ran = run(f"run stop gpt {words}", "settled")
    assert (ran.code, ran.out) == (2, "")


def test_the_pace_is_that_of_the_settled_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten steps in a second are ten a second; a rewind begins anew."""
    now = iter([0.0, 1.0, 11.0, 13.0])
    monkeypatch.setattr("rheostat.cli.pace.time.monotonic", lambda: next(now))
    pace = Pace()
    assert pace.steps_per_second is None
    told: list[float | None] = []
    for settled in (100, 110, 50, 60):
        pace.see(settled)
        told.append(pace.steps_per_second)
    assert told == [None, 10, None, 5]


def test_a_pause_that_holds_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    """It can still be taken back, so it is said where workers are held."""
    found: Awaited = {
        "revision": 7,
        "effective": EFFECTIVE,
        "goal": "settled",
        "state": "pending",
        "met": True,
        "detail": "the run is settled up to it, and holds there",
        "nobody": None,
        "settled_until": EFFECTIVE,
        "eta": [],
        "seconds": 1.0,
        "outcomes": [],
    }
    awaited(Screen(), found)
    assert capsys.readouterr().out == "Revision 7: no worker goes on past step 5,000.\n"
    assert exit_code(found) == 0


def changed(http: httpx.Client, name: str) -> None:
    """Return once a run has been changed, and whoever did waits for that, most likely."""
    until = time.monotonic() + 60
    while http.get(f"/v1/runs/{name}").json()["revision"] < 2:
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(1.5)


def test_a_change_is_followed_to_the_last_worker(
    operator: Command, new_name: Names, http: httpx.Client
) -> None:
    """Against a real service: told when it comes, counted down, and not before all are past it."""
    name = new_name()
    run_id = http.put(f"/v1/runs/{name}", json=RUN).raise_for_status().json()["id"]

    def beat(*steps: int) -> None:
        workers = [
            {"worker": str(rank), "session": "s", "step": step, "pace": 4.0}
            for rank, step in enumerate(steps)
        ]
        body = {"generation": 1, "workers": workers}
        http.post(f"/v1/runs/{run_id}/beats", json=body).raise_for_status()

    def go_on() -> None:
        changed(http, name)
        block = {"generation": 1, "start": 0, "count": 200}
        http.get(f"/v1/runs/{run_id}/values", params=block).raise_for_status()
        beat(100, 101)  # worker 0 is at the step, and has yet to do its update
        time.sleep(1.5)
        beat(101, 101)

    beat(90, 92)
    with ThreadPoolExecutor(1) as pool:
        going_on = pool.submit(go_on)
        ran = operator(f"run change {name} lr 0.1 --at 100 --wait=reached --timeout 60")
        going_on.result()
    first, told, last = ran.out.splitlines()
    assert (ran.code, first) == (0, "Revision 2 takes effect at step 100 on every worker.")
    assert told.startswith("  The last of 2 workers has it in 10 steps, about ")
    assert last == "Revision 2 is reached: every live worker is past it."
    assert ran.err.startswith("waiting until revision 2 is reached: 10 steps, about ")


def test_who_gives_up_is_told_who_holds_it_back(
    operator: Command, new_name: Names, http: httpx.Client
) -> None:
    """The exit code is 3, and the sentence names the slowest worker and its step."""
    name = new_name()
    run_id = http.put(f"/v1/runs/{name}", json=RUN).raise_for_status().json()["id"]
    beat = {"generation": 1, "workers": [{"worker": "7", "session": "s", "step": 90}]}
    http.post(f"/v1/runs/{run_id}/beats", json=beat).raise_for_status()

    def settle() -> None:
        changed(http, name)
        block = {"generation": 1, "start": 0, "count": 200}
        http.get(f"/v1/runs/{run_id}/values", params=block).raise_for_status()

    with ThreadPoolExecutor(1) as pool:
        settling = pool.submit(settle)
        ran = operator(f"run change {name} lr 0.2 --at 100 --wait=reached --timeout 8")
        settling.result()
    assert ran.code == 3
    assert ran.err.splitlines()[-1] == (
        "Revision 2 is not reached: the time is over, and the revision is settled:"
        " worker 7 is the last, at step 90, 10 short of 100."
    )
