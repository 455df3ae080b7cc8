"""Presence in one process: how often beats are to come, what is remembered, and what is not."""

from __future__ import annotations

import asyncio
import random
from typing import Any, cast

import pytest

from rheostat.errors import Unavailable
from rheostat.limits import LEAST_AGAIN, MAX_WORKERS
from rheostat.server.http.presence import write_all
from rheostat.server.runs import presence
from rheostat.server.runs.beats import Beat, Said
from rheostat.server.runs.crowd import Crowd, Worker
from rheostat.server.runs.presence import MOST, Roster
from rheostat.server.store import Store


class _Middle(random.Random):
    """Picks the middle, so that a pace can be computed by hand."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time of this process's presence, to be set."""
    at = [1_000.0]
    monkeypatch.setattr(presence, "now", lambda: at[0])
    return at


def beat(*names: object, session: str = "a", generation: int = 1, **fields: Any) -> Beat:
    """Return a beat of some workers, the first of which sends it."""
    said = (Said(str(name), session, 10, **fields) for name in names)
    return Beat(generation, tuple(said))


@pytest.mark.parametrize(("senders", "again"), [(1, 5), (250, 5), (500, 10), (10_000, 200)])
def test_beats_are_paced(clock: list[float], senders: int, again: float) -> None:
    """50 beats a second come at most: 10,000 senders say something in 200 s each, few in 5 s."""
    roster = Roster(_Middle())
    told = [roster.hear("run", beat(n), clock[0]) for n in range(senders)]
    assert told[-1] == again
    assert roster.again() == again


def test_a_leader_is_one_sender(clock: list[float]) -> None:
    """10,000 ranks on 1,250 nodes, whose leaders speak for 8 each, are told to wait 25 s."""
    roster = Roster(_Middle())
    for first in range(0, 10_000, 8):
        again = roster.hear("run", beat(*range(first, first + 8)), clock[0])
    assert again == 25
    assert len(roster.of("run")) == 10_000


def test_the_pace_is_spread(clock: list[float]) -> None:
    """What is told varies by a fifth to both sides, so that those who began together part."""
    roster = Roster(random.Random(1))
    told = [roster.hear("run", beat(n), clock[0]) for n in range(200)]
    assert 0.8 * LEAST_AGAIN <= min(told) < 0.85 * LEAST_AGAIN
    assert 1.15 * LEAST_AGAIN < max(told) <= 1.2 * LEAST_AGAIN


def test_who_joins_is_expected(clock: list[float]) -> None:
    """Ten thousand that join at once are told to begin within 200 s, and are not counted twice."""
    roster = Roster(_Middle())
    joined = [roster.expect() for _ in range(10_000)]
    assert (joined[0], joined[-1]) == (5, 200)
    for number in range(10_000):
        roster.hear("run", beat(number), clock[0])
    assert roster.again() == 200
    joined = [roster.expect() for _ in range(500)]
    clock[0] += 3 * 210 + 1  # whoever is silent and whoever never came count no more
    roster.look_round()
    assert roster.again() == 5


def test_who_ends_sends_no_more(clock: list[float]) -> None:
    """A worker that has ended, or is silent, is no sender from the next look on."""
    roster = Roster(_Middle())
    for number in range(500):
        roster.hear("run", beat(number), clock[0])
    assert roster.again() == 10
    for number in range(200):
        roster.hear("run", beat(number, state="ended"), clock[0])
    assert roster.look_round() == {"training": 300, "waiting": 0, "silent": 0, "ended": 200}
    assert roster.again() == 6
    clock[0] += 31
    assert roster.look_round()["silent"] == 300
    assert roster.again() == 5


def test_an_end_of_before_ends_nobody(clock: list[float]) -> None:
    """Who goes on after a session is not ended with it; the first word of one may be its last."""
    roster = Roster(_Middle())
    roster.hear("run", beat("0", session="a", job="j"), clock[0])
    roster.hear("run", beat("0", session="b", job="j"), clock[0])
    roster.hear("run", beat("0", session="a", job="j", state="ended"), clock[0])
    assert [(each.session, each.state) for each in roster.of("run")] == [("b", "training")]

    roster.hear("run", beat("0", session="c", job="k", state="ended"), clock[0])
    assert [(each.session, each.state) for each in roster.of("run")] == [("c", "ended")]

    roster.hear("run", beat("0", session="d"), clock[0])
    clock[0] += 16
    roster.hear("run", beat("0", session="e", state="ended"), clock[0])
    assert [(each.session, each.state) for each in roster.of("run")] == [("e", "ended")]


def test_a_run_has_no_more_workers_than_the_limit(clock: list[float]) -> None:
    """P10: names without end fill nothing: those that were heard longest ago are forgotten."""
    roster = Roster()
    for number in range(0, MAX_WORKERS + 128, 64):
        roster.hear("run", beat(*range(number, number + 64)), clock[0])
    assert len(roster.of("run")) == MAX_WORKERS
    assert not roster.known("run", ["0"])
    assert roster.known("run", [str(MAX_WORKERS)])


