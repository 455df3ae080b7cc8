"""
A distributed training with an agent: it proposes, changes, is refused, and all of it is undone.

Four ranks (`torch.distributed`, gloo) train a network of 27 layers on images of handwritten digits,
each layer with a learning rate of its own, ``lr/l00`` to ``lr/l26``. For a hundred steps the labels
are wrong, as from a broken shard. An agent, a script behind the tools that agents have, sees the
loss on other images rise and takes it for a spike::

    python examples/ddp_agent.py

* With a proposer's token it can only propose to halve all rates. An operator accepts, and hands it
  a token that may change the run within a limit: twice a day, 40 steps apart, learning rates, by
  scaling, by a factor of 2 at most.
* It halves them; is refused a change that is too near to that one, and takes the step that the
  refusal names; is refused a third one, and proposes it.
* The operator has found the shard: declines, takes back all that the agent did in one change, and
  revokes its token. From there on the values are the planned ones again.

It trains twice. The second time the ranks and the agent are slower, and the service is killed with
``-9`` at another moment: once while the agent thinks, and once while the ranks train. Both
trainings must have the same history (revisions, steps, changes, who, why), the same proposals and
refusals, the same ledger, and one model, bit for bit; every rank must have used the ledger's
values.

An agent never holds up a training: left alone, it looks after each report (`Agent.follow`), and
what it decides lands where the run is by then. Here both trainings have to decide alike, on a
machine however busy, with a service that is away for seconds; steps chosen far ahead would be too
late one day. So the operator holds the run at each report, has the agent look, and lets it go on to
the next: what is seen depends on the reports alone, and ``next`` is the step of the report.

Needs PyTorch and scikit-learn. The exit code is 1 if a promise is broken.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import signal
import sys
import tempfile
import time
from array import array
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import distributed
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from digits.deep import LAYERS, NAMES, DeepNetwork
from digits.looked_after import AGENTS, EVERY, LIMIT, RUN, STEPS, Act, Day, Timing
from digits.network import batches, digits, weights
from digits.plan import RANKS, Plan
from digits.processes import Training
from digits.service import Service
from rheostat import Client
from rheostat.schedules import evaluate
from rheostat.torch import RheostatLR

BROKEN = range(60, 160)  # steps with wrong labels
RATE, DECAY = 0.03, 0.97  # of the last layer, and from each layer to the one before it
PARAMETERS = {
    f"lr/{name}": {
        "kind": "cosine",
        "start": RATE * DECAY ** (LAYERS - 1 - number),
        "end": RATE / 100,
        "steps": STEPS,
    }
    for number, name in enumerate(NAMES)
}
SPECIFICATION: dict[str, Any] = {
    "total": STEPS,
    "max_block": 16,
    "about": "27 layers, each with a learning rate of its own.",
    "goal": {"metric": "val_loss", "direction": "min"},
}
TIMINGS = (Timing(kill_at=100, rest=0, think=0), Timing(kill_at=107, rest=0.002, think=0.1))
PROMISED = [
    Act(80, "propose_change", "proposed"),
    Act(100, "change", "from 100"),
    Act(120, "change", "refused: effective"),
    Act(120, "change", "from 140"),
    Act(160, "change", "refused: changes"),
    Act(160, "propose_change", "proposed"),
]
"""What the agent calls at which report, and what comes of it."""
FACTORS = {0: 1.0, 80: 0.5, 100: 0.25, 140: 0.125, 160: 1.0}
"""What all of it makes of the planned rates, from which step on."""
REVISION = (
    *("revision", "generation", "kind", "effective", "changes", "author", "message"),
    *("forced", "cancelled", "cause", "data"),
)
PROPOSAL = (
    *("proposal", "kind", "body", "author", "message", "state", "revision", "decided_by"),
    "reason",
)
"""What of revisions and proposals is compared: all but the times of the day."""


class Used(NamedTuple):
    """What a rank used in each step, and what it ended with."""

    rates: dict[str, array[float]]
    model: str


def train(timing: Timing, token: str, rank: int, plan: Plan, progress: Any) -> None:
    """Train as one of the ranks."""
    logging.basicConfig(format=f"rank {rank}: %(message)s", level=logging.ERROR)
    torch.set_num_threads(1)
    meeting = f"file://{plan.directory}/ranks"
    distributed.init_process_group("gloo", meeting, rank=rank, world_size=RANKS)
    images, test_images = digits()
    model = DistributedDataParallel(DeepNetwork())
    optimizer = torch.optim.SGD(model.module.groups(), RATE, 0.9)
    client = Client(plan.address, token=token, lookahead=0.5, deadline=120)
    run = client.run(RUN)
    scheduler = RheostatLR(optimizer, run)
    rates = {f"lr/{name}": array("d") for name in NAMES}
    for step, batch in zip(range(STEPS), batches(images, rank, RANKS), strict=False):
        for group in optimizer.param_groups:
            rates[f"lr/{group['name']}"].append(group["lr"])
        labels = (batch.labels + 1) % 10 if step in BROKEN else batch.labels
        optimizer.zero_grad()
        cross_entropy(model(batch.images), labels).backward()
        optimizer.step()
        time.sleep(timing.rest * rank)
        if rank == 0 and (step + 1) % EVERY == 0:
            with torch.no_grad():
                loss = cross_entropy(model.module(test_images.images), test_images.labels)
            run.report(step + 1, {"val_loss": float(loss)}, wait=True)
        progress[rank] = step + 1
        scheduler.step()
    used = Used(rates, hashlib.sha256(weights(model)).hexdigest()[:12])
    plan.record_of(rank).write_bytes(pickle.dumps(used))
    client.close()
    distributed.destroy_process_group()


class Trained(NamedTuple):
    """One training: what the agent did, what the service says of it, and what the ranks used."""

    acts: list[Act]
    refused: int
    history: list[dict[str, Any]]
    proposals: list[dict[str, Any]]
    ledger: dict[str, bytes]
    used: list[Used]

    def broken(self) -> list[str]:
        """Return the promises that this training breaks."""
        columns = [
            (used.rates[name], self.ledger[name]) for used in self.used for name in PARAMETERS
        ]
        differing = sum(rates.tobytes() != column for rates, column in columns)
        kept = {
            f"the agent did {self.acts}": self.acts == PROMISED,
            f"the service counts {self.refused} refusals": self.refused == 2,
            "the ledger is not the plan times what was decided": self.ledger == expected(),
            f"{differing} columns that ranks used are not the ledger's": differing == 0,
            "the ranks have different models": len({used.model for used in self.used}) == 1,
        }
        return [sentence for sentence, is_kept in kept.items() if not is_kept]

    def unlike(self, other: Trained) -> list[str]:
        """Return in what another training differs."""
        pairs = {
            "histories": (self.history, other.history),
            "proposals": (self.proposals, other.proposals),
            "calls": (self.acts, other.acts),
            "ledgers": (self.ledger, other.ledger),
            "models": (self.used[0].model, other.used[0].model),
        }
        return [f"the {what} differ" for what, (one, two) in pairs.items() if one != two]


def expected() -> dict[str, bytes]:
    """Return the planned rates times what was decided: by powers of two, so to the last bit."""
    stretches = zip(pairwise([*FACTORS, STEPS]), FACTORS.values(), strict=True)
    factors = [factor for (begin, end), factor in stretches for _ in range(begin, end)]
    planned = {name: evaluate(each, range(STEPS)) for name, each in PARAMETERS.items()}
    return {name: (values * factors).tobytes() for name, values in planned.items()}


def trained(directory: Path, timing: Timing) -> Trained:
    """Train with an agent, and with a service that dies on the way."""
    directory.mkdir()
    with ExitStack() as stack:
        service = stack.enter_context(Service(directory, auth=True))

        def client(token: str) -> Client:
            return stack.enter_context(Client(service.url, token=token, retries=30))

        admin = client(service.admin)
        tokens = admin.tokens
        ranks = tokens.create("ranks", "worker")["token"]
        ann = client(tokens.create("ann", "operator")["token"])
        scout = client(tokens.create(AGENTS[0], "proposer")["token"])
        tuner = client(tokens.create(AGENTS[1], "operator", limit=LIMIT)["token"])
        ann.create_run(RUN, PARAMETERS, **SPECIFICATION)
        ann.control(RUN).pause(effective=EVERY, message="to the first report")
        plan = Plan(STEPS, directory, service.url)
        training = Training(plan, partial(train, timing, ranks))
        day = Day(
            timing,
            service,
            training,
            {"admin": admin, "ann": ann, AGENTS[0]: scout, AGENTS[1]: tuner},
        )
        day.go()
        used: list[Used] = training.records()
        run = admin.control(RUN)
        history = [picked(each, REVISION) for each in run.history()]
        proposals = [picked(each, PROPOSAL) for each in run.proposals()]
        segments = run.ledger(stop=STEPS)
    ledger = {
        name: array("d", [v for s in segments for v in s["values"][name]]).tobytes()
        for name in PARAMETERS
    }
    return Trained(day.acts, day.refused, history, proposals, ledger, used)


def picked(found: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """Return some of the fields of an answer."""
    return {key: found[key] for key in keys}


def show(both: Sequence[Trained]) -> None:
    """Print what changed the rates, and what each rank used."""
    print("\nrevision   from step   by      change")
    for each in both[0].history:
        if each["kind"] == "change":
            edits = {json.dumps(edit) for edit in each["changes"].values()}
            change = f"{len(each['changes'])} rates, each {' or '.join(edits)}"
            print(f"{each['revision']:8}   {each['effective']:9}   {each['author']:6}  {change}")
    print(f"\ntraining   rank   values of {len(PARAMETERS)} rates   model")
    for number, training in enumerate(both, 1):
        for rank, used in enumerate(training.used):
            values = sum(map(len, used.rates.values()))
            print(f"{number:8}   {rank:4}   {values:18,}   {used.model}")
    print()


def main() -> int:
    """Train twice, and compare."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is stopped too
    with tempfile.TemporaryDirectory() as folder:
        both = [
            trained(Path(folder) / str(number), timing) for number, timing in enumerate(TIMINGS)
        ]
    show(both)
    broken = [
        f"training {number}: {each}"
        for number, training in enumerate(both, 1)
        for each in training.broken()
    ]
    broken += both[0].unlike(both[1])
    if broken:
        print("\n".join(["PROMISES ARE BROKEN:", *broken]))
        return 1
    print(
        "The agent proposed, changed within its limit, was refused past it, and was undone: twice"
        "\nthe same, with one history, one ledger and one model, bit for bit, whenever the service"
        "\nwas killed."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
