"""
Ten thousand workers on one server process.

    python benchmarks/fleet.py                                  100 runs of 100 ranks
    python benchmarks/fleet.py --runs 1 --ranks 1000 --nginx    one run, through deploy/
    python benchmarks/fleet.py --beats                          the same without beats, and with

The server is ``rheostat serve`` with one process and SQLite (``synchronous=FULL``). The workers are
one process beside it, on the same machine (`fleet_worker.py`): each has a connection of its own,
kept alive, joins the run itself, and decides what to ask for and when with the client's own code
(`rheostat.client.reading`). A worker trains at a steady pace, 10 steps a second, and its look-ahead
is 4 s; a look-up that asks for nothing is not made. The runs start one after the other over the
first half of the time. The ranks of a run join within the 5 s before its start, as processes do
that start up, and train together, at most 10 ms apart.

**Stall**: a read of a worker, after its first block, that waited longer than one step lasts.
**Differing**: answers that were not, byte for byte, what another rank of the run got (P1).

From three quarters of the time on the runs are changed, one after the other, with
``"effective": "next"``, and for every worker it is noted when it reads the first changed step,
which has to be the step that the answer to the change named. **Reach** is the time from sending the
change to that read.

With ``--beats`` the whole is done twice, with a server of its own each time: workers that say
nothing of themselves, and workers that say where they are as often as the service wants to hear it,
and prove by a digest what they applied to each 256 cells. A beat takes the worker's one connection,
so a read that is due meanwhile waits for its answer. **Doubted** are windows whose digest was not
the ledger's.

Memory and processor time are Linux's figures for a process: the growth of the server's resident set
from before the first worker to the end, and the time over the last quarter. Through nginx it also
says which part of the requests for blocks came through to the server, by its own ``/metrics``.
``late`` is the longest time by which the workers' own process was late for a read: what is
more than a few milliseconds says that it did not get a processor, and lengthens what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import statistics
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import uvloop
from fleet_nginx import nginx
from fleet_worker import Load, Run, Worker
from side_by_side import Process, service

PARAMETERS = {
    "lr": {"kind": "constant", "value": 1.0},
    "weight_decay": {"kind": "linear", "start": 0.1, "end": 0.0, "steps": 1_000_000},
}
HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}, "message": "all at once"}
SECONDS = "rheostat_http_request_duration_seconds"
VALUES = SECONDS + '_count{method="GET",route="/v1/runs/{run}/values",status="200"}'


@dataclass
class Outcome:
    """What was seen."""

    load: Load
    workers: list[Worker]
    changed: dict[Run, tuple[float, int]] = field(default_factory=dict)
    """For each run the time at which its change was sent, and the step that was answered."""
    memory: tuple[float, float] = (0.0, 0.0)
    pace: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Processor time of the server and of the workers, and answers, in a second at the end."""
    came_through: float = 0.0


