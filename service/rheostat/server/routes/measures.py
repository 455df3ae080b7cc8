"""
What may be proposed: for each kind, the body of its request, and the operation that it is for.

A proposal is accepted by the very operation that does the same when an operator asks for it, so
one more kind is one more entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pydantic import TypeAdapter

from rheostat import wire
from rheostat.errors import Invalid
from rheostat.schedules.references import Lookup
from rheostat.server.http.requests import RequestBody
from rheostat.server.routes.revisions import Change, RewindBody
from rheostat.server.routes.signals import SignalBody
from rheostat.server.routes.stops import Halt
from rheostat.server.routes.total import Total
from rheostat.server.runs.revision import Note
from rheostat.server.runs.validation import validate
from rheostat.server.store.operations.propose import Done
from rheostat.server.store.operations.revise import check_revision, revise
from rheostat.server.store.operations.rewind import RewindRequest, check_rewind, rewind
from rheostat.server.store.operations.signal import check_signal, signal
from rheostat.server.store.operations.stop import check_stop, stop
from rheostat.server.store.operations.total import TotalRequest, check_total, make_total
from rheostat.server.store.outside import Results, Work, WorkNeeded
from rheostat.server.store.records import Records


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A kind of proposal: its body, and what tries it and does it.

    ``check`` raises what ``take`` would raise now, and both are given what the body asks for, which
    ``asked`` returns.
    """

    body: type[RequestBody]
    asked: Callable[[Any, Note], Any]
    check: Callable[[Records, str, Any], None]
    take: Callable[[Records, str, Any], Done]


def _asked(body: Any, note: Note) -> Any:
    return body.requested_by(note)


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


KINDS: Mapping[wire.ProposalKind, Kind] = {
    "change": Kind(Change, _asked, check_revision, _made_by(revise)),
    "stop": Kind(Halt, partial(Halt.requested_by, hold=False), check_stop, _made_by(stop)),
    "pause": Kind(Halt, partial(Halt.requested_by, hold=True), check_stop, _made_by(stop)),
    "signal": Kind(SignalBody, _asked, check_signal, _made_by(signal)),
    "rewind": Kind(RewindBody, _asked, check_rewind, _rewind),
    "total": Kind(Total, _asked, check_total, _total),
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
    asked = validate(_ADAPTERS[kind], body, "body")
    return Measure(found, replace(found.asked(asked, note), note=note, cause=cause))


_ADAPTERS: Mapping[str, TypeAdapter[Any]] = {
    kind: TypeAdapter(each.body) for kind, each in KINDS.items()
}
