"""The schedule of faults: who is hit when, and by what, all of it from the seed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

from tests.faults.fleet import Victim
from tests.faults.threads import Stop

Work = Callable[[Stop], None]


class Watched(Protocol):
    """Where faults are counted, and what is done is known."""

    def count(self, fault: str) -> None:
        """Count a fault."""

    def done(self) -> int:
        """Return how many changes, cancellations and rewinds were answered."""


class Reached(Protocol):
    """A database; each method ends when all is well again."""

    def crash(self, chance: Random) -> None:
        """Crash it, and start it again."""

    def black_hole(self, chance: Random) -> None:
        """Let nothing arrive at it for a while."""


class Filled(Protocol):
    """The file system of a database; the method ends when all is well again."""

    def fill(self, chance: Random) -> None:
        """Leave no byte for a while."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """
    How many faults there are in all, and how much is done between two of one victim.

    Faults are paced by what is done, and not by the clock, so that a machine of any speed sees
    them in the middle of the same work. ``gap`` is the mean number of changes, cancellations and
    rewinds that are answered between two faults of one victim, ``crash_gap`` of the database or of
    its disk.
    """

    kills: int
    pauses: int
    long_pauses: int = 0
    """Pauses longer than any lock is waited for, and than an idle transaction is suffered."""
    crashes: int = 0
    black_holes: int = 0
    """Times in which the database is there, and nothing that is sent to it arrives."""
    fills: int = 0
    """Times in which the file system of the database has no byte left."""
    gap: int
    crash_gap: int = 0

    def shared(self, share: float) -> Faults:
        """Return a share of them, as far apart."""
        kinds = ("kills", "pauses", "long_pauses", "crashes", "black_holes", "fills")
        return replace(self, **{kind: math.ceil(getattr(self, kind) * share) for kind in kinds})


def upon(victim: Victim, number: int, of: int, faults: Faults, seed: str, watched: Watched) -> Work:
    """Return what hits one of ``of`` victims: its share of the faults, in an order of chance."""
    chance = Random(f"{seed}-victim-{number}")
    kinds = [*("kill",) * _share(faults.kills, number, of)]
    kinds += ["pause"] * _share(faults.pauses, number, of)
    kinds += ["long pause"] * _share(faults.long_pauses, number, of)
    chance.shuffle(kinds)

    def work(stop: Stop) -> None:
        for kind in _paced(kinds, faults.gap, chance, stop, watched):
            if kind == "kill":
                victim.kill(chance)
            else:
                longest = (0.2, 3.0) if kind == "pause" else (6.0, 13.0)
                victim.pause(chance.uniform(*longest), chance)
            watched.count(kind)

    return work


def upon_database(database: Reached, faults: Faults, seed: str, watched: Watched) -> Work:
    """Return what crashes a database over and over, and cuts it off without a word."""
    chance = Random(f"{seed}-database")
    kinds = ["crash"] * faults.crashes + ["black hole"] * faults.black_holes
    chance.shuffle(kinds)

    def work(stop: Stop) -> None:
        for kind in _paced(kinds, faults.crash_gap, chance, stop, watched):
            if kind == "crash":
                database.crash(chance)
            else:
                database.black_hole(chance)
            watched.count(kind)

    return work


def upon_disk(disk: Filled, faults: Faults, seed: str, watched: Watched) -> Work:
    """Return what fills the file system of a database over and over."""
    chance, kinds = Random(f"{seed}-disk"), ["full disk"] * faults.fills

    def work(stop: Stop) -> None:
        for kind in _paced(kinds, faults.crash_gap, chance, stop, watched):
            disk.fill(chance)
            watched.count(kind)

    return work


def _share(number: int, index: int, of: int) -> int:
    return number // of + (index < number % of)


def _paced(
    kinds: list[str], gap: int, chance: Random, stop: Stop, watched: Watched
) -> Iterator[str]:
    for kind in kinds:
        until = watched.done() + chance.randint(0, 2 * gap)
        while watched.done() < until and not stop():
            time.sleep(0.02)
        if stop():
            return
        yield kind
