"""Checkpoints that are known, over HTTP, and what a rewind and a fork say of them."""

from __future__ import annotations

import threading
import time
from base64 import urlsafe_b64encode
from contextlib import suppress
from typing import Any

import httpx
import pytest
from tests.conftest import Guarded, Names, StartServer
from tests.server.conftest import AssertProblem

BODY = {"parameters": {"lr": {"kind": "constant", "value": 0.5}}}
SAVED = {"generation": 1, "step": 8, "tag": "last", "source": "rank-0"}


class Trained:
    """A run of which 64 steps are settled."""

    def __init__(self, http: httpx.Client, name: str) -> None:
        self.http = http
        self.name = name
        self.path = f"/v1/runs/{name}"
        self.id = http.put(self.path, json=BODY).raise_for_status().json()["id"]
        self.settle(0, 64)

    def settle(self, start: int, count: int, generation: int = 1) -> None:
        """Settle a block."""
        block: dict[str, int] = {"generation": generation, "start": start, "count": count}
        self.http.get(f"/v1/runs/{self.id}/values", params=block).raise_for_status()

    def save(self, **more: Any) -> httpx.Response:
        """Say that a checkpoint was saved."""
        return self.http.post(f"/v1/runs/{self.id}/checkpoints", json={**SAVED, **more})

    def listed(self, **params: Any) -> list[dict[str, Any]]:
        """Return the checkpoints, asked for one by one."""
        found: list[dict[str, Any]] = []
        page: dict[str, Any] = {"next": ""}
        while page["next"] is not None:
            given = {"cursor": page["next"]} if page["next"] else {}
            answer = self.http.get(
                f"{self.path}/checkpoints", params={"limit": 1, **params, **given}
            )
            page = answer.raise_for_status().json()
            found += page["items"]
        return found

    def post(self, what: str, body: Any, **params: Any) -> httpx.Response:
        """Send a request about the run."""
        return self.http.post(f"/v1/runs/{self.id}/{what}", json=body, params=params)


@pytest.fixture
def run(http: httpx.Client, new_name: Names) -> Trained:
    """Return a run of which 64 steps are settled."""
    return Trained(http, new_name())


def test_a_checkpoint_is_known_once(run: Trained) -> None:
    """201 for the first word, 200 with what is kept for any other, without a key."""
    first = run.save(uri="s3://a", bytes=7)
    again = run.save(uri="s3://b")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert run.save(tag="best").status_code == 201
    assert [each["tag"] for each in run.listed()] == ["best", "last"]
    assert run.listed(tag="last") == [first.json()]
    assert first.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("generation", 0),
        ("step", -1),
        ("step", 65),
        ("step", 8.5),
        ("tag", ""),
        ("tag", None),
        ("tag", 129 * "x"),
        ("uri", ""),
        ("uri", 2049 * "x"),
        ("bytes", -1),
        ("bytes", 2**53),
        ("source", ""),
        ("source", 129 * "x"),
        ("revision", 0),
        ("nope", 1),
    ],
)
def test_what_can_be_no_checkpoint_is_refused(
    run: Trained, problem: AssertProblem, field: str, value: Any
) -> None:
    """P10: by the field's name, and nothing is kept."""
    refusal = problem(run.save(**{field: value}), "invalid")
    assert field in [error["field"] for error in refusal["errors"]]
    assert run.listed() == []


def test_a_cursor_is_of_this_list(run: Trained, problem: AssertProblem) -> None:
    """P10: those of other lists, and such as no answer has, are refused."""
    for text in ("7", "0:1:8", "0:99999999999:8:x", "x:1:8:last", "0:-1:8:last"):
        cursor = httpx.QueryParams({"cursor": _cursor(text)})
        problem(run.http.get(f"{run.path}/checkpoints", params=cursor), "invalid")
    for text in ("9:1:8:last", "0:2147483647:9999999999999999:x"):
        cursor = httpx.QueryParams({"cursor": _cursor(text)})
        run.http.get(f"{run.path}/checkpoints", params=cursor).raise_for_status()


