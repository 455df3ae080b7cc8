"""Who waits for a revision is answered when it has come, or cannot, and told who holds it back."""

from __future__ import annotations

from typing import Any

import pytest

from rheostat import wire
from rheostat.server.runs.arrival import UNSEEN, Seen, Witness, late, seen_in, verdict
from rheostat.server.runs.crowd import Crowd, Mistake, Worker
from rheostat.server.runs.revision_state import Front

GOALS: tuple[wire.RevisionGoal, ...] = ("settled", "reached", "proven", "done")
SIGNAL = {"signal": "checkpoint"}


def found(kind: wire.RevisionKind = "change", state: wire.RevisionState = "settled") -> Any:
    """Return a revision at step 500."""
    data = SIGNAL if kind == "signal" else None
    return {"kind": kind, "state": state, "effective": 500, "data": data, "left_by": None}


def seen(reached: int, proven: int | None, **more: Any) -> Seen:
    """Return what eight workers say, of whom 3 is the last, and 5 has shown least."""
    last = Witness("3", 1, reached, proven)
    least = Witness("5", 1, max(reached, 900), proven, **more)
    return Seen(8, Front(reached, proven, generation=1), last, least)


def met(item: Any, goal: wire.RevisionGoal, there: Seen | None = UNSEEN) -> bool | None:
    """Return whether a goal is met; None: it may still be."""
    answer = verdict(item, goal, 600, there)
    return None if answer is None else answer["met"]


def why(item: Any, goal: wire.RevisionGoal, there: Seen = UNSEEN) -> str:
    """Return the sentence of a verdict."""
    answer = verdict(item, goal, 600, there)
    assert answer is not None
    assert answer["for"] == goal
    return answer["detail"]


@pytest.mark.parametrize(
    ("kind", "state", "expected"),
    [
        ("change", "pending", (None, None, None, None)),
        ("change", "settled", (True, False, False, False)),
        ("signal", "settled", (True, False, False, None)),
        ("signal", "done", (True, False, False, True)),
        ("signal", "failed", (True, False, False, False)),
        ("change", "cancelled", (False, False, False, False)),
        ("change", "dropped", (False, False, False, False)),
        ("note", "settled", (True, False, False, False)),
    ],
)
def test_where_nobody_says_where_it_is_settled_is_the_most(
    kind: Any, state: Any, expected: tuple[bool | None, ...]
) -> None:
    """None stands for: it still may. What cannot be known is not waited for."""
    item = found(kind, state)
    assert tuple(met(item, goal) for goal in GOALS) == expected
    if state == "settled":
        assert "the most that can be known" in why(item, "reached")


@pytest.mark.parametrize(
    ("reached", "proven", "expected"),
    [
        (500, 500, (None, None)),  # all are before the update of step 500
        (501, 500, (True, None)),
        (501, 501, (True, True)),
        (501, None, (True, None)),  # one has not listed anything yet
    ],
)
def test_all_workers_have_to_be_past_it(
    reached: int, proven: int | None, expected: tuple[bool | None, ...]
) -> None:
    """A change of step 500 is reached after 501 updates, and proven when all have shown those."""
    there = seen(reached, proven)
    assert tuple(met(found(), goal, there) for goal in ("reached", "proven")) == expected
    assert met(found(state="pending"), "reached", there) is None
    assert met(found("stop"), "reached", there) is True  # nobody does the update of its step
    assert met(found("signal"), "reached", there) is expected[0]


def test_a_verdict_names_the_last_worker() -> None:
    """Whoever waited learns by whom it was reached last."""
    assert why(found(), "reached", seen(777, 700)) == (
        "all 8 workers are past it; the last, worker 3 at step 777"
    )
    assert why(found("stop"), "reached", seen(500, 500)).startswith("all 8 workers have come to it")
    assert why(found(), "proven", seen(777, 700)) == (
        "all 8 workers applied the values that were served there"
    )


def test_a_worker_that_applied_another_value_is_named_at_once() -> None:
    """At or before the step it will never be proven; past it, the step itself still may be."""
    wrong = seen(900, 400, wrong_at=400)
    assert why(found(), "proven", wrong) == (
        "worker 5 applied another value than was served at step 400: see the mismatches of the run"
    )
    assert met(found(), "reached", wrong) is True
    assert met(found(), "proven", seen(900, 400, wrong_at=700)) is None
    assert met(found(), "proven", seen(900, 700, wrong_at=700)) is True


def test_one_who_shows_nothing_is_not_waited_for() -> None:
    """A plain loop says where it is, and not what it applied: then reached is the most."""
    assert met(found(), "proven", seen(900, None)) is None  # its first window may still come
    assert met(found(), "proven", seen(900, None, trained=511)) is None
    mute = seen(900, None, trained=512)
    assert why(found(), "proven", mute) == (
        "worker 5 has not shown what it applied: it is settled; wait until it is reached"
    )
    assert met(found(), "reached", mute) is True


def test_a_signal_cannot_be_proven() -> None:
    """Digests are of values: that a word was heard, they do not tell."""
    assert "changes no value" in why(found("signal"), "proven", seen(900, 900))
    assert "changes no value" in why(found("stop"), "proven", seen(900, 900))


