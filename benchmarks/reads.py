"""
What a worker's reads cost, and whether it ever waits.

    python benchmarks/reads.py [rate]

**Look-ups.** A loop that does nothing else, of `Run.value`, of ``d["lr"][i]`` on a dictionary of
lists, and of the steps of schedulers for an SGD with one parameter group. All run in one process
and take turns of a thousand rounds, 300 each; the table has the best turn of each, for one round,
with the loop, which other work on the machine disturbs least. ``RheostatLR`` reads from a run whose
values are held, as they are in a training but for its first steps.

**Before an update.** What the adapter does in the optimizer's own hooks, for two parameters:
reading back what it wrote, listing it for the service, and, for ``attach``, looking it up and
writing it. Beside it a whole update of an AdamW with as many groups of one weight, the least that
an update costs.

**Import.** A fresh interpreter that imports httpx, or `rheostat.Client` (``import rheostat`` alone
loads neither). They take turns, 15 each; processor time of the best, with bytecode, as installed.

**Training.** 100,000 steps at 1,000 steps a second, or another rate, against a real server with
SQLite (``synchronous=FULL``); each step reads two parameters and then sleeps to its time. A
**stall** is a read after the first block that waited longer than one step lasts. The client is told
the pace. A second training, of 5,000 steps, is not: such a worker does not know its pace before its
second step, and until then holds two steps, as promised to operators (P5); so if the first request
of all takes longer than a step, so does the one after it. A wait ends with an answer; a read that
was late while none came did not wait, but its process did, for a processor.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import torch
from side_by_side import service
from torch.optim import lr_scheduler

from rheostat import Client, Run
from rheostat.torch import RheostatLR, attach

ROUNDS, TURNS = 1000, 300
STEPS, UNTOLD = 100_000, 5_000
BODY = {
    "parameters": {
        "lr": {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": STEPS},
        "weight_decay": {"kind": "constant", "value": 0.1},
    }
}


class Counting(httpx.HTTPTransport):
    """A transport that counts the requests that were answered."""

    requests = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        answer = super().handle_request(request)
        self.requests += 1
        return answer


def best(loops: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the nanoseconds of a round in the best turn of each loop."""
    times = dict.fromkeys(loops, float("inf"))
    for _ in range(TURNS):
        for name, loop in loops.items():
            began = time.perf_counter()
            loop()
            times[name] = min(times[name], time.perf_counter() - began)
    return {name: taken / ROUNDS * 1e9 for name, taken in times.items()}


def held(client: Client, name: str) -> Run:
    """Return a run that holds blocks of many steps, from a step on."""
    run = client.run(name, create=BODY)
    run.block(0, 4096)
    copy = client.run(name)
    copy.value("lr", 0)
    return copy


def lookups(run: Run) -> dict[str, Callable[[], Any]]:
    """Return the loops of look-ups."""
    d = {"lr": [0.5] * ROUNDS}

    def value() -> None:
        for step in range(ROUNDS):
            run.value("lr", step)

    def dictionary() -> None:
        for step in range(ROUNDS):
            d["lr"][step]

    return {"Run.value": value, 'd["lr"][i]': dictionary}


def schedulers(client: Client) -> dict[str, Callable[[], Any]]:
    """Return the loops of schedulers' steps."""
    made: dict[str, Callable[[Any], Any]] = {
        "RheostatLR": lambda o: RheostatLR(o, held(client, "stepped"), fields={"lr": "lr"}),
        "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS),
        "LinearLR": lambda o: lr_scheduler.LinearLR(o, 1.0, 0.1, STEPS),
        "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.99999),
        "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda _: 1.0),
        "StepLR": lambda o: lr_scheduler.StepLR(o, STEPS),
    }
    return {name: stepping(make) for name, make in made.items()}


