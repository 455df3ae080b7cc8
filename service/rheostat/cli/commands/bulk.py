"""`rheostat change`: one change of many runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rheostat.cli import options, words
from rheostat.cli.commands.revisions import At, ChangeWords, Clock, DryRun, Force
from rheostat.cli.results import Result, changing, confirm
from rheostat.cli.views import bulk as views
from rheostat.cli.views.screen import Screen

if TYPE_CHECKING:
    from rheostat.client import Client


@changing
def change_many(
    client: Client,
    change_words: ChangeWords,
    selector: Annotated[
        str, typer.Option("--selector", "-l", metavar="SELECTOR", help=options.SELECTED)
    ],
    message: options.Message = "",
    at: At = None,
    clock: Clock = None,
    plan: Annotated[
        str | None,
        typer.Option(
            metavar="PLAN", help="Do what was planned, or go on with it, without asking again."
        ),
    ] = None,
    dry_run: DryRun = False,
    force: Force = False,
    yes: options.Yes = False,
) -> Result:
    """
    Change parameters of all runs with some labels, each by itself.

    \b
    rheostat change -l team=nlp lr scale 0.5 --dry-run
    rheostat change -l 'team=nlp,stage in (pretrain,mid),!frozen' lr scale 0.5 --yes

    What would become of each run is shown and asked about first. A run that has moved on since then
    is refused, and so is one for which the change is wrong; the others are done. If this is
    interrupted, the same command with --plan goes on, and changes no run twice. The changes are
    those of `rheostat run change`.
    """
    changes = words.changes(change_words, clock)
    effective: int | Literal["next"] = "next" if at is None else at
    if plan is None:
        tried = client.change_runs(
            selector, changes, effective=effective, message=message, force=force, dry_run=True
        )
        if dry_run:
            return Result(tried, views.planned)
        views.planned(Screen(error=True), tried)
        if tried["runs"]:
            confirm(f"Change {len(tried['runs'])} runs?", yes=yes)
        plan = tried["plan"]
    done = client.change_runs(
        selector, changes, effective=effective, message=message, force=force, plan=plan
    )
    return Result(done, views.changed)
