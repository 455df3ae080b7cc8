"""What operators do to runs through both clients, against a real server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rheostat import AsyncClient, Client, scale
from rheostat.errors import GenerationMismatch, Invalid, RheostatError, StaleGeneration

LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 1000}


@pytest.fixture
def run(server: str, new_name: Any) -> str:
    """Return the name of a run, whose learning rate falls by 0.001, settled up to step 20."""
    name: str = new_name()
    with Client(server) as client:
        client.run(name, create={"parameters": {"lr": LINE}}).block(0, 20)
    return name


def test_a_rewind_fences_the_worker_and_takes_its_change(server: str, run: str) -> None:
    """P6: the handle of the old generation is refused; who joins again has the new values."""
    with Client(server, author="ann") as client:
        worker = client.run(run)
        done = worker.rewind(8, {"lr": scale(0.5)}, expected_generation=1, message="spike")
        assert (done["generation"], done["from"], done["ended"]) == (2, 8, 20)
        with pytest.raises(StaleGeneration):
            worker.value("lr", 20)
        worker.rejoin()
        assert [worker.value("lr", step) for step in (7, 8)] == [0.993, 0.992 / 2]
        with pytest.raises(GenerationMismatch):
            worker.rewind(8, expected_generation=1)


def test_a_fork_lives_beside_its_run(server: str, run: str) -> None:
    """It has the past up to its step, and a change of its own; the other one has neither."""
    with Client(server, author="ann") as client:
        control = client.control(run)
        made = control.fork(f"{run}-b", {"lr": scale(0.5)}, step=8, labels={"a": "b"}, message="x")
        assert (made["settled_until"], made["labels"]) == (8, {"a": "b"})
        forked, original = client.run(f"{run}-b"), client.run(run)
        assert [forked.value("lr", step) for step in (7, 8)] == [0.993, 0.992 / 2]
        assert original.value("lr", 8) == 0.992
        [first] = client.control(f"{run}-b").history()
        assert (first["author"], first["message"]) == ("ann", "x")


def test_looking_on_settles_nothing(server: str, run: str) -> None:
    """P14: values may be looked up anywhere, and the run is where it was."""
    with Client(server) as client:
        control = client.control(run)
        assert [control.value_at("lr", step) for step in (0, 19, 500)] == [1.0, 0.981, 0.5]
        assert control.value_at(250) == 0.75
        assert control.values_at(999) == {"lr": 0.001}
        whole: Any = 500.0
        assert control.value_at("lr", whole) == 0.5
        with pytest.raises(Invalid, match="one of lr"):
            control.value_at("momentum", 0)
        with pytest.raises(Invalid, match="step"):
            control.values_at(-1)
        assert control.show()["settled_until"] == 20

    async def scenario() -> None:
        async with AsyncClient(server) as client:
            control = client.control(run)
            assert await control.value_at("lr", 500) == 0.5
            assert await control.values_at(500) == {"lr": 0.5}

    asyncio.run(scenario())


def test_streams_take_no_connection_from_reads(server: str, run: str) -> None:
    """P8: a worker reads at once, however many streams of events its client follows."""
    with Client(server, timeout=5, deadline=10) as client:
        streams = [client.control(run).events() for _ in range(105)]
        assert {next(stream)["number"] for stream in streams} == {1}
        assert client.run(run).value("lr", 0) == 1.0

    async def scenario() -> None:
        async with AsyncClient(server, timeout=5, deadline=10) as client:
            streams = [client.control(run).events() for _ in range(105)]
            assert {(await anext(stream))["number"] for stream in streams} == {1}
            assert await (await client.run(run)).value("lr", 0) == 1.0

    asyncio.run(scenario())


def test_undoing_cancels_or_reverts(server: str, run: str) -> None:
    """What is pending is cancelled, what is in force is reverted; with nothing left it says so."""
    with Client(server) as client:
        control = client.control(run)
        control.change({"lr": scale(0.5)})
        client.run(run).block(20, 4)
        control.change({"lr": scale(0.5)}, effective=100)
        assert control.undo(message="no")["cancelled"] == 3
        reverted = control.undo()
        assert (reverted["undone"], reverted["effective"]) == (2, 24)
        assert control.preview(24, 1)["parameters"]["lr"] == [0.976]
        with pytest.raises(RheostatError, match="no change that could be undone"):
            client.control(control.fork(f"{run}-b")["name"]).undo()


def test_events_are_followed_from_the_handle_of_a_worker(server: str, run: str) -> None:
    """A joined run tells its events, and goes on where one left off."""
    with Client(server, author="ann") as client:
        handle = client.run(run)
        handle.change({"lr": scale(0.5)}, message="spike")
        events = handle.events()
        kinds = [next(events)["kind"] for _ in range(2)]
        assert kinds == ["settled", "revised"]
        handle.finish()
        assert [event["number"] for event in events] == [3]
        assert [event["number"] for event in handle.events(2)] == [3]
        assert [*handle.events(3)] == []


def test_the_asynchronous_client_does_the_same(server: str, run: str) -> None:
    """Rewinding, forking, undoing and following, with await."""

    async def scenario() -> None:
        async with AsyncClient(server) as client:
            control = client.control(run)
            events = control.events(1)
            await control.change({"lr": scale(0.5)}, effective=100)
            first = await anext(events)
            assert first["kind"] == "revised"
            assert first["revision"] == 2
            assert (await control.undo())["cancelled"] == 2
            assert (await control.rewind(8))["generation"] == 2
            assert (await control.fork(f"{run}-b"))["settled_until"] == 8
            await control.finish()
            kinds = [event["kind"] async for event in events]
            assert kinds == ["cancelled", "rewound", "finished"]

    asyncio.run(scenario())


def test_closing_ends_a_watch(server: str, run: str) -> None:
    """A stream that is left, or whose client is closed, leaves nothing behind."""
    with Client(server) as client:
        events = client.control(run).events()
        assert next(events)["number"] == 1
    with pytest.raises(RheostatError, match="closed"):
        next(events)
