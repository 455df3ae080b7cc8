"""The history of a run as the service tells it in the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tests.faults.caller import Caller
from tests.faults.observations import Values
from tests.faults.plan import EVERY, METRICS

Config = Mapping[str, Any]
Kept = Mapping[int, Mapping[str, float]]

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
    The generations by number, the revisions by rising number, the ledger, and what was heard.

    The ledger of a generation are the values of the steps that it owns, from its start up to its
    settled end; a step that was never handed out is NaN.
    """

    run: str
    parameters: tuple[str, ...]
    generations: Mapping[int, Generation]
    revisions: Sequence[Mapping[str, Any]]
    ledger: Mapping[int, Values]
    controllers: Mapping[str, Config] = field(default_factory=dict)
    reports: Mapping[tuple[int, str], Kept] = field(default_factory=dict)
    """What is kept of a metric, by the generation that owns it: values by step and source."""
    decisions: Sequence[Mapping[str, Any]] = ()
    proposals: Sequence[Mapping[str, Any]] = ()
    outcomes: Sequence[Mapping[str, Any]] = ()
    mismatches: Sequence[Mapping[str, Any]] = ()
    checkpoints: Sequence[Mapping[str, Any]] = ()

    def owner(self, number: int, step: int) -> int:
        """Return which generation a report at a step, sent in a generation, belongs to."""
        line = self.line(number)
        return next((each.number for each in line if each.start < step), line[-1].number)

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
    revisions = _items(caller, f"{path}/revisions")
    parameters = tuple(sorted(state["parameters"]))
    ledger = {
        number: _ledger(caller, path, generation, parameters)
        for number, generation in generations.items()
    }
    armed = caller.ask("GET", f"{path}/controllers").response.raise_for_status().json()["items"]
    controllers = {item["name"]: item["config"] for item in armed}
    return History(
        run,
        parameters,
        generations,
        revisions,
        ledger,
        controllers,
        _reports(caller, path, generations),
        [
            item
            for name in controllers
            for item in _items(caller, f"{path}/controllers/{name}/decisions")
        ],
        _items(caller, f"{path}/proposals"),
        [
            item
            for revision in revisions
            if "signal" in (revision["data"] or {})
            for item in _items(caller, f"{path}/revisions/{revision['revision']}/outcomes")
        ],
        _items(caller, f"{path}/mismatches"),
        _items(caller, f"{path}/checkpoints"),
    )


def _reports(
    caller: Caller, path: str, generations: Mapping[int, Generation]
) -> Mapping[tuple[int, str], Kept]:
    """Return what is kept of each metric, by the generation that owns it."""
    found: dict[tuple[int, str], dict[int, dict[str, float]]] = {}
    for metric in METRICS:
        for number, generation in generations.items():
            first = 0 if generation.parent is None else generation.start + 1
            if generation.settled_until // EVERY * EVERY < first:
                continue  # there is no step that anybody reports
            asked = {"metric": metric, "generation": number, "start": first, "points": 100_000}
            answer = caller.ask("GET", f"{path}/reports", params=asked).response
            if answer.status_code == 404:
                break
            told = answer.raise_for_status().json()
            kept: dict[int, dict[str, float]] = {}
            for step, value, source in zip(
                told["steps"], told["values"], told["sources"], strict=True
            ):
                kept.setdefault(step, {})[source] = float(value)
            found[number, metric] = kept
    return found


def _items(caller: Caller, path: str) -> list[Mapping[str, Any]]:
    """Return all that a list has."""
    pages = _pages(caller, path, {"limit": "1000"})
    return [item for page in pages for item in page["items"]]


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
