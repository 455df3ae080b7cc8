"""
What people would use instead: a value that a thousand workers read, and that somebody changes.

    python benchmarks/peers.py

A thousand workers take ten steps a second, held together as by a gradient that all wait for: at
most 10 ms apart. Each peer is used as its manual shows it:

``Redis, polled``      ``GET`` by each worker before every tenth step
``Redis, pub/sub``     ``SUBSCRIBE``; what is published is taken at the worker's next step
``etcd, watched``      a watch by each worker, over etcd's HTTP gateway; likewise
``a JSON file``        ``stat`` before every tenth step, read if it is another; written by rename,
                       on a local disk: shared storage is slower, and may show an old one for long
``Rheostat``           the client's own decisions and requests (`fleet_worker.py`), at its defaults

PyTorch's own schedulers have no change but a restart; they are here for the cost of a value alone.

The value is changed again and again, at random moments. For each change it is noted at which step,
and when, each worker took it. **Steps**: at how many different steps they did, at most; where that
is more than one, ranks of one training had different values at a step; **changes** says how often.
**Requests** are those that came to the service in a second; **processor** is what it computed, of
one. **A value** is what a training's thread pays for it at a step, on the average: in ns, the best
of five, over the connection of one worker.
"""

from __future__ import annotations

import asyncio
import base64
import bisect
import gc
import importlib.util
import itertools
import json
import math
import os
import random
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvloop
from fleet_worker import Load, Run, Worker
from side_by_side import TICKS, service

from rheostat import Client

WORKERS = 1000
STEP = 0.1
APART = 0.01
EVERY = 10
"""Steps between two polls."""
ZERO = {"kind": "constant", "value": 0.0}


@dataclass
class Took:
    """Who took which change, at which step, and when."""

    sent: dict[int, float] = field(default_factory=dict)
    steps: dict[int, set[int]] = field(default_factory=dict)
    many: dict[int, int] = field(default_factory=dict)
    last: dict[int, float] = field(default_factory=dict)
    requests: float = 0.0
    cpu: float = 0.0
    value: float = math.nan

    def at(self, change: int, step: int, when: float) -> None:
        """Note that a worker took a change."""
        self.steps.setdefault(change, set()).add(step)
        self.many[change] = self.many.get(change, 0) + 1
        self.last[change] = max(self.last.get(change, 0.0), when)

    def row(self) -> list[str]:
        """Return what is told of a peer."""
        whole = [change for change, many in self.many.items() if many == WORKERS]
        waits = [self.last[change] - self.sent[change] for change in whole if change in self.sent]
        apart = sum(len(self.steps[change]) > 1 for change in whole)
        most = max((len(self.steps[change]) for change in whole), default=0)
        return [
            f"{self.value:,.0f}",
            f"{self.requests:,.0f}",
            f"{self.cpu:.1%}",
            f"{statistics.median(waits):.2f} ({max(waits):.2f})",
            f"{most}",
            f"{apart} of {len(whole)}",
        ]


class Training:
    """A worker's steps, which lie where the clock says."""

    def __init__(self, began: float) -> None:
        self.first = began + random.uniform(0, APART)
        self.value = 0

    def step_after(self, when: float) -> int:
        """Return the step that begins next."""
        return max(0, math.ceil((when - self.first) / STEP))

    def begins(self, step: int) -> float:
        """Return when a step begins."""
        return self.first + step * STEP

    def hears(self, took: Took, change: int) -> None:
        """Take what was pushed, at the next step."""
        if change > self.value:
            self.value = change
            step = self.step_after(time.monotonic())
            took.at(change, step, self.begins(step))

    async def polls(self, took: Took, look: Callable[[], Any]) -> None:
        """Ask before every so many steps."""
        for step in itertools.count(0, EVERY):
            await asyncio.sleep(self.begins(step) - time.monotonic())
            change = int(await look())
            took.requests += 1
            if change > self.value:
                self.value = change
                took.at(change, step, time.monotonic())


