"""What workers say of themselves: as much and as odd as may be, and while nothing can be kept."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from tests.hostile.attacks import BEATS
from tests.hostile.conftest import Inside, Start, until

from rheostat.errors import Refused
from rheostat.server.http import presence, proofs
from rheostat.server.http.body import loads
from rheostat.server.routes.workers import BeatBody
from rheostat.server.store import Store
from rheostat.server.store.operations import close, workers

RUN = {"parameters": {"lr": {"kind": "linear", "start": 200, "end": 72, "steps": 128}}}


def created(server: Inside, name: str = "gpt") -> str:
    """Create a run, and return its id."""
    return str(json.loads(server.ask("PUT", f"/v1/runs/{name}", RUN).body)["id"])


def beat(*names: object, **fields: Any) -> dict[str, Any]:
    """Return the beat of some workers."""
    one = {"session": "a", "step": 10, "pace": 2.0, **fields}
    return {"generation": 1, "workers": [{"worker": str(name), **one} for name in names]}


def told(server: Inside, run: str, what: str = "workers") -> dict[str, Any]:
    """Return what is told of a run."""
    answer = server.ask("GET", f"/v1/runs/{run}/{what}")
    assert answer.status == 200, answer.body
    return dict(json.loads(answer.body))


@pytest.mark.parametrize("make", BEATS.values(), ids=BEATS)
def test_beats_of_the_greatest_size_are_answered(make: Any, start: Start) -> None:
    """P10: whatever a beat holds it is taken or refused, and the run is told of as before."""
    server = start()
    run = created(server)
    answer = server.ask("POST", f"/v1/runs/{run}/beats", json.loads(make()))
    assert answer.status in {200, 409, 413, 422}
    if answer.status != 200:
        assert len(answer.problem.get("errors", [])) <= 100
        assert told(server, run)["items"] == []
    assert server.ask("POST", f"/v1/runs/{run}/beats", beat(0)).status == 200


@pytest.mark.parametrize("make", BEATS.values(), ids=BEATS)
def test_of_many_faults_a_few_are_told(make: Any) -> None:
    """P13: the event loop, which tells them, is not held by a fault for each of 180,000 fields."""
    assert _faults(make()) <= 1_000


def _faults(body: bytes) -> int:
    """Return with how many faults a body is refused; one that is not read has one."""
    try:
        BeatBody.model_validate(loads(body))
    except ValidationError as error:
        return error.error_count()
    except Refused:
        return 1
    return 0


def test_writing_goes_on_whatever_happens(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """P13: a failure that nobody thought of is told in the log, and rows are written after it."""
    monkeypatch.setattr(presence, "PERIOD", 0.1)
    failures: list[str] = []
    write = workers.write

    def fail_at_first(*args: Any) -> Any:
        if len(failures) < 3:
            failures.append("once more")
            raise ArithmeticError("nobody thought of that")
        return write(*args)

    monkeypatch.setattr(workers, "write", fail_at_first)
    caplog.set_level(logging.ERROR, "rheostat.server")
    server = start()
    run = created(server)
    assert server.ask("POST", f"/v1/runs/{run}/beats", beat(0)).status == 200
    until(lambda: _listed(server)["workers"]["alive"] == 1)
    assert len(failures) == 3
    assert any("nobody thought of that" in str(record.exc_info) for record in caplog.records)


def _listed(server: Inside) -> dict[str, Any]:
    """Return a run as the list has it: by what is written."""
    return dict(json.loads(server.ask("GET", "/v1/runs").body)["items"][0])


ODD = {
    "the least": {"pace": 5e-324, "step": 0},
    "the greatest": {"pace": 1e18, "waited": 1e9, "step": 2**53 - 1},
    "none": {"pace": 0.0, "step": 0},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_paces_are_told_as_json(odd: dict[str, Any], start: Start) -> None:
    """P10: an operator's change is answered, with numbers that JSON has, whatever a worker says."""
    server = start()
    run = created(server)
    assert server.ask("POST", f"/v1/runs/{run}/beats", beat(0, **odd)).status == 200
    change = {"changes": {"lr": {"kind": "constant", "value": 1}}, "effective": 2**52}
    answer = server.ask("POST", f"/v1/runs/{run}/revisions", change)
    assert answer.status == 201
    (eta,) = json.loads(answer.body)["eta"]
    assert eta["seconds"] is None or 0 <= eta["seconds"] < float("inf")
    for each in told(server, run)["eta"]:
        assert each["seconds"] is None or 0 <= each["seconds"] < float("inf")


