"""The supervisor of several workers, with real processes that end, hang and obey badly."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rheostat.server.supervisor import ended

PROGRAM = """
import logging, os, signal, socket, sys, time
from rheostat.server.supervisor import ALIVE, READY, Supervisor

def work(place, listeners, news):
    {work}

if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    listener = socket.create_server(("127.0.0.1", 0))
    ready = lambda: print("ready", flush=True)
    told = work, [listener], {workers}, ready, print
    supervisor = Supervisor(*told, health=2, grace=2, hopeless=3)
    served = supervisor.run()
    sys.exit(0 if served else 1)
"""


def supervise(folder: Path, work: str, workers: int = 1) -> subprocess.Popen[str]:
    """Start a supervisor of workers that do this."""
    program = folder / "program.py"
    program.write_text(PROGRAM.format(work=work, workers=workers))
    command = [sys.executable, str(program)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_workers_that_die_at_once_come_back_slowly(tmp_path: Path) -> None:
    """P13: a crash loop is a line for each death; starts are 0, 1, 2, 4 … 30 seconds apart."""
    process = supervise(tmp_path, "os.kill(os.getpid(), signal.SIGSEGV)")
    time.sleep(6)
    process.terminate()
    _, said = process.communicate(timeout=30)
    line = (
        r"worker \d+ was killed by SIGSEGV after \d\.\d s; another takes its place (now|in (\d) s)"
    )
    found = [re.fullmatch(line, each) for each in said.splitlines()]
    pauses = [match and int(match[2] or 0) for match in found]
    assert pauses == [0, 1, 2, 4][: len(pauses)]
    assert len(pauses) >= 2


def test_a_worker_that_cannot_start_ends_the_first_start(tmp_path: Path) -> None:
    """What no other worker will mend is no loop: the server ends, and its exit code says so."""
    process = supervise(tmp_path, "sys.exit(3)", workers=2)
    process.communicate(timeout=30)
    assert process.returncode == 1


def test_a_worker_that_hangs_is_replaced(tmp_path: Path) -> None:
    """A worker that serves and then says nothing for the time it may take is killed."""
    process = supervise(tmp_path, "news.send(READY); time.sleep(600)")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "ready\n"
    assert re.fullmatch(r"worker \d+ was silent for 2 s: killed\n", process.stderr.readline())
    assert "was killed by SIGKILL" in process.stderr.readline()
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_machine_that_slept_accuses_nobody(tmp_path: Path) -> None:
    """Workers that could not speak because everything stood still are left alone."""
    work = "news.send(READY)\n    while True: news.send(ALIVE); time.sleep(0.2)"
    process = supervise(tmp_path, work)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGSTOP)
    time.sleep(4)
    process.send_signal(signal.SIGCONT)
    time.sleep(1)
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert said == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_workers_that_do_not_obey_are_killed(number: int, tmp_path: Path) -> None:
    """P13: a worker that hangs keeps the server from stopping for the grace, and not for ever."""
    work = "signal.signal(15, signal.SIG_IGN); news.send(READY); time.sleep(600)"
    process = supervise(tmp_path, work, workers=2)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "the workers do not stop: killed\n")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [(0, "ended with exit code 0"), (-7, "was killed by SIGBUS"), (-99, "was killed by signal 99")],
)
def test_ends_have_names(code: int, sentence: str) -> None:
    """An operator reads the name of a signal, not its number."""
    assert ended(code) == sentence
