"""
One of two ranks: tries three things in a process group, and prints what came of each.

usage: rank.py <rank> <rendezvous file> <url> <run> <another run>
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import distributed

from rheostat import Client
from rheostat.errors import RheostatError
from rheostat.torch import RheostatLR


def main(rank: int, rendezvous: str, url: str, *runs: str) -> None:
    """Print one JSON object."""
    distributed.init_process_group("gloo", f"file://{rendezvous}", rank=rank, world_size=2)
    client = Client(url, deadline=60)
    scheduler = RheostatLR(optimizer(), client.run(runs[0]))
    mine = scheduler.state_dict()
    others = RheostatLR(optimizer(), client.run(runs[1])).state_dict()
    outcomes = {
        "values": [value(scheduler, step) for step in range(20)],
        "two runs": error(lambda: RheostatLR(optimizer(), client.run(runs[rank]))),
        "one stale": error(lambda: scheduler.load_state_dict([mine, others][rank])),
        "two steps": error(lambda: scheduler.load_state_dict({**mine, "step": rank})),
        "agreed": error(lambda: scheduler.load_state_dict({**mine, "step": 7})),
        "step": scheduler.last_epoch,
    }
    print(json.dumps(outcomes))  # noqa: T201 - read by the test
    distributed.destroy_process_group()


def optimizer() -> Any:
    """Return a small one."""
    return torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1)


def value(scheduler: Any, step: int) -> float:
    """Return the learning rate of a step."""
    scheduler.optimizer.step()
    scheduler.step(update=step)
    return float(scheduler.get_last_lr()[0])


def error(attempt: Callable[[], Any]) -> list[str] | None:
    """Return the class and the text of the error, if there is one."""
    try:
        attempt()
    except RheostatError as failure:
        return [type(failure).__name__, str(failure), *getattr(failure, "__notes__", ())]
    return None


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
