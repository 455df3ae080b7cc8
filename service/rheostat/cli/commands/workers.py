"""Who trains, and what they applied: `rheostat run workers` and `mismatches`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rheostat.cli import options
from rheostat.cli.results import Result, asking
from rheostat.cli.views import workers as views
from rheostat.limits import MAX_MISMATCHES, MAX_WORKERS
from rheostat.wire import WorkerState

if TYPE_CHECKING:
    from rheostat.client import Client

LISTED = 20
"""Rows of a table, unless more are asked for."""


@asking
def list_workers(
    client: Client,
    run: options.Run,
    state: Annotated[
        WorkerState | None, typer.Option(help="Only those who do this.", show_default="all")
    ] = None,
    wrong: Annotated[
        bool, typer.Option("--wrong", help="Only those who applied another value than was served.")
    ] = False,
    limit: Annotated[
        int, options.count("The most rows of the table.", metavar="N", least=0, most=MAX_WORKERS)
    ] = LISTED,
) -> Result:
    """
    Show who trains: how they are together, when they come to a change, and each of them.

    \b
    rheostat run workers gpt
    rheostat run workers gpt --wrong
    rheostat run workers gpt --state silent

    Those come first that somebody should look at. It is by what workers say of themselves every 5
    to some 200 seconds, the more there are of them. `rheostat run mismatches` says what a wrong one
    applied. With --json all of them are listed.
    """
    if wrong and state not in {None, "wrong"}:
        raise typer.BadParameter("give --wrong or --state, not both")
    found = client.control(run).workers(state="wrong" if wrong else state)
    return Result(found, views.workers, run, limit)


@asking
def list_mismatches(
    client: Client,
    run: options.Run,
    limit: Annotated[
        int, options.count("The most rows of the table.", metavar="N", least=1, most=MAX_MISMATCHES)
    ] = LISTED,
) -> Result:
    """
    List where workers applied another value than was served, the newest first.

    \b
    rheostat run mismatches gpt

    Of each window of steps that differs the first step is listed, with both values. What a process
    did stays in the list when it is started again.
    """
    found = client.control(run).mismatches()
    return Result(found, views.mismatches, run, limit)
