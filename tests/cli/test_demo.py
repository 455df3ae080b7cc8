"""`rheostat demo` shows what it promises, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tests import waiting

from rheostat import Client, Run, scale
from rheostat.cli.commands.demo import Demo
from rheostat.cli.commands.demo_agent import watch
from rheostat.cli.commands.demo_page import (
    BEGUN,
    GPT,
    GPT_LOSS,
    PACE,
    RATE,
    SPECIFICATION,
    Past,
    Training,
    perform,
)
from rheostat.cli.commands.demo_processes import Server, kill
from rheostat.cli.views.screen import Screen
from rheostat.errors import TooLate

COMMAND = [sys.executable, "-m", "rheostat.cli", "demo", "--seconds", "10"]


def descendants(process: subprocess.Popen[str]) -> list[int]:
    """Return the processes that the demo has started and that are still there."""
    children: list[int] = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
        except (OSError, ValueError):
            continue
        if fields["PPid"] == str(process.pid):
            children.append(int(fields["Pid"]))
    return children


def gone(pid: int) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def test_every_worker_switches_at_the_announced_step(tmp_path: Path) -> None:
    """Two changes and a kill -9: all switch together, and every value is in the ledger (P1, P2)."""
    done = subprocess.run(
        [*COMMAND, "--workers", "2", "--json"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    for change in result["changes"]:
        assert change["switched"] == [change["effective"]] * 2
    assert len(result["changes"]) == 2
    assert result["checked"] == 2 * result["end"] > 1000
    assert (result["differing"], result["agreed"]) == (0, True)
    assert "kill -9" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_was_settled_meanwhile_is_chosen_anew(tmp_path: Path) -> None:
    """
    The operator of the demo never loses the race for a step against the workers' blocks.

    Each time it has looked where the run is, the workers take as many steps as a block can have.
    """
    with ExitStack() as stack, Client(serve(stack, tmp_path)) as client:
        client.create_run("demo", {"lr": {"kind": "constant", "value": 0.1}})
        worker, show = client.run("demo"), Demo(tmp_path, 25, stack, Screen())
        operator = Overtaken(client.control("demo"), worker)
        show.operator = operator  # type: ignore[assignment]
        show.change_later()
        (change,) = show.changes
        assert worker.show()["settled_until"] <= change["effective"]
    assert operator.refusals == 3


class Overtaken:
    """An operator who is overtaken three times between a look at the run and a change of it."""

    def __init__(self, control: Any, worker: Run) -> None:
        self.control, self.worker, self.refusals = control, worker, 0

    def show(self) -> Any:
        """Look where the run is."""
        return self.control.show()

    def change(self, *arguments: Any, effective: int, **options: Any) -> Any:
        """Change it, too late three times."""
        if self.refusals < 3:
            count = effective + 1 - self.show()["settled_until"]
            self.worker.block(self.show()["settled_until"], count)
        try:
            return self.control.change(*arguments, effective=effective, **options)
        except TooLate:
            self.refusals += 1
            raise


def serve(stack: ExitStack, folder: Path) -> str:
    server = Server(folder)
    stack.callback(lambda: kill(server.process))
    return server.url


@pytest.mark.long
def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    """After Ctrl-C in its middle no process and no file of the demo is left."""
    with subprocess.Popen(
        COMMAND,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "spike" in line:
                break
        started = descendants(process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")
    assert len(started) == 5
    deadline = time.monotonic() + 30
    while not all(map(gone, started)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in started if not gone(pid)] == []
    assert list(tmp_path.iterdir()) == []


@contextmanager
def page(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `rheostat demo --page` with two ranks, and yield it with its address."""
    options = ("--page", "--workers", "2", "--json")
    process = subprocess.Popen(
        [*COMMAND[:4], *options],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        yield process, json.loads(process.stdout.readline())["url"]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


until = partial(waiting.until, within=120)


@pytest.mark.long
def test_the_page_has_something_to_do(tmp_path: Path) -> None:
    """One finds a training under way, a fork, a stuck run and a finished one; and they obey."""
    with page(tmp_path) as (process, url), Client(url, author="ann") as client:
        runs = {run["name"]: run for run in client.runs()}
        assert runs.keys() == {"gpt-16", "gpt-16-decay", "resnet-50", "vit-large"}
        assert runs["resnet-50"]["state"] == "finished"
        gpt = client.control("gpt-16")
        until(lambda: gpt.workers()["alive"] == 2)
        until(lambda: client.control("gpt-16-decay").workers()["alive"] == 2)
        told = gpt.signal("checkpoint", arguments={"tag": "mine"})
        until(lambda: len(gpt.outcomes(told)) == 2)
        assert {each["outcome"] for each in gpt.outcomes(told)} == {"done"}
        assert gpt.checkpoints()[0]["tag"] == "mine"
        gpt.rewind(1_700, {"lr": scale(0.5)}, message="before it gets hard")
        until(lambda: (gpt.workers()["first"] or 0) > 1_700)
        state = gpt.show()
        assert (state["generation"], state["attention"]) == (2, [])
        until(lambda: client.control("vit-large").show()["state"] == "stuck")
        children = descendants(process)
    until(lambda: all(map(gone, children)))
    assert list(tmp_path.iterdir()) == []


def test_the_agent_of_the_page_proposes_once_the_loss_rises(tmp_path: Path) -> None:
    """With --agent, a proposal waits at the first validation after the loss has begun to rise."""
    said: list[str] = []
    with ExitStack() as stack:
        client = stack.enter_context(Client(url := serve(stack, tmp_path), author="ann"))
        client.create_run(GPT, {"lr": RATE, "weight_decay": 0.1}, **SPECIFICATION)
        past = Past(client, GPT, GPT_LOSS)
        past.train(BEGUN)
        pace = 20 * PACE  # what takes a minute to look at
        largest = Training(url, GPT, 1, pace, GPT_LOSS, BEGUN, said.append, past.saved)
        threads = [
            watch(url, said.append),
            Thread(target=asyncio.run, args=(perform([largest], 60),), daemon=True),
        ]
        threads[1].start()
        gpt = client.control(GPT)
        until(gpt.proposals)
        (proposal,) = gpt.proposals()
        assert proposal["author"] == "agent"
        assert proposal["body"]["changes"] == {"lr/*": {"edit": "scale", "factor": 0.5}}
        assert "val_loss is" in proposal["message"]
        done = gpt.accept(proposal["proposal"])
        assert gpt.revision(done["revision"])["author"] == "agent"  # type: ignore[arg-type]
        gpt.delete()
        for thread in threads:
            thread.join(timeout=60)
    assert any("propose_change: proposal 1" in line for line in said)
    assert "gpt-16 was deleted" in said


def test_an_agent_without_a_page_is_refused() -> None:
    """Whoever wants an agent in the other demo is told where it is."""
    done = subprocess.run([*COMMAND, "--agent"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--page" in done.stderr


def test_a_halved_rate_calms_the_loss() -> None:
    """The loss rises within half a minute from where it gets hard, and is itself again as soon."""
    from rheostat.cli.commands.demo_page import HARD, Loss
    from rheostat.schedules import evaluate

    rates = evaluate(RATE, range(HARD, HARD + 1000))
    steps = int(30 * PACE)
    loss, calm = GPT_LOSS, GPT_LOSS
    for step, rate in enumerate(rates[:steps], HARD):
        loss = loss.after(step, rate)
    assert loss.at(HARD + steps) > 2 * calm.at(HARD + steps)
    for step, rate in enumerate(rates[steps : 2 * steps], HARD + steps):
        loss = loss.after(step, rate / 2)
    assert loss.at(HARD + 2 * steps) == calm.at(HARD + 2 * steps)
    assert Loss("gpt").after(7, 1e9) == Loss("gpt")
