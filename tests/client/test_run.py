"""What a worker reads, against a service in memory."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from rheostat import Client, Run
from rheostat.errors import (
    Closed,
    Finished,
    Invalid,
    StaleCheckpoint,
    StaleGeneration,
    StepJump,
    UnknownRun,
)

if TYPE_CHECKING:
    from tests.client.conftest import FakeService


def quiet(run: Run) -> None:
    """Wait until what was to be fetched in the background has been."""
    done = threading.Event()
    run._background.do(done.set)
    assert done.wait(10)


def test_values_are_those_of_the_ledger(client: Client, service: FakeService) -> None:
    """P1: every value that a worker holds is the one that the service wrote down."""
    run = client.run("gpt")

    read = {step: run.value("lr", step) for step in range(700)}

    assert read == {step: 1.0 / (step + 1) for step in range(700)}
    assert {step: service.ledger[step] for step in read} == read


def test_joining_pins_the_run(client: Client) -> None:
    """A handle knows the run that it joined, and what a checkpoint must hold."""
    run = client.run("gpt")

    assert (run.id, run.name, run.generation, run.axis) == ("run-1", "gpt", 1, "step")
    assert (run.resolution, run.parameters, run.total) == (1, ("lr", "weight_decay"), None)
    assert run.checkpoint(7) == {"id": "run-1", "generation": 1, "step": 7}


def test_worker_creates_the_run_that_it_joins(client: Client, service: FakeService) -> None:
    """Every requeue of a job can send the body that creates its run."""
    service.deleted = True

    run = client.run("gpt", create={"parameters": {"lr": {"kind": "constant", "value": 0.1}}})

    assert run.id == "run-1"
    assert [request.method for request in service.requests] == ["PUT", "POST"]


def test_change_is_read_from_its_step_on(client: Client, service: FakeService) -> None:
    """P2, P3: a change lands past what was handed out, for all parameters at one step."""
    run = client.run("gpt")
    run.value("lr", 40)
    quiet(run)

    effective = service.change(0.5)
    rows = {step: run.values(step) for step in range(41, effective + 20)}

    assert effective > 40
    for step, row in rows.items():
        expected = (0.5 if step >= effective else 1.0) / (step + 1)
        assert row == {"lr": expected, "weight_decay": -expected}


def test_changes_reach_a_worker_that_trains(client: Client, service: FakeService) -> None:
    """P5: a change with "next" lands at most two blocks past the worker."""
    run = client.run("gpt")
    for step in range(300):
        run.value("lr", step)
        time.sleep(0.0005)
    quiet(run)
    longest = max(count for _, count in service.reads)

    assert service.change(0.5) <= 300 + 2 * longest


def test_many_threads_fetch_each_block_once(client: Client, service: FakeService) -> None:
    """Threads that need a block at once wait for one request."""
    run = client.run("gpt")
    service.before = lambda _: time.sleep(0.005)
    gate = threading.Barrier(8)

    def train(_: int) -> list[float]:
        gate.wait()
        return [run.value("lr", step) for step in range(500)]

    with ThreadPoolExecutor(8) as pool:
        columns = list(pool.map(train, range(8)))
    quiet(run)

    assert columns == [[1.0 / (step + 1) for step in range(500)]] * 8
    assert len(service.reads) == len(set(service.reads))


def test_step_is_rounded_down_to_its_cell(client: Client, service: FakeService) -> None:
    """A run that counts samples has one value for each batch; reads are of whole cells."""
    service.resolution = 16
    run = client.run("gpt")

    assert [run.value("lr", step) for step in (0, 15, 16, 40, 47, 48)] == [
        *(1.0, 1.0, 1 / 2),
        *(1 / 3, 1 / 3, 1 / 4),
    ]
    assert run.values(47) == {"lr": 1 / 3, "weight_decay": -1 / 3}
    assert all(start % 16 == 0 for start, _ in service.reads)


def test_steps_in_any_order(client: Client) -> None:
    """Steps may repeat, go back, and skip a stretch."""
    run = client.run("gpt")
    steps = [0, 1, 1, 0, 5, 4, 300, 299, 301, 301, 7, 302, 2000, 1999, 0]

    assert [run.value("lr", step) for step in steps] == [1.0 / (step + 1) for step in steps]


class Unhashable:
    """An integer as JAX's arrays are."""

    __hash__ = None  # type: ignore[assignment]

    def __index__(self) -> int:
        return 7


@pytest.mark.parametrize("warm", [False, True])
def test_a_step_is_taken_or_refused_whatever_was_read_before(client: Client, *, warm: bool) -> None:
    """P10: no number works until its block ends, and no error but ours comes out."""
    run = client.run("gpt")
    if warm:
        run.values(7)
    for step in (7, 7.0, True + 6, Unhashable()):
        assert run.value("lr", step) == 1 / 8  # type: ignore[arg-type]
        assert run.values(step)["lr"] == 1 / 8  # type: ignore[arg-type]
    for wrong in (7.5, float("nan"), float("inf"), "7", None, [7], -1, 1e300):
        with pytest.raises(Invalid, match="step"):
            run.value("lr", wrong)  # type: ignore[arg-type]


