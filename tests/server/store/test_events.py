"""The events of runs in the store, on both databases."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from rheostat.errors import Invalid, TooLate
from rheostat.server.runs.revision import Note
from rheostat.server.store.operations import close, events, fork, revise, show
from rheostat.server.store.operations.rewind import RewindRequest, rewind

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

HALVE = {"lr": {"edit": "scale", "factor": 0.5}}


def told(desk: Desk, ref: str = "gpt", after: int = 0) -> list[Any]:
    """Return all events after a number, page by page."""
    found: list[Any] = []
    while page := desk.read(events.page, ref, found[-1]["number"] if found else after).events:
        found += page
    return found


def live(desk: Desk) -> str:
    """Have everything happen to the run ``gpt`` that can, and return its id."""
    run = desk.create()
    desk.settle(run, 0, 8)
    desk.revise(HALVE, 16, note=Note("ann", "loss spike"))
    desk.settle(run, 8, 4)
    desk.write(revise.cancel, "gpt", 2, None, Note("bob", "it was the data"))
    desk.write(rewind, "gpt", RewindRequest(6, changes=HALVE, note=Note("ann", "diverged")))
    desk.settle(run, 6, 4, generation=2)
    desk.write(close.finish, "gpt", 20, Note("ann", "good enough"))
    return run


def test_events_tell_what_happened_in_its_order(desk: Desk) -> None:
    """Who, when, what, why and from which step, of every kind; the creation is none."""
    run = live(desk)
    found = told(desk)
    kinds = ["revised", "settled", "cancelled", "rewound", "settled", "finished"]
    assert [item["kind"] for item in found] == kinds
    revised, settled, cancelled, rewound, again, finished = found
    assert {item["id"] for item in found} == {run}
    assert revised["changes"] == {"lr": [{"edit": "scale", "factor": 0.5}]}
    assert (revised["author"], revised["message"]) == ("ann", "loss spike")
    assert (revised["revision"], revised["effective"], revised["forced"]) == (2, 16, False)
    assert (settled["generation"], settled["settled_until"]) == (1, 12)
    assert (cancelled["cancelled"], cancelled["message"]) == (2, "it was the data")
    assert (rewound["generation"], rewound["parent"]) == (2, 1)
    assert (rewound["from"], rewound["ended"], rewound["message"]) == (6, 12, "diverged")
    assert (again["generation"], again["settled_until"]) == (2, 10)
    assert (finished["end"], finished["message"]) == (20, "good enough")
    times = [item["created_at"] for item in found]
    assert times == sorted(times)


def test_numbers_rise_by_one_and_of_settles_the_newest_is_kept(desk: Desk) -> None:
    """Every change and every settle takes a number; a settle that was overtaken has left a gap."""
    live(desk)
    assert [event["number"] for event in told(desk)] == [2, 3, 4, 5, 6, 7]
    assert desk.read(show.show, "gpt")["event"] == 7


def test_whoever_resumes_gets_the_rest(desk: Desk) -> None:
    """After any number there comes exactly what is newer, nothing lost and nothing twice."""
    live(desk)
    everything = told(desk)
    for number in range(8):
        assert told(desk, after=number) == [e for e in everything if e["number"] > number]


def test_only_what_happened_is_an_event(desk: Desk) -> None:
    """A refused change, a read of settled steps, and finishing twice take no number."""
    run = live(desk)
    desk.settle(run, 0, 4, generation=2)
    desk.write(close.finish, "gpt", None, Note())
    assert desk.read(show.show, "gpt")["event"] == 7
    other = desk.create(name="other")
    desk.settle(other, 0, 4)
    with pytest.raises(TooLate):
        desk.write(revise.revise, "other", revise.RevisionRequest(HALVE, 2))
    assert [event["number"] for event in told(desk, "other")] == [1]


def test_the_end_is_the_last_event(desk: Desk) -> None:
    """What settles between the finish and the end that it set is told to nobody."""
    run = live(desk)
    desk.settle(run, 10, 10, generation=2)
    assert told(desk)[-1]["kind"] == "finished"
    assert desk.read(show.show, "gpt")["event"] == 7
    assert desk.read(events.page, "gpt", 6).over is False
    assert desk.read(events.page, "gpt", 7).over is True


def test_long_histories_come_in_pages(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages join up without loss, also where the settled end lies beyond a page."""
    run = desk.create()
    for _ in range(7):
        desk.revise(HALVE)
    desk.settle(run, 0, 4)
    desk.revise(HALVE)
    monkeypatch.setattr(events, "PAGE", 3)
    assert [event["number"] for event in told(desk)] == [*range(1, 10)]


