"""
Checkpoints that are known: what workers say that they saved, and which of it can be resumed.

No value depends on them. Where they are is text that nobody here opens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from rheostat import wire
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_CHECKPOINTS, MAX_STEP, MAX_TAG, MAX_URI
from rheostat.server.runs.lineage import GenerationKey
from rheostat.server.store.checkpoints import Checkpoints, Place, Saved
from rheostat.server.store.records import Records, RunRecord, now, require_id

SIGNAL: Final = "checkpoint"
"""The signal whose outcomes tell of checkpoints, and the tag of those that have none."""

Past = Mapping[GenerationKey, float]
"""Up to which step each generation belongs to a past, the nearest first: see `Lineage.past`."""


@dataclass(frozen=True, slots=True)
class CheckpointReport:
    """What a worker of a generation says that it saved."""

    generation: int
    step: int
    tag: str
    source: str
    uri: str | None = None
    bytes: int | None = None
    revision: int | None = None


def save(records: Records, run_id: str, report: CheckpointReport) -> tuple[wire.Checkpoint, bool]:
    """
    Keep what a worker says that it saved; return what is kept, and whether that is new.

    The first word stays; what it did not say, a later one may add. Where so many are known, those
    of the oldest generation are forgotten.

    Raises:
        UnknownRun, UnknownGeneration, UnknownRevision: The run has none of this number.
        Invalid: Nobody can have come to that step.

    """
    require_id(run_id)
    run = records.find(run_id, lock=True)
    lineage = records.lineage(run)
    settled = lineage[report.generation].settled_until
    if report.step > settled:
        message = f"generation {report.generation} is settled up to {settled} only"
        wrong = [FieldError("step", message, report.step, f"<= {settled}")]
        raise Invalid(message, errors=wrong)
    if report.revision is not None:
        records.revisions.one(run.id, report.revision)
    kept, new = keep(records, run, report)
    return _to_json(kept, run, lineage.past(run.generation)), new


def keep(records: Records, run: RunRecord, report: CheckpointReport) -> tuple[Saved, bool]:
    """Keep a checkpoint of a locked run, for which all is decided: see `save`."""
    said = Saved(
        GenerationKey(run.id, report.generation),
        report.step,
        report.tag,
        report.source,
        report.uri,
        report.bytes,
        report.revision,
        now(),
    )
    checkpoints = Checkpoints(records.connection)
    known = checkpoints.one(run.id, said.place)
    if known is None:
        if checkpoints.is_full(run.id, MAX_CHECKPOINTS):
            checkpoints.forget_first(run.id)
        checkpoints.add(said)
        return said, True
    completed = known.completed(said)
    if completed != known:
        checkpoints.complete(completed)
    return completed, False


def of_outcome(
    outcome: wire.Outcome, asked: Mapping[str, Any], settled: int
) -> CheckpointReport | None:
    """
    Return the checkpoint of which the outcome of a signal tells, if it tells of one.

    ``asked`` is what the signal's revision says. Its tag is the one that was asked for, or that of
    the outcome's data. Its step is the one at which the signal was told, before whose update it was
    saved; who saves later says `step` in the data. What the data says in another form is not read.
    """
    if asked.get("signal") != SIGNAL or outcome["outcome"] != "done":
        return None
    data = outcome["data"] or {}
    tags = (asked.get("arguments", {}).get("tag"), data.get("tag"))
    uris = (data.get("uri"), data.get("path"))
    return CheckpointReport(
        outcome["generation"],
        next(_whole([data.get("step")], settled), outcome["step"]),
        next(_texts(tags, MAX_TAG), SIGNAL),
        outcome["source"],
        next(_texts(uris, MAX_URI), None),
        next(_whole([data.get("bytes")], MAX_STEP), None),
        outcome["revision"],
    )


def _texts(said: Iterable[Any], most: int) -> Iterator[str]:
    """Yield what is a text of up to ``most`` characters, or a whole number."""
    for each in said:
        written = str(each) if type(each) is int else each
        if isinstance(written, str) and 0 < len(written) <= most:
            yield written


def _whole(said: Iterable[Any], most: int) -> Iterator[int]:
    yield from (each for each in said if type(each) is int and 0 <= each <= most)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which checkpoints of a run are listed, and from where on."""

    tag: str | None = None
    generation: int | None = None
    """Whose past `on_line` is about; by default the current one's."""
    after: tuple[int, Place] | None = None
    """Which of the run and those that it was forked from the last one was of, and its place."""


