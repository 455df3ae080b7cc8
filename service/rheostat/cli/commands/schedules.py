"""`rheostat schedule …`: the service's library of named, versioned definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rheostat.cli import options, words
from rheostat.cli.commands import definitions
from rheostat.cli.commands.definitions import StepRange
from rheostat.cli.results import Result, asking, changing, confirm
from rheostat.cli.views import catalogue

if TYPE_CHECKING:
    from rheostat.client import Client
    from rheostat.schedules import Definition

Version = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Which version.", show_default="the newest"),
]


@asking
def list_schedules(client: Client) -> Result:
    """
    List the schedules, each by its newest version.

    \b
    rheostat schedule list
    """
    return Result(client.schedules.list(), catalogue.schedules)


@asking
def show(client: Client, name: options.ScheduleName, version: Version = None) -> Result:
    """
    Show a schedule's definition.

    \b
    rheostat schedule show gpt-lr --version 1
    """
    return Result(client.schedules.get(name, version=version), catalogue.schedule)


@changing
def put(
    client: Client,
    name: options.ScheduleName,
    definition: options.DefinitionWords,
    total: options.Total = None,
    steps_per_epoch: options.StepsPerEpoch = None,
) -> Result:
    """
    Keep a definition under a name, as a new version.

    \b
    rheostat schedule put gpt-lr cosine start=3e-4 end=3e-5 steps=100000
    rheostat schedule put gpt-lr @lr.json

    Runs copy what they use: a new version touches no live run.
    """
    data = words.definition(definition)
    if total or steps_per_epoch:
        data = definitions.parsed(data, total, steps_per_epoch).to_json()
    return Result(client.schedules.put(name, data), catalogue.schedule)


@changing
def delete(
    client: Client,
    name: options.ScheduleName,
    yes: options.Yes = False,
) -> Result:
    """
    Remove a schedule with all its versions; runs keep their copies.

    \b
    rheostat schedule delete gpt-lr --yes
    """
    confirm(f"Remove schedule {name} with all its versions?", yes=yes)
    client.schedules.delete(name)
    gone: catalogue.Deleted = {"deleted": name}
    return Result(gone, catalogue.deleted)


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
) -> Result:
    """
    Draw a schedule.

    \b
    rheostat schedule plot gpt-lr --stop 20000 -o lr.svg
    """
    found = [_definition(client, name, version)]
    return definitions.plotted(found, StepRange(start, stop), height=height, log=log, output=output)


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
) -> Result:
    """
    Compute the values of a schedule.

    \b
    rheostat schedule values gpt-lr --step 500
    """
    definition = _definition(client, name, version)
    return definitions.evaluated(definition, step or StepRange(start, stop, stride), form, output)


def _definition(client: Client, name: str, version: int | None) -> Definition:
    return definitions.parsed(client.schedules.get(name, version=version)["definition"])
