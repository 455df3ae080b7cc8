"""Mismatches over HTTP, of real processes on both databases: none is lost, none is there twice."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import RunningServer, StartServer
from tests.server.conftest import AssertProblem

STEPS = 64
BODY = {
    "parameters": {
        "lr": {"kind": "linear", "start": 1, "end": 0, "steps": 256},
        "wd": {"kind": "constant", "value": 0.5},
    }
}


def rate(step: int) -> float:
    """Return the value of lr at a step, which is exact in binary."""
    return 1 - step / 256


def digest(steps: Sequence[int], *columns: Sequence[float]) -> str:
    """Return the digest of what was applied, by the words of the protocol."""
    records = (struct.pack(f"<Q{len(row) - 1}d", *row) for row in zip(steps, *columns, strict=True))
    return hashlib.blake2b(b"".join(records), digest_size=16).hexdigest()


def window(rates: Sequence[float], start: int = 0, *, values: bool = False) -> dict[str, Any]:
    """Return a window in which these rates were applied."""
    steps = range(start, start + len(rates))
    found: dict[str, Any] = {
        "cells": [[start, len(rates), 1]],
        "parameters": {"lr": "f64"},
        "digest": digest(steps, rates),
    }
    return found | ({"values": {"lr": list(rates)}} if values else {})


RIGHT = [rate(step) for step in range(STEPS)]
WRONG = [*RIGHT[:37], *(2 * value for value in RIGHT[37:])]
"""A second scheduler came in before step 37."""


def beat(*applied: Any, worker: str = "17", wrong: Any = (), generation: int = 1) -> dict[str, Any]:
    """Return a beat of one worker."""
    said = {"worker": worker, "session": f"s{worker}", "step": STEPS}
    said |= {"applied": list(applied), "wrong": list(wrong)}
    return {"generation": generation, "workers": [said]}


class Training:
    """A run that is settled until 64, on a server."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.id = http.put("/v1/runs/gpt", json=BODY).raise_for_status().json()["id"]
        self.settle(0, STEPS)

    def settle(self, start: int, count: int, generation: int = 1) -> None:
        """Settle a block."""
        block: dict[str, int] = {"generation": generation, "start": start, "count": count}
        self.http.get(f"/v1/runs/{self.id}/values", params=block).raise_for_status()

    def beat(self, body: Any, http: httpx.Client | None = None) -> httpx.Response:
        """Send a beat."""
        return (http or self.http).post(f"/v1/runs/{self.id}/beats", json=body)

    def compared(self, body: Any) -> list[dict[str, Any]]:
        """Send a beat, and return which windows are asked for."""
        found: list[dict[str, Any]] = self.beat(body).raise_for_status().json()["compare"]
        return found

    @property
    def mismatches(self) -> list[dict[str, Any]]:
        """What is kept, without the times."""
        items: list[dict[str, Any]] = self.http.get("/v1/runs/gpt/mismatches").json()["items"]
        return [{key: value for key, value in item.items() if key != "at"} for item in items]

    @property
    def workers(self) -> dict[str, Any]:
        """Who trains."""
        found: dict[str, Any] = self.http.get("/v1/runs/gpt/workers").raise_for_status().json()
        return found


@pytest.fixture
def running(database: str, start_server: StartServer) -> RunningServer:
    """Return a server on each database."""
    return start_server(database=database)


@pytest.fixture
def training(running: RunningServer) -> Iterator[Training]:
    """Return a run on it."""
    with running.client() as http:
        yield Training(http)


NAMED = {
    "number": 1,
    "worker": "17",
    "generation": 1,
    "parameter": "lr",
    "step": 37,
    "expected": repr(rate(37)),
    "found": repr(2 * rate(37)),
    "dtype": "f64",
}


