"""
What limits a fleet of 10,000, 100,000 and a million workers: a simulation by discrete events.

    python benchmarks/simulate.py --fleet --runs 100 --ranks 100 --seconds 120    as fleet.py
    python benchmarks/scale.py                                    the tables of docs/scale.md

What asks, when, and for what is the client's own code: each rank has a `Reading`, with a clock that
is simulated, and what the ranks of a host have in common is decided by `node_files.will_do` and
`node.PATIENCE`. What answers is modelled: queues in which one request is served after the other
(processes, nginx), with times that were measured on real ones (`Costs`, by `simulate_costs.py`).

A rank of a run that trains with others takes ten steps a second, at most 10 ms apart from them, and
one in a thousand of its blocks finds it 50 to 200 ms late. The answer to the first read of a block
waits for a commit, which all reads that have come meanwhile share. nginx passes one of equal
requests on, and has the others look again after 50 ms. From three quarters of the time on the runs
are changed, one after the other, and it is noted when each rank reads the first changed step.

**Stall**: a read, after the first block, that waited for longer than one step lasts. **Reach**: the
time from sending a change to that step.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import count
from typing import Protocol

from rheostat.client._sync.node import LONGEST, PATIENCE
from rheostat.client.blocks import Block, BlockRequest
from rheostat.client.joined import JoinedRun
from rheostat.client.node_files import will_do
from rheostat.client.reading import Reading

Then = Callable[[], None]


@dataclass(frozen=True)
class Costs:
    """Seconds that a request takes of what serves it, as `simulate_costs.py` measures them."""

    hit: float = 86e-6
    """A settled block, of a server process: the fast lane."""
    miss: float = 2.9e-3
    """The first read of a block, of a server process: the long way, and its share of the writer."""
    join: float = 3.6e-3
    """A join, of a server process."""
    write: float = 1.2e-3
    """A block that is settled, of the database: a part of ``miss``, which is SQLite's."""
    flush: float = 3.5e-3
    """A commit, of the disk: the median."""
    nginx: float = 69e-6
    """A request, of an nginx process: from its cache, or to pass it on."""
    worker: float = 70e-6
    """An answer, of the process in which `fleet.py` has all its workers; nothing elsewhere."""
    network: float = 200e-6
    """One way, between hosts: the median."""


@dataclass(frozen=True)
class Shape:
    """A fleet, and what stands between it and the database."""

    runs: int
    ranks: int
    seconds: float = 60.0
    lookahead: float = 2.0
    step: float = 0.1
    node: int = 1
    """Ranks of a host that read together."""
    nginx: int = 0
    """Processes of nginx before the servers; none: workers ask these."""
    racks: int = 0
    """Caches of one nginx process each before that, among which hosts are spread."""
    servers: int = 1
    """Server processes on one database."""
    shards: int = 1
    """Databases, each with its servers, among which runs are spread."""
    unit: int = 1
    """Ranks of a host that are simulated as one: all that read together, or that ask at once."""
    joining: float = 5.0
    """Seconds over which the ranks of a run join before it begins."""
    restart: bool = False
    """Whether all join at once, at step 100,000, with empty caches, and leave with a block."""
    told: bool = False
    """Whether the trainings say their pace."""
    steady: bool = False
    """Whether nobody joins, and the runs begin within one look-ahead."""
    measured: float = 0.0
    """Seconds at the end over which rates are taken; 0: the last quarter."""
    beside: bool = False
    """Whether all workers are one process on the server's machine, as with `fleet.py`."""
    late: float = 0.001


@dataclass
class Seen:
    """What happened, over the last quarter as far as it is a rate."""

    reads: int = 0
    stalls: int = 0
    answers: list[float] = field(default_factory=list)
    joins: list[float] = field(default_factory=list)
    reach: list[float] = field(default_factory=list)
    elsewhere: int = 0
    """Ranks that a change reached at another step than was answered."""