def stepping(make: Callable[[Any], Any]) -> Callable[[], None]:
    """Return a loop of the steps of a scheduler, which starts over each time."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    optimizer.step()
    scheduler = make(optimizer)

    def loop() -> None:
        scheduler.last_epoch = 0
        for _ in range(ROUNDS):
            scheduler.step()

    return loop


def hooks(client: Client) -> dict[str, Callable[[], Any]]:
    """Return the loops of what is done before updates, and of updates without that."""
    found: dict[str, Callable[[], Any]] = {}
    for groups in (1, 4):
        names = f"{groups} group{'s' if groups > 1 else ''}"
        found[f"update, {names}"] = repeated(adamw(groups).step)
        scheduled, attached = adamw(groups), adamw(groups)
        scheduler = RheostatLR(scheduled, held(client, f"scheduled-{groups}"))
        attach(attached, held(client, f"attached-{groups}"))
        found[f"RheostatLR, {names}"] = repeated(partial(before_update, scheduled, scheduler))
        found[f"attach, {names}"] = repeated(partial(before_update, attached))
    return found


def adamw(groups: int) -> torch.optim.Optimizer:
    """Return an optimizer of some groups of one weight, all with gradients."""
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(groups)]
    for weight in weights:
        weight.grad = torch.ones(1)
    return torch.optim.AdamW([{"params": [weight]} for weight in weights], lr=1e-3)


def before_update(optimizer: torch.optim.Optimizer, scheduler: Any = None) -> None:
    """Call what is called before an update, of a scheduler that is kept alive meanwhile."""
    del scheduler
    for hook in optimizer._optimizer_step_pre_hooks.values():  # noqa: SLF001
        hook(optimizer, (), {})


def repeated(call: Callable[[], Any]) -> Callable[[], None]:
    """Return a loop of calls."""

    def loop() -> None:
        for _ in range(ROUNDS):
            call()

    return loop


def imports() -> dict[str, float]:
    """Return the milliseconds of processor time of imports."""
    programs = {"httpx": "import httpx", "rheostat.Client": "from rheostat import Client"}
    times = dict.fromkeys(programs, float("inf"))
    with tempfile.TemporaryDirectory() as folder:
        written = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        written["PYTHONPYCACHEPREFIX"] = folder
        for _ in range(15):
            for name, line in programs.items():
                program = (
                    f"import time; b = time.process_time()\n{line}\nprint(time.process_time() - b)"
                )
                command = [sys.executable, "-c", program]
                out = subprocess.run(command, env=written, check=True, capture_output=True)
                times[name] = min(times[name], float(out.stdout) * 1e3)
    return times


def train(url: str, rate: float, steps: int, pace: float | None) -> None:
    """Train, and print how long reads waited."""
    transport = Counting()
    with Client(url, transport=transport, pace=pace) as client:
        run = client.run(f"{steps}-steps", create=BODY)
        waits: list[tuple[int, float]] = []
        began = due = time.perf_counter()
        for step in range(steps):
            before, answered = time.perf_counter(), transport.requests
            run.value("lr", step)
            run.value("weight_decay", step)
            waited = time.perf_counter() - before
            if waited > 1 / rate and transport.requests > answered:
                waits.append((step, waited))
            due = max(due + 1 / rate, time.perf_counter())
            time.sleep(max(0.0, due - time.perf_counter()))
        seconds = time.perf_counter() - began
    shown = ", ".join(f"{wait * 1e3:.1f} ms at step {step}" for step, wait in waits[:12])
    print(f"\n{steps:,} steps, the pace {'untold' if pace is None else 'told'}")
    print(f"{steps / seconds:,.0f} steps/s, {transport.requests / seconds:.2f} requests/s")
    print(f"stalls: {sum(step > 0 for step, _ in waits)}; waits longer than a step: {shown}")


def table(title: str, times: dict[str, float], unit: str, of: str) -> None:
    """Print times, and their ratios to one of them."""
    print(f"\n{title:24}{unit:>10}{'ratio':>10}")
    for name, taken in times.items():
        print(f"{name:24}{taken:>10.1f}{taken / times[of]:>10.2f}")


def main() -> None:
    """Print the tables."""
    rate = float(sys.argv[1]) if sys.argv[1:] else 1000.0
    print(f"load average {os.getloadavg()[0]:.1f}")
    warnings.simplefilter("ignore")  # the schedulers miss an optimizer's steps
    with tempfile.TemporaryDirectory() as folder, service(folder) as server:
        with Client(server.url) as client:
            table("look-up", best(lookups(held(client, "looked-up"))), "ns", 'd["lr"][i]')
            table("scheduler.step()", best(schedulers(client)), "ns", "CosineAnnealingLR")
            table("before an update", best(hooks(client)), "ns", "update, 1 group")
        table("import", imports(), "ms", "httpx")
        train(server.url, rate, STEPS, rate)
        train(server.url, rate, UNTOLD, None)
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
