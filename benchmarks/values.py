"""
Settled blocks: how many a second one process sends, against the barest ASGI application.

    python benchmarks/values.py

A block of 64 steps of two parameters that is settled and in memory is asked for by wrk, one thread
and 64 connections. The service runs as ``rheostat serve`` does by default, which writes no line for
such a read, as it is and with tokens. Beside it runs an application of two lines on the same
uvicorn (uvloop, httptools, no log), which sends the same headers and the same body to whoever asks.

The two take turns of two seconds. ``requests/s`` and ``p99`` are medians of the turns, ``ratio`` is
the median of the ratios of turns that follow each other, and ``µs`` the least processor time of
either process for one request, which other work on the machine disturbs least.

It needs wrk (``apt-get install wrk``).
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tempfile
from typing import NamedTuple

import httpx
from side_by_side import Process, bare, new_token, service

TURNS, SECONDS, CONNECTIONS = 7, 2, 64
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
RUN = {
    "parameters": {
        "lr": {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 100_000},
        "weight_decay": {"kind": "constant", "value": 0.1},
    }
}
FORMATS = {"f64": "application/octet-stream", "json": "application/json"}


class Turn(NamedTuple):
    """What one process did in a turn."""

    rate: float
    p99: float
    """Milliseconds."""
    cpu: float
    """Microseconds of processor time for one request."""


def turn(process: Process, path: str, headers: dict[str, str]) -> Turn:
    """Let wrk ask a process."""
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency"]
    for name, value in headers.items():
        options += ["-H", f"{name}: {value}"]
    before = process.cpu()
    done = subprocess.run(
        ["wrk", *options, process.url + path], check=True, capture_output=True, text=True
    )
    report, spent = done.stdout, process.cpu() - before
    assert "Non-2xx" not in report, report
    count, rate = re.search(r"(\d+) requests in", report), re.search(r"sec:\s+([\d.]+)", report)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", report)
    assert count
    assert rate
    assert p99
    return Turn(float(rate[1]), float(p99[1]) * UNITS[p99[2]], spent / int(count[1]) * 1e6)


def compare(served: Process, path: str, headers: dict[str, str]) -> list[tuple[Turn, Turn]]:
    """Return the turns of the barest application and of the service."""
    answer = httpx.get(served.url + path, headers=headers).raise_for_status()
    sent = [(name, value) for name, value in answer.headers.items() if name != "date"]
    with bare(sent, answer.content) as barest:
        both = (barest, served)
        for process in both:
            turn(process, path, headers)
        turns = [[turn(process, path, headers) for process in both] for _ in range(TURNS)]
    return [(barest_turn, own_turn) for barest_turn, own_turn in turns]


def main() -> None:
    """Print the table."""
    if shutil.which("wrk") is None:
        print("skipped: it needs wrk (apt-get install wrk)")
        return
    print(f"{'':14}{'requests/s':>12}{'barest':>10}{'ratio':>8}", end="")
    print(f"{'p99 ms':>10}{'barest':>10}{'ratio':>8}{'µs':>8}{'barest':>8}")
    for auth in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            token = {"authorization": f"Bearer {new_token(folder)}"} if auth else {}
            with service(folder, auth=auth) as served:
                created = httpx.put(f"{served.url}/v1/runs/a", json=RUN, headers=token)
                run = created.raise_for_status().json()["id"]
                path = f"/v1/runs/{run}/values?generation=1&start=0&count=64"
                for name, media_type in FORMATS.items():
                    turns = compare(served, path, {**token, "accept": media_type})
                    row(f"{name}, token" if auth else name, turns)


def row(name: str, turns: list[tuple[Turn, Turn]]) -> None:
    """Print a line of the table."""
    median = statistics.median
    rates = [median(turn.rate for turn in column) for column in zip(*turns, strict=True)]
    p99s = [median(turn.p99 for turn in column) for column in zip(*turns, strict=True)]
    least = [min(turn.cpu for turn in column) for column in zip(*turns, strict=True)]
    rate = median(own.rate / barest.rate for barest, own in turns)
    p99 = median(own.p99 / barest.p99 for barest, own in turns)
    print(f"{name:14}{rates[1]:12.0f}{rates[0]:10.0f}{rate:8.2f}", end="")
    print(f"{p99s[1]:10.2f}{p99s[0]:10.2f}{p99:8.2f}{least[1]:8.1f}{least[0]:8.1f}", flush=True)


if __name__ == "__main__":
    main()