class Clock:
    """Simulated time, and what happens when."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Then]] = []
        self._order = count()

    def at(self, when: float, then: Then) -> None:
        """Have something happen at a time, or now if that is over."""
        heapq.heappush(self._due, (max(when, self.now), next(self._order), then))

    def after(self, seconds: float, then: Then) -> None:
        """Have something happen later."""
        heapq.heappush(self._due, (self.now + seconds, next(self._order), then))

    def run(self, until: float) -> None:
        """Go on to a time."""
        while self._due and self._due[0][0] <= until:
            self.now, _, then = heapq.heappop(self._due)
            then()


class Station:
    """Some equal processes, each of which serves one request after the other."""

    def __init__(self, clock: Clock, processes: int) -> None:
        self._clock = clock
        self._free = [0.0] * processes
        self.served = 0
        self.busy = 0.0

    def serve(self, seconds: float, then: Then, many: int = 1) -> None:
        """Have so many requests served by whichever process is free first, and then go on."""
        began, seconds = max(self._clock.now, self._free[0]), seconds * many
        heapq.heapreplace(self._free, began + seconds)
        self.served += many
        self.busy += seconds
        self._clock.at(began + seconds, then)


Key = tuple[int, BlockRequest]
"""A run, and its block."""


class Service:
    """Server processes on one database: settled blocks in memory, and commits in groups."""

    def __init__(self, clock: Clock, shape: Shape, costs: Costs) -> None:
        self._clock, self._costs = clock, costs
        self.station = Station(clock, shape.servers)
        self.joins = Station(clock, shape.servers)
        """What joins wait for: reads have a queue of their own, of which one turn in two is."""
        self.settled: set[Key] = set()
        self._waiting: dict[Key, list[tuple[int, Then]]] = {}
        self._group: list[Key] = []
        self._commits = False
        self.ends: dict[int, int] = {}
        """Where each run is settled until."""

    def read(self, key: Key, then: Then, many: int = 1) -> None:
        """Answer so many reads of a block, which settle it if they are the first."""
        costs = self._costs
        if key in self.settled:
            self.station.serve(costs.hit, then, many)
        elif key in self._waiting:
            self._waiting[key].append((many, then))
        else:
            self._waiting[key] = [(many, then)]
            self.station.serve(costs.miss - costs.hit - costs.write, partial(self._write, key), 1)

    def join(self, _run: int, then: Then, many: int = 1) -> None:
        """Answer so many joins."""
        self.joins.serve(self._costs.join, then, many)

    def _write(self, key: Key) -> None:
        self._group.append(key)
        if not self._commits:
            self._commit()

    def _commit(self) -> None:
        group, self._group, self._commits = self._group, [], True
        for run, request in group:
            self.ends[run] = max(self.ends.get(run, 0), request.stop)
        seconds = spread(self._costs.flush) + len(group) * self._costs.write
        self._clock.after(seconds, partial(self._committed, group))

    def _committed(self, group: list[Key]) -> None:
        self._commits = False
        for key in group:
            self.settled.add(key)
            for many, then in self._waiting.pop(key):
                self.station.serve(self._costs.hit, then, many)
        if self._group:
            self._commit()


class Shards:
    """Services among which runs are spread."""

    def __init__(self, services: list[Service]) -> None:
        self.services = services

    def of(self, run: int) -> Service:
        """Return the one that has a run."""
        return self.services[run % len(self.services)]

    def read(self, key: Key, then: Then, many: int = 1) -> None:
        """Answer so many reads of a block."""
        self.of(key[0]).read(key, then, many)

    def join(self, run: int, then: Then, many: int = 1) -> None:
        """Answer so many joins."""
        self.of(run).join(run, then, many)


class Cache:
    """nginx: what it has it answers; of equal requests it passes one on, the others look again."""

    LOOKS_AGAIN = 0.05

    def __init__(self, clock: Clock, processes: int, above: Tier, costs: Costs) -> None:
        self._clock, self._above, self._costs = clock, above, costs
        self.station = Station(clock, processes)
        self._has: set[Key] = set()
        self._asked: set[Key] = set()

    def read(self, key: Key, then: Then, many: int = 1, *, again: bool = False) -> None:
        """Answer so many reads of a block."""
        cost = self._costs.nginx
        if key in self._has:
            self.station.serve(cost, then, many)
        elif key in self._asked and not again:
            self._clock.after(self.LOOKS_AGAIN, partial(self.read, key, then, many, again=True))
        else:
            passed = many if key in self._asked else 1
            self._asked.add(key)

            def got() -> None:
                self._has.add(key)
                then()

            self.station.serve(cost, lambda: self._above.read(key, got, passed), many)

    def join(self, run: int, then: Then, many: int = 1) -> None:
        """Pass so many joins on."""
        self.station.serve(self._costs.nginx, lambda: self._above.join(run, then, many), many)


class Tier(Protocol):
    """What is asked."""

    def read(self, key: Key, then: Then, many: int = 1) -> None:
        """Answer so many reads of a block."""

    def join(self, run: int, then: Then, many: int = 1) -> None:
        """Answer so many joins."""


def spread(median: float, sigma: float = 0.5) -> float:
    """Return a time that is rarely much longer than its median: log-normal."""
    return median * random.lognormvariate(0.0, sigma)


class Host:
    """Ranks of one run on a host that read together: its blocks, and who asks."""

    __slots__ = ("asks", "blocks", "since")

    def __init__(self) -> None:
        self.blocks: list[BlockRequest] = []
        self.asks = False
        self.since = 0.0

    def find(self, asked: BlockRequest, cell: int) -> BlockRequest | None:
        """Return a block that will do in place of one that would be asked for."""
        fit = [block for block in self.blocks if will_do(block, asked, cell)]
        return max(fit, key=lambda block: block.stop, default=None)

    def keep(self, block: BlockRequest) -> None:
        """Keep a block that came, and the few before it."""
        self.blocks = [*self.blocks[-3:], block]


class Run:
    """A run: what its ranks have in common."""

    def __init__(self, fleet: Fleet, number: int) -> None:
        self.fleet = fleet
        self.number = number
        self.changed: tuple[float, int] | None = None
        """When it was changed, and the effective step."""
        settled = 100_000 if fleet.shape.restart else 0
        self.joined = JoinedRun(
            id=f"run-{number}",
            name=f"run-{number}",
            axis="step",
            resolution=1,
            generation=1,
            revision=1,
            settled_until=settled,
            parameters=("lr",),
            max_block=4096,
            max_jump=4096,
            total=None,
            end=None,
            event=0,
            incarnation="a",
        )
        self._blocks: dict[BlockRequest, Block] = {}

    def block(self, request: BlockRequest) -> Block:
        """Return a block without values, one for all ranks."""
        if request not in self._blocks:
            if len(self._blocks) > 16:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[request] = Block(request, {}, 1)
        return self._blocks[request]


class Rank:
    """A worker: it trains, and reads when a look-up needs a block that is not there."""

    __slots__ = ("asks", "began", "cell", "due", "first", "host", "reading", "run", "waits", "way")

    def __init__(self, run: Run, host: Host, way: Tier) -> None:
        self.run, self.host, self.way = run, host, way
        self.asks = self.waits = False

    def join(self, begins: float) -> None:
        """Join, and train from a time on."""
        fleet, sent = self.run.fleet, self.run.fleet.clock.now

        def joined() -> None:
            fleet.seen.joins.append(fleet.clock.now - sent)
            self.begin(begins)

        fleet.over_there(
            lambda then: self.way.join(self.run.number, then, fleet.shape.unit), joined
        )

    def begin(self, when: float) -> None:
        """Train from a time on, as one who has joined."""
        clock, shape = self.run.fleet.clock, self.run.fleet.shape
        pace = 1 / shape.step if shape.told else None
        self.reading = Reading(
            self.run.joined,
            lookahead=shape.lookahead,
            pace=pace,
            clock=self.run.fleet.time,
        )
        self.cell = self.first = self.run.joined.settled_until
        self.due = max(when, clock.now)
        clock.at(self.due, self.read)

    def read(self) -> None:
        """Read a cell, as soon as it is there."""
        self.began = self.run.fleet.clock.now
        self._go_on()

    def _go_on(self) -> None:
        self.waits = not self.reading.holds(self.cell)
        if not self.waits:
            self._train()
        elif not self.asks:
            self._fetch(self.cell)

    def _train(self) -> None:
        """Train on what is there, up to the next read that is not a mere look-up."""
        fleet, cell = self.run.fleet, self.cell
        step, now = fleet.shape.step, fleet.clock.now
        if fleet.shape.restart:
            return
        if cell != self.first:
            fleet.seen.reads += 1
            fleet.seen.stalls += now - self.began > step
        block = self.reading.enter(cell)
        ahead = self.reading.due(cell)
        if ahead is not None and not self.asks:
            self._fetch(ahead)
        self.cell = block.middle if cell < block.middle else block.stop
        self.due = max(self.due, now - step / 2)  # a read that waited delays those after it
        if self.run.changed is not None:
            sent, effective = self.run.changed
            if cell <= effective < self.cell:
                fleet.seen.reach.append(self.due + (effective - cell) * step - sent)
        self.due += (self.cell - cell) * step
        late = random.uniform(0.05, 0.2) if random.random() < fleet.shape.late else 0.0
        fleet.clock.at(self.due + late, self.read)

    def _fetch(self, cell: int) -> None:
        """Get a block: from the host's, when another rank has asked, or from the service."""
        self.asks = True
        asked = self.reading.request(cell)
        fleet, host = self.run.fleet, self.host
        if fleet.shape.node > 1 and fleet.shape.unit == 1:
            found = host.find(asked, cell)
            if found is not None:
                self._arrive(found, found)
                return
            if host.asks and fleet.clock.now - host.since < PATIENCE:
                again = random.uniform(0, LONGEST)
                fleet.clock.after(again, lambda: self._fetch(cell))
                return
            host.asks, host.since = True, fleet.clock.now
        sent, key = fleet.clock.now, (self.run.number, asked)

        def came() -> None:
            fleet.seen.answers.append(fleet.clock.now - sent)
            host.asks = False
            host.keep(asked)
            self._arrive(asked, asked)

        fleet.over_there(lambda then: self.way.read(key, then, fleet.many), came)

    def _arrive(self, asked: BlockRequest, block: BlockRequest) -> None:
        self.asks = False
        self.reading.arrived(asked, self.run.block(block))
        if self.waits:
            self._go_on()


