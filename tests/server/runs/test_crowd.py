"""The crowd: who is alive, wrong and behind, and when they come to a step, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from rheostat.server.runs.crowd import Crowd, Mistake, Worker, merged

NOW = 1_000.0
RANK = Worker("0", "a", generation=1, step=100, again=5, since=900, seen_at=NOW, pace=2.0)


def rank(name: int, **fields: Any) -> Worker:
    """Return one that trains."""
    return RANK._replace(worker=str(name), session=f"s{name}", **fields)


def crowd(*workers: Worker, now: float = NOW, generation: int = 1) -> Crowd:
    """Return those in a run that has the first generation alone, unless told otherwise."""
    return Crowd(workers, now, generation)


@pytest.mark.parametrize(
    ("ago", "state"), [(0, "training"), (15, "training"), (15.001, "silent"), (10_000, "silent")]
)
def test_who_misses_three_beats_is_silent(ago: float, state: str) -> None:
    """A worker that was told to wait 5 s is alive for 15 s after its last word, and then silent."""
    worker = rank(0, seen_at=NOW - ago)
    found = crowd(worker)
    assert found.state(worker) == state
    assert found.counts == {
        "alive": int(state != "silent"),
        "silent": int(state == "silent"),
        "wrong": 0,
    }


def test_who_has_ended_is_never_silent() -> None:
    """An orderly end is the last word: it is neither alive nor silent, however long ago."""
    worker = rank(0, state="ended", seen_at=NOW - 10_000)
    found = crowd(worker)
    assert found.state(worker) == "ended"
    assert found.summary([])["ended"] == 1
    assert found.counts == {"alive": 0, "silent": 0, "wrong": 0}


def test_first_last_and_median_pace_are_of_those_who_live() -> None:
    """Of 100, 130 and 90 the first is 130 and the last 90; the median of 2, 3 and 10 is 3."""
    found = crowd(
        rank(0, step=100, pace=3.0),
        rank(1, step=130, pace=10.0),
        rank(2, step=90, pace=2.0),
        rank(3, step=500, pace=99.0, seen_at=NOW - 60),
        rank(4, step=1, pace=0.1, state="ended"),
    )
    assert (found.first, found.last, found.pace) == (130, 90, 3.0)


def changes(*places: tuple[int | None, int]) -> list[tuple[int | None, int, str]]:
    """Return where changes take effect, as `Crowd.eta` takes it."""
    return [(*place, "change") for place in places]


def test_who_stands_at_a_pause_has_come_to_it() -> None:
    """Two of three stand at step 100; once all do it is told still, since it holds them."""
    two = crowd(rank(0, step=100), rank(1, step=100), rank(2, step=90))
    [eta] = two.summary([(7, 100, "pause")])["eta"]
    assert (eta["reached_by"], eta["workers"], eta["steps"]) == (2, 3, 10)

    [eta] = crowd(rank(0, step=100)).summary([(7, 100, "pause")])["eta"]
    assert (eta["reached_by"], eta["workers"], eta["steps"]) == (1, 1, 0)


def test_eta_counts_from_the_slowest_at_the_median_pace() -> None:
    """From 90 to 390 there are 300 steps, 100 s at 3 a second; 130 and 100 are past step 99."""
    found = crowd(rank(0, step=100, pace=3.0), rank(1, step=130), rank(2, step=90, pace=4.0))
    keys = ("revision", "effective", "steps", "seconds", "reached_by")
    told = found.eta(changes((7, 390), (None, 99), (3, 100), (2, 10)))
    assert [tuple(each[key] for key in keys) for each in told] == [  # type: ignore[literal-required]
        (7, 390, 300, 100.0, 0),
        (None, 99, 9, 3.0, 2),
        (3, 100, 10, 10 / 3, 1),
        (2, 10, 0, 0.0, 3),
    ]
    assert {each["workers"] for each in told} == {3}
    assert [each["revision"] for each in found.summary(changes((7, 390), (2, 10)))["eta"]] == [7]


@pytest.mark.parametrize("pace", [None, 0.0])
def test_without_a_pace_no_time_is_told(pace: float | None) -> None:
    """Where nobody says how fast it trains, or all stand still, seconds are null."""
    (eta,) = crowd(rank(0, step=5, pace=pace)).eta(changes((2, 8)))
    assert (eta["steps"], eta["seconds"]) == (3, None)


def test_nobody_arrives_where_nobody_trains() -> None:
    """A silent worker, one that has ended and one of a left generation come to nothing."""
    gone = rank(0, seen_at=0), rank(1, state="ended"), rank(2, generation=1)
    assert crowd(*gone, generation=2).eta(changes((2, 8))) == []


def test_behind_is_who_is_later_than_three_beats_explain() -> None:
    """At 2 steps a second and a beat in 5 s, 30 steps are explained, and 31 are not."""
    found = crowd(rank(0, step=131), rank(1, step=101), rank(2, step=100))
    assert [found.is_behind(each) for each in found.listed] == [False, False, True]
    assert found.summary([])["behind"] == 1


def test_behind_is_who_trains_in_a_left_generation() -> None:
    """After a rewind, those who have not heard of it are behind, wherever they are."""
    found = crowd(rank(0, generation=2), rank(1, generation=1), generation=2)
    assert [found.is_behind(each) for each in found.listed] == [False, True]


def test_a_left_generation_holds_the_front_back() -> None:
    """A live worker at 500 of a generation that was left at 60 has reached 60 of the present."""
    old, new = rank(0, generation=1, step=500, proven_until=400), rank(1, generation=2, step=90)
    new = new._replace(proven_until=80)
    front = Crowd([old, new], NOW, 2, {1: 60}).front
    assert (front.reached, front.proven) == (60, 60)
    front = Crowd([old._replace(seen_at=0), new], NOW, 2, {1: 60}).front
    assert (front.reached, front.proven) == (90, 80)


def test_who_has_ended_counts_in_the_front() -> None:
    """A rank that ended at 40 did not come further; one that fell silent counts no more."""
    ended, silent = rank(0, step=40, state="ended", seen_at=0), rank(1, step=10, seen_at=0)
    assert crowd(ended, silent, rank(2)).front.reached == 40


def test_without_the_living_the_newest_job_counts() -> None:
    """All are silent: the front is that of the job that began last."""
    old = rank(0, job="old", step=10, since=100, seen_at=500)
    new = rank(1, job="new", step=70, since=300, seen_at=600)
    assert crowd(old, new).front.reached == 70


def test_nothing_is_proven_before_all_have_listed_something() -> None:
    """The least of what is proven, and null as long as one has listed nothing."""
    assert crowd(rank(0, proven_until=64), rank(1)).summary([])["proven_until"] is None
    proven = crowd(rank(0, proven_until=64), rank(1, proven_until=32))
    assert proven.summary([])["proven_until"] == 32


def test_a_mistake_makes_wrong_and_caps_what_is_proven() -> None:
    """The first mistake of its session and generation counts, and nothing above is proven."""
    worker = rank(0, proven_until=90)
    mistakes = [
        Mistake("0", 1, 70, NOW),
        Mistake("0", 1, 50, NOW),
        Mistake("0", 1, 10, 100.0),  # before its session began
        Mistake("0", 2, 5, NOW),  # in another generation
        Mistake("9", 1, 5, NOW),  # of nobody who is known
    ]
    found = Crowd([worker, rank(1, proven_until=90)], NOW, 1, {}, mistakes)
    assert found.counts == {"alive": 2, "silent": 0, "wrong": 1}
    assert found.state(worker) == "wrong"
    assert found.proven_until(worker) == 50
    assert found.summary([])["proven_until"] == 50


def test_a_new_session_is_not_wrong_for_what_the_old_one_did() -> None:
    """A mistake of an hour before its session began is none of its own."""
    worker = rank(0, since=NOW)
    assert Crowd([worker], NOW, 1, {}, [Mistake("0", 1, 50, NOW - 3600)]).counts["wrong"] == 0


def test_a_newer_job_retires_the_older() -> None:
    """Ranks 4 to 7 of a job of eight are gone as soon as a job of four has begun."""
    old = [rank(n, job="eight", since=100, seen_at=NOW - 2) for n in range(8)]
    new = [rank(n, job="four", since=NOW - 1) for n in range(4)]
    assert [each.worker for each in crowd(*old[4:], *new).listed] == ["0", "1", "2", "3"]


def test_a_job_that_goes_on_is_not_retired() -> None:
    """One that still speaks after the newer one began is there, and so is who is of no job."""
    old = rank(0, job="old", since=100, seen_at=NOW)
    new, alone = rank(1, job="new", since=NOW - 50), rank(2, seen_at=0)
    assert len(crowd(old, new, alone).workers) == 3


def test_ranks_stand_by_their_number() -> None:
    """2 comes before 10, and both before names."""
    names = ["n1:77", "10", "2", "a"]
    found = crowd(*(RANK._replace(worker=name) for name in names))
    assert [each.worker for each in found.listed] == ["2", "10", "a", "n1:77"]


def test_the_newer_word_counts() -> None:
    """Of two processes that heard a worker the newer counts, and the earlier beginning."""
    before = RANK._replace(since=800, seen_at=900, step=50, proven_until=40)
    after = RANK._replace(since=850, seen_at=950, step=60, proven_until=None)
    expected = after._replace(since=800, proven_until=40)
    assert merged(before, after) == merged(after, before) == expected


def test_a_new_session_or_generation_begins_with_nothing_proven() -> None:
    """What an earlier session proved is not the later one's, nor that of an earlier generation."""
    before = RANK._replace(seen_at=900, since=800, proven_until=40)
    restarted = RANK._replace(session="b", seen_at=950, since=950)
    assert merged(before, restarted) == restarted
    rewound = RANK._replace(generation=2, seen_at=950, since=900)
    assert merged(before, rewound) == rewound._replace(since=800)
