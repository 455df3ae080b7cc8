"""
Reporting: a metric's value at a step, kept once, and consumed once by whatever reads it.

The row that counts the run's reports is locked, so that numbers are in the order of commits. What a
controller reads takes the run's lock as well, and what comes of it is committed with the reports.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Final

from rheostat import wire
from rheostat.controllers import json_of_value, value_of_bits
from rheostat.limits import MAX_KEPT, MAX_METRICS, MAX_REPORTED, MAX_SOURCES
from rheostat.server.runs.control.armed import Armed, Head
from rheostat.server.runs.control.places import lasts, owner_of, require_place
from rheostat.server.runs.lineage import Lineage
from rheostat.server.store.operations.decide import Emitted, emit
from rheostat.server.store.operations.decided import decision_json
from rheostat.server.store.records import Records, RunRecord, now, require_id
from rheostat.server.store.reports import KeptMetric, ReportKey

MOST_DROPPED = 2 * MAX_REPORTED
"""
Old reports of a metric that go with one request: more than it brings.

A metric that a controller has read may have any number, and other runs wait meanwhile.
"""

READ_AT_ONCE: Final = 5_000
"""Reports of other sources that one request has read, before the rest of it is put off."""


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a metric at a step, as its bits; ``item`` is its place in the request."""

    item: int
    step: int
    metric: str
    bits: int


@dataclass(frozen=True)
class ReportRequest:
    """Reports as a worker sends them."""

    generation: int
    source: str
    points: Sequence[Point]

    @property
    def metrics(self) -> set[str]:
        """The metrics that it names."""
        return {point.metric for point in self.points}


@dataclass
class _Sifted:
    """What is new of a request, and what is not."""

    new: dict[ReportKey, int] = field(default_factory=dict)
    repeated: list[int] = field(default_factory=list)
    """The steps of what came again."""
    differs: list[wire.Differing] = field(default_factory=list)
    ignored: set[str] = field(default_factory=set)
    keys: dict[ReportKey, int] = field(default_factory=dict)
    """What is kept by now, of all that the request names, with the bits that count."""

    def until(self, step: int | None) -> _Sifted:
        """Return what lies below a step."""
        if step is None:
            return self
        return _Sifted(
            {key: bits for key, bits in self.new.items() if key.step < step},
            [each for each in self.repeated if each < step],
            [each for each in self.differs if each["step"] < step],
            self.ignored,
            {key: bits for key, bits in self.keys.items() if key.step < step},
        )


def report(records: Records, request: ReportRequest, run_id: str) -> wire.Reported:
    """
    Keep reports of a run, and do what its controllers decide on them.

    Raises:
        UnknownRun, UnknownGeneration: There is no such run, or generation.
        StaleGeneration: A rewind has left a step that is reported. Nothing is kept then.
        Invalid: Nobody can have got to a step.

    """
    require_id(run_id)
    number = records.reports.lock(run_id)
    armed = records.controllers.armed(run_id)
    reading = [each for each in armed if each.metric in request.metrics]
    run = records.find(run_id, lock=bool(reading))  # a rewind that has locked reports is over
    lineage = records.lineage(run)
    keys = _placed(run, lineage, request)
    metrics = records.reports.metrics(run.id)
    watched = {each.metric for each in armed}
    sifted = _sift(records, run, request, keys, metrics.keys(), watched)
    heads: Mapping[str, Head] = {}
    emitted = Emitted()
    if reading and run.end is None:
        heads = records.controllers.heads(run.id, run.generation, reading)
        emitted = _emit(records, run, request.source, reading, heads, sifted)
    kept = sifted.until(emitted.again)
    _keep(records, run, request.source, kept, metrics, watched, number)
    steps = {key.step for key in kept.keys}
    line = lasts(lineage, run.generation)
    decided = records.controllers.decided(run.id, [e.name for e in reading], steps, line)
    return {
        "kept": len(kept.new),
        "repeated": len(kept.repeated),
        "late": sum(_is_late(key, reading, heads) for key in kept.new),
        "differs": kept.differs,
        "ignored": sorted(kept.ignored),
        "again": emitted.again is not None,
        "decisions": [decision_json(row) for row in decided],
        "off_gate": [{"controller": name, "step": step} for name, step in emitted.off_gate],
        "warnings": emitted.warnings,
        "watched": [] if run.end is not None else sorted(watched),
        "settled_until": lineage[run.generation].settled_until,
    }


def _placed(run: RunRecord, lineage: Lineage, request: ReportRequest) -> list[ReportKey]:
    """Return the key of each point; raise if one measures no past of the run."""
    owners = {}
    for point in request.points:
        if point.step not in owners:
            place = f"reports[{point.item}].step"
            require_place(lineage, run.generation, request.generation, point.step, place)
            owners[point.step] = owner_of(lineage, request.generation, point.step, run.spec.grid)
    return [ReportKey(owners[each.step], each.metric, each.step) for each in request.points]


