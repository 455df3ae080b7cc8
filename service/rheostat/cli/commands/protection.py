"""`rheostat run protect` and `unprotect`: which runs need a second person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rheostat.cli import options
from rheostat.cli.results import Result, changing
from rheostat.cli.views import protection as views

if TYPE_CHECKING:
    from rheostat.client import Client


@changing
def protect(
    client: Client,
    run: options.Run,
    free: Annotated[
        list[str] | None,
        typer.Option(
            "--except",
            metavar="ACT",
            help="What one operator may do alone: stop, pause, signal, change, …; may be repeated.",
        ),
    ] = None,
) -> Result:
    """
    Have whatever an operator does to a run wait until another one accepts it.

    \b
    rheostat run protect gpt --except stop --except pause --except signal

    It takes an admin's token. What is asked for from then on becomes a proposal, and another token
    than its author's has to accept it. What armed controllers decide goes on.
    """
    acts: Any = free or ()
    return Result(client.control(run).protect(acts), views.protected)


@changing
def unprotect(client: Client, run: options.Run, message: options.Message = "") -> Result:
    """
    Let one operator be enough again.

    \b
    rheostat run unprotect gpt -m "the decay is over"
    """
    return Result(client.control(run).unprotect(message=message), views.protected)
