"""Forking: a new run that inherits another one's past, and fences nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, WithJsonSchema

from rheostat import wire
from rheostat.errors import FieldError, Invalid, NameTaken
from rheostat.limits import MAX_CONTROLLERS, MAX_NUMBER, MAX_STEP
from rheostat.schedules.definition import REFERENCE
from rheostat.schedules.references import Lookup
from rheostat.server.runs.control.armed import Armed, Head
from rheostat.server.runs.control.fitting import Fitted, Setting, digest, fitted
from rheostat.server.runs.lineage import Generation, Lineage
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.runs.spec import Labels, RunName, require_free_name
from rheostat.server.runs.validation import Units, require_at_most, validate
from rheostat.server.store.operations.carry import fork_controllers
from rheostat.server.store.operations.control import armed_at, begin_all, said
from rheostat.server.store.operations.create import new_run
from rheostat.server.store.operations.dropping import cut, left_behind
from rheostat.server.store.operations.refold import history, refold
from rheostat.server.store.operations.revise import changes_if_any, mark_forced
from rheostat.server.store.operations.show import show
from rheostat.server.store.outside import Results
from rheostat.server.store.records import Records, RunRecord


class Origin(BaseModel):
    """Where a fork leaves another run."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    run: Annotated[str, Field(max_length=128, description="the run's name or id")]
    generation: (
        Annotated[int, Field(ge=1, lt=MAX_NUMBER + 1, description="by default its current one")]
        | None
    ) = None
    step: (
        Annotated[int, Field(ge=0, le=MAX_STEP, description="by default its settled end")] | None
    ) = None


