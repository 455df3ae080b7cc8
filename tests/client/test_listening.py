"""A training that listens, against a real server: stops, pauses, signals, at one step each."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.client.test_answer_types import require

from rheostat import AsyncClient, Client, early_stop, plateau, scale, wire
from rheostat.errors import NotPending, Paused, Stopped

LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 1000}
SIGNALS = {"checkpoint": {"arguments": {"tag": {"type": "string"}}}, "evaluate": {}}
SPEC: dict[str, Any] = {"parameters": {"lr": LINE}, "signals": SIGNALS}


@pytest.fixture
def real(server: str) -> Iterator[Client]:
    """Yield a client of the server that all tests share."""
    with Client(server, deadline=60.0) as client:
        yield client


def train(client: Client, name: str, at: dict[int, Callable[[], object]]) -> list[tuple[int, Any]]:
    """Train to the end; return what was heard where, and what was read where it was told to."""
    run = client.run(name, create=SPEC)
    heard: list[tuple[int, Any]] = []
    for step in run.steps(0, 1000):
        assert run.value("lr", step) >= 0
        heard += [(step, (signal.name, dict(signal.arguments))) for signal in run.signals(step)]
        if step in at:
            at[step]()
    heard.append((run.ends_at or 1000, type(run.ended)))
    if run.ends_at is not None:
        heard += [(run.ends_at, signal.name) for signal in run.signals(run.ends_at)]
    return heard


def test_all_workers_hear_and_end_at_one_step(real: Client, new_name: Callable[[], str]) -> None:
    """P2, P3: three workers, started one after the other, hear the same words where the others do.

    A signal, a pause that is resumed and a stop are set while they train, a stop with a last word.
    """
    name = new_name()
    control = real.control(name)
    sent: dict[str, int] = {}

    def signal() -> None:
        sent["signal"] = control.signal("checkpoint", tag="a")["effective"]

    def pause() -> None:
        sent["pause"] = control.pause(signal="evaluate")["effective"]
        threading.Timer(0.3, control.resume).start()

    def stop() -> None:
        made = control.stop(signal={"signal": "checkpoint", "arguments": {}})
        sent["stop"] = made["effective"]

    first = train(real, name, {10: signal, 60: pause, 200: stop})
    assert first == [
        (sent["signal"], ("checkpoint", {"tag": "a"})),
        (sent["pause"], ("evaluate", {})),
        (sent["stop"], Stopped),
        (sent["stop"], "checkpoint"),
    ]
    with ThreadPoolExecutor(2) as pool:
        others = [pool.submit(train, real, name, {}) for _ in range(2)]
        assert [other.result() for other in others] == [first] * 2
    assert control.show()["settled_until"] == sent["stop"]


def test_a_paused_training_waits_where_it_is(real: Client, new_name: Callable[[], str]) -> None:
    """It holds until it is resumed, takes what was changed meanwhile, and holds at `until`."""
    name = new_name()
    real.create_run(name, **SPEC, paused=True)
    control = real.control(name)
    waits = threading.Event()

    def operate() -> None:
        assert waits.wait(30)
        control.change({"lr": scale(0.5)})
        control.resume(until=16)

    operator = threading.Thread(target=operate)
    operator.start()
    run = real.run(name, on_wait=lambda _: waits.set())
    assert run.value("lr", 0) == 0.5
    operator.join()
    read = [run.value("lr", step) for step in range(16)]
    assert read[15] == 0.985 / 2
    assert control.show()["paused"]
    with Client(real.settings.base_url, pause_deadline=0.2) as hurried, pytest.raises(Paused):
        hurried.run(name).value("lr", 16)
    control.resume()
    assert run.value("lr", 16) == 0.984 / 2


def test_a_stop_is_taken_back_until_it_is_told(real: Client, new_name: Callable[[], str]) -> None:
    """Cancelled before anybody was refused it ends nothing; afterwards only a rewind lifts it."""
    name = new_name()
    run = real.run(name, create=SPEC)
    made = run.stop(effective=7)
    assert [run.value("lr", step) for step in range(7)][6] == 0.994
    ends = [run.ends_at]
    run.cancel(made["revision"])
    assert run.value("lr", 7) == 0.993
    ends.append(run.ends_at)
    assert ends == [7, None]
    again = run.stop(effective=20)
    assert list(run.steps(7, 100)) == list(range(7, 20))
    with pytest.raises(NotPending):
        run.cancel(again["revision"])
    run.rewind(20, {"lr": scale(0.5)})
    with pytest.raises(Stopped):
        run.value("lr", 20)
    run.rejoin()
    assert run.value("lr", 20) == 0.98 / 2
    assert run.ends_at is None


def test_a_join_tells_of_the_stop(real: Client, new_name: Callable[[], str]) -> None:
    """Who joins knows the end before it is read: a hint, which is gone with the stop."""
    name = new_name()
    real.create_run(name, **SPEC)
    made = real.control(name).stop(effective=500)
    assert real.run(name).ends_at == 500
    real.control(name).cancel(made["revision"])
    assert real.run(name).ends_at is None


def test_words_between_strides_are_heard(real: Client, new_name: Callable[[], str]) -> None:
    """A training whose steps span many cells is told the words that lie between them."""
    name = new_name()
    real.create_run(name, **SPEC)
    control = real.control(name)
    for at in (5, 130, 131, 260):
        control.signal("checkpoint", effective=at, tag=str(at))
    run = real.run(name)
    heard = [
        (step, signal.arguments["tag"])
        for step in run.steps(0, 400, by=100)
        for signal in run.signals(step)
    ]
    assert heard == [(100, "5"), (200, "130"), (200, "131"), (300, "260")]


def test_a_plateau_cuts_all_workers_at_its_gates(real: Client, new_name: Callable[[], str]) -> None:
    """P1, P2: ranks behind a gate use each cut from the step of its report on, then end together.

    The metric never gets better than at step 10, so that a patience of 1 cuts at 30 and 50; a
    second controller ends the training at the third report that is no better.
    """
    name = new_name()
    control = real.control(name)
    real.create_run(name, {"lr": {"kind": "constant", "value": 1.0}})
    control.arm("plateau", plateau(metric="loss", factor=0.5, patience=1, threshold=0.0, gate=10))
    control.arm("stop", early_stop(metric="loss", patience=5, gate=10))

    def work(rank: int) -> tuple[list[float], int | None]:
        run = real.run(name)
        read = []
        for step in run.steps(0, 200):
            read.append(run.value("lr", step))
            if (step + 1) % 10 == 0 and rank == 0:
                run.report(step + 1, {"loss": 1.0})
        return read, run.ends_at

    with ThreadPoolExecutor(3) as pool:
        ranks = [rank.result(60) for rank in [pool.submit(work, rank) for rank in range(3)]]
    assert ranks == [([1.0] * 30 + [0.5] * 20 + [0.25] * 10, 60)] * 3
    decided = [(item["step"], item["effective"]) for item in control.decisions("plateau")]
    assert decided[:2] == [(30, 30), (50, 50)]
    found = control.reports("loss")
    require(found, wire.Reports, "reports")
    assert found["steps"] == [10, 20, 30, 40, 50, 60]


def test_what_a_training_says_is_kept(real: Client, new_name: Callable[[], str]) -> None:
    """Reports, notes and outcomes of a worker reach the run, and are followed to its end."""
    name = new_name()
    run = real.run(name, create=SPEC)
    sent = run.signal("checkpoint", effective=2)
    for step in run.steps(0, 6):
        run.report(step, {"loss": float(step), "nan": float("nan")})
        for signal in run.signals(step):
            run.outcome(signal, "done", step=step, data={"path": "/c"}, source="rank-0")
    run.note("NaN in layer 7", level="warn")
    assert run.flush()
    control = real.control(name)
    [outcome] = control.outcomes(sent)
    assert (outcome["outcome"], outcome["data"]) == ("done", {"path": "/c"})
    assert control.wait(sent, "done", timeout=20)["waited"]["met"]
    assert [item["message"] for item in control.history()][-1] == "NaN in layer 7"
    assert control.reports("nan")["values"] == ["NaN"] * 6
    control.finish()
    followed = list(control.reports("loss", follow=True))
    assert [(point["step"], point["value"]) for point in followed] == [(n, n) for n in range(6)]


FORGETS_TO_CLOSE = """
import sys
from rheostat import Client
run = Client(sys.argv[1]).run(sys.argv[2])
run.value("lr", 0)
run.report(1, {"val_loss": 2.5})
run.note("over")
"""


def test_a_program_that_ends_has_said_all(real: Client, new_name: Callable[[], str]) -> None:
    """P9: what was reported last is sent, though the program ends at once and closes nothing."""
    name, url = new_name(), real.settings.address
    real.run(name, create=SPEC)
    subprocess.run([sys.executable, "-c", FORGETS_TO_CLOSE, url, name], check=True, timeout=60)
    control = real.control(name)
    assert control.reports("val_loss")["values"] == [2.5]
    assert [item["message"] for item in control.history() if item["kind"] == "note"] == ["over"]


def test_a_proposal_is_done_when_it_is_accepted(real: Client, new_name: Callable[[], str]) -> None:
    """It changes nothing until then, and a declined one never does."""
    name = new_name()
    real.create_run(name, **SPEC)
    control = real.control(name)
    body = {"changes": {"lr": scale(0.5)}}
    first, second = (control.propose("change", body)["proposal"] for _ in range(2))
    assert control.value_at("lr", 0) == 1.0
    assert control.accept(first, message="yes")["revision"] == 2
    control.decline(second, message="enough")
    assert control.value_at("lr", 0) == 0.5
    assert [item["state"] for item in control.proposals()] == ["accepted", "declined"]
    assert control.proposals(state="open") == []


def test_the_surface_says_what_is_understood(real: Client, new_name: Callable[[], str]) -> None:
    """What a run declares is what can be sent, with a schema."""
    name = new_name()
    real.create_run(name, **SPEC)
    surface = real.control(name).surface()
    assert set(surface["signals"]) == set(SIGNALS)
    assert not surface["any_signal"]


def test_the_asynchronous_client_listens_alike(server: str, new_name: Callable[[], str]) -> None:
    """Signals, a pause and a stop with await, while other tasks run on."""
    name = new_name()

    async def scenario() -> None:
        async with AsyncClient(server, deadline=60.0) as client:
            run = await client.run(name, create=SPEC)
            await run.signal("evaluate", effective=7)
            await run.pause(effective=10)
            await run.stop(effective=20)

            waits = asyncio.Event()
            run.on_wait = lambda _: waits.set()

            async def resume() -> None:
                await waits.wait()
                await run.resume()

            resuming = asyncio.create_task(resume())
            heard = []
            async for step in run.steps(0, 100):
                await run.value("lr", step)
                heard += [(step, signal.name) for signal in await run.signals(step)]
            assert heard == [(7, "evaluate")]
            assert (step, run.ends_at) == (19, 20)
            await resuming

    asyncio.run(scenario())