def test_a_training_says_once_where_it_begins(client: Client, service: FakeService) -> None:
    """P14: a first read far past what is settled is refused, unless the run was told of it."""
    run = client.run("gpt")
    with pytest.raises(StepJump):
        run.value("lr", 100_000)

    run.begin(100_000)
    assert run.value("lr", 100_000) == 1 / 100_001
    assert client.run("gpt", start=100_000).value("lr", 100_001) == 1 / 100_002

    with pytest.raises(StepJump):
        run.value("lr", 200_000)
    with pytest.raises(StepJump):
        client.run("gpt", start=200_000)


def test_a_checkpoint_has_its_own_step(client: Client) -> None:
    """P10: a start beside a checkpoint would be another one."""
    run = client.run("gpt")
    with pytest.raises(Invalid) as refusal:
        client.run("gpt", checkpoint=run.checkpoint(0), start=5)
    assert refusal.value.errors[0].field == "start"


def test_checkpoint_is_checked_when_joining(client: Client, service: FakeService) -> None:
    """P6: a checkpoint of another generation is refused, with what to do."""
    point = client.run("gpt").checkpoint(10)
    service.generation = 2

    with pytest.raises(StaleCheckpoint) as refusal:
        client.run("gpt", checkpoint=point)

    assert refusal.value.members["generation"] == 2


def test_fenced_worker_reads_what_it_holds(client: Client, service: FakeService) -> None:
    """P6: after a rewind a worker reads on to the end of what is settled, and there it stops."""
    run = client.run("gpt")
    run.value("lr", 20)
    quiet(run)
    service.generation = 2
    held = service.settled

    assert [run.value("lr", step) for step in range(held)] == [1 / (n + 1) for n in range(held)]
    with pytest.raises(StaleGeneration):
        run.value("lr", held)
    run.rejoin()
    assert (run.generation, run.value("lr", held)) == (2, 1 / (held + 1))


def test_refused_rejoin_changes_nothing(client: Client, service: FakeService) -> None:
    """P6: a handle that may not resume a checkpoint stays where it was."""
    run = client.run("gpt")
    run.value("lr", 3)
    service.generation = 2

    with pytest.raises(StaleCheckpoint):
        run.rejoin({"id": "run-1", "generation": 1, "step": 3})

    assert (run.generation, run.value("lr", 3)) == (1, 1 / 4)


@pytest.mark.parametrize("end", [1, 2, 33, 37, 64, 100])
def test_finished_run_is_read_to_its_end(client: Client, service: FakeService, end: int) -> None:
    """Every step below the end has its value, whatever blocks there are; the end is `Finished`."""
    run = client.run("gpt")
    service.end = end

    assert [run.value("lr", step) for step in range(end)] == [1 / (n + 1) for n in range(end)]
    for step in (end, end + 5000):
        with pytest.raises(Finished) as refusal:
            run.value("lr", step)
        assert refusal.value.members == {"end": end}


def test_run_that_was_finished_before(client: Client, service: FakeService) -> None:
    """Who joins a finished run replays it, asks once at its end, and then knows it."""
    service.settled, service.end = 100, 100
    run = client.run("gpt")

    assert run.value("lr", 99) == 1 / 100
    asked = len(service.requests)
    assert run.ends_at == 100
    for step in (100, 100, 101):
        with pytest.raises(Finished):
            run.value("lr", step)

    assert len(service.requests) == asked + 1


def test_refusal_in_the_background_shows_where_it_matters(
    client: Client, service: FakeService
) -> None:
    """P9: a run that disappears is noticed at the first step that is not held, and not before."""
    run = client.run("gpt")
    run.value("lr", 0)
    quiet(run)
    service.deleted = True
    held = service.settled

    assert [run.value("lr", step) for step in range(held)] == [1 / (n + 1) for n in range(held)]
    with pytest.raises(UnknownRun):
        run.value("lr", held)


def test_block_is_read_and_settled(client: Client, service: FakeService) -> None:
    """`block` gives the cells that it was asked for, and leaves the worker where it was."""
    service.resolution = 4
    run = client.run("gpt")

    found = run.block(10, 5)

    assert {name: list(column) for name, column in found.items()} == {
        "lr": [1 / 3, 1 / 4, 1 / 5, 1 / 6, 1 / 7],
        "weight_decay": [-1 / 3, -1 / 4, -1 / 5, -1 / 6, -1 / 7],
    }
    assert (service.reads, service.settled) == ([(8, 5)], 7)
    assert run.value("lr", 12) == 1 / 4


