"""`rheostat run watch`: a run as it goes on, on a live screen or as lines."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rheostat.cli import options
from rheostat.cli.pace import Pace
from rheostat.cli.results import Given, Lines, asking
from rheostat.cli.views import live, revisions
from rheostat.cli.views.live import Sight
from rheostat.cli.views.screen import Screen
from rheostat.errors import Unavailable, UnknownRun, Unreachable
from rheostat.limits import RUN_ID

if TYPE_CHECKING:
    from rheostat import wire
    from rheostat.client import Client, Control

TICK = 1.0
"""Seconds between two looks at a run."""
NEWEST = 8
"""Revisions that are shown as what was done last."""
POINTS = 200
"""Points of the curves, which are asked for again when something has changed."""


@asking
def watch(
    client: Client,
    run: options.Run,
    after: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=0,
            help="Print events as lines, after that of this number; 0 is before the first.",
            show_default="the newest but one",
        ),
    ] = None,
    changes: Annotated[
        bool, typer.Option("--changes", help="Of lines, leave out that steps were settled.")
    ] = False,
    lines: Annotated[
        bool, typer.Option("--lines", help="Print events as lines on a terminal, too.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for a run that does not exist yet.")
    ] = True,
) -> Given:
    """
    Watch a run until it is finished or Ctrl-C: where it is, and what is done to it.

    \b
    rheostat run watch gpt
    rheostat run watch gpt --lines --changes

    It may be started before the training, and waits for it. On a terminal it is one live screen:
    workers and when they come to a change, values with their curve, what is pending, controllers,
    proposals, and what was done last. In a pipe, with --json, --after or
    --lines it is a line for each event: the time, what happened, the step, who did it and why; with
    --json each line is one JSON document.
    """
    control = client.control(run)
    if wait:
        _await(control, run)
    found = _events(control, client, after)
    told = (event for event in found if not (changes and event["kind"] == "settled"))
    listed = Lines(told, revisions.event)
    return listed if lines or changes or after is not None else _Watching(control, listed)


def _await(control: Control, name: str) -> None:
    """Wait until somebody creates a run of this name; what has an id's form is none to come."""
    said = False
    while True:
        try:
            control.show()
        except UnknownRun as error:
            if re.fullmatch(RUN_ID, name):
                raise
            if not said:
                Screen(error=True).line(f"{error.detail}. Waiting until it is created …")
            said = True
            time.sleep(TICK)
        else:
            return


def _events(control: Control, client: Client, after: int | None) -> Iterator[wire.Event]:
    if after is None:
        state = control.show()
        control, after = client.control(state["id"]), max(0, state["event"] - 1)
    yield from control.events(after)


class _Watching:
    """A live screen where there is a terminal, and lines elsewhere."""

    def __init__(self, control: Control, lines: Lines[Any]) -> None:
        self._control, self._lines = control, lines
        self._recent: dict[int, wire.Revision] = {}
        self._plan: wire.Plan | None = None
        self._planned: object = None
        self._pace = Pace()

    def give(self, *, as_json: bool) -> None:
        """Draw until the run is finished."""
        if as_json or not Screen().is_terminal:
            self._lines.give(as_json=as_json)
            return
        sight = self._look()
        with Screen().frames() as show:
            while True:
                show(lambda screen: live.run(screen, sight))  # noqa: B023 - drawn at once
                if sight["run"]["finished_at"] is not None:
                    return
                time.sleep(TICK)
                sight = self._look_again(sight)

    def _look_again(self, before: Sight) -> Sight:
        """Return what is to be seen now; while the service is away, what was seen last."""
        try:
            return self._look()
        except (Unreachable, Unavailable) as error:
            return {**before, "trouble": str(error).split("\n")[0]}

    def _look(self) -> Sight:
        run = self._control.show()
        self._pace.see(run["settled_until"])
        return {
            "run": run,
            "controllers": self._control.controllers(),
            "proposals": self._control.proposals(state="open"),
            "workers": self._control.workers(limit=1),
            "recent": self._newest(run["revision"]),
            "plan": self._curves(run),
            "seen": time.time(),
            "pace": self._pace.steps_per_second,
            "trouble": None,
        }

    def _curves(self, run: wire.RunState) -> wire.Plan | None:
        """Return the curves; they are the same until somebody changes them."""
        planned = run["id"], run["generation"], run["revision"], run["end"]
        if planned != self._planned:
            self._plan = self._control.plan(0, None, POINTS)
            self._planned = planned
        return self._plan

    def _newest(self, newest: int) -> list[wire.Revision]:
        """Return the last revisions; those that were seen are not asked for again."""
        wanted = range(max(1, newest - NEWEST + 1), newest + 1)
        for number in wanted:
            if number not in self._recent:
                self._recent[number] = self._control.revision(number)
        self._recent = {number: self._recent[number] for number in wanted}
        return [*self._recent.values()]
