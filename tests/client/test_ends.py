"""Where a training ends or waits: stops, pauses and gates, each at its one step."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.client.listening import ListeningService
from tests.client.test_run import quiet

from rheostat import AsyncClient, Client
from rheostat.client import ends
from rheostat.errors import AwaitingReport, Finished, Paused, StaleGeneration, Stopped


@pytest.fixture
def service() -> ListeningService:
    """Return a service in memory whose run listens, of which `client` is one."""
    return ListeningService()


@pytest.mark.parametrize("end", [1, 7, 8, 100])
@pytest.mark.parametrize("how", ["stop", "end"])
def test_steps_end_where_the_run_does(
    client: Client, service: ListeningService, how: str, end: int
) -> None:
    """Each step before the end has its value, none after it has; the end says why it is one."""
    run = client.run("gpt")
    setattr(service, how, end)
    read = [(step, run.value("lr", step)) for step in run.steps(0, 1000)]
    assert read == [(step, 1 / (step + 1)) for step in range(end)]
    assert (run.ends_at, run.state) == (end, "ended")
    assert type(run.ended) is (Stopped if how == "stop" else Finished)
    with pytest.raises(Finished) as refused:
        run.value("lr", end)
    assert refused.value.members["end"] == end
    assert service.settled == end


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (
            "stop",
            "stopped at step 1,024 by revision 7 of ann: enough. To go on: rheostat run resume",
        ),
        ("end", "finished at step 1,024"),
    ],
)
def test_an_end_is_said_once(
    client: Client,
    service: ListeningService,
    caplog: pytest.LogCaptureFixture,
    how: str,
    words: str,
) -> None:
    """Where, by whom, why, and how to go on; a job with nothing left to train is told that, too."""
    setattr(service, how, 1024)
    run = client.run("gpt")
    for _ in range(2):
        assert list(run.steps(1000, 2000)) == list(range(1000, 1024))
    [said] = [record.getMessage() for record in caplog.records]
    assert said.removesuffix(" gpt") == f"rheostat: run gpt is {words}"
    caplog.clear()
    assert list(client.run("gpt").steps(1024, 2000)) == []
    [said] = [record.getMessage() for record in caplog.records]
    assert "at step 1,024" in said
    assert "Nothing is trained" in said
    of_tokens = ends.words(
        replace(run._joined, axis="tokens"), Stopped("", end=64), untrained=False
    )
    assert of_tokens == "run gpt is stopped at token 64. To go on: rheostat run resume gpt"


@pytest.mark.parametrize("stride", [2, 7, 33, 100])
@pytest.mark.parametrize("end", [1, 50, 150, 151, 199])
def test_strides_end_at_their_first_step_past_it(
    client: Client, service: ListeningService, end: int, stride: int
) -> None:
    """A training whose blocks would cross the end meets it, and asks a bounded number of times."""
    service.stop = end
    run = client.run("gpt")
    found = []
    for step in run.steps(0, 1000, by=stride):
        run.value("lr", step)
        found.append(step)
    assert found == list(range(0, end, stride))
    assert service.told
    assert len(service.reads) <= 4 * len(found) + 4


def test_steps_end_before_their_total(client: Client) -> None:
    """They are those of a range, whatever the stride; nothing was ended by that."""
    run = client.run("gpt")
    assert list(run.steps(3, 40, by=7)) == list(range(3, 40, 7))
    assert (run.ends_at, run.ended) == (None, None)


def test_steps_end_with_the_run_s_total(client: Client, service: ListeningService) -> None:
    """Without a total of their own they take the run's, though that is made longer meanwhile."""
    service.total = 10
    run = client.run("gpt")
    found = []
    for step in run.steps(0):
        found.append(step)
        if step == 9:
            service.total = 12
    assert found == list(range(12))


@pytest.mark.parametrize("step", [0, 5, 24])
def test_a_stop_is_told_when_it_is_reached(
    client: Client, service: ListeningService, step: int
) -> None:
    """A worker that hears of a stop ahead of it tells nobody, and does not look past it."""
    service.stop = 25
    run = client.run("gpt")
    assert run.ends_at == 25
    for at in range(step + 1):
        run.value("lr", at)
    quiet(run)
    assert not service.told
    assert all(start < 25 for start, _ in service.reads)
    assert run.ended is None