def test_the_dead_are_not_waited_for() -> None:
    """Those who have ended count; where none is alive and not all were there, it says so."""
    ended = Seen(0, Front(900, 900, generation=1), Witness("3", 1, 900, 900))
    assert (met(found(), "reached", ended), met(found(), "proven", ended)) == (True, True)
    gone = Seen(0, Front(420, None, generation=1), Witness("3", 1, 420))
    assert why(found(), "reached", gone) == (
        "it is settled, which is the most that can be known: no worker is alive;"
        " the last that was heard of is worker 3, at step 420"
    )


def test_a_pause_is_reached_where_all_wait() -> None:
    """It stays pending, since it can be taken back; all workers are there, or not yet."""
    pause = found("pause", "pending")
    for step, expected in ((499, None), (500, True)):
        there = seen(step, step)
        answer = verdict(pause, "reached", 500, there)
        assert (answer and answer["met"]) is expected
        assert verdict(pause, "reached", 499, there) is None  # no worker has been given step 499
    nobody = verdict(pause, "reached", 500)
    assert nobody is not None
    assert nobody["detail"].startswith("the run is settled up to it, and holds there")


def test_what_is_known_of_another_generation_decides_nothing() -> None:
    """After a rewind it is looked again, before anything is said of the workers."""
    assert met(found(), "reached", None) is None
    assert met(found(state="dropped"), "reached", None) is False


@pytest.mark.parametrize(
    ("goal", "there", "expected"),
    [
        ("reached", seen(420, None), "worker 3 is the last, at step 420, 80 short of 500"),
        ("reached", seen(500, None), "worker 3 is the last, at step 500"),
        ("proven", seen(501, None), "worker 5 has not shown what it applied"),
        ("proven", seen(501, 300), "worker 5 has shown what it applied up to step 300"),
        (
            "proven",
            seen(501, 300, wrong_at=700),
            "worker 5 applied another value than was served at step 700",
        ),
        (
            "reached",
            Seen(8, Front(420, None, generation=2), Witness("3", 1, 900)),
            "worker 3 is still in generation 1, which was left",
        ),
    ],
)
def test_who_waited_in_vain_is_told_who_holds_it_back(
    goal: wire.RevisionGoal, there: Seen, expected: str
) -> None:
    """The slowest worker with its step, or the one that has not shown what it applied."""
    answer = late(found(), goal, there)
    assert answer == {
        "for": goal,
        "met": False,
        "detail": f"the time is over, and the revision is settled: {expected}",
    }


def test_who_waits_for_less_hears_of_no_worker() -> None:
    """That a change is settled depends on reads alone."""
    pending = found(state="pending")
    for there in (None, UNSEEN, seen(420, None)):
        assert late(pending, "settled", there)["detail"] == (
            "the time is over, and the revision is pending"
        )


def worker(name: str, step: int, **more: Any) -> Worker:
    """Return a worker of generation 1 that was heard of for 20 s, and last a second ago."""
    said: dict[str, Any] = {"generation": 1, "again": 5.0, "since": 79.0, "seen_at": 99.0, **more}
    return Worker(name, "s", step=step, **said)


def crowd(*workers: Worker, generation: int = 1, **more: Any) -> Crowd:
    """Return a crowd at a hundred seconds."""
    return Crowd(workers, 100.0, generation, **more)


def test_the_last_of_a_crowd_is_who_is_least_far_on_the_line() -> None:
    """One in a left generation is no further than where the line left it."""
    there = seen_in(
        crowd(worker("0", 40, generation=2), worker("1", 900), generation=2, shared={1: 30})
    )
    assert there.front == Front(30, None, generation=2)
    assert there.last == Witness("1", 1, 900)
    assert there.alive == 2


def test_the_one_who_has_shown_least_is_known() -> None:
    """Nothing is less than anything; a mistake caps what was shown."""
    three = [worker(str(rank), 900, proven_until=800 + rank) for rank in range(3)]
    assert seen_in(crowd(*three)).front == Front(900, 800, generation=1)
    wrong = [Mistake("2", 1, 512, 99.0)]
    found = seen_in(crowd(*three, mistakes=wrong))
    assert found.front.proven == 512
    assert found.least == Witness("2", 1, 900, 512, wrong_at=512)
    mute = seen_in(crowd(*three, worker("3", 901, pace=50.0)))
    assert mute.front.proven is None
    assert mute.least == Witness("3", 1, 901, trained=1000.0)  # 20 s at 50 steps a second


def test_who_was_hardly_heard_of_may_yet_show_what_it_applied() -> None:
    """Its first beat comes before its first window; the second one has had the time."""
    young = seen_in(crowd(worker("3", 901, pace=500.0, since=90.0)))
    assert young.least == Witness("3", 1, 901, trained=0.0)


def test_a_crowd_of_nobody_says_nothing() -> None:
    """Not even where nobody is."""
    assert seen_in(crowd()) == Seen(front=Front(generation=1))


@pytest.mark.parametrize(
    ("state", "seconds"),
    [("training", 79.0), ("waiting", 80.0)],
)
def test_seconds_count_from_when_the_last_worker_spoke(state: Any, seconds: float) -> None:
    """It has gone on since then, at its pace, unless it waits: 160 steps are 80 s."""
    there = crowd(worker("0", 340, pace=2.0, state=state), worker("1", 400, pace=2.0))
    assert there.eta([(7, 500, "change")]) == [
        {
            "revision": 7,
            "effective": 500,
            "steps": 160,
            "seconds": seconds,
            "reached_by": 0,
            "workers": 2,
        }
    ]
    (near,) = there.eta([(None, 341, "change")])
    assert (near["steps"], near["seconds"], near["reached_by"]) == (1, max(seconds - 79.5, 0), 1)
