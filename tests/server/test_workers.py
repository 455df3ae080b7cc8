"""Who trains, over HTTP: beats, what is told of a run's workers, and who else knows of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests import waiting

from rheostat.limits import LEAST_AGAIN

if TYPE_CHECKING:
    from tests.conftest import StartServer
    from tests.server.conftest import AssertProblem


def created(http: httpx.Client, name: str) -> str:
    """Create a run, and return its id."""
    answer = http.post("/v1/runs", json={"name": name, "parameters": {"lr": 1}})
    return str(answer.raise_for_status().json()["id"])


def said(*names: object, generation: int = 1, **fields: Any) -> dict[str, Any]:
    """Return the beat of some workers."""
    one = {"session": "a", "step": 10, "pace": 2.0, **fields}
    return {"generation": generation, "workers": [{"worker": str(n), **one} for n in names]}


def beat(http: httpx.Client, run: str, *names: object, **fields: Any) -> dict[str, Any]:
    """Send the beat of some workers, and return the answer."""
    answer = http.post(f"/v1/runs/{run}/beats", json=said(*names, **fields))
    return dict(answer.raise_for_status().json())


def told(http: httpx.Client, run: str, **params: Any) -> dict[str, Any]:
    """Return what is told of a run's workers."""
    answer = http.get(f"/v1/runs/{run}/workers", params=params)
    return dict(answer.raise_for_status().json())


until = partial(waiting.until, within=30)


def test_a_run_shows_who_trains(http: httpx.Client, new_name: Any) -> None:
    """After the beat of two ranks they are alive, where they said, and the run counts them."""
    run = created(http, new_name())
    answer = beat(http, run, 0, 1, host="n03")
    assert 0.8 * LEAST_AGAIN <= answer["again"] <= 1.2 * LEAST_AGAIN
    assert answer["compare"] == []
    until(lambda: bool(told(http, run)["alive"] == 2))
    found = told(http, run)
    assert (found["first"], found["last"], found["pace"], found["next"]) == (10, 10, 2.0, None)
    first = found["items"][0]
    assert (first["worker"], first["host"], first["state"]) == ("0", "n03", "training")
    assert http.get(f"/v1/runs/{run}").json()["workers"] == {"alive": 2, "silent": 0, "wrong": 0}


def test_arrival_is_told_of_what_is_pending(http: httpx.Client, new_name: Any) -> None:
    """From step 10 to 110 there are 100 steps, which take 50 s at 2 a second, from the beat on."""
    run = created(http, new_name())
    beat(http, run, 0)
    change = {"changes": {"lr": 2}, "effective": 110}
    http.post(f"/v1/runs/{run}/revisions", json=change).raise_for_status()
    until(lambda: bool(told(http, run)["eta"]))
    (eta,) = told(http, run)["eta"]
    assert eta.pop("seconds") <= 50
    expected = {"revision": 2, "effective": 110, "steps": 100, "reached_by": 0, "workers": 1}
    assert eta == expected


def test_pages_have_every_worker_once(http: httpx.Client, new_name: Any) -> None:
    """Twelve ranks in pages of five, by their number."""
    run = created(http, new_name())
    beat(http, run, *range(12))
    until(lambda: bool(told(http, run)["alive"] == 12))
    names: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = told(http, run, limit=5, **cursor)
        names += [each["worker"] for each in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert names == [str(number) for number in range(12)]
    assert told(http, run, state="ended")["items"] == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"worker": ""}, "workers[0].worker"),
        ({"worker": "a b"}, "workers[0].worker"),
        ({"worker": 129 * "x"}, "workers[0].worker"),
        ({"session": "\n"}, "workers[0].session"),
        ({"step": -1}, "workers[0].step"),
        ({"step": 2**53}, "workers[0].step"),
        ({"pace": -1}, "workers[0].pace"),
        ({"waited": 1e300}, "workers[0].waited"),
        ({"state": "wrong"}, "workers[0].state"),
        ({"surprise": 1}, "workers[0].surprise"),
    ],
)
def test_a_bad_beat_is_refused(
    http: httpx.Client, new_name: Any, problem: AssertProblem, wrong: Any, field: str
) -> None:
    """P10: what a worker may not say of itself is refused by its field, and nothing is kept."""
    run = created(http, new_name())
    body = said(0)
    body["workers"][0] |= wrong
    answer = http.post(f"/v1/runs/{run}/beats", json=body)
    assert field in [each["field"] for each in problem(answer, "invalid")["errors"]]
    assert told(http, run)["items"] == []


@pytest.mark.parametrize(
    ("window", "field"),
    [
        ({"cells": [[2**53 - 2, 3, 1]]}, "cells[0]"),
        ({"cells": [[0, 1]]}, "cells[0]"),
        ({"cells": []}, "cells"),
        ({"parameters": {}}, "parameters"),
        ({"digest": "5D"}, "digest"),
        ({"parameters": {"lr": "f16"}}, "parameters.lr"),
        ({"values": {"lr": ["inf"]}}, "values.lr[0]"),
    ],
)
def test_a_bad_window_is_refused(
    http: httpx.Client, new_name: Any, problem: AssertProblem, window: Any, field: str
) -> None:
    """P10: cells, digests and values that cannot be are refused by their field."""
    run = created(http, new_name())
    good = {"cells": [[0, 1, 1]], "parameters": {"lr": "f64"}, "digest": 32 * "0"}
    answer = http.post(f"/v1/runs/{run}/beats", json=said(0, applied=[good | window]))
    found = [each["field"] for each in problem(answer, "invalid")["errors"]]
    assert f"workers[0].applied[0].{field}" in found


