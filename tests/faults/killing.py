"""Kills between a report and its answer: each report is written once, and decided on once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
from tests.conftest import RunningServer
from tests.faults import rules
from tests.faults.fleet import postgresql
from tests.faults.mortal import PLACE, PLACES

PROGRAM = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.faults.mortal import live
{{plant}}
live()
"""
PATIENCE = 60.0
"""Seconds in which a process that died has a successor."""
LONGEST = 20_000
"""Microseconds after which a process is killed anywhere at the latest."""

BODY: dict[str, Any] = {
    "name": "gpt",
    "parameters": {"lr": 0.5, "momentum": 0.5},
    "controllers": {
        "timed": {
            "kind": "plateau",
            "metric": "loss",
            "patience": 1,
            "factor": 0.5,
            "eps": 0,
            "effective": {"after": 8},
        },
        "swift": {
            "kind": "plateau",
            "metric": "loss",
            "patience": 0,
            "factor": 0.5,
            "eps": 0,
            "parameters": ["momentum"],
        },
        "doubtful": {
            "kind": "rule",
            "metric": "loss",
            "when": {"op": "<", "value": 4},
            "once": False,
            "changes": {"lr": {"edit": "scale", "factor": 2.0}},
            "action": "propose",
        },
    },
}


@dataclass
class Killed:
    """What was done to a service, and what it broke."""

    places: Counter[str] = field(default_factory=Counter)
    decisions: int = 0
    violations: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """How many processes were killed."""
        return self.places.total()


@contextmanager
def mortal_server(folder: Path, database: str, plant: str = "") -> Iterator[RunningServer]:
    """Start a server whose processes die at a word; ``plant`` is what is wrong with its program."""
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, object] = {"database": database, "log_level": "error"}
    server = RunningServer(folder, settings, PROGRAM.format(plant=plant))
    try:
        yield server
    finally:
        server.close()


@contextmanager
def mortal_on_sqlite(folder: Path, plant: str = "") -> Iterator[RunningServer]:
    """Start one on SQLite."""
    with mortal_server(folder, f"sqlite:///{folder / 'rheostat.db'}", plant) as server:
        yield server


@contextmanager
def mortal_on_postgresql(folder: Path) -> Iterator[RunningServer]:
    """Start one on a PostgreSQL of its own."""
    with postgresql(1) as (_, urls), mortal_server(folder, urls[0]) as server:
        yield server


def kill_between(
    server: RunningServer, kills: int, seed: int, tell: Callable[[str], None] = lambda _: None
) -> Killed:
    """Report step after step, the service killed at each, and judge what became of it."""
    found = Killed()
    with server.client() as client:
        caller = _Caller(client, Random(seed), found)
        run = caller.ask("POST", "/v1/runs", json=BODY)["id"]
        values: dict[int, float] = {}
        answers: list[Mapping[str, Any]] = []
        step = 0
        while found.kills < kills:
            query = {"generation": 1, "start": step, "count": 1}
            caller.ask("GET", f"/v1/runs/{run}/values", params=query)
            step += 1
            tell(f"{found.kills:,} kills between a report and its answer")
            values[step] = caller.chance.randint(1, 16) / 2
            answers += caller.report(f"/v1/runs/{run}/reports", step, values[step])
        _judge(caller, run, values, answers, found)
    return found


class _Caller:
    """Asks a service that dies."""

    def __init__(self, client: httpx.Client, chance: Random, found: Killed) -> None:
        self._client, self.chance, self._found = client, chance, found

    def ask(self, method: str, path: str, **parts: Any) -> Any:
        """Repeat a request until a process that lives has answered it."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return self._client.request(method, path, **parts).raise_for_status().json()
            except httpx.TransportError:
                if time.monotonic() > until:
                    raise

    def report(self, path: str, step: int, value: float) -> list[Mapping[str, Any]]:
        """Report, have the service die of it, report again; return the decisions of all answers."""
        body = {"generation": 1, "reports": [{"step": step, "metrics": {"loss": value}}]}
        place = self.chance.choice(PLACES)
        word = f"{place} {self.chance.randint(0, LONGEST)}" if place == "anywhere" else place
        try:
            self._client.post(path, json=body, headers={PLACE.decode(): word})
        except httpx.TransportError:
            self._found.places[place] += 1
        else:
            self._found.violations.append(f"step {step}: nobody died where {word!r} was said")
        told = [self.ask("POST", path, json=body)]
        due = {"asked": 1, "undone": 1, "unanswered": 0}.get(place)
        if due is not None and told[0]["kept"] != due:
            kept = told[0]["kept"]
            self._found.violations.append(f"step {step}: {kept} kept after a death {place}")
        if self.chance.random() < 0.2:
            told.append(self.ask("POST", path, json=body))
        return [decision for answer in told for decision in answer["decisions"]]


def _judge(
    caller: _Caller,
    run: str,
    values: Mapping[int, float],
    answers: list[Mapping[str, Any]],
    found: Killed,
) -> None:
    """Say what is not as it should be, of reports, decisions, revisions and proposals."""
    wrong = found.violations
    query = {"metric": "loss", "points": 100_000}
    kept = caller.ask("GET", f"/v1/runs/{run}/reports", params=query)
    if dict(zip(kept["steps"], kept["values"], strict=True)) != values:
        wrong.append("the reports are not those that were sent")
    if len(kept["steps"]) != len(values):
        wrong.append(f"{len(values)} reports were sent, and {len(kept['steps'])} are kept")
    decided: dict[tuple[str, int], Mapping[str, Any]] = {}
    for name in BODY["controllers"]:
        items = list(_pages(caller, f"/v1/runs/{run}/controllers/{name}/decisions"))
        config = caller.ask("GET", f"/v1/runs/{run}/controllers/{name}")["config"]
        steps = [item["step"] for item in items]
        if steps != _due(config, values):
            wrong.append(f"{name} decided at {steps}, and not at {_due(config, values)}")
        decided |= {(name, item["step"]): item for item in items}
    found.decisions = len(decided)
    for answer in answers:
        if decided.get((answer["controller"], answer["step"])) != answer:
            wrong.append(f"{answer} was answered, and is not what is kept")
    _judge_made(caller, run, decided, wrong)


def _judge_made(
    caller: _Caller, run: str, decided: Mapping[Any, Mapping[str, Any]], wrong: list[str]
) -> None:
    """Say which decision has made nothing, and what was made of none, or of one twice."""
    made = Counter(
        (item["cause"]["controller"], item["cause"]["step"], item["revision"], None)
        for item in _pages(caller, f"/v1/runs/{run}/revisions")
        if item["cause"]
    )
    made += Counter(
        (item["cause"]["controller"], item["cause"]["step"], None, item["proposal"])
        for item in _pages(caller, f"/v1/runs/{run}/proposals")
    )
    due = Counter((*key, item["revision"], item["proposal"]) for key, item in decided.items())
    wrong += [f"{each} was decided, and not made" for each in due - made]
    wrong += [f"{each} was made, and not decided" for each in made - due]


def _due(config: rules.Config, values: Mapping[int, float]) -> list[int]:
    """Return the steps at which a controller decides."""
    state, found = rules.FRESH, []
    for step in sorted(values):
        state, fires = rules.step(config, state, values[step])
        found += [step] if fires else []
    return found


def _pages(caller: _Caller, path: str) -> Iterator[Mapping[str, Any]]:
    cursor: dict[str, Any] = {}
    while True:
        page = caller.ask("GET", path, params={"limit": 1000, **cursor})
        yield from page["items"]
        if page["next"] is None:
            return
        cursor = {"cursor": page["next"]}
