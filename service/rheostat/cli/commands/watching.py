"""`rheostat run watch`: what happens to a run, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from rheostat.cli import options
from rheostat.cli.answers import Lines, answering
from rheostat.cli.views import history as history_views
from rheostat.cli.views import text
from rheostat.cli.views.screen import Screen

Event = Mapping[str, Any]

STYLES = {
    "settled": "dim",
    "revised": "cyan",
    "cancelled": "yellow",
    "rewound": "magenta",
    "extended": "cyan",
}


@answering
def watch(
    run: options.Run,
    after: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=0,
            help="Begin after the event of this number; 0 is before the first.",
            show_default="the newest but one",
        ),
    ] = None,
    changes: Annotated[
        bool, typer.Option("--changes", help="Leave out that steps were settled.")
    ] = False,
    server: options.Server = options.DEFAULT_URL,
    token: options.Token = None,
) -> Lines:
    """
    Print what happens to a run, as it happens, until it is finished or Ctrl-C.

    A line has the time, what happened, the step, who did it and why. With --json each line is one
    JSON document.
    """
    found = _events(run, after, server, token)
    shown = (event for event in found if not (changes and event["kind"] == "settled"))
    return Lines(shown, _draw)


def _events(run: str, after: int | None, server: str, token: str | None) -> Iterator[Event]:
    from rheostat.cli.connecting import connect  # httpx loads slowly

    with connect(server, token) as client:
        if after is None:
            shown = client.control(run).show()
            run, after = shown["id"], max(0, shown["event"] - 1)
        yield from client.control(run).events(after)


def _draw(screen: Screen, event: Event) -> None:
    moment = datetime.fromisoformat(event["created_at"])
    step = event.get("effective", event.get("settled_until", 0))
    screen.line(
        (f"{moment:%Y-%m-%d %H:%M:%S} UTC", "dim"),
        (f"  {event['kind']:<9}", STYLES.get(event["kind"], "bold")),
        f" {text.count(step):>12}  {_told(event)}".rstrip(),
    )


def _told(event: Event) -> str:
    """Write what happened, by whom and why, on one line."""
    by = f" by {event['author']}" if event.get("author") else ""
    why = " ".join(event.get("message", "").split())
    return _what(event, by) + (f" – {why}" if why else "")


def _what(event: Event, by: str) -> str:
    forced = ", forced" if event.get("forced") else ""
    match event["kind"]:
        case "settled":
            return f"generation {event['generation']}" if event["generation"] > 1 else ""
        case "revised" | "extended":
            return f"revision {event['revision']}{by}: {_change(event)}{forced}"
        case "cancelled":
            return f"revision {event['cancelled']} is taken back{by}"
        case "rewound":
            change = f": {_change(event)}{forced}" if event["changes"] != {} else ""
            back = f"back from {text.count(event['ended'])} into generation {event['parent']}"
            return f"generation {event['generation']}{by}, {back}{change}"
    return by.strip()


def _change(event: Event) -> str:
    return "a long change" if event["changes"] is None else history_views.changes(event)
