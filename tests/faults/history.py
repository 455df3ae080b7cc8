"""The history of a run as the service tells it in the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tests.faults.caller import Caller
from tests.faults.observations import Values

PAGE_SECONDS = 300.0
"""Seconds that one page may take."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation: whence it branched and where, and the first step that it left open."""

    number: int
    parent: int | None
    start: int
    settled_until: int


@dataclass(frozen=True)
class History:
    """
    The generations by number, the revisions by rising number, and the ledger.

    The ledger of a generation are the values of the steps that it owns, from its start up to its
    settled end; a step that was never handed out is NaN.
    """

    run: str
    parameters: tuple[str, ...]
    generations: Mapping[int, Generation]
    revisions: Sequence[Mapping[str, Any]]
    ledger: Mapping[int, Values]

    def line(self, number: int) -> list[Generation]:
        """Return a generation, its parent, and so on to the root."""
        line = [self.generations[number]]
        while line[-1].parent is not None:
            line.append(self.generations[line[-1].parent])
        return line

    def owners(self, number: int, start: int, stop: int) -> list[tuple[int, int, int]]:
        """Return which generation owns the steps from where to where, by rising step."""
        found: list[tuple[int, int, int]] = []
        for generation in self.line(number):
            first = max(start, generation.start)
            if first < stop:
                found.append((generation.number, first, stop))
            stop = min(stop, generation.start)
        return found[::-1]

    def written(self, number: int, start: int, stop: int) -> Values:
        """Return what the ledger has of a stretch, NaN where it has nothing."""
        result = np.full((len(self.parameters), stop - start), np.nan)
        for owner, first, last in self.owners(number, start, stop):
            column, begin = self.ledger[owner], self.generations[owner].start
            there = column[:, first - begin : last - begin]
            result[:, first - start : first - start + there.shape[1]] = there
        return result


def read_history(caller: Caller, run: str) -> History:
    """Return the history of a run from the service."""
    path = f"/v1/runs/{run}"
    state = caller.state(run)
    generations = {
        item["generation"]: Generation(
            item["generation"], item["parent"], item["from"], item["settled_until"]
        )
        for item in state["generations"]
    }
    revisions = [
        item
        for page in _pages(caller, f"{path}/revisions", {"limit": "1000"})
        for item in page["items"]
    ]
    parameters = tuple(sorted(state["parameters"]))
    ledger = {
        number: _ledger(caller, path, generation, parameters)
        for number, generation in generations.items()
    }
    return History(run, parameters, generations, revisions, ledger)


def _ledger(caller: Caller, path: str, generation: Generation, names: tuple[str, ...]) -> Values:
    start, stop = generation.start, generation.settled_until
    found = np.full((len(names), stop - start), np.nan)
    if start == stop:
        return found
    asked = {"generation": str(generation.number), "start": str(start), "stop": str(stop)}
    for page in _pages(caller, f"{path}/ledger", asked):
        for segment in page["segments"]:
            first = segment["start"] - start
            columns = [segment["values"][name] for name in names]
            found[:, first : first + segment["count"]] = columns
    return found


def _pages(caller: Caller, path: str, params: dict[str, str]) -> Iterator[Any]:
    cursor: dict[str, str] = {}
    while True:
        asked = {"params": params | cursor, "timeout": PAGE_SECONDS}
        page = caller.ask("GET", path, **asked).response.raise_for_status().json()
        yield page
        if page["next"] is None:
            return
        cursor = {"cursor": page["next"]}