def test_beats_that_take_much_wait_for_each_other_alone(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P13: while one that takes much is judged, others of its kind are told to come again."""
    monkeypatch.setattr("rheostat.server.http.proofs.SMALL", 10)
    monkeypatch.setattr("rheostat.server.http.turns.PATIENCE", 0.1)
    server = start()
    run = created(server)
    block = server.ask("GET", f"/v1/runs/{run}/values?generation=1&start=0&count=64")
    assert block.status == 200
    window = {"cells": [[0, 64, 1]], "parameters": {"lr": "f64"}, "digest": "0" * 32}
    assert server.ask("POST", f"/v1/runs/{run}/beats", beat(0, applied=[window])).status == 200
    server.app.state.proofs._turns._used = 1  # somebody else is at it
    window["cells"] = [[1, 63, 1]]
    refused = server.ask("POST", f"/v1/runs/{run}/beats", beat(1, applied=[window]))
    assert (refused.status, refused.problem["reason"]) == (503, "busy")
    assert server.ask("POST", f"/v1/runs/{run}/beats", beat(1)).status == 200
    known = {**window, "cells": [[0, 64, 1]]}
    assert server.ask("POST", f"/v1/runs/{run}/beats", beat(1, applied=[known])).status == 200


def test_a_turn_lasts_until_its_thread_has_ended(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P13: a caller who was refused meanwhile makes no room for a second one that takes much."""
    monkeypatch.setattr("rheostat.server.http.proofs.SMALL", -1)
    monkeypatch.setattr("rheostat.server.http.turns.PATIENCE", 0.1)
    held, go = threading.Event(), threading.Event()

    def judge(*args: Any) -> Any:
        if args[-1] is None:
            held.set()
            go.wait(30)
        return original(*args)

    original = proofs._judge
    monkeypatch.setattr(proofs, "_judge", judge)
    server = start()
    run = created(server)
    server.app.state.store._timeouts = replace(server.app.state.store._timeouts, operation=0.5)
    assert server.ask("GET", f"/v1/runs/{run}/values?generation=1&start=0&count=64").status == 200
    window = {"cells": [[0, 64, 1]], "parameters": {"lr": "f64"}, "digest": "0" * 32}
    for _ in range(2):
        refused = server.ask("POST", f"/v1/runs/{run}/beats", beat(0, applied=[window]))
        assert refused.status == 503
        assert held.is_set()
    turns = server.app.state.proofs._turns
    assert turns._used == 1
    go.set()
    until(lambda: turns._used == 0)
    assert server.ask("POST", f"/v1/runs/{run}/beats", beat(0, applied=[window])).status == 200


def test_a_run_that_is_deleted_takes_its_workers_along(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: rows that are being written while their run is deleted are not, and disturb no other."""
    monkeypatch.setattr(presence, "PERIOD", 0.1)
    deleted: list[str] = []
    write = Store.write

    async def delete_first(store: Store, operation: Any, *args: Any, **more: Any) -> Any:
        if operation is workers.write and not deleted:
            deleted.append(gone)
            await write(store, close.delete, gone)
        return await write(store, operation, *args, **more)

    server = start()
    gone, stays = created(server, "gone"), created(server, "stays")
    monkeypatch.setattr(Store, "write", delete_first)
    for run in (gone, stays):
        assert server.ask("POST", f"/v1/runs/{run}/beats", beat(0, 1)).status == 200
    until(lambda: deleted and _listed(server)["workers"]["alive"] == 2)
    assert server.ask("GET", f"/v1/runs/{gone}/workers").status == 404
    until(lambda: not server.app.state.roster.of(gone))
