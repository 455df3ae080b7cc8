"""
What a worker says of itself, and what it is answered: no sockets or threads here.

A *sitting* lasts from one join to the next: it has a session of its own, and lists what was applied
in the generation that was joined.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from rheostat.client import answers, calls
from rheostat.client.answers import Answer, Broken
from rheostat.client.applied import Applied, Window, Wrong, window_size
from rheostat.client.calls import MIB, Call
from rheostat.client.joined import HighWaterMark, JoinedRun, is_pacing
from rheostat.client.reading import Reading
from rheostat.limits import MAX_STEP

LEAST_GAP = 1.0
"""Seconds between two beats at least, also where something is urgent."""
FOLD_EVERY = 5.0
"""Seconds after which what was recorded is folded at the latest."""

AGAIN_WRONG = 5.0
"""Seconds after which a wrong value is told again at the latest, if it was not taken."""

PLACE = ("worker", "start")
"""What names a window that is to be compared."""

JOBS = (
    ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"),
    ("SLURM_JOB_ID", "SLURM_RESTART_COUNT"),
)
"""Variables that name the job of a process, and how often it was begun again."""


class Told(NamedTuple):
    """The answer to a beat: when the next one is due, and which windows are to be compared."""

    again: float
    compare: frozenset[tuple[str, int]] = frozenset()


class Sending(NamedTuple):
    """What one request says, to be forgotten once it is answered."""

    call: Call
    windows: Sequence[Window]
    wrong: Sequence[Wrong]


def share() -> float:
    """
    Return a random number from 0 to 1 that differs between ranks.

    Python's own generator is the training's, which may have seeded it alike everywhere.
    """
    return int.from_bytes(os.urandom(4), "little") / 2**32


class Speaker(NamedTuple):
    """Who speaks: the same in all beats."""

    worker: str
    host: str
    job: str | None


def speaker(worker: str | None, job: str | None) -> Speaker:
    """Return who this process is, where it was told no other names."""
    host = _as_name(socket.gethostname())
    name = worker or _as_name(os.environ.get("RANK", ""))
    return Speaker(name or f"{host[:100]}:{os.getpid()}", host, job or _job_of_environment())


def _job_of_environment() -> str | None:
    for variable, restarts in JOBS:
        if job := os.environ.get(variable):
            return _as_name(f"{job[:100]}:{os.environ.get(restarts) or 0}")
    return None


def _as_name(text: str) -> str:
    """Return a text without what no name of a worker has."""
    return re.sub(r"[^A-Za-z0-9._:-]", "-", text)[:128]


class Sitting:
    """One worker from one join to the next."""

    def __init__(self, joined: JoinedRun, reading: Reading, mark: HighWaterMark) -> None:
        self.joined, self.reading, self.mark = joined, reading, mark
        self.session = os.urandom(16).hex()
        self.applied = Applied(joined.resolution)
        self.at: int | None = None
        """The updates done, by what the training counts; None if it does not say so."""
        self.begun = False
        """Whether the training has read a value: who only looks on is no worker."""
        self.waits = False
        """Whether it waits at a pause or a gate."""
        self._beaten: int | None = None
        """The step that was recorded by the last beat."""
        self._blocked: float | None = None
        self._waited = self._told = 0.0

    @property
    def step(self) -> int:
        """The updates done: as it was recorded or counted, else where it reads."""
        counted = self.at if self.applied.step is None else self.applied.step
        return min(self.reading.at if counted is None else counted, MAX_STEP)

    def fold(self, again: float) -> None:
        """Make windows of what was recorded."""
        pace = self.reading.pace
        cells = None if pace is None else pace / self.joined.resolution
        settled = self.reading.settled * self.joined.resolution
        self.applied.fold(window_size(cells, again), settled)
        if self.waits:
            self.applied.close()

    def _end_window(self) -> None:
        """
        End the window that is being filled if nothing came since the last beat.

        So what a loop did that is done, or takes longer for a step, is shown all the same. Not
        while the service is away: that would make a window of each step.
        """
        idle = self.applied.step is not None and self.applied.step == self._beaten
        if idle and not self.applied.windows():
            self.applied.close()
        self._beaten = self.applied.step

    def blocks(self, since: float | None) -> None:
        """Take in since when the training waits for values, by the monotonic clock; None: no."""
        before, self._blocked = self._blocked, since
        if before is not None and since is None:
            self._waited += time.monotonic() - max(before, self._told)

    def _take_waited(self) -> float:
        """Return for how many seconds it has waited for values since it was last asked."""
        now, since = time.monotonic(), self._blocked
        waited, self._waited = self._waited, 0.0
        if since is not None:
            waited += now - max(since, self._told)
        self._told = now
        return waited

    def beat(self, who: Speaker, *, ended: bool, compare: Window | None = None) -> Sending:
        """Return the next beat or, once a window is to be compared, one with its values alone."""
        if compare is None:
            self._end_window()
        windows = self.applied.windows() if compare is None else [compare]
        wrong = tuple(self.applied.wrong) if compare is None else ()
        told: dict[str, Any] = {
            "worker": who.worker,
            "host": who.host,
            "session": self.session,
            "step": self.step,
            "waited": self._take_waited(),
            "state": "ended" if ended else "waiting" if self.waits else "training",
            "applied": [window.told(values=compare is not None) for window in windows],
            "wrong": [each.told() for each in wrong],
        }
        if who.job is not None:
            told["job"] = who.job
        if (pace := self.reading.pace) is not None:
            told["pace"] = pace
        body = {"generation": self.joined.generation, "workers": [told]}
        call = calls.post(calls.path("runs", self.joined.id, "beats"), body)
        return Sending(replace(call, most=MIB), windows, wrong)

    def heard(self, sending: Sending, worker: str, told: Told) -> list[Window]:
        """Take in an answer; return the windows whose values are to be sent, the oldest first."""
        asked = {start for name, start in told.compare if name == worker}
        compared = [window for window in sending.windows if window.start in asked]
        self.drop([window for window in sending.windows if window not in compared], sending.wrong)
        return compared

    def drop(self, windows: Sequence[Window], wrong: Sequence[Wrong] = ()) -> None:
        """Send no more of these: the service has answered, or never will otherwise."""
        self.applied.answered(windows)
        self.applied.told_wrong(wrong)


def beaten_answer(answer: Answer) -> Told:
    """Return what the service says to a beat; raise `Broken` if that cannot be meant."""
    told = answers.document(answer)
    again, compare = told.get("again"), told.get("compare")
    if again is None or not is_pacing(again) or not isinstance(compare, list):
        raise Broken(f"expected when the next beat is due, got {answer}")
    return Told(float(again), frozenset(map(_place, compare)))


def _place(item: Any) -> tuple[str, int]:
    worker, start = (item.get(key) if isinstance(item, Mapping) else None for key in PLACE)
    if not isinstance(worker, str) or type(start) is not int:
        raise Broken("expected a worker, and the first step of a window")
    return worker, start
