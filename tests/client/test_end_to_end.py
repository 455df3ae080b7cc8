"""The client and the service together: real processes, real sockets, a real database."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from rheostat import (
    AsyncClient,
    Client,
    Run,
    extend,
    hold,
    ramp,
    replace,
    revert,
    rewarm,
    scale,
    set_value,
)
from rheostat.errors import (
    Finished,
    GuardViolated,
    NameTaken,
    NotPending,
    StaleGeneration,
    TooLate,
    UnknownRun,
)

HALF = {"kind": "constant", "value": 0.5}
LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 1000}
SPEC: dict[str, Any] = {"parameters": {"lr": LINE, "weight_decay": HALF}}


@pytest.fixture
def real(server: str) -> Iterator[Client]:
    """Yield a client of the server that all tests share."""
    with Client(server, deadline=60.0) as client:
        yield client


def written(client: Client, name: str) -> dict[int, dict[str, float]]:
    """Return the ledger of a run with resolution 1: what was served for each step."""
    return {
        segment["start"] + index: {
            name: column[index] for name, column in segment["values"].items()
        }
        for segment in client.control(name).ledger()
        for index in range(segment["count"])
    }


def train(client: Client, name: str, steps: int, seconds: float) -> dict[int, dict[str, float]]:
    """Read all values of a run, as a training does, and return them."""
    run = client.run(name, create=SPEC)
    read = {}
    for step in range(steps):
        read[step] = run.values(step)
        time.sleep(seconds)
    return read


def test_first_block_of_a_known_pace_lasts_for_the_lookahead(
    server: str, new_name: Callable[[], str]
) -> None:
    """P8: 100 steps a second for 2 s are 200, of which the power of two below is settled."""
    with Client(server, pace=100.0) as client:
        run = client.run(new_name(), create=SPEC)

        run.value("lr", 0)

        assert run.show()["settled_until"] == 128


@pytest.mark.parametrize("sizes", [{"max_jump": 1}, {"max_jump": 3}, {"max_block": 5}])
@pytest.mark.parametrize("pace", [None, 1e6])
def test_blocks_keep_within_the_run_s_limits(
    sizes: dict[str, int], pace: float | None, server: str, new_name: Callable[[], str]
) -> None:
    """P8: a run with short blocks or jumps is read to its end, at whatever pace."""
    with Client(server, pace=pace) as client:
        run = client.run(new_name(), create={**SPEC, **sizes})

        found = [run.value("lr", step) for step in range(100)]
        assert found == pytest.approx([(1000 - step) / 1000 for step in range(100)], rel=1e-15)
        most = min(sizes.values())
        assert len(run.block(100, most)["lr"]) == most


def test_workers_switch_at_one_step(real: Client, new_name: Callable[[], str]) -> None:
    """P1, P2, P3: workers of different pace agree on every value, before and after a change."""
    name = new_name()
    real.create_run(name, **SPEC)
    with ThreadPoolExecutor(3) as pool:
        workers = [pool.submit(train, real, name, 400, pace) for pace in (0.001, 0.002, 0.003)]
        time.sleep(0.3)
        effective = real.control(name).change(
            {"lr": scale(0.5), "weight_decay": scale(0.5)}, message="in the middle"
        )["effective"]
        reads = [worker.result() for worker in workers]

    ledger = written(real, name)
    assert reads == [{step: ledger[step] for step in range(400)}] * 3
    factors = [0.5 if step >= effective else 1.0 for step in range(400)]
    assert [row["weight_decay"] for row in reads[0].values()] == [f * 0.5 for f in factors]
    assert [row["lr"] for row in reads[0].values()] == pytest.approx(
        [factor * (1.0 - step / 1000) for step, factor in enumerate(factors)], rel=1e-12
    )


def test_worker_outlives_the_service(start_server: Any) -> None:
    """P4, P9: a service that is killed and comes back costs a wait, and no value."""
    running = start_server()
    with Client(running.url, deadline=60.0) as client:
        run = client.run("gpt", create=SPEC)
        for step in range(30):
            run.values(step)
        running.kill()
        returning = threading.Thread(target=running.restart)
        returning.start()

        read = {step: run.values(step) for step in range(30, 200)}

        returning.join()
        ledger = written(client, "gpt")
    assert read == {step: ledger[step] for step in range(30, 200)}


def test_restarted_worker_replays(real: Client, new_name: Callable[[], str]) -> None:
    """P1: a worker that resumes at a settled step gets exactly the values of the first time."""
    first = real.run(new_name(), create=SPEC)
    read = [first.value("lr", step) for step in range(100)]
    first.change({"lr": scale(0.25)})

    again = real.run(first.name, checkpoint=first.checkpoint(10))

    assert [again.value("lr", step) for step in range(10, 100)] == read[10:]
    assert again.value("lr", 500) == 0.25 * 0.5


def test_operator_changes_a_run(real: Client, new_name: Callable[[], str]) -> None:
    """Every call of an operator, as the service understands it."""
    name = new_name()
    assert real.create_run(name, **SPEC, labels={"team": name})["revision"] == 1
    run = real.run(name)
    held = [run.value("lr", step) for step in range(8)]
    time.sleep(0.1)

    plan = run.change({"lr": [hold(10), ramp(0.0, steps=5)]}, effective=500, dry_run=True)
    assert plan["effective"] == 500
    assert run.change({"lr": replace(LINE, clock="change")}, effective=600)["revision"] == 2
    assert run.cancel(2)["cancelled"] == 2
    with pytest.raises(NotPending):
        run.cancel(2)
    with pytest.raises(TooLate) as late:
        run.change({"lr": scale(0.5)}, effective=0)
    assert late.value.members["earliest"] >= 8
    done = run.change({"lr": scale(0.5)}, message="spike", expected_revision=3)
    assert [item["revision"] for item in run.history()] == [1, 2, 3, 4]
    assert run.revision(4)["message"] == "spike"
    assert run.explain(done["effective"])["parameters"]["lr"]["revision"] == 4
    assert run.plan(0, 1000, points=5)["steps"] == [0, 250, 500, 749, 999]
    assert run.preview(0, 8)["parameters"]["lr"] == held
    assert [item["name"] for item in real.runs(selector=f"team={name}")] == [name]
    assert run.show()["revision"] == 4


def test_finished_and_deleted(real: Client, new_name: Callable[[], str]) -> None:
    """A finished run is read to its end; a deleted one is unknown."""
    run = real.run(new_name(), create=SPEC)
    run.value("lr", 3)

    run.finish(50, message="enough")
    assert len([run.value("lr", step) for step in range(50)]) == 50
    with pytest.raises(Finished) as end:
        run.value("lr", 50)
    run.delete()

    assert end.value.members["end"] == 50
    with pytest.raises(UnknownRun):
        real.run(run.name)


def test_fenced_workers_stop_at_one_step(
    real: Client, http: httpx.Client, new_name: Callable[[], str]
) -> None:
    """P6: who lags behind reads what others had settled, and stops where they stop."""
    name = new_name()
    ahead, behind = real.run(name, create=SPEC), real.run(name)
    for run, steps in ((ahead, 25), (behind, 3)):
        read = [run.value("lr", step) for step in range(steps)]
        assert read[-1] == 1.0 - (steps - 1) / 1000
    http.post(f"/v1/runs/{name}/rewind", json={"to": 2}).raise_for_status()

    stops = [fence(run) for run in (ahead, behind)]

    assert stops[0] == stops[1] >= (25, 25, 2)


def fence(run: Run) -> tuple[int, int, int]:
    """Read until a rewind is in the way; return the step, and what the refusal says of it."""
    for step in range(1000):
        try:
            run.value("lr", step)
        except StaleGeneration as refusal:
            return step, refusal.members["settled_until"], refusal.members["rewound_to"]
    pytest.fail("nothing fenced the worker off")


def test_run_is_created_once(real: Client, new_name: Callable[[], str]) -> None:
    """The body that created a run may be sent again; another one is refused with the difference."""
    name = new_name()
    first = real.run(name, create=SPEC)

    assert real.run(name, create=SPEC).id == first.id
    assert real.create_run(name, exist_ok=True, **SPEC)["id"] == first.id
    with pytest.raises(NameTaken) as refusal:
        real.run(name, create={"parameters": {"lr": HALF}})
    assert refusal.value.members["differences"]


@pytest.mark.parametrize(
    ("change", "length"),
    [
        (hold("1%"), {"steps": 10}),
        (set_value(0.1, steps="2 epochs"), {"steps": 100}),
        (ramp(0.1, steps="1k"), {"steps": 1000}),
        (rewarm("0.5 epochs", start=0.1), {"steps": 25}),
        (extend("2k"), {"end": 2000}),
        (replace(HALF, blend="5%"), {"blend": 50, "clock": "run"}),
        (replace(LINE, clock="change", blend=7), {"blend": 7, "clock": "change"}),
        (revert(1), {"to": 1}),
    ],
)
def test_every_edit_is_taken_with_lengths_in_its_own_words(
    change: Any, length: dict[str, Any], real: Client, new_name: Callable[[], str]
) -> None:
    """Lengths are resolved by the run's own total and epoch, and stored as steps."""
    run = real.run(new_name(), create={**SPEC, "total": 1000, "steps_per_epoch": 50})
    run.change({"lr": change})

    stored: Any
    (stored,) = run.history()[-1]["changes"]["lr"]

    assert {key: stored[key] for key in length} == length


