"""
Programs in processes of their own, without what each would load anew.

A test session starts some hundreds of servers, and each would spend most of its first seconds of a
processor with imports. So one process loads what they all import and nothing else, and forks: what
runs in a fork is what ``python FILE`` would run, with its own environment, output and group.
"""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.util  # at whose end every process is waited for: `_kill` comes before it
import os
import runpy
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

IMPORTED: Final = ["rheostat.server.serve", "rheostat.server.app", "tests.hostile.measure"]

FORKS: Final = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(IMPORTED)

_started: list[Program] = []


class Program:
    """A Python file that runs in a process group of its own."""

    def __init__(self, file: Path, environment: Mapping[str, str], log: Path) -> None:
        self.output = file.with_suffix(".out")
        self.output.write_text("")
        arguments = (file, dict(environment), self.output, log)
        self._process = FORKS.Process(target=_run, args=arguments)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        _started.append(self)

    def first_line(self) -> str:
        """Return the first line that it prints, or what there is of it when it ends."""
        while True:
            running = self.poll() is None
            line, end, _ = self.output.read_text().partition("\n")
            if end or not running:
                return line + end
            time.sleep(0.01)

    def poll(self) -> int | None:
        """Return its exit code, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """
        Wait for its end, and return its exit code.

        Raises:
            TimeoutError: if it does not end in time.

        """
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise TimeoutError(f"{self.pid} runs on after {timeout:g} s")
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


def _run(file: Path, environment: dict[str, str], output: Path, log: Path) -> None:
    """Become the program."""
    os.setsid()
    for path, descriptor in ((output, 1), (log, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [str(file)]
    runpy.run_path(str(file), run_name="__main__")


@atexit.register
def _kill() -> None:
    for program in _started:
        program.kill()
