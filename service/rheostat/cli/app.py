"""The command line: every command under its name."""

from __future__ import annotations

import typer

from rheostat.cli import curves


def _group(summary: str) -> typer.Typer:
    return typer.Typer(
        help=summary,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


app = _group("Serve hyperparameter schedules, and change them at the same step on every worker.")
app.command()(curves.evaluate)
app.command()(curves.plot)