def test_guards_are_told(real: Client, new_name: Callable[[], str]) -> None:
    """A change that breaks a guard is refused with the parameter's name, unless it is forced."""
    run = real.run(new_name(), create={**SPEC, "guards": {"lr": {"max": 1.0}}})

    with pytest.raises(GuardViolated) as refusal:
        run.change({"lr": scale(10)})

    assert "lr" in refusal.value.errors[0].field
    assert run.change({"lr": scale(10)}, force=True)["revision"] == 2


def test_definitions_and_library(real: Client, new_name: Callable[[], str]) -> None:
    """Evaluating, the kinds, and the library of schedules."""
    name = new_name()

    assert real.evaluate(LINE, 250) == {"value": 0.75}
    assert real.evaluate(LINE, [500, 0])["values"] == [0.5, 1.0]
    assert real.evaluate(LINE, range(0, 1000, 250))["values"] == [1.0, 0.75, 0.5, 0.25]
    assert "cosine" in {kind["kind"] for kind in real.kinds()}
    assert real.kind("cosine")["kind"] == "cosine"
    assert real.schedules.put(name, HALF)["version"] == 1
    assert real.schedules.put(name, LINE)["version"] == 2
    assert real.schedules.get(name, version=1)["definition"]["value"] == 0.5
    assert name in {item["name"] for item in real.schedules.list()}
    assert real.schedules.values(name, start=0, stop=1000, stride=500)["values"] == [1.0, 0.5]
    assert real.schedules.value(name, 250)["value"] == 0.75
    real.schedules.delete(name)


def test_asyncio_reads_the_same(server: str, new_name: Callable[[], str]) -> None:
    """P1: workers with and without asyncio get the same values."""
    name = new_name()

    async def work() -> list[dict[str, float]]:
        async with AsyncClient(server) as client:
            run = await client.run(name, create=SPEC)
            rows = [await run.values(step) for step in range(100)]
            await run.change({"lr": scale(0.5)})
            return rows

    rows = asyncio.run(work())

    with Client(server) as client:
        run = client.run(name)
        assert [run.values(step) for step in range(100)] == rows


def test_values_across_a_token_axis(real: Client, new_name: Callable[[], str]) -> None:
    """A run that counts tokens is read at its own coordinates, far out as well."""
    batch = 4_194_304
    spec = {
        "axis": "tokens",
        "resolution": batch,
        "parameters": {"lr": {**LINE, "steps": 1000 * batch}},
    }
    run = real.run(new_name(), create=spec)

    assert run.value("lr", 500 * batch) == 0.5
    assert run.value("lr", 501 * batch - 1) == 0.5
    assert run.value("lr", 750 * batch) == 0.25
