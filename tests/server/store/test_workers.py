"""Workers as they are written down and read together, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, update

from rheostat.errors import UnknownGeneration, UnknownRun
from rheostat.server.runs import presence
from rheostat.server.runs.beats import Beat, Said
from rheostat.server.runs.crowd import Crowd
from rheostat.server.runs.presence import Roster
from rheostat.server.runs.revision import Note
from rheostat.server.store import clock, tables
from rheostat.server.store import workers as stored
from rheostat.server.store.operations import advance, close, fork, rewind, signal, stop, workers
from rheostat.server.store.operations.workers import Wanted, Written
from rheostat.server.store.records import Records
from rheostat.server.store.run_lists import WantedRuns

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk


def beat(*names: object, generation: int = 1, session: str = "a", **fields: Any) -> Beat:
    """Return a beat of some workers at step 10, the first of which sends it."""
    said = {"session": session, "step": 10, "pace": 2.0, **fields}
    return Beat(generation, tuple(Said(str(name), **said) for name in names))


def hear(desk: Desk, roster: Roster, run: str, said: Beat, ago: float = 0.0) -> None:
    """Let a process hear a beat, so many seconds ago."""
    found, _ = desk.read(workers.meet, run, said, roster)
    roster.hear(found.id, said, presence.now() - ago)


def write(desk: Desk, roster: Roster) -> Written:
    """Let a process write down what it has heard."""
    return desk.write(workers.write, roster.news(1_000))


def crowd(desk: Desk, run: str, roster: Roster | None = None) -> Crowd:
    """Return the crowd as a process sees it; by default as one that has heard nothing."""
    return desk.read(workers.crowd, run, roster or Roster())


def test_what_is_written_is_what_was_heard(desk: Desk) -> None:
    """Every field comes back, in another process, with times by the database's clock."""
    run, here = desk.create(), Roster()
    said = beat("17", host="n03", job="j", waited=1.5, state="waiting")
    hear(desk, here, run, said)
    heard = crowd(desk, run, here).workers
    assert write(desk, here) == Written(set(), set())
    (found,) = crowd(desk, run).workers
    for name in Said.__slots__:
        if hasattr(found, name):
            assert getattr(found, name) == getattr(said.workers[0], name), name
    assert found.again == heard[0].again
    assert found.seen_at == pytest.approx(heard[0].seen_at, abs=0.5)
    assert found.seen_at == pytest.approx(desk.read(_time), abs=60)


def _time(records: Records) -> float:
    return clock.read(records.connection)


def test_the_newer_of_two_processes_counts(desk: Desk) -> None:
    """Whatever order they write in, the newer word stays, with the session's earliest beginning."""
    run, one, two = desk.create(), Roster(), Roster()
    one.hear(run, beat("0", step=20), presence.now() - 50, {"0": 16})
    two.hear(run, beat("0", step=30), presence.now() - 20)
    write(desk, two)
    write(desk, one)
    (found,) = crowd(desk, run).workers
    assert (found.step, found.proven_until) == (30, 16)
    assert found.seen_at - found.since == pytest.approx(30, abs=1)
    three = Roster()
    three.hear(run, beat("0", session="b", step=5), presence.now())
    write(desk, three)
    (found,) = crowd(desk, run).workers
    assert (found.step, found.proven_until, found.since) == (5, None, found.seen_at)


def test_a_process_merges_what_it_heard_newer(desk: Desk) -> None:
    """What was not written yet is seen by the process that heard it, and by no other."""
    run, one, two = desk.create(), Roster(), Roster()
    hear(desk, one, run, beat("0", "1"), ago=9)
    write(desk, one)
    hear(desk, two, run, beat("0", step=50))
    assert [each.step for each in crowd(desk, run, two).listed] == [50, 10]
    assert [each.step for each in crowd(desk, run, one).listed] == [10, 10]


def test_a_clock_that_was_set_back_hides_nobody(desk: Desk) -> None:
    """Rows of an hour ahead give way to what is said now, in memory and in the table."""
    run, before = desk.create(), Roster()
    hear(desk, before, run, beat("0", "1", step=30))
    write(desk, before)
    desk.write(_an_hour_ahead, run)
    assert crowd(desk, run).counts == {"alive": 0, "silent": 2, "wrong": 0}
    after = Roster()
    hear(desk, after, run, beat("0", step=40))
    write(desk, after)
    found = crowd(desk, run)
    assert found.counts == {"alive": 1, "silent": 1, "wrong": 0}
    assert [each.step for each in found.listed] == [40, 30]
    assert found.listed[0].seen_at == pytest.approx(desk.read(_time), abs=60)


def _an_hour_ahead(records: Records, run: str) -> None:
    ahead = clock.text(clock.read(records.connection) + 3600)
    times = dict.fromkeys(("since", "seen_at", "silent_at"), ahead)
    records.connection.execute(update(tables.workers).values(**times))