class Fleet:
    """All of it."""

    def __init__(self, shape: Shape, costs: Costs) -> None:
        self.shape, self.costs = shape, costs
        self.clock, self.seen = Clock(), Seen()
        self.many = shape.unit if shape.node == 1 else shape.unit // shape.node or 1
        """Requests that one simulated rank stands for."""
        self.shards = Shards([Service(self.clock, shape, costs) for _ in range(shape.shards)])
        self.workers = Station(self.clock, 1)
        self.edge = Cache(self.clock, shape.nginx, self.shards, costs) if shape.nginx else None
        top: Tier = self.edge or self.shards
        self.racks = [Cache(self.clock, 1, top, costs) for _ in range(shape.racks)]
        self.runs = [Run(self, number) for number in range(shape.runs)]
        hosts = count()
        for run in self.runs:
            for first in range(0, shape.ranks, max(shape.node, shape.unit)):
                host, number = Host(), next(hosts)
                way = self.racks[number % len(self.racks)] if self.racks else top
                for _ in range(min(shape.node, shape.ranks - first) if shape.unit == 1 else 1):
                    self._begin(Rank(run, host, way))

    def _begin(self, rank: Rank) -> None:
        shape = self.shape
        apart = random.uniform(0, 0.01)
        if shape.steady:
            rank.begin(rank.run.number * shape.lookahead / shape.runs + apart)
            return
        if shape.restart:
            joins, begins = random.uniform(0, shape.joining), shape.joining + apart
        else:
            stagger = (shape.seconds / 2 - shape.joining) / shape.runs
            begins = shape.joining + rank.run.number * stagger + apart
            joins = begins - apart - random.uniform(0, shape.joining)
        self.clock.at(joins, lambda: rank.join(begins))

    def time(self) -> float:
        """Return the simulated time."""
        return self.clock.now

    def over_there(self, ask: Callable[[Then], None], then: Then) -> None:
        """Ask over the network, and go on when the answer has come, and been worked on."""
        clock, costs = self.clock, self.costs
        if self.shape.beside:
            ask(lambda: self.workers.serve(costs.worker, then))
        else:
            clock.after(
                spread(costs.network), lambda: ask(lambda: clock.after(spread(costs.network), then))
            )

    def live(self) -> dict[str, float]:
        """Let it go on to its end; return each tier's requests a second, and how busy it was."""
        shape, stations = self.shape, self.stations()
        quarter = shape.seconds - shape.measured if shape.measured else shape.seconds * 0.75
        self.clock.run(quarter)
        before = {name: (station.served, station.busy) for name, station in stations.items()}
        for number, run in enumerate(self.runs):
            self.clock.at(quarter + number * 0.5 / shape.runs, partial(self._change, run))
        self.clock.run(shape.seconds)
        rates = {}
        for name, station in stations.items():
            served, busy = before[name]
            seconds = shape.seconds - quarter
            rates[name] = (station.served - served) / seconds
            rates[f"{name} busy"] = (station.busy - busy) / seconds
        return rates

    def stations(self) -> dict[str, Station]:
        """Return the tiers: of many racks or shards, the first."""
        first = self.shards.services[0]
        found = {"server": first.station, "joins": first.joins}
        if self.edge is not None:
            found["nginx"] = self.edge.station
        if self.racks:
            found["rack"] = self.racks[0].station
        return found

    def _change(self, run: Run) -> None:
        ends = self.shards.of(run.number).ends
        effective = ends.get(run.number, run.joined.settled_until)
        run.changed = self.clock.now, effective


