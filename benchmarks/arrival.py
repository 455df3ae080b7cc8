"""
How well the service tells when a change arrives.

    python benchmarks/arrival.py docs/arrival.svg [--changes 500] [--runs 25] [--ranks 8]

Runs train at uneven paces on simulated workers, which send their beats when the service asks for
them, as real ones do. Changes are made to them at random moments, each to take effect some 5 to 90
seconds ahead. Of each it is noted

``told``   in how many seconds the last worker comes to it, by the `eta` of its answer
``came``   after how many seconds the last worker really was past it, by the simulation
``seen``   after how many seconds the service said so: `reached`, in the run's list of revisions

A pace is even by itself within 2 % from second to second, drifts by up to 15 % within a minute or
two, and falls to half for good at a random moment in every fifth run; about once a minute all ranks
of a run stand still for one to eight seconds, as for an evaluation. Ranks are up to a tenth of a
second apart. All of it is by a seed.

The picture shows what was told beside what came, and how far apart both are. It takes as long as
the changes of one run: seven minutes with the defaults, of which the service computes little.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from matplotlib.figure import Figure
from side_by_side import service

APART = 10.0
"""Seconds between two changes of a run, in the mean."""
AHEAD = (5.0, 90.0)
"""Seconds ahead at which a change takes effect, at the pace of that moment."""
WARM = 15.0
"""Seconds of training before the first change: each worker has told its pace by then."""
TICK = 0.1
"""Seconds of the simulation."""
LOOK = 1.0
"""Seconds between two looks at the states of revisions."""
LOOKAHEAD = 2.0
"""Seconds for which workers read ahead."""
TOLD = ((0, 15), (15, 30), (30, 60), (60, math.inf))
"""Rows of the table: seconds that were told."""

ATTEMPTS = 5
"""Times that a request is sent whose connection breaks."""

now = time.monotonic


@dataclass
class Change:
    """A change, with the moments at which things happened to it."""

    number: int
    effective: int
    made: float
    told: float | None
    came: float | None = None
    seen: float | None = None


class Pace:
    """How fast a run trains, from second to second."""

    def __init__(self, pick: random.Random) -> None:
        self._pick = pick
        self._base = math.exp(pick.uniform(math.log(2), math.log(200)))
        self._swing, self._period = pick.uniform(0, 0.15), pick.uniform(60, 150)
        self._halves_at = pick.uniform(40, 200) if pick.random() < 0.2 else math.inf
        self._stands_until = 0.0

    def at(self, seconds: float) -> float:
        """Return the steps in a second at a time since the start."""
        if seconds < self._stands_until:
            return 0.0
        if self._pick.random() < TICK / 60:
            self._stands_until = seconds + self._pick.uniform(1, 8)
        drift = 1 + self._swing * math.sin(2 * math.pi * seconds / self._period)
        half = 0.5 if seconds > self._halves_at else 1.0
        return self._base * half * drift * self._pick.gauss(1, 0.02)


class Rank:
    """A worker: where it is, and what it says of itself."""

    def __init__(self, name: str, late: float) -> None:
        self.name = name
        self.late = late
        """Seconds that it is behind the first rank."""
        self._since = now()
        self._from = 0

    def beat(self, step: int) -> dict[str, Any]:
        """Return what it says, with its pace since it last did."""
        at = now()
        told = {"worker": self.name, "session": "s", "job": "j", "step": step}
        if step > self._from:
            told["pace"] = (step - self._from) / (at - self._since)
        self._since, self._from = at, step
        return told


@dataclass
class Training:
    """A run that trains."""

    http: httpx.AsyncClient
    name: str
    pick: random.Random
    ranks: Sequence[Rank]
    planned: int
    """How many changes are made to it."""
    id: str = ""
    changes: list[Change] = field(default_factory=list)
    done: bool = False

    def __post_init__(self) -> None:
        self.pace = Pace(self.pick)
        self._began = now()
        self._position = 0.0
        self._rate = 0.0
        self._settled = 0

    def step_of(self, rank: Rank) -> int:
        """Return the updates that a rank has done."""
        return max(int(self._position - rank.late * self._rate), 0)

    @property
    def last(self) -> int:
        """The updates that the last rank has done."""
        return min(map(self.step_of, self.ranks))

    async def ask(self, method: str, what: str, **more: Any) -> httpx.Response:
        """Send a request about the run, again if its connection breaks."""
        key = {"Idempotency-Key": f"{self.id} {now()}"}
        for attempt in range(ATTEMPTS):
            try:
                path = f"/v1/runs/{self.id}/{what}"
                return await self.http.request(method, path, headers=key, **more)
            except httpx.TransportError:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError

    async def train(self) -> None:
        """Go on, and note when the last rank is past a change."""
        before = now()
        while not self.done:
            await asyncio.sleep(TICK)
            at = now()
            rate = self.pace.at(at - self._began)
            self._position += rate * (at - before)
            self._rate = rate or self._rate
            before = at
            for change in self.changes:
                if change.came is None and self.last > change.effective:
                    change.came = at

    async def read(self) -> None:
        """Settle a little ahead of the ranks, a block at a time."""
        while not self.done:
            ahead = self._position + LOOKAHEAD * self._rate
            count = min(int(ahead) + 1 - self._settled, 1024)
            if count > 0:
                params = {"generation": 1, "start": self._settled, "count": count}
                (await self.ask("GET", "values", params=params)).raise_for_status()
                self._settled += count
            await asyncio.sleep(LOOKAHEAD / 2)

    async def beat(self, rank: Rank) -> None:
        """Say where a rank is, whenever the service wants to know."""
        await asyncio.sleep(self.pick.uniform(0, 5))
        while not self.done:
            body = {"generation": 1, "workers": [rank.beat(self.step_of(rank))]}
            answer = await self.ask("POST", "beats", json=body)
            await asyncio.sleep(answer.raise_for_status().json()["again"])

    async def look(self) -> None:
        """Note when the service says that a revision is reached; it is over with the last one."""
        while not self.done:
            await asyncio.sleep(LOOK)
            if not self.changes:
                continue
            params: dict[str, str | int] = {"kind": "change", "limit": 1000}
            answer = await self.ask("GET", "revisions", params=params)
            at = now()
            reached = {
                item["revision"]
                for item in answer.raise_for_status().json()["items"]
                if item["state"] in {"reached", "proven"}
            }
            for change in self.changes:
                if change.seen is None and change.number in reached:
                    change.seen = at
            arrived = sum(each.seen is not None and each.came is not None for each in self.changes)
            self.done = arrived == self.planned

    async def change(self) -> None:
        """Make a change that takes effect some seconds ahead, and note what is told."""
        ahead = self.pick.uniform(*AHEAD) * self._rate
        effective = max(int(self._position + ahead), self._settled + 64)
        body = {
            "changes": {"lr": {"kind": "constant", "value": self.pick.uniform(0.1, 1)}},
            "effective": effective,
        }
        made = now()
        answer = await self.ask("POST", "revisions", json=body)
        if answer.status_code == httpx.codes.CONFLICT:  # it took so long that the step was read
            return
        answer.raise_for_status()
        found = answer.json()
        told = found["eta"][0]["seconds"] if found.get("eta") else None
        self.changes.append(Change(found["revision"], effective, made, told))

    async def live(self) -> None:
        """Train until every change has arrived, and the service has seen it."""
        body = {"parameters": {"lr": {"kind": "constant", "value": 0.5}}}
        made = await self.http.put(f"/v1/runs/{self.name}", json=body)
        self.id = made.raise_for_status().json()["id"]
        async with asyncio.TaskGroup() as group:
            for each in (self.train(), self.read(), self.look(), *map(self.beat, self.ranks)):
                group.create_task(each)
            await asyncio.sleep(WARM)
            while len(self.changes) < self.planned:
                await asyncio.sleep(self.pick.uniform(0, 2 * APART))
                await self.change()


async def measure(url: str, runs: int, ranks: int, changes: int, seed: int) -> list[Change]:
    """Make changes to runs that train at the same time, and return what became of them."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=url, timeout=30, limits=limits) as http:
        trainings = []
        for number in range(min(runs, changes)):
            pick = random.Random(seed * 1000 + number)
            workers = [Rank(str(rank), pick.uniform(0, 0.1)) for rank in range(ranks)]
            share = changes // runs + (number < changes % runs)
            trainings.append(Training(http, f"run-{number}", pick, workers, share))
        async with asyncio.TaskGroup() as group:
            for each in trainings:
                group.create_task(each.live())
    return [change for each in trainings for change in each.changes]


