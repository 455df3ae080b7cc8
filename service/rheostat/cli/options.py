"""The arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LAST = 2**53 - 1
"""The largest coordinate."""
DEFAULT_URL = "http://127.0.0.1:8000"

Server = Annotated[
    str, typer.Option("--server", metavar="URL", envvar="RHEOSTAT_URL", help="Where the service is.")
]
Token = Annotated[
    str | None,
    typer.Option("--token", metavar="TOKEN", envvar="RHEOSTAT_TOKEN", help="Who is asking."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of text for people.")
]
Author = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        envvar="RHEOSTAT_AUTHOR",
        help="Who makes the change, for the history.",
        show_default="user@host",
    ),
]
Message = Annotated[
    str, typer.Option("--message", "-m", metavar="TEXT", help="Why, for the history.")
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="Name or id of a run.")]
ScheduleName = Annotated[str, typer.Argument(metavar="NAME", help="Name of a schedule.")]
DefinitionWords = Annotated[
    list[str],
    typer.Argument(
        metavar="DEFINITION", help="KIND field=value …, a number, @FILE, - or JSON.", show_default=False
    ),
]
Start = Annotated[int, typer.Option(metavar="STEP", min=0, max=LAST, help="First step.")]
Stop = Annotated[
    int | None,
    typer.Option(
        metavar="STEP", min=1, max=LAST, help="The step after the last.", show_default="the end"
    ),
]
Stride = Annotated[
    int | None,
    typer.Option(
        metavar="STEPS", min=1, help="Distance of steps.", show_default="about 20 rows in a table"
    ),
]
Total = Annotated[
    int | None,
    typer.Option(metavar="STEPS", min=1, help='Length of the training, for lengths such as "10%".'),
]
StepsPerEpoch = Annotated[
    int | None,
    typer.Option(metavar="STEPS", min=1, help='Length of an epoch, for lengths as "3 epochs".'),
]
Height = Annotated[
    int, typer.Option(metavar="ROWS", min=3, max=200, help="Height of a chart in the terminal.")
]
Log = Annotated[bool, typer.Option("--log", help="Draw values on a logarithmic scale.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")
]
Picture = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Draw into this file, .png or .svg."),
]
