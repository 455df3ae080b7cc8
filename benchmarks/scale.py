"""
The tables of docs/scale.md: fleets of 10,000, 100,000 and a million workers, simulated.

    python benchmarks/scale.py [--most 100000]      writes between the marks of docs/scale.md

Each row is a `Shape` of `simulate.py`, in a process of its own: runs of 512 ranks on hosts of 8
that take ten steps a second, in the middle of their training. Eight ranks of a host are simulated
as one, of eight requests or of one; with 10,000 workers that gives the rates and times of each by
itself. Of a million, eight hosts are simulated as one.
"""

from __future__ import annotations

import argparse
import gc
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulate import Shape, percentile, simulated

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
RANKS = 512
STEADY = Shape(runs=1, ranks=RANKS, seconds=14, measured=6, steady=True, told=True, unit=8)

WAYS: dict[str, dict[str, Any]] = {
    "straight to one server process": {},
    "nginx (4 processes), 2 server processes": {"nginx": 4, "servers": 2},
    '… and `read="node"`': {"nginx": 4, "servers": 2, "node": 8},
    "… and a look-ahead of 10 s": {
        "nginx": 4, "servers": 2, "node": 8, "lookahead": 10.0, "seconds": 40, "measured": 25
    },
    "… and instead a cache for each 64 hosts": {"nginx": 4, "servers": 2, "node": 8, "racks": 64},
    "… and 4 shards, each with 2 server processes": {
        "nginx": 4, "servers": 2, "node": 8, "racks": 64, "shards": 4
    },
}  # fmt: skip

RESTARTS: dict[str, dict[str, Any]] = {
    "one server process": {"nginx": 4},
    "4 server processes": {"nginx": 4, "servers": 4},
    "16 server processes": {"nginx": 4, "servers": 16},
    "4 server processes; joins within 60 s": {"nginx": 4, "servers": 4, "joining": 60.0},
}


def steady(workers: int, way: str) -> list[str]:
    """Return a row of a fleet that trains."""
    changed = dict(WAYS[way])
    if "racks" in changed:
        changed["racks"] = max(1, workers // RANKS)
    changed["unit"] = 64 if workers >= 10**6 else STEADY.unit
    shape = replace(STEADY, runs=-(-workers // RANKS), **changed)
    fleet, rates = simulated(shape)
    seen = fleet.seen
    edge = "nginx" if fleet.edge else "server"
    busy = {name: rate for name, rate in rates.items() if name.endswith("busy")}
    share = f"{busy['server busy'] / shape.servers:.0%}"
    reached = len(seen.reach) * shape.unit / (shape.runs * RANKS)
    reach = f"{percentile(seen.reach, 99):.1f}" if reached > 0.99 else f"only {reached:.0%} came"
    return [
        f"{workers:,}",
        way,
        f"{rates.get('rack', 0) * shape.racks or rates[edge]:,.0f}",
        f"{rates[edge]:,.0f}"
        + (f" ({busy['nginx busy'] / shape.nginx:.0%})" if fleet.edge else ""),
        f"{rates['server'] * shape.shards:,.0f} ({share})",
        f"{percentile(seen.answers, 99) * 1e3:,.0f}",
        f"{seen.stalls / max(1, seen.reads):.2%}",
        reach,
    ]


def restart(workers: int, way: str) -> list[str]:
    """Return a row of a fleet that begins all at once."""
    shape = replace(
        STEADY, runs=-(-workers // RANKS), steady=False, restart=True, told=False, **RESTARTS[way]
    )
    shape = replace(shape, seconds=600.0 / shape.servers + 60, measured=1)
    fleet, _ = simulated(shape)
    joins = fleet.seen.joins
    came = len(joins) * shape.unit / (shape.runs * RANKS)
    spread = [f"{percentile(joins, p):,.0f}" for p in (50, 99)]
    return [
        f"{workers:,}",
        way,
        *spread,
        f"{came:.0%}",
        f"{percentile(fleet.seen.answers, 99) * 1e3:,.0f}",
    ]


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


HEADS = [
    *("workers", "way", "asked for, /s", "reach nginx, /s (busy)", "reach servers, /s (each busy)"),
    *("answer p99, ms", "stalls", "a change reaches p99 in, s"),
]
RESTART_HEADS = [
    *("workers", "way", "a join takes p50, s", "p99, s", "joined", "block p99, ms"),
]


def written(page: str, mark: str, text: str) -> str:
    """Return the page with the text between its marks."""
    found = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    assert found.search(page), f"docs/scale.md has no marks of {mark}"
    return found.sub(lambda match: f"{match[1]}{text}\n{match[2]}", page)


def main() -> None:
    """Simulate all, and write the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=int, default=10**6)
    most = parser.parse_args().most
    gc.disable()
    sizes = [size for size in (10**4, 10**5, 10**6) if size <= most]
    with ProcessPoolExecutor(2, max_tasks_per_child=1) as pool:
        fleets = [pool.submit(steady, size, way) for size in sizes for way in WAYS]
        again = [pool.submit(restart, 10**5, way) for way in RESTARTS]
        rows = [each.result() for each in fleets]
        starts = [each.result() for each in again]
    page = written(PAGE.read_text(), "steady", table(HEADS, rows))
    PAGE.write_text(written(page, "restart", table(RESTART_HEADS, starts)))


if __name__ == "__main__":
    main()
