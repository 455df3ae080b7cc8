"""What a training measures reaches the service, and never holds the training up."""

from __future__ import annotations

import logging
import math
import multiprocessing
import pickle
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.listening import ListeningService

from rheostat import Client, Signal
from rheostat.client.outbox import LATER, MOST_IN_ONE, MOST_POINTS, SOON, Outbox, Point
from rheostat.errors import Invalid, StaleGeneration, Unreachable


@pytest.fixture
def service() -> ListeningService:
    """Return a service in memory whose run listens, of which `client` is one."""
    return ListeningService()


def kept(service: ListeningService) -> list[tuple[int, str, Any]]:
    """Return what arrived: step, metric, value."""
    return [
        (report["step"], metric, value)
        for body in service.reported
        for report in body["reports"]
        for metric, value in report["metrics"].items()
    ]


def test_numbers_of_any_library_are_reported(client: Client, service: ListeningService) -> None:
    """Arrays of one element are numbers, NaN has its name, what is no number is left out."""
    run = client.run("gpt")
    metrics: dict[Any, Any] = {
        "a": 1,
        "b": np.array(0.5),
        "c": np.float32(0.25),
        "d": float("nan"),
        "e": np.array(-math.inf),
        "f": math.inf,
        "text": "0.3",
        "none": None,
        "many": np.zeros(2),
        "thing": object(),
        "bad name": 1.0,
        7: 1.0,
    }
    assert run.report(8, metrics) is None
    assert run.flush()
    assert kept(service) == [
        (8, "a", 1.0),
        (8, "b", 0.5),
        (8, "c", 0.25),
        (8, "d", "NaN"),
        (8, "e", "-Infinity"),
        (8, "f", "Infinity"),
        (8, "7", 1.0),
    ]
    assert (service.reported[0]["generation"], service.reported[0]["source"]) == (1, "main")


@pytest.mark.parametrize("wrong", [(-1, {"a": 1}), ("x", {"a": 1}), (1, 7), (1.5, {"a": 1})])
def test_a_loop_never_hears_of_what_it_reports(client: Client, wrong: Any) -> None:
    """Wrong arguments are said in the log; who waits for the answer is told."""
    run = client.run("gpt")
    assert run.report(*wrong) is None
    assert run.report(1, {}) is None
    with pytest.raises(Invalid):
        run.report(*wrong, wait=True)
    run.note(object())  # type: ignore[arg-type]
    run.outcome(7, "done", step=-1)
    run.outcome("x", "done", step=1)
    run.outcome(7, "done", step=1, data={"a": {1, 2}})


def test_who_waits_is_answered(client: Client, service: ListeningService) -> None:
    """With `wait`, the answer of the service comes back, and what was queued before went first."""
    run = client.run("gpt")
    service.answer = {"decisions": [{"controller": "p", "step": 9, "decision": "change"}]}
    run.report(8, {"loss": 2.0})
    answer = run.report(9, {"loss": 1.0}, wait=True)
    assert answer is not None
    assert answer["kept"] == 1
    assert answer["decisions"][0]["controller"] == "p"
    assert kept(service) == [(8, "loss", 2.0), (9, "loss", 1.0)]


def test_who_waits_is_refused(client: Client, service: ListeningService) -> None:
    """With `wait`, a refusal is raised as itself."""
    run = client.run("gpt")
    service.generation = 2
    with pytest.raises(StaleGeneration):
        run.report(9, {"loss": 1.0}, wait=True)


def test_who_waits_gives_up_at_the_deadline(service: ListeningService) -> None:
    """P9: a service that does not answer is `Unreachable` after the client's deadline."""
    transport = httpx.MockTransport(service)
    with Client("http://test", transport=transport, deadline=0.3) as client:
        run = client.run("gpt")
        service.before = lambda _: httpx.Response(503)
        with pytest.raises(Unreachable):
            run.report(9, {"loss": 1.0}, wait=True)


def test_reports_outlive_an_outage(client: Client, service: ListeningService) -> None:
    """What was reported while the service was away arrives, once and in its order."""
    run = client.run("gpt")
    service.before = lambda _: httpx.Response(503)
    for step in range(40):
        run.report(step, {"loss": float(step)})
        run.note(f"at {step}")
    assert not run.flush(0.2)
    service.before = lambda _: None
    assert run.flush(30)
    assert kept(service) == [(step, "loss", float(step)) for step in range(40)]
    assert [body["text"] for _, body in service.letters] == [f"at {step}" for step in range(40)]


def test_a_lost_answer_is_no_second_report(client: Client, service: ListeningService) -> None:
    """P10: a repeated request has the key of the first, so that the service can tell."""
    lost: list[str] = []

    def before(request: httpx.Request) -> httpx.Response | None:
        if request.url.path.endswith(("/reports", "/notes")):
            lost.append(request.headers["Idempotency-Key"])
            if len(lost) < 3:
                raise httpx.ReadError("gone")
        return None

    service.before = before
    run = client.run("gpt")
    run.report(1, {"loss": 1.0})
    assert run.flush(30)
    assert len(lost) == 3
    assert len(set(lost)) == 1