class Program:
    """A peer's server, from a package of the system."""

    def __init__(self, *command: str, port: int) -> None:
        self.port = port
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit(f"{command[0]} does not listen")

    def cpu(self) -> float:
        """Return the seconds that it has computed."""
        spent = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(spent[11]) + int(spent[12])) / TICKS

    def stop(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait()


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def redis(folder: str) -> Iterator[Program]:
    """Run Redis, in memory alone."""
    port = free_port()
    options = ["--port", str(port), "--save", "", "--appendonly", "no", "--dir", folder]
    server = Program("redis-server", *options, "--maxclients", "20000", port=port)
    yield server
    server.stop()


@contextmanager
def etcd(folder: str) -> Iterator[Program]:
    """Run etcd, one member of its own cluster."""
    port, peer = free_port(), free_port()
    here, there = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    server = Program(
        *("etcd", "--data-dir", folder, "--log-level", "error"),
        *("--listen-client-urls", here, "--advertise-client-urls", here),
        *("--listen-peer-urls", there, "--initial-advertise-peer-urls", there),
        *("--initial-cluster", f"default={there}"),
        port=port,
    )
    yield server
    server.stop()


def resp(*words: str) -> bytes:
    """Return a command as Redis reads it."""
    parts = [f"${len(word)}\r\n{word}\r\n" for word in words]
    return f"*{len(parts)}\r\n{''.join(parts)}".encode()


async def reply(reader: asyncio.StreamReader) -> Any:
    """Return the next answer of Redis."""
    line = (await reader.readline())[:-2]
    if line[:1] == b"$":
        return (await reader.readexactly(int(line[1:]) + 2))[:-2]
    if line[:1] == b"*":
        return [await reply(reader) for _ in range(int(line[1:]))]
    return line[1:]


async def change_redis(port: int, took: Took, times: list[float], *, publishes: bool) -> None:
    """Change the value at these times."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for change, when in enumerate(times, 1):
        await asyncio.sleep(when - time.monotonic())
        took.sent[change] = time.monotonic()
        writer.write(resp("SET", "lr", str(change)))
        if publishes:
            writer.write(resp("PUBLISH", "lr", str(change)))
            await reply(reader)
        await reply(reader)


async def redis_polled(port: int, training: Training, took: Took) -> None:
    """Poll Redis."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def look() -> int:
        writer.write(resp("GET", "lr"))
        return int(await reply(reader))

    await training.polls(took, look)


async def redis_pushed(port: int, training: Training, took: Took) -> None:
    """Subscribe to Redis."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(resp("SUBSCRIBE", "lr"))
    await reply(reader)
    took.requests += 1
    while True:
        training.hears(took, int((await reply(reader))[2]))


def as_json(document: dict[str, Any]) -> bytes:
    """Return a document as etcd's gateway reads it."""
    return json.dumps(document).encode()


LR = base64.b64encode(b"lr").decode()


def posted(path: str, body: bytes) -> bytes:
    """Return a request of HTTP."""
    head = f"POST {path} HTTP/1.1\r\nHost: etcd\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def change_etcd(port: int, took: Took, times: list[float]) -> None:
    """Change the value at these times."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        for change, when in enumerate(times, 1):
            await asyncio.sleep(when - time.monotonic())
            took.sent[change] = time.monotonic()
            value = base64.b64encode(str(change).encode()).decode()
            await http.post("/v3/kv/put", content=as_json({"key": LR, "value": value}))


async def etcd_watched(port: int, training: Training, took: Took) -> None:
    """Watch etcd: one answer in pieces, an event in each."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(posted("/v3/watch", as_json({"create_request": {"key": LR}})))
    took.requests += 1
    while line := await reader.readline():
        if line.startswith(b'{"result"'):
            for event in json.loads(line)["result"].get("events", ()):
                training.hears(took, int(base64.b64decode(event["kv"]["value"])))


async def change_file(path: Path, took: Took, times: list[float]) -> None:
    """Change the file at these times."""
    for change, when in enumerate(times, 1):
        await asyncio.sleep(when - time.monotonic())
        took.sent[change] = time.monotonic()
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"lr": change}))
        new.rename(path)


