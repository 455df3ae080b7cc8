"""The arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rheostat import formats
from rheostat.cli import words
from rheostat.limits import MAX_STEP

DEFAULT_URL = "http://127.0.0.1:8000"
_PICTURES = " or ".join(f".{item}" for item in formats.PICTURES)


TABLE = "table"
FORMS = (TABLE, *map(str, formats.NUMBERS))
"""How values are written: for people, and in the formats of files."""


def _form(text: str) -> str:
    if text not in FORMS:
        choices = ", ".join(map(repr, FORMS))
        raise typer.BadParameter(f"{text!r} is not one of {choices}.")
    return text


Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        envvar="RHEOSTAT_URL",
        help="Where the service is, or the file that a local one serves.",
        show_default=f"that of ./rheostat.db, or {DEFAULT_URL}",
    ),
]
Token = Annotated[
    str | None,
    typer.Option("--token", metavar="TOKEN", envvar="RHEOSTAT_TOKEN", help="Who is asking."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of text for people.")
]
Author = Annotated[
    str,
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
        metavar="DEFINITION",
        help="KIND field=value …, a number, @FILE, - or JSON.",
        show_default=False,
    ),
]


def steps(text: str, *names: str, metavar: str = "STEP", default: str | None = None) -> Any:
    """Return an option that takes a number of steps, also written 1e6 or 4.3T."""
    usual = True if default is None else default
    return typer.Option(*names, metavar=metavar, help=text, parser=words.steps, show_default=usual)


def count(
    text: str, *, metavar: str, least: int, most: int = MAX_STEP, default: str | None = None
) -> Any:
    """Return an option that takes a number in bounds, also written 1e6 or 64k."""
    bounds = f"x>={least}" if most == MAX_STEP else f"{least}<=x<={most}"

    def read(written: str | int) -> int:
        number = words.steps(written)
        if not least <= number <= most:
            raise typer.BadParameter(f"{number} is not in the range {bounds}.")
        return number

    help_text = f"{text}  [{bounds}]"
    usual = True if default is None else default
    return typer.Option(metavar=metavar, help=help_text, parser=read, show_default=usual)


Start = Annotated[int, steps("First step.")]
Stop = Annotated[int | None, steps("The step after the last.", default="the end")]
Stride = Annotated[
    int | None,
    steps("Distance of steps.", metavar="STEPS", default="about 20 rows in a table, else 1"),
]
Steps = Annotated[list[int] | None, steps("Only this step; may be repeated.", "--step")]
Total = Annotated[
    int | None, steps('Length of the training, for lengths such as "10%".', metavar="STEPS")
]
StepsPerEpoch = Annotated[
    int | None, steps('Length of an epoch, for lengths such as "3 epochs".', metavar="STEPS")
]
Height = Annotated[
    int, typer.Option(metavar="ROWS", min=3, max=200, help="Height of a chart in the terminal.")
]
Log = Annotated[bool, typer.Option("--log", help="Draw values on a logarithmic scale.")]
Form = Annotated[
    str,
    typer.Option(
        "--format",
        parser=_form,
        metavar=f"<{'|'.join(FORMS)}>",
        help="What to write; f64 is little-endian float64.",
    ),
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="KEY=VALUE", help="A label; may be repeated."),
]
SELECTED = "Runs with such labels, as Kubernetes writes it: team=nlp,stage in (a,b),!frozen."
Selector = Annotated[
    str | None, typer.Option("--selector", "-l", metavar="SELECTOR", help=SELECTED)
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")
]
Picture = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help=f"Draw into this file, {_PICTURES}."),
]


def picture_format(output: Path) -> formats.Format:
    """Return the format of a picture, as the file's name says."""
    name = output.suffix.lower().removeprefix(".")
    if name not in formats.PICTURES:
        raise typer.BadParameter(f"{output} must end in {_PICTURES}")
    return formats.FORMATS[name]