def percentile(times: list[float], hundredths: int) -> float:
    """Return what so many hundredths of the times are not longer than; 0 if there are none."""
    if len(times) < 2:
        return 0.0
    return statistics.quantiles(times, n=100)[hundredths - 1]


def simulated(shape: Shape, costs: Costs | None = None) -> tuple[Fleet, dict[str, float]]:
    """Return a fleet that has lived, and its rates; the same each time."""
    random.seed(16)
    fleet = Fleet(shape, costs or Costs())
    return fleet, fleet.live()


def main() -> None:
    """Simulate one shape, and print what was seen."""
    parser = argparse.ArgumentParser()
    for each in fields(Shape):
        name, default = f"--{each.name}", None if each.name in ("runs", "ranks") else each.default
        if isinstance(default, bool):
            parser.add_argument(name, action="store_true")
        else:
            kind = int if each.type == "int" else float
            parser.add_argument(name, type=kind, default=default, required=default is None)
    for each in fields(Costs):
        parser.add_argument(f"--cost-{each.name}", type=float, default=each.default)
    parser.add_argument("--fleet", action="store_true", help="as fleet.py: its look-ahead of 4 s")
    asked = vars(parser.parse_args())
    like = asked.pop("fleet")
    costs = Costs(**{each.name: asked.pop(f"cost_{each.name}") for each in fields(Costs)})
    shape = Shape(**asked)
    if like:
        shape = replace(shape, lookahead=4.0, beside=True, late=0.0)
    gc.disable()
    fleet, rates = simulated(shape, costs)
    seen = fleet.seen
    print(shape, file=sys.stderr)
    print(f"stalls    {seen.stalls} of {seen.reads:,} reads of blocks")
    for name, times in {"answers": seen.answers, "joins": seen.joins, "reach": seen.reach}.items():
        spreads = ", ".join(f"p{p} {percentile(times, p) * 1e3:,.1f}" for p in (50, 99))
        print(f"{name:10}{len(times):,}; {spreads}, longest {max(times, default=0) * 1e3:,.1f} ms")
    for name, rate in rates.items():
        print(f"{name:14}{rate:,.2f}{'' if name.endswith('busy') else '/s'}")


if __name__ == "__main__":
    main()
