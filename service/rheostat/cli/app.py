"""The command line: every command under its name."""

from __future__ import annotations

from typing import Annotated

import typer

from rheostat import __version__
from rheostat.cli import (
    branches,
    catalogue,
    changes,
    convert,
    curves,
    demo,
    library,
    recovering,
    runs,
    serving,
    tokens,
    watching,
)

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
# What looks like an option after a change belongs to the change: `ramp 0 --steps 1000`.
WITH_CHANGES = SETTINGS | {"ignore_unknown_options": True}


def _group(summary: str, epilog: str | None = None) -> typer.Typer:
    return typer.Typer(
        help=summary,
        epilog=epilog,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=SETTINGS,
    )


app = _group(
    "Serve hyperparameter schedules, and change them at the same step on every worker.", CODES
)
run = _group("Make, look at and change live runs.")
schedule = _group("The library of named, versioned definitions.")
token = _group("Who may use a service, and in which role.")

app.command()(serving.serve)
app.command()(curves.evaluate)
app.command()(curves.plot)
app.command()(catalogue.kinds)
app.command()(convert.convert)
app.add_typer(run, name="run")
app.add_typer(schedule, name="schedule")
app.add_typer(token, name="token")
app.command()(recovering.recover)
app.command()(demo.demo)

run.command()(runs.create)
run.command("list")(runs.list_runs)
run.command()(runs.show)
run.command()(runs.plan)
run.command()(runs.explain)
run.command(context_settings=WITH_CHANGES)(changes.change)
run.command()(changes.undo)
run.command()(changes.cancel)
run.command(context_settings=WITH_CHANGES)(branches.rewind)
run.command(context_settings=WITH_CHANGES)(branches.fork)
run.command()(runs.history)
run.command()(watching.watch)
run.command()(changes.finish)
run.command()(changes.delete)

schedule.command("list")(library.list_schedules)
schedule.command()(library.show)
schedule.command()(library.put)
schedule.command()(library.delete)
schedule.command()(library.plot)
schedule.command()(library.values)

token.command()(tokens.create)
token.command("list")(tokens.list_tokens)
token.command()(tokens.revoke)


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
