"""The schedule of faults: who is hit when, and by what, all of it from the seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from tests.faults.crew import Stop
from tests.faults.fleet import Database, Victim

Count = Callable[[str], None]
Work = Callable[[Stop], None]


@dataclass(frozen=True, kw_only=True)
class Faults:
    """How many faults there are in all, and the mean seconds between two of one victim."""

    kills: int
    pauses: int
    long_pauses: int = 0
    """Pauses longer than any lock is waited for, and than an idle transaction is suffered."""
    crashes: int = 0
    gap: float
    crash_gap: float = 1.0


def upon(victim: Victim, number: int, of: int, faults: Faults, seed: str, count: Count) -> Work:
    """Return what hits one of ``of`` victims: its share of the faults, in an order of chance."""
    chance = Random(f"{seed}-victim-{number}")
    kinds = [*("kill",) * _share(faults.kills, number, of)]
    kinds += ["pause"] * _share(faults.pauses, number, of)
    kinds += ["long pause"] * _share(faults.long_pauses, number, of)
    chance.shuffle(kinds)

    def work(stop: Stop) -> None:
        for kind in _paced(kinds, faults.gap, chance, stop):
            if kind == "kill":
                victim.kill(chance)
            else:
                longest = (0.2, 3.0) if kind == "pause" else (6.0, 13.0)
                victim.pause(chance.uniform(*longest), chance)
            count(kind)

    return work


def upon_database(database: Database, faults: Faults, seed: str, count: Count) -> Work:
    """Return what crashes a database over and over."""
    chance = Random(f"{seed}-database")

    def work(stop: Stop) -> None:
        for kind in _paced(["crash"] * faults.crashes, faults.crash_gap, chance, stop):
            database.crash(chance)
            count(kind)

    return work


def _share(number: int, index: int, of: int) -> int:
    return number // of + (index < number % of)


def _paced(kinds: list[str], gap: float, chance: Random, stop: Stop) -> Iterator[str]:
    for kind in kinds:
        time.sleep(chance.uniform(0.0, 2 * gap))
        if stop():
            return
        yield kind
