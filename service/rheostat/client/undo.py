"""
Taking back the newest change of a run, which is several calls.

It is the newest of those on the line of the current generation. One that came with a rewind is a
change like others: it is reverted, and the rewind stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rheostat.client import answers, wire
from rheostat.client.answers import Document, understood
from rheostat.client.flow import Flow, exchange, pages
from rheostat.client.lines import Line
from rheostat.client.settings import Settings
from rheostat.client.wire import Call
from rheostat.errors import NotPending, RheostatError

Revision = Mapping[str, Any]

FOLDING = {"create", "change", "rewind", "fork", "total"}
"""Kinds of revisions that put something in force."""


def undoing(settings: Settings, run: str, message: str) -> Flow[Document]:
    """Return the flow that cancels or reverts the newest change of the run at this path."""

    def ask(call: Call) -> Flow[Document]:
        return exchange(call, settings.operator(call), answers.document)

    shown = yield from ask(wire.get(run))
    listing = wire.get(f"{run}/revisions")
    history = yield from pages(listing, "items", lambda: settings.operator(listing))
    with understood("the history of the run"):
        newest, before = _newest_change(shown, history)
        number, pending = newest["revision"], newest["pending"]
        body = {
            "changes": {name: {"edit": "revert", "to": before} for name in newest["changes"]},
            "message": message or f"undo revision {number}",
            "expected_revision": shown["revision"],
        }
    if pending:
        try:
            where = f"{run}/revisions/{number}"
            done = yield from ask(wire.delete(where, message=message or None))
        except NotPending:
            pass  # it settled meanwhile, so that there is something to revert
        else:
            return {**done, "undone": number}
    done = yield from ask(wire.post(f"{run}/revisions", body))
    return {**done, "undone": number}


def _newest_change(shown: Document, history: Sequence[Revision]) -> tuple[Revision, int]:
    """Return the newest change that is not taken back, and the revision that it was made on."""
    line = Line(shown["generations"], shown["generation"])
    folded = [item for item in history if _folds(item) and line.holds(item)]
    folded.sort(key=lambda item: (item["effective"], item["revision"]))
    changes = [item for item in folded if item["changes"] and item["kind"] != "create"]
    if not changes:
        raise RheostatError("the run has no change that could be undone")
    newest = max(changes, key=lambda item: item["revision"])
    place = folded.index(newest)
    _require_last(newest, folded[place + 1 :])
    if place == 0:
        raise RheostatError(
            f"the newest change, revision {newest['revision']}, came with the {newest['kind']}, and"
            " what was in force before it is another run's: make a change that says what you want"
        )
    return newest, folded[place - 1]["revision"]


def _require_last(newest: Revision, later: Sequence[Revision]) -> None:
    """Refuse to take back what another change has been put on."""
    for item in reversed(later):
        if not item["pending"] and set(item["changes"]) & set(newest["changes"]):
            raise RheostatError(
                f"revision {item['revision']} took effect after the newest one, "
                f"{newest['revision']}: say what you want with  revert REVISION"
            )


def _folds(item: Revision) -> bool:
    return item["kind"] in FOLDING and not item["cancelled"]
