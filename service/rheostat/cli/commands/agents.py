"""
What agents use, and whoever looks after many runs: `rheostat run brief`, `wait`, `allowances`, and
`rheostat mcp`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rheostat.cli import options, words
from rheostat.cli.failures import GONE, LATE, readable, reported
from rheostat.cli.results import Given, Result, asking, default_author
from rheostat.cli.views import agents as views
from rheostat.cli.views.screen import Screen, machine_text
from rheostat.cli.waiting import TICK, Sparing, Timeout
from rheostat.errors import RheostatError

if TYPE_CHECKING:
    from rheostat import wire
    from rheostat.client import Client, Control

PATIENT = 10.0
"""Seconds that an agent waits for an answer of the service, before the call is repeated once."""

Until = Literal["report", "step", "revision", "proposal", "end"]
"""`rheostat.wire.Until` once more: to load that takes twenty milliseconds."""


@asking
def brief(client: Client, run: options.Run) -> Result:
    """
    Show a run in short: its goal, what is planned, what was done, and what you may do.

    \b
    rheostat run brief gpt

    Beside each change stands the metric before it and after it. With --json it has at most 4 KB.
    """
    return Result(client.control(run).brief(), views.brief)


@asking
def allowances(client: Client, run: options.Run) -> Result:
    """
    Show what tokens with a limit did to a run, what they were refused, and what they have left.

    \b
    rheostat run allowances gpt

    `rheostat token create NAME --role operator --limit …` makes such a token.
    """
    return Result(client.control(run).allowances(), views.allowances)


@asking
def wait(
    client: Client,
    run: options.Run,
    until: Annotated[Until, typer.Argument(metavar="WHAT", help="What to wait for.")],
    number: Annotated[
        int | None,
        typer.Argument(
            metavar="NUMBER",
            parser=words.steps,
            help="Which step, revision or proposal; of a report: the newest that was seen.",
            show_default=False,
        ),
    ] = None,
    timeout: Timeout = None,
) -> Given:
    """
    Wait for a report, a step, a revision, a proposal or the end of a run.

    \b
    rheostat run wait gpt end
    rheostat run wait gpt step 40k --timeout 3600
    rheostat run wait gpt revision 2
    rheostat run wait gpt report --timeout 600

    A step has come once the last worker is past it, a revision once all workers have come to it, a
    proposal once it was decided. The exit code is 0 once it has come, 3 if it has not in time, and
    4 if it will not come any more.
    """
    return _Waiting(client.control(run), until, number, timeout)


class _Waiting:
    """Waiting for something of a run, a second at a time, and then what became of it."""

    def __init__(
        self, control: Control, until: Until, number: int | None, timeout: float | None
    ) -> None:
        self._control, self._until, self._number = control, until, number
        self._ends = None if timeout is None else time.monotonic() + timeout

    def give(self, *, as_json: bool) -> None:
        """Wait, and print what became of it; exit unless it has come."""
        with readable():
            screen = Screen(error=True)
            with screen.status() as show:
                found = self._found(show if screen.is_terminal else Sparing(screen.line))
            code = 0 if found["held"] else GONE if found["over"] else LATE
            if code or not as_json:
                views.waited(Screen(error=code != 0), found)
        if as_json:
            print(machine_text(found))
        if code:
            raise typer.Exit(code)

    def _found(self, say: Callable[[str], None]) -> wire.WaitedFor:
        while True:
            left = TICK if self._ends is None else max(0.0, self._ends - time.monotonic())
            seconds = min(left, TICK)
            found = self._control.wait_until(self._until, self._number, timeout=seconds)
            if found["held"] or found["over"] or left == 0:
                return found
            if self._until == "report" and self._number is None:
                self._number = found["reports"]  # of those that come from now on, none is missed
            say(f"waiting for {self._what}: {found['detail']}")

    @property
    def _what(self) -> str:
        if self._until in {"report", "end"}:
            return "the next report" if self._until == "report" else "the end of the run"
        return f"{self._until} {self._number}"


Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        "--server",
        metavar="URL",
        envvar="RHEOSTAT_URL",
        help="Where the service is, or the file that a local one serves.",
        show_default=f"that of ./rheostat.db, or {options.DEFAULT_URL}",
    ),
]


def mcp(
    url: Url = None,
    token: options.Token = None,
    allow_changes: Annotated[
        bool,
        typer.Option("--allow-changes", help="Offer what changes a run, as far as the token may."),
    ] = False,
    author: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            envvar="RHEOSTAT_AUTHOR",
            help="Who makes changes, for the history, where the service requires no tokens.",
            show_default="user@host (agent)",
        ),
    ] = None,
) -> None:
    """
    Serve the tools of agents by the Model Context Protocol, on standard input and output.

    \b
    rheostat mcp --url http://rheostat:8000
    rheostat mcp --url http://rheostat:8000 --allow-changes

    A program that an agent runs in starts this; docs/agents.md has the configuration of the usual
    ones. It offers what the token may do, and looks on alone unless changes are allowed: proposals
    and notes do nothing until a person acts on them. It needs the extra `mcp`.
    """
    from importlib.util import find_spec

    with reported(as_json=False):
        if find_spec("mcp") is None:
            raise RheostatError('it needs the SDK of the protocol: pip install "rheostat[mcp]"')
        from rheostat.cli.connecting import connect
        from rheostat.mcp.server import serve
        from rheostat.mcp.tools import Tools

        who = author or f"{default_author()} (agent)"
        with connect(url, token, who, timeout=PATIENT, retries=1) as client:
            serve(Tools(client, allow_changes=allow_changes))