class Fork(BaseModel):
    """The body that forks a run."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    name: RunName
    from_: Annotated[Origin, Field(alias="from", description="where it leaves another run")]
    changes: Annotated[
        Any,
        Field(description="what to change at that step"),
        WithJsonSchema({"anyOf": [{REFERENCE: "Changes"}, {"type": "null"}]}),
    ] = None
    labels: Labels | None = None
    controllers: (
        Annotated[
            dict[RunName, Annotated[Any, WithJsonSchema({REFERENCE: "ControllerConfig"})]],
            Field(
                max_length=MAX_CONTROLLERS,
                description="its controllers; by default the other run's, with what they remember",
            ),
        ]
        | None
    ) = None
    message: Annotated[str, Field(description="why")] = ""
    force: Annotated[bool, Field(description="accept it though it breaks a guard")] = False


FORK = TypeAdapter(Fork)


def fork(records: Records, body: Any, note: Note) -> wire.RunState:
    """
    Create a run whose past is another run's, up to a settled step of one of its generations.

    It has the other run's specification, but for its name and labels, is protected as that is, and
    follows what is in
    force there at that step, with the changes.
    """
    request = _requested(records, body)
    if records.claim(request.name) is not None:
        raise _taken(request.name)
    source = records.find(request.from_.run, lock=True)
    branch = _branch(records, source, request, note)
    run, revision = branch.run, branch.revision
    records.add(run, sum(len(timeline.text) for timeline in revision.timelines.values()))
    records.add_generation(branch.generation)
    records.revisions.add(run.id, revision, run.event)
    begin_all(records, run, branch.armed)
    return show(records, run.id)


def rehearse_fork(records: Records, body: Any, note: Note) -> wire.ForkRehearsal:
    """Return what `fork` would make; raise what it would raise."""
    request = _requested(records, body)
    if records.named(request.name) is not None:
        raise _taken(request.name)
    source = records.find(request.from_.run)
    branch = _branch(records, source, request, note)
    records.acting.require_labels(branch.run.spec.labels)
    lineage, parent, step = branch.lineage, branch.parent, branch.generation.start
    new = cut(lineage.reach(parent), step)
    return {
        "name": request.name,
        "parent_run": source.id,
        "parent": parent,
        "from": step,
        "revisions": left_behind(records, source, lineage, parent, new),
        "controllers": [each.name for each, _ in branch.armed],
    }


@dataclass(frozen=True, slots=True)
class _Branch:
    """What a fork comes to; nothing of it is written."""

    lineage: Lineage
    """Of the run that it leaves."""
    parent: int
    """Generation that it leaves."""
    run: RunRecord
    generation: Generation
    revision: Revision
    armed: Sequence[tuple[Armed, Head]]


def _branch(records: Records, source: RunRecord, request: Fork, note: Note) -> _Branch:
    lineage = records.lineage(source)
    parent = lineage[request.from_.generation or source.generation]
    step = _step(source, parent, request)
    renamed: dict[str, Any] = {"name": request.name, "labels": request.labels or {}}
    armed = _controllers(records, source, lineage, parent, step, request)
    configs = {each.name: digest(each.controller.document) for each, _ in armed}
    renamed |= {"total": source.total, "paused": False, "controllers": configs}
    renamed["protect"] = source.protect
    run = replace(new_run(source.spec.model_copy(update=renamed), note), needs=source.needs)
    generation = Generation(run.key, parent.key, step, step)
    revision = _revision(records, run, source, generation, request)
    revision = replace(revision, data=said([each for each, _ in armed]))
    return _Branch(lineage, parent.key.number, run, generation, revision, armed)


def _requested(records: Records, body: Any) -> Fork:
    request = validate(FORK, body, "")
    require_free_name(request.name)
    require_at_most(records.limits.message, "message", request.message, "characters")
    return request


def _taken(name: str) -> NameTaken:
    return NameTaken(f"there is a run {name!r} already")


def _controllers(
    records: Records,
    source: RunRecord,
    lineage: Lineage,
    parent: Generation,
    step: int,
    request: Fork,
) -> list[tuple[Armed, Head]]:
    """Return the fork's controllers: its own, or the other run's with what they remember."""
    if request.controllers is None:
        return fork_controllers(records, source, lineage, parent.key.number, step)
    given = request.controllers
    (owner,) = lineage.owners(parent.key.number, step, step + 1)
    timelines = records.revisions.in_force_at(owner.owner, step).timelines
    setting = Setting(source.spec.names, timelines.sources, source.spec.steps_per_epoch)
    units = source.units(Units())

    def parsed(lookup: Lookup) -> Results:
        return {key: fitted(given, setting, replace(units, lookup=lookup))}

    key = ("controllers", source.id, units.total)
    found: dict[str, Fitted] = records.outside(key, parsed, given)
    return armed_at(found, step)


def _step(source: RunRecord, parent: Generation, request: Fork) -> int:
    settled = parent.settled_until
    if request.from_.step is None:
        return settled
    step = source.spec.grid.require("from.step", request.from_.step)
    if step > settled:
        message = f"generation {parent.key.number} is settled up to {settled} only"
        bound = f"<= {settled}"
        raise Invalid(message, errors=[FieldError("from.step", message, step, bound)])
    return step


def _revision(
    records: Records,
    run: RunRecord,
    source: RunRecord,
    generation: Generation,
    request: Fork,
) -> Revision:
    """Return the fork's first revision: what was in force at its step, with the changes."""
    step, parent = generation.start, generation.parent
    assert parent is not None  # noqa: S101 - a fork has one
    (owner,) = records.lineage(source).owners(parent.number, step, step + 1)
    before = records.revisions.in_force_at(owner.owner, step).timelines.relabelled(1)
    first = Revision(
        number=1,
        generation=1,
        kind=RevisionKind.FORK,
        effective=step,
        changes=changes_if_any(records, run, request.changes),
        note=Note(run.author, request.message),
        created_at=run.created_at,
        timelines=before,
        forced=request.force,
        laid_for=run.total,
    )
    # a new run has another id each time that this begins anew, and its source's guards
    past = history(records, source)
    (folded,) = refold(records, source, before, [first], past, asked=first.number)
    return mark_forced(folded, before, run)
