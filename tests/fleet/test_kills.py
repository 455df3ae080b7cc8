"""A training of many processes goes on while replicas behind nginx are killed and frozen."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from rheostat import Client, scale

if TYPE_CHECKING:
    from tests.fleet.conftest import StartFleet

FAULTS = int(os.environ.get("RHEOSTAT_FAULTS", "3"))
"""Every third one freezes a replica, the others kill it; many more make the test's long form."""

WORKER = """
import json, sys, time
from rheostat import Client
from rheostat.errors import Finished

seen = []
with Client(sys.argv[1], deadline=120) as client:
    run = client.run("gpt")
    try:
        while True:
            seen.append([len(seen), run.values(len(seen))])
            time.sleep(0.01)
    except Finished:
        print(json.dumps(seen))
"""


def settled(client: Client) -> int:
    """Return how far the training has come."""
    return int(client.run("gpt").show()["settled_until"])


def go_on(client: Client, steps: int = 50) -> None:
    """Return when the workers have come so many steps further."""
    until = settled(client) + steps
    while settled(client) < until:
        time.sleep(0.05)


def ledger(fleet: Any) -> dict[int, dict[str, float]]:
    """Return what was handed out, by step."""
    found: dict[int, dict[str, float]] = {}
    cursor: dict[str, str] | None = {}
    with fleet.client() as http:
        while cursor is not None:
            page = http.get("/v1/runs/gpt/ledger", params=cursor).raise_for_status().json()
            for item in page["segments"]:
                for name, column in item["values"].items():
                    for step, value in enumerate(column, item["start"]):
                        found.setdefault(step, {})[name] = value
            cursor = page["next"] and {"cursor": page["next"]}
    return found


@pytest.mark.long
def test_a_training_survives_kills_and_frozen_replicas(start_fleet: StartFleet) -> None:
    """P1, P4, P5, P9: all get on, changes too; no worker holds a value that the ledger lacks."""
    fleet = start_fleet(3)
    fleet.create("gpt")
    command = [sys.executable, "-c", WORKER, fleet.url]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    with Client(fleet.url, retries=20) as client:
        run = client.run("gpt")
        for fault, replica in zip(range(FAULTS), itertools.cycle(fleet.replicas), strict=False):
            go_on(client)
            with replica.frozen() if fault % 3 == 1 else replica.gone():
                run.change({"lr": scale(0.5)}, message="halved while a replica is away")
                go_on(client)
        run.finish()
    said = [worker.communicate(timeout=180)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 8
    kept = ledger(fleet)
    for seen in map(json.loads, said):
        assert {step: kept[step] for step, _ in seen} == dict(seen)
        assert len(seen) == len(kept)
