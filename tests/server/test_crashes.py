"""What survives when the server is killed in the middle of its work."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from rheostat.schedules import evaluate

if TYPE_CHECKING:
    from tests.conftest import RunningServer, StartServer

BODY: dict[str, Any] = {
    "name": "gpt",
    "parameters": {
        "lr": {"kind": "cosine", "start": 0.1, "end": 0.001, "steps": 100_000},
        "weight_decay": {"kind": "constant", "value": 0.1},
    },
}


@dataclass
class RecordingTransport:
    """Everything that was acknowledged: the values of each step, and the revisions."""

    served: dict[int, tuple[float, ...]] = field(default_factory=dict)
    differing: list[int] = field(default_factory=list)
    accepted: dict[int, int] = field(default_factory=dict)

    def saw(self, block: dict[str, Any]) -> None:
        """Record a settled block, and note every step that had other values before."""
        columns = [block["parameters"][name] for name in sorted(block["parameters"])]
        for step, values in enumerate(zip(*columns, strict=True), block["start"]):
            if self.served.setdefault(step, values) != values:
                self.differing.append(step)


@contextmanager
def busy(*loops: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run loops in threads until the block ends."""
    stop = threading.Event()
    threads = [threading.Thread(target=loop, args=(stop,)) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def work(
    server: RunningServer, run: str, witness: RecordingTransport, seed: int
) -> Callable[..., None]:
    """Return a worker that settles blocks of many sizes, through all crashes."""
    chance = random.Random(seed)

    def loop(stop: threading.Event) -> None:
        step = 0
        with server.client() as client:
            while not stop.is_set():
                count = chance.choice((1, 2, 4, 8))
                query = {"generation": 1, "start": step, "count": count}
                block = _answer(client, "GET", f"/v1/runs/{run}/values", params=query)
                if block is not None:
                    witness.saw(block)
                    step += count

    return loop


def operate(server: RunningServer, witness: RecordingTransport) -> Callable[..., None]:
    """Return an operator who halves and doubles over and over, and asks again after each crash."""

    def loop(stop: threading.Event) -> None:
        number = 1
        with server.client() as client:
            while not stop.is_set():
                change = {"edit": "scale", "factor": 0.5 if number % 2 else 2.0}
                body = {"changes": {"lr": change}, "message": str(number)}
                key = {"Idempotency-Key": f"change-{number}"}
                path = "/v1/runs/gpt/revisions"
                answer = _answer(client, "POST", path, json=body, headers=key)
                if answer is not None:
                    witness.accepted[answer["revision"]] = answer["effective"]
                    number += 1
                    time.sleep(0.02)

    return loop


def _answer(client: httpx.Client, method: str, path: str, **parts: Any) -> Any:
    """Return a good answer's document, or None if there was none."""
    try:
        response = client.request(method, path, **parts)
    except httpx.TransportError:
        time.sleep(0.02)
        return None
    assert response.status_code < 500, response.text
    return response.raise_for_status().json()


def _wait_for_traffic(witness: RecordingTransport, share: float) -> None:
    """Wait until a share of 100 steps and 10 changes was answered, however slow the machine is."""
    ends = time.monotonic() + 60
    while len(witness.served) < 100 * share or len(witness.accepted) < 10 * share:
        assert time.monotonic() < ends, f"{len(witness.served)} steps, {witness.accepted}"
        time.sleep(0.01)


def ledger(server: RunningServer) -> dict[int, tuple[float, ...]]:
    """Return the whole ledger: the values of each step."""
    found: dict[int, tuple[float, ...]] = {}
    cursor: dict[str, str] = {}
    with server.client() as client:
        while True:
            page = client.get("/v1/runs/gpt/ledger", params=cursor).raise_for_status().json()
            for item in page["segments"]:
                columns = [item["values"][name] for name in sorted(item["values"])]
                found |= dict(enumerate(zip(*columns, strict=True), item["start"]))
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}


def history(server: RunningServer) -> dict[int, dict[str, Any]]:
    """Return all revisions by their numbers."""
    found: dict[int, dict[str, Any]] = {}
    cursor: dict[str, str] = {}
    with server.client() as client:
        while True:
            page = client.get("/v1/runs/gpt/revisions", params=cursor).raise_for_status().json()
            found |= {item["revision"]: item for item in page["items"]}
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}


def factors(revisions: dict[int, dict[str, Any]], step: int) -> float:
    """Return the product of all factors in force at a step; exact, as they are powers of two."""
    result = 1.0
    for item in revisions.values():
        if item["kind"] == "change" and item["effective"] <= step:
            result *= item["changes"]["lr"][0]["factor"]
    return result


@pytest.mark.long
@pytest.mark.parametrize(("processes", "kills"), [(1, 10), (2, 3)])
def test_nothing_acknowledged_is_lost_to_kills(
    start_server: StartServer, processes: int, kills: int
) -> None:
    """P1, P2, P4: each served value is in the ledger and explained by the acknowledged history."""
    server, witness, chance = (
        start_server(workers=processes),
        RecordingTransport(),
        random.Random(7),
    )
    with server.client() as client:
        run = client.post("/v1/runs", json=BODY).raise_for_status().json()["id"]
    workers = [work(server, run, witness, seed) for seed in (1, 2)]
    with busy(*workers, operate(server, witness)):
        for kill in range(1, kills + 1):
            time.sleep(chance.uniform(0.05, 0.5))
            _wait_for_traffic(witness, share=kill / kills)
            server.kill()
            server.restart()
    kept, revisions = ledger(server), history(server)
    assert witness.differing == []
    assert {step: kept.get(step) for step in witness.served} == witness.served
    assert witness.accepted.items() <= {n: r["effective"] for n, r in revisions.items()}.items()
    assert len({item["message"] for item in revisions.values()}) == len(revisions)
    curve = evaluate(BODY["parameters"]["lr"], np.array(sorted(witness.served))).tolist()
    expected = {
        s: x * factors(revisions, s) for s, x in zip(sorted(witness.served), curve, strict=True)
    }
    assert {step: values[0] for step, values in witness.served.items()} == expected
