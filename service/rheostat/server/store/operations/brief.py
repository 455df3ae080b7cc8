"""
A run in at most 4 KB, for whoever looks at many, or has to read it word by word.

It costs the same whatever the run has come to: curves at a few steps, the newest revisions, and of
the metric the reports beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from rheostat import wire
from rheostat.controllers import json_of_value, value_of_bits
from rheostat.limits import MAX_STEP
from rheostat.server.runs.control.armed import Armed
from rheostat.server.runs.control.places import Stretch, stretches
from rheostat.server.runs.crowd import Crowd
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.overview import of_four_digits, restricted
from rheostat.server.runs.presence import Roster
from rheostat.server.runs.revision import FOLDING, Revision
from rheostat.server.runs.revision_state import Fates
from rheostat.server.runs.status import status
from rheostat.server.store.operations.attention import attention
from rheostat.server.store.operations.limiting import use_of
from rheostat.server.store.operations.plan import Drawn, draw, horizon
from rheostat.server.store.operations.show import declared, state
from rheostat.server.store.operations.workers import crowd_of
from rheostat.server.store.records import Records, RunRecord
from rheostat.visible import shortened

MOST_BYTES: Final = 4_096
"""Bytes of a brief's JSON, at most."""

POINTS, LOOKED_AT = 5, 64
"""Steps at which the plan is told, and values that are computed to find them."""


class Detail(NamedTuple):
    """How much a brief tells: as much as fits."""

    parameters: int
    changes: int
    text: int
    """Characters of each text."""


DETAILS: Final = (
    Detail(16, 10, 400),
    Detail(16, 10, 100),
    Detail(12, 10, 60),
    Detail(8, 8, 40),
    Detail(6, 6, 40),
    Detail(4, 4, 24),
    Detail(2, 2, 12),
    Detail(1, 1, 8),
)
"""From the most that is told to the least, which always fits."""


def brief(records: Records, ref: str, roster: Roster, may: Sequence[str]) -> wire.Brief:
    """Return a run in short; ``may`` is what the caller may do to it."""
    run = records.find(ref)
    lineage = records.lineage(run)
    whole = _whole(records, run, lineage, crowd_of(records, run, roster), may)
    return next(cut for detail in DETAILS if _fits(cut := _cut(whole, detail)))


def _fits(found: wire.Brief) -> bool:
    return len(orjson.dumps(found)) <= MOST_BYTES


def _whole(
    records: Records, run: RunRecord, lineage: Lineage, crowd: Crowd, may: Sequence[str]
) -> wire.Brief:
    summary, said = state(run, lineage), declared(run.spec)
    settled = summary["settled_until"]
    armed = records.controllers.armed(run.id)
    names = run.spec.names[: DETAILS[0].parameters]
    drawn = _ahead(records, run, lineage, settled, names)
    now = records.revisions.in_force_at(run.key, settled).timelines
    values = restricted(now, names).evaluate(np.array([settled], dtype=np.int64))
    metric = _metric(records, run, armed)
    line = stretches(lineage, run.generation)
    use = use_of(records, run, lineage)
    return {
        "id": run.id,
        "name": run.spec.name,
        "state": status(summary, crowd.turnout),
        "axis": run.spec.axis,
        "total": run.total,
        "end": run.end,
        "resolution": run.spec.resolution,
        "generation": run.generation,
        "revision": run.revision,
        "settled_until": settled,
        "about": said["about"],
        "goal": said["goal"],
        "ahead": [] if drawn is None else [int(step) for step in drawn.steps],
        "parameters": [
            {
                "name": name,
                "value": float(values[name][0]),
                "ahead": [] if drawn is None else of_four_digits(drawn.values[name]),
                "text": said["describe"].get(name, {}).get("text") or "",
                "guard": run.spec.guards[name].to_json() if name in run.spec.guards else None,
            }
            for name in names
        ],
        "more_parameters": len(run.spec.names) - len(names),
        "metric": metric,
        "newest": _last(records, run, metric, line, (-1, MAX_STEP)),
        "changes": list(_changes(records, run, lineage, crowd, metric, line)),
        "workers": _sentence(crowd),
        "proposals": records.proposals.open_numbers(run.id, 0)[0],
        "attention": [each["message"] for each in attention(records, run, lineage, armed)],
        "may": list(may),
        "allowance": None if use is None else use.to_json(),
    }