def parts(found: Sequence[Change], most: float, least: float) -> list[Change]:
    """Return the changes of which so many seconds were told."""
    return [each for each in found if each.told is not None and least <= each.told < most]


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the median, and what nine of ten do not exceed."""
    ordered = sorted(values)
    return statistics.median(ordered), ordered[min(int(0.9 * len(ordered)), len(ordered) - 1)]


def came(change: Change) -> float:
    """Return after how many seconds the last worker was past a change."""
    assert change.came is not None
    return change.came - change.made


def seen(change: Change) -> float:
    """Return by how many seconds later the service said so."""
    assert change.seen is not None
    assert change.came is not None
    return change.seen - change.came


def show(found: Sequence[Change]) -> None:
    """Print how far apart they are."""
    print("apart: told and came; of it: as a part of what came; each the median, and nine of ten")
    print(f"{'told':>10}{'changes':>9}{'apart, s':>18}{'of it, %':>18}{'seen later, s':>18}")
    for least, most in TOLD:
        some = parts(found, most, least)
        if not some:
            continue
        apart = [abs(each.told - came(each)) for each in some]  # type: ignore[operator]
        share = [100 * gap / came(each) for gap, each in zip(apart, some, strict=True)]
        cells = (quantiles(apart), quantiles(share), quantiles([seen(each) for each in some]))
        name = f"{least} to {most} s" if most < math.inf else f"over {least} s"
        row = "".join(f"{one:>9.1f}{nine:>9.1f}" for one, nine in cells)
        print(f"{name:>10}{len(some):>9}{row}", flush=True)
    silent = sum(each.told is None for each in found)
    if silent:
        print(f"{silent} answers told no time")


def draw(found: Sequence[Change], path: str) -> None:
    """Draw what was told beside what came, and how far apart they are."""
    pairs = [(each.told, came(each)) for each in found if each.told is not None]
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    both, apart = figure.subplots(1, 2)
    end = max(max(pair) for pair in pairs)
    both.plot([0, end], [0, end], color="grey", linewidth=1)
    both.plot(*zip(*pairs, strict=True), marker=".", linestyle="", alpha=0.5)
    both.set(xlabel="told: the last worker is there in s", ylabel="came: it was there after s")
    apart.hist([gone - told for told, gone in pairs], bins=40)
    apart.set(xlabel="came later than told, s", ylabel="changes")
    for axis in (both, apart):
        axis.grid(visible=True, alpha=0.3)
    figure.savefig(path)


def main() -> None:
    """Measure, print the table, and draw the picture."""
    parser = argparse.ArgumentParser()
    parser.add_argument("picture")
    add: Callable[..., Any] = parser.add_argument
    add("--changes", type=int, default=500, help="of all runs together")
    add("--runs", type=int, default=25)
    add("--ranks", type=int, default=8, help="of each run")
    add("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, service(folder) as process:
        measured = measure(process.url, asked.runs, asked.ranks, asked.changes, asked.seed)
        began, found = now(), asyncio.run(measured)
        used = process.cpu() / (now() - began)
    load = os.getloadavg()[0]
    print(f"{len(found)} changes of {asked.runs} runs of {asked.ranks} ranks in", end=" ")
    print(
        f"{now() - began:.0f} s; the service computed {used:.0%} of that; load average {load:.1f}"
    )
    show(found)
    draw(found, asked.picture)


if __name__ == "__main__":
    main()
