"""`rheostat schedule …`: the service's library of named, versioned definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rheostat.cli import options, words
from rheostat.cli.answers import Answer, asking, changing, confirm
from rheostat.cli.commands import curves
from rheostat.cli.commands.curves import Span
from rheostat.cli.views import text
from rheostat.cli.views.screen import Screen, left, right

if TYPE_CHECKING:
    from rheostat.client import Client
    from rheostat.schedules import Definition

Version = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Which version.", show_default="the newest"),
]


@asking
def list_schedules(client: Client) -> Answer:
    """List the schedules, each by its newest version."""
    return Answer(client.schedules.list(), _draw_list)


@asking
def show(client: Client, name: options.ScheduleName, version: Version = None) -> Answer:
    """Show a schedule's definition."""
    return Answer(client.schedules.get(name, version=version), _draw)


@changing
def put(
    client: Client,
    name: options.ScheduleName,
    definition: options.DefinitionWords,
    total: options.Total = None,
    steps_per_epoch: options.StepsPerEpoch = None,
) -> Answer:
    """
    Keep a definition under a name, as a new version.

    \b
    rheostat schedule put gpt-lr cosine start=3e-4 end=3e-5 steps=100000
    rheostat schedule put gpt-lr @lr.json

    Runs copy what they use: a new version touches no live run.
    """
    data = words.definition(definition)
    if total or steps_per_epoch:
        data = curves.parsed(data, total, steps_per_epoch).to_json()
    return Answer(client.schedules.put(name, data), _draw)


@changing
def delete(
    client: Client,
    name: options.ScheduleName,
    yes: options.Yes = False,
) -> Answer:
    """Remove a schedule with all its versions; runs keep their copies."""
    confirm(f"Remove schedule {name} with all its versions?", yes=yes)
    client.schedules.delete(name)
    return Answer({"deleted": name}, _draw_deleted)


@asking
def plot(
    client: Client,
    name: options.ScheduleName,
    version: Version = None,
    start: options.Start = 0,
    stop: options.Stop = None,
    height: options.Height = 16,
    log: options.Log = False,
    output: options.Picture = None,
) -> Answer:
    """Draw a schedule."""
    definitions = [_definition(client, name, version)]
    return curves.plotted(definitions, Span(start, stop), height=height, log=log, output=output)


@asking
def values(
    client: Client,
    name: options.ScheduleName,
    version: Version = None,
    step: options.Steps = None,
    start: options.Start = 0,
    stop: options.Stop = None,
    stride: options.Stride = None,
    form: options.Form = options.TABLE,
    output: options.Output = None,
) -> Answer:
    """Compute the values of a schedule."""
    definition = _definition(client, name, version)
    return curves.evaluated(definition, step or Span(start, stop, stride), form, output)


def _definition(client: Client, name: str, version: int | None) -> Definition:
    return curves.parsed(client.schedules.get(name, version=version)["definition"])


def _draw_list(screen: Screen, items: Sequence[Mapping[str, Any]]) -> None:
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


def _draw(screen: Screen, item: Mapping[str, Any]) -> None:
    by = f" by {item['author']}" if item["author"] else ""
    screen.pairs(
        ("schedule", item["name"]),
        ("version", f"{item['version']}, {text.when(item['created_at'])}{by}"),
        ("definition", text.definition(item["definition"])),
    )


def _draw_deleted(screen: Screen, answer: Mapping[str, Any]) -> None:
    screen.line(f"Schedule {answer['deleted']} is removed.")
