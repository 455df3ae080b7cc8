"""
What a request takes of a server process and of nginx: the `Costs` of `simulate.py`, measured.

    python benchmarks/simulate_costs.py

Each kind is asked some hundred times of a service of its own with SQLite, and what the process has
computed meanwhile is divided by their number: processor time, which other work on the machine
lengthens less than the clock's. Settled blocks are asked for over a hundred connections at once, as
the ranks of a run do; the rest one after the other. The commit is by the clock, and is the disk's.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from fleet_nginx import nginx
from settling import flush
from side_by_side import TICKS, service

BODY = {
    "parameters": {
        "lr": 1.0,
        "weight_decay": {"kind": "linear", "start": 0.1, "end": 0.0, "steps": 10**6},
    }
}
CELLS = 32
RANKS = 100
ACCEPTS = {"Accept": "application/octet-stream"}


def nginx_cpu(folder: Path) -> float:
    """Return the seconds that nginx has computed, all of its processes."""
    first = int((folder / "pid").read_text())
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    total = 0
    for pid in [first, *map(int, children)]:
        spent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(spent[11]) + int(spent[12])
    return total / TICKS


@contextmanager
def run_on(url: str, name: str) -> Iterator[tuple[httpx.Client, str]]:
    """Create a run, and yield a connection and the address of its blocks."""
    with httpx.Client(base_url=url, timeout=60, headers=ACCEPTS) as http:
        http.put(f"/v1/runs/{name}", json=BODY).raise_for_status()
        joined = http.post(f"/v1/runs/{name}/join", json={}).json()
        yield http, f"/v1/runs/{joined['id']}/values"


def block(number: int) -> dict[str, Any]:
    """Return what asks for a block."""
    return {"generation": 1, "start": number * CELLS, "count": CELLS, "format": "f64"}


def spent(cpu: Callable[[], float], work: Callable[[int], Any], times: int) -> float:
    """Return the processor time of doing something once."""
    for number in range(20):
        work(number)
    before = cpu()
    for number in range(20, 20 + times):
        work(number)
    return (cpu() - before) / times


class Ranks:
    """Connections that ask for a block at the same moment."""

    def __init__(self, url: str, path: str) -> None:
        with httpx.Client(base_url=url, headers=ACCEPTS) as http:
            request = http.build_request("GET", path, params=block(0))
            self._whole = len(http.send(request).content)
        head = [f"GET {request.url.raw_path.decode()} HTTP/1.1"]
        head += [f"{name}: {text}" for name, text in request.headers.items()]
        self._request = "\r\n".join([*head, "", ""]).encode()
        where = request.url.host, request.url.port
        self._sockets = [socket.create_connection(where) for _ in range(RANKS)]

    def ask(self, _number: int) -> None:
        """Ask, all of them, and read the answers."""
        for each in self._sockets:
            each.sendall(self._request)
        for each in self._sockets:
            received = b""
            while len(received.partition(b"\r\n\r\n")[2]) < self._whole:
                received += each.recv(65536)


def main() -> None:
    """Measure, and print."""
    print(f"load average {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name, service(name) as server:
        folder = Path(name)
        with run_on(server.url, "direct") as (http, path):

            def read(number: int) -> None:
                http.get(path, params=block(number)).raise_for_status()

            miss = spent(server.cpu, read, 400)
            hit = spent(server.cpu, Ranks(server.url, path).ask, 100) / RANKS
            join = spent(server.cpu, lambda _: http.post("/v1/runs/direct/join", json={}), 400)
            began = time.perf_counter()
            for number in range(420, 520):
                read(number)
            clock = (time.perf_counter() - began) / 100
        with nginx(folder, server.url) as url, run_on(url, "nginx") as (http, path):
            passes = lambda: nginx_cpu(folder)  # noqa: E731
            http.get(path, params=block(0)).raise_for_status()
            through = spent(passes, Ranks(url, path).ask, 100) / RANKS
        costs = {
            "hit": hit,
            "miss": miss,
            "join": join,
            "flush": flush(name) / 1e3,
            "nginx": through,
        }
    for kind, seconds in costs.items():
        print(f"{kind:10}{seconds * 1e6:10,.0f} µs")
    print(f"{'a miss, by the clock':20}{clock * 1e6:10,.0f} µs")


if __name__ == "__main__":
    main()