def _sift(
    records: Records,
    run: RunRecord,
    request: ReportRequest,
    keys: Sequence[ReportKey],
    metrics: Collection[str],
    watched: set[str],
) -> _Sifted:
    found = _Sifted(keys=records.reports.known(run.id, request.source, keys))
    names = set(metrics)
    for key, point in zip(keys, request.points, strict=True):
        there = found.keys.get(key)
        if there == point.bits:
            found.repeated.append(key.step)
        elif there is not None:
            found.differs.append(_differing(key, there, point.bits))
        elif key.metric not in names | watched and len(names - watched) >= MAX_METRICS:
            found.ignored.add(key.metric)
        else:
            names.add(key.metric)
            found.new[key] = found.keys[key] = point.bits
    return found


def _differing(key: ReportKey, kept: int, given: int) -> wire.Differing:
    values = [json_of_value(value_of_bits(bits)) for bits in (kept, given)]
    return {"metric": key.metric, "step": key.step, "kept": values[0], "given": values[1]}


def _emit(
    records: Records,
    run: RunRecord,
    source: str,
    reading: Sequence[Armed],
    heads: Mapping[str, Head],
    sifted: _Sifted,
) -> Emitted:
    """Have the controllers consume what they have not, new or not."""
    wanted = [key for key in sifted.keys if not _is_late(key, reading, heads)]
    wanted = [key for key in wanted if any(each.metric == key.metric for each in reading)]
    if not wanted:
        return Emitted()
    whole, again = _complete(records, run, reading, wanted)
    there = records.reports.by_source(run.id, whole, len(whole) * MAX_SOURCES)
    values: dict[int, dict[str, dict[str, float]]] = {}
    for key in wanted:
        if again is None or key.step < again:
            own = {source: value_of_bits(sifted.keys[key])}
            values.setdefault(key.step, {})[key.metric] = {**there.get(key, {}), **own}
    emitted = emit(records, run.id, reading, heads, values)
    return emitted if emitted.again is not None else replace(emitted, again=again)


def _complete(
    records: Records, run: RunRecord, reading: Sequence[Armed], wanted: Sequence[ReportKey]
) -> tuple[list[ReportKey], int | None]:
    """
    Return the keys that enough sources have reported by now, so that all are to be read.

    The rest is counted alone: hundreds of sources may have reported hundreds of steps. What would
    be too much at once is put off, from a step on.
    """
    counts = records.reports.counts(run.id, wanted)
    expected = {
        name: min(each.controller.sources.expect for each in reading if each.metric == name)
        for name in {key.metric for key in wanted}
    }
    whole: list[ReportKey] = []
    read = 0
    for key in sorted(wanted, key=attrgetter("step")):
        count = counts.get(key, 0)
        if count + 1 < expected[key.metric]:
            continue
        if whole and key.step > whole[-1].step and read + count > READ_AT_ONCE:
            return whole, key.step
        whole.append(key)
        read += count
    return whole, None


def _is_late(key: ReportKey, reading: Sequence[Armed], heads: Mapping[str, Head]) -> bool:
    """Whether a step is past for all who read its metric."""
    those = [each.name for each in reading if each.metric == key.metric and each.name in heads]
    return bool(those) and not any(heads[name].takes(key.step) for name in those)


def _keep(
    records: Records,
    run: RunRecord,
    source: str,
    kept: _Sifted,
    metrics: Mapping[str, KeptMetric],
    watched: set[str],
    number: int,
) -> None:
    at = now()
    records.reports.add(run.id, source, list(kept.new.items()), number=number, at=at)
    for name in {key.metric for key in kept.new} | {each["metric"] for each in kept.differs}:
        before = metrics.get(name, KeptMetric())
        points = before.points + sum(key.metric == name for key in kept.new)
        found = replace(before, points=points)
        those = [each for each in kept.differs if each["metric"] == name]
        if those:
            newest = {**those[-1], "source": source}
            found = replace(found, differs=before.differs + len(those), differing=newest)
        if name not in watched:
            found = _thinned(records, run.id, name, found)
        records.reports.keep_metric(run.id, name, found, new=name not in metrics)


def _thinned(records: Records, run_id: str, name: str, kept: KeptMetric) -> KeptMetric:
    """Drop old reports of a metric that has too many, every second one of the oldest."""
    excess = min(kept.points - MAX_KEPT, MOST_DROPPED)
    if excess <= 0:
        return kept
    dropped, cursor = records.reports.thin(run_id, name, kept.cursor, excess)
    stride = kept.stride if cursor else 2 * kept.stride
    return replace(kept, points=kept.points - dropped, cursor=cursor, stride=stride)
