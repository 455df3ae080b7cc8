"""
Curves of a million values over HTTP: how fast they come, and what memory they take.

    python benchmarks/curve_answers.py

A cosine of 1,000,000 steps is asked of ``POST /v1/evaluate``. Beside the service run applications
of two lines on the same uvicorn that send the same bytes at once:

``f64``    against the barest application, with the same 8 MB
``json``   against the barest application, which writes the same list of floats by orjson each time
``svg``    a picture, for which the curve is reduced so that its extremes stay

The ways take turns, over one connection each, and the table shows the best of them. ``before`` is
the service's resident memory after the first answer of that kind, ``peak`` the most it ever had.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable

import httpx
from side_by_side import Process, bare, service

STEPS, TURNS = 1_000_000, 15
CURVE = {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": STEPS}
ASKED = {"definition": CURVE, "stop": STEPS}


def best(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the best time of each way in milliseconds; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(TURNS):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            times[name].append((time.perf_counter() - began) * 1e3)
    return {name: min(taken) for name, taken in times.items()}


def reader(client: httpx.Client, method: str, url: str, **request: object) -> Callable[[], int]:
    """Return what asks and reads the whole answer, keeping nothing."""

    def read() -> int:
        with client.stream(method, url, **request) as answer:  # type: ignore[arg-type]
            answer.raise_for_status()
            return sum(len(piece) for piece in answer.iter_raw())

    return read


def rows(served: Process, client: httpx.Client) -> None:
    """Print the table's lines."""
    for name in ("f64", "json", "svg"):
        url = f"{served.url}/v1/evaluate?format={name}"
        answer = client.post(url, json=ASKED).raise_for_status()
        headers = [(key, value) for key, value in answer.headers.items() if key != "date"]
        before = served.memory("VmRSS")
        with bare(headers, answer.content, write=name == "json") as barest:
            own, other = reader(client, "POST", url, json=ASKED), reader(client, "GET", barest.url)
            times = best({"own": own} if name == "svg" else {"own": own, "other": other})
        print(f"{name:6}{times['own']:10.1f}", end="")
        if "other" in times:
            print(f"{times['other']:10.1f}{times['other'] / times['own']:10.2f}", end="")
        else:
            print(" " * 20, end="")
        print(f"{before:10.0f}{served.memory('VmHWM'):10.0f}", flush=True)


def main() -> None:
    """Print the table."""
    print(f"{'':6}{'ms':>10}{'other':>10}{'speed':>10}{'before':>10}{'peak MiB':>10}")
    with (
        tempfile.TemporaryDirectory() as folder,
        service(folder) as served,
        httpx.Client(timeout=60) as client,
    ):
        rows(served, client)


if __name__ == "__main__":
    main()