def test_a_worker_is_named_once(http: httpx.Client, new_name: Any, problem: AssertProblem) -> None:
    """P10: a beat with the same rank twice contradicts itself."""
    run = created(http, new_name())
    refused = problem(http.post(f"/v1/runs/{run}/beats", json=said(0, 1, 0)), "invalid")
    assert refused["errors"][0]["field"] == "workers[2].worker"


def test_beats_go_to_what_is_there(
    http: httpx.Client, new_name: Any, problem: AssertProblem
) -> None:
    """
    A generation that the run has not, and a run that was deleted, are told as such.

    A run's name is none of its ids: it may be the next one's when the beat comes.
    """
    name = new_name()
    run = created(http, name)
    problem(http.post(f"/v1/runs/{name}/beats", json=said(0)), "unknown-run")
    late = http.post(f"/v1/runs/{run}/beats", json=said(0, generation=2))
    problem(late, "unknown-generation")
    beat(http, run, 0)
    http.delete(f"/v1/runs/{run}").raise_for_status()
    problem(http.post(f"/v1/runs/{run}/beats", json=said(0)), "unknown-run")
    problem(http.get(f"/v1/runs/{run}/workers"), "unknown-run")


def test_a_joining_worker_is_told_when_to_begin(http: httpx.Client, new_name: Any) -> None:
    """A join says within how many seconds the first beat comes: five, where few train."""
    run = created(http, new_name())
    joined = http.post(f"/v1/runs/{run}/join", json={}).raise_for_status().json()
    assert joined["again"] >= LEAST_AGAIN


def test_roles_of_beats_and_lists(own_guarded: Any) -> None:
    """A worker's token beats and a viewer's does not; a viewer's reads who trains."""
    with own_guarded.client(own_guarded.secrets["operator"]) as http:
        run = created(http, "gpt")
    path = f"/v1/runs/{run}/beats"
    assert own_guarded.ask("viewer", "POST", path, json=said(0)).status_code == 403
    assert own_guarded.ask(None, "POST", path, json=said(0)).status_code == 401
    assert own_guarded.ask("worker", "POST", path, json=said(0)).status_code == 200
    assert own_guarded.ask("viewer", "GET", f"/v1/runs/{run}/workers").status_code == 200
    assert own_guarded.ask(None, "GET", f"/v1/runs/{run}/workers").status_code == 401


def test_who_trained_is_known_after_a_crash(start_server: StartServer) -> None:
    """After ``kill -9`` the next process knows who trained, and since which session."""
    server = start_server()
    with server.client() as http:
        run = created(http, "gpt")
        beat(http, run, 0, host="n03")
        until(lambda: bool(http.get("/v1/runs").json()["items"][0]["workers"]["alive"]))
        server.kill()
    server.restart()
    with server.client() as http:
        (known,) = told(http, run)["items"]
        assert (known["worker"], known["host"], known["step"]) == ("0", "n03", 10)


def test_who_trained_is_known_after_a_stop(start_server: StartServer) -> None:
    """A server that is asked to stop writes down at once what it has heard."""
    server = start_server()
    with server.client() as http:
        run = created(http, "gpt")
        beat(http, run, 0)
    server.stop()
    server.restart()
    with server.client() as http:
        assert [each["worker"] for each in told(http, run)["items"]] == ["0"]


def test_a_run_gets_stuck(start_server: StartServer) -> None:
    """Once its workers miss three beats, a run is listed as stuck, until one speaks again."""
    server = start_server()
    with server.client() as http:
        run = created(http, "gpt")
        created(http, "never-trained")
        beat(http, run, 0, 1)
        stuck = {"stuck": "true"}
        until(lambda: bool(http.get("/v1/runs", params=stuck).json()["items"]))
        (item,) = http.get("/v1/runs", params=stuck).json()["items"]
        assert (item["name"], item["workers"]) == ("gpt", {"alive": 0, "silent": 2, "wrong": 0})
        assert {each["state"] for each in told(http, run)["items"]} == {"silent"}
        beat(http, run, 0)
        until(lambda: not http.get("/v1/runs", params=stuck).json()["items"])


def test_presence_goes_on_without_a_database(start_server: StartServer, tmp_path: Path) -> None:
    """P9: while the database is away a beat is refused and yet heard, and written down later."""
    path = tmp_path / "rheostat.db"
    server = start_server(database=f"sqlite:///{path}")
    with server.client() as http:
        run = created(http, "gpt")
        beat(http, run, 0)
        path.rename(tmp_path / "away.db")
        assert http.post(f"/v1/runs/{run}/beats", json=said(0, step=20)).status_code == 503
        (tmp_path / "away.db").rename(path)
        until(lambda: bool(http.get(f"/v1/runs/{run}/workers").status_code == 200))
        assert [each["step"] for each in told(http, run)["items"]] == [20]
