"""
Change the learning rate of a distributed training while it runs: with Rheostat, and without.

Four ranks (`torch.distributed`, gloo) train a small network on 1,797 images of handwritten digits.
An operator halves the learning rate, and later moves to a cosine tail without weight decay. In
between the service is killed with ``-9`` and started again. Every rank must switch at the steps
that the service announced, and use the values of its ledger, bit for bit::

    python examples/ddp_digits.py

The same changes through an endpoint that tells the latest values, polled by every rank in every
step, for comparison::

    python examples/ddp_digits.py --naive

Needs PyTorch and scikit-learn. The exit code is 1 if any rank differs, or if fewer than 95 % of
the test images are read right.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import pickle
import signal
import sys
import tempfile
import time
from array import array
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from digits.latest import PolledValues, latest_values, put
from digits.network import accuracy, batches, digits, network, weights
from digits.plan import LAST_LR, LR, RANKS, WEIGHT_DECAY, Plan
from digits.processes import Progress, Training, reach, say
from digits.report import Record, report, report_naive
from digits.service import Service
from rheostat import Client, ramp, replace, scale
from rheostat.torch import RheostatLR

GOOD = 0.95
SHORTEST = 400
LOOKAHEAD, DEADLINE = 0.5, 120  # seconds; the defaults are for longer trainings


def train(rank: int, plan: Plan, progress: Any) -> None:
    """Train as one of the ranks, with values from a run."""
    logging.basicConfig(format=f"rank {rank}: %(message)s")
    client = Client(plan.address, lookahead=LOOKAHEAD, deadline=DEADLINE)
    run = client.run("digits")
    train_with(lambda optimizer: RheostatLR(optimizer, run), rank, plan, progress)


def train_naively(rank: int, plan: Plan, progress: Any) -> None:
    """Train as one of the ranks, with the latest values."""
    train_with(lambda optimizer: PolledValues(optimizer, plan.address), rank, plan, progress)


def train_with(make_scheduler: Any, rank: int, plan: Plan, progress: Any) -> None:
    """Train as one of the ranks, with the scheduler that is made for its optimizer."""
    torch.set_num_threads(1)
    meeting = f"file://{plan.directory}/ranks"
    distributed.init_process_group("gloo", meeting, rank=rank, world_size=RANKS)
    images, test_images = digits()
    model = DistributedDataParallel(network())
    optimizer = torch.optim.SGD(model.parameters(), LR, 0.9, weight_decay=WEIGHT_DECAY)
    scheduler = make_scheduler(optimizer)
    lr, weight_decay = array("d"), array("d")
    for step, batch in zip(range(plan.steps), batches(images, rank, RANKS), strict=False):
        lr.append(optimizer.param_groups[0]["lr"])
        weight_decay.append(optimizer.param_groups[0]["weight_decay"])
        optimizer.zero_grad()
        cross_entropy(model(batch.images), batch.labels).backward()
        optimizer.step()
        scheduler.step()
        progress[rank] = step + 1
    record = Record(lr, weight_decay, weights(model), accuracy(model, test_images))
    plan.record_of(rank).write_bytes(pickle.dumps(record))
    distributed.destroy_process_group()


def operate(plan: Plan, progress: Progress) -> None:
    """Change the run twice, as an operator."""
    run = Client(plan.address, author="operator").control("digits")
    reach(plan.halve_at, progress)
    told = run.change({"lr": scale(0.5)}, message="halve the learning rate")
    say(progress, f"operator halves lr, effective at step {told['effective']}")
    reach(plan.tail_at, progress)
    tail = ramp(LAST_LR, steps=plan.tail, shape="cosine")
    off = replace({"kind": "constant", "value": 0.0})
    told = run.change({"lr": tail, "weight_decay": off}, message="cosine tail")
    say(progress, f"operator begins the tail, effective at step {told['effective']}")


def operate_naively(plan: Plan, progress: Progress) -> None:
    """Change the latest values likewise; for the tail, again and again."""
    reach(plan.halve_at, progress)
    put(plan.address, {"lr": LR / 2, "weight_decay": WEIGHT_DECAY})
    say(progress, "operator halves lr")
    reach(plan.tail_at, progress)
    say(progress, "operator begins the tail")
    begin = min(progress)
    while (done := (min(progress) - begin) / plan.tail) < 1:
        lr = LAST_LR + (LR / 2 - LAST_LR) * (1 + math.cos(math.pi * done)) / 2
        put(plan.address, {"lr": lr, "weight_decay": 0.0})
        time.sleep(0.02)
    put(plan.address, {"lr": LAST_LR, "weight_decay": 0.0})


def with_rheostat(directory: Path, steps: int) -> bool:
    """Train with a service that dies on the way; return whether all is as it should be."""
    parameters = {
        "lr": {"kind": "constant", "value": LR},
        "weight_decay": {"kind": "constant", "value": WEIGHT_DECAY},
    }
    with Service(directory) as service, Client(service.url) as client:
        client.create_run("digits", parameters, total=steps)
        training = Training(plan := Plan(steps, directory, service.url), train, operate)
        training.reach(plan.kill_at)
        service.kill()
        say(training.progress, "server killed with -9")
        service.start()
        say(training.progress, "server started again")
        records = training.records()
        run = client.control("digits")
        announced = [revision["effective"] for revision in run.history()[1:]]
        segments = run.ledger(stop=steps)
    ledger = {name: [v for s in segments for v in s["values"][name]] for name in parameters}
    return report(records, announced, ledger) and records[0].accuracy >= GOOD


def with_latest_values(directory: Path, steps: int) -> bool:
    """Train with an endpoint of the latest values, and show whether the ranks agree."""
    with latest_values({"lr": LR, "weight_decay": WEIGHT_DECAY}) as address:
        plan = Plan(steps, directory, address)
        report_naive(Training(plan, train_naively, operate_naively).records())
    return True


def main() -> int:
    """Run one of the two modes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--naive", action="store_true", help="poll the latest values instead")
    parser.add_argument("--steps", type=int, default=1200, help="length of the training (1200)")
    options = parser.parse_args()
    if options.steps < SHORTEST:
        parser.error(f"--steps is {options.steps}, and two changes need {SHORTEST} or more")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is stopped too
    mode = with_latest_values if options.naive else with_rheostat
    with tempfile.TemporaryDirectory() as directory:
        return 0 if mode(Path(directory), options.steps) else 1


if __name__ == "__main__":
    sys.exit(main())
