"""Taking back the newest change of a run, which is several calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rheostat.client import wire
from rheostat.client.flow import Flow, exchange, pages
from rheostat.client.settings import Settings
from rheostat.client.wire import Call, Document
from rheostat.errors import NotPending, RheostatError

Revision = Mapping[str, Any]


def undoing(settings: Settings, run: str, message: str) -> Flow[Document]:
    """Return the flow that cancels or reverts the newest change of the run at this path."""

    def ask(call: Call) -> Flow[Document]:
        return exchange(call, settings.operator(call), wire.document)

    shown = yield from ask(wire.get(run))
    listing = wire.get(f"{run}/revisions")
    history = yield from pages(listing, "items", lambda: settings.operator(listing))
    newest, before = _newest_change(shown["generation"], history)
    number = newest["revision"]
    if newest["pending"]:
        try:
            where = f"{run}/revisions/{number}"
            done = yield from ask(wire.delete(where, message=message or None))
        except NotPending:
            pass  # it settled meanwhile, so that there is something to revert
        else:
            return {**done, "undone": number}
    body = {
        "changes": {name: {"edit": "revert", "to": before} for name in newest["changes"]},
        "message": message or f"undo revision {number}",
        "expected_revision": shown["revision"],
    }
    done = yield from ask(wire.post(f"{run}/revisions", body))
    return {**done, "undone": number}


def _newest_change(generation: int, history: Sequence[Revision]) -> tuple[Revision, int]:
    """Return the newest change that is not cancelled, and the revision that it was made on."""
    folded = [item for item in history if item["generation"] == generation and _folds(item)]
    folded.sort(key=lambda item: (item["effective"], item["revision"]))
    changes = [item for item in folded if item["kind"] == "change"]
    if not changes:
        raise RheostatError("the run has no change that could be undone")
    newest = max(changes, key=lambda item: item["revision"])
    place = folded.index(newest)
    later = [item for item in folded[place + 1 :] if not item["pending"]]
    if any(set(item["changes"]) & set(newest["changes"]) for item in later):
        raise RheostatError(
            f"revision {later[-1]['revision']} took effect after the newest one, "
            f"{newest['revision']}: say what you want with  revert REVISION"
        )
    return newest, folded[place - 1]["revision"]


def _folds(item: Revision) -> bool:
    return item["kind"] not in {"cancel", "finish"} and not item["cancelled"]
