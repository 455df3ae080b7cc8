"""
Limits of tokens, held to under the run's lock: what one has done to a run, and what that leaves.

What a token has done is what the history has under its name, but for proposals that somebody else
accepted. So no count has to be kept in step, and no two requests can both take what is left for
one. What a rewind has dropped was done, too; only no distance has to be kept from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import insert, select, update

from rheostat import wire
from rheostat.errors import FieldError, Forbidden, Invalid, LimitReached, UnknownRun
from rheostat.server.runs.changes import Change, Changes, Replacement
from rheostat.server.runs.control.places import lasts
from rheostat.server.runs.edits import RevertEdit
from rheostat.server.runs.guards import Effort, Guard, above, violations
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.runs.selector import Selector
from rheostat.server.runs.timeline import Timelines
from rheostat.server.runs.token_limit import COUNTED, TokenLimit
from rheostat.server.store import clock, tables
from rheostat.server.store.operations import tokens
from rheostat.server.store.records import Records, RunRecord
from rheostat.server.store.revisions import Deed
from rheostat.server.tokens import Token

KINDS = frozenset(RevisionKind(act) for act in COUNTED)


@dataclass(frozen=True, slots=True)
class Use:
    """What a token has done to a run."""

    limit: TokenLimit
    run: RunRecord
    lineage: Lineage
    token: str
    deeds: Sequence[Deed]
    """Its own changes, stops and signals, oldest first."""
    refused: Any = None
    """The row that says how often it was refused."""

    @property
    def recent(self) -> list[str]:
        """When it did what counts by now, oldest first."""
        if self.limit.changes is None:
            return []
        since = clock.from_now(-self.limit.changes.stretch)
        return [deed.created_at for deed in self.deeds if deed.created_at > since]

    @property
    def left(self) -> int | None:
        """How many changes it may still make now."""
        rate = self.limit.changes
        return None if rate is None else max(rate.count - len(self.recent), 0)

    @property
    def again_at(self) -> str | None:
        """When it may make the next change, if none is left."""
        rate = self.limit.changes
        if rate is None or self.left:
            return None
        oldest = self.recent[-rate.count]
        return clock.stored(datetime.fromisoformat(oldest) + rate.stretch)

    @property
    def places(self) -> list[int]:
        """The steps of its changes that hold on the present line."""
        line = lasts(self.lineage, self.run.generation)
        return [
            deed.effective
            for deed in self.deeds
            if deed.kind is RevisionKind.CHANGE
            and not deed.cancelled
            and deed.generation in line
            and deed.effective <= line[deed.generation]
        ]

    @property
    def from_step(self) -> int | None:
        """The first step, past all that is settled, that is far enough from its last change."""
        if self.limit.gap is None:
            return None
        settled = self.lineage[self.run.generation].settled_until
        wanted = max((place + self.limit.gap for place in self.places), default=0)
        return max(self.run.spec.grid.ceil(wanted), settled)

    def to_json(self) -> wire.Allowance:
        """Return the wire form."""
        limit, row = self.limit, self.refused
        names = limit.names(tuple(self.run.spec.names))
        return {
            "token": self.token,
            "limit": str(limit),
            "acts": [*limit.allowed],
            "parameters": [name for name in self.run.spec.names if name in names],
            "edits": None if limit.edits is None else [*limit.edits],
            "ratio": limit.ratio,
            "left": self.left,
            "again_at": self.again_at,
            "from_step": self.from_step,
            "made": len(self.deeds),
            "refused": 0 if row is None else row.count,
            "refused_at": row and row.at,
            "refusal": row and row.why,
        }

    def refuse(self, message: str, field: str, value: Any, bound: str) -> LimitReached:
        """Return the refusal of what the limit does not leave."""
        wrong = FieldError(field, message, value, bound)
        told = f"the token {self.token} is limited: {message}"
        return LimitReached(told, errors=[wrong], limit=str(self.limit), left=self.to_json())


def use_of(records: Records, run: RunRecord, lineage: Lineage) -> Use | None:
    """Return what whoever acts has done to a run, None if their token has no limit."""
    limit, token = records.acting.limit, records.acting.token
    if limit is None or token is None:
        return None
    return _use(records, run, lineage, token, limit)


def _use(records: Records, run: RunRecord, lineage: Lineage, token: str, limit: TokenLimit) -> Use:
    deeds = [deed for deed in records.revisions.deeds(run.id, token, KINDS) if deed.own]
    table = tables.refused
    mine = select(table).where(table.c.run_id == run.id, table.c.token == token)
    return Use(limit, run, lineage, token, deeds, records.connection.execute(mine).one_or_none())


def _acting_use(records: Records, run: RunRecord, lineage: Lineage) -> Use | None:
    """
    Return what whoever acts has done, if they do something now that their limit bounds.

    A rehearsal of what they may not do at all is one for a proposal, as anybody's may be.
    """
    act, limit = records.acting.act, records.acting.limit
    if limit is None or act not in limit.allowed:
        return None
    return use_of(records, run, lineage)


def require_change_within_limit(
    records: Records, run: RunRecord, lineage: Lineage, new: Revision, before: Timelines
) -> None:
    """
    Raise unless whoever acts may make a change, folded in over what was in force before.

    Raises:
        LimitReached: Their token's limit does not leave it; what it leaves is told.

    """
    use = _acting_use(records, run, lineage)
    if use is None:
        return
    if new.forced:
        raise use.refuse("it keeps to the guards of runs", "force", value=True, bound="false")
    if _takes_back(records, run, new.changes, use.token):
        return
    _require_some_left(use)
    _require_names(use, new.changes)
    _require_edits(use, new.changes)
    _require_distance(use, new.effective)
    _require_ratio(use, new, before)


def require_act_within_limit(
    records: Records, run: RunRecord, lineage: Lineage, note: Note
) -> None:
    """
    Raise unless whoever acts may stop a run, or signal to it: it counts as a change.

    Raises:
        LimitReached: Their token's limit leaves none.
        Invalid: They do not say why.

    """
    use = _acting_use(records, run, lineage)
    if use is None or records.acting.act not in COUNTED:
        return
    require_reason(records, note)
    _require_some_left(use)


def require_reason(records: Records, note: Note) -> None:
    """Raise `Invalid` unless whoever has a limit says why they do what counts."""
    if records.acting.limit is None or records.acting.act not in COUNTED or note.message.strip():
        return
    message = "a token with a limit has to say why"
    wrong = FieldError("message", message, note.message, ">= 1 characters")
    raise Invalid(f"message: {message}", errors=[wrong])


def require_own(records: Records, numbers: Iterable[int], run: RunRecord) -> None:
    """Raise `Forbidden` if a token with a limit would take back what others have done."""
    if records.acting.limit is None or records.acting.act is None:
        return
    token = records.acting.token
    for number in numbers:
        author = records.revisions.author(run.id, number)
        if author != token:
            raise Forbidden(
                f"the token {token} is limited, and takes back what is its own:"
                f" revision {number} is {author or 'of nobody in particular'}'s;"
                " it may propose to cancel it",
                limit=str(records.acting.limit),
            )


def _takes_back(records: Records, run: RunRecord, changes: Changes, token: str) -> bool:
    """Whether changes go back to a revision after which the token alone has changed anything."""
    edits = [change for each in changes.values() for change in each]
    if not all(isinstance(edit, RevertEdit) for edit in edits):
        return False
    oldest = min(edit.to for edit in edits if isinstance(edit, RevertEdit))
    return records.revisions.is_alone_since(run.id, oldest, token)


def _require_some_left(use: Use) -> None:
    rate = use.limit.changes
    if use.left == 0 and rate is not None:
        message = (
            f"it may make {rate.count} changes of this run in one {rate.period}, and has made"
            f" {len(use.recent)}: the next at {use.again_at}"
        )
        raise use.refuse(message, "changes", len(use.recent) + 1, f"<= {rate.count}")


def _require_names(use: Use, changes: Changes) -> None:
    allowed = use.limit.names(tuple(use.run.spec.names))
    for name in changes:
        if name not in allowed:
            words = "|".join(use.limit.parameters or ())
            raise use.refuse(f"it may change {words}", f"changes.{name}", name, words)


def _require_edits(use: Use, changes: Changes) -> None:
    allowed = use.limit.edits
    if allowed is None:
        return
    for name, each in changes.items():
        for edit in map(_called, each):
            if edit not in allowed:
                words = "|".join(allowed)
                raise use.refuse(f"its edits are {words}", f"changes.{name}", edit, words)


def _called(change: Change) -> str:
    return "replace" if isinstance(change, Replacement) else str(change.edit)


def _require_distance(use: Use, effective: int) -> None:
    gap = use.limit.gap
    if gap is None:
        return
    near = [place for place in use.places if abs(place - effective) < gap]
    if near:
        message = (
            f"its changes are at least {gap} steps apart, and one of them is at {near[-1]}:"
            f" {use.from_step} is far enough"
        )
        raise use.refuse(message, "effective", effective, f">= {use.from_step}")


def _require_ratio(use: Use, new: Revision, before: Timelines) -> None:
    """Raise if a value jumps by more than a factor, or rises above so much of the whole plan."""
    ratio = use.limit.ratio
    if ratio is None:
        return
    after, step, effort = new.timelines, new.effective, Effort()
    guards = {name: Guard(max_ratio=ratio) for name in use.run.spec.names}
    for error in violations(guards, before, after, step, effort):
        raise use.refuse(error.message, error.field, error.value, error.bound or "")
    for name in use.run.spec.names:
        if all(before[other] is after[other] for other in after.sources(name)):
            continue
        most = before.value(name, step)
        if (peak := above(before, name, step, most, effort)) is not None:
            most = peak.value
        bound = most * ratio if most >= 0 else most / ratio
        if (found := above(after, name, step, bound, effort)) is not None:
            message = (
                f"{name} would come to {found.value!r}, which is more than {ratio:.17g} times"
                f" {most!r}, the greatest that was ahead"
            )
            raise use.refuse(message, f"changes.{name}", found.value, f"<= {bound!r}")


def allowances(records: Records, ref: str) -> wire.Allowances:
    """Return what tokens with a limit may do to a run, and have done: of those that know of it."""
    run = records.find(ref)
    lineage = records.lineage(run)
    items = [
        _use(records, run, lineage, token.name, token.limit).to_json()
        for token in tokens.limited(records)
        if token.limit is not None and knows(token, run.spec.labels)
    ]
    return {"items": items}


def knows(token: Token, labels: Mapping[str, str]) -> bool:
    """Whether a token knows of runs with these labels."""
    return token.runs is None or Selector.parse(token.runs).matches(labels)


class Refusal(NamedTuple):
    """How often a token was refused something of a run, and what it was told the last time."""

    ref: str
    token: str
    count: int
    why: str


def note_refused(records: Records, refusals: Sequence[Refusal]) -> None:
    """Write down what tokens were refused, of the runs that there are."""
    table = tables.refused
    for ref, token, count, why in refusals:
        try:
            run_id = records.find(ref).id
        except UnknownRun:
            continue
        records.write()
        mine = (table.c.run_id == run_id, table.c.token == token)
        values = {"at": clock.from_now(timedelta()), "why": why}
        more = update(table).where(*mine).values(count=table.c.count + count, **values)
        if not records.connection.execute(more).rowcount:
            row = {"run_id": run_id, "token": token, "count": count, **values}
            records.connection.execute(insert(table).values(**row))