def test_a_stop_that_was_taken_back_ends_nothing(client: Client, service: ListeningService) -> None:
    """An end that was heard of is asked for again when it is reached."""
    service.stop = 25
    run = client.run("gpt")
    for step in range(25):
        run.value("lr", step)
    service.stop = None
    assert run.value("lr", 25) == 1 / 26
    assert run.ends_at is None


def test_a_stop_that_was_met_is_not_asked_for_again(
    client: Client, service: ListeningService
) -> None:
    """A training that ended has ended: every further read is refused from memory."""
    service.stop = 5
    run = client.run("gpt")
    assert list(run.steps(0, 9)) == [0, 1, 2, 3, 4]
    asked = len(service.requests)
    service.stop = None
    for step in (5, 6, 5):
        with pytest.raises(Stopped):
            run.value("lr", step)
    assert len(service.requests) == asked
    assert run.value("lr", 4) == 0.2


def test_a_pause_is_waited_for(client: Client, service: ListeningService) -> None:
    """The worker waits at its step, says so once, and reads on where it was."""
    service.pause = 10
    heard: list[Any] = []

    def on_wait(refusal: Any) -> None:
        heard.append((type(refusal), refusal.members["end"], run.waits_for is refusal, run.state))
        threading.Timer(0.05, service.resume).start()

    run = client.run("gpt", on_wait=on_wait)
    found = [run.value("lr", step) for step in range(20)]
    assert found == [1 / (step + 1) for step in range(20)]
    assert heard == [(Paused, 10, True, "waiting")]
    assert (run.waits_for, run.state) == (None, "training")
    assert service.kept == 1
    assert (run.ends_at, run.ended) == (None, None)


def test_a_pause_of_many_requests_is_one_wait(client: Client, service: ListeningService) -> None:
    """A service that keeps no request is asked again, not at once, and it stays one wait."""
    service.pause, service.patience = 10, 0.0
    heard: list[Any] = []
    slept: list[float] = []
    run = client.run("gpt", on_wait=heard.append)

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 8:
            service.resume()

    client.session.network.sleep = sleep  # type: ignore[method-assign]
    assert run.value("lr", 10) == 1 / 11
    assert len(heard) == 1
    assert slept[0] <= 0.15
    assert all(0.9 <= seconds <= 2 for seconds in slept[5:]), slept


def test_a_word_that_comes_during_a_pause_is_heard_at_once(
    client: Client, service: ListeningService
) -> None:
    """A service that answers early, with more to tell, has it told; nothing is told twice."""
    service.pause, service.patience = 10, 0.0
    told: list[Any] = []

    def on_wait(_: Any) -> None:
        told.append([signal.name for signal in run.signals(10)])
        if len(told) == 1:
            word = {"at": 10, "signal": "checkpoint", "arguments": {}, "revision": 8}
            service.at_end = [word]
            service.words = {8: (10, "checkpoint", {})}
        else:
            service.resume()

    run = client.run("gpt", on_wait=on_wait)
    heard = [signal.name for step in run.steps(0, 13) for signal in run.signals(step)]
    assert (told, heard) == ([[], ["checkpoint"]], [])


def test_retry_after_is_obeyed(client: Client, service: ListeningService) -> None:
    """Who is told to come back later does so later."""
    service.pause = 0
    slept: list[float] = []

    def before(request: httpx.Request) -> httpx.Response | None:
        if "Prefer" not in request.headers or len(slept) > 2:
            return None
        problem = Paused("the run is paused", end=0).to_problem()
        kind = {"Content-Type": "application/problem+json", "Retry-After": "7"}
        return httpx.Response(409, json=problem, headers=kind)

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            service.resume()

    service.before = before
    client.session.network.sleep = sleep  # type: ignore[method-assign]
    assert client.run("gpt").value("lr", 0) == 1.0
    assert all(7 <= seconds <= 14 for seconds in slept)


