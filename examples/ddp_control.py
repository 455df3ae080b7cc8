"""
A distributed training that listens: a plateau, a pause, a checkpoint and a stop, on every rank.

Four ranks (`torch.distributed`, gloo) train a small network on images of handwritten digits, with a
cosine. Rank 0 reports the loss on the other images; a *plateau* halves the learning rate when it
stands still, 100 steps after the report. An operator tells all ranks to save a checkpoint, holds
them for three times as long as their process group waits for a silent rank, and stops them. The
service is killed with ``-9`` on the way, and started again::

    python examples/ddp_control.py

It trains twice. The second time it goes at another speed, the operator acts at other steps, and the
service is killed at another one. Each rank must cut, save, hold and end at the step that the
history says, and both trainings must have the same values and one model, bit for bit: what a
plateau decides, with ``after``, depends on the metric alone.

Needs PyTorch and scikit-learn. The exit code is 1 if anything differs.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import tempfile
import time
from array import array
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import distributed
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from digits.heard import Heard, Holds, Told, Trained, cuts
from digits.network import accuracy, batches, digits, network, weights
from digits.plan import RANKS, WEIGHT_DECAY, Plan
from digits.processes import Progress, Training, reach, say
from digits.report import Record
from digits.service import Service
from rheostat import Client, plateau
from rheostat.torch import RheostatLR

STEPS, STOP = 480, 420  # as planned, and as the operator ends it
EVERY = 20  # steps from one look at the validation loss to the next
AFTER = 100  # steps from a report to its cut: more than the two blocks that ranks may hold
BLOCK = 32
SPECIFICATION: dict[str, Any] = {
    "total": STEPS,
    "max_block": BLOCK,
    "signals": {"checkpoint": {"text": "save all ranks"}},
    "controllers": {
        "plateau": plateau(
            metric="val_loss", factor=0.5, patience=1, threshold=0.1, cooldown=2, after=AFTER
        )
    },
}
PARAMETERS = {
    "lr": {"kind": "cosine", "start": 0.1, "end": 0.01, "steps": STEPS},
    "weight_decay": {"kind": "constant", "value": WEIGHT_DECAY},
}


class Timing(NamedTuple):
    """What differs between the two trainings: seconds and steps."""

    timeout: float
    """How long the process group waits for a silent rank."""
    hold: float
    """How long the operator holds the training."""
    save_at: int
    pause_at: int
    kill_at: int | None
    """When the service is killed; None for while the ranks are held."""
    step: float
    """How long a rank rests in each step, times its number."""


TIMINGS = (
    Timing(timeout=4, hold=12, save_at=60, pause_at=140, kill_at=None, step=0),
    Timing(timeout=60, hold=1, save_at=170, pause_at=250, kill_at=100, step=0.002),
)


def train(timing: Timing, rank: int, plan: Plan, progress: Any) -> None:
    """Train as one of the ranks."""
    logging.basicConfig(format=f"rank {rank}: %(message)s", level=logging.ERROR)
    torch.set_num_threads(1)
    meeting = f"file://{plan.directory}/ranks"
    distributed.init_process_group("gloo", meeting, rank=rank, world_size=RANKS)
    images, test_images = digits()
    group = distributed.new_group(timeout=timedelta(seconds=timing.timeout))
    model = DistributedDataParallel(network(), process_group=group)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=WEIGHT_DECAY)
    holds = Holds()
    client = Client(plan.address, lookahead=0.5, deadline=120)
    run = client.run("digits", on_wait=holds.begins)
    scheduler = RheostatLR(optimizer, run, at_end="flag")
    batch = batches(images, rank, RANKS)
    saved: list[int] = []
    rates, decays = array("d"), array("d")

    def save_if_told() -> None:
        for word in scheduler.signals():
            step = scheduler.last_epoch
            state = {"model": model.module.state_dict(), "scheduler": scheduler.state_dict()}
            torch.save(state, plan.directory / f"rank{rank}-step{step}.pt")
            saved.append(step)
            run.outcome(word, "done", step=step, source=f"rank-{rank}")

    while not scheduler.ended:
        step = scheduler.last_epoch
        save_if_told()
        rates.append(optimizer.param_groups[0]["lr"])
        decays.append(optimizer.param_groups[0]["weight_decay"])
        mine = next(batch)
        optimizer.zero_grad()
        cross_entropy(model(mine.images), mine.labels).backward()
        optimizer.step()
        time.sleep(timing.step * rank)
        if rank == 0 and (step + 1) % EVERY == 0:
            # with wait=True no outage can make a decision late: it is told before the next update
            run.report(step + 1, {"val_loss": loss(model.module, test_images)}, wait=True)
        progress[rank] = step + 1
        scheduler.step()
        holds.ends()
    save_if_told()  # as the stop was sent with it
    run.flush()
    heard = Heard(cuts(rates), saved, holds.steps, scheduler.last_epoch, holds.longest)
    heard_of(plan, rank).write_bytes(pickle.dumps(heard))
    record = Record(rates, decays, weights(model.module), accuracy(model.module, test_images))
    plan.record_of(rank).write_bytes(pickle.dumps(record))
    client.close()
    distributed.destroy_process_group()


def loss(model: Any, data: Any) -> float:
    """Return the loss on images that are not trained on."""
    with torch.no_grad():
        return float(cross_entropy(model(data.images), data.labels))


def heard_of(plan: Plan, rank: int) -> Path:
    """Return the file in which a rank leaves what it heard."""
    return plan.directory / f"heard{rank}.pickle"


def operate(timing: Timing, plan: Plan, progress: Progress) -> None:
    """Have the ranks save, hold and end, as an operator."""
    run = Client(plan.address, author="operator", deadline=120).control("digits")
    reach(timing.save_at, progress)
    told = run.signal("checkpoint", message="before it is held")
    say(progress, f"operator asks for a checkpoint, told at step {told['effective']}")
    reach(timing.pause_at, progress)
    told = run.pause(message="a look at the data")
    say(progress, f"operator pauses the training, at step {told['effective']}")
    reach(told["effective"], progress)
    (plan.directory / "held").touch()
    time.sleep(timing.hold)
    run.stop(effective=STOP, signal="checkpoint", message="good enough")
    run.resume()
    say(progress, f"operator resumes after {timing.hold:g} s, to stop at step {STOP}")


def trained(directory: Path, timing: Timing) -> Trained:
    """Train with a service that dies on the way."""
    directory.mkdir()
    with Service(directory) as service, Client(service.url) as client:
        client.create_run("digits", PARAMETERS, **SPECIFICATION)
        plan = Plan(STEPS, directory, service.url)
        training = Training(plan, partial(train, timing), partial(operate, timing))
        if timing.kill_at is not None:
            training.reach(timing.kill_at)
        while timing.kill_at is None and not (directory / "held").exists():
            training.ranks.join(timeout=0.01)
        service.kill()
        say(training.progress, "server killed with -9")
        service.start()
        say(training.progress, "server started again")
        records = training.records()
        heard = [pickle.loads(heard_of(plan, rank).read_bytes()) for rank in range(RANKS)]  # noqa: S301 - our own
        return Trained(heard, records, told_by(client))


def told_by(client: Client) -> Told:
    """Return what the service says of the training."""
    run = client.control("digits")
    history = run.history()
    asked = [each["revision"] for each in history if each["kind"] in ("signal", "stop")]
    segments = run.ledger(stop=STOP)
    return Told(
        history,
        run.decisions("plateau"),
        [len(run.outcomes(revision)) for revision in asked],
        {name: [v for s in segments for v in s["values"][name]] for name in PARAMETERS},
    )


def main() -> int:
    """Train twice, and compare."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is stopped too
    with tempfile.TemporaryDirectory() as folder:
        both = [
            trained(Path(folder) / str(number), timing) for number, timing in enumerate(TIMINGS)
        ]
    for training in both:
        training.show()
    first, second = (training.told for training in both)
    for step, decision, effective in first.decided:
        print(f"report of step {step}: {decision}, effective at step {effective}")
    models = {record.checksum for training in both for record in training.records}
    ledgers = {pickle.dumps(told.ledger) for told in (first, second)}
    sound = (
        all(one.is_sound(timing.hold) for one, timing in zip(both, TIMINGS, strict=True))
        and first.decided == second.decided
        and len(models) == len(ledgers) == 1
    )
    print(
        "All ranks cut, saved, held and ended where the history says, and none hung. Both trainings"
        "\nhave the same cuts, the same ledger and one model, bit for bit."
        if sound
        else f"RANKS OR TRAININGS DIFFER: {len(ledgers)} ledgers, {len(models)} models; announced "
        f"were {first.announced} and {second.announced}."
    )
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
