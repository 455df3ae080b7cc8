"""Going back: `rheostat run checkpoints`, `rewind` and `fork`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from rheostat.cli import options, words
from rheostat.cli.commands.revisions import Clock, Force
from rheostat.cli.results import Result, asking, changing, warn
from rheostat.cli.views import branching as views
from rheostat.cli.views.screen import Screen
from rheostat.cli.waiting import landing
from rheostat.errors import Invalid, RheostatError

if TYPE_CHECKING:
    from rheostat import wire
    from rheostat.client import Client, Control

ChangeWords = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PARAMETER CHANGE",
        help="What to change there, as in `rheostat run change`.",
        show_default=False,
    ),
]
ToCheckpoint = Annotated[
    str | None,
    typer.Option(
        metavar="TAG",
        help="Go back to the newest checkpoint of this tag, in place of a step.",
        show_default=False,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be dropped, and change nothing.")
]


def _generation(help_text: str, default: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(
        metavar="GENERATION", min=1, help=help_text, show_default=default
    )
    return found


@asking
def checkpoints(
    client: Client,
    run: options.Run,
    tag: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="Only those of this tag.", show_default="all"),
    ] = None,
) -> Result:
    """
    List the checkpoints that workers have saved, the newest generation first.

    \b
    rheostat run checkpoints gpt
    rheostat run checkpoints gpt --tag before-decay

    One that is off the line lies beyond a rewind: a worker that resumes it is refused, unless the
    run is rewound to it with --from-generation.
    """
    return Result(client.control(run).checkpoints(tag=tag), views.checkpoints)


@landing
def rewind(
    client: Client,
    run: options.Run,
    to: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STEP [PARAMETER CHANGE]",
            help="The first step to be open again, and what to change there, as in"
            " `rheostat run change`.",
            show_default=False,
        ),
    ] = None,
    message: options.Message = "",
    to_checkpoint: ToCheckpoint = None,
    from_generation: Annotated[
        int | None, _generation("Generation to branch from.", "the current one")
    ] = None,
    expect: Annotated[
        int | None, _generation("Refuse if this is not the current one.", "any")
    ] = None,
    clock: Clock = None,
    dry_run: DryRun = False,
    force: Force = False,
    yes: options.Yes = False,
) -> Result:
    """
    Go back to the step of a checkpoint, in a new generation of the run.

    \b
    rheostat run rewind gpt 30500 -m "loss diverged"
    rheostat run rewind gpt 30500 lr scale 0.5 -m "loss diverged, try half"
    rheostat run rewind gpt --to-checkpoint before-decay --dry-run

    What was served below the step stays, and so do the changes that took effect up to it. Workers
    that go on in the old generation are refused; those that resume a checkpoint at or before the
    step join the new one. Where no checkpoint of that very step is known, it says so first, and
    asks at a terminal.
    """
    control = client.control(run)
    step, said = _where(control, run, to or [], to_checkpoint, from_generation)
    asked: dict[str, Any] = {
        "changes": words.changes(said, clock) if said else None,
        "from_generation": from_generation,
        "expected_generation": expect,
        "message": message,
        "force": force,
    }
    if dry_run:
        return Result(control.rewind(step, **asked, dry_run=True), views.rewind_rehearsed)
    of = "" if from_generation is None else f" --from-generation {from_generation}"
    _forewarn(
        control,
        lambda: control.rewind(step, **asked, dry_run=True),
        lambda nearest: f"rheostat run rewind {run} {nearest}{of}",
        yes=yes,
    )
    return Result(control.rewind(step, **asked), views.rewound).forewarned()


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
    to_checkpoint: ToCheckpoint = None,
    generation: Annotated[
        int | None, _generation("Generation whose past it has.", "the current one")
    ] = None,
    label: options.Labels = None,
    clock: Clock = None,
    dry_run: DryRun = False,
    force: Force = False,
    yes: options.Yes = False,
) -> Result:
    """
    Make a run that has the past of another one, which goes on undisturbed.

    \b
    rheostat run fork gpt gpt-decay --step 30000 lr ramp 0 --steps 10000 --shape 1-sqrt
    rheostat run fork gpt gpt-best --to-checkpoint best

    Where no checkpoint of that very step is known, it says so first, and asks at a terminal.
    """
    control = client.control(run)
    if to_checkpoint is not None:
        if step is not None:
            raise typer.BadParameter("give --step or --to-checkpoint, not both")
        step = _step_of(control, run, to_checkpoint, generation, "--generation")
    asked: dict[str, Any] = {
        "changes": words.changes(change_words, clock) if change_words else None,
        "step": step,
        "generation": generation,
        "labels": words.labels(label or ()),
        "message": message,
        "force": force,
    }
    if dry_run:
        return Result(control.fork(name, **asked, dry_run=True), views.fork_rehearsed)
    of = "" if generation is None else f" --generation {generation}"
    _forewarn(
        control,
        lambda: control.fork(name, **asked, dry_run=True),
        lambda nearest: f"rheostat run fork {run} {name} --step {nearest}{of}",
        yes=yes,
    )
    return Result(control.fork(name, **asked), views.forked).forewarned()


def _where(
    control: Control, run: str, said: Sequence[str], tag: str | None, generation: int | None
) -> tuple[int, Sequence[str]]:
    """Return the step to go back to, and the words that follow it."""
    if tag is not None:
        if said and said[0][:1].isdigit():
            raise typer.BadParameter("give a STEP or --to-checkpoint, not both")
        return _step_of(control, run, tag, generation, "--from-generation"), said
    if not said:
        raise typer.BadParameter("give a STEP, or --to-checkpoint TAG")
    return words.steps(said[0]), said[1:]


def _step_of(control: Control, run: str, tag: str, generation: int | None, option: str) -> int:
    """Return the step of the newest checkpoint of a tag that can be resumed, and say which."""
    found = control.checkpoints(tag=tag, generation=generation)
    if not found:
        raise RheostatError(
            f"no checkpoint {tag!r} of {run} is known: `rheostat run checkpoints {run}` lists all"
        )
    there = sorted((each for each in found if each["on_line"]), key=lambda each: each["at"])
    if not there:
        last = found[0]
        raise RheostatError(
            f"the checkpoint {tag!r} of step {last['step']:,} of generation {last['generation']}"
            f" lies beyond a rewind: to go back to it all the same, add {option}"
            f" {last['generation']}"
        )
    views.chosen(Screen(error=True), there[-1], len(there))
    return _end_of_cell(control, there[-1])


def _end_of_cell(control: Control, saved: wire.Checkpoint) -> int:
    """Return the first step that a run can be rewound to, or forked at, for a checkpoint."""
    width = control.show()["resolution"]
    return -(-saved["step"] // width) * width


def _forewarn(
    control: Control,
    rehearse: Callable[[], wire.Resumable],
    instead: Callable[[int], str],
    *,
    yes: bool,
) -> None:
    """
    Print what the service warns of before it is done; ask a person whether to go on.

    ``instead`` is the command that would go to the step of the nearest checkpoint.
    """
    found = cast("wire.Resumable", {})
    with suppress(Invalid):  # what is done next is refused alike, by an older service too
        found = rehearse()
    warn(found)
    if not found.get("warnings"):
        return
    nearest = found.get("checkpoint")
    if nearest is not None:
        command = instead(_end_of_cell(control, nearest))
        Screen(error=True).line(f"  to go to that one:  {command}")
    if not yes and at_terminal():
        typer.confirm("Go on all the same?", abort=True, err=True)


def at_terminal() -> bool:
    """Whether there is somebody who can be asked."""
    return sys.stdin.isatty()
