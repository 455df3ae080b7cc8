"""Five hundred runs changed by one call, while the processes that serve it are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import StartServer
from tests.server.test_process import workers_of

from rheostat.client import Client
from rheostat.server.runs.revision import Note
from rheostat.server.settings import Settings
from rheostat.server.store.opening import open_store
from rheostat.server.store.operations import create

RUNS = 500
KILLS = 4
HALVE: Any = {"lr": {"edit": "scale", "factor": 0.5}}


def make(database: str) -> None:
    """Make the runs, all at once."""
    store = open_store(Settings(database=database))

    async def all_of_them() -> None:
        bodies = [
            {"name": f"job-{number:03}", "parameters": {"lr": 1.0}, "labels": {"team": "nlp"}}
            for number in range(RUNS)
        ]
        await asyncio.gather(*(store.write(create.create, each, Note("ann")) for each in bodies))

    asyncio.run(all_of_them())
    store.close()


def told(items: Any) -> list[Any]:
    """Return what an answer says of each run, but for the request that it was told by."""
    return [{**item, "problem": {**item.get("problem", {}), "request_id": None}} for item in items]


@pytest.mark.long
def test_each_run_is_changed_once_or_refused_while_replicas_are_killed(
    start_server: StartServer, tmp_path: Path
) -> None:
    """P3, P4: of 500 runs each is changed once, or refused, as the answer says; again: the same."""
    database = f"sqlite:///{tmp_path / 'many.db'}"
    make(database)
    running = start_server(database=database, workers=2)
    over = threading.Event()

    def kill() -> None:
        for _ in range(KILLS):
            for victim in workers_of(running)[:1]:
                os.kill(victim, signal.SIGKILL)
            if over.wait(0.7):
                return

    with Client(running.url, deadline=240, author="bob") as client:
        rehearsed = client.change_runs("team=nlp", HALVE, dry_run=True)
        assert len(rehearsed["runs"]) == RUNS
        for number in range(0, RUNS, 50):  # these move on, so that they are refused
            client.control(f"job-{number:03}").change({"lr": 3.0})
        killer = threading.Thread(target=kill)
        killer.start()
        plan = rehearsed["plan"]
        done = client.change_runs("team=nlp", HALVE, plan=plan)
        over.set()
        killer.join()
        again = client.change_runs("team=nlp", HALVE, plan=plan)
        assert told(again["items"]) == told(done["items"])
        assert Counter(item["status"] for item in done["items"]) == {201: RUNS - 10, 409: 10}
        shown = {run["id"]: run for run in client.runs(selector="team=nlp")}
        for item in done["items"]:
            assert shown[item["id"]]["revision"] == 2, item
        changed = [item["name"] for item in done["items"] if item["status"] == 201]
        values = {client.control(str(name)).show()["current"]["lr"] for name in changed[::25]}
        assert values == {0.5}
