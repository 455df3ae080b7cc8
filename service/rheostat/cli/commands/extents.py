"""`rheostat run advance` and `extend`: where a training is, and how long it will be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rheostat.cli import options, words
from rheostat.cli.answers import Answer, changing
from rheostat.cli.commands.changes import At, DryRun, Expect, Force
from rheostat.cli.views import runs as run_views

if TYPE_CHECKING:
    from rheostat.client import Client


@changing
def advance(
    client: Client,
    run: options.Run,
    to: Annotated[
        int,
        typer.Argument(metavar="STEP", parser=words.steps, help="The first step to be open."),
    ],
    message: options.Message = "",
    expect: Expect = None,
) -> Answer:
    """
    Settle a run up to a step that its training has reached without it.

    \b
    rheostat run advance gpt 30500 -m "restored the database of Monday"

    Workers may begin only a little past what is settled. Where the service does not know how far
    the training is (a restored backup, a skipped stretch of data), this tells it. What lies before
    the step cannot be changed any more.
    """
    done = client.control(run).advance(to, message=message, expected_revision=expect)
    return Answer(done, run_views.advanced)


@changing
def extend(
    client: Client,
    run: options.Run,
    total: Annotated[
        int, options.steps("Length of the training from now on.", "--total", metavar="STEPS")
    ],
    message: options.Message = "",
    at: At = None,
    expect: Expect = None,
    dry_run: DryRun = False,
    force: Force = False,
) -> Answer:
    """
    Train longer than planned, or shorter: change the total of a run.

    \b
    rheostat run extend gpt --total 120k -m "twice the data" --dry-run

    What was planned in shares of the total, or up to its end, is laid out anew from where this
    takes effect: a decay of the last 20% begins later. What was written in steps stays. A curve
    that is past its peak may jump back up, which a guard `max_ratio` refuses; to stretch what
    remains of one curve without a jump, use `rheostat run change gpt lr extend END`.
    """
    done = client.control(run).extend_total(
        total,
        effective="next" if at is None else at,
        message=message,
        expected_revision=expect,
        force=force,
        dry_run=dry_run,
    )
    return Answer(done, run_views.dry_run if dry_run else run_views.extended)