def test_one_refused_step_takes_no_other_with_it(
    client: Client, service: ListeningService, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a batch that is refused, the steps go one by one; what is refused alone is said once."""

    def before(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/reports") or b'"step":5' not in request.content:
            return None
        problem = Invalid("step is 5, and must be <= 4").to_problem()
        kind = {"Content-Type": "application/problem+json"}
        return httpx.Response(422, json=problem, headers=kind)

    service.before = before
    run = client.run("gpt")
    with caplog.at_level(logging.WARNING, "rheostat"):
        with run._outbox_lock:
            run._outbox.add(Point(1, "main", step, "loss", 1.0) for step in (3, 4, 5, 6))
        run.report(7, {"loss": 1.0})
        assert run.flush(30)
        run.report(5, {"loss": 1.0})
        assert run.flush(30)
    assert [step for step, _, _ in kept(service)] == [3, 4, 6, 7]
    assert sum("must be <= 4" in record.message for record in caplog.records) == 1


def test_a_rewind_is_said_and_ends_nothing(
    client: Client, service: ListeningService, caplog: pytest.LogCaptureFixture
) -> None:
    """The loop of a generation that was left hears of it at its next block, not from a report."""
    run = client.run("gpt")
    service.generation = 2
    run.report(3, {"loss": 1.0})
    run.report(4, {"loss": 1.0})
    assert run.flush(30)
    assert sum("rewind" in record.message for record in caplog.records) == 1
    run.rejoin()
    run.report(5, {"loss": 1.0})
    assert run.flush()
    assert kept(service) == [(5, "loss", 1.0)]


def test_differences_are_said_once(
    client: Client, service: ListeningService, caplog: pytest.LogCaptureFixture
) -> None:
    """Ranks that all report as one source are found in the log, without filling it."""
    run = client.run("gpt")
    service.answer = {
        "differs": [{"metric": "loss", "step": 1, "kept": 1 / 3, "given": 2 / 3}],
        "off_gate": [{"controller": "p", "step": 1}],
        "warnings": ["a threshold of rel inverts below 0"],
        "ignored": ["many"],
    }
    for _ in range(3):
        run.report(1, {"loss": 2.0})
        assert run.flush()
    for said in (
        "was reported before, as 0.333333; 0.666667 does not",
        "p has gates",
        "'many' is not reported",
        "inverts",
    ):
        assert sum(said in record.message for record in caplog.records) == 1, said


@pytest.mark.parametrize("junk", [[], {}, 7, None, {"differs": 7, "watched": 7}, {"watched": [1]}])
def test_any_answer_is_survived(client: Client, service: ListeningService, junk: Any) -> None:
    """P10: whatever an answer says, the next report is sent."""
    run = client.run("gpt")
    service.before = lambda r: (
        httpx.Response(200, json=junk) if r.url.path.endswith("/reports") else None
    )
    run.report(1, {"loss": 2.0})
    run.flush(0.3)
    service.before = lambda _: None
    run.report(2, {"loss": 2.0})
    assert run.flush(30)
    assert kept(service)[-1] == (2, "loss", 2.0)


def test_what_was_taken_in_part_is_sent_again(client: Client, service: ListeningService) -> None:
    """Where controllers decided much, the service asks for the rest again, and gets it."""
    answers = [True, True, False]
    run = client.run("gpt")

    def before(request: httpx.Request) -> httpx.Response | None:
        if request.url.path.endswith("/reports"):
            service.answer = {"again": answers.pop(0)}
        return None

    service.before = before
    answer = run.report(1, {"loss": 2.0}, wait=True)
    assert answer is not None
    assert answer["again"] is False
    assert [body["reports"][0]["step"] for body in service.reported] == [1, 1, 1]


def test_notes_and_outcomes_are_sent(client: Client, service: ListeningService) -> None:
    """They are queued as reports are, and say what they were told."""
    run = client.run("gpt")
    run.note("NaN in layer 7", step=12, level="error")
    run.outcome(Signal("checkpoint", {}, 9), "done", step=12, data={"path": "/c"}, source="rank-1")
    run.outcome(11, "failed", step=13, error=OSError("disk full"))
    assert run.flush()
    assert service.letters == [
        ("notes", {"text": "NaN in layer 7", "step": 12, "level": "error"}),
        (
            "outcomes",
            {
                "generation": 1,
                "revision": 9,
                "source": "rank-1",
                "outcome": "done",
                "step": 12,
                "data": {"path": "/c"},
            },
        ),
        (
            "outcomes",
            {
                "generation": 1,
                "revision": 11,
                "source": "main",
                "outcome": "failed",
                "step": 13,
                "error": "disk full",
            },
        ),
    ]


def test_what_was_saved_is_sent(client: Client, service: ListeningService) -> None:
    """It is queued as notes are; what can be no checkpoint is said in the log, and not sent."""
    run = client.run("gpt")
    run.saved(12)
    run.saved(13, tag="best", uri=Path("/ckpt/13"), bytes=7, source="rank-1")
    run.saved(-1)
    run.saved(12, bytes=0.5)  # type: ignore[arg-type]
    assert run.flush()
    assert service.letters == [
        (
            "checkpoints",
            {"generation": 1, "tag": "checkpoint", "source": "main", "step": 12},
        ),
        (
            "checkpoints",
            {
                "generation": 1,
                "tag": "best",
                "source": "rank-1",
                "step": 13,
                "bytes": 7,
                "uri": "/ckpt/13",
            },
        ),
    ]


def test_closing_sends_what_is_left(service: ListeningService) -> None:
    """The last report of a training is not lost, and a service that is away holds nobody up."""
    with Client("http://test", transport=httpx.MockTransport(service)) as client:
        client.run("gpt").report(1, {"loss": 2.0})
    assert kept(service) == [(1, "loss", 2.0)]
    with Client("http://test", transport=httpx.MockTransport(service)) as client:
        run = client.run("gpt")
        service.before = lambda _: httpx.Response(503)
        run.report(2, {"loss": 2.0})
        began = time.monotonic()
    assert time.monotonic() - began < 60
    assert run.report(3, {"loss": 2.0}) is None


def test_copies_have_nothing_to_report(client: Client, service: ListeningService) -> None:
    """A pickled copy, and a forked child, begin with an empty queue; the original sends its own."""
    run = client.run("gpt")
    service.before = lambda _: httpx.Response(503)
    run.report(1, {"loss": 2.0})
    with Client("http://test") as picklable:
        handle = type(run)(picklable, run._joined)
        handle._outbox.add([Point(1, "main", 1, "loss", 1.0)])
        assert not pickle.loads(pickle.dumps(handle))._outbox  # noqa: S301
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_require_empty, args=(run,))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    service.before = lambda _: None
    assert run.flush(30)
    assert kept(service) == [(1, "loss", 2.0)]


def _require_empty(run: Any) -> None:
    assert not run._outbox
    assert run.flush(0.1)


def points(count: int, metric: str = "loss", start: int = 0) -> list[Point]:
    """Return points of rising steps."""
    return [Point(1, "main", start + step, metric, 1.0) for step in range(count)]


def test_the_oldest_that_nobody_reads_goes_first() -> None:
    """P8: the queue is bounded; what a controller reads stays as long as anything else can go."""
    box = Outbox("gpt", "/v1/runs/run-1/reports")
    box.learn(["loss"])
    box.add(points(100, "loss"))
    box.add(points(MOST_POINTS, "other"))
    assert box.dropped == {"other": 100}
    box.add(points(MOST_POINTS, "loss", start=100))
    assert box.dropped == {"other": MOST_POINTS, "loss": 100}
    sent: list[Point] = []
    now = 0.0
    while (left := box.due(now)) is not None:
        now += max(left, 0.0)
        if (parcel := box.take(now)) is not None:
            sent += parcel.points
    assert [point.step for point in sent] == list(range(100, MOST_POINTS + 100))


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("ab"), st.sampled_from("xy"))))
def test_requests_hold_the_points_in_their_order(given: list[tuple[int, str, str]]) -> None:
    """P8: at most 256 points, of one source, in a request; each once, in the order they came."""
    box = Outbox("gpt", "/v1/runs/run-1/reports")
    queued = [Point(1, source, step, metric, 1.0) for step, metric, source in given]
    queued += points(600)
    box.add(queued)
    sent: list[Point] = []
    now = 0.0
    while box:
        now += SOON
        parcel = box.take(now)
        assert parcel is not None
        assert len(parcel.points) <= MOST_IN_ONE
        assert len({point.source for point in parcel.points}) == 1
        sent += parcel.points
    assert sent == queued


def test_what_is_read_goes_at_once_and_the_rest_once_a_second() -> None:
    """At most ten requests a second; those that nobody reads wait for more."""
    box = Outbox("gpt", "/v1/runs/run-1/reports")
    box.add(points(1))
    assert box.due(100.0) == 0 or box.due(100.0) < 0  # type: ignore[operator]
    assert box.take(100.0) is not None
    box.add(points(1))
    assert box.due(100.0) == pytest.approx(SOON)
    box.learn([])
    assert box.due(100.0) == pytest.approx(LATER)
    box.learn(["loss"])
    assert box.due(100.0) == pytest.approx(SOON)
    assert box.take(100.05) is None
    assert box.take(100.1) is not None
    assert box.due(100.1) is None
