"""Checks of stops and pauses: all ranks end, or hold, at one step."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.faults.evidence import Evidence
from tests.faults.observations import Read

HALTS = {"stopped": "stop", "paused": "pause"}
"""Which kind of revision a refusal names."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """
    A stop or a pause, and when it stood for certain.

    It was asked for at ``asked``, and acknowledged at ``known``. From ``lifting`` on it may have
    been lifted; at ``lifted`` that was acknowledged.
    """

    revision: int
    kind: str
    generation: int
    effective: int
    cancelled: bool
    asked: float
    known: float
    lifting: float
    lifted: float


def held(evidence: Evidence) -> Iterator[str]:
    """P2: while a stop or a pause stands, nobody is given a cell past it."""
    served: dict[int, list[Read]] = defaultdict(list)
    for read in evidence.served:
        served[read.generation].append(read)
    for barrier in barriers(evidence):
        for read in served[barrier.generation]:
            stood = barrier.known < read.sent and (read.answered or 0.0) < barrier.lifting
            if stood and read.stop > barrier.effective:
                yield f"{_said(barrier)}, and {read.stop} was read"
        settled = evidence.history.generations[barrier.generation].settled_until
        if not barrier.cancelled and settled > barrier.effective:
            yield f"{_said(barrier)} was not lifted, and {settled} is settled"


def told(evidence: Evidence) -> Iterator[str]:
    """P2, P4: a stop by which a worker has ended stays, and all others end there, too."""
    ended: dict[int, int] = {}
    for read in evidence.log.reads:
        if read.refusal != "stopped" or read.end is None or read.start < read.end:
            continue
        item = evidence.revisions.get(read.by or 0)
        if item is not None and item["cancelled"]:
            yield f"a worker ended by revision {read.by}, which was taken back"
        settled = evidence.history.generations[read.generation].settled_until
        if settled > read.end:
            yield f"a worker ended at {read.end} of generation {read.generation}, and {settled} is"
        if ended.setdefault(read.generation, read.end) != read.end:
            ends = f"at {read.end} and at {ended[read.generation]}"
            yield f"workers ended {ends} of generation {read.generation}"


def named(evidence: Evidence) -> Iterator[str]:
    """P2, P7: who is refused at a stop or a pause is told one that is there."""
    there = {barrier.revision: barrier for barrier in barriers(evidence)}
    for read in evidence.log.reads:
        kind = HALTS.get(read.refusal or "")
        if kind is None:
            continue
        barrier = there.get(read.by or 0)
        facts = (kind, read.generation, read.end)
        if barrier is None or facts != (barrier.kind, barrier.generation, barrier.effective):
            yield f"{facts} was told of revision {read.by}, which is {barrier}"
        elif not _may_stand(barrier, read):
            yield f"{_said(barrier)} was told before it was there, or after it was taken back"
        elif read.stop <= barrier.effective:
            yield f"{_said(barrier)}, and {read.stop} was refused"


def _may_stand(barrier: Barrier, read: Read) -> bool:
    if (read.answered or 0.0) < barrier.asked:
        return False
    # a process may refuse from memory for a while after another one has ended a pause
    return barrier.kind == "pause" or not barrier.cancelled or read.sent < barrier.lifted


def barriers(evidence: Evidence) -> list[Barrier]:
    """Return the stops and pauses of a run."""
    return _barriers(evidence)


@cache
def _barriers(evidence: Evidence) -> list[Barrier]:
    lifts: dict[int, tuple[float, float]] = {}
    left: dict[int, tuple[float, float]] = {}
    for item in evidence.history.revisions:
        write = evidence.asked.get(item["message"])
        answered = math.inf if write is None or write.answer is None else write.answered
        when = (0.0, math.inf) if write is None else (write.sent, answered)
        if item["kind"] == "cancel":
            pauses = (item["data"] or {}).get("pauses", [])
            lifts |= dict.fromkeys([item["cancels"], *pauses], when)
        elif item["kind"] == "rewind":
            left[item["generation"] - 1] = when
    decided = _decided(evidence)
    return [
        _barrier(evidence, item, lifts, left, decided)
        for item in evidence.history.revisions
        if item["kind"] in {"stop", "pause"}
    ]


def _barrier(
    evidence: Evidence,
    item: Mapping[str, Any],
    lifts: Mapping[int, tuple[float, float]],
    left: Mapping[int, tuple[float, float]],
    decided: Mapping[int, float],
) -> Barrier:
    number, never = item["revision"], (math.inf, math.inf)
    write = evidence.cause(item)
    asked = 0.0 if write is None else write.sent
    known = decided.get(number, math.inf)
    if write is not None and write.answer is not None:
        known = write.answered
    lift = lifts.get(number, never)
    return Barrier(
        revision=number,
        kind=item["kind"],
        generation=item["generation"],
        effective=item["effective"],
        cancelled=item["cancelled"],
        asked=asked,
        known=known,
        lifting=min(lift[0], left.get(item["generation"], never)[0]),
        lifted=lift[1],
    )


def _decided(evidence: Evidence) -> Mapping[int, float]:
    """Return when a controller's stops were first told to whoever reported."""
    found: dict[int, float] = {}
    for report in evidence.log.reports:
        for each in (report.answer or {}).get("decisions", []):
            if each["decision"] == "stop":
                earliest = found.get(each["revision"], math.inf)
                found[each["revision"]] = min(report.answered, earliest)
    return found


def _said(barrier: Barrier) -> str:
    where = f"at {barrier.effective} of generation {barrier.generation}"
    return f"the {barrier.kind} of revision {barrier.revision} {where}"
