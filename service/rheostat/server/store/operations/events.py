"""
Events, as they are read.

They are not stored a second time: a revision is one, under its number, and so are the settled end
of each generation, the beginning of a training in the middle, what workers say became of signals,
what they applied and were not given, and proposals, each of them twice at most: when it is made,
and when somebody decides on it. See ``docs/decisions/events.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson
from sqlalchemy import Row, case, func, select

from rheostat import wire
from rheostat.errors import FieldError, Invalid
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.revision import RevisionKind
from rheostat.server.store import tables
from rheostat.server.store.mismatches import Mismatches
from rheostat.server.store.operations.decided import decision_json
from rheostat.server.store.records import Records, RunRecord

PAGE = 100
"""Most events that are read of a run at a time."""

LONGEST = 16 * 1024
"""Characters of JSON up to which an event shows the changes of its revision."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events of a run by rising number; ``over`` means that there will never be more."""

    run_id: str
    events: Sequence[wire.Event]
    over: bool


def page(records: Records, ref: str, after: int) -> EventPage:
    """
    Return the next events after a number, at most `PAGE`.

    Raises `Invalid` if there is no event of that number yet: it was another run's.
    """
    run = records.find(ref)
    lineage = records.lineage(run)
    newest = run.newest_event(lineage)
    if after > newest:
        message = f"the run's newest event is {newest}, not {after}"
        raise Invalid(message, errors=[FieldError("after", message, after, f"<= {newest}")])
    events = _read(records, run, lineage, after)
    return EventPage(run.id, events, over=run.end is not None and not events)


def news(records: Records, heads: Mapping[str, int]) -> dict[str, Sequence[wire.Event] | None]:
    """Return what happened to runs after a number each; None to those that are not to be had."""
    runs, generations = tables.runs, tables.generations
    query = (
        select(runs.c.id, runs.c.event.label("revised"), *_SETTLED)
        .join(generations, runs.c.id == generations.c.run_id)
        .where(runs.c.id.in_(heads), generations.c.generation == runs.c.generation)
    )
    found: dict[str, Sequence[wire.Event] | None] = dict.fromkeys(heads)
    for run_id, revised, *settled in records.connection.execute(query).all():
        if revised > heads[run_id]:
            run = records.find(run_id, settled=True)
            if run.is_newer:  # its stream ends: who asks again is told that another release has it
                continue
            found[run_id] = _read(records, run, records.lineage(run), heads[run_id])
        else:
            event = _settled(run_id, *settled)
            found[run_id] = [event] if event["number"] > heads[run_id] else []
    return found


def _read(records: Records, run: RunRecord, lineage: Lineage, after: int) -> list[wire.Event]:
    event = tables.revisions.c.event
    query = select(*_REVISED).where(tables.revisions.c.run_id == run.id, event > after)
    rows = records.connection.execute(query.order_by(event).limit(PAGE))
    events = [_revised(row, run.id, lineage) for row in rows]
    events += [_of_decision(row, run.id) for row in _decisions(records, run.id, after)]
    if run.begun_event is not None and run.begun_event > after:
        events.append(_begun(run, run.begun_event))
    events += [
        _settled(run.id, past.key.number, past.settled_until, past.event, past.settled_at)
        for past in lineage
        if past.event > after
    ]
    events += _of_proposals(records, run.id, after)
    events += map(_told, records.outcomes.told(run.id, after, PAGE))
    events += Mismatches(records.connection).told(run.id, after, PAGE)
    return sorted(events, key=lambda event: event["number"])[:PAGE]


def _of_proposals(records: Records, run_id: str, after: int) -> Iterator[wire.Event]:
    """Yield the next events of proposals after a number: that they were made, and decided on."""
    table = tables.proposals
    for number, told in ((table.c.event, _proposed), (table.c.decided_event, _decided)):
        query = select(table).where(table.c.run_id == run_id, number > after)
        rows = records.connection.execute(query.order_by(number).limit(PAGE))
        yield from map(told, rows)


def _proposed(row: Row[Any]) -> wire.ProposedEvent:
    return {
        "number": row.event,
        "kind": "proposed",
        "id": row.run_id,
        "created_at": row.created_at,
        "generation": row.generation,
        "proposal": row.number,
        "proposes": row.kind,
        "author": row.author,
        "message": row.message,
        "cause": None if row.cause is None else orjson.loads(row.cause),
    }


