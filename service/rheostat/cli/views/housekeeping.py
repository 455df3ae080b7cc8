"""The audit, and what was purged, backed up and restored, drawn for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from rheostat.cli.views import administration, text
from rheostat.cli.views.screen import Screen, left

if TYPE_CHECKING:
    from rheostat import wire


class Backup(TypedDict):
    """What was backed up, and where to."""

    file: str
    database: str
    made_at: str
    release: str
    """Of Rheostat, which made the backup."""
    schema: str
    """Of the database."""
    bytes: int


class RenewedRun(TypedDict):
    """A run that has a new id."""

    name: str
    old: str
    new: str


class Restored(TypedDict):
    """What was put back."""

    database: str
    made_at: str
    """When the backup was made."""
    replaced: str | None
    """Where the database of before is kept; null: there was none, or it was empty."""
    runs: list[RenewedRun]


def audit(screen: Screen, rows: Sequence[wire.Audited]) -> None:
    """List who did what."""
    if not rows:
        screen.line("Nothing was done that fits.")
        return
    columns = [left(name) for name in ("WHEN", "WHO", "FROM", "DID", "TO", "OUTCOME")]
    screen.table(
        columns,
        (
            (
                text.when(row["at"]),
                row["who"] or "",
                row["address"] or "",
                row["action"],
                " ".join(filter(None, (row["run_name"], row["subject"]))),
                ", ".join(f"{name} {value}" for name, value in row["outcome"].items()),
            )
            for row in rows
        ),
    )


def purged(screen: Screen, answer: wire.Purged) -> None:
    """List what was removed, or would be, and what stays."""
    if answer["items"]:
        columns = [left(name) for name in ("NAME", "ENDED", "KEPT")]
        items = answer["items"]
        screen.table(
            columns,
            ((item["name"], text.when(item["at"]), item["kept"] or "") for item in items),
        )
    verb = "would be removed" if answer["dry_run"] else "removed"
    what = {"runs": "runs", "tokens": "tokens", "audit": "rows of the audit"}[answer["what"]]
    screen.line(f"{answer['deleted']:,} {what} {verb}.")


def backed_up(screen: Screen, made: Backup) -> None:
    """Say what was backed up."""
    screen.pairs(
        ("backup", made["file"]),
        ("of", made["database"]),
        ("state of", text.when(made["made_at"])),
        ("size", text.size(made["bytes"])),
        ("schema", f"{made['schema']}, by release {made['release']}"),
    )


def restored(screen: Screen, answer: Restored) -> None:
    """Say what was put back, and how to go on."""
    screen.line(f"Restored {answer['database']} as it was {text.when(answer['made_at'])}.")
    if answer["replaced"]:
        screen.line(f"What was there before is kept: {answer['replaced']}")
    renewed = [
        {"name": run["name"], "old": run["old"], "new": run["new"]} for run in answer["runs"]
    ]
    administration.recovered(screen, renewed)