def _cursor(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_a_rewind_says_from_what_to_resume(run: Trained) -> None:
    """Before it, in the rehearsal, and after it, alike; the warning is there if it is needed."""
    run.save(step=40, uri="s3://forty")
    for to, warns in ((40, False), (48, True), (16, True)):
        rehearsed = run.post("rewind", {"to": to, "from_generation": 1}, dry_run=True)
        assert rehearsed.status_code == 200
        done = run.post("rewind", {"to": to, "from_generation": 1})
        assert done.status_code == 201
        for answer in (rehearsed.json(), done.json()):
            expected = None if to < 40 else "s3://forty"
            assert (answer["checkpoint"] or {}).get("uri") == expected
            assert bool(answer["warnings"]) is warns
        assert done.json()["generation"] == rehearsed.json()["generation"]


def test_a_rehearsal_leaves_the_run_alone(run: Trained) -> None:
    """Nothing of the run has changed, and there is no fork."""
    run.post("revisions", {"changes": {"lr": 1}, "effective": 99}).raise_for_status()
    beat = {"worker": "0", "session": "a", "step": 64}
    run.post("beats", {"generation": 1, "workers": [beat]}).raise_for_status()
    before = run.http.get(run.path).json()
    found = run.post("rewind", {"to": 32}, dry_run=True).raise_for_status().json()
    assert found["workers"] == 1
    assert [each["revision"] for each in found["revisions"]["items"]] == [2]
    fork = {"name": f"{run.name}-b", "from": {"run": run.name, "step": 32}}
    answer = run.http.post("/v1/runs", json=fork, params={"dry_run": True})
    assert answer.status_code == 200
    assert answer.json()["revisions"]["many"] == 1
    assert run.http.get(run.path).json() == before
    assert run.http.get(f"/v1/runs/{run.name}-b").status_code == 404


def test_an_answer_that_is_repeated_says_what_is_known_by_then(run: Trained) -> None:
    """The rewind is done once for its key; what is known of checkpoints is looked up each time."""
    headers = {"Idempotency-Key": f"{run.name}-1"}
    first = run.http.post(f"{run.path}/rewind", json={"to": 32}, headers=headers).json()
    assert (first["checkpoint"], first["warnings"]) == (None, [])
    run.save(step=30)
    again = run.http.post(f"{run.path}/rewind", json={"to": 32}, headers=headers).json()
    assert again["generation"] == first["generation"] == 2
    assert again["checkpoint"]["step"] == 30
    assert len(again["warnings"]) == 1


def test_a_fork_says_from_what_to_resume(run: Trained, problem: AssertProblem) -> None:
    """Of the run that it leaves; a run that is no fork is not rehearsed, and is shown alone."""
    run.save(step=40)
    fork = {"name": f"{run.name}-b", "from": {"run": run.name, "step": 48}}
    made = run.http.post("/v1/runs", json=fork).raise_for_status().json()
    assert (made["checkpoint"]["step"], made["checkpoint"]["run"]) == (40, run.id)
    assert len(made["warnings"]) == 1
    plain = {"name": f"{run.name}-c", **BODY}
    refusal = problem(run.http.post("/v1/runs", json=plain, params={"dry_run": True}), "invalid")
    assert [error["field"] for error in refusal["errors"]] == ["dry_run"]
    assert "checkpoint" not in run.http.post("/v1/runs", json=plain).raise_for_status().json()


def test_an_outcome_makes_one(run: Trained) -> None:
    """Of the signal `checkpoint`, with what the worker says of it."""
    run.post("signals", {"signal": "checkpoint"}).raise_for_status()
    run.settle(64, 8)
    told = {"generation": 1, "revision": 2, "source": "main", "outcome": "done", "step": 64}
    told["data"] = {"path": "/ckpt/64", "tag": "asked"}
    run.post("outcomes", told).raise_for_status()
    (found,) = run.listed()
    assert (found["step"], found["tag"], found["uri"], found["revision"]) == (
        64,
        "asked",
        "/ckpt/64",
        2,
    )


def test_workers_save_and_viewers_look(guarded: Guarded, new_name: Names) -> None:
    """Those below a worker may not say that they saved something."""
    path = f"/v1/runs/{new_name()}"
    made = guarded.ask("worker", "PUT", path, json=BODY).raise_for_status()
    where = f"/v1/runs/{made.json()['id']}/checkpoints"
    saved = {**SAVED, "step": 0}
    for role in ("viewer", "proposer"):
        assert guarded.ask(role, "POST", where, json=saved).status_code == 403
    assert guarded.ask("worker", "POST", where, json=saved).status_code == 201
    assert len(guarded.ask("viewer", "GET", f"{path}/checkpoints").json()["items"]) == 1


def test_an_outcome_and_its_checkpoint_are_kept_together(start_server: StartServer) -> None:
    """P4: killed at any moment, each outcome that is kept has its checkpoint, and none is lost."""
    server = start_server()
    known: list[str] = []
    with server.client() as http:
        run = Trained(http, "gpt")
        run.post("signals", {"signal": "checkpoint"}).raise_for_status()
        run.settle(64, 8)

    def tell() -> None:
        told = {"generation": 1, "revision": 2, "outcome": "done", "step": 64}
        with server.client() as http, suppress(httpx.TransportError):
            for number in range(10_000):
                source = f"rank-{number:04}"
                body = {**told, "source": source, "data": {"tag": source}}
                http.post(f"/v1/runs/{run.id}/outcomes", json=body).raise_for_status()
                known.append(source)

    worker = threading.Thread(target=tell)
    worker.start()
    while len(known) < 20:
        time.sleep(0.01)
    server.kill()
    worker.join()
    with start_server(database=server.settings["database"]).client() as http:
        run.http = http
        outcomes = http.get(f"{run.path}/revisions/2/outcomes", params={"limit": 1000}).json()
        listed = http.get(f"{run.path}/checkpoints", params={"limit": 1000}).json()
        tags = [each["tag"] for each in listed["items"]]
        assert tags == [each["source"] for each in outcomes["items"]]
        assert {*known} <= {*tags}
        again = run.save(step=64, tag=known[0], uri="s3://a")
        assert (again.status_code, again.json()["uri"]) == (200, "s3://a")
