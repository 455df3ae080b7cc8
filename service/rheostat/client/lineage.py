"""
Which revisions are in force, and which of them is undone: rules over a run's history, no requests.

What is undone is the newest change of those on the line of the current generation. One that came
with a rewind is a change like others: it is reverted, and the rewind stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rheostat.errors import RheostatError

if TYPE_CHECKING:  # to make these types takes as long as the rest of the client
    from typing import NotRequired, TypedDict

    from rheostat import wire

    class Undone(TypedDict):
        """The newest change is taken back: what `cancel` or `change` answered, and of which."""

        undone: int
        """The revision that is taken back."""
        revision: int
        """The revision that does it."""
        cancelled: NotRequired[int]
        """That which is taken back, if it was pending."""
        effective: NotRequired[int]
        """The first step at which it is reverted, if it was in force."""
        pending: list[wire.Revision]
        """Revisions that have yet to take effect."""
        beyond: int | None
        """From where the fastest worker was last seen to read, in steps; null if none was."""
        warnings: list[str]
        """A sentence, if that is far."""


Document = Mapping[str, Any]

FOLDING = {"create", "change", "rewind", "fork", "total"}
"""Kinds of revisions that put something in force."""


def newest_change(history: Sequence[Document]) -> tuple[Document, int]:
    """
    Return the newest change that is not taken back, and the revision that it was made on.

    Raises:
        RheostatError: There is no such change, or another one was put on it, or what was in force
            before it belongs to another run.

    """
    folded = [item for item in history if _folds(item)]
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


def reverting(run: Document, newest: Document, before: int, message: str) -> dict[str, Any]:
    """Return the body of the change that reverts the newest one to the revision before it."""
    return {
        "changes": {name: {"edit": "revert", "to": before} for name in newest["changes"]},
        "message": message or f"undo revision {newest['revision']}",
        "expected_revision": run["revision"],
    }


def _require_last(newest: Document, later: Sequence[Document]) -> None:
    """Refuse to take back what another change has been put on."""
    for item in reversed(later):
        if not item["pending"] and set(item["changes"]) & set(newest["changes"]):
            raise RheostatError(
                f"revision {item['revision']} took effect after the newest one, "
                f"{newest['revision']}: say what you want with  revert REVISION"
            )


def _folds(item: Document) -> bool:
    here = item["left_by"] is None and not item["cancelled"]
    return item["kind"] in FOLDING and here
