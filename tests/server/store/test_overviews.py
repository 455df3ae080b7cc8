"""What a table of runs shows of each, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update
from tests.server.store.counting import statements
from tests.server.store.test_workers import beat, hear, write

from rheostat import wire
from rheostat.server.runs.presence import Roster
from rheostat.server.runs.revision import Note
from rheostat.server.store import tables
from rheostat.server.store.operations import (
    close,
    create,
    fork,
    overviews,
    plan,
    propose,
    revise,
    rewind,
    show,
    signal,
    stop,
)
from rheostat.server.store.operations.overviews import first_of
from rheostat.server.store.operations.rewind import RewindRequest
from rheostat.server.store.operations.signal import SignalRequest
from rheostat.server.store.run_lists import WantedRuns

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

    from rheostat.server.store.records import Records

HALF = {"lr": {"edit": "scale", "factor": 0.5}}


def table(desk: Desk) -> dict[str, wire.RunOverview]:
    """Return the rows of all runs, by their names."""
    items, following = desk.read(overviews.overviews, WantedRuns())
    assert following is None
    return {item["name"]: item for item in items}


def row(desk: Desk, name: str = "gpt") -> wire.RunOverview:
    """Return the row of a run."""
    return table(desk)[name]


def points(found: wire.RunOverview) -> dict[int, float]:
    """Return the values of a curve by their steps."""
    curve = found["curve"]
    assert curve is not None
    steps, values = (list(map(float, curve[name])) for name in ("steps", "values"))
    assert sorted(steps) == steps
    assert len(steps) <= 48
    return {int(step): value for step, value in zip(steps, values, strict=True)}


def test_the_curve_is_what_was_and_what_is_planned(desk: Desk) -> None:
    """From the first step to the last, with the values of the run, of its learning rate."""
    desk.create(total=100)
    curve = points(row(desk))
    assert (min(curve), max(curve)) == (0, 127)  # the line goes on after the total
    assert curve == {step: 100.0 - step for step in curve}
    assert len(curve) >= 40


def test_a_spike_of_one_step_is_seen(desk: Desk) -> None:
    """P10: whoever looks at a table sees that a rate is set to a thousand for a moment."""
    desk.create(total=1_000_000)
    desk.revise({"lr": {"edit": "set", "value": 1000, "steps": 1}}, effective=654_321)
    assert points(row(desk))[654_321] == 1000


def test_the_curve_changes_with_the_run(desk: Desk) -> None:
    """P1: a revision, a cancellation and a rewind are seen at once: what is kept is of before."""
    run = desk.create(total=128)
    desk.settle(run, 0, 16)
    assert points(row(desk))[127] == -27
    desk.revise(HALF)
    assert points(row(desk))[127] == -13.5
    desk.write(revise.cancel, "gpt", 2, None, Note("ann"))
    assert points(row(desk))[127] == -27
    desk.revise({"lr": 7})
    desk.settle(run, 16, 16)
    assert points(row(desk))[127] == 7
    desk.write(rewind.rewind, "gpt", RewindRequest(to=8, note=Note("ann")))
    assert points(row(desk))[127] == -27
    assert row(desk)["settled_until"] == 8


def test_a_run_of_many_revisions_has_a_curve_too(desk: Desk, monkeypatch: Any) -> None:
    """P13: of ten thousand changes those are read that are in force at a point of the curve."""
    monkeypatch.setattr(plan, "FEW", 10)
    desk.create(total=2000)
    for number in range(1, 61):
        desk.revise({"lr": 1000 * number}, effective=20 * number)
    curve = points(row(desk))
    assert len(curve) == 48
    expected = {step: 1000 * min(step // 20, 60) if step >= 20 else 100 - step for step in curve}
    assert curve == expected


def test_a_fork_shows_the_past_that_it_inherited(desk: Desk) -> None:
    """Before its branch the values are the other run's, and after it its own."""
    run = desk.create(total=128)
    desk.settle(run, 0, 64)
    body = {"name": "decay", "from": {"run": "gpt", "step": 64}, "changes": {"lr": 7}}
    desk.write(fork.fork, body, Note("ann"))
    curve = points(row(desk, "decay"))
    assert curve == {step: 100 - step if step < 64 else 7 for step in curve}


def test_a_run_without_an_end_is_drawn_as_far_as_it_is(desk: Desk) -> None:
    """It goes on as the run does, and is computed again when the run has come twice as far."""
    run = desk.create(parameters={"lr": 1})
    assert max(points(row(desk))) >= 100
    for start in range(0, 4096, 256):
        desk.settle(run, start, 256)
    assert max(points(row(desk))) >= 4096


