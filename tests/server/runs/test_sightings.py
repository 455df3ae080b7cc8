"""Sightings: where workers were last seen to read, and when a change lands far from them."""

import pytest

from rheostat.server.runs import sightings
from rheostat.server.runs.lineage import GenerationKey, Sighting
from rheostat.server.runs.sightings import Sightings, fastest, warnings

NOW = 1_000_000.0
RUN = GenerationKey("run_a", 1)


class Clock:
    """A time that stands still."""

    def __init__(self) -> None:
        self.now = NOW

    def time(self) -> float:
        """Return it."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Put a clock in place of the computer's."""
    clock = Clock()
    monkeypatch.setattr(sightings, "time", clock)
    return clock


def seen(start: int, ago: float) -> Sighting:
    """Return a read of 64 steps, some seconds ago."""
    return Sighting(start, start + 64, NOW - ago)


@pytest.mark.parametrize(
    ("known", "start"),
    [
        ([], None),
        ([None, seen(64, 5), None], 64),
        ([seen(64, 5), seen(9000, 20), seen(128, 1)], 9000),
        ([seen(64, 5), seen(9000, 31)], 64),
        ([seen(64, 500), seen(9000, 600), None], 64),
    ],
    ids=["nobody", "one", "the furthest that reads", "one has left", "the last of all"],
)
def test_the_fastest_worker_is_the_furthest_that_reads(
    known: list[Sighting | None], start: int | None
) -> None:
    """P14: who has not read for half a minute has left; if all have, the last one counts."""
    found = fastest(known, NOW)
    assert (found and found.start) == start


@pytest.mark.parametrize(("step", "told"), [(0, 0), (1064, 0), (1128, 0), (1129, 1), (90_000, 1)])
def test_two_blocks_past_a_reader_is_far(step: int, told: int) -> None:
    """P14: a training in the block before has this one, so its changes land at its end."""
    found = warnings(step, seen(1000, 7.2), NOW)
    assert len(found) == told
    assert all(f"{step - 1000} past step 1000" in text and "7 s ago" in text for text in found)
    assert warnings(step, None, NOW) == []


def test_a_process_remembers_the_furthest_reads_of_late(clock: Clock) -> None:
    """P14: ranks lag behind each other; a loop that has read on is forgotten once it is gone."""
    kept = Sightings()
    assert kept.of(RUN) == ()
    for start in (64, 9000, 0, 128):
        kept.note(RUN, start, start + 64)
    assert {read.start for read in kept.of(RUN)} == {64, 9000}
    for start in (192, 256, 320):
        clock.now += sightings.PERIOD
        kept.note(RUN, start, start + 64)
    assert {read.start for read in kept.of(RUN)} == {256, 320}
    assert fastest(kept.of(RUN), clock.now) == Sighting(320, 384, clock.now)


def test_a_clock_that_is_set_back_does_not_freeze_it(clock: Clock) -> None:
    """Times are hints, and the next read begins anew."""
    kept = Sightings()
    kept.note(RUN, 9000, 9064)
    clock.now -= 86_400
    kept.note(RUN, 64, 128)
    assert kept.of(RUN)[0] == Sighting(64, 128, clock.now)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """P13: the runs that were seen first make room."""
    monkeypatch.setattr(sightings, "MOST", 3)
    kept = Sightings()
    for number in range(5):
        kept.note(GenerationKey("run_a", number), 0, 1)
    assert [bool(kept.of(GenerationKey("run_a", number))) for number in range(5)] == [False] * 2 + [
        True
    ] * 3
