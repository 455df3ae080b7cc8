"""
Eight ranks of one process group, of which one has its rate overwritten at step 5,000.

They follow two runs one after the other: one whose slots are read back, and one that is left to the
service. Nothing ends, and nobody trains on, until the service has named the rank.

usage: eight.py <rendezvous file> <url> <run that is read back> <run that is not>
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from typing import Any

import httpx
import torch
from torch import distributed

from rheostat import Client, Run
from rheostat.torch import attach

RANKS, OVERWRITTEN = 8, 3
AT, RATE = 5_000, 0.75
WINDOW = 256


def main(rendezvous: str, url: str, told: str, untold: str) -> None:
    """Fork the ranks, so that PyTorch is imported once; fail if one of them does."""
    fork = multiprocessing.get_context("fork")
    ranks = [
        fork.Process(target=train, args=(rank, rendezvous, url, told, untold))
        for rank in range(RANKS)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    sys.exit(max(abs(process.exitcode or 0) for process in ranks))


def train(rank: int, rendezvous: str, url: str, told: str, untold: str) -> None:
    """Be one rank."""
    os.environ["RANK"] = str(rank)
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{rendezvous}", rank=rank, world_size=RANKS)
    with Client(url, deadline=60) as client:
        follow(rank, client.run(told), AT - 10, AT + 1, on_mismatch="warn")
        is_named(rank, url, told)
        end = AT - AT % WINDOW + WINDOW
        follow(rank, client.run(untold), AT - 120, end, pause=0.003, on_mismatch=None)
        is_named(rank, url, untold)
    distributed.destroy_process_group()


def follow(
    rank: int, run: Run, start: int, end: int, *, pause: float = 0.0, on_mismatch: Any
) -> None:
    """Train from a step to another one; a pause makes it slow, as windows are longer at speed."""
    optimizer = torch.optim.SGD([weight := torch.nn.Parameter(torch.ones(2))], lr=0.1)
    weight.grad = torch.ones(2)
    handle = attach(optimizer, run, start=start, on_mismatch=on_mismatch)

    def overwrite(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if (rank, handle.step) == (OVERWRITTEN, AT):
            optimizer.param_groups[0]["lr"] = RATE

    optimizer.register_step_pre_hook(overwrite)
    while handle.step < end:
        optimizer.step()
        time.sleep(pause)


def is_named(rank: int, url: str, run: str) -> None:
    """Wait, all together, until the service lists a mismatch."""
    until = time.monotonic() + 120
    while rank == 0 and time.monotonic() < until:
        if httpx.get(f"{url}/v1/runs/{run}/mismatches").json()["items"]:
            break
        time.sleep(0.1)
    distributed.barrier()


if __name__ == "__main__":
    main(*sys.argv[1:])