def _decided(row: Row[Any]) -> wire.SettledProposalEvent:
    return {
        "number": row.decided_event,
        "kind": "settled-proposal",
        "id": row.run_id,
        "created_at": row.decided_at,
        "generation": row.generation,
        "proposal": row.number,
        "state": row.state,
        "revision": row.revision,
        "author": row.decided_by,
        "message": row.reason,
    }


def _decisions(records: Records, run_id: str, after: int) -> Sequence[Row[Any]]:
    event = tables.consumed.c.event
    query = select(tables.consumed).where(tables.consumed.c.run_id == run_id, event > after)
    return records.connection.execute(query.order_by(event).limit(PAGE)).all()


def _of_decision(row: Row[Any], run_id: str) -> wire.Event:
    decision: dict[str, Any] = {**decision_json(row)}
    number = decision.pop("event")
    return cast("wire.Event", {"number": number, "kind": "decided", "id": run_id, **decision})


def _told(row: Row[Any]) -> wire.OutcomeEvent:
    return {
        "number": row.event,
        "kind": "outcome",
        "id": row.run_id,
        "created_at": row.at,
        "generation": row.generation,
        "revision": row.revision,
        "source": row.source,
        "outcome": row.outcome,
        "step": row.step,
        "error": row.error,
    }


def _begun(run: RunRecord, number: int) -> wire.BegunEvent:
    return {
        "number": number,
        "kind": "begun",
        "id": run.id,
        "created_at": run.begun_at,
        "generation": 1,
        "begins": run.begins,
        "settled_until": run.begins,
        "author": run.begun_by,
    }


_SETTLED = tuple(
    tables.generations.c[name] for name in ("generation", "settled_until", "event", "settled_at")
)


def _settled(
    run_id: str, generation: int, until: int, number: int, at: str | None
) -> wire.SettledEvent:
    return {
        "number": number,
        "kind": "settled",
        "id": run_id,
        "created_at": at,
        "generation": generation,
        "settled_until": until,
    }


_CHANGES = tables.revisions.c.changes
_REVISED = (
    *(
        tables.revisions.c[name]
        for name in (
            *("event", "kind", "created_at", "generation", "revision", "effective"),
            *("author", "message", "forced", "cancels", "total", "data", "cause"),
        )
    ),
    case((func.length(_CHANGES) <= LONGEST, _CHANGES)).label("changes"),
)


def _revised(row: Row[Any], run_id: str, lineage: Lineage) -> wire.Event:
    event: wire.RevisionEvent = {
        "number": row.event,
        "id": run_id,
        "created_at": row.created_at,
        "generation": row.generation,
        "revision": row.revision,
        "effective": row.effective,
        "changes": None if row.changes is None else orjson.loads(row.changes),
        "author": row.author,
        "message": row.message,
        "forced": row.forced,
        "cause": None if row.cause is None else orjson.loads(row.cause),
    }
    data = None if row.data is None else orjson.loads(row.data)
    match kind := RevisionKind(row.kind):
        case RevisionKind.CHANGE:
            return {"kind": "revised", **event}
        case RevisionKind.CANCEL if data is not None and "pauses" in data:
            return {"kind": "resumed", **event, "data": data}
        case RevisionKind.CANCEL:
            return {"kind": "cancelled", **event, "cancelled": row.cancels}
        case RevisionKind.REWIND:
            return _rewound(event, lineage)
        case RevisionKind.ADVANCE:
            return {"kind": "advanced", **event, "settled_until": row.effective}
        case RevisionKind.TOTAL:
            return {"kind": "extended", **event, "total": row.total}
        case RevisionKind.FINISH:
            return {"kind": "finished", **event, "end": row.effective}
    return cast("wire.Event", {"kind": _SAYING[kind], **event, "data": data})


_SAYING = {
    RevisionKind.STOP: "stopped",
    RevisionKind.PAUSE: "paused",
    RevisionKind.SIGNAL: "signalled",
    RevisionKind.CONTROL: "armed",
    RevisionKind.NOTE: "noted",
}
"""Events of revisions that change no value, by kind; the kinds that are missing are no events."""


def _rewound(event: wire.RevisionEvent, lineage: Lineage) -> wire.RewoundEvent:
    new, left = lineage[event["generation"]], lineage[event["generation"] - 1]
    assert new.parent is not None  # noqa: S101 - what a rewind makes branches from another one
    return {
        "kind": "rewound",
        **event,
        "parent": new.parent.number,
        "from": new.start,
        "ended": left.settled_until,
    }
