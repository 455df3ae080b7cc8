"""What is done to a service comes from the seed alone."""

from __future__ import annotations

from collections import Counter
from random import Random

from tests.faults import plan
from tests.faults.faults import Faults, upon, upon_database, upon_disk


class Diary:
    """A victim that writes down what befalls it."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def kill(self, chance: Random) -> None:
        """Write down a kill."""
        self.entries.append(f"kill {chance.random()}")

    def pause(self, seconds: float, chance: Random) -> None:
        """Write down a pause."""
        self.entries.append(f"pause {seconds} {chance.random()}")


class Busy:
    """A service on which something is done whenever one looks."""

    def __init__(self) -> None:
        self.counts = Counter[str]()
        self._done = 0

    def count(self, fault: str) -> None:
        """Count a fault."""
        self.counts[fault] += 1

    def done(self) -> int:
        """Return how often one has looked."""
        self._done += 1
        return self._done


def diaries(seed: str) -> tuple[list[list[str]], Counter[str]]:
    """Return what befalls three victims, and what was counted of it."""
    faults, busy = Faults(kills=7, pauses=5, long_pauses=2, gap=1), Busy()
    victims = [Diary() for _ in range(3)]
    for number, victim in enumerate(victims):
        upon(victim, number, 3, faults, seed, busy)(lambda: False)
    return [victim.entries for victim in victims], busy.counts


def test_a_seed_gives_one_schedule_of_faults() -> None:
    """The same seed hits the same victims in the same order for as long; another one does not."""
    assert diaries("1") == diaries("1")
    assert diaries("1")[0] != diaries("2")[0]


def test_every_fault_befalls_somebody() -> None:
    """All faults that were asked for are shared among the victims."""
    assert diaries("1")[1] == {"kill": 7, "pause": 5, "long pause": 2}


class Place(Diary):
    """A database, or its disk, that writes down what befalls it."""

    def crash(self, chance: Random) -> None:
        """Write down a crash."""
        self.entries.append(f"crash {chance.random()}")

    def black_hole(self, chance: Random) -> None:
        """Write down a silence."""
        self.entries.append(f"black hole {chance.random()}")

    def fill(self, chance: Random) -> None:
        """Write down a full disk."""
        self.entries.append(f"full disk {chance.random()}")


def test_every_fault_befalls_the_database_and_its_disk() -> None:
    """All that was asked for happens, in an order that the seed decides."""
    faults = Faults(kills=0, pauses=0, crashes=3, black_holes=4, fills=5, gap=1, crash_gap=1)
    told: list[list[str]] = []
    for seed in ("1", "1", "2"):
        place, busy = Place(), Busy()
        upon_database(place, faults, seed, busy)(lambda: False)
        upon_disk(place, faults, seed, busy)(lambda: False)
        assert busy.counts == {"crash": 3, "black hole": 4, "full disk": 5}
        told.append(place.entries)
    assert told[0] == told[1] != told[2]


def test_a_seed_gives_one_plan() -> None:
    """The same seed asks for the same changes."""
    assert [plan.changes(Random(5), [1]) for _ in range(2)] == [plan.changes(Random(5), [1])] * 2