def test_how_it_goes(desk: Desk) -> None:
    """Those who train: how fast they are in the mean, and when the last comes to the end."""
    run, roster = desk.create(total=100), Roster()
    assert (row(desk)["pace"], row(desk)["ends_in"]) == (None, None)
    hear(desk, roster, run, beat("0", step=50, pace=4.0))
    hear(desk, roster, run, beat("1", step=40, pace=2.0))
    hear(desk, roster, run, beat("2", step=4, pace=9.0), ago=3600)  # silent
    write(desk, roster)
    found = row(desk)
    assert found["workers"] == {"alive": 2, "silent": 1, "wrong": 0}
    assert (found["pace"], found["ends_in"]) == (3.0, 20.0)
    desk.write(stop.stop, "gpt", stop.StopRequest(70, note=Note("ann")))
    assert row(desk)["ends_in"] == 10.0
    desk.write(close.finish, "gpt", 46, Note("ann"))
    assert row(desk)["ends_in"] == 2.0


def test_the_newest_revision(desk: Desk) -> None:
    """Who did what, when and from where on; what is long is for the run's own page."""
    desk.create(total=100)
    first = row(desk)["newest"]
    assert (first["revision"], first["kind"], first["changes"]) == (1, "create", None)
    desk.revise(HALF, 20, note=Note("ben", "loss spike"))
    newest = row(desk)["newest"]
    assert newest.pop("created_at") > first["created_at"]  # type: ignore[misc]
    assert newest == {
        "revision": 2,
        "kind": "change",
        "effective": 20,
        "author": "ben",
        "message": "loss spike",
        "changes": {"lr": [{"edit": "scale", "factor": 0.5}]},
        "data": None,
    }
    desk.revise({"lr": {"kind": "table", "values": 2000 * [1], "clock": "run"}})
    assert row(desk)["newest"]["changes"] is None
    desk.write(signal.signal, "gpt", SignalRequest("checkpoint"))
    assert row(desk)["newest"]["data"] == {"signal": "checkpoint", "arguments": {}}


def test_what_needs_a_look(desk: Desk) -> None:
    """The kinds of what the run itself tells, and how many proposals wait."""
    run = desk.create(total=100)
    assert (row(desk)["attention"], row(desk)["proposals"]) == ([], 0)
    desk.settle(run, 0, 16)
    desk.report(run, (1, 2.0))
    desk.report(run, (1, 3.0))
    desk.read(_ahead, run)
    found, told = row(desk), desk.read(show.show, "gpt")["attention"]
    assert found["attention"] == sorted({each["kind"] for each in told}) == ["differs", "went-back"]
    asked = propose.ProposalRequest("change", {"changes": HALF}, note=Note("ann"))
    desk.write(propose.propose, "gpt", asked)
    assert row(desk)["proposals"] == 1


def _ahead(records: Records, run: str) -> None:
    records.ahead.note(records.find(run).key, 99, "0")


def test_curves_are_made_as_there_is_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """P13: of runs that nobody has looked at one answer draws a few, and the next the others."""
    desk.create()
    desk.write(create.create, {"name": "other", "parameters": {"lr": 1}}, Note("ann"))
    monkeypatch.setattr(overviews, "PATIENCE", -1.0)
    assert [item["curve"] for item in table(desk).values()] == [None, None]
    monkeypatch.undo()
    assert None not in [item["curve"] for item in table(desk).values()]
    monkeypatch.setattr(overviews, "PATIENCE", -1.0)
    assert None not in [item["curve"] for item in table(desk).values()]


def test_one_run_that_cannot_be_read_hides_no_other(desk: Desk) -> None:
    """P9: what a newer release stored of one run is no reason to show none."""
    run = desk.create()
    desk.write(create.create, {"name": "other", "parameters": {"lr": 1}}, Note("ann"))
    desk.write(_spoil, run)
    desk.restart()
    found = table(desk)
    assert found["gpt"]["curve"] is None
    assert found["other"]["curve"] is not None


def _spoil(records: Records, run: str) -> None:
    text = '[{"from": 0, "origin": 0, "revision": 1, "definition": {"kind": "of_later"}}]'
    where = tables.timelines.c.run_id == run
    records.connection.execute(update(tables.timelines).where(where).values(pieces=text))


def test_a_thousand_runs_cost_as_many_statements_as_one(desk: Desk) -> None:
    """P13: the database is asked about all runs together."""
    counts = []
    for number in (1, 20):
        for other in range(number):
            body = {"name": f"run-{number}-{other}", "parameters": {"lr": 1}}
            desk.write(create.create, body, Note("ann"))
        table(desk)
        counts.append(desk.read(statements, overviews.overviews, WantedRuns()))
    assert counts[0] == counts[1] < 20


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (["alpha", "lr", "wd"], "lr"),
        (["beta", "lr/bias", "lr/head"], "lr/bias"),
        (["batch", "momentum"], "batch"),
        (["lrx"], "lrx"),
    ],
)
def test_the_learning_rate_comes_first(names: list[str], first: str) -> None:
    """What people look at, or else the first by name."""
    assert first_of(names) == first