async def file_polled(path: Path, training: Training, took: Took) -> None:
    """Look whether the file is another one, and read it then."""
    seen: tuple[int, int] | None = None
    value = 0

    async def look() -> int:
        nonlocal seen, value
        status = os.stat(path)  # noqa: PTH116 - what a training would do, and it is quicker
        if (status.st_ino, status.st_mtime_ns) != seen:
            seen = status.st_ino, status.st_mtime_ns
            value = int(json.loads(path.read_text())["lr"])  # noqa: ASYNC240 - local, and small
        return value

    await training.polls(took, look)


async def side_by_side(
    worker: Callable[[Training, Took], Any],
    change: Callable[[Took, list[float]], Any],
    cpu: Callable[[], float],
    changes: int = 20,
) -> Took:
    """Let the workers train, and change the value while they do."""
    took = Took()
    began = time.monotonic() + 3.0
    tasks = [asyncio.create_task(worker(Training(began), took)) for _ in range(WORKERS)]
    times = [began + 1.0 + 1.2 * number + random.uniform(0, 1.0) for number in range(changes)]
    await asyncio.sleep(began - time.monotonic())
    took.requests, before = 0.0, cpu()
    await change(took, times)
    await asyncio.sleep(2.0)
    seconds = time.monotonic() - began
    took.requests /= seconds
    took.cpu = (cpu() - before) / seconds
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return took


class Reader(Worker):
    """A worker of Rheostat that notes each change, which makes the value the next whole number."""

    took: Took

    def __init__(self, run: Run, rank: int, took: Took) -> None:
        super().__init__(run, rank)
        self.took = took
        self._places: list[tuple[int, int]] = []

    def _arrive(self, head: bytes, body: bytes) -> None:
        wanted = self._wanted
        block = self.run.block(self._joined, wanted, head, body)
        for at, value in enumerate(block.columns["lr"], block.start):
            if value > (self._places[-1][1] if self._places else 0):
                self._places.append((at, int(value)))
        super()._arrive(head, body)

    def _train(self) -> None:
        cell = self._cell
        super()._train()
        from_here = bisect.bisect_left(self._places, (cell, 0))
        for at, change in self._places[from_here:]:
            if at < self._cell:
                self.took.at(change, at, self._due - (self._cell - at) * STEP)


async def rheostat(url: str, cpu: Callable[[], float], changes: int = 8) -> Took:
    """Let workers of Rheostat train, and change the value while they do."""
    took, seconds = Took(), 5.0 * changes + 15.0
    load = Load(url, seconds, lookahead=2.0)
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        await http.post(
            "/v1/runs", json={"name": "gpt", "parameters": {"lr": ZERO, "weight_decay": ZERO}}
        )
        run = Run(load, "gpt")
        began = time.monotonic() + load.joining
        load.until = began + seconds
        workers = [Reader(run, rank, took) for rank in range(WORKERS)]
        lives = [asyncio.create_task(worker.live(began)) for worker in workers]
        await asyncio.sleep(began + 8.0 - time.monotonic())
        answers, before, since = sum(len(w.answers) for w in workers), cpu(), time.monotonic()
        for change in range(1, changes + 1):
            await asyncio.sleep(random.uniform(0, 1.0))
            took.sent[change] = time.monotonic()
            value = {"kind": "constant", "value": float(change)}
            edit = {"changes": {"lr": {"edit": "replace", "definition": value}}}
            (await http.post("/v1/runs/gpt/revisions", json=edit)).raise_for_status()
            await asyncio.sleep(4.0)
        spent = time.monotonic() - since
        took.requests = (sum(len(w.answers) for w in workers) - answers) / spent
        took.cpu = (cpu() - before) / spent
        await asyncio.gather(*lives)
    return took