def test_one_run_takes_no_room_from_others(clock: list[float]) -> None:
    """P13: what runs with many workers bring is taken from their own, and a small one stays."""
    roster = Roster()
    roster.hear("small", beat("0"), clock[0])
    for run in ("one", "two", "three"):
        for number in range(0, MAX_WORKERS, 64):
            roster.hear(run, beat(*range(number, number + 64)), clock[0])
    assert len(roster.of("small")) == 1
    assert sum(len(roster.of(run)) for run in ("small", "one", "two", "three")) == MOST


def test_runs_without_end_fill_nothing(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: of too many runs the one that was heard longest ago is forgotten."""
    monkeypatch.setattr(presence, "MOST_RUNS", 3)
    roster = Roster()
    for run in ("a", "b", "c", "a", "d"):
        roster.hear(run, beat("0"), clock[0])
    assert [bool(roster.of(run)) for run in "abcd"] == [True, False, True, True]


def test_news_are_told_once_and_can_be_put_back(clock: list[float]) -> None:
    """What is to be written is told once, in parts; what could not be written comes again."""
    roster = Roster()
    roster.hear("run", beat(1, 2, 3), clock[0])
    first, second = roster.news(2), roster.news(2)
    assert [len(each.workers["run"]) for each in (first, second)] == [2, 1]
    assert first.growing == second.growing == {"run"}
    assert not roster.news(2).workers
    roster.put_back(first)
    roster.hear("run", beat(3), clock[0] + 1)
    again = roster.news(9)
    assert sorted(each.worker for each in again.workers["run"]) == ["1", "2", "3"]
    roster.hear("run", beat(3), clock[0] + 2)
    assert roster.news(9).growing == set()


class _Broken:
    """A database that nothing can be written to."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def write(self, *_: Any) -> None:
        raise self.error


@pytest.mark.parametrize("error", [Unavailable("it is away"), ValueError("a row that it refuses")])
def test_what_cannot_be_written_stays_news(clock: list[float], error: Exception) -> None:
    """Neither a database that is away nor a row that it refuses ends the writing down."""
    roster, store = Roster(), cast("Store", _Broken(error))
    roster.hear("run", beat(1), clock[0])
    for _ in range(2):
        asyncio.run(write_all(roster, store))
        assert len(roster.news(9).workers["run"]) == 1
        roster.hear("run", beat(1), clock[0])


def test_memory_ends(clock: list[float]) -> None:
    """Who is silent is remembered for ten minutes, and longer only if it was never written."""
    roster = Roster()
    roster.hear("written", beat(1), clock[0])
    roster.news(1)
    roster.hear("new", beat(1), clock[0])
    clock[0] += 3 * 6 + presence.SHOWN + 1
    roster.look_round()
    assert (len(roster.of("written")), len(roster.of("new"))) == (0, 1)


def test_what_others_wrote_is_learnt_once(clock: list[float]) -> None:
    """A session that another process heard first began when that one says; then beats are newer."""
    here, there = Roster(), Roster()
    there.hear("run", beat(1), clock[0])
    here.learn("run", there.of("run"), 500.0)  # the database's clock is ahead by that
    assert here.known("run", ["1"])["1"].since == clock[0] - 500
    here.hear("run", beat(1), clock[0] + 9)
    (known,) = here.of("run")
    assert (known.since, known.seen_at) == (clock[0] - 500, clock[0] + 9)
    assert not roster_is_new(here)


def roster_is_new(roster: Roster) -> bool:
    """Whether a roster has workers of whose sessions others know nothing."""
    return bool(roster.news(9).growing)


def test_presence_goes_on_without_a_database(clock: list[float]) -> None:
    """Of a beat that could not be held against anything, who was known before is there still."""
    roster = Roster()
    roster.hear("run", beat(1), clock[0])
    roster.go_on("run", beat(1, 2), clock[0] + 9)
    roster.go_on("run", beat(1, session="b"), clock[0] + 10)
    roster.go_on("run", beat(1, generation=2), clock[0] + 11)
    roster.go_on("other", beat(1), clock[0] + 12)
    (known,) = roster.of("run")
    assert known.seen_at == clock[0] + 9
    assert not roster.of("other")


def crowd(*names: int) -> Crowd:
    """Return a crowd of some workers."""
    return Crowd([Worker(str(n), "a", 1, 10, 5.0, 0.0, 0.0) for n in names], 0.0, 1)


def test_crowds_that_are_at_hand_have_a_bounded_number_of_workers(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: large crowds of many runs are not all kept, though few runs are large at a time."""
    monkeypatch.setattr(presence, "MOST", 100)
    roster = Roster()
    for number in range(9):
        roster.remember(f"run{number}", crowd(*range(40)))
    kept = [roster.recent(f"run{number}", within=1.0) for number in range(9)]
    assert [each is not None for each in kept] == [False] * 7 + [True] * 2
    roster.remember("huge", crowd(*range(500)))
    assert roster.recent("huge", within=1.0) is not None
    assert roster.recent("run8", within=1.0) is None


def test_one_puts_a_large_crowd_together_for_all(clock: list[float]) -> None:
    """P13: while the next one is being made the last one serves, for a bounded time."""
    roster = Roster()
    roster.remember("run", crowd(*range(10_000)))
    clock[0] += presence.FRESH + 1
    assert roster.recent("run") is None
    with roster.gathering("run"):
        assert roster.recent("run") is not None
        clock[0] += presence.LATE * presence.FRESH
        assert roster.recent("run") is None
    assert roster.recent("run") is None
