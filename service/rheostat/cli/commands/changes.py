"""`rheostat run change`, `undo`, `cancel`, `finish`, `delete`: what an operator does to a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rheostat.changes import EDITS
from rheostat.cli import options, words
from rheostat.cli.answers import Answer, changing, confirm
from rheostat.cli.views import runs as run_views

if TYPE_CHECKING:
    from rheostat.client import Client

ChangeWords = Annotated[
    list[str],
    typer.Argument(
        metavar="PARAMETER CHANGE",
        help="An edit such as `lr scale 0.5`, or a definition; commas between several.",
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


@changing
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
) -> Answer:
    """
    Change parameters of a run; every worker applies it at the same step.

    \b
    rheostat run change gpt lr scale 0.5 -m "loss spike"
    rheostat run change gpt lr scale 0.5 , weight_decay 0.05 --at 12000
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
    return Answer(done, run_views.dry_run if dry_run else run_views.changed)


def _edits() -> str:
    return "\n".join(f"      {edit.usage:<29}  {edit.sentence}" for edit in EDITS.values())


change.__doc__ = (change.__doc__ or "").replace("      EDITS", _edits())


@changing
def undo(client: Client, run: options.Run, message: options.Message = "") -> Answer:
    """
    Take the newest change back.

    A pending change is cancelled; one that is in force already is reverted, for the parameters
    that it touched, from the next step on. Undoing that brings the change back. What a rewind has
    dropped is gone already; a rewind itself stays, and a change that came with it is undone.
    """
    done = client.control(run).undo(message=message)
    return Answer(done, run_views.undone)


@changing
def cancel(
    client: Client,
    run: options.Run,
    revision: Annotated[int, typer.Argument(metavar="REVISION", min=1, help="Number of it.")],
    message: options.Message = "",
) -> Answer:
    """Cancel a revision that is still pending."""
    done = client.control(run).cancel(revision, message=message)
    return Answer(done, run_views.cancelled)


@changing
def finish(
    client: Client,
    run: options.Run,
    end: Annotated[
        int | None,
        options.steps("First step without a value.", default="where the workers are"),
    ] = None,
    message: options.Message = "",
) -> Answer:
    """Close a run: it stays readable, and takes no more changes."""
    return Answer(client.control(run).finish(end, message=message), run_views.finished)


@changing
def delete(
    client: Client,
    run: options.Run,
    yes: options.Yes = False,
) -> Answer:
    """Remove a run with its history and its ledger, for good."""
    confirm(f"Remove run {run} with its history and its ledger, for good?", yes=yes)
    client.control(run).delete()
    return Answer({"deleted": run}, run_views.deleted)
