"""What waits for a yes: `rheostat run proposals`, `propose`, `accept` and `decline`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rheostat.cli import controllers, options, words
from rheostat.cli.commands.orders import arguments_of
from rheostat.cli.commands.revisions import At, Clock, Expect
from rheostat.cli.results import Result, asking, changing, confirm
from rheostat.cli.views import proposals as views
from rheostat.cli.views.screen import Screen
from rheostat.cli.waiting import landing

if TYPE_CHECKING:
    from rheostat.client import Client, Control

Kind = Literal[
    "change",
    "cancel",
    "stop",
    "pause",
    "resume",
    "signal",
    "rewind",
    "total",
    "advance",
    "control",
    "disarm",
    "reset",
    "finish",
    "delete",
]
"""`rheostat.wire.ProposalKind` once more: to load that takes twenty milliseconds."""
Number = Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="Number of the proposal.")]


OF_NUMBER = {"total": "total", "advance": "to", "cancel": "revision"}
"""Kinds that begin with a number, and the field that it is."""


@asking
def list_proposals(
    client: Client,
    run: options.Run,
    state: Annotated[
        Literal["open", "accepted", "declined", "expired", "all"],
        typer.Option(help="Which of them."),
    ] = "open",
) -> Result:
    """
    List what is proposed for a run, and waits for a yes.

    \b
    rheostat run proposals gpt
    rheostat run proposals gpt --state all
    """
    found = client.control(run).proposals(state=None if state == "all" else state)
    return Result(found, views.proposals, run, state)


@changing
def propose(
    client: Client,
    run: options.Run,
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="What is proposed.")],
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="WHAT", help="Of it, in the words of its own command."),
    ] = None,
    message: options.Message = "",
    at: At = None,
    clock: Clock = None,
) -> Result:
    """
    Propose something that an operator may accept; until then it does nothing.

    \b
    rheostat run propose gpt change lr scale 0.5 -m "the loss is flat"
    rheostat run propose gpt stop -m "converged"
    rheostat run propose gpt signal checkpoint tag=best
    rheostat run propose gpt rewind 12000 lr scale 0.5
    rheostat run propose gpt total 120k
    rheostat run propose gpt control plateau --metric val_loss --patience 3

    What follows the kind is what one would type after `rheostat run change`, `signal`, `rewind`,
    `extend --total` or `arm`.
    """
    control = client.control(run)
    body = _body(control, kind, what or [], clock)
    if at is not None:
        body["effective"] = at
    if message:
        body["message"] = message
    made = control.propose(kind, body)
    return Result(made, views.proposed, run)


def _body(control: Control, kind: Kind, what: list[str], clock: str | None) -> dict[str, Any]:
    """Read what is proposed, as the command of that kind would."""
    if kind in {"stop", "pause", "resume", "finish", "delete"}:
        return words.assignments(what)
    if not what:
        raise typer.BadParameter(f"say what to propose, as in `rheostat run propose gpt {kind} …`")
    first, *rest = what
    if kind == "change":
        return {"changes": words.changes(what, clock)}
    if kind == "signal":
        return {"signal": first, "arguments": arguments_of(control, first, rest)}
    if kind == "rewind":
        changes = {"changes": words.changes(rest, clock)} if rest else {}
        return {"to": words.steps(first), **changes}
    if kind in OF_NUMBER:
        return {OF_NUMBER[kind]: words.steps(first), **words.assignments(rest)}
    if kind in {"disarm", "reset"}:
        return {"name": first, **words.assignments(rest)}
    told = controllers.controller(what)
    return {"name": told["kind"], "controller": told}


@landing
def accept(
    client: Client,
    run: options.Run,
    number: Number,
    expect: Expect = None,
    yes: options.Yes = False,
    unapproved: Annotated[
        bool,
        typer.Option("--unapproved", help="As an admin, do without a second person; recorded."),
    ] = False,
) -> Result:
    """
    Do what a proposal says.

    \b
    rheostat run accept gpt 1 --yes
    rheostat run accept gpt 7 --wait

    It is shown and asked about first. If the run has moved on in the meantime, it is refused. Of a
    protected run, another token has to accept it than the one that has proposed it.
    """
    control = client.control(run)
    revision = control.show()["revision"] if expect is None else expect
    if not yes:
        found = [each for each in control.proposals() if each["proposal"] == number]
        for each in found:
            views.proposal(Screen(error=True), each)
        if found:
            confirm(f"Accept proposal {number} of run {run}?", yes=yes)
    done = control.accept(number, expected_revision=revision, unapproved=unapproved)
    return Result(done, views.accepted)


@changing
def decline(
    client: Client, run: options.Run, number: Number, message: options.Message = ""
) -> Result:
    """
    Say no to a proposal.

    \b
    rheostat run decline gpt 2 -m "not now"
    """
    done = client.control(run).decline(number, message=message)
    return Result(done, views.declined)
