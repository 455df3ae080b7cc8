"""
What an operator does to a run: `rheostat run change`, `undo`, `cancel`, `advance`, `extend`,
`finish` and `delete`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from rheostat.changes import EDITS
from rheostat.cli import options, words
from rheostat.cli.audience import warn_of_nobody
from rheostat.cli.results import Result, changing, confirm
from rheostat.cli.views import revisions, runs
from rheostat.cli.waiting import landing

if TYPE_CHECKING:
    from rheostat import wire
    from rheostat.client import Client

ChangeWords = Annotated[
    list[str],
    typer.Argument(
        metavar="PARAMETER CHANGE",
        help="An edit such as `lr scale 0.5`, or a definition; commas between several. "
        "`'lr/*'` is lr and all of its groups.",
        show_default=False,
    ),
]
Clock = Annotated[
    Literal["run", "change"] | None,
    typer.Option(
        help="Whether new definitions count from step 0 of the run or from where they take effect."
    ),
]
At = Annotated[
    int | None,
    options.steps("Where it takes effect.", default="the next open step"),
]
Expect = Annotated[
    int | None,
    typer.Option(metavar="REVISION", min=1, help="Refuse if this is not the newest revision."),
]

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Break the guards of the run; the history records it.")
]


@landing
def change(
    client: Client,
    run: options.Run,
    change_words: ChangeWords,
    message: options.Message = "",
    at: At = None,
    clock: Clock = None,
    expect: Expect = None,
    dry_run: DryRun = False,
    force: Force = False,
) -> Result:
    """
    Change parameters of a run; every worker applies it at the same step.

    \b
    rheostat run change gpt lr scale 0.5 -m "loss spike"
    rheostat run change gpt lr scale 0.5 , weight_decay 0.05 --at 12000
    rheostat run change gpt 'lr/*' scale 0.5
    rheostat run change gpt lr ramp 0 steps=10000 shape=1-sqrt
    rheostat run change gpt lr cosine start=2e-4 end=2e-5 steps=5000 --clock change

    \b
    The edits, each with the fields that may follow it:
      EDITS

    A field is written field=value or --field value. A definition needs --clock unless it is a
    number. Several changes of one parameter apply one after the other.
    """
    done = client.control(run).change(
        words.changes(change_words, clock),
        effective="next" if at is None else at,
        message=message,
        expected_revision=expect,
        force=force,
        dry_run=dry_run,
    )
    if dry_run:
        return Result(cast("wire.Rehearsal", done), revisions.dry_run)
    return Result(cast("wire.Revised", done), revisions.changed)


def _edits() -> str:
    return "\n".join(f"      {edit.usage:<29}  {edit.sentence}" for edit in EDITS.values())


change.__doc__ = (change.__doc__ or "").replace("      EDITS", _edits())


@changing
def undo(client: Client, run: options.Run, message: options.Message = "") -> Result:
    """
    Take the newest change back.

    \b
    rheostat run undo gpt -m "it was the data"

    A pending change is cancelled; one that is in force already is reverted, for the parameters
    that it touched, from the next step on. Undoing that brings the change back. What a rewind has
    dropped is gone already; a rewind itself stays, and a change that came with it is undone.
    """
    control = client.control(run)
    done = control.undo(message=message)
    return Result(done, revisions.undone).then(lambda: warn_of_nobody(control, done))


@changing
def cancel(
    client: Client,
    run: options.Run,
    revision: Annotated[int, typer.Argument(metavar="REVISION", min=1, help="Number of it.")],
    message: options.Message = "",
) -> Result:
    """
    Cancel a revision that is still pending.

    \b
    rheostat run cancel gpt 3
    """
    done = client.control(run).cancel(revision, message=message)
    return Result(done, revisions.cancelled)


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
) -> Result:
    """
    Settle a run up to a step that its training has reached without it.

    \b
    rheostat run advance gpt 30500 -m "restored the database of Monday"

    Workers may begin only a little past what is settled. Where the service does not know how far
    the training is (a restored backup, a skipped stretch of data), this tells it. What lies before
    the step cannot be changed any more.
    """
    done = client.control(run).advance(to, message=message, expected_revision=expect)
    return Result(done, revisions.advanced)


@landing
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
) -> Result:
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
    if dry_run:
        return Result(cast("wire.TotalRehearsal", done), revisions.dry_run)
    return Result(cast("wire.TotalRevised", done), revisions.extended)


@changing
def finish(
    client: Client,
    run: options.Run,
    end: Annotated[
        int | None,
        options.steps("First step without a value.", default="where the workers are"),
    ] = None,
    message: options.Message = "",
) -> Result:
    """
    Close a run: it stays readable, and takes no more changes.

    \b
    rheostat run finish gpt -m "converged"
    """
    return Result(client.control(run).finish(end, message=message), revisions.finished)


@changing
def delete(
    client: Client,
    run: options.Run,
    yes: options.Yes = False,
) -> Result:
    """
    Remove a run with its history and its ledger, for good.

    \b
    rheostat run delete gpt-decay --yes
    """
    confirm(f"Remove run {run} with its history and its ledger, for good?", yes=yes)
    client.control(run).delete()
    return Result({"deleted": run}, runs.deleted)