@pytest.mark.parametrize("how", ["pause", "every"])
def test_waiting_ends_with_its_own_deadline(service: ListeningService, how: str) -> None:
    """Whoever wants to wait for a while alone is told what was waited for."""
    setattr(service, how, 10)
    service.patience = 0.0
    transport = httpx.MockTransport(service)
    with Client("http://test", transport=transport, pause_deadline=0.05, gate_deadline=0.05) as c:
        run = c.run("gpt")
        assert [run.value("lr", step) for step in range(10)][9] == 0.1
        with pytest.raises(Paused if how == "pause" else AwaitingReport):
            run.value("lr", 10)


def test_a_rewind_ends_a_wait(client: Client, service: ListeningService) -> None:
    """A paused worker that a rewind has left is told so: neither survives a rewind."""
    service.pause = 10

    def rewind(_: Any) -> None:
        service.generation = 2
        service.resume()

    run = client.run("gpt", on_wait=rewind)
    assert [run.value("lr", step) for step in range(10)][9] == 0.1
    with pytest.raises(StaleGeneration):
        run.value("lr", 10)


def test_a_gate_opens_with_its_report(client: Client, service: ListeningService) -> None:
    """A loop that reports before it reads on never waits for long, and settles no gate ahead."""
    service.every, service.watched = 8, ["loss"]
    run = client.run("gpt")
    for step in run.steps(0, 40):
        assert service.settled <= service.gate  # type: ignore[operator]
        run.value("lr", step)
        if (step + 1) % 8 == 0:
            run.report(step + 1, {"loss": 1 / (step + 1)})
    sent = [report for body in service.reported for report in body["reports"]]
    assert [report["step"] for report in sent] == [8, 16, 24, 32, 40][: len(sent)]
    assert len(sent) >= 4


def test_looking_ahead_waits_at_no_gate(client: Client, service: ListeningService) -> None:
    """Nothing is fetched from a gate on before it is needed, and nothing hangs."""
    service.every = 8
    run = client.run("gpt")
    for step in range(8):
        run.value("lr", step)
        quiet(run)
    assert service.kept == 0
    assert service.settled == 8


def test_who_reads_elsewhere_is_not_held_up(client: Client, service: ListeningService) -> None:
    """While one thread waits at a gate, another reads what is settled and not held."""
    service.every, service.settled = 100, 100
    run = client.run("gpt")
    waits = threading.Thread(target=run.value, args=("lr", 100))
    waits.start()
    while run.waits_for is None:
        assert waits.is_alive()
    assert run.value("lr", 3) == 0.25
    run.report(100, {"loss": 1.0})
    waits.join(10)
    assert not waits.is_alive()
    assert run.value("lr", 100) == 1 / 101


def test_a_proxy_that_lets_nobody_wait_ends_nothing(
    client: Client, service: ListeningService
) -> None:
    """Where a request that waits is cut off, the worker asks without waiting, and again."""
    service.pause = 0
    cut: list[str] = []

    def before(request: httpx.Request) -> httpx.Response | None:
        if "Prefer" not in request.headers:
            return None
        cut.append("gateway")
        if len(cut) == 3:
            service.resume()
        return httpx.Response(504, text="<html>")

    service.before = before
    client.session.network.sleep = lambda seconds: time.sleep(0 * seconds)  # type: ignore[method-assign]
    assert client.run("gpt").value("lr", 0) == 1.0
    assert len(cut) == 3


def test_the_asynchronous_client_ends_and_waits_alike(service: ListeningService) -> None:
    """Steps end at a stop, a pause holds one task and not the loop, and reports are sent."""
    service.pause, service.stop = 10, 20

    async def scenario() -> None:
        async with AsyncClient("http://test", transport=Slow(service)) as client:
            run = await client.run("gpt")
            asyncio.get_running_loop().call_later(0.1, service.resume)
            found = [step async for step in run.steps(0, 100)]
            assert found == list(range(20))
            assert isinstance(run.ended, Stopped)
            await run.report(20, {"loss": 1.0})
            await run.note("done")
            assert await run.flush()

    asyncio.run(scenario())
    assert service.reported[0]["reports"] == [{"step": 20, "metrics": {"loss": 1.0}}]
    assert service.letters == [("notes", {"text": "done", "level": "note"})]


class Slow(httpx.AsyncBaseTransport):
    """Answers in a thread, so that a request which waits holds up nobody."""

    def __init__(self, service: ListeningService) -> None:
        self._service = service

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        await request.aread()
        return await asyncio.to_thread(self._service, request)