def test_settling_stores_no_rows(desk: Desk) -> None:
    """However often a run settles, that is one event, of the last time."""
    run = desk.create()
    for step in range(50):
        desk.settle(run, step, 1)
    [event] = told(desk)
    assert (event["number"], event["settled_until"]) == (50, 50)


def test_a_number_that_the_run_has_not_come_to_is_refused(desk: Desk) -> None:
    """P10: it is another run's, and whoever waited for the next one would miss some."""
    live(desk)
    with pytest.raises(Invalid) as refusal:
        desk.read(events.page, "gpt", 8)
    assert (refusal.value.errors[0].field, refusal.value.errors[0].bound) == ("after", "<= 7")


def test_a_change_that_is_long_is_left_out(desk: Desk) -> None:
    """An event stays small: of a table of many values it says that there is a change."""
    desk.create()
    table = {"kind": "table", "values": [1.5] * 10_000, "clock": "change"}
    desk.revise({"lr": table})
    [event] = told(desk)
    assert event["changes"] is None


def test_a_fork_is_no_event_of_its_source(desk: Desk) -> None:
    """It leaves that run as it is, and begins to count anew."""
    run = desk.create()
    desk.settle(run, 0, 8)
    desk.write(fork.fork, {"name": "decay", "from": {"run": "gpt"}}, Note())
    assert [event["number"] for event in told(desk)] == [1]
    assert told(desk, "decay") == []
    desk.write(revise.revise, "decay", revise.RevisionRequest(HALVE))
    assert [event["number"] for event in told(desk, "decay")] == [1]


def test_news_of_many_runs_is_one_read(desk: Desk) -> None:
    """What happened to each since a number, nothing to some, and None to those that are gone."""
    first, second, third = (desk.create(name=name) for name in ("first", "second", "third"))
    desk.settle(first, 0, 8)
    desk.write(revise.revise, "second", revise.RevisionRequest(HALVE))
    desk.settle(second, 0, 8)
    found = desk.read(events.news, {first: 0, second: 0, third: 0, "run_gone": 4})
    assert found == {
        first: told(desk, "first"),
        second: told(desk, "second"),
        third: [],
        "run_gone": None,
    }
    assert desk.read(events.news, {first: 1, second: 2}) == {first: [], second: []}
    assert desk.read(events.news, {second: 1})[second] == told(desk, "second", after=1)


def test_who_polls_beside_two_writers_misses_nothing(desk: Desk) -> None:
    """P7: numbers appear in their order, though two processes give them."""
    run = desk.create()
    other = type(desk)(desk.url, desk.limits)
    done = threading.Event()
    seen: list[Any] = []

    def poll() -> None:
        ended = False
        while not ended:
            ended = done.is_set()
            head = seen[-1]["number"] if seen else 0
            seen.extend(desk.read(events.news, {run: head})[run] or ())

    def write(writer: Desk) -> None:
        for step in range(15):
            writer.write(revise.revise, run, revise.RevisionRequest(HALVE))
            writer.settle(run, step, 1)

    poller = threading.Thread(target=poll)
    writers = [threading.Thread(target=write, args=(each,)) for each in (desk, other)]
    for thread in (poller, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    poller.join()
    other.store.close()
    numbers = [event["number"] for event in seen]
    revisions: list[Any] = [event["revision"] for event in seen if event["kind"] == "revised"]
    assert numbers == sorted(set(numbers))
    assert revisions == [*range(2, 32)]
    settled = [event["settled_until"] for event in seen if event["kind"] == "settled"]
    assert settled[-1] == 15