async def simulate(load: Load, names: list[str], ranks: int, server: Process) -> Outcome:
    """Let all workers train for the load's time, and change every run at three quarters of it."""
    async with httpx.AsyncClient(base_url=load.url, timeout=60) as http:
        for name in names:
            answer = await http.post("/v1/runs", json={"name": name, "parameters": PARAMETERS})
            answer.raise_for_status()
        runs = [Run(load, name) for name in names]
        out = Outcome(load, [Worker(run, rank) for run in runs for rank in range(ranks)])
        memory, began = server.memory("VmRSS"), time.monotonic()
        load.until = began + load.seconds
        stagger = (load.seconds / 2 - load.joining) / len(runs)
        lives = [
            asyncio.create_task(worker.live(began + load.joining + number // ranks * stagger))
            for number, worker in enumerate(out.workers)
        ]
        await asyncio.sleep(load.seconds * 0.75)
        before = _spent(out, server)
        for run in runs:
            await _change(http, run, out)
        await asyncio.sleep(load.until - time.monotonic())
        seconds, *spent = (b - a for a, b in zip(before, _spent(out, server), strict=True))
        out.pace = spent[0] / seconds, spent[1] / seconds, spent[2] / seconds
        await asyncio.gather(*lives)
        out.memory = memory, server.memory("VmRSS")
    return out


def _spent(out: Outcome, server: Process) -> tuple[float, float, float, float]:
    answers = sum(len(worker.answers) for worker in out.workers)
    return time.monotonic(), server.cpu(), time.process_time(), answers


async def _change(http: httpx.AsyncClient, run: Run, out: Outcome) -> None:
    sent = time.monotonic()
    answer = await http.post(f"/v1/runs/{run.name}/revisions", json=HALVE)
    answer.raise_for_status()
    out.changed[run] = sent, answer.json()["effective"]


def handed_out(server: Process) -> float:
    """Return how many blocks the server has handed out."""
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(VALUES))


def rows(out: Outcome) -> list[tuple[str, str]]:
    """Return what was seen, and what it is."""
    load, workers = out.load, out.workers
    waits = [wait for worker in workers for wait in worker.waits]
    answers = [seconds for worker in workers for seconds in worker.answers]
    beats = [seconds for worker in workers for seconds in worker.beats]
    reached = [worker for worker in workers if worker.switched_at < float("inf")]
    reach = [worker.switched_at - out.changed[worker.run][0] for worker in reached]
    apart = sum(worker.switched != out.changed[worker.run][1] for worker in reached)
    differing = sum(run.differing for run in out.changed)
    stalls = sum(wait > load.step for wait in waits)
    thousands, (server, own, rate) = len(workers) / 1000, out.pace
    grown = out.memory[1] - out.memory[0]
    found = [
        ("stalls after the first block", f"{stalls} of {len(waits):,} reads of blocks"),
        ("longest wait", f"{max(waits, default=0) * 1e3:.0f} ms; late {load.late * 1e3:.0f} ms"),
        ("answers", f"{rate:,.0f}/s; {_spread(answers, 1e3)} ms"),
        ("failed requests, differing", f"{sum(w.failures for w in workers)}, {differing}"),
        ("change reached", f"{len(reach):,} of {len(workers):,} workers; {apart} elsewhere"),
        ("reach", f"{_spread(reach, 1)} s; look-ahead {load.lookahead:g} s"),
        ("server, per 1,000 workers", f"{server / thousands:.1%} of a processor"),
        ("", f"{grown / thousands:.1f} MiB, beside {out.memory[0]:.0f} MiB"),
        ("the workers' own process", f"{own:.0%} of a processor"),
        ("beats", f"{len(beats):,}; {_spread(beats, 1e3)} ms" if beats else "-"),
        ("beats doubted", str(sum(worker.doubted for worker in workers)) if beats else "-"),
    ]
    if out.came_through:
        found.append(("came through to the server", f"{out.came_through / len(answers):.1%}"))
    return found


def report(outcomes: list[Outcome]) -> None:
    """Print what was seen, that of several side by side."""
    columns = [rows(out) for out in outcomes]
    for line in zip(*columns, strict=True):
        print(f"{line[0][0]:30}{'  '.join(f'{said:54}' for _, said in line)}".rstrip())


def _spread(seconds: list[float], unit: float) -> str:
    if len(seconds) < 2:
        return "-"
    cuts = statistics.quantiles(seconds, n=100)
    named = {"p50": cuts[49], "p99": cuts[98], "longest": max(seconds)}
    return ", ".join(f"{name} {value * unit:.1f}" for name, value in named.items())


def main() -> None:
    """Simulate, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--ranks", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--nginx", action="store_true")
    parser.add_argument("--beats", action="store_true")
    asked = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gc.disable()  # a pause of the workers' own would be taken for the server's
    print(f"{asked.runs} × {asked.ranks} workers, load average {os.getloadavg()[0]:.1f}\n")
    if asked.beats:
        print(f"{'':30}{'without beats':54}  with beats")
    report([measured(asked, beats=beats) for beats in ([False, True] if asked.beats else [False])])
    print(f"\nload average {os.getloadavg()[0]:.1f}")


def measured(asked: argparse.Namespace, *, beats: bool) -> Outcome:
    """Return what was seen with a server of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        service(folder) as server,
        nginx(Path(folder), server.url) if asked.nginx else nullcontext(server.url) as url,
    ):
        names = [f"run-{number}" for number in range(asked.runs)]
        load = Load(url, asked.seconds, beats=beats)
        out: Outcome = uvloop.run(simulate(load, names, asked.ranks, server))
        out.came_through = handed_out(server) if asked.nginx else 0
        return out


if __name__ == "__main__":
    main()
