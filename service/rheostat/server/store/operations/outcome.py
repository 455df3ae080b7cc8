"""What workers say became of a signal, each of them once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rheostat import wire
from rheostat.errors import FieldError, Invalid, TooMany
from rheostat.limits import MAX_OUTCOME_DATA, MAX_OUTCOMES
from rheostat.server.runs.fragments import dumps
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.revision import Revision
from rheostat.server.runs.validation import require_at_most
from rheostat.server.store.operations import checkpoint
from rheostat.server.store.records import Records, RunRecord, now


@dataclass(frozen=True)
class OutcomeReport:
    """What a worker of a generation says of a signal that it was told at a step."""

    generation: int
    revision: int
    source: str
    outcome: Literal["done", "failed"]
    step: int
    data: Mapping[str, Any] | None = None
    error: str | None = None


def tell(records: Records, run_id: str, report: OutcomeReport) -> tuple[wire.Outcome, bool]:
    """
    Keep what a worker says became of a signal; return what is kept, and whether that is new.

    The first word of a source stays. A finished run keeps outcomes, too, and tells no event then.
    A checkpoint that was saved is known from then on.

    Raises:
        UnknownRevision, UnknownGeneration: The run has none of this number.
        TooMany: So many have said so that one more is not kept.
        Invalid: The revision sent no signal, or nobody can have been told it at that step.

    """
    run = records.find(run_id, lock=True)
    _require_short(records, report)
    lineage = records.lineage(run)
    revision = records.revisions.one(run.id, report.revision)
    _require_told(lineage, revision, report)
    kept = records.outcomes.one(run.id, report.revision, report.source)
    if kept is not None:
        return kept, False
    _require_few(records, run, report.revision)
    outcome: wire.Outcome = {
        "revision": report.revision,
        "source": report.source,
        "generation": report.generation,
        "outcome": report.outcome,
        "step": report.step,
        "data": None if report.data is None else dict(report.data),
        "error": report.error,
        "created_at": now(),
    }
    event = None if run.end is not None else run.newest_event(lineage) + 1
    records.outcomes.add(run.id, outcome, event)
    if event is not None:
        records.change(run.id, event=event)
    settled = lineage[report.generation].settled_until
    saved = checkpoint.of_outcome(outcome, revision.data or {}, settled)
    if saved is not None:
        checkpoint.keep(records, run, saved)
    return outcome, True


def page(
    records: Records, ref: str, revision: int, after: str, limit: int
) -> tuple[list[wire.Outcome], str | None]:
    """Return the outcomes of a revision by source, past ``after``, and where to go on."""
    run = records.find(ref)
    records.revisions.one(run.id, revision)
    items = records.outcomes.page(run.id, revision, after, limit + 1)
    return items[:limit], items[limit - 1]["source"] if len(items) > limit else None


def _require_short(records: Records, report: OutcomeReport) -> None:
    if report.data is not None:
        text = dumps(report.data).decode()
        require_at_most(MAX_OUTCOME_DATA, "data", text, "characters of JSON")
    if report.error is not None:
        require_at_most(records.limits.message, "error", report.error, "characters")


def _require_told(lineage: Lineage, revision: Revision, report: OutcomeReport) -> None:
    """Raise unless a worker of that generation can have been told a signal there."""
    settled = lineage[report.generation].settled_until
    if "signal" not in (revision.data or {}):
        message = f"revision {revision.number} sent no signal: it is a {revision.kind}"
        raise _refuse("revision", message, revision.number, "a revision that sent a signal")
    until = lineage[revision.generation].settled_until
    if revision.effective > until:
        message = f"nobody was told revision {revision.number}: its step is not settled"
        raise _refuse("revision", message, revision.number, f"effective <= {until}")
    if report.step > settled:
        message = f"generation {report.generation} is settled up to {settled} only"
        raise _refuse("step", message, report.step, f"<= {settled}")


def _require_few(records: Records, run: RunRecord, revision: int) -> None:
    if records.outcomes.is_full(run.id, revision, MAX_OUTCOMES):
        message = f"{MAX_OUTCOMES} workers have said what became of revision {revision}"
        wrong = [FieldError("source", message, MAX_OUTCOMES + 1, f"<= {MAX_OUTCOMES} sources")]
        raise TooMany(message, errors=wrong, limit=MAX_OUTCOMES)


def _refuse(field: str, message: str, value: int, bound: str) -> Invalid:
    return Invalid(message, errors=[FieldError(field, message, value, bound)])
