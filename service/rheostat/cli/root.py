"""The root of the command line with `serve`, which loads no other command."""

from __future__ import annotations

from typing import Annotated

import typer

from rheostat import __version__
from rheostat.cli.commands.serving import serve

CODES = """
\b
Exit codes:
  0    it worked
  1    refused, or failed: standard error says which field, value and bound
  2    the command line cannot be read
  3    the service cannot be reached, or cannot answer now: try again
  130  interrupted by Ctrl-C
"""
SETTINGS = {"help_option_names": ["-h", "--help"]}


def group(summary: str, epilog: str | None = None) -> typer.Typer:
    """Return a command that has others below it."""
    return typer.Typer(
        help=summary,
        epilog=epilog,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=SETTINGS,
    )


app = group(
    "Serve hyperparameter schedules, and change them at the same step on every worker.", CODES
)
app.command()(serve)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        print(f"rheostat {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass
