"""
Rules that decide on a run by a metric: `rheostat run arm`, `disarm`, `reset`, `controllers`,
`decisions` and `metrics`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from rheostat.cli import controllers as read
from rheostat.cli import options
from rheostat.cli.results import Given, Lines, Result, asking, changing, delivered
from rheostat.cli.views import controllers as views
from rheostat.controls import CONTROLS
from rheostat.errors import UnknownController, UnknownMetric
from rheostat.limits import MAX_PICTURE_POINTS

if TYPE_CHECKING:
    from rheostat import wire
    from rheostat.client import Client, Control

DRAWN = 8
"""Metrics that are drawn where none is named, and no controller reads one."""

Documented = TypeVar("Documented", bound=Callable[..., Any])

ControllerWords = Annotated[
    list[str],
    typer.Argument(
        metavar="KIND FIELDS",
        help="KIND --field value …, @FILE, - or JSON.",
        show_default=False,
    ),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the controller.")]


def with_kinds(command: Documented) -> Documented:
    """Put the kinds of controllers and their fields in place of ``KINDS`` in a docstring."""
    command.__doc__ = (command.__doc__ or "").replace("    KINDS", "\n".join(_kinds()))
    return command


def _kinds() -> Iterator[str]:
    """Yield lines of a help text that list every kind with its fields."""
    for name, row in CONTROLS.items():
        yield f"    {name}: {row.sentence}"
        yield from _folded(read.usage(name))
    yield "    All of them:"
    yield from _folded(read.common_usage())


def _folded(fields: Iterator[str]) -> list[str]:
    listed = " ".join(fields)
    indent = " " * 6
    return textwrap.wrap(
        listed,
        78,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


@changing
@with_kinds
def arm(
    client: Client,
    run: options.Run,
    controller_words: ControllerWords,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What it is called in the run.", show_default="its kind"),
    ] = None,
    message: Annotated[
        str,
        typer.Option(
            "--message", "-m", metavar="TEXT", help="What stands before the reason of a decision."
        ),
    ] = "",
    keep_state: Annotated[
        bool, typer.Option("--keep-state", help="Go on with the state of the one it replaces.")
    ] = False,
    replay: Annotated[
        bool, typer.Option("--replay", help="First read the reports there are, deciding nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Put a gate on a run that has been read already.")
    ] = False,
    expect: Annotated[
        int | None,
        typer.Option(
            metavar="REVISION", min=1, help="Refuse if the controller is not of this revision."
        ),
    ] = None,
) -> Result:
    """
    Let a rule decide on a run: it reads a metric, and all workers follow at the same step.

    \b
    rheostat run arm gpt plateau --metric val_loss --factor 0.5 --patience 3 --after 200
    rheostat run arm gpt stop --metric val_loss --reading keras --patience 5
    rheostat run arm gpt guard --metric loss --sigma 6 --changes 'lr scale 0.5'
    rheostat run arm gpt @plateau.json --name slow --gate 1000

    With --after, decisions land so many steps after their report: two trainings with the same
    metrics then have the same values. Without, they land as soon as they can. What is left out has
    the default of the reading's own library.

    \b
    KINDS
    """
    control = client.control(run)
    told = read.controller(controller_words, message=message)
    armed = control.arm(
        name or told["kind"],
        told,
        keep_state=keep_state,
        replay=replay,
        force=force,
        if_match=expect,
    )
    return Result(armed, views.armed, run)


@changing
def disarm(client: Client, run: options.Run, name: Name) -> Result:
    """
    Remove a controller from a run. What it decided stays.

    \b
    rheostat run disarm gpt plateau
    """
    client.control(run).disarm(name)
    return Result({"disarmed": name}, views.disarmed)


@changing
def reset(client: Client, run: options.Run, name: Name) -> Result:
    """
    Let a controller of a run forget what it has read.

    \b
    rheostat run reset gpt plateau
    """
    return Result(client.control(run).reset(name), views.reset)


@asking
def list_controllers(
    client: Client,
    run: options.Run,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only this one, with all its fields.")
    ] = None,
) -> Result:
    """
    List the controllers of a run with their state, or show one.

    \b
    rheostat run controllers gpt
    rheostat run controllers gpt plateau
    """
    control = client.control(run)
    if name is not None:
        return Result(control.controller(name), views.controller)
    return Result(control.controllers(), views.controllers, run)


@asking
def decisions(
    client: Client,
    run: options.Run,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Name of the controller.", show_default="all of them"),
    ] = None,
) -> Result:
    """
    List what the controllers of a run decided, the oldest first.

    \b
    rheostat run decisions gpt
    rheostat run decisions gpt plateau
    """
    control = client.control(run)
    names = [each["name"] for each in control.controllers()] if name is None else [name]
    found = [item for each in names for item in control.decisions(each)]
    found.sort(key=lambda item: item["step"])
    return Result(found, views.decisions, run)


@asking
def metrics(
    client: Client,
    run: options.Run,
    metric: Annotated[
        str | None,
        typer.Argument(
            metavar="METRIC",
            help="Name of it.",
            show_default="those that controllers read, or some of all",
        ),
    ] = None,
    start: Annotated[int | None, options.steps("First step.", default="the first")] = None,
    stop: options.Stop = None,
    generation: Annotated[
        int | None,
        typer.Option(metavar="GENERATION", min=1, help="On whose line.", show_default="the newest"),
    ] = None,
    points: Annotated[
        int, options.count("The most points.", metavar="N", least=2, most=MAX_PICTURE_POINTS)
    ] = 1000,
    follow: Annotated[
        bool, typer.Option("--follow", help="Print reports as they come, a line each.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: step, value, source.")] = False,
    height: options.Height = 10,
    log: options.Log = False,
) -> Given:
    """
    Draw what was reported of a metric, with what controllers decided on it.

    \b
    rheostat run metrics gpt
    rheostat run metrics gpt val_loss --csv > val_loss.csv

    With --follow, reports are printed as they come, until the run is finished or Ctrl-C.
    """
    control = client.control(run)
    armed = control.controllers()
    names = [metric] if metric else _watched(armed) or control.surface()["metrics"][:DRAWN]
    if (follow or as_csv) and len(names) != 1:
        raise typer.BadParameter("name one METRIC for --follow and --csv")
    if follow:
        came = control.reports(names[0], generation=generation, start=start, stop=stop, follow=True)
        return Lines(came, views.report)
    found = []
    for each in names:
        with (
            nullcontext() if metric or as_csv else suppress(UnknownMetric)
        ):  # it is armed, and not reported
            found.append(
                control.reports(each, generation=generation, start=start, stop=stop, points=points)
            )
    if as_csv:
        return delivered(views.csv(found[0]), None, found[0])
    told = [{**each, "decisions": [*_decided(control, armed, each["metric"])]} for each in found]
    return Result(told[0] if metric else told, views.metrics, run, height=height, log=log)


def _watched(armed: Sequence[wire.ArmedController]) -> list[str]:
    """Return the metrics that controllers read, each once."""
    return [*dict.fromkeys(each["config"]["metric"] for each in armed)]


def _decided(
    control: Control, armed: Sequence[wire.ArmedController], metric: str
) -> Iterator[wire.Decision]:
    """Yield what controllers decided on a metric."""
    for each in armed:
        if each["config"]["metric"] == metric:
            with suppress(UnknownController):  # it was disarmed just now
                yield from control.decisions(each["name"])
