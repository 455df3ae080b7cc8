"""
Taking back what is one's own: for a token with a limit it is free, since it undoes what counted.

A change takes back if all that it does is to revert parameters to a revision after which nobody but
its author has changed them, and if something of that still stands. Each change is taken back once,
and what was taken back is not brought back so: else two of them would be as good as any number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rheostat.server.runs.changes import Changes
from rheostat.server.runs.control.places import lasts
from rheostat.server.runs.edits import RevertEdit
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.revision import RevisionKind
from rheostat.server.store.records import Records, RunRecord
from rheostat.server.store.revisions import Laid

MOST = 256
"""Revisions that are looked at: what lies further back is no longer taken back for nothing."""

LONGEST = 16_384
"""Characters of a change that is looked into; a longer one may be about any parameter."""

Place = tuple[int, int]
"""Where a revision stands in the order of folding."""


def takes_back(
    records: Records, run: RunRecord, lineage: Lineage, changes: Changes, step: int, token: str
) -> bool:
    """Whether a change at a step does nothing but to take back what its token has changed."""
    wanted = reverted(changes)
    if not wanted:
        return False
    line = lasts(lineage, run.generation)
    heads = records.revisions.heads(run.id, {*wanted.values()})
    if len(heads) < len({*wanted.values()}):
        return False
    first = min(head.effective for head in heads.values())
    laid = records.revisions.laid(run.id, line, first, MOST + 1, LONGEST)
    if len(laid) > MOST:
        return False
    before = [each for each in laid if each.effective <= step]
    places = {each.number: each.place for each in before}
    standing = [
        _standing(before, name, places[to], places, token) if to in places else None
        for name, to in wanted.items()
    ]
    return None not in standing and any(standing)


def reverted(changes: Changes) -> Mapping[str, int]:
    """Return to which revision each parameter is reverted, nothing if that is not all of it."""
    found = {}
    for name, (edit, *more) in changes.items():
        if more or not isinstance(edit, RevertEdit):
            return {}
        found[name] = edit.to
    return found


def _standing(
    laid: Sequence[Laid], name: str, to: Place, places: Mapping[int, Place], token: str
) -> Sequence[Laid] | None:
    """
    Return a token's changes of a parameter, past a place, that it has not taken back.

    None if there is what is not its to take back, or if that place was left by taking back.
    """
    found: list[Laid] = []
    for each in laid:
        if each.place <= to or _is_about_others(each, name):
            continue
        if each.kind is not RevisionKind.CHANGE or each.author != token:
            return None
        if not each.takes_back:
            found.append(each)
            continue
        there = None if each.changes is None else places.get(each.changes[name][0]["to"])
        if there is None or there < to:
            return None
        found = [earlier for earlier in found if earlier.place <= there]
    return found


def _is_about_others(laid: Laid, name: str) -> bool:
    """Whether a revision has left a parameter as it was; a new total may lay out any of them."""
    if laid.kind is not RevisionKind.CHANGE or laid.changes is None:
        return False
    return name not in laid.changes
