"""
What may be proposed: for each kind, the body of its request, and the operation that it is for.

A proposal is accepted by the very operation that does the same when an operator asks for it, so
one more kind is one more entry here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from rheostat import wire
from rheostat.errors import FieldError, Invalid
from rheostat.limits import NAME, NAME_RULE
from rheostat.schedules.field_errors import shown
from rheostat.schedules.references import Lookup
from rheostat.server.http.approval import UNAPPROVED
from rheostat.server.http.requests import RequestBody
from rheostat.server.routes.controllers import OfController, arming
from rheostat.server.routes.revisions import CancelBody, Change, Move
from rheostat.server.routes.rewinds import RewindBody
from rheostat.server.routes.runs import End, Removal
from rheostat.server.routes.signals import SignalBody
from rheostat.server.routes.stops import Halt, Resumption
from rheostat.server.routes.total import Total
from rheostat.server.runs.revision import Note
from rheostat.server.runs.validation import validate
from rheostat.server.store.operations import acts
from rheostat.server.store.operations.advance import check_advance
from rheostat.server.store.operations.control import ArmRequest, arm, check_arming
from rheostat.server.store.operations.propose import Done
from rheostat.server.store.operations.revise import check_revision, revise
from rheostat.server.store.operations.rewind import RewindRequest, check_rewind, rewind
from rheostat.server.store.operations.signal import check_signal, signal
from rheostat.server.store.operations.stop import check_resume, check_stop, stop
from rheostat.server.store.operations.total import TotalRequest, check_total, make_total
from rheostat.server.store.outside import Results, Work, WorkNeeded
from rheostat.server.store.records import Records


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A kind of proposal: what reads its body, and what tries it and does it.

    ``check`` raises what ``take`` would raise now, and both are given what ``read`` returns: the
    operation's request, in which a note and a cause can be put.
    """

    read: Callable[[Mapping[str, Any], Note], Any]
    check: Callable[[Records, str, Any], None]
    take: Callable[[Records, str, Any], Done]


def _as(body: type[RequestBody], **more: Any) -> Callable[[Mapping[str, Any], Note], Any]:
    """Return what reads the body of a route as its model."""
    adapter: TypeAdapter[Any] = TypeAdapter(body)

    def read(sent: Mapping[str, Any], note: Note) -> Any:
        return validate(adapter, sent, "").requested_by(note, **more)

    return read


def _made_by(operation: Callable[[Records, str, Any], Any]) -> Callable[[Records, str, Any], Done]:
    """Return what does an operation whose answer names the revision and its step."""

    def take(records: Records, run_id: str, request: Any) -> Done:
        answer = operation(records, run_id, request)
        return Done(answer["revision"], answer["effective"])

    return take


def _rewind(records: Records, run_id: str, request: RewindRequest) -> Done:
    answer = rewind(records, run_id, request)
    return Done(answer["revision"], answer["from"])


def _total(records: Records, run_id: str, request: TotalRequest) -> Done:
    answer, _made = make_total(records, run_id, request)
    return Done(answer["revision"], answer["effective"])


@dataclass(frozen=True, slots=True)
class Arming:
    """A controller that is to be armed, under a name."""

    name: str
    request: ArmRequest
    note: Note
    cause: Mapping[str, Any] | None = None

    def complete(self) -> ArmRequest:
        """Return the request, with who asks, and why."""
        return replace(self.request, note=self.note, cause=self.cause)


def _arming(body: Mapping[str, Any], note: Note) -> Arming:
    name = body.get("name")
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        raise _refuse("name", f"must be {NAME_RULE}", name, NAME_RULE)
    request, replays = arming({key: body[key] for key in body if key != "name"}, note)
    if replays:  # it may take long, and would hold all other runs while it is accepted
        message = "cannot be asked for by a proposal: a controller can be reset once it is armed"
        raise _refuse("replay", message, True, "false")
    return Arming(name, request, note)


def _refuse(field: str, message: str, value: Any, bound: str) -> Invalid:
    wrong = [FieldError(field, message, shown(value), bound)]
    return Invalid("The controller is refused.", errors=wrong)


def _refuse_field(field: str, message: str, value: Any) -> Invalid:
    wrong = [FieldError(field, message, shown(value), "absent")]
    return Invalid("The proposal is refused.", errors=wrong)


def _check_arming(records: Records, run_id: str, asked: Arming) -> None:
    check_arming(records, run_id, asked.name, asked.complete())


def _arm(records: Records, run_id: str, asked: Arming) -> Done:
    answer, _created = arm(records, run_id, asked.name, asked.complete())
    made = records.revisions.one(run_id, answer["revision"])
    return Done(made.number, made.effective)


KINDS: Mapping[wire.ProposalKind, Kind] = {
    "change": Kind(_as(Change), check_revision, _made_by(revise)),
    "stop": Kind(_as(Halt, hold=False), check_stop, _made_by(stop)),
    "pause": Kind(_as(Halt, hold=True), check_stop, _made_by(stop)),
    "signal": Kind(_as(SignalBody), check_signal, _made_by(signal)),
    "rewind": Kind(_as(RewindBody), check_rewind, _rewind),
    "total": Kind(_as(Total), check_total, _total),
    "control": Kind(_arming, _check_arming, _arm),
    "cancel": Kind(_as(CancelBody), acts.check_cancel, acts.cancel),
    "resume": Kind(_as(Resumption), check_resume, acts.resume),
    "advance": Kind(_as(Move), check_advance, acts.move_on),
    "disarm": Kind(_as(OfController), acts.check_armed, acts.disarm),
    "reset": Kind(_as(OfController), acts.check_armed, acts.reset),
    "finish": Kind(_as(End), acts.check_finish, acts.finish),
    "delete": Kind(_as(Removal), acts.check_delete, acts.delete),
}
"""The kinds of proposals; a test demands each that `rheostat.wire` names."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What one proposal asks for."""

    kind: Kind
    request: Any

    def check(self, records: Records, run_id: str) -> None:
        """Raise what `take` would raise now."""
        with _within_body():
            self.kind.check(records, run_id, self.request)

    def take(self, records: Records, run_id: str) -> Done:
        """Do it."""
        with _within_body():
            return self.kind.take(records, run_id, self.request)


@contextmanager
def _within_body() -> Iterator[None]:
    """Name the fields that are refused by where they stand in a proposal."""
    try:
        yield
    except WorkNeeded as needed:
        raise WorkNeeded(_named(needed.work), needed.data, stored=needed.stored) from None
    except Invalid as refusal:
        wrong = [replace(each, field=f"body.{each.field}") for each in refusal.errors]
        raise type(refusal)(refusal.detail, errors=wrong, **refusal.members) from None


def _named(work: Work) -> Work:
    """Return work that is done outside of the transaction, and refuses in the same words."""

    def named(lookup: Lookup) -> Results:
        with _within_body():
            return work(lookup)

    return named


def read(
    kind: wire.ProposalKind,
    body: Mapping[str, Any],
    note: Note,
    cause: Mapping[str, Any] | None = None,
) -> Measure:
    """Return what a body asks for; raise `Invalid` if it is none of its kind."""
    found = KINDS[kind]
    if UNAPPROVED in body:
        message = "is not for a proposal: who accepts it may do without a second person"
        raise _refuse_field(f"body.{UNAPPROVED}", message, body[UNAPPROVED])
    with _within_body():
        request = found.read(body, note)
    return Measure(found, replace(request, note=note, cause=cause))
