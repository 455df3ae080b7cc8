"""`rheostat run rewind` and `fork`: going on from an earlier step, in a run or beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rheostat.cli import options, words
from rheostat.cli.answers import Answer, changing
from rheostat.cli.commands.changes import Clock, Force
from rheostat.cli.views import runs as run_views

if TYPE_CHECKING:
    from rheostat.client import Client

ChangeWords = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PARAMETER CHANGE",
        help="What to change there, as in `rheostat run change`.",
        show_default=False,
    ),
]


def _generation(help_text: str, default: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(
        metavar="GENERATION", min=1, help=help_text, show_default=default
    )
    return found


@changing
def rewind(
    client: Client,
    run: options.Run,
    to: Annotated[
        int,
        typer.Argument(metavar="STEP", parser=words.steps, help="The first step to be open again."),
    ],
    change_words: ChangeWords = None,
    message: options.Message = "",
    from_generation: Annotated[
        int | None, _generation("Generation to branch from.", "the current one")
    ] = None,
    expect: Annotated[
        int | None, _generation("Refuse if this is not the current one.", "any")
    ] = None,
    clock: Clock = None,
    force: Force = False,
) -> Answer:
    """
    Go back to the step of a checkpoint, in a new generation of the run.

    \b
    rheostat run rewind gpt 30500 -m "loss diverged"
    rheostat run rewind gpt 30500 lr scale 0.5 -m "loss diverged, try half"

    What was served below the step stays, and so do the changes that took effect up to it. Workers
    that go on in the old generation are refused; those that resume a checkpoint at or before the
    step join the new one.
    """
    done = client.control(run).rewind(
        to,
        words.changes(change_words, clock) if change_words else None,
        from_generation=from_generation,
        expected_generation=expect,
        message=message,
        force=force,
    )
    return Answer(done, run_views.rewound)


@changing
def fork(
    client: Client,
    run: options.Run,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new run.")],
    change_words: ChangeWords = None,
    step: Annotated[
        int | None,
        options.steps("Where it leaves the other run.", default="where that is settled to"),
    ] = None,
    message: options.Message = "",
    generation: Annotated[
        int | None, _generation("Generation whose past it has.", "the current one")
    ] = None,
    label: options.Labels = None,
    clock: Clock = None,
    force: Force = False,
) -> Answer:
    """
    Make a run that has the past of another one, which goes on undisturbed.

    \b
    rheostat run fork gpt gpt-decay --step 90000 lr ramp 0 --steps 10000 --shape 1-sqrt
    """
    made = client.control(run).fork(
        name,
        words.changes(change_words, clock) if change_words else None,
        step=step,
        generation=generation,
        labels=words.labels(label or ()),
        message=message,
        force=force,
    )
    return Answer(made, run_views.forked)