def best(look: Callable[[], object], times: int) -> float:
    """Return the ns of one look, the best of five rounds."""
    rounds = []
    for _ in range(5):
        began = time.perf_counter_ns()
        for _ in range(times):
            look()
        rounds.append((time.perf_counter_ns() - began) / times)
    return min(rounds)


def torch_step() -> float:
    """Return the ns of a step of PyTorch's scheduler, if it is installed."""
    if importlib.util.find_spec("torch") is None:
        return math.nan
    import torch  # noqa: PLC0415

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10**6)
    optimizer.step()
    return best(scheduler.step, 2000)


def main() -> None:
    """Measure each, and print the table."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gc.disable()
    print(f"load average {os.getloadavg()[0]:.1f}\n")
    rows: dict[str, list[str]] = {}
    if shutil.which("redis-server"):
        for name, worker, publishes in [
            ("Redis, polled", redis_polled, False),
            ("Redis, pub/sub", redis_pushed, True),
        ]:
            with tempfile.TemporaryDirectory() as folder, redis(folder) as server:
                rows[name] = of_redis(server, worker, publishes=publishes).row()
    if shutil.which("etcd"):
        with tempfile.TemporaryDirectory() as folder, etcd(folder) as server:
            rows["etcd, watched"] = of_etcd(server).row()
    with tempfile.TemporaryDirectory() as folder:
        rows["a JSON file"] = of_file(Path(folder, "lr.json")).row()
    with tempfile.TemporaryDirectory() as folder, service(folder) as running:
        took: Took = uvloop.run(rheostat(running.url, running.cpu))
        with Client(running.url, beats=False) as client:
            run = client.run("gpt")
            run.value("lr", 0)
            took.value = best(lambda: run.value("lr", 0), 200_000)
        rows["Rheostat"] = took.row()
    rows["PyTorch's scheduler"] = [f"{torch_step():,.0f}", "0", "–", "a restart", "–", "–"]
    heads = ["", "a value, ns", "requests/s", "processor", "all have it, s", "steps", "changes"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(row)} |")
    missing = {"redis-server", "etcd"} - {
        name for name in ("redis-server", "etcd") if shutil.which(name)
    }
    if missing:
        print(f"\nnot installed: {', '.join(sorted(missing))}", file=sys.stderr)
    print(f"\nload average {os.getloadavg()[0]:.1f}")


def of_redis(server: Program, worker: Callable[..., Any], *, publishes: bool) -> Took:
    """Return what was seen with Redis."""
    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.sendall(resp("SET", "lr", "0"))
        plain.recv(100)

        def look() -> None:
            plain.sendall(resp("GET", "lr"))
            plain.recv(100)

        held = {"lr": 0}
        value = best(lambda: held["lr"], 200_000) if publishes else best(look, 2000) / EVERY
    took: Took = uvloop.run(
        side_by_side(
            lambda training, took: worker(server.port, training, took),
            lambda took, times: change_redis(server.port, took, times, publishes=publishes),
            server.cpu,
        )
    )
    took.value = value
    return took


def of_etcd(server: Program) -> Took:
    """Return what was seen with etcd."""
    held = {"lr": 0}
    took: Took = uvloop.run(
        side_by_side(
            lambda training, took: etcd_watched(server.port, training, took),
            lambda took, times: change_etcd(server.port, took, times),
            server.cpu,
        )
    )
    took.value = best(lambda: held["lr"], 200_000)
    return took


def of_file(path: Path) -> Took:
    """Return what was seen with a file."""
    path.write_text('{"lr": 0}')
    took: Took = uvloop.run(
        side_by_side(
            lambda training, took: file_polled(path, training, took),
            lambda took, times: change_file(path, took, times),
            lambda: 0.0,
        )
    )
    took.value = best(path.stat, 20_000) / EVERY
    return took


if __name__ == "__main__":
    main()
