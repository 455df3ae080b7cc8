"""Creating runs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from rheostat.errors import NameTaken
from rheostat.schedules.references import Lookup
from rheostat.server.fragments import Written, dumps
from rheostat.server.runs.lineage import Generation
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.runs.spec import RunSpec, parse_run
from rheostat.server.runs.timeline import Timelines
from rheostat.server.runs.units import Units
from rheostat.server.store.aside import Results
from rheostat.server.store.operations.show import show
from rheostat.server.store.records import Records, RunRecord, now


def create(records: Records, body: Any, note: Note) -> dict[str, Any]:
    """Create a run; raise `NameTaken` if one of this name exists."""
    spec, timelines, given = _read(records, body)
    there = records.claim(spec.name)
    if there is not None:
        raise NameTaken(f"there is a run {spec.name!r} already", id=there.id)
    return _add(records, spec, timelines, given, note)


def ensure(records: Records, body: Any, note: Note) -> tuple[dict[str, Any], bool]:
    """
    Return the run that ``body`` creates, and whether it was created now.

    Labels are no part of what a run is: a job that comes back with others (its number in the
    queue, the hash of its code) finds its run, which keeps those that it was created with.

    Raises
    ------
    NameTaken
        A run of this name was created with another body; ``differences`` lists where.

    """
    spec, timelines, given = _read(records, body)
    there = records.claim(spec.name)
    if there is None:
        return _add(records, spec, timelines, given, note), True
    spec = spec.model_copy(update={"labels": there.spec.labels})
    differences = _differences(there.spec, spec)
    if differences and not _same_words(records, there, spec, body["parameters"]):
        first = records.revisions.one(there.id, 1).timelines
        differences = [_told(item, first, timelines) for item in differences]
        fields = ", ".join(item["field"] for item in differences)
        message = f"the run {spec.name!r} was created with another body: {fields} differ"
        raise NameTaken(message, id=there.id, differences=differences)
    return show(records, there.id), False


def _read(records: Records, body: Any) -> tuple[RunSpec, Timelines, Written]:
    """Return the run that a body describes, what it follows, and the definitions as given."""
    limits = records.limits

    def parsed(lookup: Lookup) -> Results:
        spec, timelines = parse_run(body, Units(lookup=lookup), limits)
        for timeline in timelines.values():
            timeline.digest  # noqa: B018 - what is to be stored is made here, too
        return {"run": (spec, timelines, Written(dumps(body["parameters"]).decode()))}

    read: tuple[RunSpec, Timelines, Written] = records.aside("run", parsed, body)
    return read


def new_id() -> str:
    """Return an id for a run that nobody can guess, and that was never used."""
    return f"run_{secrets.token_hex(13)}"


def new_run(spec: RunSpec, note: Note) -> RunRecord:
    """Return a run that is not stored yet."""
    return RunRecord(
        id=new_id(),
        spec=spec,
        author=note.author,
        created_at=now(),
        generation=1,
        revision=1,
        event=0,
        end=None,
        finished_at=None,
    )


def _add(
    records: Records, spec: RunSpec, timelines: Timelines, given: Written, note: Note
) -> dict[str, Any]:
    run = new_run(spec, note)
    first = Revision(
        number=1,
        generation=1,
        kind=RevisionKind.CREATE,
        effective=0,
        changes=given,
        note=note,
        created_at=run.created_at,
        timelines=timelines,
    )
    records.add(run)
    records.add_generation(Generation(run.key, parent=None, start=0, settled_until=0))
    records.revisions.add(run.id, first, run.event)
    return show(records, run.id)


def _same_words(records: Records, run: RunRecord, spec: RunSpec, given: Any) -> bool:
    """Whether the body is the creating one, though a schedule that it names has a newer version."""
    first = records.revisions.one(run.id, 1)
    rest = run.spec.model_copy(update={"parameters": spec.parameters})
    return rest == spec and first.changes == given


def _differences(there: RunSpec, sent: RunSpec) -> list[dict[str, Any]]:
    flat = [_flat(there.to_json()), _flat(sent.to_json())]
    return [
        {"field": field, "there": flat[0].get(field), "sent": flat[1].get(field)}
        for field in sorted(flat[0].keys() | flat[1].keys())
        if flat[0].get(field) != flat[1].get(field)
    ]


def _told(item: dict[str, Any], there: Timelines, sent: Timelines) -> dict[str, Any]:
    """Return a difference with the definitions that differ, in place of their hashes."""
    kind, _, name = item["field"].partition(".")
    if kind != "parameters":
        return item
    both = {"there": there.get(name), "sent": sent.get(name)}
    return {**item, **{key: line and line.at(0).definition for key, line in both.items()}}


def _flat(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields by their paths, one level into the objects."""
    return {
        path: value
        for field, inner in spec.items()
        for path, value in (
            ((f"{field}.{key}", item) for key, item in inner.items())
            if isinstance(inner, dict)
            else ((field, inner),)
        )
    }
