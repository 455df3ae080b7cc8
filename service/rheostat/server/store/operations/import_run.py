"""Making a run of an export: its values bit for bit, under an id of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rheostat import wire
from rheostat.controllers import bits_of_value, value_of_json
from rheostat.errors import FieldError, Invalid, NameTaken, Unavailable
from rheostat.schedules.references import Lookup
from rheostat.server.runs.control.places import owner_of
from rheostat.server.runs.fragments import dumps
from rheostat.server.runs.imports import (
    ImportedPiece,
    ImportedRevision,
    ImportedRun,
    parse_import,
)
from rheostat.server.runs.lineage import Generation, GenerationKey
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.runs.settling import Segment
from rheostat.server.runs.timeline import Timelines
from rheostat.server.store import ledger, statements
from rheostat.server.store.operations.create import new_id
from rheostat.server.store.operations.show import show
from rheostat.server.store.outside import Results
from rheostat.server.store.records import Records, RunRecord, now
from rheostat.server.store.reports import KeptMetric, ReportKey
from rheostat.server.store.revisions import StoredChanges

Point = tuple[ReportKey, int]


def import_run(records: Records, export: Any, name: str | None, note: Note) -> wire.RunState:
    """
    Store the run that an export describes, and a note of who has imported it.

    Raises:
        NameTaken: There is a run of this name.
        Invalid: The export is none, or not a sound one.

    """
    made = _read(records, export, name)
    there = records.claim(made.spec.name)
    if there is not None:
        raise NameTaken(f"there is a run {made.spec.name!r} already", id=there.id)
    run = _run(made, note)
    records.add(run, sum(len(each.changes.document.text) for each in _kept(made)))
    for number, parent, start, settled in made.generations:
        key = GenerationKey(run.id, number)
        above = None if parent is None else GenerationKey(run.id, parent)
        records.add_generation(Generation(key, above, start, settled))
    for revision in [*_kept(made), _imported(made, note)]:
        records.revisions.add(run.id, revision, revision.number - 1)
    rows = [row for piece in made.ledger for row in _rows(run, piece)]
    if rows:
        records.connection.execute(statements.APPEND, rows)
    _add_reports(records, run, made)
    return show(records, run.id)


def _read(records: Records, export: Any, name: str | None) -> ImportedRun:
    limits = records.limits

    def parsed(_lookup: Lookup) -> Results:
        made = parse_import(export, name, limits)
        for each in made.revisions:
            for timeline in each.timelines.values():
                timeline.digest  # noqa: B018 - what is to be stored is made here, too
        settled = made.generations[-1][-1]
        for revision in _kept(made):
            if revision.pending(settled) and revision.generation == len(made.generations):
                _require_readable(revision)
        return {"import": made}

    read: ImportedRun = records.outside("import", parsed, export)
    return read


def _require_readable(revision: Revision) -> None:
    """Refuse changes that are to be folded again, and cannot be."""
    assert isinstance(revision.changes, StoredChanges)  # noqa: S101 - `_kept` has made it
    try:
        revision.changes.read().laid_out(revision.laid_for)
    except (Invalid, Unavailable) as error:
        field = f"export.revisions[{revision.number - 1}].changes"
        message = f"{field} cannot be read: {error.__cause__ or error}"
        raise Invalid(message, errors=[FieldError(field, message)]) from None


def _run(made: ImportedRun, note: Note) -> RunRecord:
    number = len(made.revisions) + 1
    finished = None if made.end is None else made.revisions[-1].created_at
    return RunRecord(
        id=new_id(),
        spec=made.spec,
        author=note.author,
        created_at=now(),
        generation=len(made.generations),
        revision=number,
        event=number - 1,
        end=made.end,
        finished_at=finished,
        total=made.total,
        begins=made.begins,
    )


def _kept(made: ImportedRun) -> list[Revision]:
    return [_revision(each) for each in made.revisions]


def _revision(each: ImportedRevision) -> Revision:
    is_note = each.kind is RevisionKind.NOTE
    return Revision(
        number=each.number,
        generation=each.generation,
        kind=each.kind,
        effective=each.effective,
        changes=StoredChanges(dumps(each.changes).decode()),
        note=Note(each.author, each.message),
        created_at=each.created_at,
        timelines=each.timelines,
        forced=each.forced,
        cancelled=each.cancelled,
        cancels=each.cancels,
        total=each.total,
        laid_for=each.laid_for,
        data={"level": "note"} if is_note else None,
    )


def _imported(made: ImportedRun, note: Note) -> Revision:
    """Return the note that says who vouches for all before it."""
    number, _, _, settled = made.generations[-1]
    return Revision(
        number=len(made.revisions) + 1,
        generation=number,
        kind=RevisionKind.NOTE,
        effective=settled,
        changes=StoredChanges("{}"),
        note=Note(note.author, f"imported: it was {made.source}"),
        created_at=now(),
        timelines=Timelines({}),
        data={"level": "note"},
    )


def _rows(run: RunRecord, piece: ImportedPiece) -> Iterator[dict[str, object]]:
    """Yield a stretch as it is stored: packed where a row is full."""
    layout, owner = run.layout, GenerationKey(run.id, piece.generation)
    segment, start = Segment(piece.start, piece.stop, piece.values), piece.start
    while start < piece.stop:
        stop = min(layout.floor(start) + layout.span, piece.stop)
        part = segment.clipped(layout.grid, start, stop)
        yield ledger.row(owner, part, packed=start + layout.span == stop)
        start = stop


def _add_reports(records: Records, run: RunRecord, made: ImportedRun) -> None:
    lineage, at, number = records.lineage(run), now(), 0
    kept: dict[str, int] = {}
    seen: set[tuple[ReportKey, str]] = set()
    for metric, steps, values, sources in made.reports:
        by_source: dict[str, list[Point]] = {}
        for step, value, source in zip(steps, values, sources, strict=True):
            key = ReportKey(owner_of(lineage, run.generation, step, run.spec.grid), metric, step)
            if (key, source) not in seen:
                seen.add((key, source))
                bits = bits_of_value(value_of_json(value, "export.reports"))
                by_source.setdefault(source, []).append((key, bits))
        for source, points in by_source.items():
            records.reports.add(run.id, source, points, number=number, at=at)
            number += len(points)
            kept[metric] = kept.get(metric, 0) + len(points)
    for metric, points_kept in kept.items():
        records.reports.keep_metric(run.id, metric, KeptMetric(points=points_kept), new=True)
