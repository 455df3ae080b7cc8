"""
The census: what a database holds, counted for figures.

It is what `rheostat_runs`, `rheostat_workers`, `rheostat_change_due_look_aheads` and the series of
single runs tell: `rheostat_run_settled_step`, `rheostat_run_settled_age_seconds`,
`rheostat_run_slowest_step`, `rheostat_run_workers`, `rheostat_run_revision` and
`rheostat_run_series_left_out`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from rheostat.server.runs import presence
from rheostat.server.runs.beats import Beat, Said
from rheostat.server.runs.presence import Roster
from rheostat.server.runs.revision import Note
from rheostat.server.runs.selector import Selector
from rheostat.server.store import clock, tables
from rheostat.server.store.operations import census, close, stop, workers
from rheostat.server.store.operations.census import Census
from rheostat.server.store.operations.revise import RevisionRequest, revise
from rheostat.server.store.records import Records
from rheostat.server.store.run_lists import WantedRuns

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

WATCHED = Selector.parse("watched")


def take(desk: Desk, named: Selector | None = None, most: int = 100) -> Census:
    """Take the census."""
    return desk.read(census.take, named, most)


def hear(desk: Desk, run: str, step: int = 10, ago: float = 0.0, **fields: Any) -> None:
    """Have it written that a worker of a run, or a few, said something so many seconds ago."""
    roster, names = Roster(), fields.pop("names", "0")
    said = {"session": "a", "step": step, "pace": 2.0, **fields}
    beat = Beat(1, tuple(Said(name, **said) for name in names))
    roster.hear(run, beat, presence.now() - ago)
    desk.write(workers.write, roster.news(100))


def age(records: Records, run: str, seconds: float) -> None:
    """Have the changes of a run made so many seconds earlier."""
    at = clock.text(clock.read(records.connection) - seconds)
    table = tables.revisions
    records.connection.execute(
        update(table).where(table.c.run_id == run, table.c.kind == "change").values(created_at=at)
    )


def test_runs_are_counted_as_lists_show_them(desk: Desk) -> None:
    """Each run is counted once, in the state that lists give it."""
    names = ("live", "trained", "stopped", "stuck", "finished")
    made = {name: desk.create(name=name) for name in names}
    made |= {name: desk.create(name=name, paused=True) for name in ("paused", "stuck-paused")}
    made["ended"] = desk.create(name="ended", total=8)
    hear(desk, made["trained"])
    for name in ("stuck", "stuck-paused"):
        hear(desk, made[name], ago=3_600)
    desk.settle(made["ended"], 0, 8)
    desk.settle(made["stopped"], 0, 8)
    desk.write(stop.stop, "stopped", stop.StopRequest(note=Note("ann")))
    desk.write(close.finish, "finished", None, Note("ann"))
    listed, _ = desk.read(workers.runs, WantedRuns())
    states = Counter(run["state"] for run in listed)
    few = dict.fromkeys(("paused", "stopped", "ended", "finished"), 1)
    assert states == few | {"live": 2, "stuck": 2}
    assert take(desk).runs == dict.fromkeys(census.STATES, 0) | states


def test_who_is_silent_is_told_from_who_is_gone(desk: Desk) -> None:
    """Workers are silent while others of their run are heard, and gone where nobody is."""
    one, two = desk.create(name="one"), desk.create(name="two")
    hear(desk, one, names="ab")
    hear(desk, one, names="cde", ago=3_600)
    hear(desk, one, names="f", state="waiting")
    hear(desk, one, names="ghij", state="ended")
    hear(desk, two, names="abcde", ago=3_600)
    counted = {"training": 2, "waiting": 1, "silent": 3, "gone": 5, "ended": 4}
    assert take(desk).workers == counted
    desk.write(close.finish, "two", None, Note("ann"))
    assert take(desk).workers == counted | {"gone": 0}


@pytest.mark.parametrize(
    ("case", "look_aheads"),
    [("trained", 50), ("slow", 25), ("nobody", 0), ("later", 0), ("landed", 0), ("paused", 0)],
)
def test_a_change_that_is_due_counts_its_look_aheads(
    desk: Desk, case: str, look_aheads: float
) -> None:
    """A change waits if the next block would bring it, somebody trains, and nothing holds them."""
    run = desk.create()
    desk.settle(run, 0, 8)
    if case != "nobody":
        hear(desk, run, pace=2.0 if case == "slow" else 4.0)  # a block of 8 steps takes 4 s, or 2
    desk.write(revise, "gpt", RevisionRequest({"lr": 0.5}, 64 if case == "later" else "next"))
    if case == "paused":
        desk.write(stop.stop, "gpt", stop.StopRequest(hold=True, note=Note("ann")))
    desk.write(age, run, 100)
    if case == "landed":
        desk.settle(run, 8, 8)
    assert take(desk).due == pytest.approx(look_aheads, abs=10 * (look_aheads > 0))


def test_some_runs_are_told_one_by_one(desk: Desk) -> None:
    """The runs that a selector means have figures of their own: the last ones, within a bound."""
    assert take(desk, WATCHED) == take(desk)
    run = desk.create(name="first", labels={"watched": "yes"})
    desk.create(name="other")
    desk.settle(run, 0, 8)
    desk.write(revise, "first", RevisionRequest({"lr": 0.5}))
    hear(desk, run, step=4, names="ab")
    found = take(desk, WATCHED)
    assert found.left_out == 0
    ((name, figures),) = found.named.items()
    assert (name, *figures[:1], *figures[2:4]) == ("first", 8, 4, 2)
    assert figures.age is not None
    assert 0 <= figures.age < 60
    assert figures.workers == dict.fromkeys(census.DOING, 0) | {"training": 2}
    desk.create(name="second", labels={"watched": ""})
    found = take(desk, WATCHED, 1)
    assert (list(found.named), found.left_out) == (["second"], 1)
    assert found.named["second"] == (0, None, None, 1, dict.fromkeys(census.DOING, 0))


def test_postgresql_says_its_size(desk: Desk) -> None:
    """SQLite's files are looked at from outside: of PostgreSQL, it says itself how large it is."""
    size = take(desk).bytes
    assert (size is None) == (desk.store.kind == "sqlite")
    assert size is None or size > 1_000_000
