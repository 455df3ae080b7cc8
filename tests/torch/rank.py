"""
One of two ranks: tries what ranks do together, and prints what came of each.

usage: rank.py <rank> <rendezvous file> <url> <run> <another run> <a run with lr and lr/head>
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
from rheostat.torch import RheostatLR, attach


def main(rank: int, rendezvous: str, url: str, *runs: str) -> None:
    """Print one JSON object."""
    distributed.init_process_group("gloo", f"file://{rendezvous}", rank=rank, world_size=2)
    client = Client(url, deadline=60)
    scheduler = RheostatLR(optimizer(), client.run(runs[0]))
    mine = scheduler.state_dict()
    others = RheostatLR(optimizer(), client.run(runs[1])).state_dict()
    outcomes: dict[str, Any] = {
        "values": [value(scheduler, step) for step in range(20)],
        "two runs": error(lambda: RheostatLR(optimizer(), client.run(runs[rank]))),
        "one stale": error(lambda: scheduler.load_state_dict([mine, others][rank])),
        "two steps": error(lambda: scheduler.load_state_dict({**mine, "step": rank})),
        "agreed": error(lambda: scheduler.load_state_dict({**mine, "step": 7})),
        "step": scheduler.last_epoch,
    }
    stages: list[list[dict[str, Any]]] = [[{"name": "body"}], [{"name": "body"}, {"name": "head"}]]
    grouped = client.run(runs[2])
    misfits: list[list[dict[str, Any]]] = [
        stages[1],
        [{"name": "body", "lr": 0.1}, {"name": "haed", "lr": 0.2}],
    ]
    outcomes |= {
        "a group of one rank": error(lambda: RheostatLR(optimizer(*stages[rank]), grouped)),
        "its fields": RheostatLR(optimizer(*stages[rank]), grouped).fields,
        "a group of none": error(lambda: RheostatLR(optimizer(*stages[0]), grouped)),
        "one misfit": error(lambda: RheostatLR(optimizer(*misfits[rank]), client.run(runs[0]))),
        "one that is no run": error(
            lambda: RheostatLR(optimizer(), [scheduler.run, "ranks"][rank])  # type: ignore[arg-type]
        ),
        "one defect": error(lambda: RheostatLR([optimizer(), Broken()][rank], scheduler.run)),
    }
    run = client.run(runs[0])
    handle = attach(optimizer(), run)
    attached = handle.state_dict()
    outcomes |= {
        "jobs": [scheduler.run.job, run.job],
        "two attached runs": error(lambda: attach(optimizer(), client.run(runs[rank]))),
        "two starts": error(lambda: attach(optimizer(), run, start=rank)),
        "two loaded steps": error(lambda: handle.load_state_dict({**attached, "step": rank})),
        "one bad argument": error(lambda: attach(optimizer(), run, by=[1, 0][rank])),
        "loaded alike": error(lambda: handle.load_state_dict({**attached, "step": 7})),
        "its step": handle.step,
    }
    print(json.dumps(outcomes))  # noqa: T201 - read by the test
    distributed.destroy_process_group()


class Broken:
    """An optimizer with a defect of its own."""

    @property
    def optimizer(self) -> Any:
        """Fail, and not as the project's own errors do."""
        raise ZeroDivisionError("a defect")


def optimizer(*groups: dict[str, Any]) -> Any:
    """Return a small one."""
    weights = [{"params": [torch.nn.Parameter(torch.ones(2))], **group} for group in groups or [{}]]
    return torch.optim.SGD(weights, lr=0.1)


def value(scheduler: Any, step: int) -> float:
    """Return the learning rate of a step."""
    scheduler.optimizer.step()
    scheduler.step(update=step)
    return float(scheduler.get_last_lr()[0])


def error(attempt: Callable[[], Any]) -> list[str] | None:
    """Return the class and the text of the error, if there is one."""
    try:
        attempt()
    except (RheostatError, ZeroDivisionError) as failure:
        return [type(failure).__name__, str(failure), *getattr(failure, "__notes__", ())]
    return None


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
