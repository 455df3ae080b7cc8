"""
Limits of tokens, held to under the run's lock: what one has done to a run, and what that leaves.

What a token has done is what the history has under its name, but for proposals that somebody else
accepted, and for what took its own back (`taking_back`). So no count has to be kept in step, and no
two requests can both take what is left for one. What was cancelled, or dropped by a rewind, was
done, too; only no distance has to be kept from it. A token that gets the name of one that was
revoked goes on with what that one has done.

A parameter that follows another one changes with it, and that is as whoever made the run wants it:
`parameters` bounds what is changed by its own name, and `ratio` what follows, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import insert, select, update

from rheostat import wire
from rheostat.errors import FieldError, Forbidden, Invalid, LimitReached, UnknownRun
from rheostat.limits import MAX_PAUSES_LIMITED
from rheostat.server.runs.changes import Change, Changes, Replacement
from rheostat.server.runs.control.places import lasts
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.ratio import beyond_ratio
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.runs.selector import Selector
from rheostat.server.runs.timeline import Timelines
from rheostat.server.runs.token_limit import COUNTED, TokenLimit
from rheostat.server.store import clock, tables
from rheostat.server.store.operations import tokens
from rheostat.server.store.operations.taking_back import takes_back
from rheostat.server.store.records import Records, RunRecord, now
from rheostat.server.store.revisions import TAKES_BACK, Contribution, is_own
from rheostat.server.tokens import Token

KINDS = frozenset(RevisionKind(act) for act in COUNTED)


@dataclass(frozen=True, slots=True)
class Use:
    """What a token has done to a run."""

    limit: TokenLimit
    run: RunRecord
    lineage: Lineage
    token: str
    deeds: Sequence[Contribution]
    """Its own changes, stops and signals that count, and are lately or near enough to matter."""
    count: Callable[[], int]
    """Returns how many there ever were."""
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
            "made": self.count(),
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
    asked = (run.id, token, KINDS)
    since = None if limit.changes is None else clock.from_now(-limit.changes.stretch)
    settled = lineage[run.generation].settled_until
    beyond = None if limit.gap is None else settled - limit.gap  # nobody changes what is settled
    done = records.revisions.deeds(*asked, since=since, beyond=beyond)
    deeds = [deed for deed in done if deed.own and not deed.takes_back]
    count = partial(records.revisions.count_deeds, *asked)
    table = tables.refused
    mine = select(table).where(table.c.run_id == run.id, table.c.token == token)
    row = records.connection.execute(mine).one_or_none()
    return Use(limit, run, lineage, token, deeds, count, row)


def _acting_use(records: Records, run: RunRecord, lineage: Lineage) -> Use | None:
    """
    Return what whoever acts has done, if they do something now that their limit bounds.

    A rehearsal of what they may not do at all is one for a proposal, as anybody's may be.
    """
    act, limit = records.acting.act, records.acting.limit
    if limit is None or act not in limit.allowed:
        return None
    return use_of(records, run, lineage)


def within_limit(records: Records, run: RunRecord, lineage: Lineage, new: Revision) -> Revision:
    """
    Return a change that whoever acts may make, as far as that is known before it is folded.

    One that takes back what is their own counts as nothing, and says so.

    Raises:
        LimitReached: Their token's limit does not leave it; what it leaves is told.

    """
    use = _acting_use(records, run, lineage)
    if use is None:
        return new
    _require_no_controller(records, use, new.cause)
    if new.forced:
        raise use.refuse("it keeps to the guards of runs", "force", value=True, bound="false")
    if takes_back(records, run, lineage, new.changes, new.effective, use.token):
        return replace(new, data=TAKES_BACK)
    _require_names(use, new.changes)
    _require_edits(use, new.changes)
    _require_some_left(use)
    _require_distance(use, new.effective)
    return new


def require_values_within_limit(
    records: Records,
    run: RunRecord,
    lineage: Lineage,
    base: Timelines,
    pending: Sequence[Revision],
    since: int = 0,
) -> None:
    """
    Raise unless changes of whoever acts come to values that their limit leaves.

    ``pending`` are revisions in the order of folding, and ``base`` what was in force before them.
    Those from place ``since`` on are asked, the ones that wait already, too: what one comes to may
    depend on another that is made, or taken back, before it. What takes effect at one step is one
    jump, of however many changes.

    Raises:
        LimitReached: A value jumps by more than a factor, or rises above so much of the whole plan.

    """
    acting = records.acting
    if acting.limit is None or acting.act not in acting.limit.allowed:
        return
    ratio = acting.limit.ratio
    if ratio is None:
        return
    before = start = base
    step = None
    for place, each in enumerate(pending):
        if _counts(each, acting.token):
            if each.effective != step:
                step, start = each.effective, before
            beyond = beyond_ratio(ratio, start, each.timelines, step) if place >= since else None
            if beyond is not None and (use := use_of(records, run, lineage)) is not None:
                waits = f"revision {each.number}, pending at {step}: "
                message = (waits if each.number <= run.revision else "") + beyond.message
                raise use.refuse(message, beyond.field, beyond.value, beyond.bound or "")
        before = each.timelines


def _counts(revision: Revision, token: str | None) -> bool:
    """Whether a revision is a change that a token has made by itself, and that counts."""
    is_change = revision.kind is RevisionKind.CHANGE and revision.data != TAKES_BACK
    return is_change and revision.note.author == token and "proposal" not in (revision.cause or {})


def require_act_within_limit(
    records: Records,
    run: RunRecord,
    lineage: Lineage,
    note: Note,
    *,
    word: str | None = None,
    cause: Mapping[str, Any] | None = None,
) -> None:
    """
    Raise unless whoever acts may stop a run, or signal to it: it counts as a change.

    A pause counts as nothing, and so there may be few of them. ``word`` is a signal that is said
    with a stop or a pause.

    Raises:
        LimitReached: Their token's limit leaves none, or no signal.
        Invalid: They do not say why.

    """
    use = _acting_use(records, run, lineage)
    if use is None:
        return
    _require_no_controller(records, use, cause)
    if records.acting.act not in COUNTED:
        _require_quiet(records, use, word)
        return
    require_reason(records, note)
    if word is not None and "signal" not in use.limit.acts:
        message = "it may not signal, with a stop neither"
        raise use.refuse(message, "signal", word, "absent")
    _require_some_left(use)


def require_reason(records: Records, note: Note) -> None:
    """Raise `Invalid` unless whoever has a limit says why they do what counts: with a word."""
    acting = records.acting
    if acting.limit is None or acting.act not in COUNTED or any(map(str.isalnum, note.message)):
        return
    message = "a token with a limit has to say why"
    wrong = FieldError("message", message, note.message, "a text with a letter or a digit")
    raise Invalid(f"message: {message}", errors=[wrong], limit=str(acting.limit))


def require_own(records: Records, numbers: Collection[int], run: RunRecord) -> None:
    """Raise `Forbidden` if a token with a limit would take back what it has not done alone."""
    if records.acting.limit is None or records.acting.act is None:
        return
    token = records.acting.token
    for number, head in records.revisions.heads(run.id, numbers).items():
        if head.author != token or not is_own(head.cause):
            theirs = head.author if head.author != token else "a proposal's, which was accepted"
            raise Forbidden(
                f"the token {token} is limited, and takes back what is its own:"
                f" revision {number} is {theirs or 'of nobody in particular'};"
                " it may propose to cancel it",
                limit=str(records.acting.limit),
            )


def _require_no_controller(records: Records, use: Use, cause: Mapping[str, Any] | None) -> None:
    """Raise if they would decide in the name of a controller, on whose reports it decides once."""
    name = None if cause is None else cause.get("controller")
    if name is not None and any(
        each.name == name for each in records.controllers.armed(use.run.id)
    ):
        message = f"{name} is a controller of the run, and decides by itself"
        raise use.refuse(message, "cause.controller", name, "another name")


def _require_quiet(records: Records, use: Use, word: str | None) -> None:
    """Raise if a pause says a word, or if they hold the run in many places."""
    if word is not None:
        message = "a pause of it is free, and says no word: a signal by itself counts"
        raise use.refuse(message, "signal", word, "absent")
    holds = [stop.revision for stop in use.run.barriers.stops if stop.hold]
    heads = records.revisions.heads(use.run.id, holds)
    mine = sum(head.author == use.token for head in heads.values())
    if mine >= MAX_PAUSES_LIMITED:
        message = f"it holds the run in {mine} places, and may in no more"
        raise use.refuse(message, "effective", mine + 1, f"<= {MAX_PAUSES_LIMITED} pauses")


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


@dataclass(frozen=True, slots=True)
class Refusal:
    """How often a token was refused something of a run, and what it was told the last time."""

    ref: str
    token: str
    count: int
    why: str


def note_refused(records: Records, refusal: Refusal) -> None:
    """Write down what a token was refused, if the run is there."""
    with suppress(UnknownRun):
        run = records.find(refusal.ref, lock=True)  # so nobody else writes its row: see `locks`
        records.write()
        table, connection = tables.refused, records.connection
        key, told = {"run_id": run.id, "token": refusal.token}, {"at": now(), "why": refusal.why}
        mine = (table.c[name] == value for name, value in key.items())
        more = update(table).where(*mine).values(count=table.c.count + refusal.count, **told)
        if connection.execute(more).rowcount == 0:
            connection.execute(insert(table).values(count=refusal.count, **key, **told))
