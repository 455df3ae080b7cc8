"""Creating runs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rheostat import wire
from rheostat.errors import NameTaken
from rheostat.schedules.parse import whole
from rheostat.schedules.references import Lookup
from rheostat.server.runs.control.fitting import Fitted
from rheostat.server.runs.fragments import dumps
from rheostat.server.runs.lineage import Generation
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.runs.spec import StoredRun, parse_run
from rheostat.server.runs.timeline import Timeline, Timelines
from rheostat.server.runs.validation import Units
from rheostat.server.store.operations.control import armed_at, begin_all, said
from rheostat.server.store.operations.show import show
from rheostat.server.store.operations.stop import halt
from rheostat.server.store.outside import Results
from rheostat.server.store.records import Records, RunRecord, now
from rheostat.server.store.revisions import StoredChanges


def create(records: Records, body: Any, note: Note) -> wire.RunState:
    """Create a run; raise `NameTaken` if one of this name exists."""
    made = _read(records, body)
    there = records.claim(made.spec.name)
    if there is not None:
        raise NameTaken(f"there is a run {made.spec.name!r} already", id=there.id)
    return _add(records, made, note)


def ensure(records: Records, body: Any, note: Note) -> tuple[wire.RunState, bool]:
    """
    Return the run that ``body`` creates, and whether it was created now.

    The body's words count, not the steps that they come to: a training that was made longer finds
    its run with the total in force, and with the one that created it. Labels do not count.

    Raises:
        NameTaken: A run of this name was created with another body; ``differences`` lists where,
            and ``extend`` is the command that makes the run as long as the body says.
        TooMany, Invalid: Among others, if the author's share is used up.

    """
    made = _read(records, body)
    there = records.claim(made.spec.name)
    if there is None:
        return _add(records, made, note), True
    differences = _differences(records, there, made, body["parameters"])
    if differences:
        raise _name_taken(there, made.spec, differences)
    return show(records, there.id), False


@dataclass(frozen=True)
class NewRun:
    """The run that a body describes: what it follows, and the definitions as they were given."""

    spec: StoredRun
    timelines: Timelines
    controllers: Mapping[str, Fitted]
    given: StoredChanges

    @property
    def size(self) -> int:
        """The characters that are stored of it: as they were given, and as read."""
        lines = sum(len(timeline.text) for timeline in self.timelines.values())
        changes = sum(len(each.changes or "") for each in self.controllers.values())
        return len(self.given.document.text) + lines + changes


def _read(records: Records, body: Any) -> NewRun:
    """Return the run that a body describes."""
    limits = records.limits

    def parsed(lookup: Lookup) -> Results:
        spec, timelines, controllers = parse_run(body, Units(lookup=lookup), limits)
        for timeline in timelines.values():
            timeline.digest  # noqa: B018 - what is to be stored is made here, too
        given = {name: whole(data) for name, data in body["parameters"].items()}
        changes = StoredChanges(dumps(given).decode())
        return {"run": NewRun(spec, timelines, controllers, changes)}

    read: NewRun = records.outside("run", parsed, body)
    return read


def new_id() -> str:
    """Return an id for a run that nobody can guess, and that was never used."""
    return f"run_{secrets.token_hex(13)}"


def new_run(spec: StoredRun, note: Note) -> RunRecord:
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
        total=spec.total,
        protect=spec.protect,
    )


def _add(records: Records, made: NewRun, note: Note) -> wire.RunState:
    run = new_run(made.spec, note)
    armed = armed_at(made.controllers, 0)
    first = Revision(
        number=1,
        generation=1,
        kind=RevisionKind.CREATE,
        effective=0,
        changes=made.given,
        note=note,
        created_at=run.created_at,
        timelines=made.timelines,
        laid_for=made.spec.total,
        data=said([each for each, _ in armed]),
    )
    records.add(run, made.size)
    records.add_generation(Generation(run.key, parent=None, start=0, settled_until=0))
    records.revisions.add(run.id, first, run.event)
    begin_all(records, run, armed)
    if made.spec.paused:
        run = records.find(run.id)
        halt(records, run, 0, note, hold=True)
    return show(records, run.id)


def _name_taken(there: RunRecord, spec: StoredRun, differences: list[dict[str, Any]]) -> NameTaken:
    fields = ", ".join(item["field"] for item in differences)
    verb = "differs" if len(differences) == 1 else "differ"
    message = f"the run {spec.name!r} was created with another body: {fields} {verb}"
    members: dict[str, Any] = {"id": there.id, "differences": differences}
    if spec.total is not None and any(item["field"] == "total" for item in differences):
        members["extend"] = f"rheostat run extend {spec.name} --total {spec.total}"
        message = f"{message}; to train as long as that: {members['extend']}"
    return NameTaken(message, **members)


def _differences(
    records: Records,
    there: RunRecord,
    made: NewRun,
    given: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return where a body differs from the one that created a run, in words."""
    spec = made.spec
    if there.spec == spec and there.total == spec.total:
        return []
    found, sent = _flat(there.spec), _flat(spec)
    if spec.total in {there.spec.total, there.total}:
        found["total"] = sent["total"]
    else:
        found["total"] = there.total
    differences = [
        {"field": field, "there": found.get(field), "sent": sent.get(field)}
        for field in sorted(found.keys() | sent.keys())
        if found.get(field) != sent.get(field)
    ]
    if not differences:
        return []
    first = records.revisions.one(there.id, 1)
    same = _named_alike(first, given)
    return [_told(item, first, made) for item in differences if item["field"] not in same]


def _named_alike(first: Revision, given: Mapping[str, Any]) -> frozenset[str]:
    """Return the parameters that are given as they were, though a schedule has a newer version."""
    return frozenset(
        f"parameters.{name}"
        for name, data in given.items()
        if first.changes.document.get(name) == whole(data)
    )


def _told(item: dict[str, Any], first: Revision, made: NewRun) -> dict[str, Any]:
    """Return a difference with what definitions and controllers say, in place of their digests."""
    kind, _, name = item["field"].partition(".")
    if kind == "parameters":
        there, sent = _said(first.timelines.get(name)), _said(made.timelines.get(name))
    elif kind == "controllers":
        there = (first.data or {}).get("controllers", {}).get(name)
        sent = made.controllers[name].controller.document if name in made.controllers else None
    else:
        return item
    return {**item, "there": there, "sent": sent}


def _said(timeline: Timeline | None) -> Any:
    if timeline is None:
        return None
    piece = timeline.at(0)
    return piece.definition.to_json() if piece.words is None else piece.words.data


def _flat(spec: StoredRun) -> dict[str, Any]:
    """Return the fields but for labels by their paths, one level into objects."""
    document = spec.to_json()
    del document["labels"]
    return {
        path: value
        for field, inner in document.items()
        for path, value in (
            ((f"{field}.{key}", item) for key, item in inner.items())
            if isinstance(inner, dict)
            else ((field, inner),)
        )
    }
