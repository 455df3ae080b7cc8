"""`rheostat demo`: a server, workers, two changes and a crash, and the check that all agree."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal

import typer

from rheostat.cli import options
from rheostat.cli.commands.demo_processes import Server, Worker, kill
from rheostat.cli.failures import reported
from rheostat.cli.results import Result
from rheostat.cli.views import text
from rheostat.cli.views.screen import Screen, left, right
from rheostat.errors import RheostatError, TooLate

NAME = "demo"
PACE = 0.004
"""Seconds that a step takes the first worker; each further one is 3 % slower."""
TAIL = {"kind": "cosine", "start": 0.02, "end": 0.001, "steps": 2000, "clock": "change"}


def demo(
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            min=10,
            max=86_400,
            help="About how long it takes: 25, or with --page until Ctrl-C.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=16, help="Workers: 4, or 16 with --page.", show_default=False
        ),
    ] = None,
    page: Annotated[
        bool, typer.Option("--page", help="Serve runs to look at in a browser instead.")
    ] = False,
    agent: Annotated[
        bool,
        typer.Option("--agent", help="With --page: have an agent look on, and propose what to do."),
    ] = False,
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Of the page; 0 takes a free one.")
    ] = 0,
    as_json: options.AsJson = False,
) -> None:
    """
    Watch it work: live changes and a crash, with every value checked.

    \b
    rheostat demo --seconds 30 --workers 8
    rheostat demo --page --port 8000

    Starts a server on a temporary file and worker processes that read the learning rate at every
    step. An operator changes it twice; in between the server is killed with -9 and started again.
    In the end every value that a worker used is compared with the ledger, bit for bit. Exits with
    1 if one differs, or if a worker switched at another step than the others.

    With --page the operator is you: open the address that it prints. It serves a simulated training
    of 16 ranks whose loss is about to rise, a fork of it, a run whose workers are gone, and one
    that is done. All of it is gone after Ctrl-C. With --agent a script sits behind the tools of
    agents, where a model could: once the loss rises it proposes to halve the rate, and you accept
    it or decline.
    """
    if agent and not page:
        raise typer.BadParameter("an agent looks on with --page", param_hint="--agent")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with reported(as_json=as_json):
        if page:
            screen = Screen(error=as_json)
            draw = _draw_ready_with_agent if agent else _draw_ready
            with _served_page(port, workers or 16, screen, agent=agent) as (url, go_on):
                Result({"url": url}, draw).give(as_json=as_json)
                go_on(seconds)
            return
        result = _result_of(seconds or 25, workers or 4, Screen(error=as_json))
        Result(result, _draw).give(as_json=as_json)
    raise typer.Exit(0 if result["agreed"] else 1)


@contextmanager
def _served_page(
    port: int, ranks: int, screen: Screen, *, agent: bool
) -> Iterator[tuple[str, Callable[[float | None], None]]]:
    """Serve the page with its runs; yield its address, and what trains until it is ended."""
    import asyncio

    from rheostat.cli.commands.demo_agent import watch
    from rheostat.cli.commands.demo_page import Stage, perform

    def say(line: str) -> None:
        screen.line((line, "dim"))

    with tempfile.TemporaryDirectory(prefix="rheostat-demo-") as folder, ExitStack() as stack:
        server = Server(Path(folder), port)
        stack.callback(lambda: kill(server.process))
        trainings = Stage(server.url, ranks, say).set()
        if agent:
            watch(server.url, say)
        yield server.url, lambda seconds: asyncio.run(perform(trainings, seconds))


def _draw_ready(
    screen: Screen, ready: dict[str, Any], what: str = "halve its learning rate"
) -> None:
    from rheostat.cli.commands.demo_page import GPT, HARD

    screen.line((f"{ready['url']}/", "bold"), "  is the page: open it in a browser")
    screen.line(f"At step {HARD:,} the loss of {GPT} begins to rise: {what}.")
    screen.line(("Ctrl-C ends it all.", "dim"))


def _draw_ready_with_agent(screen: Screen, ready: dict[str, Any]) -> None:
    _draw_ready(screen, ready, "an agent then proposes what to do, and you decide")


def _result_of(seconds: float, workers: int, screen: Screen) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="rheostat-demo-") as folder, ExitStack() as stack:
        show = Demo(Path(folder), seconds, stack, screen)
        show.begin(workers)
        show.change_now()
        show.crash()
        show.change_later()
        return show.finish()


class Demo:
    """The run of the demo: what was changed in it, and what each worker saw."""

    def __init__(self, folder: Path, seconds: float, stack: ExitStack, screen: Screen) -> None:
        self.folder, self.stack, self.seconds = folder, stack, seconds
        self.screen, self.began, self.lock = screen, time.monotonic(), Lock()
        self.workers: list[Worker] = []
        self.changes: list[dict[str, Any]] = []
        self.plan = {"kind": "cosine", "start": 0.1, "end": 0.001, "steps": int(seconds / PACE)}
        self.stages = _stages(self.plan)

    def begin(self, count: int) -> None:
        """Start the server, create the run, start the workers."""
        from rheostat.client import Client  # httpx loads slowly

        self.server = Server(self.folder)
        self.stack.callback(lambda: kill(self.server.process))
        self.say("server", f"serves {self.server.url}, process {self.server.process.pid}")
        client = self.stack.enter_context(Client(self.server.url, author="operator"))
        client.create_run(NAME, {"lr": self.plan})
        self.operator = client.control(NAME)
        self.say("operator", f"creates run {NAME}: lr {text.definition(self.plan)}")
        for rank in range(count):
            self.workers.append(self._worker(rank))
        self.until(lambda: all(len(worker.values) > 100 for worker in self.workers))
        self.say("workers", f"train, {count} processes, about {1 / PACE:.0f} steps each second")
        self.wait(0.1)

    def _worker(self, rank: int) -> Worker:
        pace = PACE * (1 + 0.03 * rank)
        arguments = (self.server.url, NAME, str(pace), str(2 * self.seconds / 25))
        worker = Worker(f"worker {rank}", arguments, self.folder, self.saw)
        self.stack.callback(lambda: kill(worker.process))
        return worker

    def saw(self, worker: Worker) -> None:
        """Notice the step at which a worker's value leaves the curve that it followed so far."""
        stage, step = len(worker.switched), len(worker.values) - 1
        if stage < len(self.stages) and worker.values[step] != self.stages[stage][step]:
            before, after = self.stages[stage][step], worker.values[step]
            worker.switched.append(step)
            arrow = f"lr {text.short(before)} → {text.short(after)}"
            self.say(worker.name, f"switches at step {text.count(step)}: {arrow}")

    def change_now(self) -> None:
        """Halve the learning rate, at the next open step."""
        self.change({"edit": "scale", "factor": 0.5}, "loss spike", effective="next")

    def change_later(self) -> None:
        """
        Go over to another curve, at a step that the operator chooses.

        Workers may fetch a block in the meantime and settle that step; then a later one is chosen.
        """
        step, lead = self.operator.show()["settled_until"], int(1 / PACE)
        while True:
            try:
                return self.change(TAIL, "cool down", effective=step + lead)
            except TooLate as late:
                step, lead = late.members["earliest"], 2 * lead

    def change(
        self, change: dict[str, Any], message: str, *, effective: int | Literal["next"]
    ) -> None:
        """Change the run, and wait until every worker has switched."""
        made = self.operator.change({"lr": change}, message=message, effective=effective)
        words = f"lr {text.change(change)}"
        self.changes.append({**made, "words": words})
        self.say("operator", f"{words}, “{message}”: the workers are at {self.places()}")
        self.say("server", f"revision {made['revision']} at step {text.count(made['effective'])}")
        stage = len(self.changes)
        self.until(lambda: all(len(worker.switched) >= stage for worker in self.workers))

    def crash(self) -> None:
        """Kill the server, and start it again after a while."""
        self.wait(0.03)
        kill(self.server.process)
        self.say("crash", f"kill -9 {self.server.process.pid}: the workers are at {self.places()}")
        self.wait(0.12)
        self.say("workers", f"went on with what is settled, and are at {self.places()}")
        self.server.restart()
        self.say("server", f"is back, process {self.server.process.pid}")
        self.wait(0.03)

    def finish(self) -> dict[str, Any]:
        """Close the run where the workers are, and compare what they used with the ledger."""
        self.wait(0.03)
        end = self.operator.finish(message="done")["end"] or 0
        self.say("operator", f"finishes the run before step {text.count(end)}")
        for worker in self.workers:
            worker.join(timeout=self.seconds + 30)
        ledger = [value for part in self.operator.ledger() for value in part["values"]["lr"]]
        return _result(self.changes, self.workers, ledger, end)

    def say(self, who: str, what: str) -> None:
        """Print who does what, and when."""
        elapsed = f"{time.monotonic() - self.began:5.1f} s  "
        with self.lock:
            self.screen.line((elapsed, "dim"), (f"{who:10}", "bold"), what)

    def places(self) -> str:
        """Write the steps at which the workers are."""
        return ", ".join(text.count(len(worker.values)) for worker in self.workers)

    def wait(self, share: float) -> None:
        """Let a share of the demo's time pass; fail if a worker ends meanwhile."""
        stop = time.monotonic() + share * self.seconds
        self.until(lambda: time.monotonic() >= stop)

    def until(self, met: Callable[[], bool]) -> None:
        """Wait for a condition; fail if a worker ends, or after a minute and the demo's time."""
        give_up = time.monotonic() + self.seconds + 60
        while not met():
            for worker in self.workers:
                if worker.process.poll() is not None:
                    worker.join(timeout=1)
            if time.monotonic() > give_up:
                raise RheostatError(f"the workers are stuck at steps {self.places()}")
            time.sleep(0.02)


