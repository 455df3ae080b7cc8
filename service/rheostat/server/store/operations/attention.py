"""What an operator should look at: reports, decisions and workers that something is wrong with."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import orjson

from rheostat import wire
from rheostat.server.runs.control.armed import Armed
from rheostat.server.runs.control.places import lasts
from rheostat.server.runs.lineage import Lineage
from rheostat.server.store.mismatches import Mismatches
from rheostat.server.store.records import Records, RunRecord

NEWEST = 8
"""Refused decisions that are told; all are among the controller's decisions."""


def attention(
    records: Records, run: RunRecord, lineage: Lineage, armed: Sequence[Armed]
) -> list[wire.Attention]:
    """Return what stands out of a run's reports, its decisions, and what its workers applied."""
    return [
        *_differing(records, run),
        *_off_gate(armed),
        *_blocked(records, run, lineage),
        *_mismatches(records, run),
        *_went_back(records, run, lineage),
    ]


def _differing(records: Records, run: RunRecord) -> list[wire.Attention]:
    found: list[wire.Attention] = []
    for name, kept in sorted(records.reports.metrics(run.id).items()):
        if kept.differing is not None:
            newest = kept.differing
            message = (
                f"{name} at step {newest['step']:,} came again as {newest['given']}, and"
                f" {newest['kept']} was kept: if several workers report it, each needs a source of"
                " its own"
            )
            found.append(_item("differs", newest["step"], kept.differs, message, metric=name))
    return found


def _off_gate(armed: Sequence[Armed]) -> list[wire.Attention]:
    found: list[wire.Attention] = []
    for each in armed:
        if each.off_gate is not None and each.controller.gate is not None:
            message = (
                f"{each.metric} was reported at step {each.off_gate:,}, which is no gate of"
                f" {each.name}: what it decides there lands where it can"
            )
            found.append(_item("off-gate", each.off_gate, 1, message, controller=each.name))
    return found


def _blocked(records: Records, run: RunRecord, lineage: Lineage) -> list[wire.Attention]:
    rows = records.controllers.blocked(run.id, lasts(lineage, run.generation), NEWEST)
    found: list[wire.Attention] = []
    for row in rows:
        problem = orjson.loads(row.data)["problem"]["detail"]
        message = f"what {row.controller} decided at step {row.step:,} was refused: {problem}"
        found.append(_item("blocked", row.step, 1, message, controller=row.controller))
    return found


def _mismatches(records: Records, run: RunRecord) -> list[wire.Attention]:
    """Tell of the current generation's: a rewind is how one gets rid of them."""
    kept = Mismatches(records.connection)
    count, first = kept.of_generation(run.id, run.generation)
    if first is None:
        return []
    others = f", the first of {count}" if count > 1 else ""
    found, served = (_number(first[key], first["dtype"]) for key in ("found", "expected"))
    message = (
        f"worker {first['worker']} applied {first['parameter']} = {found} at step"
        f" {first['step']:,}, where {served} was served{others}"
    )
    return [_item("mismatch", first["step"], count, message)]


def _number(written: str, dtype: wire.SlotType) -> str:
    """Return a number as short as it reads back in its slot: ``4e-5``."""
    number = str(np.float32(written)) if dtype == "f32" else written
    return re.sub(r"e([+-])0*", lambda match: "e" + match[1].strip("+"), number).removesuffix(".0")


def _went_back(records: Records, run: RunRecord, lineage: Lineage) -> list[wire.Attention]:
    (step, worker), settled = records.ahead.of(run.key), lineage[run.generation].settled_until
    if step <= settled:
        return []
    message = (
        f"worker {worker} says that it is past step {step:,}, and all that this service knows of is"
        f" settled up to {settled:,}. If the others are there, too, it has forgotten what it handed"
        " out: advance the run to there before anything is changed"
    )
    return [_item("went-back", step, 1, message)]


def _item(
    kind: wire.AttentionKind,
    step: int,
    count: int,
    message: str,
    *,
    metric: str | None = None,
    controller: str | None = None,
) -> wire.Attention:
    return {
        "kind": kind,
        "metric": metric,
        "controller": controller,
        "step": step,
        "count": count,
        "message": message,
    }
