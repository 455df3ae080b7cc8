"""
What a training has to say and has not sent yet: points of metrics, notes, outcomes.

No sockets or threads here: who sends asks when something is `due`, and takes it. Nothing that a
training says holds it up, so what is kept is bounded: the oldest points go first, those of metrics
that no controller reads before the others.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

from rheostat.client import calls
from rheostat.client.calls import Call
from rheostat.client.retry import Patience, Trouble

MOST_POINTS = 10_000
"""Points that wait to be sent."""
MOST_LETTERS = 200
"""Notes and outcomes that wait to be sent."""
MOST_IN_ONE = 256
"""Points in one request."""
MOST_ROUNDS = MOST_IN_ONE
"""How often one request is sent again since controllers decided much on a part of it."""
SOON = 0.1
"""Seconds between two requests at least."""
LATER = 1.0
"""Seconds between two requests where nobody reads what they report."""
NOW = 1e-6
"""Seconds that are too short to wait for."""
QUIET = 30.0
"""Seconds of trouble before the log says so: the training goes on."""


class Point(NamedTuple):
    """A value of a metric at a step."""

    generation: int
    source: str
    step: int
    metric: str
    value: float | str


@dataclass(frozen=True, slots=True)
class Parcel:
    """One request that is sent until it is answered; the answer goes to ``tell``, if anywhere."""

    call: Call
    about: str
    points: tuple[Point, ...] = ()
    tell: Callable[[Any], None] | None = None
    round: int = 0
    """How often the service took a part of it, and asked for the rest again."""

    def apart(self) -> list[tuple[Point, ...]]:
        """Return the points of each step, if there are several: some may be refused alone."""
        steps = sorted({point.step for point in self.points})
        if len(steps) < 2:
            return []
        return [tuple(point for point in self.points if point.step == step) for step in steps]


class Lane:
    """What is sent one after the other; after trouble it waits for a while."""

    def __init__(self, about: str) -> None:
        self._about = about
        self.parcels: deque[Parcel] = deque()
        self.recovered()

    def recovered(self) -> None:
        """Take in that something was answered."""
        self.after = 0.0
        self._patience: Patience | None = None

    def failed(self, trouble: Trouble, now: float) -> None:
        """Wait for a while, and longer each time."""
        if self._patience is None:
            self._patience = Patience(self._about, quiet=QUIET)
        self.after = now + self._patience.pause(trouble)


class Outbox:
    """The queue of one run."""

    def __init__(self, run: str, where: str) -> None:
        self.watched: frozenset[str] | None = None
        """The metrics that controllers read, once the service has said so."""
        self.dropped: Counter[str] = Counter()
        """How many points of each metric there was no room for; letters are under their path."""
        self.hurries = False
        """Whether nothing is to wait for more."""
        self._where = where
        self._points: deque[Point] = deque()
        self._read = 0
        self._last = 0.0
        self._reports, self._letters = Lane(f"reports of {run}"), Lane(f"notes of {run}")

    def __bool__(self) -> bool:
        return bool(self._points or self._reports.parcels or self._letters.parcels)

    def add(self, points: Iterable[Point]) -> None:
        """Queue points; where there is no room for them, older ones go."""
        for point in points:
            self._points.append(point)
            self._read += self._is_read(point)
            if len(self._points) > MOST_POINTS:
                self._drop_one()

    def add_letter(self, call: Call, about: str) -> None:
        """Queue a note or an outcome."""
        self._letters.parcels.append(Parcel(call, about))
        if len(self._letters.parcels) > MOST_LETTERS:
            self.dropped[self._letters.parcels.popleft().about] += 1

    def add_urgent(self, points: tuple[Point, ...], tell: Callable[[Any], None]) -> None:
        """Queue points for whose answer somebody waits; all that was queued before goes first."""
        while self._points:
            self._reports.parcels.append(self._gather())
        self._reports.parcels.append(self._parcel(points, tell))

    def add_apart(self, parcel: Parcel) -> bool:
        """Queue the steps of a parcel that was refused one by one; False if it has one alone."""
        parts = parcel.apart()
        self._reports.parcels.extendleft(self._parcel(part) for part in reversed(parts))
        return bool(parts)

    def learn(self, watched: Iterable[str]) -> None:
        """Take in which metrics controllers read."""
        known = frozenset(watched)
        if known != self.watched:
            self.watched = known
            self._read = sum(map(self._is_read, self._points))

    def due(self, now: float) -> float | None:
        """Return in how many seconds something is to be sent; None if there is nothing."""
        waits = [time for time, _ in self._due(now)]
        return min(waits, default=None)

    def take(self, now: float) -> Parcel | None:
        """Return what is to be sent now, if anything is; it is in the queue no more."""
        lane = next((lane for time, lane in self._due(now) if time < NOW), None)
        if lane is None:
            return None
        self._last = now
        return lane.parcels.popleft() if lane.parcels else self._gather()

    def put_back(self, parcel: Parcel, trouble: Trouble, now: float) -> None:
        """Queue again what was not answered."""
        lane = self._lane(parcel)
        lane.parcels.appendleft(parcel)
        lane.failed(trouble, now)

    def answered(self, parcel: Parcel, *, again: bool = False) -> bool:
        """
        Take in that the service answered, and whether it wants the parcel ``again``.

        Returns whether it is sent again: not without end.
        """
        lane = self._lane(parcel)
        lane.recovered()
        again = again and parcel.round < MOST_ROUNDS
        if again:
            lane.parcels.appendleft(replace(parcel, round=parcel.round + 1))
        return again

    def _due(self, now: float) -> Iterable[tuple[float, Lane]]:
        since = now - self._last
        if self._letters.parcels:
            yield max(SOON - since, self._letters.after - now), self._letters
        if self._reports.parcels or self._points:
            presses = self._reports.parcels or self._read or self.hurries
            gap = SOON if presses else LATER
            yield max(gap - since, self._reports.after - now), self._reports

    def _lane(self, parcel: Parcel) -> Lane:
        return self._reports if parcel.points else self._letters

    def _gather(self) -> Parcel:
        first = self._points[0]
        size = 0
        for point in islice(self._points, MOST_IN_ONE):
            if (point.generation, point.source) != (first.generation, first.source):
                break
            size += 1
        taken = tuple(self._points.popleft() for _ in range(size))
        self._read -= sum(map(self._is_read, taken))
        return self._parcel(taken)

    def _parcel(
        self, points: tuple[Point, ...], tell: Callable[[Any], None] | None = None
    ) -> Parcel:
        steps = [point.step for point in points]
        names = ", ".join(sorted({point.metric for point in points}))
        about = f"{names:.200} of step {min(steps)}" + f" to {max(steps)}" * (len(set(steps)) > 1)
        return Parcel(calls.post(self._where, _body(points)), about, points, tell)

    def _is_read(self, point: Point) -> bool:
        return self.watched is None or point.metric in self.watched

    def _drop_one(self) -> None:
        """Drop the oldest point that nobody reads or, if all are read, the oldest."""
        place = 0
        if self._read < len(self._points):
            unread = (at for at, point in enumerate(self._points) if not self._is_read(point))
            place = next(unread, 0)
        point = self._points[place]
        del self._points[place]
        self._read -= self._is_read(point)
        self.dropped[point.metric] += 1


def _body(points: tuple[Point, ...]) -> Mapping[str, Any]:
    listed: list[dict[str, Any]] = []
    for point in points:
        last = listed[-1] if listed else None
        if last is None or last["step"] != point.step or point.metric in last["metrics"]:
            last = {"step": point.step, "metrics": {}}
            listed.append(last)
        last["metrics"][point.metric] = point.value
    return {"generation": points[0].generation, "source": points[0].source, "reports": listed}
