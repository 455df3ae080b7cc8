"""A training that reads says where it is and what it applied, and is never disturbed by that."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import os
import pickle
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.client.beating import BeatingService

from rheostat import AsyncClient, Client, Run
from rheostat.client.answers import Answer, Broken
from rheostat.client.applied import MOST_WINDOWS
from rheostat.client.joined import join_answer
from rheostat.errors import Invalid, NotFound, Refused, Unavailable, UnknownRun, WentBack
from rheostat.limits import WORKER

GAP = "rheostat.client._sync.beating.LEAST_GAP", "rheostat.client._async.beating.LEAST_GAP"
"""How often a client beats at most, whatever it is told."""


@pytest.fixture(autouse=True)
def short_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beat as often as the service of these tests says."""
    for name in GAP:
        monkeypatch.setattr(name, 0.01)


@pytest.fixture
def service() -> BeatingService:
    """Return a service in memory that takes beats, of which `client` is one."""
    return BeatingService()


def until(holds: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until something holds."""
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.005)


def made(service: BeatingService, **options: Any) -> Client:
    """Return a client of a service in memory."""
    return Client("http://test", transport=httpx.MockTransport(service), **options)


def train(run: Run, start: int, stop: int, *, by: int = 1, **wrong: float) -> None:
    """Train: read, and say what was applied."""
    for step in range(start, stop, by):
        run.applied(step, {**run.values(step), **wrong})


def words(service: BeatingService) -> list[dict[str, Any]]:
    """Return what workers said, beat by beat."""
    return [said for beat in list(service.beats) for said in beat["workers"]]


def asked(service: BeatingService) -> list[httpx.Request]:
    """Return the requests with beats, answered or not."""
    return [request for request in service.requests if request.url.path.endswith("/beats")]


def keeping(gone: threading.Event) -> Callable[[httpx.Request], httpx.Response | None]:
    """Return what answers no beat until then."""

    def before(request: httpx.Request) -> httpx.Response | None:
        if request.url.path.endswith("/beats"):
            gone.wait(60)
        return None

    return before


def refusing(error: Refused, **headers: str) -> Callable[[httpx.Request], httpx.Response | None]:
    """Return what refuses beats alone."""

    def before(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/beats"):
            return None
        kind = {"Content-Type": "application/problem+json", **headers}
        return httpx.Response(error.status, json=error.to_problem(), headers=kind)

    return before


def test_a_training_says_where_it_is(service: BeatingService, monkeypatch: Any) -> None:
    """A beat has the rank, its machine, its session, the updates done, and the pace."""
    monkeypatch.setenv("RANK", "17")
    monkeypatch.setenv("SLURM_JOB_ID", "812")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    with made(service) as client:
        run = client.run("gpt")
        for step in run.steps(0, 600):
            run.value("lr", step)
            if step % 20 == 0:
                time.sleep(0.005)
        until(lambda: words(service) and words(service)[-1]["step"] == 599)
    last = words(service)[-1]
    assert (last["worker"], last["job"], last["state"]) == ("17", "812:2", "ended")
    assert re.fullmatch(WORKER, last["host"])
    assert re.fullmatch(WORKER, last["session"])
    assert last["pace"] > 0
    assert last["applied"] == last["wrong"] == []
    assert {said["state"] for said in words(service)[:-1]} == {"training"}
    assert {beat["generation"] for beat in service.beats} == {1}
    steps = [said["step"] for said in words(service)]
    assert steps == sorted(steps)


@pytest.mark.parametrize(
    ("environment", "job"),
    [
        ({}, None),
        ({"TORCHELASTIC_RUN_ID": "a b", "TORCHELASTIC_RESTART_COUNT": "1"}, "a-b:1"),
        ({"TORCHELASTIC_RUN_ID": "none", "SLURM_JOB_ID": "7"}, "none:0"),
        ({"SLURM_JOB_ID": "7"}, "7:0"),
    ],
)
def test_the_job_is_that_of_the_launcher(
    client: Client, service: BeatingService, monkeypatch: Any, environment: Any, job: str | None
) -> None:
    """TorchElastic's id with its count of restarts, else Slurm's, else none."""
    for name in ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "SLURM_JOB_ID", "RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    client.run("gpt").value("lr", 0)
    until(lambda: service.beats)
    said = words(service)[0]
    assert said.get("job") == job
    assert said["worker"] == f"{said['host']}:{os.getpid()}"


def test_adapters_and_options_name_otherwise(service: BeatingService, monkeypatch: Any) -> None:
    """What client and adapter are told goes before the environment; bad names are refused."""
    monkeypatch.setenv("RANK", "17")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with made(service, worker="tpu-0") as client:
        run = client.run("gpt")
        run.job = "4c1d"
        with pytest.raises(Invalid):
            run.job = "two words"
        run.value("lr", 0)
        until(lambda: service.beats)
    assert (words(service)[0]["worker"], words(service)[0]["job"]) == ("tpu-0", "4c1d")


@pytest.mark.parametrize("uses", ["only looks on", "has no beats", "is of an older service"])
def test_who_does_not_train_says_nothing(service: BeatingService, uses: str) -> None:
    """A handle that reads nothing, a client without beats, and an older service: no request."""
    service.again = None if "older" in uses else 0.01
    with made(service, beats=uses != "has no beats") as client:
        run = client.run("gpt")
        if uses != "only looks on":
            train(run, 0, 300)
        run.mismatch(0, "lr", 7.0)
        time.sleep(0.1)
    assert not service.beats


def test_reading_alone_claims_nothing(client: Client, service: BeatingService) -> None:
    """P12: a look-up is no application: only what `applied` is told is proven."""
    run = client.run("gpt")
    for step in range(600):
        run.value("lr", step)
    until(lambda: len(service.beats) > 1)
    client.close()
    assert not service.right
    assert words(service)[-1]["state"] == "ended"


def test_without_proof_nothing_is_listed(service: BeatingService) -> None:
    """With `proof=None` a training is seen, and proves nothing."""
    with made(service, proof=None) as client:
        train(client.run("gpt"), 0, 600)
        until(lambda: service.beats)
    assert words(service)[-1]["state"] == "ended"
    assert not service.right


def test_what_was_applied_is_proven(client: Client, service: BeatingService) -> None:
    """P12: all that a training says it applied reaches the service, and is that of its ledger."""
    run = client.run("gpt")
    train(run, 0, 1000)
    client.close()
    assert service.steps() == list(range(1000))
    assert not service.found
    assert words(service)[-1]["step"] == 1000


def test_a_loop_that_is_done_and_idles_is_proven_to_its_end(
    client: Client, service: BeatingService
) -> None:
    """Its last window is short of 256 cells, and is sent by the second beat without a new step."""
    run = client.run("gpt")
    train(run, 0, 300)
    until(lambda: service.steps() == list(range(300)))
    train(run, 300, 310)
    until(lambda: service.steps() == list(range(310)))
    assert not service.found


def test_a_loop_that_crawls_makes_no_window_of_each_step_while_nobody_answers(
    client: Client, service: BeatingService
) -> None:
    """One window waits, and the next one is filled: so none has to be forgotten."""
    run = client.run("gpt")
    run.values(0)
    service.before = refusing(Unavailable("away"))
    train(run, 0, 1)
    wanted: list[int] = []
    for step in range(1, MOST_WINDOWS + 8):
        train(run, step, step + 1)
        wanted.append(len(asked(service)) + 2)
        until(lambda: len(asked(service)) >= wanted[-1])
    service.before = lambda _: None
    client.close()
    assert service.steps() == list(range(MOST_WINDOWS + 8))


def test_what_is_held_is_applied(client: Client, service: BeatingService) -> None:
    """Without values, `applied` means those that were read, and no others."""
    run = client.run("gpt")
    for step in range(300):
        run.value("lr", step)
        run.applied(step)
    client.close()
    assert service.steps() == list(range(300))
    assert {tuple(window["parameters"]) for window in service.right} == {("lr",)}


def test_what_is_not_held_is_said_once(
    client: Client, service: BeatingService, caplog: pytest.LogCaptureFixture
) -> None:
    """`applied` raises nothing, whatever it is told: the log says so, once for each."""
    run = client.run("gpt")
    run.applied(0)
    run.values(0)
    for _ in range(3):
        run.applied(5000)
        run.applied(-1)
        run.applied("x")  # type: ignore[arg-type]
        run.applied(0, {"lr": "x"})  # type: ignore[dict-item]
        run.applied(0, {"lr": 1.0}, dtypes={"lr": "f16"})  # type: ignore[dict-item]
        run.mismatch(0, "momentum", 1.0)
        run.mismatch(0, "lr", "x")  # type: ignore[arg-type]
        run.mismatch(10**6, "lr", 1.0)
    client.close()
    assert not service.right
    assert not service.wrong
    said = [record.message for record in caplog.records]
    assert sum("what was applied was refused" in line for line in said) == 1
    assert sum("a mismatch was refused" in line for line in said) == 1


def test_a_step_that_was_never_served_is_no_sign_of_a_lost_database(
    client: Client, service: BeatingService, caplog: pytest.LogCaptureFixture
) -> None:
    """P12: who counts one step too far is told so, and its training goes on."""
    run = client.run("gpt")
    for step in range(300):
        value = run.values(step)
        run.applied(step + 3000, value)
    until(lambda: len(service.beats) > 1)
    assert run.value("lr", 300)
    client.close()
    assert not service.right
    assert sum("is left out" in record.message for record in caplog.records) == 1


def test_a_wrong_value_is_named(
    client: Client, service: BeatingService, caplog: pytest.LogCaptureFixture
) -> None:
    """P12: of one value that was overwritten, the service hears step, expected and found."""
    run = client.run("gpt")
    train(run, 0, 700)
    train(run, 700, 701, lr=0.5)
    train(run, 701, 1000)
    client.close()
    assert service.found == [("lr", 700, 1 / 701, 0.5)]
    assert 700 not in service.steps()
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "applied another value" in warnings[0].message


def test_values_are_sent_once(client: Client, service: BeatingService) -> None:
    """A training that is always wrong sends the values of each window once."""
    run = client.run("gpt")
    train(run, 0, 2000, lr=0.5)
    client.close()
    sent = [
        cell
        for said in words(service)
        for window in said["applied"]
        for cell in service.cells(window)
        if "values" in window
    ]
    assert sent == list(range(2000))
    assert service.found[0] == ("lr", 0, 1.0, 0.5)


def test_values_that_were_not_taken_are_sent_again(client: Client, service: BeatingService) -> None:
    """P12: where the request with the values is lost, the next beat brings it up again."""
    lost: list[bytes] = []

    def before(request: httpx.Request) -> httpx.Response | None:
        if b'"values"' in request.content and not lost:
            lost.append(request.content)
            return httpx.Response(503)
        return None

    service.before = before
    run = client.run("gpt")
    train(run, 0, 20, lr=0.5)
    train(run, 0, 20)
    until(lambda: lost and service.found)
    client.close()
    assert service.found[0] == ("lr", 0, 1.0, 0.5)


def test_an_overwritten_value_is_sent_at_once(service: BeatingService) -> None:
    """P12: what an adapter finds in a slot is said without waiting for the next beat."""
    service.again = service.pacing = 3600.0
    with made(service) as client:
        run = client.run("gpt")
        run.values(0)
        run.mismatch(0, "weight_decay", float("inf"), "f32")
        until(lambda: service.wrong)
        for _ in range(100):
            run.mismatch(0, "lr", 7.0)
    assert service.wrong == [
        {"step": 0, "parameter": "weight_decay", "found": "Infinity", "dtype": "f32"},
        {"step": 0, "parameter": "lr", "found": 7.0, "dtype": "f64"},
    ]
    assert len(service.beats) <= 3


def test_a_float32_is_proven_as_it_is(client: Client, service: BeatingService) -> None:
    """A parameter that lies in a float32 is held against the ledger's value, rounded alike."""
    run = client.run("gpt")
    dtypes: Any = {"lr": "f32"}
    for step in range(300):
        run.applied(step, run.values(step), dtypes=dtypes)
    client.close()
    assert service.steps() == list(range(300))
    assert service.right[0]["parameters"] == {"lr": "f32", "weight_decay": "f64"}


def test_a_rewind_proves_both_generations(client: Client, service: BeatingService) -> None:
    """What was applied in the generation that was left is proven there, and the rest in the new."""
    service.again = service.pacing = 3600.0
    run = client.run("gpt")
    train(run, 0, 300)
    session = run._beats.sitting.session  # type: ignore[union-attr]
    service.rewind(200)
    run.rejoin()
    service.change(0.5)
    train(run, 200, 500)
    client.close()
    assert [beat["generation"] for beat in service.beats] == [1, 2]
    assert service.steps() == [*range(300), *range(200, 500)]
    assert not service.found
    assert words(service)[0]["session"] == session != words(service)[1]["session"]
    assert words(service)[0]["state"] == "training"


def test_what_the_left_generation_never_settled_is_dropped(
    client: Client, service: BeatingService
) -> None:
    """A 409 that says that the generation was left: those windows are sent no more."""
    service.again = service.pacing = 3600.0
    run = client.run("gpt")
    train(run, 0, 300)
    service.rewind(100, ended=200)
    run.rejoin()
    train(run, 100, 400)
    client.close()
    assert service.steps() == list(range(100, 400))


def test_restarts_skips_and_strides_are_listed_as_they_were(
    client: Client, service: BeatingService
) -> None:
    """What was leapt over is not listed, and what was done again is listed again."""
    run = client.run("gpt")
    train(run, 0, 300)
    train(run, 100, 200)
    train(run, 200, 400, by=3)
    client.close()
    assert service.steps() == [*range(300), *range(100, 200), *range(200, 400, 3)]
    assert not service.found


def test_went_back_reaches_the_training(client: Client, service: BeatingService) -> None:
    """P9: where the service has lost what it settled, the loop hears of it at its next block."""
    run = client.run("gpt")
    train(run, 0, 300)

    def before(request: httpx.Request) -> None:
        if request.url.path.endswith("/beats"):
            service.settled = 10

    service.before = before
    for step in (*range(200), *range(200)):
        run.applied(step, {"lr": 1.0})
    until(lambda: run._mark._why)
    with pytest.raises(WentBack, match="recover"):
        train(run, 300, 5000)


@pytest.mark.parametrize("error", [NotFound("nothing here"), UnknownRun("it was deleted")])
def test_a_service_without_the_route_is_left_alone(
    client: Client, service: BeatingService, caplog: pytest.LogCaptureFixture, error: Refused
) -> None:
    """Of a service of another release nothing more is asked, and nothing is said but in debug."""
    service.before = refusing(error)
    run = client.run("gpt")
    train(run, 0, 300)
    until(lambda: run._beats.recorder is None)
    train(run, 300, 600)
    client.close()
    assert len(asked(service)) == 1
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


@pytest.mark.parametrize("status", [401, 403, 422])
def test_a_lasting_refusal_is_said_once(
    client: Client, service: BeatingService, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """A token that may not beat is said once in the log, and the training goes on."""
    error = Refused("no")
    error.status = status  # type: ignore[misc]
    service.before = refusing(error)
    run = client.run("gpt")
    for step in range(0, 2000, 20):
        train(run, step, step + 20)
        time.sleep(0.005)
    client.close()
    assert len(asked(service)) > 1
    said = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert sum("a beat was refused" in record.message for record in said) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed(client: Client, service: BeatingService, status: int) -> None:
    """A service that asks for patience is not asked again before."""
    error = Refused("busy")
    error.status = status  # type: ignore[misc]
    service.before = refusing(error, **{"Retry-After": "3600"})
    run = client.run("gpt")
    train(run, 0, 300)
    until(lambda: asked(service))
    time.sleep(0.3)
    assert len(asked(service)) == 1
    service.before = lambda _: None
    client.close()
    assert service.steps() == list(range(300))


def test_nothing_grows_while_nobody_answers(client: Client, service: BeatingService) -> None:
    """P8: a service that never answers holds the training up nowhere, nor its memory."""
    gone = threading.Event()
    service.before = keeping(gone)
    run = client.run("gpt")
    values = run.values(0)
    applied = run._beats.recorder
    assert applied is not None
    began = time.process_time()
    for step in range(400_000):
        run.applied(step % 1000, values)
    assert time.process_time() - began < 60
    rows = sum(sys.getsizeof(batch.rows) for batch in applied._batches)
    assert rows + applied._kept <= 32 * 2**20
    assert len(applied._windows) <= MOST_WINDOWS
    gone.set()


def test_closing_waits_for_no_dead_service(service: BeatingService) -> None:
    """A last beat that nobody takes ends with the time that closing has for last words."""
    with made(service) as client:
        run = client.run("gpt")
        train(run, 0, 300)
        gone = threading.Event()
        service.before = keeping(gone)
        began = time.monotonic()
    assert time.monotonic() - began < 25
    gone.set()


def test_a_handle_that_is_let_go_has_ended(client: Client, service: BeatingService) -> None:
    """Who drops the handle of a run has ended its training, and leaves no thread."""
    others = set(threading.enumerate())
    run = client.run("gpt")
    train(run, 0, 300)
    assert [each for each in threading.enumerate() if each not in others]
    del run
    until(lambda: service.beats and words(service)[-1]["state"] == "ended")
    until(lambda: not [each for each in threading.enumerate() if each not in others])


def test_copies_begin_anew(service: BeatingService) -> None:
    """A pickled copy and a forked child have another session, and nothing of the original's."""
    service.again = service.pacing = 3600.0
    with Client("http://test") as picklable, made(service) as client:
        run = client.run("gpt")
        train(run, 0, 10)
        copy: Run = pickle.loads(pickle.dumps(Run(picklable, run._joined)))  # noqa: S301
        ours, theirs = run._beats.sitting, copy._beats.sitting
        assert ours is not None
        assert theirs is not None
        assert theirs.session != ours.session
        assert not theirs.begun
        assert not theirs.applied
        child = multiprocessing.get_context("fork").Process(
            target=_require_anew, args=(run, ours.session)
        )
        child.start()
        child.join(30)
        assert child.exitcode == 0
    assert service.steps() == list(range(10))


def _require_anew(run: Run, session: str) -> None:
    sitting = run._beats.sitting
    assert sitting is not None
    assert sitting.session != session
    assert not sitting.begun
    assert not sitting.applied
    began = time.monotonic()
    run.client.close()
    assert time.monotonic() - began < 1.5


def test_it_beats_with_asyncio(service: BeatingService) -> None:
    """The other client does the same, in the loop's own time."""

    async def main() -> None:
        transport = httpx.MockTransport(service)
        async with AsyncClient("http://test", transport=transport) as client:
            run = await client.run("gpt")
            async for step in run.steps(0, 1000):
                run.applied(step, await run.values(step))
                if step % 50 == 0:
                    await asyncio.sleep(0.005)
            run.mismatch(3, "lr", 7.0)

    asyncio.run(main())
    assert service.steps() == list(range(1000))
    assert [wrong["step"] for wrong in service.wrong] == [3]
    assert words(service)[-1]["state"] == "ended"


def test_who_waits_says_so(client: Client, service: BeatingService) -> None:
    """At a pause a worker waits, for so many seconds; what it applied until then is proven."""
    service.pause = 300
    run = client.run("gpt")
    worker = threading.Thread(target=train, args=(run, 0, 400), daemon=True)
    worker.start()
    until(lambda: service.beats and words(service)[-1]["state"] == "waiting")
    until(lambda: service.steps() == list(range(300)))
    until(lambda: sum(said["waited"] for said in words(service)) > 0.1)
    assert words(service)[-1]["step"] == 300
    service.resume()
    worker.join(30)
    until(lambda: words(service)[-1]["state"] == "training")
    client.close()
    assert service.steps() == list(range(400))


JUNK: list[Any] = [
    [],
    {},
    7,
    None,
    {"again": -1, "compare": []},
    {"again": True, "compare": []},
    {"again": "5", "compare": []},
    {"again": 1e300, "compare": []},
    {"again": 0.01, "compare": 7},
    {"again": 0.01, "compare": [7]},
    {"again": 0.01, "compare": [{"worker": 7, "start": 0}]},
    {"again": 0.01, "compare": [{"worker": "x", "start": "0"}]},
]


@pytest.mark.parametrize("junk", JUNK)
def test_any_answer_is_survived(client: Client, service: BeatingService, junk: Any) -> None:
    """P10: whatever answers a beat, the next one is sent, and nothing that was applied is lost."""
    answers: list[Any] = [junk] * 2

    def before(request: httpx.Request) -> httpx.Response | None:
        if request.url.path.endswith("/beats") and answers:
            return httpx.Response(200, json=answers.pop())
        return None

    service.before = before
    run = client.run("gpt")
    train(run, 0, 300)
    until(lambda: service.beats)
    client.close()
    assert service.steps() == list(range(300))


@pytest.mark.parametrize("told", [-1, 0, "5", True, 1e300, [], float("1e400")])
def test_a_join_that_paces_oddly_is_none(service: BeatingService, told: Any) -> None:
    """P10: an answer to a join whose `again` can be no time is not believed."""
    facts = json.loads(service._join({}).content)
    join_answer(Answer(200, httpx.Headers(), json.dumps({**facts, "again": 5}).encode()))
    with pytest.raises(Broken):
        join_answer(Answer(200, httpx.Headers(), json.dumps({**facts, "again": told}).encode()))


def test_ranks_do_not_beat_together(service: BeatingService) -> None:
    """P13: of many that begin at one moment, each waits for another share of the time."""
    service.again = 3600.0
    dues = []
    for _ in range(20):
        client = made(service)
        run = client.run("gpt")
        run.value("lr", 0)
        dues.append(run._beats._due - time.monotonic())
    assert all(0 <= due <= 3600 for due in dues)
    assert max(dues) - min(dues) > 600


def test_workers_and_mismatches_come_in_pages(client: Client, service: BeatingService) -> None:
    """The summary is of the first page, and items are of all of them."""
    pages = {
        None: {"alive": 3, "items": [{"worker": "0"}], "next": "a"},
        "a": {"alive": 2, "items": [{"worker": "1"}], "next": None},
    }

    def before(request: httpx.Request) -> httpx.Response | None:
        if request.url.path.endswith(("/workers", "/mismatches")):
            return httpx.Response(200, json=pages[request.url.params.get("cursor")])
        return None

    service.before = before
    run = client.control("gpt")
    assert run.workers(state="wrong") == {
        "alive": 3,
        "items": [{"worker": "0"}, {"worker": "1"}],
        "next": None,
    }
    assert service.requests[0].url.params["state"] == "wrong"
    assert run.mismatches() == [{"worker": "0"}, {"worker": "1"}]  # type: ignore[comparison-overlap]
