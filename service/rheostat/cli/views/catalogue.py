"""What there is to choose from, drawn for people: kinds, converters, the library's schedules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from rheostat.cli.views import text
from rheostat.cli.views.screen import Screen, left, right, wide

if TYPE_CHECKING:
    from rheostat import wire


class Library(TypedDict):
    """A library whose schedulers are converted."""

    library: str
    names: Sequence[str]


class Scheduler(TypedDict):
    """A scheduler that is converted."""

    names: Sequence[str]
    becomes: str
    notes: str


class Deleted(TypedDict):
    """The name of what was deleted."""

    deleted: str


def kinds(screen: Screen, items: Sequence[wire.Kind]) -> None:
    """List the kinds of definitions."""
    screen.table(
        [left("KIND"), wide("WHAT IT IS")], [(item["kind"], item["summary"]) for item in items]
    )


def kind(screen: Screen, item: wire.Kind) -> None:
    """Draw everything about one kind."""
    screen.line((item["kind"], "bold"), f": {item['summary']}")
    screen.line()
    screen.pairs(
        ("value", item["formula"]), ("before", item["before"]), ("past the end", item["after"])
    )
    screen.line()
    columns = [left("FIELD"), left("TYPE"), wide("BOUND"), left("DEFAULT"), wide("WHAT IT IS")]
    screen.table(columns, map(_field_row, item["fields"]))
    screen.line()
    made_of = item["expansion"]
    screen.pairs(
        ("example", f"rheostat plot {text.definition(item['example'])}"),
        *([("made of", text.definition(made_of))] if made_of else []),
    )
    if item["names"]:
        screen.line()
        columns = [left("LIBRARY"), wide("ITS NAME THERE")]
        screen.table(columns, sorted(item["names"].items()))


def _field_row(field: wire.KindField) -> tuple[str, ...]:
    default = "required" if field["required"] else _default(field.get("default"))
    what = field["description"] + (f"; in {field['unit']}" if field["unit"] else "")
    return field["name"], field["type"], ", ".join(field["bounds"]), default, what


def _default(value: Any) -> str:
    return "none" if value is None else text.literal(value)


def definition(screen: Screen, item: dict[str, Any]) -> None:
    """Print a definition as JSON that a file can hold."""
    for line in json.dumps(item, indent=2).split("\n"):
        screen.line(line)


def libraries(screen: Screen, items: Sequence[Library]) -> None:
    """List the libraries whose schedulers are converted."""
    rows = [(item["library"], ", ".join(item["names"])) for item in items]
    screen.table([left("LIBRARY"), wide("ALSO")], rows)


def schedulers(screen: Screen, items: Sequence[Scheduler]) -> None:
    """List the schedulers of a library."""
    rows = [(", ".join(item["names"]), item["becomes"]) for item in items]
    screen.table([left("SCHEDULER"), wide("WHAT IT BECOMES")], rows)


def schedules(screen: Screen, items: Sequence[wire.ScheduleVersion]) -> None:
    """List the schedules of the library."""
    if not items:
        screen.line("No schedules. Keep one:  rheostat schedule put NAME cosine start=1e-3 …")
        return
    columns = [left("NAME"), right("VERSION"), left("BY"), left("CREATED")]
    rows = (
        (
            item["name"],
            str(item["version"]),
            item["author"] or "",
            text.when(item["created_at"]),
        )
        for item in items
    )
    screen.table(columns, rows)


def schedule(screen: Screen, item: wire.Schedule) -> None:
    """Draw one version of a schedule."""
    by = f" by {item['author']}" if item["author"] else ""
    screen.pairs(
        ("schedule", item["name"]),
        ("version", f"{item['version']}, {text.when(item['created_at'])}{by}"),
        ("definition", text.definition(item["definition"])),
    )


def deleted(screen: Screen, answer: Deleted) -> None:
    """Say what is gone."""
    screen.line(f"Schedule {answer['deleted']} is removed.")