def test_a_restart_learns_the_session(desk: Desk) -> None:
    """A process that hears a known session begins with what is written: it is no new one."""
    run, before, after = desk.create(), Roster(), Roster()
    before.hear(run, beat("0"), presence.now() - 100, {"0": 8})
    write(desk, before)
    desk.restart()
    hear(desk, after, run, beat("0", step=99))
    assert after.news(1).growing == set()
    (found,) = crowd(desk, run, after).workers
    assert (found.step, found.proven_until) == (99, 8)
    assert found.seen_at - found.since == pytest.approx(100, abs=2)


def test_beats_of_what_is_not_there_are_refused(desk: Desk) -> None:
    """An unknown run and an unknown generation have no workers, and nothing is remembered."""
    run, roster = desk.create(), Roster()
    with pytest.raises(UnknownRun):
        hear(desk, roster, "nobody", beat("0"))
    with pytest.raises(UnknownGeneration):
        hear(desk, roster, run, beat("0", generation=2))
    assert not roster.of(run)


def test_the_workers_of_a_deleted_run_are_gone(desk: Desk) -> None:
    """P10: rows go with their run, and none are written for one that is not there."""
    run, roster = desk.create(), Roster()
    hear(desk, roster, run, beat("0"))
    write(desk, roster)
    hear(desk, roster, run, beat("1"))
    other = desk.create(name="other")
    hear(desk, roster, other, beat("0"))
    desk.write(close.delete, run)
    assert write(desk, roster) == Written({run}, set())
    assert desk.read(_rows) == [(other, "0")]


def _rows(records: Records) -> list[tuple[str, str]]:
    found = records.connection.execute(tables.workers.select()).all()
    return sorted((row.run_id, row.worker) for row in found)


def test_a_newer_job_retires_the_rows_of_the_older(desk: Desk) -> None:
    """Eight ranks, then a job of two: six rows go as soon as the newer job is written."""
    run, roster = desk.create(), Roster()
    hear(desk, roster, run, beat(*range(8), job="eight"), ago=20)
    write(desk, roster)
    hear(desk, roster, run, beat(0, 1, job="two", session="b"))
    assert [each.worker for each in crowd(desk, run, roster).listed] == ["0", "1"]
    write(desk, roster)
    assert desk.read(_rows) == [(run, "0"), (run, "1")]


def test_a_run_has_no_more_rows_than_the_limit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: the rows that were heard longest ago make room, whoever wrote them."""
    monkeypatch.setattr(stored, "MAX_WORKERS", 3)
    run, one, two = desk.create(), Roster(), Roster()
    for name, ago in (("old", 90), ("older", 100), ("new", 1)):
        one.hear(run, beat(name), presence.now() - ago)
    write(desk, one)
    two.hear(run, beat("newer", "newest"), presence.now())
    write(desk, two)
    assert [name for _, name in desk.read(_rows)] == ["new", "newer", "newest"]


def test_all_runs_have_no_more_rows_than_the_limit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: who makes runs without end fills no table: a tenth is forgotten, the oldest."""
    monkeypatch.setattr(stored, "MAX_ALL_WORKERS", 20)
    roster = Roster()
    for number in range(7):
        run = desk.create(name=f"run-{number}")
        roster.hear(run, beat(*range(3)), presence.now() - 100 + number)
    write(desk, roster)
    assert len(desk.read(_rows)) == 18


def test_a_left_generation_is_known_by_where_it_was_left(desk: Desk) -> None:
    """After a rewind to 4, workers of generation 1 at 10 have reached 4 of the present one."""
    run, roster = desk.create(), Roster()
    desk.settle(run, 0, 16)
    hear(desk, roster, run, beat("0"))
    desk.write(rewind.rewind, run, rewind.RewindRequest(4, note=Note("ann")))
    hear(desk, roster, run, beat("1", generation=2, step=12))
    found = crowd(desk, run, roster)
    assert found.front.reached == 4
    assert (found.summary([])["behind"], found.first, found.last) == (1, 12, 12)


def test_a_fork_has_workers_of_its_own(desk: Desk) -> None:
    """Those of a run are not those of its forks, though all ranks are named alike."""
    run, roster = desk.create(), Roster()
    desk.settle(run, 0, 16)
    hear(desk, roster, run, beat("0", "1"))
    made = desk.write(fork.fork, {"name": "f", "from": {"run": "gpt", "step": 8}}, Note("ann"))
    hear(desk, roster, made["id"], beat("0", step=9))
    write(desk, roster)
    assert [each.step for each in crowd(desk, "f").workers] == [9]
    assert len(crowd(desk, run).workers) == 2


def test_pages_go_by_rank(desk: Desk) -> None:
    """Eleven ranks in pages of four, each once, and of one state alone if asked."""
    run, roster = desk.create(), Roster()
    hear(desk, roster, run, beat(*range(10)))
    hear(desk, roster, run, beat("n1:7", state="ended"))
    names, after = [], ""
    for _ in range(3):
        found = desk.read(workers.listed, run, Wanted(None, after, 4), roster)
        names += [each["worker"] for each in found.items]
        after = found.following or ""
        assert found.summary["alive"] == 10
    assert names == [*map(str, range(10)), "n1:7"]
    assert not after
    ended = desk.read(workers.listed, run, Wanted("ended", "", 4), roster)
    assert [each["worker"] for each in ended.items] == ["n1:7"]


