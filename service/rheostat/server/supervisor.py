"""
Several workers on one address: started, watched, replaced when they end, and stopped together.

The supervisor waits for nothing but news: that a worker ended or spoke, or that a signal came. So a
worker that hangs delays neither a stop nor the others. Each worker says about once a second that it
handles requests, on a socket that ends with the supervisor, so that no worker outlives it.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Protocol

LOG = logging.getLogger("rheostat.supervisor")

ALIVE, READY = b".", b"!"
"""What a worker says: that it handles requests, and once that it has begun to."""

TICK = 0.5
"""Seconds after which the supervisor looks around though nothing has happened."""

LONGEST_PAUSE = 30.0
"""Seconds at most between two starts at one place; one that lived longer is followed at once."""

STOPS = (signal.SIGTERM, signal.SIGINT)


class Work(Protocol):
    """What a worker process does: it serves at the listeners, and says on ``news`` that it does."""

    def __call__(self, place: int, listeners: list[socket.socket], news: socket.socket) -> None:
        """Return when it was told to stop."""


@dataclass
class ServerWorker:
    """One process, and what was heard of it."""

    process: SpawnProcess
    news: socket.socket
    began: float
    ready: bool = False
    silent: float = 0.0
    """Seconds for which it has said nothing while this process itself ran."""

    def hear(self) -> None:
        """Take in what it has said."""
        with suppress(OSError):
            while said := self.news.recv(4096):
                self.silent = 0.0
                self.ready = self.ready or READY in said

    def forget(self) -> None:
        """Give back what a process that has ended still holds."""
        self.process.join()
        self.process.close()
        self.news.close()


@dataclass
class WorkerPlace:
    """Where one worker after another serves."""

    number: int
    worker: ServerWorker | None = None
    failures: int = 0
    """How often a worker has ended here, since one was steady."""
    due: float = 0.0
    """When the next one begins, by the monotonic clock."""


@dataclass
class Supervisor:
    """
    Keeps so many workers at work until it is told to stop.

    ``health`` is how many seconds a worker may be silent, ``grace`` how many all of them together
    may take to stop; then they are killed. ``ready`` is called once, when all serve, and
    ``replaced`` each time that another one takes the place of one that ended.
    """

    work: Work
    listeners: Sequence[socket.socket]
    workers: int
    ready: Callable[[], None]
    replaced: Callable[[], None]
    health: float
    grace: float
    hopeless: int
    """Exit code of a worker that could not start, and that no other will mend."""

    _places: list[WorkerPlace] = field(default_factory=list)
    _signals: list[int] = field(default_factory=list)
    _announced: bool = False

    def run(self) -> bool:
        """Work until a signal says stop; return False if no worker could start, ever."""
        self._places = [WorkerPlace(number) for number in range(self.workers)]
        resource_tracker.ensure_running()  # it plays with the signal mask when it starts
        with self._woken() as alarm:
            try:
                return self._watch(alarm)
            finally:
                self._stop(alarm)

    @contextmanager
    def _woken(self) -> Iterator[socket.socket]:
        """Note signals, and yield a socket that wakes whoever waits for it when one comes."""
        inner, outer = socket.socketpair()
        with inner, outer:
            for end in (inner, outer):
                end.setblocking(False)
            before = {number: signal.signal(number, self._note) for number in STOPS}
            wakeup = signal.set_wakeup_fd(inner.fileno(), warn_on_full_buffer=False)
            try:
                yield outer
            finally:
                signal.set_wakeup_fd(wakeup)
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _watch(self, alarm: socket.socket) -> bool:
        last = time.monotonic()
        while not self._signals:
            for place in self._places:
                if place.worker is None and place.due <= time.monotonic():
                    self._start(place)
            self._wait(alarm, TICK)
            now = time.monotonic()
            # no worker is to blame for the time in which the whole machine slept
            ran, last = min(now - last, 2 * TICK), now
            for place in self._places:
                if place.worker is not None and not self._look_at(place, place.worker, ran):
                    return False
            self._announce()
        return True

    def _wait(self, alarm: socket.socket, seconds: float) -> None:
        """Return when a signal came, a worker said something or ended, or the time is over."""
        living = [place.worker for place in self._places if place.worker is not None]
        ends = [worker.process.sentinel for worker in living]
        unready = [worker.news for worker in living if not worker.ready]
        connection.wait([alarm, *ends, *unready], seconds)
        with suppress(OSError):
            alarm.recv(4096)

    def _announce(self) -> None:
        workers = [place.worker for place in self._places]
        if not self._announced and all(worker and worker.ready for worker in workers):
            self._announced = True
            self.ready()

    def _start(self, place: WorkerPlace) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        # The signals of a terminal reach all processes of it; workers are told by us alone.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            with theirs:
                arguments = (place.number, [*self.listeners], theirs)
                process = get_context("spawn").Process(target=self.work, args=arguments)
                process.start()
        except OSError as error:
            ours.close()
            when = self._pause(place, 0.0)
            LOG.error("a worker cannot be started: %s; the next try is %s", error, when)  # noqa: TRY400 - the reason is all
        else:
            place.worker = ServerWorker(process, ours, time.monotonic())
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _look_at(self, place: WorkerPlace, worker: ServerWorker, seconds: float) -> bool:
        """Look whether a worker is well after so many seconds; return False if none can start."""
        worker.hear()
        if worker.process.is_alive():
            worker.silent += seconds if worker.ready else 0.0
            if worker.silent <= self.health:
                return True
            LOG.error("worker %d was silent for %g s: killed", worker.process.pid, self.health)
            worker.process.kill()
            worker.process.join()
        if self._signals:  # it may have obeyed the same one
            return True
        code = worker.process.exitcode
        if code == self.hopeless and not self._announced:
            return False
        place.worker = None
        self.replaced()
        lived = time.monotonic() - worker.began
        if lived > LONGEST_PAUSE:
            place.failures = 0
        LOG.error(
            "worker %d %s after %.1f s; another takes its place %s",
            *(worker.process.pid, ended(code), lived, self._pause(place, lived)),
        )
        worker.forget()
        return True

    def _pause(self, place: WorkerPlace, lived: float) -> str:
        """Count a failure, and say when the next start is: 0, 1, 2, 4, … 30 s after the last."""
        pause = min(LONGEST_PAUSE, 2.0 ** (place.failures - 1)) if place.failures else 0.0
        wait = max(0.0, pause - lived)
        place.failures += 1
        place.due = time.monotonic() + wait
        return f"in {wait:.0f} s" if wait >= 0.5 else "now"

    def _stop(self, alarm: socket.socket) -> None:
        # The workers stop accepting; nobody shall wait for them at a socket that is still open.
        for listener in self.listeners:
            listener.close()
        living = [place.worker for place in self._places if place.worker is not None]
        for worker in living:
            worker.process.terminate()
        self._signals.clear()
        deadline = time.monotonic() + self.grace
        while any(worker.process.is_alive() for worker in living):
            if time.monotonic() > deadline or signal.SIGINT in self._signals:
                LOG.error("the workers do not stop: killed")
                for worker in living:
                    worker.process.kill()
                break
            self._wait(alarm, TICK)
        for worker in living:
            worker.forget()


def ended(code: int | None) -> str:
    """Say how a process ended, by its exit code or the negative number of a signal."""
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def stop_with_supervisor(news: socket.socket, grace: float) -> None:
    """
    Return never: stop this process when its supervisor ends, and end it if it does not stop.

    A supervisor that was killed cannot stop its workers, and they hold its port.
    """
    with suppress(OSError):
        while news.recv(1):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os._exit(1)
