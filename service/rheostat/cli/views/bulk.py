"""Changes of many runs, drawn for people: what would become of each, and what has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rheostat.cli.views import text
from rheostat.cli.views.screen import Cell, Screen, left, right, wide

if TYPE_CHECKING:
    from rheostat import wire


def planned(screen: Screen, answer: wire.BulkRehearsal) -> None:
    """Draw what would become of each run, and what names that."""
    runs, errors = answer["runs"], answer["errors"]
    if not runs and not errors:
        screen.line("No run that is not finished has such labels.")
        return
    columns = [left("RUN"), right("REVISION"), right("FROM STEP"), wide("WHAT")]
    rows: list[tuple[Cell, ...]] = [
        (
            run["name"],
            str(run["revision"]),
            f"{run['effective']:,}",
            ("waits for another person", "yellow") if run["protected"] else "is changed",
        )
        for run in runs
    ]
    refused: list[tuple[Cell, ...]] = [
        (run["name"], "", "", (text.cut(run["problem"]["detail"]), "red")) for run in errors
    ]
    screen.table(columns, [*rows, *refused])
    screen.line(f"plan {answer['plan']}")


def changed(screen: Screen, answer: wire.BulkChanged) -> None:
    """Draw what has become of each run."""
    columns = [left("RUN"), right("REVISION"), right("FROM STEP"), wide("WHAT")]
    screen.table(columns, map(_row, answer["items"]))
    many = dict.fromkeys(("changed", "proposed", "refused"), 0)
    for item in answer["items"]:
        many[_outcome(item)] += 1
    told = ", ".join(f"{number} {word}" for word, number in many.items() if number)
    screen.line(f"{told or 'no runs'}  (plan {answer['plan']})")


def _outcome(item: wire.ChangedRun) -> str:
    return "refused" if "problem" in item else "proposed" if "proposal" in item else "changed"


def _row(item: wire.ChangedRun) -> tuple[Cell, ...]:
    name = item["name"] or item["id"]
    if "problem" in item:
        return name, "", "", (text.cut(item["problem"]["detail"]), "red")
    if "proposal" in item:
        number = item["proposal"]
        return name, "", "", (f"rheostat run accept {name} {number}", "yellow")
    return name, str(item["revision"]), f"{item['effective']:,}", ("changed", "green")