def test_who_is_wrong_is_counted_alike_in_both_ways(desk: Desk) -> None:
    """The list of runs counts in SQL what the crowd counts: alive, silent and wrong."""
    run, roster = desk.create(), Roster()
    hear(desk, roster, run, beat("0", "1", "2"))
    hear(desk, roster, run, beat("3", "4"), ago=60)
    hear(desk, roster, run, beat("5", state="ended"), ago=60)
    write(desk, roster)
    desk.write(_differ, run, [("1", 1), ("3", 1), ("4", 2), ("9", 1)])
    (item,) = desk.read(workers.runs, WantedRuns())[0]
    assert item["workers"] == {"alive": 3, "silent": 2, "wrong": 2}
    assert crowd(desk, run).counts == item["workers"]
    desk.write(_long_ago, run)
    (item,) = desk.read(workers.runs, WantedRuns())[0]
    assert item["workers"]["wrong"] == crowd(desk, run).counts["wrong"] == 0


def _differ(records: Records, run: str, places: list[tuple[str, int]]) -> None:
    at = clock.text(clock.read(records.connection))
    rows = [
        {
            "run_id": run,
            "number": number,
            "worker": worker,
            "generation": generation,
            "parameter": "lr",
            "step": 5,
            "expected_bits": 0,
            "found_bits": 1,
            "dtype": "f64",
            "at": at,
            "told_at": at,
        }
        for number, (worker, generation) in enumerate(places, 1)
    ]
    records.connection.execute(insert(tables.mismatches), rows)


def _long_ago(records: Records, run: str) -> None:
    at = clock.text(clock.read(records.connection) - 3600)
    records.connection.execute(update(tables.mismatches).values(told_at=at))


def test_stuck_runs_are_found(desk: Desk) -> None:
    """Those that had workers of which none is alive, and are neither over nor at their total."""
    roster = Roster()
    ids = {name: desk.create(name=name) for name in ("never", "silent", "ended", "live", "waits")}
    ids |= {name: desk.create(name=name, total=10) for name in ("done", "short")}
    ids |= {name: desk.create(name=name) for name in ("finished", "stopped", "will-stop")}
    for name in ("silent", "finished", "stopped", "will-stop", "short"):
        hear(desk, roster, ids[name], beat("0", "1", step=9), ago=60)
    hear(desk, roster, ids["ended"], beat("0", state="ended"))
    hear(desk, roster, ids["live"], beat("0"), ago=60)
    hear(desk, roster, ids["live"], beat("1"))
    hear(desk, roster, ids["waits"], beat("1", state="waiting"))
    hear(desk, roster, ids["done"], beat("0", state="ended"))
    write(desk, roster)
    desk.write(close.finish, "finished", None, Note("ann"))
    desk.write(stop.stop, "stopped", stop.StopRequest(note=Note("ann")))
    desk.write(stop.stop, "will-stop", stop.StopRequest(effective=50, note=Note("ann")))
    items, after = desk.read(workers.runs, WantedRuns(states=frozenset({"stuck"})))
    assert [each["name"] for each in items] == ["ended", "short", "silent", "will-stop"]
    assert after is None
    items, after = desk.read(workers.runs, WantedRuns(states=frozenset({"stuck"}), limit=1))
    assert ([each["name"] for each in items], after is None) == (["ended"], False)


def test_no_value_needs_what_workers_say(desk: Desk) -> None:
    """P1: a run is joined, read, changed, by a controller too, halted and rewound without that."""
    run = desk.create()
    desk.arm("plateau", kind="plateau", metric="loss", patience=1, factor=0.5)
    desk.write(_drop)
    desk.join()
    desk.settle(run, 0, 8)
    assert desk.revise({"lr": {"edit": "scale", "factor": 0.5}})["effective"] == 8
    desk.write(advance.advance, "gpt", advance.AdvanceRequest(16))
    desk.write(signal.signal, "gpt", signal.SignalRequest("checkpoint"))
    desk.write(stop.stop, "gpt", stop.StopRequest(40))
    answer = desk.report(run, (2, 2.0), (4, 3.0), (6, 3.0))
    assert [each["decision"] for each in answer["decisions"]] == ["change"]
    assert desk.settle(run, 8, 2)[0] == [46, 45.5]
    desk.write(rewind.rewind, "gpt", rewind.RewindRequest(4))
    assert desk.settle(run, 0, 8, generation=2)[0] == [100 - step for step in range(8)]


def _drop(records: Records) -> None:
    for table in (tables.workers, tables.mismatches, tables.checkpoints):
        table.drop(records.connection)