@pytest.mark.parametrize(
    ("read", "field"),
    [
        (lambda run: run.value("momentum", 0), "name"),
        (lambda run: run.value("lr", -1), "step"),
        (lambda run: run.value("lr", 2**53), "step"),
        (lambda run: run.values(-1), "step"),
        (lambda run: run.value_at("lr", "7"), "step"),
        (lambda run: run.value_at("lr", 1.5), "step"),
        (lambda run: run.value_at(-1), "step"),
        (lambda run: run.values_at(None), "step"),
        (lambda run: run.values_at(float("inf")), "step"),
        (lambda run: run.begin(None), "start"),
        (lambda run: run.begin(0.5), "start"),
        (lambda run: run.begin(2**53), "start"),
        (lambda run: run.client.run("gpt", start="7"), "start"),
        (lambda run: run.client.run("gpt", start=-1), "start"),
        (lambda run: run.client.run("gpt", create=[1]), "create"),
        (lambda run: run.client.run("gpt", create="lr"), "create"),
        (lambda run: run.client.run("gpt", checkpoint="gpt.pt"), "checkpoint"),
        (lambda run: run.rejoin([1]), "checkpoint"),
        (lambda run: run.block(0, 0), "n"),
        (lambda run: run.block(0, 4097), "n"),
        (lambda run: run.block(0, "2"), "n"),
        (lambda run: run.block(0, None), "n"),
        (lambda run: run.block(0, 1.5), "n"),
    ],
)
def test_wrong_arguments_are_refused_without_a_request(
    client: Client, service: FakeService, read: Any, field: str
) -> None:
    """P10: an argument that no run can answer is refused by name, value and bound."""
    run = client.run("gpt")
    run.value("lr", 0)
    quiet(run)
    asked = len(service.requests)

    with pytest.raises(Invalid) as refusal:
        read(run)

    assert refusal.value.errors[0].field == field
    assert refusal.value.errors[0].bound
    assert len(service.requests) == asked


@pytest.mark.parametrize("name", ["team/gpt", "..", ".", "", "a b", "-a", "a" * 129, "gpt\n", 7])
def test_what_can_be_no_name_is_refused_without_a_request(
    client: Client, service: FakeService, name: Any
) -> None:
    """P10: the rule for names is told before anything is asked."""
    for ask in (
        client.run,
        client.control,
        lambda name: client.create_run(name, {}, exist_ok=True),
    ):
        with pytest.raises(Invalid) as refusal:
            ask(name)
        assert "A-Z a-z 0-9" in str(refusal.value.errors[0].bound)

    assert service.requests == []


@pytest.mark.parametrize("pace", [None, 10.0])
def test_who_begins_in_what_is_settled_is_told_once(
    service: FakeService, caplog: pytest.LogCaptureFixture, pace: float | None
) -> None:
    """A second attempt under the same name is told whose values it is given, in one line."""
    service.settled = 12_000
    transport = httpx.MockTransport(service)
    with (
        Client("http://test", transport=transport, pace=pace) as client,
        caplog.at_level("WARNING"),
    ):
        run = client.run("gpt")
        run.values(0)
        assert caplog.records == []  # a checkpoint may still be loaded
        run.values(5000)

    [said] = [record.getMessage() for record in caplog.records]
    for part in ("gpt", "12,000", "1 revision;", "served again", "name it anew", "fork"):
        assert part in said


@pytest.mark.parametrize(
    ("settled", "pace", "checkpoint", "step"),
    [(2, None, None, 0), (40, 10.0, None, 0), (12_000, None, 11_999, 11_999), (0, None, None, 0)],
)
def test_ranks_and_resumed_trainings_are_told_nothing(
    service: FakeService,
    caplog: pytest.LogCaptureFixture,
    settled: int,
    pace: float | None,
    checkpoint: int | None,
    step: int,
) -> None:
    """Ranks that begin together, and who joins with a checkpoint, are no second attempt."""
    service.settled = settled
    point = None if checkpoint is None else {"id": "run-1", "generation": 1, "step": checkpoint}
    transport = httpx.MockTransport(service)
    with (
        Client("http://test", transport=transport, pace=pace) as client,
        caplog.at_level("WARNING"),
    ):
        client.run("gpt", checkpoint=point).value("lr", step)

    assert caplog.records == []


def test_trouble_in_the_background_is_not_silent(
    client: Client, service: FakeService, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever happens in the background is logged, and the thread goes on."""
    run = client.run("gpt")

    def fail() -> None:
        raise RecursionError("deep")

    run._background.do(fail)
    quiet(run)

    [record] = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RecursionError)


def test_closed_client_gives_what_is_held(service: FakeService) -> None:
    """After `close` a worker reads what it holds, and then is told."""
    with Client("http://test", transport=httpx.MockTransport(service)) as client:
        run = client.run("gpt")
        run.value("lr", 20)
        quiet(run)

    assert run.value("lr", 20) == 1 / 21
    with pytest.raises(Closed):
        run.value("lr", service.settled)
    with pytest.raises(Closed):
        client.run("gpt")
