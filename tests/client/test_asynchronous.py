"""The client for asyncio: the same reads and calls, awaited."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import httpx
import pytest

from rheostat import AsyncClient, AsyncRun, scale
from rheostat.client.settings import Settings
from rheostat.errors import Closed, Finished, NotFound, StaleGeneration, Unreachable, WrongLoop

if TYPE_CHECKING:
    from tests.client.conftest import FakeService

Result = TypeVar("Result")


def reading(service: FakeService, work: Callable[[AsyncRun], Awaitable[Result]]) -> Result:
    """Do the work of a worker that joined, in an event loop of its own."""

    async def main() -> Result:
        async with AsyncClient("http://test", transport=httpx.MockTransport(service)) as client:
            return await work(await client.run("gpt"))

    return asyncio.run(main())


def test_values_are_those_of_the_ledger(service: FakeService) -> None:
    """P1: every value that a worker holds is the one that the service wrote down."""

    async def work(run: AsyncRun) -> list[float]:
        return [await run.value("lr", step) for step in range(500)]

    assert reading(service, work) == [1 / (step + 1) for step in range(500)]
    assert [service.ledger[step] for step in range(500)] == [1 / (n + 1) for n in range(500)]


def test_held_value_is_returned_without_a_pause(service: FakeService) -> None:
    """P8: what is held is returned at once: no other task runs in between."""

    async def work(run: AsyncRun) -> None:
        await run.value("lr", 10)
        for read in (run.value("lr", 10), run.values(10)):
            with pytest.raises(StopIteration):
                read.send(None)

    reading(service, work)


def test_many_tasks_fetch_each_block_once(service: FakeService) -> None:
    """Tasks that need a block at once wait for one request."""

    async def train(run: AsyncRun) -> list[float]:
        return [(await run.values(step))["weight_decay"] for step in range(300)]

    async def work(run: AsyncRun) -> list[list[float]]:
        return await asyncio.gather(*(train(run) for _ in range(5)))

    assert reading(service, work) == [[-1 / (step + 1) for step in range(300)]] * 5
    assert len(service.reads) == len(set(service.reads))


def test_worker_goes_on_through_what_is_settled(service: FakeService) -> None:
    """P8, P9: the next block comes in the background, and is there when the service is away."""

    async def work(run: AsyncRun) -> list[float]:
        for step in range(20):
            await run.value("lr", step)
            await asyncio.sleep(0.002)
        service.before = lambda _: httpx.Response(503)
        return [await run.value("lr", step) for step in range(20, service.settled)]

    values = reading(service, work)

    assert values == [1 / (step + 1) for step in range(20, service.settled)]
    assert len(values) > 1


def test_finished_and_fenced(service: FakeService) -> None:
    """Refusals reach the step that they are about, and a new generation can be joined."""

    async def work(run: AsyncRun) -> None:
        assert await run.value("lr", 3) == 1 / 4
        await asyncio.sleep(0.01)
        held = service.settled
        service.generation = 2
        with pytest.raises(StaleGeneration):
            await run.value("lr", held)
        await run.rejoin()
        service.end = held + 1
        assert await run.value("lr", held) == 1 / (held + 1)
        with pytest.raises(Finished):
            await run.value("lr", held + 1)

    reading(service, work)


def test_step_is_rounded_down_to_its_cell(service: FakeService) -> None:
    """A run that counts samples has one value for each batch."""
    service.resolution = 8

    async def work(run: AsyncRun) -> None:
        assert [await run.value("lr", step) for step in (0, 7, 8)] == [1.0, 1.0, 0.5]
        assert await run.values(9) == {"lr": 0.5, "weight_decay": -0.5}
        assert list((await run.block(8, 2))["lr"]) == [1 / 2, 1 / 3]

    reading(service, work)


def test_calls_are_awaited(service: FakeService) -> None:
    """Operators' calls are those of the blocking client."""

    async def work(run: AsyncRun) -> None:
        with pytest.raises(NotFound):
            await run.change({"lr": scale(0.5)})
        with pytest.raises(NotFound):
            await run.client.runs()
        with pytest.raises(NotFound):
            await run.delete()

    reading(service, work)


def test_service_that_is_away(service: FakeService) -> None:
    """P9: a worker waits until its deadline, and then raises."""

    def away(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    async def main() -> None:
        transport = httpx.MockTransport(away)
        async with AsyncClient("http://test", deadline=0.1, transport=transport) as client:
            with pytest.raises(Unreachable):
                await client.run("gpt")

    asyncio.run(main())


def test_given_up_read_keeps_nobody_waiting(service: FakeService) -> None:
    """A task that is cancelled while it waits for a block leaves the way to others."""

    async def work(run: AsyncRun) -> float:
        service.before = lambda _: httpx.Response(503)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run.value("lr", 0), 0.02)
        service.before = lambda _: None
        return await run.value("lr", 0)

    assert reading(service, work) == 1.0


def test_closed_client(service: FakeService) -> None:
    """After `close` a worker reads what it holds, and then is told."""

    async def main() -> None:
        async with AsyncClient("http://test", transport=httpx.MockTransport(service)) as client:
            run = await client.run("gpt")
            await run.value("lr", 5)
        assert await run.value("lr", 5) == 1 / 6
        with pytest.raises(Closed):
            await run.value("lr", 4000)

    asyncio.run(main())


def test_pickled_run_keeps_its_generation(service: FakeService) -> None:
    """A copy reads the run that was joined, without joining, and has no token."""

    async def work(run: AsyncRun) -> None:
        run.client.settings = Settings(base_url="http://test", token="secret")  # noqa: S106
        data = pickle.dumps(run)
        copy = pickle.loads(data)  # noqa: S301
        assert (copy.id, copy.generation, copy.name) == ("run-1", 1, "gpt")
        assert b"secret" not in data

    reading(service, work)


def test_second_event_loop_is_refused_in_words(service: FakeService) -> None:
    """A client that comes from another event loop says so, in whatever is asked of it."""
    client = AsyncClient("http://test", transport=httpx.MockTransport(service))

    async def first() -> AsyncRun:
        run = await client.run("gpt")
        await run.value("lr", 0)
        return run

    run = asyncio.run(first())

    async def second() -> None:
        for ask in (
            lambda: client.run("gpt"),
            client.runs,
            lambda: run.value("lr", 3000),
            lambda: run.values(3000),
            lambda: run.block(0, 4),
            run.rejoin,
            lambda: anext(run.events()),
        ):
            with pytest.raises(WrongLoop, match="another one"):
                await ask()
        await client.close()

    asyncio.run(second())


def test_other_libraries_than_asyncio_are_refused_in_words(service: FakeService) -> None:
    """Under trio, where no loop of asyncio runs, the first call says so."""
    client = AsyncClient("http://test", transport=httpx.MockTransport(service))

    async def main() -> None:
        async with client:
            await client.run("gpt")

    with pytest.raises(WrongLoop, match="asyncio"):
        main().send(None)
