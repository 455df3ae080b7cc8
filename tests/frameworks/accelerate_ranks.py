"""
One of two ranks that train with Accelerate, and print what each update used.

usage: accelerate_ranks.py <url> <run>
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from tests.frameworks.conftest import rates_of
from tests.frameworks.test_accelerate import begin

from rheostat import Client
from rheostat.torch import RheostatLR


def main(url: str, name: str) -> None:
    """Print one JSON object."""
    client = Client(url, deadline=60)
    training = begin(client.run(name))
    training.epoch()
    accelerator = training.accelerator
    accelerator.wait_for_everyone()
    told: dict[str, Any] = {"ranks": accelerator.num_processes, "used": training.used}
    told |= prepared(accelerator, client.run(name))
    print(json.dumps(told))  # noqa: T201 - read by the test
    accelerator.end_training()


def prepared(accelerator: Any, run: Any) -> dict[str, Any]:
    """Hand everything to ``prepare``, the scheduler too, as is the habit."""
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    used = rates_of(optimizer)
    model, optimizer = accelerator.prepare(model, optimizer)
    scheduler = accelerator.prepare(RheostatLR(optimizer, run))
    for _ in range(6):
        accelerator.backward(model(torch.ones(1, 2)).mean())
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
    return {"prepared": used, "counted": scheduler.state_dict()["step"]}


if __name__ == "__main__":
    main(*sys.argv[1:])