def page(
    records: Records, ref: str, wanted: Wanted, limit: int
) -> tuple[list[wire.Checkpoint], tuple[int, Place] | None]:
    """
    Return the checkpoints of a run, the newest generation first and in it the furthest step.

    Then come those of the runs that it was forked from, as far as they belong to its past; and
    where to go on.
    """
    run = records.find(ref)
    past = records.lineage(run).past(wanted.generation or run.generation)
    checkpoints = Checkpoints(records.connection)
    items: list[wire.Checkpoint] = []
    last: tuple[int, Place] | None = None
    begin, before = wanted.after or (0, None)
    for number, run_id in list(enumerate(_runs(past)))[begin:]:
        with closing(checkpoints.newest(run_id, wanted.tag, before)) as found:
            for each in found:
                if run_id != run.id and not _is_past(each, past):
                    continue
                if len(items) == limit:
                    return items, last
                items.append(_to_json(each, run, past))
                last = number, each.place
        before = None
    return items, None


def nearest(
    records: Records, ref: str, to: int, generation: int | None = None
) -> tuple[wire.Checkpoint | None, list[str]]:
    """
    Return the last checkpoint in the past of a generation at or below a step; and a warning.

    It warns if that is not one of that very step, from which a training could go on. Nobody needs
    one where the training began; and where none was ever told of, their lack says nothing.
    """
    run = records.find(ref)
    past = records.lineage(run).past(generation or run.generation)
    found = _nearest(records, past, to)
    shown = None if found is None else _to_json(found, run, past)
    if to <= run.begins or (found is not None and run.spec.grid.ceil(found.step) >= to):
        return shown, []
    if found is None:
        known = Checkpoints(records.connection).any_of(_runs(past))
        return None, [f"no checkpoint at or below step {to} is known"] if known else []
    where = f"the nearest before it is {found.tag!r}, of step {found.step}"
    return shown, [f"no checkpoint of step {to} is known: {where}"]


def _nearest(records: Records, past: Past, to: int) -> Saved | None:
    checkpoints = Checkpoints(records.connection)
    best: Saved | None = None
    for run_id in _runs(past):
        reach = min(to, max(reach for key, reach in past.items() if key.run_id == run_id))
        if best is not None and reach <= best.step:
            return best  # nothing that lies further back is nearer
        with closing(checkpoints.down_from(run_id, int(reach))) as found:
            there = next((each for each in found if _is_past(each, past)), None)
        if there is not None and (best is None or there.step > best.step):
            best = there
    return best


def _runs(past: Past) -> list[str]:
    """Return the ids of a run and of those that it was forked from, the nearest first."""
    return list(dict.fromkeys(key.run_id for key in past))


def _is_past(saved: Saved, past: Past) -> bool:
    """Whether a checkpoint can be resumed, by the rule of joining."""
    return saved.step <= past.get(saved.generation, -1)


def _to_json(saved: Saved, run: RunRecord, past: Past) -> wire.Checkpoint:
    found: wire.Checkpoint = {
        "generation": saved.generation.number,
        "step": saved.step,
        "tag": saved.tag,
        "uri": saved.uri,
        "bytes": saved.bytes,
        "source": saved.source,
        "revision": saved.revision,
        "at": saved.at,
        "on_line": _is_past(saved, past),
    }
    if saved.generation.run_id != run.id:
        found["run"] = saved.generation.run_id
    return found
