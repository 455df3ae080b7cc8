"""Protecting runs: what is done to them waits for a second person, from now on or no more."""

from __future__ import annotations

from rheostat import wire
from rheostat.server.runs.protection import Protect, protection_of
from rheostat.server.runs.revision import Note, RevisionKind
from rheostat.server.runs.validation import require_at_most
from rheostat.server.store.operations.revise import require_open
from rheostat.server.store.operations.unfolded import add_unfolded
from rheostat.server.store.records import Records


def protect(records: Records, ref: str, wanted: Protect | None, note: Note) -> wire.Protected:
    """
    Protect a run, or (None) no more, and leave a note of it in its history.

    What is so already stays, and leaves none.

    Raises:
        Finished: The run is: there is nothing left to protect.

    """
    run = records.find(ref, lock=True)
    require_at_most(records.limits.message, "message", note.message, "characters")
    require_open(run)
    revision, shown = run.revision, protection_of(wanted)
    if shown != protection_of(run.protect):
        lineage = records.lineage(run)
        settled = lineage[run.generation].settled_until
        said = Note(note.author, _said(wanted, note.message))
        data = {"level": "note"}
        revision = add_unfolded(
            records, run, lineage, RevisionKind.NOTE, settled, said, data=data, protect=wanted
        ).number
    return {"id": run.id, "name": run.spec.name, "protect": shown, "revision": revision}


def _said(wanted: Protect | None, why: str) -> str:
    if wanted is None:
        what = "protected no more"
    else:
        free = ", ".join(wanted.to_json()["except"])
        what = f"protected, except {free}" if free else "protected"
    return f"{what}: {why}" if why else what
