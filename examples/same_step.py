"""
Draw the picture of the README: when four ranks switch, with Rheostat and by polling.

The training of `ddp_digits` goes twice. An operator scales the learning rate 19 times: once in
a run of Rheostat, once at an endpoint of the latest value that every rank polls in every step.
Both are real: four processes each, which leave what they used and how far apart their models
were. Which of the polled changes fall between two ranks is chance: about a quarter of them here::

    python examples/same_step.py docs/same-step.svg

Needs PyTorch and scikit-learn.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ddp_digits import LOOKAHEAD, train_with
from digits.latest import PolledValues, latest_values, put
from digits.picture import Switch, Training, picture
from digits.plan import LR, RANKS, WEIGHT_DECAY, Plan
from digits.processes import Progress, reach, say
from digits.processes import Training as Processes
from digits.report import Record
from digits.service import Service
from rheostat import Client, scale
from rheostat.torch import RheostatLR

STEPS: Final = 2400
MOMENTS: Final = range(240, STEPS, 114)  # the steps at which the operator decides
FACTOR: Final = 0.9
EVERY: Final = 8  # steps from one look at the models to the next


class Watched:
    """A scheduler that also leaves the model's parameters in a file, every now and then."""

    def __init__(self, scheduler: Any, optimizer: Any, file: Path) -> None:
        self.scheduler, self.file, self.steps = scheduler, file, 0
        self.parameters = optimizer.param_groups[0]["params"]

    def step(self) -> None:
        """Step, and look at the model."""
        self.scheduler.step()
        if self.steps % EVERY == 0:
            with self.file.open("ab") as file:
                torch.nn.utils.parameters_to_vector(self.parameters).detach().numpy().tofile(file)
        self.steps += 1


def train(rank: int, plan: Plan, progress: Any) -> None:
    """Train as one of the ranks, with values from a run."""
    logging.basicConfig(format=f"rank {rank}: %(message)s")
    run = Client(plan.address, lookahead=LOOKAHEAD).run("digits")
    _watched(lambda optimizer: RheostatLR(optimizer, run), rank, plan, progress)


def train_naively(rank: int, plan: Plan, progress: Any) -> None:
    """Train as one of the ranks, with the latest value."""
    _watched(lambda optimizer: PolledValues(optimizer, plan.address), rank, plan, progress)


def _watched(make: Callable[[Any], Any], rank: int, plan: Plan, progress: Any) -> None:
    file = models(plan, rank)
    train_with(lambda optimizer: Watched(make(optimizer), optimizer, file), rank, plan, progress)


def models(plan: Plan, rank: int) -> Path:
    """Return the file of a rank's models, one after another."""
    return plan.directory / f"models{rank}.float32"


def operate(plan: Plan, progress: Progress) -> None:
    """Scale the learning rate of the run."""
    run = Client(plan.address, author="operator").control("digits")
    for moment in MOMENTS:
        reach(moment, progress)
        told = run.change({"lr": scale(FACTOR)})
        say(progress, f"operator scales lr, effective at step {told['effective']}")


def operate_naively(plan: Plan, progress: Progress) -> None:
    """Scale the latest value."""
    for number, moment in enumerate(MOMENTS, 1):
        reach(moment, progress)
        put(plan.address, {"lr": LR * FACTOR**number})
        say(progress, "operator scales lr")


class Ranks(NamedTuple):
    """What the ranks of one training left."""

    lr: NDArray[np.float64]
    models: NDArray[np.float32]

    @classmethod
    def read(cls, plan: Plan, records: Sequence[Record]) -> Ranks:
        """Read what they left in the plan's directory."""
        looks = -(-plan.steps // EVERY)
        files = [np.fromfile(models(plan, rank), np.float32) for rank in range(RANKS)]
        return cls(np.array([r.lr for r in records]), np.array(files).reshape(RANKS, looks, -1))

    def drawn(self, name: str) -> Training:
        """Return what the picture shows of them."""
        values = sorted({float(value) for value in self.lr.ravel()}, reverse=True)
        switches = [self._switch(*pair) for pair in pairwise(values)]
        apart = np.ptp(self.models, axis=0).max(axis=1)
        looks = [(look * EVERY, float(far)) for look, far in enumerate(apart)]
        return Training(
            name, switches, looks, len({model.tobytes() for model in self.models[:, -1]})
        )

    def _switch(self, before: float, after: float) -> Switch:
        return Switch(before, after, [int(np.argmax(lr <= after)) for lr in self.lr])


def with_rheostat(directory: Path) -> Training:
    """Train with values from a run."""
    directory.mkdir()
    parameters = {"lr": {"kind": "constant", "value": LR}}
    with Service(directory) as service, Client(service.url) as client:
        client.create_run("digits", parameters, total=STEPS)
        plan = Plan(STEPS, directory, service.url)
        ranks = Ranks.read(plan, Processes(plan, train, operate).records())
    return ranks.drawn("Rheostat")


def with_latest_values(directory: Path) -> Training:
    """Train with the latest value."""
    directory.mkdir()
    with latest_values({"lr": LR, "weight_decay": WEIGHT_DECAY}) as address:
        plan = Plan(STEPS, directory, address)
        ranks = Ranks.read(plan, Processes(plan, train_naively, operate_naively).records())
    return ranks.drawn("Polling the latest value")


def main() -> None:
    """Train twice, and write the picture."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as directory:
        trainings = [with_rheostat(Path(directory, "a")), with_latest_values(Path(directory, "b"))]
    for training in trainings:
        print(training.name, training.switches, max(far for _, far in training.apart), sep="\n")
    Path(sys.argv[1]).write_text(picture(trainings, STEPS))


if __name__ == "__main__":
    main()
