"""`rheostat kinds`: what definitions there are, and what each takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from rheostat.cli.answers import Answer, answering
from rheostat.cli.views import text
from rheostat.cli.views.screen import Screen, left, wide
from rheostat.errors import UnknownKind


@answering
def kinds(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="Describe this one.", show_default=False)
    ] = None,
) -> Answer:
    """List the kinds of definitions, or describe one: formula, fields, bounds, an example."""
    from rheostat.schedules import KINDS  # NumPy and FastAPI load slowly
    from rheostat.schedules.introspection import describe

    if kind is None:
        return Answer([describe(name) for name in KINDS], _draw_list)
    if kind not in KINDS:
        raise UnknownKind(f"there is no kind {kind!r}; there are {', '.join(KINDS)}")
    return Answer(describe(kind), _draw)


def _draw_list(screen: Screen, items: Sequence[dict[str, Any]]) -> None:
    screen.table(
        [left("KIND"), wide("WHAT IT IS")], [(item["kind"], item["summary"]) for item in items]
    )


def _draw(screen: Screen, item: dict[str, Any]) -> None:
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


def _field_row(field: dict[str, Any]) -> tuple[str, ...]:
    default = "required" if field["required"] else _default(field["default"])
    what = field["description"] + (f"; in {field['unit']}" if field["unit"] else "")
    return field["name"], field["type"], ", ".join(field["bounds"]), default, what


def _default(value: Any) -> str:
    return "none" if value is None else text.literal(value)
