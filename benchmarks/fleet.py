"""
Ten thousand workers on one server process.

    python benchmarks/fleet.py                                  100 runs of 100 ranks
    python benchmarks/fleet.py --runs 1 --ranks 1000 --nginx    one run, through deploy/

The server is ``rheostat serve`` with one process and SQLite (``synchronous=FULL``). The workers are
one asyncio process beside it, on the same machine: each has a connection of its own, kept alive,
joins the run itself, and decides what to ask for and when with the client's own code
(`rheostat.client.reading`); only httpx is replaced by bare sockets, and a look-up that asks for
nothing is not made. A worker trains at a steady pace, 10 steps a second, and its look-ahead is 4 s.
The runs start one after the other over the first half of the time. The ranks of a run join within
the 5 s before its start, as processes do that start up, and train together, at most 10 ms apart.

**Stall**: a read of a worker, after its first block, that waited longer than one step lasts.

At three quarters of the time every run is changed, with ``"effective": "next"``, and for every
worker it is noted when it reads the first changed step, which has to be the step that the answer to
the change named. **Reach** is the time from sending the change to that read.

Memory and processor time of the server are Linux's figures for the process: the growth of its
resident set from before the first worker to the end, and the time over the last quarter. Through
nginx it also says which part of the requests for blocks came through to the server, by its own
``/metrics``. ``lag`` is the longest time by which the workers' own process was late for a step:
beyond the length of a step it says that the machine had no more processors, and that waits are too
long.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import uvloop
from fleet_server import Process, nginx, serve
from fleet_worker import Worker, Workload

PARAMETERS = {
    "lr": {"kind": "constant", "value": 1.0},
    "weight_decay": {"kind": "linear", "start": 0.1, "end": 0.0, "steps": 1_000_000},
}
HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}, "message": "all at once"}
VALUES = 'rheostat_request_seconds_count{method="GET",route="/v1/runs/{run}/values",status="200"}'


@dataclass
class Outcome:
    """What was seen."""

    workers: list[Worker]
    changed: dict[str, tuple[float, int]] = field(default_factory=dict)
    """For each run the time at which its change was sent, and the step that was answered."""
    memory: tuple[float, float] = (0.0, 0.0)
    processor: float = 0.0
    """Seconds of processor time in a second, at the end."""
    requests: float = 0.0
    """Requests in a second, at the end."""
    came_through: float = 0.0


async def simulate(load: Workload, url: str, server: Process) -> Outcome:
    """Let all workers train for the load's time, and change every run at three quarters of it."""
    loop = asyncio.get_running_loop()
    async with httpx.AsyncClient(base_url=load.url, timeout=60) as http:
        for run in load.runs:
            answer = await http.post("/v1/runs", json={"name": run, "parameters": PARAMETERS})
            answer.raise_for_status()
        before = server.memory()
        began = loop.time()
        load.until = began + load.seconds
        workers = [Worker(load, run) for run in load.runs for _ in range(load.ranks)]
        out = Outcome(workers)
        tasks = [
            asyncio.create_task(
                worker.live(began + load.joining + index // load.ranks * load.stagger)
            )
            for index, worker in enumerate(workers)
        ]
        await asyncio.sleep(load.seconds * 0.75)
        busy, asked, mark = server.seconds(), sum(w.requests for w in workers), loop.time()
        await asyncio.gather(*(change(http, run, out) for run in load.runs))
        await asyncio.gather(*tasks)
        elapsed = loop.time() - mark
        out.processor = (server.seconds() - busy) / elapsed
        out.requests = (sum(w.requests for w in workers) - asked) / elapsed
        out.memory = (before, server.memory())
        out.came_through = await counted(url)
    return out


async def change(http: httpx.AsyncClient, run: str, out: Outcome) -> None:
    """Change one run."""
    sent = asyncio.get_running_loop().time()
    answer = await http.post(f"/v1/runs/{run}/revisions", json=HALVE)
    answer.raise_for_status()
    out.changed[run] = sent, answer.json()["effective"]


async def counted(url: str) -> float:
    """Return how many blocks the server has handed out."""
    async with httpx.AsyncClient(base_url=url) as http:
        lines = (await http.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(VALUES))


def report(load: Workload, out: Outcome) -> None:
    """Print what was seen."""
    waits = [wait for worker in out.workers for wait in worker.waits]
    stalls = sum(wait > load.step for wait in waits)
    thousands = len(out.workers) / 1000
    reached = [w for w in out.workers if w.switched is not None]
    reach = [w.switched_at - out.changed[w.run][0] for w in reached]
    apart = sum(w.switched != out.changed[w.run][1] for w in reached)
    blocks = sum(worker.blocks for worker in out.workers)
    grown = out.memory[1] - out.memory[0]
    rows = [
        ("stalls after the first block", f"{stalls} of {blocks:,} blocks"),
        ("longest wait", f"{max(waits, default=0) * 1e3:.0f} ms; lag {load.lag * 1e3:.0f} ms"),
        ("failed requests", f"{sum(worker.failures for worker in out.workers)}"),
        ("requests", f"{out.requests:,.0f}/s"),
        ("change reached", f"{len(reach):,} of {len(out.workers):,} workers; {apart} elsewhere"),
        ("server, per 1,000 workers", f"{out.processor / thousands:.1%} of a processor"),
        ("", f"{grown / thousands:.1f} MiB, beside {out.memory[0]:.0f} MiB"),
    ]
    if len(reach) > 1:
        cuts = statistics.quantiles(reach, n=100)
        spread = f"p50 {cuts[49]:.1f} s, p99 {cuts[98]:.1f} s, all {max(reach):.1f} s"
        rows.insert(5, ("reach", f"{spread}; look-ahead {load.lookahead:g} s"))
    if load.proxied:
        rows.append(("came through to the server", f"{out.came_through / blocks:.1%} of blocks"))
    for name, said in rows:
        print(f"{name:30}{said}")


def main() -> None:
    """Simulate, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--ranks", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--nginx", action="store_true")
    asked = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder)) as (url, server),
        nginx(Path(folder), url) if asked.nginx else nullcontext(url) as front,
    ):
        names = [f"run-{number}" for number in range(asked.runs)]
        load = Workload(front, names, asked.ranks, asked.seconds, proxied=asked.nginx)
        print(f"{asked.runs} × {asked.ranks} workers, load average {os.getloadavg()[0]:.1f}\n")
        report(load, uvloop.run(simulate(load, url, server)))
        print(f"\nload average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