def _stages(plan: dict[str, Any]) -> list[list[float]]:
    """Return the curves that the workers follow before each of the two changes."""
    from rheostat.schedules import evaluate  # NumPy loads slowly

    steps = range(10 * plan["steps"])
    halved = {"kind": "scale", "of": plan, "factor": 0.5}
    return [evaluate(plan, steps).tolist(), evaluate(halved, steps).tolist()]


def _result(
    changes: Sequence[dict[str, Any]], workers: Sequence[Worker], ledger: Sequence[float], end: int
) -> dict[str, Any]:
    differing = sum(
        used.hex() != recorded.hex()
        for worker in workers
        for used, recorded in zip(worker.values, ledger, strict=False)
    )
    rows = [
        {
            "change": change["words"],
            "revision": change["revision"],
            "effective": change["effective"],
            "switched": [worker.switched[index] for worker in workers],
        }
        for index, change in enumerate(changes)
    ]
    trained = [len(worker.values) for worker in workers]
    same_step = all({row["effective"]} == set(row["switched"]) for row in rows)
    return {
        "changes": rows,
        "end": end,
        "trained": trained,
        "checked": sum(trained),
        "differing": differing,
        "agreed": same_step and not differing and set(trained) == {end} and len(ledger) >= end,
    }


def _draw(screen: Screen, result: dict[str, Any]) -> None:
    names = [right(f"WORKER {rank}") for rank in range(len(result["trained"]))]
    rows = [
        (
            f"{row['change']}",
            text.count(row["effective"]),
            *(text.count(step) for step in row["switched"]),
        )
        for row in result["changes"]
    ]
    ends = map(text.count, (result["end"], *result["trained"]))
    screen.line()
    screen.table([left("FIRST STEP OF"), right("ANNOUNCED"), *names], [*rows, ("the end", *ends)])
    screen.line()
    screen.pairs(
        ("values checked against the ledger", text.count(result["checked"])),
        ("of them different, bit for bit", text.count(result["differing"])),
    )
    if not result["agreed"]:
        screen.line()
        screen.line(("The workers do not agree: this is a defect of Rheostat.", "red"))