def test_a_rank_with_another_rate_is_named_with_step_and_values(training: Training) -> None:
    """P12: its digest differs, it sends the window once, and its first such step is kept once."""
    assert training.compared(beat(window(RIGHT), worker="16")) == []
    assert training.compared(beat(window(WRONG))) == [{"worker": "17", "start": 0}]
    assert training.mismatches == []
    for _ in range(2):
        assert training.compared(beat(window(WRONG, values=True))) == []
    assert training.mismatches == [NAMED]
    (shown,) = training.http.get("/v1/runs/gpt").json()["attention"]
    assert (shown["kind"], shown["step"], shown["count"]) == ("mismatch", 37, 1)
    found = training.workers
    states = {each["worker"]: (each["state"], each["proven_until"]) for each in found["items"]}
    assert states["16"] == ("training", STEPS)
    assert states["17"][0] == "wrong"
    assert found["wrong"] == 1


def test_what_a_worker_finds_at_the_step_is_named_at_once(training: Training) -> None:
    """P12: by one request, NaN too; what it takes for wrong and was served is none."""
    wrong = [
        {"step": 8, "parameter": "lr", "found": rate(8)},
        {"step": 9, "parameter": "lr", "found": "NaN"},
        {"step": 9, "parameter": "wd", "found": 0.25, "dtype": "f32"},
    ]
    assert training.compared(beat(wrong=wrong)) == []
    found = [(each["step"], each["parameter"], each["found"]) for each in training.mismatches]
    assert found == [(9, "lr", "NaN"), (9, "wd", "0.25")]


def test_nothing_is_proven_past_what_was_never_compared(training: Training) -> None:
    """P12: a worker that does not send its values is right no further than that window."""
    training.beat(beat(window(RIGHT[:16])))
    training.beat(beat(window(WRONG[32:48], 32)))
    training.beat(beat(window(RIGHT[48:], 48)))
    (worker,) = training.workers["items"]
    assert worker["proven_until"] == 16


def test_windows_come_in_any_order_and_again(training: Training) -> None:
    """P11: what was answered may be sent again, and the last to come may be the first."""
    for start in (32, 0, 32, 48, 16, 0):
        assert training.compared(beat(window(RIGHT[start : start + 16], start))) == []
    (worker,) = training.workers["items"]
    assert (worker["proven_until"], training.mismatches) == (STEPS, [])


def test_no_mismatch_is_lost_once_it_was_answered(
    training: Training, running: RunningServer
) -> None:
    """P4: the process is killed as soon as it has answered, and what it kept is there."""
    training.beat(beat(window(WRONG, values=True))).raise_for_status()
    running.kill()
    running.restart()
    assert training.mismatches == [NAMED]
    training.beat(beat(window(WRONG, values=True))).raise_for_status()
    assert training.mismatches == [NAMED]


def test_replicas_that_hear_the_same_at_once_keep_it_once(
    training: Training, database: str, start_server: StartServer
) -> None:
    """P11: ranks send to any of them, and again to another one; each is numbered once."""
    other = start_server(database=database)
    beats = [beat(window(WRONG, values=True), worker=str(rank)) for rank in range(6)]
    with other.client() as http, ThreadPoolExecutor(8) as pool:
        sent = [
            pool.submit(training.beat, body, client)
            for body in beats
            for client in (training.http, http)
        ]
        for each in sent:
            each.result().raise_for_status()
    found = training.mismatches
    assert [each["number"] for each in found] == [1, 2, 3, 4, 5, 6]
    assert {each["worker"] for each in found} == {str(rank) for rank in range(6)}
    with training.http.stream("GET", "/v1/runs/gpt/events") as answer:
        numbers = []
        for text in answer.iter_lines():
            if text == "event: mismatch":
                numbers.append(text)
            if len(numbers) == 6:
                break


def test_a_digest_that_is_not_that_of_the_values_is_the_clients_error(
    training: Training, problem: AssertProblem
) -> None:
    """P10: the values are the ledger's, so the worker is right: the window is named."""
    wrong = window(RIGHT, values=True) | {"digest": 32 * "0"}
    refused = problem(training.beat(beat(wrong)), "invalid")
    assert [error["field"] for error in refused["errors"]] == ["workers[0].applied[0].digest"]
    assert (training.mismatches, training.workers["items"]) == ([], [])


