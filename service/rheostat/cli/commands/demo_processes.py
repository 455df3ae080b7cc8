"""
The processes of `rheostat demo`: a real server that can be killed, and real workers.

Run as a module, this is one worker, which does what a trainer would do.
"""

from __future__ import annotations

import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

from rheostat.errors import RheostatError

READY = re.compile(r"serves (http://\S+)")


def start(module: str, *arguments: str, log: Path) -> subprocess.Popen[str]:
    """Start a Python module in a process group of its own, so that Ctrl-C reaches us alone."""
    with log.open("a") as errors:
        return subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, "-m", module, *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a process and its children at once, as ``kill -9`` does."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield what a process prints, until it ends."""
    if process.stdout is not None:
        yield from process.stdout


class Server:
    """`rheostat serve` on a file; killed, it can be started again on the same port."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self._folder = folder
        self.process = self._start(f"{port}")
        self.url = self._ready()

    def restart(self) -> None:
        """Start the killed server again."""
        self.process = self._start(self.url.rpartition(":")[2])
        self._ready()

    def _start(self, port: str) -> subprocess.Popen[str]:
        database = f"sqlite:///{self._folder / 'demo.db'}"
        options = ("--port", port, "--database", database)
        return start("rheostat.cli", "serve", *options, log=self._folder / "server.log")

    def _ready(self) -> str:
        for line in lines(self.process):
            if found := READY.search(line):
                return found[1]
        log = (self._folder / "server.log").read_text(errors="replace")
        raise RheostatError(f"the server did not start:\n{log[-2000:]}")


class Worker:
    """A process that trains, and what it was given at each step, in order."""

    def __init__(
        self, name: str, arguments: tuple[str, ...], folder: Path, saw: Callable[[Worker], None]
    ) -> None:
        self.name = name
        self.values: list[float] = []
        self.switched: list[int] = []
        """The steps at which its values left the curve that they followed so far."""
        self.log = folder / f"{name.replace(' ', '-')}.log"
        self.process = start("rheostat.cli.commands.demo_processes", *arguments, log=self.log)
        self._saw = saw
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def join(self, timeout: float) -> None:
        """Wait until it has trained to the end of the run."""
        self._reader.join(timeout)
        if self._reader.is_alive() or self.process.wait() != 0:
            said = self.log.read_text(errors="replace")
            raise RheostatError(f"{self.name} did not reach the end of the run:\n{said[-2000:]}")

    def _read(self) -> None:
        for line in lines(self.process):
            self.values.append(float.fromhex(line))
            self._saw(self)


def train(url: str, name: str, seconds_per_step: float, lookahead: float) -> None:
    """
    Train until the run is finished, reading the learning rate at every step.

    Prints one line per step, from step 0 on: the value in hexadecimal, every bit of it.
    """
    from rheostat.client import Client  # httpx loads slowly
    from rheostat.errors import Finished

    with Client(url, lookahead=lookahead) as client:
        run, step = client.run(name), 0
        while True:
            try:
                value = run.value("lr", step)
            except Finished:
                return
            print(value.hex(), flush=True)
            time.sleep(seconds_per_step * random.uniform(0.8, 1.2))
            step += 1


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    train(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