def _ahead(
    records: Records, run: RunRecord, lineage: Lineage, settled: int, names: Sequence[str]
) -> Drawn | None:
    """Return what is planned, at a few steps; None where nothing is ahead of the run."""
    if run.end is not None and run.end <= settled:
        return None
    last = records.revisions.newest_in_force(run.key)
    stop = horizon(run, settled, settled, [restricted(last, names)])
    parts = lineage.owners(run.generation, settled, max(stop, settled + run.spec.resolution))
    return draw(records, run, parts, POINTS, names, LOOKED_AT)


def _metric(records: Records, run: RunRecord, armed: Sequence[Armed]) -> str | None:
    """Return what the run is watched by: its goal, or what a controller reads, or what there is."""
    if run.spec.goal is not None:
        return run.spec.goal.metric
    if armed:
        return armed[0].metric
    kept = records.reports.metrics(run.id)
    return max(kept, key=lambda name: (kept[name].points, name), default=None)


def _last(
    records: Records,
    run: RunRecord,
    metric: str | None,
    line: Sequence[Stretch],
    between: tuple[int, int],
) -> wire.MetricValue | None:
    """Return the last report of a metric past one step, up to another."""
    if metric is None:
        return None
    bits = records.reports.last(run.id, metric, line, between=between)
    return None if bits is None else json_of_value(value_of_bits(bits))


def _changes(
    records: Records,
    run: RunRecord,
    lineage: Lineage,
    crowd: Crowd,
    metric: str | None,
    line: Sequence[Stretch],
) -> Iterator[wire.BriefChange]:
    """Yield the newest revisions, with the metric beside each that put something in force."""
    fates = Fates(lineage, run.generation, crowd.front)
    with closing(records.revisions.page(run.id, 0, DETAILS[0].changes, newest=True)) as found:
        newest = list(islice(found, DETAILS[0].changes))
    places = sorted(
        each.effective
        for each in newest
        if each.kind in FOLDING and not each.cancelled and fates.left_by(each) is None
    )
    for each in newest:
        shown = fates.to_json(each)
        before = after = None
        if each.effective in places and each.kind in FOLDING and shown["state"] != "pending":
            following = min((step for step in places if step > each.effective), default=MAX_STEP)
            before = _last(records, run, metric, line, (-1, each.effective))
            after = _last(records, run, metric, line, (each.effective, following))
        yield {
            "revision": each.number,
            "kind": shown["kind"],
            "effective": each.effective,
            "state": shown["state"],
            "changes": _document(each),
            "author": each.note.author,
            "message": each.note.message,
            "before": before,
            "after": after,
        }


def _document(revision: Revision) -> dict[str, Any] | None:
    """Return what a revision changed, as it was asked for, where that is short."""
    text = revision.changes.document.text
    if revision.number == 1 or len(text) > DETAILS[0].text or not revision.changes:
        return None
    found: dict[str, Any] = orjson.loads(text)
    return found


def _sentence(crowd: Crowd) -> str:
    """Say in a line who trains, and where they are."""
    counts = crowd.counts
    said = [f"{number} {word}" for word, number in counts.items() if number]
    line = ", ".join(said) or "nobody says that it trains"
    if crowd.last is not None and crowd.first is not None:
        where = f"{crowd.last}" if crowd.last == crowd.first else f"{crowd.last} to {crowd.first}"
        line += f"; at step {where}"
    if crowd.pace is not None:
        line += f"; {crowd.pace:.3g} steps/s"
    return line


def _cut(whole: wire.Brief, detail: Detail) -> wire.Brief:
    """Return a brief with as much of each as this; what is left out is counted, or marked by …."""
    text = detail.text
    left_out = max(len(whole["parameters"]) - detail.parameters, 0)
    return {
        **whole,
        "about": shortened(whole["about"], text),
        "parameters": [
            {**each, "text": shortened(each["text"], text)}
            for each in whole["parameters"][: detail.parameters]
        ],
        "more_parameters": whole["more_parameters"] + left_out,
        "changes": [
            {
                **each,
                "changes": _if_short(each["changes"], text),
                "author": each["author"] and shortened(each["author"], text),
                "message": shortened(each["message"], text),
            }
            for each in whole["changes"][: detail.changes]
        ],
        "attention": [shortened(each, text) for each in whole["attention"][:3]],
        "allowance": _allowance(whole["allowance"], detail),
    }


def _allowance(found: wire.Allowance | None, detail: Detail) -> wire.Allowance | None:
    if found is None:
        return None
    told = found["refusal"]
    return {
        **found,
        "limit": shortened(found["limit"], 4 * detail.text),
        "parameters": found["parameters"][: detail.parameters],
        "refusal": told and shortened(told, detail.text),
    }


def _if_short(document: dict[str, Any] | None, most: int) -> dict[str, Any] | None:
    return document if document and len(orjson.dumps(document)) <= most else None
