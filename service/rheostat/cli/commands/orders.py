"""
What an operator tells a training: `rheostat run stop`, `pause`, `resume`, `signal`, `note` and
`surface`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rheostat.cli import options, words
from rheostat.cli.audience import audience
from rheostat.cli.commands.revisions import At, Expect
from rheostat.cli.results import Result, asking, changing, confirm
from rheostat.cli.views import orders
from rheostat.cli.views.screen import Screen
from rheostat.cli.waiting import landing
from rheostat.errors import NotPending, RheostatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rheostat.client import Client, Control

Signal = Annotated[
    str | None,
    typer.Option(
        metavar="'WORD [NAME=VALUE …]'",
        help="A signal that the workers are given there, such as `checkpoint tag=last`.",
    ),
]


@landing
def stop(
    client: Client,
    run: options.Run,
    message: options.Message = "",
    at: At = None,
    signal: Signal = None,
    expect: Expect = None,
) -> Result:
    """
    End the training at one step, the same on every worker.

    \b
    rheostat run stop gpt -m "diverged"
    rheostat run stop gpt --at 20000 --signal 'checkpoint tag=last' --wait

    Until the first worker has ended there, `rheostat run cancel` takes it back; afterwards
    `rheostat run resume` lifts it by a rewind to that step. The run stays open: to close it for
    good, use `rheostat run finish`.
    """
    control = client.control(run)
    done = control.stop(
        effective="next" if at is None else at,
        message=message,
        signal=_signal(control, signal),
        expected_revision=expect,
    )
    hint = f"  until the first has ended there:  rheostat run cancel {run} {done['revision']}"
    return Result(done, orders.stopped).hinting(hint)


@landing
def pause(
    client: Client,
    run: options.Run,
    message: options.Message = "",
    at: At = None,
    signal: Signal = None,
    expect: Expect = None,
) -> Result:
    """
    Hold the training at one step, the same on every worker, until it is resumed.

    \b
    rheostat run pause gpt -m "move the data"
    rheostat run pause gpt --at 20000 --signal checkpoint

    Workers wait between two steps, outside of every collective call, so that no watchdog of a
    process group ends them. `rheostat run resume` lets them go on.
    """
    control = client.control(run)
    done = control.pause(
        effective="next" if at is None else at,
        message=message,
        signal=_signal(control, signal),
        expected_revision=expect,
    )
    return Result(done, orders.paused, run)


def _signal(control: Control, said: str | None) -> dict[str, Any] | None:
    """Read a signal in one text, as ``checkpoint tag=last``."""
    if said is None:
        return None
    word, *rest = words.split(said, "--signal") or [""]
    if not word:
        raise typer.BadParameter("--signal is empty: write --signal checkpoint")
    return {"signal": word, "arguments": arguments_of(control, word, rest)}


def arguments_of(control: Control, word: str, said: Sequence[str]) -> dict[str, Any]:
    """Read the arguments of a signal as the run declares them: ``tag=3`` may be a text."""
    if not said:
        return {}
    declared: Any = control.surface()["signals"].get(word, {})
    properties = declared.get("schema", {}).get("properties", {})
    texts = {name for name, schema in properties.items() if schema.get("type") == "string"}
    return words.arguments(said, texts)


@changing
def resume(
    client: Client,
    run: options.Run,
    until: Annotated[
        int | None, options.steps("Pause again at this step.", "--until", default="go on for good")
    ] = None,
    steps: Annotated[
        int | None,
        options.steps("Pause again after so many steps.", "--steps", metavar="STEPS"),
    ] = None,
    message: options.Message = "",
    yes: options.Yes = False,
) -> Result:
    """
    Let a training go on that is paused, or was stopped.

    \b
    rheostat run resume gpt
    rheostat run resume gpt --steps 100

    A pause is lifted at once, and waiting workers go on by themselves. A stop at which workers have
    ended is lifted by a rewind to its step, which is shown and asked about first: start the workers
    again, from their checkpoints of that step.
    """
    control = client.control(run)
    if steps is not None:
        if until is not None:
            raise typer.BadParameter("give --until or --steps, not both")
        until = control.show()["settled_until"] + steps
    try:
        done = control.resume(until, message=message)
        return Result(done, orders.resumed, run, until, _gone(control))
    except NotPending as error:
        lifted = error.members.get("rewind")
        if not isinstance(lifted, dict):
            return _taken_back(control, error, message)
        return _lifted(control, run, lifted, until, message, yes=yes)


def _taken_back(control: Control, error: NotPending, message: str) -> Result:
    """Take a stop back that a run has come to, but no worker has ended at; or raise."""
    state = control.show()
    for each in state["stops"]:
        if each["effective"] <= state["settled_until"] and not each["hold"]:
            done = control.cancel(each["revision"], message=message)
            return Result(done, orders.taken_back, each["effective"], _gone(control))
    raise error


def _gone(control: Control) -> str:
    """Return that all who trained have ended, and how the run goes on; nothing if it does."""
    with suppress(RheostatError):
        found = audience(control)
        if found.is_gone:
            return f"{found.gone()}; start the training again to go on"
    return ""


def _lifted(
    control: Control,
    run: str,
    rewind: dict[str, Any],
    until: int | None,
    message: str,
    *,
    yes: bool,
) -> Result:
    """Lift a stop that workers have ended at, by the rewind that the service names."""
    state = control.show()
    if not yes:
        orders.before_lifting(Screen(error=True), state, rewind)
    confirm(f"Rewind run {run} to step {rewind['to']:,}?", yes=yes)
    done = control.rewind(
        rewind["to"],
        from_generation=rewind["from_generation"],
        expected_generation=state["generation"],
        message=message or "resumed",
    )
    again = None if until is None else control.pause(effective=until, message=message)
    found: Any = {**done, "pause": again}
    return Result(found, orders.lifted, run)


@landing
def signal(
    client: Client,
    run: options.Run,
    word: Annotated[str, typer.Argument(metavar="WORD", help="What to tell them.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="Its arguments, as the run declares them."),
    ] = None,
    message: options.Message = "",
    at: At = None,
) -> Result:
    """
    Tell every worker a word at one step, such as to save a checkpoint.

    \b
    rheostat run signal gpt checkpoint
    rheostat run signal gpt checkpoint tag=before-decay --at 20000 --wait=done

    `rheostat run surface` lists what a run understands. With --wait=done it is waited for what a
    worker says became of it.
    """
    control = client.control(run)
    done = control.signal(
        word,
        arguments=arguments_of(control, word, arguments or ()),
        effective="next" if at is None else at,
        message=message,
    )
    hint = f"  until then:  rheostat run cancel {run} {done['revision']}"
    return Result(done, orders.signalled, word).hinting(hint)


@changing
def note(
    client: Client,
    run: options.Run,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is to be known.")],
    step: Annotated[
        int | None, options.steps("Where it belongs.", "--step", default="where the run is")
    ] = None,
    level: Annotated[
        Literal["note", "warn", "error"], typer.Option(help="How urgent it is.")
    ] = "note",
) -> Result:
    """
    Leave a note in the history of a run and in its charts.

    \b
    rheostat run note gpt "new data from here on" --step 20000
    """
    done = client.control(run).note(text, step=step, level=level)
    return Result(done, orders.noted)


@asking
def surface(client: Client, run: options.Run) -> Result:
    """
    Show what a run understands: its parameters with their bounds, and its signals.

    \b
    rheostat run surface gpt
    """
    found = client.control(run).surface()
    return Result(found, orders.surface)