@pytest.mark.parametrize(
    ("spoiled", "field"),
    [
        ({"cells": []}, "cells"),
        ({"cells": [[0, 1]]}, "cells[0]"),
        ({"cells": [[0, 0, 1]]}, "cells[0][1]"),
        ({"cells": [[0, 1, 0]]}, "cells[0][2]"),
        ({"cells": [[2**53, 1, 1]]}, "cells[0][0]"),
        ({"cells": [[2**53 - 1, 2, 2**53 - 1]]}, "cells[0]"),
        ({"cells": [[8, 1, 1], [4, 1, 1]]}, "cells[1][0]"),
        ({"cells": [[0, 65_536, 1], [70_000, 1, 1]]}, "cells"),
        ({"parameters": {}}, "parameters"),
        ({"parameters": {"momentum": "f64"}}, "parameters.momentum"),
        ({"parameters": {"lr": "f16"}}, "parameters.lr"),
        ({"digest": "x"}, "digest"),
        ({"values": {"lr": 63 * [1.0]}}, "values.lr"),
        ({"values": {"lr": [*63 * [1.0], "nan"]}}, "values.lr[63]"),
        ({"values": {"wd": 64 * [1.0]}}, "values"),
        ({"parameters": {"lr": "f32"}, "values": {"lr": 64 * [0.1]}}, "values.lr"),
    ],
)
def test_what_no_worker_can_have_applied_is_refused(
    http: httpx.Client, new_name: Any, problem: AssertProblem, spoiled: Any, field: str
) -> None:
    """P10: the field is named, and nothing of the beat is kept."""
    name = new_name()
    run = http.put(f"/v1/runs/{name}", json=BODY).raise_for_status().json()["id"]
    block: dict[str, int] = {"generation": 1, "start": 0, "count": STEPS}
    http.get(f"/v1/runs/{run}/values", params=block).raise_for_status()
    answer = http.post(f"/v1/runs/{run}/beats", json=beat(window(RIGHT) | spoiled))
    refused = problem(answer, "invalid")
    assert [each["field"] for each in refused["errors"]] == [f"workers[0].applied[0].{field}"]
    assert http.get(f"/v1/runs/{name}/workers").json()["items"] == []


def test_a_restored_backup_is_noticed_by_the_first_proof(
    tmp_path: Path, start_server: StartServer, problem: AssertProblem
) -> None:
    """P1: it has forgotten what it handed out; whatever else the beat says is not kept either."""
    running = start_server()
    file, backup = running.folder / "rheostat.db", tmp_path / "backup.db"
    with running.client() as http:
        training = Training(http)
        with sqlite3.connect(file) as source, sqlite3.connect(backup) as target:
            source.backup(target)
        training.settle(STEPS, 16)
        rates = [rate(step) for step in range(STEPS, STEPS + 16)]
        newer = beat(window(rates, STEPS), wrong=[{"step": 9, "parameter": "lr", "found": 7}])
        running.kill()
        for each in running.folder.glob("rheostat.db*"):
            each.unlink()
        shutil.copy(backup, file)
        running.restart()
        refused = problem(training.beat(newer), "went-back")
        assert (refused["settled_until"], refused["generation"]) == (STEPS, 1)
        assert (training.mismatches, training.workers["items"]) == ([], [])
        (told,) = http.get("/v1/runs/gpt").json()["attention"]
        assert (told["kind"], told["step"]) == ("went-back", STEPS + 16)
        assert "\nrheostat_went_back_total 1.0\n" in http.get("/metrics").text
        http.post("/v1/runs/gpt/advance", json={"to": STEPS + 16}).raise_for_status()
        assert http.get("/v1/runs/gpt").json()["attention"] == []


def test_the_last_proof_of_a_left_generation_is_taken(
    training: Training, problem: AssertProblem
) -> None:
    """P6: what is settled there; past it the worker was fenced off, and is told so."""
    training.http.post("/v1/runs/gpt/rewind", json={"to": 32}).raise_for_status()
    assert training.compared(beat(window(RIGHT))) == []
    beyond = window([*RIGHT, rate(STEPS)])
    refused = problem(training.beat(beat(beyond)), "stale-generation")
    assert refused["rewound_to"] == 32
    assert training.compared(beat(window(RIGHT[:32]), generation=2)) == []
